"""What the commands do, called from Python: the same words, defaults and results."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featurestore as fs
from benchmarks.lakes import put_dataset, put_rows, put_scores
from featurestore.cli import benchmarks, datasets, lake_commands, models
from featurestore.cli.datasets import dataset_add
from featurestore.cli.extract import extract
from featurestore.cli.score import score
from tests.extract.conftest import save_tiny
from tests.tiny import ARCHITECTURE, KWARGS, write_images

QUIET: dict[str, Any] = {"say": None, "progress": None}
NETWORK = {name: value for name, value in KWARGS.items() if name != "img_size"}


def _defaults(function: Any) -> dict[str, Any]:
    """Parameters by the names that users type, with their defaults; lists and paths as the simpler of the two forms."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        default = parameter.default
        found[name.rstrip("_")] = str(default) if isinstance(default, Path) else default
    return found


@pytest.mark.parametrize(
    ("verb", "command"),
    [
        (fs.Lake.extract, extract),
        (fs.Lake.score, score),
        (fs.Lake.set_dataset, datasets.dataset_set),
        (fs.Lake.set_model, models.model_set),
        (fs.Lake.set_benchmark, benchmarks.benchmark_set),
        (fs.Lake.add_benchmark, benchmarks.benchmark_add),
        (fs.Lake.copy, lake_commands.copy),
        (fs.Lake.merge, lake_commands.merge),
        (fs.Lake.gc, lake_commands.gc),
        (fs.Lake.catalog, lake_commands.catalog),
        (fs.Lake.unit_tests, datasets.unit_tests),
        (fs.Lake.report, lake_commands.report),
    ],
)
def test_verbs_have_the_commands_words_and_defaults(verb: Any, command: Any) -> None:
    ours, theirs = _defaults(verb), _defaults(command)
    if "compiling" in theirs:
        theirs["compile"] = theirs.pop("compiling")
    if "suffix" in theirs:
        theirs["as"] = theirs.pop("suffix")
    for name in {"lake", "strict"} & theirs.keys():  # a lake is at hand, and warnings can be made errors
        del theirs[name]
    assert {n: v for n, v in ours.items() if n not in {"self", "say", "progress"}} == theirs


def test_add_dataset_takes_every_option_of_the_command(tmp_path: Path) -> None:
    lake = fs.Lake(tmp_path / "lake")
    images = write_images(tmp_path / "images", {"ant": 2, "bee": 2})
    named = {"name", "path", "role", "benchmark", "group", "format", "from", "classes", "where", "replace", "lake"}
    rest = _defaults(dataset_add).keys() - named
    row = lake.add_dataset("val", images, role="id", say=None, **dict.fromkeys(rest))
    assert (row.samples, row.classes) == (4, 2)
    part = lake.add_dataset("ants", from_="val", classes="ant", role="ood", benchmark="other", say=None)
    assert (part.samples, part.role) == (2, "ood")
    with pytest.raises(fs.InputError, match=r"path.*from_"):
        lake.add_dataset("none", role="id", say=None)
    with pytest.raises(fs.MissingError, match="did you mean 'label_order'"):
        lake.add_dataset("val", images, role="id", say=None, label_ordr="text")


def test_a_study_from_python_alone(tmp_path: Path) -> None:
    """Images to report, without a line of the command; a second time all is there."""
    lake = fs.Lake(tmp_path / "lake")
    classes = {"ant": 6, "bee": 6, "cat": 6}
    lake.add_dataset("fit", write_images(tmp_path / "fit", classes), role="fit", say=None)
    lake.add_dataset("val", write_images(tmp_path / "val", classes, seed=1), role="id", say=None)
    lake.add_dataset("far", write_images(tmp_path / "far", {"x": 5, "y": 5}, seed=2), role="ood", say=None)
    said: list[str] = []
    checkpoint = save_tiny(tmp_path / "tiny.safetensors")
    done = lake.extract(
        checkpoint,
        architecture=ARCHITECTURE,
        model_kwargs=NETWORK,
        crop_pct=1.0,
        workers=0,
        say=said.append,
        progress=None,
    )
    assert done is not None
    assert (done.extracted, done.reused) == (3, 0)
    assert said[0].startswith("datasets: far, fit, val (all of the lake")
    assert lake.score(detector=["msp", "mahalanobis"], **QUIET).scored == 4
    assert lake.score(detector=["msp", "mahalanobis"], **QUIET).scored == 0
    status = lake.status(dataset="far")
    assert set(status.filter(status["stage"] == "activations")["state"]) == {"fresh"}
    assert list(lake.verify(deep=True, progress=None)) == []
    page = lake.report(tmp_path / "out" / "report.html")
    assert "mahalanobis" in page.read_text()


def test_verbs_on_a_lake_that_is_not_there_say_so(tmp_path: Path) -> None:
    lake = fs.Lake(tmp_path / "none")
    for verb in (lake.status, lake.verify, lambda: lake.score(**QUIET), lambda: lake.extract("resnet18", **QUIET)):
        with pytest.raises(fs.MissingError, match="There is no lake at"):
            verb()
    with pytest.raises(fs.MissingError, match=r"no metrics|There is no lake"):
        lake.report(tmp_path / "r.html")
    assert not (tmp_path / "none").exists()


def test_a_name_for_many_models_is_a_sentence(tmp_path: Path) -> None:
    lake = fs.Lake(tmp_path / "lake")
    lake.add_dataset("val", write_images(tmp_path / "val", {"ant": 2, "bee": 2}), role="id", say=None)
    with pytest.raises(fs.InputError, match="names one model"):
        lake.extract(["resnet18", "resnet34"], name="mine", **QUIET)


def test_corrections_copies_and_merges_from_python(tmp_path: Path) -> None:
    """They do what the commands do, say it, and give it back; a dry run does nothing."""
    lake, said = fs.Lake(tmp_path / "lake"), list[str]()
    how: dict[str, Any] = {"say": said.append, "progress": None}
    put_dataset(lake, "far", "ood", ["ant"] * 3, [None] * 3)
    for model in ("a", "b"):
        put_rows(lake, "models", {"model": model}, {"architecture": "vit", "weight_decay": 0.3})
        put_scores(lake, model, "far", {"knn": (np.zeros(3), np.zeros(3)), "msp": (np.ones(3), np.zeros(3))})
    planned = lake.remove("model", "b", dry_run=True, **how)
    assert [step.manifest.table for step in planned.steps] == ["scores", "models"]
    assert models_of(lake) == ["a", "b"]
    lake.remove("model", "b", **how)
    lake.remove("detector", "knn", **how)
    lake.rename("model", "a", "c", **how)
    lake.rename("dataset", "far", "near", **how)
    lake.set_model("c", {"weight_decay": 0.1, "augmentation": "light1", "dropout": None}, **how)
    lake.set_dataset("near", group="near", benchmark="other", **how)
    assert said[-2:] == [
        "near: role ood, group near, in main, other",
        "Run `featurestore score` to judge what it is part of now.",
    ]
    assert "a is called c now" in said
    row = lake.sql("select model, weight_decay, augmentation, dropout from models").fetchall()
    assert row == [("c", 0.1, "light1", None)]
    assert lake.sql("select dataset, ood_group, benchmarks from datasets").fetchall() == [
        ("near", "near", ["main", "other"])
    ]
    assert [part.key["detector"] for scores in lake.partitions("scores") for part in scores.parts] == ["msp"]
    collected = lake.gc(older_than="0s", dry_run=True, say=None)
    assert collected.deleted
    assert lake.gc(older_than="0s", say=said.append) == collected
    lake.copy(tmp_path / "copy", model="c*", **how)
    copied = fs.Lake(tmp_path / "copy")
    assert copied.scan("scores").collect().equals(lake.scan("scores").collect())
    copied.set_model("c", ["weight_decay=0.2"], **how)
    with pytest.raises(fs.ConflictError, match="disagree"):
        lake.merge(copied, **how)
    lake.merge(copied, as_="anna", **how)
    assert models_of(lake) == ["c", "c-anna"]
    assert lake.catalog(tmp_path / "lake.duckdb").is_file()


def test_what_is_misspelt_is_named_with_the_nearest(tmp_path: Path) -> None:
    lake = fs.Lake(tmp_path / "lake")
    put_rows(lake, "models", {"model": "vit"}, {"architecture": "vit"})
    for wrong, near in (
        (lambda: lake.remove("modle", "vit"), "model"),
        (lambda: lake.rename("model", "vti", "b"), "vit"),
        (lambda: lake.report(tmp_path / "report.html", metric="aurok"), "auroc"),
    ):
        with pytest.raises(fs.MissingError, match=f"did you mean '?{near}"):
            wrong()
    with pytest.raises(fs.InputError, match="is a detector of its own"):
        lake.rename("detector", "mine", "knn")
    assert models_of(lake) == ["vit"]


def models_of(lake: fs.Lake) -> list[str]:
    return [manifest.key["model"] for manifest in lake.partitions("models")]
