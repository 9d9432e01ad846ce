"""What combinations begin with: which detector leads, aligned ranks, and the ensembles that are stored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from analysis.studies import combining_models
from analysis.studies.ranks import read_ranks, stored_ensembles
from analysis.studies.results import leading
from benchmarks.lakes import put
from benchmarks.lakes.random_scores import Shape, make

if TYPE_CHECKING:
    from pathlib import Path


def test_a_detector_of_few_models_does_not_lead() -> None:
    frame = pl.DataFrame({"model": [*"abcaba"], "detector": [*"xxxyyz"], "fpr95": [0.5] * 3 + [0.4] * 2 + [0.1]})
    assert leading(frame) == ["y", "x", "z"]


def test_the_pool_aligns_samples_and_leaves_out_what_one_model_could_not_read(tmp_path: Path) -> None:
    lake = make(tmp_path / "lake", Shape(models=3, detectors=("msp",)))
    key = {"benchmark": "main", "model": "m001", "dataset": "far", "detector": "msp"}
    rows = lake.read("scores", **key).to_pydict()
    fewer = {name: [v for i, v in enumerate(values) if i not in {3, 20}] for name, values in rows.items()}
    put(lake, "scores", key, fewer, {"seed": 1}, replacing=True)
    pool = read_ranks(lake, "main", "msp")
    assert pool.ranks["far"].ood.shape == (3, 46)
    assert np.bincount(pool.ranks["far"].classes).tolist() == [11, 11, 12, 12]
    at = pool.models.index("m001")
    np.testing.assert_allclose(pool.ranks["far"].ood[at], fewer["id_rank"], rtol=1e-6)


def test_stored_ensembles_are_judged_beside_the_search_and_not_searched(tmp_path: Path) -> None:
    lake = make(tmp_path / "lake", Shape(models=3, detectors=("msp",)))
    recipe = json.dumps({"ensemble_of": ["m000/msp", "m001/msp", "m001/energy"], "combine": "mean-rank"})
    put(lake, "models", {"model": "both"}, {"source": ["ensemble"], "recipe": [recipe]})
    for dataset in ("test", "far"):
        key = {"benchmark": "main", "dataset": dataset}
        of = [lake.read("scores", **key, model=f"m00{i}", detector="msp").column("id_rank") for i in range(2)]
        mean = np.mean(of, axis=0)
        put(
            lake,
            "scores",
            {**key, "model": "both", "detector": "mean-rank"},
            {"sample": list(range(len(mean))), "score": mean, "id_rank": mean},
        )
    (stored,) = stored_ensembles(lake, "main")
    assert (stored.models, stored.params) == (2, 2001)
    frame = combining_models.data(lake, detector="msp").filter(pl.col("ood_dataset") == "far")
    assert "both" not in " ".join(frame.filter(pl.col("method") != "stored ensemble")["members"])
    assert frame.filter(pl.col("method") == "stored ensemble").select("models", "detector").rows() == [(2, "mean-rank")]


def test_a_set_of_which_no_sample_judges_is_none(tmp_path: Path) -> None:
    lake = make(tmp_path / "lake", Shape(models=2, detectors=("msp",)))
    others = read_ranks(lake, "main", "msp").ranks.keys() - {"far"}
    for model in ("m000", "m001"):
        key = {"benchmark": "main", "model": model, "dataset": "far", "detector": "msp"}
        put(lake, "scores", key, {"sample": [], "score": [], "id_rank": []}, {"seed": 1}, replacing=True)
    assert read_ranks(lake, "main", "msp").ranks.keys() == others
