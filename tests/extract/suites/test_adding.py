"""Suites: every set of a download becomes a dataset with its role and group, and what is missing is listed at once."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from analysis.lineage.benchmark import read_benchmarks
from extract.datasets import add_dataset
from extract.suites import SUITES, add_suite, named_suite
from featurestore import InputError, Lake, MissingError
from tests.long import shortened
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

    from extract.suites import SuiteSet
    from tests.pipeline import Commands

OPENOOD = [name for name in SUITES if name.startswith("openood")]
NEAR_FAR = {
    "openood-v1.5-imagenet1k": {
        "near": "ninco ssb_hard",
        "far": "inaturalist openimage_o textures",
        "val": "openimage_o-val",
    },
    "openood-v1.5-imagenet200": {
        "near": "ninco ssb_hard",
        "far": "inaturalist openimage_o textures",
        "val": "openimage_o-val",
    },
    "openood-v1.5-cifar10": {"near": "cifar100 tin", "far": "mnist places365 svhn texture", "val": "tin-val"},
    "openood-v1.5-cifar100": {"near": "cifar10 tin", "far": "mnist places365 svhn texture", "val": "tin-val"},
}
SHIFTED = {
    "openood-v1.5-imagenet1k": ["imagenet_c", "imagenet_es", "imagenet_r", "imagenet_v2"],
    "openood-v1.5-imagenet200": ["imagenet200_c", "imagenet200_r", "imagenet200_v2"],
    "openood-v1.5-cifar10": ["cifar10c"],
    "openood-v1.5-cifar100": [],
}


def write_set(root: Path, each: SuiteSet) -> None:
    """Its list, and tiny files for images; ID sets have three classes, OOD images no label."""
    assert each.images
    lines = []
    for number in range(3):
        path = f"{each.name}/some images/{number}.JPEG"
        image = root / each.images / path
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(each.name.encode())
        lines.append(f"{path} {-1 if each.role == 'ood' else number}\n")
    (root / each.place).parent.mkdir(parents=True, exist_ok=True)
    (root / each.place).write_text("".join(lines))


def write_suite(root: Path, suite: str) -> Path:
    for each in named_suite(suite).sets:
        write_set(root, each)
    return root


def groups(lake: Lake, benchmark: str) -> dict[str, str]:
    query = f"""
        select ood_group, string_agg(dataset, ' ' order by dataset) from datasets
        where role = 'ood' and list_contains(benchmarks, '{benchmark}') group by all
    """
    return dict(lake.sql(query).fetchall())


@pytest.mark.parametrize("suite", shortened(OPENOOD, to=2))
def test_every_set_of_openood_gets_its_role_and_group(lake: Lake, tmp_path: Path, suite: str) -> None:
    root = write_suite(tmp_path / "download" / "data", suite)
    summary = add_suite(lake, "bench", suite, root.parent)
    assert summary.missing == {}
    id_name = suite.rpartition("-")[2]
    (benchmark,) = read_benchmarks(lake)
    assert (benchmark.fit, benchmark.val, benchmark.id) == (f"{id_name}-train", f"{id_name}-val", f"{id_name}-test")
    assert groups(lake, "bench") | groups(lake, "bench-val") == NEAR_FAR[suite]
    assert groups(lake, "bench-val").keys() == {"val"}, "sets that tune do not judge"
    assert list(benchmark.oods) == sorted(f"{NEAR_FAR[suite]['near']} {NEAR_FAR[suite]['far']}".split())
    shifted = lake.sql("select dataset from datasets where role = 'csid' order by 1").fetchall()
    assert [name for (name,) in shifted] == SHIFTED[suite]
    assert {len(lake.read("samples", dataset=name)) for name in summary.added} == {3}
    again = add_suite(lake, "bench", suite, root)
    assert (again.added, again.kept) == ((), summary.added)


def test_what_is_missing_is_listed_at_once_and_added_later(fresh: Commands, tmp_path: Path) -> None:
    """Lists that are not there, and images; the command ends with exit code 3 and says what to do."""
    suite = named_suite("openood-v1.5-cifar10")
    root = write_suite(tmp_path / "data", suite.name)
    sets = {each.name: each for each in suite.sets}
    (root / sets["svhn"].place).unlink()
    (root / "images_classic" / "tin" / "some images" / "1.JPEG").unlink()
    command = ("benchmark", "add", "bench", "--suite", suite.name, "--root", root)
    outcome = fresh(*command)
    assert outcome.code == 3
    first, second, *remedy = outcome.err.splitlines()
    assert first == f"Missing: {_missing_image(root)}"
    assert second == f"Missing: Cannot read the image list {root / sets['svhn'].place}: No such file or directory."
    assert remedy == ["Complete them, and run the same command again: it adds what is missing."]
    assert outcome.out.splitlines()[-1] == "bench: 9 sets added, 0 there already, 2 missing"
    assert "cifar10-train: 3 samples of 3 classes, role fit, in bench" in outcome.out.splitlines()
    assert "mnist: 3 samples of 1 class, role ood, group far, in bench" in outcome.out.splitlines()
    write_suite(tmp_path / "data", suite.name)
    assert fresh.ok(*command).splitlines()[-1] == "bench: 2 sets added, 9 there already, 0 missing"


def _missing_image(root: Path) -> str:
    file, folder = root / "benchmark_imglist" / "cifar10" / "test_tin.txt", root / "images_classic"
    return (
        f"{file} lists 3 images, of which 1 are not in {folder} (first: tin/some images/1.JPEG): "
        "download them, or correct the list or the folder."
    )


def test_a_set_of_two_suites_is_one_dataset_and_a_name_that_is_taken_gets_the_benchmark_s(
    lake: Lake, tmp_path: Path, images: Path
) -> None:
    """So nothing is extracted twice, and no dataset of the user's is replaced."""
    add_dataset(lake, "mnist", images, role="ood")
    root = write_suite(tmp_path / "data", "openood-v1.5-cifar10")
    write_suite(root, "openood-v1.5-cifar100")
    lines: list[str] = []
    ten = add_suite(lake, "ten", "openood-v1.5-cifar10", root, say=lines.append)
    hundred = add_suite(lake, "hundred", "openood-v1.5-cifar100", root)
    assert "mnist is ten-mnist here, since the lake holds another dataset under that name" in lines
    assert {"svhn", "tin", "places365", "texture"} < set(ten.added) & set(hundred.added)
    assert lake.sql("select benchmarks from datasets where dataset = 'svhn'").fetchall() == [(["hundred", "ten"],)]
    assert lake.sql("select location from datasets where dataset = 'mnist'").fetchall() == [(str(images),)]
    again = add_suite(lake, "ten", "openood-v1.5-cifar10", root)
    assert (again.added, sorted(again.kept)) == ((), sorted(ten.added))


def test_a_set_that_changed_is_listed_and_not_added_beside_itself(lake: Lake, tmp_path: Path) -> None:
    root = write_suite(tmp_path / "data", "openood-v1.5-cifar10")
    add_suite(lake, "ten", "openood-v1.5-cifar10", root)
    (root / "images_classic" / "svhn" / "some images" / "0.JPEG").write_bytes(b"another")
    summary = add_suite(lake, "ten", "openood-v1.5-cifar10", root)
    assert list(summary.missing) == ["svhn"]
    assert "1 resized" in summary.missing["svhn"]
    assert add_suite(lake, "ten", "openood-v1.5-cifar10", root, replacing=True).missing == {}


def test_ninco_s_three_sets_have_groups_and_its_imagenet_is_asked_for(
    fresh: Commands, images: Path, ninco_root: Path
) -> None:
    outcome = fresh("benchmark", "add", "main", "--suite", "ninco-2023", "--root", ninco_root.parent)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1].startswith("NINCO comes without ImageNet: add its train set and its test set")
    for role in ("fit", "id"):
        place = shutil.copytree(images, images.parent / role)
        fresh.ok("dataset", "add", f"imagenet-{role}", place, "--role", role)
    outcome = fresh("benchmark", "add", "main", "--suite", "ninco-2023", "--root", ninco_root)
    assert outcome.out.splitlines()[-1] == "main: 0 sets added, 3 there already, 0 missing"
    query = "select dataset, ood_group, samples, classes from datasets where role = 'ood' order by 1"
    assert fresh.lake.sql(query).fetchall() == [
        ("ninco", "ninco", 5_879, 64),
        ("ninco-popular", "popular", 2_715, 11),
        ("unit-tests", "unit-tests", 6_800, 17),
    ]


@pytest.fixture(scope="module")
def ninco_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """NINCO's lists and folders, each class's images one file under many names."""
    root = tmp_path_factory.mktemp("zenodo") / "NINCO_all"
    parts = {
        "NINCO_OOD_classes": [(f"c{number}", (94, 79, 77)[(number > 54) + (number > 62)]) for number in range(64)],
        "NINCO_OOD_unit_tests": [(f"u{number}", 400) for number in range(17)],
        "NINCO_popular_datasets_subsamples": [(f"p{number}", 247 if number < 9 else 246) for number in range(11)],
    }
    for part, classes in parts.items():
        lines = ["image_location,class"]
        for name, count in classes:
            folder = root / part / name
            folder.mkdir(parents=True)
            (folder / "0.jpg").write_bytes(b"image")
            for number in range(1, count):
                (folder / f"{number}.jpg").hardlink_to(folder / "0.jpg")
            lines += [f"{part}/{name}/{number}.jpg,{name}" for number in range(count)]
        (root / f"{part}.csv").write_text("\n".join([*lines, ""]))
    return root


def test_a_folder_that_holds_no_suite_and_a_suite_that_there_is_not_are_sentences(
    fresh: Commands, tmp_path: Path
) -> None:
    write_images(tmp_path, {"ant": 1})
    said = fresh.refused("benchmark", "add", "b", "--suite", "openood-v1.5-cifar10", "--root", tmp_path)
    assert f"there is no {tmp_path / 'benchmark_imglist'} or {tmp_path / 'data' / 'benchmark_imglist'}" in said
    (tmp_path / "benchmark_imglist").mkdir()
    said = fresh.refused("benchmark", "add", "b", "--suite", "openood-v1.5-cifar10", "--root", tmp_path)
    assert "No set of openood-v1.5-cifar10 could be added. Cannot read the image list" in said
    assert "did you mean 'openood-v1.5-cifar10'?" in fresh.refused(
        "benchmark", "add", "b", "--suite", "openood-v1.5-cifar11", "--root", tmp_path
    )
    assert not fresh.location.exists()


def test_suites_are_named_as_they_are_found() -> None:
    assert {name: suite.name for name, suite in SUITES.items()} == {name: name for name in SUITES}
    with pytest.raises(MissingError, match="There is no suite 'openood'"):
        named_suite("openood")
    with pytest.raises(InputError, match="cannot be the name of a benchmark"):
        add_suite(Lake("nowhere"), "My Benchmark", "ninco-2023", "x")
