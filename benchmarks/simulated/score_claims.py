"""What is claimed of single results: intervals of FPR95 and AUROC, verdicts on unit-tests, differences of two detectors, gains of soups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from analysis.metrics.groups import IdReference
from analysis.metrics.ood_metrics import OodClasses, dataset_metrics
from analysis.metrics.paired import SampleScores, paired_differences
from analysis.report.sentences import mean_interval
from analysis.studies.soups import groups
from benchmarks.simulated.tallies import HIGHEST, LOWEST, percent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import duckdb

    from benchmarks.simulated.table_lake import TableLake

    Floats = np.ndarray

IMAGES = ((100, 1, 50), (1_000, 10, 20), (1_000, 17, 400), (10_000, 64, 20))
"""ID images, OOD classes, and images of each."""
SOUPS = ((3, "none"), (8, "none"), (16, "pairs"), (8, "all"))
"""Soups, and which of them share ingredients."""
LIMIT = 0.1
_TPR, _ALIKE = 0.95, 0.5
_LIMITS = (0.02, 0.05, 0.1, 0.15, 0.3)
"""FPRs of the unit-tests that verdicts are tried on, in turn."""


@dataclass(slots=True)
class Counted:
    """By what is claimed, of each try, whether it was so, and what is allowed of the share."""

    tries: dict[str, list[float]] = field(default_factory=dict)
    allowed: dict[str, tuple[float, float]] = field(default_factory=dict)

    def held(self, what: str, low: float, true: float, high: float) -> None:
        """Count an interval."""
        self._add(what, low <= true <= high, (LOWEST, HIGHEST))

    def found(self, what: str, values: Iterable[float], most: float) -> None:
        """Count findings where there is nothing."""
        for value in values:
            self._add(what, value, (0, most))

    def _add(self, what: str, value: float, allowed: tuple[float, float]) -> None:
        self.tries.setdefault(what, []).append(float(value))
        self.allowed[what] = allowed

    @property
    def texts(self) -> dict[str, str]:
        """Shares in percent."""
        return {what: percent(values, *self.allowed[what]) for what, values in self.tries.items()}


def singles(lake: TableLake, n_id: int, classes: int, each: int, tries: int) -> dict[str, str]:
    """Draw normal scores of ID and OOD images, and see which intervals and verdicts of one result hold.

    Args:
        lake: Where the macro of verdicts is.
        n_id: ID images.
        classes: OOD classes, or unit-tests.
        each: Images of each.
        tries: How often to draw.
    """
    generator, counted = np.random.default_rng((n_id, classes, each)), Counted()
    members = OodClasses.of(f"{number:03d}" for number in range(classes) for _ in range(each))
    threshold = ndtri(1 - _TPR)
    rates = np.resize(_LIMITS, classes)
    apart = {"unlike": threshold - ndtri(1 - rates), "alike": np.full(classes, threshold - ndtri(0.6))}
    for _ in range(tries):
        reference = IdReference.of(generator.standard_normal(n_id))
        rows = dataset_metrics(
            reference, generator.standard_normal(classes * each) + np.repeat(apart["unlike"], each), members
        )
        truths = [*zip(rates, ndtr(-apart["unlike"] / np.sqrt(2)), strict=True)]
        truths += 2 * [(rates.mean(), ndtr(-apart["unlike"] / np.sqrt(2)).mean())]
        for row, (fpr95, auroc) in zip(rows, truths, strict=True):
            name = row.aggregation.replace("_", " ")
            counted.held(f"FPR95 of a {name}", row.metrics.fpr95_low, fpr95, row.metrics.fpr95_high)
            counted.held(f"AUROC of a {name}", row.metrics.auroc_low, auroc, row.metrics.auroc_high)
        of_classes = [row.metrics for row in rows[:classes]]
        ends = zip(of_classes, verdicts(lake, [(m.fpr95_low, m.fpr95_high) for m in of_classes]), rates, strict=True)
        said = [(verdict, rate) for _, verdict, rate in ends]
        counted.found(
            "a unit-test is said to fail, and does not", [v == "fails" for v, rate in said if rate <= LIMIT], 0.025
        )
        counted.found(
            "a unit-test is said to pass, and does not", [v == "passes" for v, rate in said if rate > LIMIT], 0.025
        )
        _paired(counted, generator, n_id, apart, members)
    return counted.texts


def verdicts(lake: TableLake, ends: Sequence[tuple[float, float]]) -> list[str | None]:
    """What the macro `verdict` says of intervals."""
    rows = ", ".join(f"({place}, {low!r}::double, {high!r}::double)" for place, (low, high) in enumerate(ends))
    query = f"select verdict(low, high, {LIMIT}) from (values {rows}) as t (place, low, high) order by place"  # numbers
    answer: duckdb.DuckDBPyConnection = lake.connection.execute(query)
    return [row[0] for row in answer.fetchall()]


def _paired(
    counted: Counted, generator: np.random.Generator, n_id: int, apart: Mapping[str, Floats], members: OodClasses
) -> None:
    """Two detectors whose scores of an image go together: one pair that is equally good, and one that is not."""
    each = len(members.members) // len(members.names)
    better = 0.3
    for name, more in (("equal", 0.0), ("unequal", better)):
        shared = [generator.standard_normal(size) for size in (n_id, len(members.members))]
        sides = []
        for side_more in (0.0, more):
            own = [np.sqrt(_ALIKE) * s + np.sqrt(1 - _ALIKE) * generator.standard_normal(len(s)) for s in shared]
            sides.append(SampleScores(own[0], own[1] + np.repeat(apart["alike"] - side_more, each)))
        told = paired_differences(*sides, members)
        place, threshold = apart["alike"], ndtri(1 - _TPR)
        truth = {
            "fpr95": np.mean(ndtr(place - threshold) - ndtr(place - more - threshold)),
            "auroc": np.mean(ndtr(-place / np.sqrt(2)) - ndtr((more - place) / np.sqrt(2))),
        }
        for row in told:
            said = "FPR95" if row.metric == "fpr95" else "AUROC"
            counted.held(f"{said} of two detectors on the same images", row.low, float(truth[row.metric]), row.high)
            if name == "equal":
                is_found = row.low > 0 or row.high < 0
                counted.found(f"two detectors are said to differ in {said}, and do not", [is_found], 0.05)


def gains(soups: int, sharing: str, tries: int) -> dict[str, str]:
    """Draw FPRs of soups that gain nothing and of their four ingredients each, and see what is said of the mean gain.

    Args:
        soups: How many.
        sharing: Which of them share two ingredients: none, pairs, or all.
        tries: How often to draw.
    """
    generator, counted = np.random.default_rng((soups, len(sharing))), Counted()
    shared = {"none": np.arange(soups), "pairs": np.arange(soups) // 2, "all": np.zeros(soups, int)}[sharing]
    members = {f"soup-{n}": [f"own-{n}", f"other-{n}", f"a-{shared[n]}", f"b-{shared[n]}"] for n in range(soups)}
    names = sorted({name for of in members.values() for name in of})
    of_group = groups(members)
    for _ in range(tries):
        fpr = dict(zip(names, generator.standard_normal(len(names)), strict=True))
        gain = {soup: np.mean([fpr[name] for name in of]) - generator.standard_normal() for soup, of in members.items()}
        means = [
            np.mean([gain[soup] for soup in gain if of_group[soup] == group])
            for group in sorted(set(of_group.values()))
        ]
        low, high = mean_interval([float(mean) for mean in means])
        if low is not None and high is not None:
            counted.held("mean gain over soups", low, 0, high)
            counted.found("there is said to be a gain or a loss, and is none", [low > 0 or high < 0], 0.05)
    return counted.texts
