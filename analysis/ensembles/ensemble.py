"""Ensembles: which members they have, how they are combined, and the parts that their scores make. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from analysis.detectors import registry
from analysis.ensembles.combining import COMBINATIONS, MEAN_RANK, WEIGHTED
from featurestore.errors import InputError
from featurestore.layout.tables import TABLES
from featurestore.names import check_key, check_slug, pick
from featurestore.partitions.writing import Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from analysis.lineage.benchmark import Benchmark
    from featurestore.layout.fingerprint import Ingredient, Ingredients
    from featurestore.layout.manifest import Manifest

    CurrentScores: TypeAlias = Callable[[str], Mapping[str, Mapping[str, str]]]
    """Fingerprints of a model's scores that nothing has made stale, by dataset and detector."""

SOURCE = "ensemble"
"""What `models.source` says of an ensemble."""

# A comma before a further constant of a variant, as in `vra@low=0.2,high=0.8`, does not end a member.
_BETWEEN = re.compile(r",(?![^,/=]+=)")

# Raised whenever an ensemble's numbers change, so that stored ones become stale.
_VERSION = 1


@dataclass(frozen=True, slots=True, order=True)
class Member:
    """One detector's scores of one model."""

    model: str
    detector: str

    def __str__(self) -> str:
        return f"{self.model}/{self.detector}"


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Members that are combined by sample.

    Attributes:
        name: Its name among the models.
        members: At least two.
        combine: One of `COMBINATIONS`, which is the name of its detector.
        tuned_on: The OOD dataset that chooses the weights; None where there is nothing to choose.
    """

    name: str
    members: tuple[Member, ...]
    combine: str = MEAN_RANK
    tuned_on: str | None = None


def parse(text: str, detectors: Sequence[str], combine: str, tuned_on: str | None) -> Ensemble:
    """Read an ensemble as a user types it.

    Args:
        text: `NAME=MODEL/DETECTOR,MODEL/DETECTOR,…`; a MODEL alone is of the one detector given.
        detectors: The detectors given beside it; at most one.
        combine: How to combine.
        tuned_on: The OOD dataset that chooses weights.

    Raises:
        InputError: It is written in another way, has fewer than two members, or one twice; or `tuned_on` is given
            without weights to choose, or not given with them.
        MissingError: There is no such way to combine.
    """
    name, equals, listed = text.partition("=")
    if not equals:
        raise InputError("--ensemble takes NAME=MODEL/DETECTOR,MODEL/DETECTOR,…")
    members = [_member(one.strip(), detectors) for one in _BETWEEN.split(listed) if one.strip()]
    twice = [member for member in members if members.count(member) > 1]
    if twice:
        raise InputError(f"The ensemble {name} has {twice[0]} twice.")
    if len(members) < 2:
        raise InputError(f"The ensemble {name} needs two members or more: MODEL/DETECTOR,MODEL/DETECTOR,…")
    pick("combination", combine, COMBINATIONS)
    if (combine == WEIGHTED) != (tuned_on is not None):
        raise InputError("--combine weighted and --tune-on OOD_DATASET go together: the dataset chooses the weights.")
    return Ensemble(check_slug("model", name), tuple(members), combine, tuned_on)


def is_ensemble(ingredients: Ingredients) -> bool:
    """Whether the ingredients are those of an ensemble, or of its scores."""
    return "ensemble_of" in ingredients


def stored(name: str, ingredients: Ingredients) -> Ensemble:
    """The ensemble whose scores have these ingredients."""
    listed, tuned_on = ingredients["ensemble_of"], ingredients["tuned_on"]
    members = [Member(*str(one).split("/", 1)) for one in listed] if isinstance(listed, list) else []
    return Ensemble(name, tuple(members), str(ingredients["combine"]), None if tuned_on is None else str(tuned_on))


def ensemble_target(benchmark: Benchmark, ensemble: Ensemble, dataset: str, current: CurrentScores) -> Target | None:
    """The part that holds an ensemble's scores; None if a member has no current scores of what it takes.

    Args:
        benchmark: The benchmark.
        ensemble: The ensemble.
        dataset: The dataset.
        current: The members' current scores in the benchmark.
    """
    wanted = {"scores": dataset, "id_scores": benchmark.id}
    if ensemble.tuned_on:
        wanted["tuning_scores"] = ensemble.tuned_on
    ingredients: dict[str, Ingredient] = {
        "version": _VERSION,
        "ensemble_of": [str(member) for member in ensemble.members],
        "combine": ensemble.combine,
        "tuned_on": ensemble.tuned_on,
    }
    for name, of in wanted.items():
        prints = [current(member.model).get(of, {}).get(member.detector) for member in ensemble.members]
        if None in prints:
            return None
        ingredients[name] = list(prints)
    key = {"benchmark": benchmark.name, "model": ensemble.name, "dataset": dataset}
    return Target(TABLES["scores"], key, ingredients, {"detector": ensemble.combine})


def current_ensemble_scores(
    benchmark: Benchmark, name: str, held: Iterable[Manifest], current: CurrentScores
) -> dict[str, dict[str, str]]:
    """Fingerprints, by dataset and combination, of an ensemble's stored scores that nothing has made stale.

    Args:
        benchmark: The benchmark.
        name: The ensemble.
        held: Its score partitions in the benchmark.
        current: The members' current scores in the benchmark.
    """
    found: dict[str, dict[str, str]] = {}
    for manifest in held:
        dataset = manifest.key["dataset"]
        found[dataset] = {}
        for part in manifest.parts:
            target = ensemble_target(benchmark, stored(name, part.ingredients), dataset, current)
            if target and target.fingerprint == part.fingerprint:
                found[dataset][part.key["detector"]] = part.fingerprint
    return found


def _member(text: str, detectors: Sequence[str]) -> Member:
    model, slash, detector = text.partition("/")
    if slash:
        return Member(check_key("model", model), _detector(detector))
    if len(detectors) != 1:
        raise InputError(f"The member {text} names no detector: write {text}/DETECTOR, or give one --detector for all.")
    return Member(check_key("model", model), _detector(detectors[0]))


def _detector(text: str) -> str:
    """A detector's name in the lake: variants may be written as `score` takes them."""
    return registry.get(text).name if set(":@") & set(text) else check_slug("detector", text)
