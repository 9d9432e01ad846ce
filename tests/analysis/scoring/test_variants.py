"""Variants of detectors in a lake: their names in paths, what they cost, and that they stay up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from numpy.testing import assert_array_equal

from analysis.detectors.registry import default_detectors, known_by
from analysis.lineage.renamed import learned_anew
from analysis.scoring import Means, ScoringSelection, score
from analysis.statistics.sweep import gather_lane
from analysis.status import read_lake_index, status_rows
from featurestore.care import verify
from featurestore.edit import rename
from featurestore.errors import InputError
from tests.analysis.synthetic import ROLES, write_datasets, write_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from analysis.statistics.statistic import Accumulator, Statistic, SweepContext
    from analysis.statistics.sweep import Blocks
    from featurestore import Lake

VARIANTS = {"knn@k=5", "knn@k=9", "vra@low=0.2,high=0.8"}


class Counted:
    """Gathers, and notes of how many sweeps."""

    def __init__(self) -> None:
        self.sweeps: list[list[str]] = []

    def __call__(
        self, rows: Blocks, statistics: Sequence[Statistic], context: SweepContext, advance: Callable[[int], None]
    ) -> Iterator[list[Accumulator]]:
        self.sweeps.append([statistic.name for statistic in statistics])
        yield gather_lane(rows, rows.read(["feature", "logits"]), statistics, context, advance)


def run(lake: Lake, *detectors: str, gatherer: Any = None) -> tuple[Any, list[str]]:
    lines: list[str] = []
    return score(lake, ScoringSelection(detectors=detectors), lines.append, Means(run=gatherer)), lines


@pytest.fixture
def scored(lake: Lake) -> Lake:
    write_datasets(lake)
    write_model(lake, "m")
    run(lake, "msp", "vra", "knn:k=5,9", "vra:low=0.2,high=0.8")
    return lake


def held(lake: Lake) -> set[str]:
    return {part.key["detector"] for manifest in lake.partitions("scores") for part in manifest.parts}


def states(lake: Lake, stage: str) -> set[str]:
    index = read_lake_index(lake)
    rows = status_rows(index, known_by(index.detectors))
    return {" and ".join(row.stages[stage].reasons) or row.stages[stage].state for row in rows if stage in row.stages}


def test_every_reader_finds_a_variant_by_its_name(scored: Lake) -> None:
    """SQL, polars, Arrow and the keys of manifests; folders hold no second `=`, at which readers of folders stop."""
    assert held(scored) == {"msp", "vra", *VARIANTS}
    wanted = [("knn@k=5", ROLES["far"][1])]
    where = "detector = 'knn@k=5' and dataset = 'far'"
    assert scored.sql(f"select detector, count(*) from scores where {where} group by all").fetchall() == wanted
    rows = scored.scan("scores").filter(pl.col("detector") == "knn@k=5", pl.col("dataset") == "far").collect()
    key = {"benchmark": "main", "model": "m", "dataset": "far", "detector": "knn@k=5"}
    assert_array_equal(scored.read("scores", **key)["score"], rows["score"])
    assert len(rows) == ROLES["far"][1]
    assert {name for (name,) in scored.sql("select distinct detector from metrics").fetchall()} == held(scored)
    folders = {part for path in scored.storage.names("scores") for part in path.split("/") if "detector" in part}
    assert "detector=vra@low%3D0.2,high%3D0.8" in folders
    assert {folder.count("=") for folder in folders} == {1}
    described = scored.sql("select base, title, hyperparameters, convention from detectors where detector = 'knn@k=5'")
    assert described.fetchall() == [("knn", "KNN", '{"k": 5}', "ninco")]
    assert {name for (name,) in scored.sql("select detector from detectors").fetchall()} == held(scored)
    assert not verify.verify(scored.storage, print, deep=True).faults


def test_a_variant_whose_statistics_are_there_costs_no_sweep(scored: Lake) -> None:
    """One scatter serves all dimensions, one sample all K; variants whose statistics are others share a sweep."""
    counted = Counted()
    free = ("vra:high=0.8", "vra:low=0.2", "gen:gamma=0.5", "residual:dim=2,3", "dice:percentile=50")
    done, _ = run(scored, *free, gatherer=counted)
    assert (done.scored, counted.sweeps) == (12, [])
    run(scored, "vim:dim=4", "react:quantile=0.5,0.6", gatherer=counted)
    (sweep,) = counted.sweeps
    assert {*sweep} == {"residual-scale-4", "value-quantile-0.5", "value-quantile-0.6"}


def test_variants_in_the_lake_are_known_and_kept_up_to_date(scored: Lake) -> None:
    """New activations make them stale, also as status tells it, and a plain run scores them again with the default ones."""
    assert states(scored, "scores") == states(scored, "metrics") == {"fresh"}
    before = scored.part("scores", benchmark="main", model="m", dataset="far", detector="knn@k=5")[1].fingerprint
    write_model(scored, "m", again=1)
    assert states(scored, "scores") == {"the activations were extracted again"}
    _, lines = run(scored)
    assert states(scored, "scores") == states(scored, "metrics") == {"fresh"}
    assert (
        scored.part("scores", benchmark="main", model="m", dataset="far", detector="knn@k=5")[1].fingerprint != before
    )
    assert held(scored) >= VARIANTS
    missing = {one.name for one in default_detectors()} - held(scored)
    assert {line.partition("without ")[2].partition(":")[0] for line in lines if "without" in line} == missing
    assert run(scored)[0].scored == 0


def test_a_k_that_the_bank_has_not_is_said_and_the_others_go_on(scored: Lake) -> None:
    """Alone it is an error; either way the number that fits is named."""
    done, _ = run(scored, "knn:k=7,241")
    assert done.scored == 2
    assert list(done.refused) == ["m by knn@k=241"]
    assert "--detector knn:k=240`" in done.refused["m by knn@k=241"]
    assert "knn@k=241" not in held(scored)
    with pytest.raises(InputError, match=r"its bank has only 240: take 240 or fewer, as with `--detector knn:k=240`"):
        run(scored, "knn:k=241")
    with pytest.raises(InputError, match=r"m by knn@k=241: .*\nm by knn@k=242: "):
        run(scored, "knn:k=241,242")


def test_variants_follow_their_model_to_another_name(scored: Lake) -> None:
    """Nothing is stale then, also of those that learn."""
    rename(scored.storage, "model", "m", "n", learned=learned_anew)
    assert states(scored, "scores") == states(scored, "metrics") == {"fresh"}
    assert run(scored, *held(scored))[0].scored == 0
