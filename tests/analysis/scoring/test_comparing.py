"""Detectors that compare samples with every fit sample: of all datasets together, and as if each were alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from analysis.detectors import get
from analysis.detectors.comparison import at_once
from analysis.rows.activations import Activations
from analysis.rows.lake_rows import Rows
from analysis.scoring import Means, ScoringSelection, comparing, score
from analysis.statistics.statistic import SweepContext
from featurestore.errors import InputError
from tests.analysis.gathered import scored
from tests.analysis.synthetic import CLASSES, ROLES, write_datasets, write_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from featurestore import Lake

OODS = {"far": ("ood", 40), "near": ("ood", 33), "other": ("ood", 7)}
DATASETS = {"train": ROLES["train"], "test": ROLES["test"], **OODS}
COMPARING = ("knn.openood", "relation", "gmm")
FRAGMENT = 50


@pytest.fixture
def filled(lake: Lake) -> Lake:
    write_datasets(lake, DATASETS)
    write_model(lake, "m", DATASETS, rows_per_fragment=FRAGMENT)
    return lake


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many blocks of each dataset are read."""
    counted: Counter[str] = Counter()
    block: Any = Rows._block

    def reading(rows: Rows, piece: Any, columns: Sequence[str]) -> Any:
        counted[rows.dataset] += 1
        return block(rows, piece, columns)

    monkeypatch.setattr(Rows, "_block", reading)
    return counted


def run(lake: Lake, *detectors: str, said: list[str] | None = None) -> int:
    selection = ScoringSelection(detectors=detectors)
    return score(lake, selection, (said if said is not None else []).append, Means(memory=64_000_000)).scored


def scores(lake: Lake, dataset: str, detector: str) -> NDArray[np.float64]:
    rows = lake.read("scores", benchmark="main", model="m", dataset=dataset, detector=detector)
    assert_array_equal(rows.column("sample").to_numpy(), np.arange(DATASETS[dataset][1]))
    return np.asarray(rows.column("score").to_numpy())


def activations(lake: Lake, dataset: str) -> Activations:
    rows = lake.scan("activations", model="m", dataset=dataset).collect()
    return Activations(rows["feature"].to_numpy(), rows["logits"].to_numpy())


def check_scores(lake: Lake) -> None:
    """Each dataset and detector as if it were alone, from rows in memory."""
    rows, labels = activations(lake, "train"), np.arange(DATASETS["train"][1]) % CLASSES
    for dataset in ("test", *OODS):
        for name in COMPARING:
            alone = scored(name, rows, labels, activations(lake, dataset))
            assert_allclose(scores(lake, dataset, name), alone, rtol=1e-10, err_msg=f"{name} on {dataset}")


def test_all_datasets_and_detectors_share_sweeps_of_the_fit_set(filled: Lake, reads: Counter[str]) -> None:
    """Two for what is learned and measured (the second for the kurtosis), and two to compare: KNN measures in a second one."""
    assert run(filled, *COMPARING, "mahalanobis") == 4 * 4
    fragments = -(-DATASETS["train"][1] // FRAGMENT)
    assert reads["train"] == 4 * fragments
    check_scores(filled)
    reads.clear()
    assert run(filled, *COMPARING, "mahalanobis") == 0
    assert not reads


def test_samples_that_do_not_fit_in_memory_come_in_chunks(
    filled: Lake, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which end wherever memory says, also in the middle of a block or of a dataset, and hold several small datasets."""
    monkeypatch.setattr(comparing, "at_once", lambda *_: 45)
    run(filled, *COMPARING)
    check_scores(filled)
    fragments, chunks = -(-DATASETS["train"][1] // FRAGMENT), -(-(60 + 40 + 33 + 7) // 45)
    assert reads["train"] == (2 + 2 * chunks) * fragments


def test_what_is_done_before_a_kill_stays(filled: Lake, reads: Counter[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A dataset is stored as soon as its last sample is scored; the others are scored together when the job runs again."""
    monkeypatch.setattr(comparing, "at_once", lambda *_: 105)
    compare = comparing.compare

    def killed_at_the_second(*given: Any, **named: Any) -> Any:
        if len(given[2]) < 105:
            raise KeyboardInterrupt
        return compare(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(comparing, "compare", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            run(filled, *COMPARING)
    held = {m.key["dataset"] for m in filled.partitions("scores")}
    assert held == {"test", "far"}
    reads.clear()
    assert run(filled, *COMPARING) == 2 * len(COMPARING)
    check_scores(filled)
    assert reads.keys() >= {"train", "near", "other"}


def test_a_detector_that_is_new_is_all_that_is_compared(filled: Lake, reads: Counter[str]) -> None:
    """And a dataset that is new is compared by all of them, with the same numbers."""
    run(filled, "knn.openood")
    roles = {**DATASETS, "newest": ("ood", 20)}
    write_datasets(filled, roles)
    write_model(filled, "m", {"newest": ("ood", 20)})
    reads.clear()
    assert run(filled, *COMPARING) == 2 * 4 + 3
    check_scores(filled)


def test_one_that_cannot_compare_takes_nobody_along(filled: Lake) -> None:
    """K beyond the fit set: the others are scored, and what is lacking is said; asked for alone, it fails."""
    said: list[str] = []
    run(filled, "all", said=said)
    assert [line for line in said if line.startswith("m: without knn: ") and "K = 1000" in line]
    check_scores(filled)
    with pytest.raises(InputError, match="K = 1000"):
        run(filled, "knn")


def test_more_memory_more_samples_at_once() -> None:
    """As many as it holds by what each detector keeps of a sample; logits are stored beside the features."""
    big = SweepContext(1000, 768, 1_281_167)
    both = [get("knn"), get("relation")]
    for detectors, least, most in (
        ([both[0]], 9_000, 45_000),
        ([get("knn.openood")], 60_000, 120_000),
        (both, 9_000, 30_000),
    ):
        assert least < at_once(detectors, big) < most
        twice = SweepContext(1000, 768, 1_281_167, memory=2 * big.memory)
        assert at_once(detectors, twice) == pytest.approx(2 * at_once(detectors, big), abs=1)
    assert at_once(both, SweepContext(1000, 768, 9, memory=1)) == 1
