"""A benchmark that is judged without the samples that it holds in two roles."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from analysis.detectors.registry import detectors
from analysis.ensembles import parse
from analysis.lineage import BenchmarkSettings, read_benchmarks, set_benchmark
from analysis.lineage.current_scores import current_scores
from analysis.lineage.extracted import read_extracted
from analysis.metrics import id_rank
from analysis.rows.lake_rows import in_tenth
from analysis.scoring import ScoringSelection, score, score_ensemble
from analysis.status import read_lake_index, status_rows
from benchmarks.lakes import put
from featurestore.care import verify
from featurestore.errors import InputError
from tests.analysis.synthetic import ROLES, write_datasets, write_model

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from featurestore import Lake

DETECTORS = ("msp", "mahalanobis", "temp-scaling.openood")
WITHOUT, WITH = BenchmarkSettings(without_overlaps=True), BenchmarkSettings()
OF_TRAIN, OF_TEST = range(3, 12), range(20, 26)
"""ID test samples that are also fit samples, and ID test samples that are also OOD samples."""


def write_contents(lake: Lake, copies: Mapping[str, Sequence[str]]) -> None:
    """Digests of all samples: those of copies first, then their own."""
    for name, (_, count) in ROLES.items():
        own = [f"{name} {sample}" for sample in range(count)]
        bytes_of = [*copies.get(name, ()), *own[len(copies.get(name, ())) :]]
        digests = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in bytes_of]
        ingredients = {"dataset_digest": name, "contents": repr(digests)}
        put(
            lake,
            "contents",
            {"dataset": name},
            {"sample": np.arange(count), "digest": digests},
            ingredients,
            replacing=True,
        )


@pytest.fixture
def scored(lake: Lake) -> Lake:
    """ID samples 0 to 8 are fit samples, OOD samples 0 to 5 ID samples; another model beside it."""
    write_datasets(lake)
    write_model(lake, "m")
    write_contents(lake, {"test": [f"train {n}" for n in OF_TRAIN], "far": [f"test {n}" for n in OF_TEST]})
    run(lake)
    return lake


def run(lake: Lake, say: list[str] | None = None) -> int:
    """Score, and return how many score partitions were made."""
    lines = [] if say is None else say
    return score(lake, ScoringSelection(detectors=DETECTORS), lines.append).scored


def fingerprints(lake: Lake) -> dict[str, str]:
    held = [*lake.partitions("scores"), *lake.partitions("metrics")]
    return {f"{manifest.folder} {part.key}": part.fingerprint for manifest in held for part in manifest.parts}


def scores(lake: Lake, detector: str, dataset: str = "test", model: str = "m") -> dict[str, np.ndarray]:
    rows = lake.read("scores", benchmark="main", model=model, dataset=dataset, detector=detector)
    return {name: rows.column(name).to_numpy() for name in rows.column_names}


def reasons(lake: Lake) -> dict[tuple[str, str], str]:
    rows = status_rows(read_lake_index(lake), detectors(), ["m"])
    return {(row.dataset, name): " and ".join(stage.reasons) for row in rows for name, stage in row.stages.items()}


def test_samples_of_two_roles_judge_in_one(scored: Lake) -> None:
    """Neither scores nor ranks nor metrics know what is left out, and the other scores stay what they are."""
    before = {(d, name): scores(scored, d, name) for d in DETECTORS for name in ("test", "far")}
    set_benchmark(scored, "main", WITHOUT)
    lines: list[str] = []
    assert run(scored, lines) == 6
    assert lines[0] == (
        "main: judged without overlaps, which leaves out 6 images of far, 9 images of test: see `featurestore ask overlaps`"
    )
    for detector in DETECTORS:
        own = scores(scored, detector)
        for name, out in (("test", 9), ("far", 6)):
            kept = before[detector, name]["sample"] >= out
            found = scores(scored, detector, name)
            assert_array_equal(found["sample"], before[detector, name]["sample"][kept])
            assert_array_equal(found["score"], before[detector, name]["score"][kept])
            assert_array_equal(found["id_rank"], id_rank(found["score"], np.sort(own["score"])))
    counts = scored.sql("from metrics select distinct detector, n_id, n_ood where aggregation = 'pooled' order by all")
    tenth = int(in_tenth(np.arange(60))[9:].sum())
    assert tenth > 0
    assert counts.fetchall() == [("mahalanobis", 51, 34), ("msp", 51, 34), ("temp-scaling.openood", 51 - tenth, 34)]


def test_macros_on_raw_scores_agree_with_the_metrics(scored: Lake) -> None:
    set_benchmark(scored, "main", WITHOUT)
    run(scored)
    found = scored.sql(
        """
        select metrics.fpr95 - f.fpr, metrics.auroc - a.auroc, metrics.n_id - f.n_id, metrics.n_ood - f.n_ood
        from metrics
        inner join fpr_at(null, null, null, 0.95) as f using (model, detector, ood_dataset, aggregation)
        inner join auroc(null, null, null) as a using (model, detector, ood_dataset, aggregation)
        where metrics.ood_class is not distinct from f.ood_class and f.ood_class is not distinct from a.ood_class
        """
    ).fetchall()
    assert len(found) == 3 * 4
    assert np.abs(found).max() < 1e-12


def test_the_setting_and_new_digests_make_stale_what_they_change(scored: Lake) -> None:
    """Status says why, score makes it again, and with overlaps all is to the last fingerprint as it was."""
    whole = fingerprints(scored)
    assert run(scored) == 0
    set_benchmark(scored, "main", WITHOUT)
    said = reasons(scored)
    assert said["test", "scores"] == "other samples are left out of the judging now"
    assert said["far", "scores"] == "other samples are left out of the judging now"
    assert said["test", "metrics"] == "the scores of far, test are stale"
    assert run(scored) == 6
    assert set(reasons(scored).values()) == {""}
    assert run(scored) == 0
    without = fingerprints(scored)
    assert not set(whole.values()) & set(without.values())

    write_contents(scored, {"test": [f"train {n}" for n in OF_TRAIN]})
    assert reasons(scored)["far", "scores"] == "other samples are left out of the judging now"
    assert reasons(scored)["test", "scores"] == ""
    assert run(scored) == 3
    write_contents(scored, {"test": ["train 0"]})
    assert run(scored) == 6
    assert len(scores(scored, "msp")["sample"]) == 59

    set_benchmark(scored, "main", WITH)
    assert run(scored) == 6
    assert fingerprints(scored) == whole


def test_where_nothing_overlaps_nothing_changes(scored: Lake) -> None:
    """Also where one dataset holds an image twice, and where the digests are not known."""
    write_contents(scored, {"far": ["twice", "twice"]})
    whole = fingerprints(scored)
    set_benchmark(scored, "main", WITHOUT)
    lines: list[str] = []
    assert run(scored, lines) == 0
    assert "leaves out no image" in lines[0]
    assert fingerprints(scored) == whole
    write_datasets(scored, {"new": ("ood", 5)})
    write_model(scored, "m", {"new": ("ood", 5)})
    run(scored, lines := [])
    assert "1 of 4 datasets has no digests yet (new)" in lines[1]


def test_what_is_left_out_is_no_fault_of_the_lake(scored: Lake) -> None:
    """Nor are samples that tuned a detector; samples that the activations do not have are."""
    for settings in (WITH, WITHOUT):
        set_benchmark(scored, "main", settings)
        run(scored)
        faults: list[verify.Fault] = []
        verify.verify(scored.storage, faults.append, deep=True)
        assert faults == []


def test_ensembles_are_judged_by_the_same_samples(scored: Lake) -> None:
    ensemble = parse("both=m/msp,m/mahalanobis", (), "mean-rank", None)
    score_ensemble(scored, ensemble, None, lambda _: None)
    set_benchmark(scored, "main", WITHOUT)
    with pytest.raises(InputError, match="are stale"):
        score_ensemble(scored, ensemble, None, lambda _: None)
    assert run(scored) == 6 + 2
    assert_array_equal(scores(scored, "mean-rank", model="both")["sample"], np.arange(9, 60))
    rows = scored.sql(
        "from metrics select distinct n_id, n_ood where model = 'both' and aggregation = 'pooled'"
    ).fetchall()
    assert rows == [(51, 34)]


def test_a_set_that_overlaps_whole_judges_nothing(scored: Lake) -> None:
    """An OOD set is then without metrics, and no reason to score again; an ID test set is refused with the remedies."""
    set_benchmark(scored, "main", WITHOUT)
    write_contents(scored, {"far": [f"test {n}" for n in range(40)]})
    run(scored)
    assert scored.sql("select count(*) from scores where dataset = 'far'").fetchall() == [(0,)]
    assert scored.sql("select count(*) from metrics").fetchall() == [(0,)]
    assert run(scored) == 0
    assert set(reasons(scored).values()) == {""}
    write_contents(scored, {"test": [f"train {n}" for n in range(60)]})
    with pytest.raises(InputError, match="benchmark set main --with-overlaps"):
        run(scored)


def test_scores_of_a_detector_that_is_not_known_here_are_current_if_they_judge_by_the_same_samples(
    scored: Lake,
) -> None:
    """As those of a plugin, in both directions."""

    def current() -> dict[str, int]:
        (benchmark,) = read_benchmarks(scored)
        held = scored.partitions("scores", benchmark="main", model="m")
        found = current_scores(benchmark, "m", read_extracted(scored).current["m"], held, [])
        return {dataset: len(of) for dataset, of in found.items()}

    for settings in (WITHOUT, WITH):
        set_benchmark(scored, "main", settings)
        assert current() == {"far": 0, "test": 0}
        run(scored)
        assert current() == {"far": 3, "test": 3}
