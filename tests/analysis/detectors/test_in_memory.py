"""Detectors without a lake: the numbers of a lake, and a sentence for what does not belong together."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from analysis.detectors import detectors, fit_in_memory
from analysis.rows import array_rows
from analysis.rows.activations import Activations
from analysis.rows.head import read_head
from analysis.scoring import ScoringSelection, score
from extract.job import plan
from featurestore import Lake
from featurestore.errors import InputError, MissingError, NumericalError
from tests.analysis.synthetic import CLASSES, DIM, write_datasets, write_model

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

ROLES = {"train": ("fit", 1_500), "held": ("val", 200), "test": ("id", 120), "far": ("ood", 50)}
FRAGMENT = 400


@pytest.fixture(autouse=True)
def fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in memory are cut as those of this small lake are."""
    monkeypatch.setattr(array_rows, "FRAGMENT_ROWS", FRAGMENT)


def test_blocks_are_those_of_the_fragments_that_extract_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read whole where they are small, else by the row group."""
    monkeypatch.undo()
    assert array_rows.FRAGMENT_ROWS == plan.FRAGMENT_ROWS
    rows = Activations(np.zeros((40_000, 2), np.float32))
    assert [part.start for part in array_rows.block_slices(rows)] == [0, 16_384, 32_768]
    rows = Activations(np.zeros((5_000, 2_000), np.float32))
    assert [part.start for part in array_rows.block_slices(rows)] == [0, 2_048, 4_096]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of more than one fragment, scored by every detector."""
    (folder := tmp_path_factory.mktemp("in-memory") / "lake").mkdir()
    lake = Lake(folder)
    write_datasets(lake, ROLES)
    write_model(lake, "m", ROLES, rows_per_fragment=FRAGMENT)
    score(lake, ScoringSelection(detectors=("all", "knn:k=7")), lambda _: None)
    return lake


@pytest.fixture(scope="module")
def rows(lake: Lake) -> Mapping[str, tuple[NDArray[Any], ...]]:
    """Features, labels and logits of each dataset."""
    held = {}
    for name in ROLES:
        table = lake.batches(model="m", dataset=name, columns=("feature", "label", "logits"))
        held[name] = tuple(np.concatenate(column) for column in zip(*table, strict=True))
    return held


@pytest.mark.parametrize("name", [*detectors(), "knn@k=7"])
def test_scores_are_those_of_the_lake_to_the_last_bit(lake: Lake, rows: Any, name: str) -> None:
    """Every detector, those that compare with all fit rows and those that learn from validation rows among them."""
    features, labels, logits = rows["train"]
    part = lake.partitions("activations", model="m", dataset="train")[0].parts[0]
    head = read_head(lake, "m", {"train": part})
    fitted = fit_in_memory(name, features, labels, logits=logits, head=head, validation=rows["held"])
    again = pickle.loads(pickle.dumps(fitted))  # our own bytes
    for dataset in ("test", "far"):
        held = lake.read("scores", benchmark="main", model="m", dataset=dataset, detector=name)
        expected = held.column("score").to_numpy()
        found = fitted.score(rows[dataset][0], rows[dataset][2])
        assert found.dtype == np.float64
        assert_array_equal(found, expected)
        assert_array_equal(again.score(rows[dataset][0], rows[dataset][2]), expected)


def small(rows: Any) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    features, labels, logits = (values[:200].copy() for values in rows["train"])
    return features, labels, logits


@pytest.mark.parametrize("name", ["cosine", "dice", "fdbd", "nci", "ora"])
def test_what_reads_means_alone_gathers_no_scatter(rows: Any, name: str) -> None:
    """Where a lake stores the scatter beside them, for others."""
    features, labels, logits = small(rows)
    fitted = fit_in_memory(name, features, labels, logits=logits, head=(np.eye(CLASSES, DIM), np.zeros(CLASSES)))
    assert {array for arrays in fitted.statistics.values() for array in arrays} == {"counts", "means"}


def test_a_head_may_be_given_as_two_arrays_and_labels_may_be_missing(rows: Any) -> None:
    """Detectors that learn without labels do without them; those that need them say so, with the row."""
    features, labels, logits = small(rows)
    weight, bias = np.ones((CLASSES, DIM)), np.zeros(CLASSES)
    unlabelled = fit_in_memory("react", features, logits=logits, head=(weight, bias))
    assert unlabelled.score(features, logits).shape == (200,)
    with pytest.raises(InputError, match=r"Row 0 of the fit rows has no label.*give labels"):
        fit_in_memory("mahalanobis", features)
    labels[7] = -1
    with pytest.raises(InputError, match="Row 7 of the fit rows has no label"):
        fit_in_memory("mahalanobis", features, labels)


@pytest.mark.parametrize(
    ("name", "what", "said"),
    [
        ("energy", {}, "needs logits"),
        ("kl-matching", {}, "learns from logits: the fit rows have none"),
        ("ash-b", {"logits": True}, r"needs the model's final linear layer: give head=\(weight, bias\)"),
        ("relation", {}, "compares logits: the fit rows have none"),
        ("residual.openood", {}, r"learns from ID samples apart: give validation=\(features, labels, logits\)"),
    ],
)
def test_what_a_detector_lacks_is_said(rows: Any, name: str, what: dict[str, bool], said: str) -> None:
    """With the argument that gives it."""
    features, labels, logits = small(rows)
    with pytest.raises(InputError, match=said):
        fit_in_memory(name, features, labels, logits=logits if what.get("logits") else None).score(features)


def test_arrays_that_do_not_belong_together_are_refused(rows: Any) -> None:
    """In a sentence that names the array, with both numbers."""
    features, labels, logits = small(rows)
    with pytest.raises(InputError, match="The fit rows: Labels must be 200 integers"):
        fit_in_memory("mahalanobis", features, labels[:-1])
    with pytest.raises(InputError, match="The fit rows: Features must be a float array"):
        fit_in_memory("mahalanobis", labels[:, None], labels)
    with pytest.raises(InputError, match="do not belong to features"):
        fit_in_memory("energy", features, labels, logits=logits[1:])
    with pytest.raises(InputError, match=f"head is fed {DIM + 1} dimensions; the features of the fit rows have {DIM}"):
        fit_in_memory("vim", features, labels, logits=logits, head=(np.ones((CLASSES, DIM + 1)), np.zeros(CLASSES)))
    with pytest.raises(InputError, match=f"Logits of the fit rows have {CLASSES} classes; expected {CLASSES + 2}"):
        fit_in_memory("vim", features, labels, logits=logits, head=(np.ones((CLASSES + 2, DIM)), np.zeros(CLASSES + 2)))
    with pytest.raises(InputError, match="validation rows have 5 dimensions"):
        fit_in_memory("mahalanobis", features, labels, validation=(features[:, :5], labels))
    with pytest.raises(InputError, match="no row"):
        fit_in_memory("mahalanobis", features[:0], labels[:0])
    with pytest.raises(InputError, match="only 200"):
        fit_in_memory("knn", features).score(features)
    with pytest.raises(MissingError, match="mahalanobis"):
        fit_in_memory("mahalanobi", features, labels)
    fitted = fit_in_memory("mahalanobis", features, labels)
    with pytest.raises(InputError, match=f"have 4 dimensions; expected {DIM}, as of the fit"):
        fitted.score(features[:, :4])


@pytest.mark.parametrize("name", ["max-logit", "kl-matching"])
def test_a_detector_of_logits_alone_does_without_features(rows: Any, name: str) -> None:
    """It does not look at those that it is given; others ask for them in a sentence."""
    features, labels, logits = small(rows)
    expected = fit_in_memory(name, np.full_like(features, np.nan), labels, logits=logits).score(features, logits)
    assert_array_equal(fit_in_memory(name, None, labels, logits=logits).score(None, logits), expected)
    with pytest.raises(InputError, match="max-logit reads logits: give logits="):
        fit_in_memory("max-logit", None, labels)
    with pytest.raises(InputError, match="vim reads features: give them"):
        fit_in_memory("vim", None, labels, logits=logits)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_with_their_row(rows: Any, bad: float) -> None:
    """In the fit rows, and in those to score, also in logits that the detector does not look at."""
    features, labels, logits = small(rows)
    fitted = fit_in_memory("mahalanobis", features, labels, logits=logits)
    features[11, 2] = bad
    with pytest.raises(NumericalError, match="The feature of row 11 of the fit rows is NaN or infinite"):
        fit_in_memory("mahalanobis", features, labels)
    with pytest.raises(NumericalError, match="The feature of row 11 of the rows to score"):
        fitted.score(features)
    logits[3, 1] = bad
    with pytest.raises(NumericalError, match="The logits of row 3 of the rows to score"):
        fitted.score(small(rows)[0], logits)


def test_no_rows_give_no_scores(rows: Any) -> None:
    features, labels, _ = small(rows)
    assert fit_in_memory("mahalanobis", features, labels).score(features[:0]).shape == (0,)


def test_arrays_are_left_as_they_are(rows: Any) -> None:
    """Neither fitting nor scoring writes into what it is given."""
    features, labels, logits = small(rows)
    # Of float64, what detectors compute with are the arrays themselves.
    given = (features.astype(float), labels, logits.astype(float))
    before = [array.copy() for array in given]
    features, labels, logits = given
    for name in ("nnguide", "mahalanobis", "knn@k=7"):
        fit_in_memory(name, features, labels, logits=logits).score(features, logits)
        for array, kept in zip(given, before, strict=True):
            assert_array_equal(array, kept)


def test_folders_are_not_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Any) -> None:
    """Nothing is read or written."""
    monkeypatch.chdir(tmp_path)
    features, labels, _ = small(rows)
    fit_in_memory("mahalanobis", features, labels).score(features)
    assert list(tmp_path.iterdir()) == []


def test_a_row_of_a_later_block_is_named_by_its_number_among_all() -> None:
    logits = np.ones((20_000, 3), np.float32)
    logits[17_003, 1] = np.nan
    fitted = fit_in_memory("max-logit", logits[:5], logits=logits[:5])
    with pytest.raises(NumericalError, match="The logits of row 17003 of the rows to score is NaN or infinite"):
        fitted.score(np.zeros_like(logits), logits)
