"""Images of equal bytes in datasets of other roles."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from analysis.lineage.benchmark import datasets, overlaps_said
from analysis.lineage.overlaps import left_out, overlaps, read_repeated
from benchmarks.lakes import put, put_dataset
from tests.tiny import write_images

if TYPE_CHECKING:
    from collections.abc import Mapping

    from featurestore import Lake
    from tests.pipeline import Commands

ROLES = {"train": "fit", "tune": "val", "test": "id", "shifted": "csid", "near": "ood", "far": "ood"}


def hold(lake: Lake, bytes_of: Mapping[str, str], digest_of: Mapping[str, str] | None = None) -> dict[str, str]:
    """Datasets whose samples have the bytes that letters stand for; a blank was never read. Returns their digests."""
    for name, letters in bytes_of.items():
        put_dataset(lake, name, ROLES[name], ["c"] * len(letters), [0] * len(letters))
        digests = [None if letter == " " else letter * 32 for letter in letters]
        ingredients = {"dataset_digest": (digest_of or {}).get(name, name), "contents": letters}
        put(lake, "contents", {"dataset": name}, {"sample": range(len(letters)), "digest": digests}, ingredients)
    return {name: name for name in bytes_of}


def found(lake: Lake, digests: Mapping[str, str]) -> list[tuple[str, str, int]]:
    roles = {name: ROLES[name] for name in digests}
    return [(one.dataset, one.other, one.samples) for one in overlaps(read_repeated(lake, digests), roles)]


def test_pairs_are_told_from_the_set_that_judges_and_the_most_serious_come_first(lake: Lake) -> None:
    """Every pair of roles is found once; images that one role holds twice are no overlap."""
    held = {"train": "abcxx", "tune": "by", "test": "acvvz", "shifted": "y", "near": "ccby", "far": "vcq"}
    assert found(lake, hold(lake, held)) == [
        ("far", "test", 2), ("near", "test", 2), ("test", "train", 2),
        ("near", "train", 3), ("near", "tune", 2), ("far", "train", 1), ("near", "shifted", 1),
        ("shifted", "tune", 1), ("tune", "train", 1),
    ]  # fmt: skip


def test_the_question_agrees(lake: Lake) -> None:
    """What the sentences count is what `overlaps` lists between roles."""
    digests = hold(lake, {"train": "abcxx", "test": "acvvz a", "near": "ccb  y", "far": "vcq "})
    rows = lake.ask("overlaps").pl().to_dicts()
    assert len(rows) > 4
    assert sorted(found(lake, digests)) == sorted(
        (row["dataset"], row["other_dataset"], row["samples"]) for row in rows if row["seriousness"] < 4
    )


def test_bytes_that_nobody_read_are_not_equal(lake: Lake) -> None:
    assert found(lake, hold(lake, {"train": "a  ", "test": "b  "})) == []


def test_contents_of_other_samples_do_not_count(lake: Lake) -> None:
    """A dataset that was replaced since is one without digests."""
    digests = hold(lake, {"train": "abc", "test": "abd"}, {"train": "what it was before"})
    assert found(lake, digests) == []
    assert read_repeated(lake, digests).unread == {"train"}
    assert overlaps_said(lake, datasets(lake)) == [
        "1 of 2 datasets has no digests yet (train): whether others hold images of it is told once another model is extracted"
    ]


def test_benchmarks_are_told_apart(lake: Lake) -> None:
    """Datasets that are never judged together do not overlap."""
    hold(lake, {"train": "abc", "test": "abd"})
    put_dataset(lake, "near", "ood", ["c"], [0], benchmarks=["other"])
    assert overlaps_said(lake, datasets(lake), {"other"})[:-1] == []
    assert (
        overlaps_said(lake, datasets(lake))[0]
        == "main: 2 images of test are also in train (fit): see `featurestore ask overlaps`"
    )


@pytest.mark.parametrize("held", [{}, {"train": "ab"}])
def test_a_lake_without_digests_or_overlaps_says_nothing_of_overlaps(lake: Lake, held: dict[str, str]) -> None:
    hold(lake, held)
    assert overlaps_said(lake, datasets(lake)) == []


def test_status_and_score_say_it(fresh: Commands) -> None:
    """From the images on: copies of files are found in whatever role they are extracted."""
    fresh.add("train", "fit", {"ant": 5, "bee": 5, "cat": 5})
    fresh.add("test", "id", {"ant": 5, "bee": 5, "cat": 5}, seed=1)
    fresh.add("far", "ood", {"dog": 6}, seed=2)
    for source, target in (
        ("train/ant/000.png", "test/ant/100.png"),
        ("train/bee/001.png", "far/dog/100.png"),
        ("test/cat/003.png", "far/dog/101.png"),
    ):
        (fresh.folder / target).write_bytes((fresh.folder / source).read_bytes())
    for name, role in (("test", "id"), ("far", "ood")):
        fresh.ok("dataset", "add", name, fresh.folder / name, "--role", role, "--replace")
    assert "Nothing is extracted yet" in fresh.ok("status").splitlines()[-1]
    outcome = fresh.extract({"a": 1}, "train", "test", "far")
    assert outcome.code == 0, outcome.err
    line = (
        "main: 1 image of far is also in test (id), 1 image of test is also in train (fit), 1 image of far is also in train (fit): "
        "see `featurestore ask overlaps`"
    )
    assert fresh.ok("status").splitlines()[-1] == line
    assert fresh.ok("score", "--detector", "msp").splitlines()[0] == line
    write_images(fresh.folder / "more", {"elk": 3}, seed=3)
    fresh.ok("dataset", "add", "more", fresh.folder / "more", "--role", "ood")
    assert "1 of 4 datasets has no digests yet (more)" in fresh.ok("status").splitlines()[-1]


def test_a_sample_judges_in_the_first_of_its_roles_alone(lake: Lake) -> None:
    """ID samples that detectors learned from or were tuned on do not judge, nor csid samples of another ID set, nor OOD samples of any; the others do."""
    digests = hold(
        lake, {"train": "ab", "tune": "ct", "test": "bcdez", "shifted": "ds", "near": "abcdsqq", "far": "qe "}
    )
    repeated = read_repeated(lake, digests)
    out = left_out(repeated, {name: ROLES[name] for name in digests})
    assert {one.dataset: one.samples.tolist() for one in out} == {
        "test": [0, 1], "shifted": [0], "near": [0, 1, 2, 3, 4], "far": [1]
    }  # fmt: skip
    assert out[0].digest == hashlib.sha256(b"1\n").hexdigest()
    assert left_out(repeated, {"train": "fit", "far": "ood"}) == ()
