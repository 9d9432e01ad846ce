"""Soups: one model whose weights are the average of several (Wortsman et al. 2022, arXiv 2203.05482)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from extract.models import split_devices
from extract.models.files import AUTO
from extract.models.sources import as_json
from extract.soups.accuracy import Evaluation
from extract.soups.averaging import Average, read_note, weights_of, write_soup
from featurestore.errors import ConflictError, InputError
from featurestore.names import check_slug, pick

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from extract.job import Options
    from extract.models import ModelSpec
    from featurestore.lake import Lake

    Report: TypeAlias = Callable[[str], None]

KINDS = ("uniform", "greedy")


@dataclass(frozen=True, slots=True)
class SoupOptions:
    """Which soup to make.

    Attributes:
        kind: `uniform`: of all models; `greedy`: of those that do not make it worse, from the best one on.
        name: The soup's name in the lake, and its file's.
        folder: Where its weights are written, as `NAME.safetensors`.
        on: Labelled dataset of the lake that judges a greedy soup.
    """

    kind: str
    name: str
    folder: Path
    on: str | None = None

    def __post_init__(self) -> None:
        pick("kind of soup", self.kind, KINDS)
        check_slug("model", self.name)
        if (self.kind == "greedy") != (self.on is not None):
            raise InputError("A greedy soup needs --soup-on DATASET, labelled; a uniform one takes none.")

    @property
    def file(self) -> Path:
        """The soup's weights."""
        return self.folder / f"{self.name}.safetensors"


def soup_options(kind: str | None, name: str | None, on: str | None, folder: Path) -> SoupOptions | None:
    """The soup of the command line's options; None if they ask for none.

    Raises:
        InputError: Options are missing, or belong to a soup that was not asked for.
    """
    if kind is None:
        if name is not None or on is not None:
            raise InputError("--soup-name and --soup-on belong to a soup: add --soup uniform or --soup greedy.")
        return None
    if name is None:
        raise InputError("A soup needs a name: --soup-name NAME.")
    return SoupOptions(kind, name, folder, on)


def make_soup(lake: Lake, members: Sequence[ModelSpec], soup: SoupOptions, options: Options, say: Report) -> ModelSpec:
    """Average models into one of its own, unless its file holds that soup already.

    Members are taken in the order of their checksums, so that equal members make an equal file and an equal model.

    Args:
        lake: Holds the dataset that judges a greedy soup.
        members: The models, of one architecture.
        soup: Which soup.
        options: How to run models, and whether another soup's file may be swapped.
        say: Is told each step in a line.

    Raises:
        InputError: There are fewer than two models, they do not fit together, or the dataset has no labels.
        ConflictError: The file holds another soup, or is none.
    """
    check_members(members)
    ordered = sorted(members, key=lambda spec: (spec.weights_sha256, spec.name))
    judge = None if soup.on is None else Evaluation.of(lake, soup.on, options, split_devices(options.device)[0])
    order = {"kind": soup.kind, "of": [spec.weights_sha256 for spec in ordered], "on": judge and judge.dataset.digest}
    note = _existing(soup.file, order, replacing=options.replacing)
    if note is None:
        chosen = ordered if judge is None else _greedy(ordered, soup, judge, say)
        note = as_json({**order, "chosen": [spec.weights_sha256 for spec in chosen]})
        average = Average()
        for spec in chosen:
            average = average.add(weights_of(spec), spec.name)
        write_soup(soup.file, average.mean(), note)
        say(f"{soup.name}: {len(chosen)} of {len(members)} models averaged into {soup.file}")
    else:
        say(f"{soup.name}: {soup.file} holds it already")
    kept = set(json.loads(note)["chosen"])
    return soup_spec([spec for spec in ordered if spec.weights_sha256 in kept], soup)


def check_members(members: Sequence[ModelSpec]) -> None:
    """Raise if models cannot be averaged.

    Raises:
        InputError: There are fewer than two, one is there twice, or two differ in more than weights.
    """
    if len(members) < 2:
        raise InputError(f"A soup needs two models or more, and got {len(members)}.")
    seen: dict[str, str] = {}
    for spec in members:
        if spec.weights_sha256 in seen:
            raise InputError(
                f"{spec.name} and {seen[spec.weights_sha256]} have the same weights: name each model once."
            )
        seen[spec.weights_sha256] = spec.name
    first = _network(members[0])
    for spec in members[1:]:
        differs = [name for name, value in _network(spec).items() if value != first[name]]
        if differs:
            raise InputError(
                f"{members[0].name} and {spec.name} cannot be averaged: they differ in {', '.join(differs)}."
            )


def soup_spec(chosen: Sequence[ModelSpec], soup: SoupOptions) -> ModelSpec:
    """The soup as a model; its recipe holds what the recipes of all its models share."""
    first = chosen[0]
    shared = {
        name: value
        for name, value in first.recipe.items()
        if name != "soup_of" and all(spec.recipe.get(name) == value for spec in chosen)
    }
    source = "clip" if first.source == "clip" else "state-dict"
    recipe = {**shared, "soup_of": sorted(spec.name for spec in chosen)}
    # Its file holds one set of weights, under the network's own names.
    return replace(
        first, name=soup.name, checkpoint=soup.file, recipe=recipe, source=source, which=AUTO, key_map=None, notes=()
    )


def _greedy(ordered: Sequence[ModelSpec], soup: SoupOptions, judge: Evaluation, say: Report) -> list[ModelSpec]:
    """The models that a greedy soup keeps: from the most accurate on, each that does not lower the accuracy."""
    alone = dict(zip((spec.name for spec in ordered), judge.accuracies(ordered), strict=True))
    candidates = sorted(ordered, key=lambda spec: (-alone[spec.name], spec.name))
    best, chosen = alone[candidates[0].name], [candidates[0]]
    say(f"{soup.name}: begins with {candidates[0].name}, accuracy {best:.4f} on {judge.dataset.dataset}")
    average = Average().add(weights_of(candidates[0]), candidates[0].name)
    trial = replace(soup, name=f"{soup.name}.trial")
    try:
        for spec in candidates[1:]:
            extended = average.add(weights_of(spec), spec.name)
            write_soup(trial.file, extended.mean(), "trial")
            (accuracy,) = judge.accuracies([soup_spec([*chosen, spec], trial)])
            say(f"{soup.name}: with {spec.name} {accuracy:.4f}, {'kept' if accuracy >= best else 'left out'}")
            if accuracy >= best:
                best, average, chosen = accuracy, extended, [*chosen, spec]
    finally:
        trial.file.unlink(missing_ok=True)
    return [spec for spec in ordered if spec in chosen]


def _existing(file: Path, order: dict[str, Any], *, replacing: bool) -> str | None:
    """What a soup's file says of itself, if it is the soup that was ordered; None if there is none, or it may go."""
    if not file.exists():
        return None
    note = read_note(file)
    made = json.loads(note) if note else {}
    if note and {name: made.get(name) for name in order} == order:
        return note
    if note and replacing:
        return None
    raise ConflictError(
        f"{file} holds {'another soup' if note else 'something that is no soup'}: give another --soup-name or --soup-out"
        + (", or --replace it." if note else ".")
    )


def _network(spec: ModelSpec) -> dict[str, Any]:
    """What members must share."""
    return {
        "architecture": spec.architecture.partition(".")[0],
        "arguments": as_json(spec.model_kwargs),
        "preprocessing": as_json(spec.preprocessing),
        "head file": spec.head_file,
        "feature": spec.weights_source.feature,
    }
