"""The bench of intervals and findings: it asks what ships of simulated lakes, and marks what is wrong."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from benchmarks.simulated.claims import CLAIMS
from benchmarks.simulated.table_lake import TableLake
from benchmarks.simulated.tallies import LOWEST, Cell, Tally, simulate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lake() -> TableLake:
    return TableLake()


def tried(lake: TableLake, models: int, truth: str, alike: float = 0.4) -> dict[str, Tally]:
    """Every claim on fifty lakes of a fixed seed; of several of one question the first."""
    claims = [claim for claim in CLAIMS if truth in claim.truths]
    tallies = simulate(lake, Cell(models, alike, truth), claims, 2, 25)  # type: ignore[arg-type] # a truth
    return {claim.question: tally for claim, tally in reversed(list(zip(claims, tallies, strict=True)))}


@pytest.mark.long
def test_findings_without_anything_to_find_are_few(lake: TableLake) -> None:
    """Of lakes without any effect, and with effects: no question claims more than its numbers hold, as far as fifty lakes tell."""
    for truth in ("none", "effects", "related", "confounded"):
        for question, tally in tried(lake, 16, truth).items():
            assert "!" not in tally.text, (question, truth, tally.text)


def test_effects_are_found(lake: TableLake) -> None:
    """Where there are effects some are found, or nothing could be found falsely, either."""
    tallies = tried(lake, 16, "effects")
    assert np.mean(tallies["pretraining_effect"].found) > 0.1
    assert np.mean(tallies["pretraining_effect"].covered) > LOWEST - 0.05


def test_intervals_that_are_too_narrow_are_marked() -> None:
    """Halves of the intervals of a mean of sixteen normal numbers."""
    values = np.random.default_rng(0).standard_normal((200, 16))
    mean, half = values.mean(1), 1.06 * values.std(1) / np.sqrt(16)
    rows = {"ood_dataset": [f"draw-{i}" for i in range(200)], "ingredient": "x", "p_holm": 1.0}
    expected = {"ood_dataset": ["expected"], "ingredient": "x", "p_holm": 1.0, "mean_difference": 0.0}
    answer = pl.concat(
        [
            pl.DataFrame(rows | {"mean_difference": mean, "low": mean - half, "high": mean + half}),
            pl.DataFrame(expected),
        ],
        how="diagonal",
    ).with_columns(detector=pl.lit("msp"), from_value=pl.lit("0"), to_value=pl.lit("1"))
    tally = Tally()
    tally.add(CLAIMS[0], answer, "none")
    assert len(tally.covered) == 200
    assert np.mean(tally.covered) < 0.8
    assert tally.text.partition(" · ")[0].endswith("!")
