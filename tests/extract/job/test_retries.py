"""Samples that failed: those that could not be reached are tried again, broken bytes are not, and what is there is never lost."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from extract.images import loader
from extract.job import commits, loop
from extract.job.plan import UNSETTLED
from featurestore.partitions import writing
from tests.extract.conftest import assert_same_rows, read, run
from tests.extract.job.conftest import leaving
from tests.long import shortened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from extract.models.spec import ModelSpec
    from featurestore import Lake
    from featurestore.layout.manifest import Part


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what stays away."""
    monkeypatch.setattr(loader, "_PAUSES", ())


def lose(lake: Lake, spec: ModelSpec, images: Path, **changes: Any) -> None:
    """Activations without the four cats, the last samples, which are back afterwards."""
    summary = run(lake, spec, bars=leaving(images / "cat"), allow_unreadable=True, **changes)
    assert (summary.extracted, summary.failed) == (1, 4)
    (images / "cat-away").rename(images / "cat")


def part(lake: Lake) -> Part:
    (manifest,) = lake.partitions("activations")
    return manifest.parts[0]


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The samples that are read from now on."""
    asked: list[int] = []
    original = loader.ImageDataset.__getitems__

    def noting(self: loader.ImageDataset, samples: Sequence[int]) -> list[loader.Item]:
        asked.extend(samples)
        return original(self, samples)

    monkeypatch.setattr(loader.ImageDataset, "__getitems__", noting)
    return asked


@pytest.mark.parametrize("changes", shortened([{}, {"device": "cpu,cpu"}]), ids=str)
def test_what_could_not_be_reached_is_tried_again_and_ends_as_if_it_had_been_there(
    val: Lake, other: Lake, images: Path, spec: ModelSpec, changes: dict[str, Any]
) -> None:
    run(other, spec)
    lose(val, spec, images)
    before, lines = part(val), []  # type: Part, list[str]
    assert before.fingerprint != part(other).fingerprint
    assert run(val, spec, say=lines.append, **changes).extracted == 1
    assert "tiny on val: 4 samples that were failures are among its activations now" in lines
    assert_same_rows(read(val), read(other))
    assert val.sql("from failures").fetchall() == []
    assert part(val).fingerprint == part(other).fingerprint
    assert part(val).fragments[0] == before.fragments[0]
    assert run(val, spec).reused == 1


def test_only_fragments_that_lack_samples_are_made_again(
    val: Lake, images: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(val, spec, images)
    asked = looked_at(monkeypatch)
    run(val, spec)
    assert asked == [0, 1, 2, 3, *range(6, 15)]  # a look at the four, then the fragments that they are in


def test_what_still_cannot_be_reached_changes_nothing_and_ends_nothing(
    val: Lake, images: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose(val, spec, images)
    before, original = part(val), loader._opened

    def refusing(reader: Any, path: str) -> Any:
        if path.startswith("cat/"):
            raise PermissionError(13, "Permission denied", path)
        return original(reader, path)

    monkeypatch.setattr(loader, "_opened", refusing)
    summary = run(val, spec)
    assert (summary.reused, summary.failed) == (1, 4)
    assert part(val) == before


def test_broken_bytes_are_not_tried_again(
    broken: Path, val: Lake, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(val, spec)
    assert part(val).details[UNSETTLED] == []
    asked = looked_at(monkeypatch)
    assert (run(val, spec).failed, asked, broken.stat().st_size) == (1, [], 0)


def as_earlier_versions(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Failures of both kinds were one, and their fragments had the names of whole ones."""
    replace = dataclasses.replace
    monkeypatch.setattr(loop, "fragment_target", lambda target, *_: target)
    monkeypatch.setattr(commits, "without", lambda ingredients, _: ingredients)
    original = writing.Target.part

    def part_of(self: writing.Target, fragments: Any, details: Any = None) -> Part:
        made = original(self, fragments, details)
        return replace(made, details={name: value for name, value in made.details.items() if name != UNSETTLED})

    monkeypatch.setattr(writing.Target, "part", part_of)
    return monkeypatch


@pytest.mark.usefixtures("broken")
def test_failures_of_earlier_versions_are_looked_at_and_what_is_readable_makes_another_edition(
    val: Lake, other: Lake, images: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores that name the old one are stale then."""
    run(other, spec)
    with monkeypatch.context() as patch:
        as_earlier_versions(patch)
        assert run(val, spec, bars=leaving(images / "cat"), allow_unreadable=True).failed == 5
    (images / "cat-away").rename(images / "cat")
    before = part(val)
    assert before.fingerprint == part(other).fingerprint
    assert run(val, spec).extracted == 1
    assert part(val).fingerprint != before.fingerprint
    np.testing.assert_equal(read(val), read(other))
    assert val.read("failures", model="tiny", dataset="val") == other.read("failures", model="tiny", dataset="val")
    asked = looked_at(monkeypatch)
    assert (run(val, spec).reused, asked) == (1, [])


@pytest.mark.usefixtures("broken")
def test_broken_bytes_of_earlier_versions_are_looked_at_and_change_nothing(
    val: Lake, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        as_earlier_versions(patch)
        run(val, spec)
    before, asked = part(val), looked_at(monkeypatch)
    assert (run(val, spec).reused, asked) == (1, [0])
    assert part(val) == before


def test_replace_takes_what_has_more_samples(
    val: Lake, other: Lake, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a later decoder reads what an earlier one did not."""
    run(other, spec)
    original: Callable[..., Any] = loader.read_rgb

    def older(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 8:
            raise ValueError("a kind that is not known yet")
        return original(*given)

    calls: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(loader, "read_rgb", older)
        assert run(val, spec).failed == 1
    before, lines = part(val), []  # type: Part, list[str]
    assert run(val, spec).reused == 1  # broken, as far as it knows
    summary = run(val, spec, replacing=True, say=lines.append)
    assert (summary.extracted, summary.failed) == (1, 0)
    assert "tiny on val: 1 samples that were failures are among its activations now" in lines
    assert part(val).fingerprint != before.fingerprint
    np.testing.assert_equal(read(val), read(other))
    lines.clear()
    run(val, spec, replacing=True, say=lines.append)
    assert "tiny on val: made again, equal to the byte" in lines


def test_replace_while_images_are_away_loses_nothing(val: Lake, images: Path, spec: ModelSpec) -> None:
    run(val, spec)
    before = part(val)
    run(val, spec, replacing=True, bars=leaving(images / "cat"), allow_unreadable=True)
    assert part(val) == before
    assert val.sql("from failures").fetchall() == []


def test_killed_between_its_failures_and_its_activations_it_is_finished_by_the_next(
    val: Lake, other: Lake, images: Path, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(other, spec)
    lose(val, spec, images)
    original = writing.commit

    def killed(storage: Any, table: Any, *given: Any, **named: Any) -> Any:
        if table.name == "activations":
            raise KeyboardInterrupt
        return original(storage, table, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(writing, "commit", killed)
        with pytest.raises(KeyboardInterrupt):
            run(val, spec)
    assert part(val).rows == 11
    run(val, spec)
    np.testing.assert_equal(read(val), read(other))
    assert run(val, spec).reused == 1


def test_digests_that_were_missing_are_filled_in(val: Lake, images: Path, spec: ModelSpec) -> None:
    lose(val, spec, images)
    digests = val.read("contents", dataset="val").column("digest")
    assert digests.null_count == 4
    run(val, spec)
    assert val.read("contents", dataset="val").column("digest").null_count == 0
