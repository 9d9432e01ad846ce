"""What scoring meets that it cannot use, through the real command: one sentence each, and nothing half done."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis.detectors import detectors
from benchmarks.lakes import put
from tests.analysis.synthetic import CLASSES, DIM, ROLES, write_datasets, write_model

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Commands


@pytest.fixture
def commands(fresh: Commands) -> Commands:
    """A lake with datasets and no model."""
    write_datasets(fresh.lake)
    return fresh


def contents(commands: Commands, *tables: str) -> list[Path]:
    """The files of some tables."""
    return sorted(path for table in tables for path in (commands.location / table).rglob("*.*"))


def test_a_model_without_a_head_is_scored_by_what_needs_none(commands: Commands) -> None:
    """Every detector that reads the head is named and skipped, the others scored, as are all of another model."""
    write_model(commands.lake, "a")
    write_model(commands.lake, "b", head=False)
    needing = sorted(name for name, detector in detectors().items() if detector.needs_head)
    said = commands.ok("score", *(text for name in ("energy", *needing) for text in ("--detector", name)))
    assert f"b: without {', '.join(needing)}, which need a linear head, and the model has none" in said
    scored = "select model, list(distinct detector order by detector) from scores group by 1 order by 1"
    assert commands.lake.sql(scored).fetchall() == [("a", sorted(["energy", *needing])), ("b", ["energy"])]


def test_features_of_another_dimension_than_the_fit_are_refused(commands: Commands) -> None:
    """The dataset, and both dimensions, are named."""
    write_model(commands.lake, "a", dims={"far": DIM + 2})
    said = commands.refused("score", "--detector", "mahalanobis")
    assert "far" in said
    assert str(DIM) in said
    assert str(DIM + 2) in said
    assert not contents(commands, "metrics")
    write_model(commands.lake, "a", dims={"train": DIM + 2})
    said = commands.refused("score", "--detector", "relative-mahalanobis-pp")
    assert "train" in said
    assert str(DIM + 2) in said


def test_a_fit_dataset_must_be_labelled_for_what_learns_from_labels(commands: Commands) -> None:
    """The sample is named, no fit and no score is stored; what needs no label is scored."""
    write_model(commands.lake, "a", unlabelled={"train": 17})
    said = commands.refused("score")
    assert "Sample 17 of the fit dataset train has no label: fitting needs one for each" in said
    assert not contents(commands, "fits", "scores", "metrics")
    assert "4 score partitions made" in commands.ok("score", "--detector", "msp", "--detector", "energy")


def test_a_label_beyond_the_classes_is_refused(commands: Commands) -> None:
    """As where the fit dataset is another one than the model's."""
    write_model(commands.lake, "a")
    row = {"feature_dim": [DIM], "num_classes": [CLASSES - 1]}
    put(commands.lake, "models", {"model": "a"}, row, {"classes": CLASSES - 1}, replacing=True)
    said = commands.refused("score", "--detector", "mahalanobis")
    assert "train" in said
    assert not contents(commands, "fits", "scores")


def test_an_empty_dataset_says_so(commands: Commands) -> None:
    """There is nothing to fit, or to judge; the other OOD datasets are scored."""
    write_model(commands.lake, "a", {**ROLES, "train": ("fit", 0)})
    assert "There is no sample of train with activations of a" in commands.refused("score", "--detector", "mahalanobis")
    write_model(commands.lake, "a", {**ROLES, "far": ("ood", 0)})
    said = commands.ok("score", "--detector", "msp")
    assert "The activations of a on far hold no sample: far is left out" in said
    assert "1 score partitions made" in said
    write_model(commands.lake, "a", {**ROLES, "test": ("id", 0)})
    assert "The activations of a on test hold no sample" in commands.refused("score", "--detector", "msp")


def test_scores_do_not_depend_on_the_memory_given(commands: Commands) -> None:
    """The least that is accepted gives what the default gives."""
    write_model(commands.lake, "a", rows_per_fragment=10)
    shutil.copytree(commands.location, commands.folder / "other" / "lake")
    commands.ok("score")
    commands.ok("score", "--memory", "64MB", "--lake", commands.folder / "other" / "lake")
    for path in contents(commands, "scores"):
        if path.suffix == ".parquet":
            other = commands.folder / "other" / "lake" / path.relative_to(commands.location)
            assert np.array_equal(*(_scores(one) for one in (path, other)))
    for little in ("63MB", "1kB", "0"):
        said = commands.refused("score", "--memory", little)
        assert "is too little to fit detectors in: give 64.0 MB or more" in said
    assert "'much' is no size" in commands.refused("score", "--memory", "much")


def _scores(path: Path) -> np.ndarray:
    return pq.ParquetFile(path).read().column("score").to_numpy()
