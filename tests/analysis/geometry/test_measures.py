"""Geometry against its definitions, written out sample by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis.algebra.class_scatter import class_statistics
from analysis.geometry.feature_norms import FEATURE_NORMS
from analysis.geometry.measures import mean_measures, norm_measures, principal_axes, scatter_measures
from analysis.geometry.projections import DIRECTIONS, WITHIN_KURTOSIS
from analysis.lineage.benchmark import Benchmark
from analysis.lineage.learning_set import learning_set_of
from analysis.rows.activations import Activations
from analysis.rows.head import Head
from analysis.scoring.fits import ModelFits
from analysis.scoring.geometry_stage import missing_geometry, write_geometry
from analysis.statistics.statistic import FIT
from benchmarks.lakes import activations, put
from featurestore.errors import InputError
from tests.analysis.conftest import clustered
from tests.analysis.gathered import gathered

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from featurestore import Lake
    from tests.analysis.conftest import Labelled

    Float64 = NDArray[np.float64]


def clusters() -> tuple[Float64, NDArray[np.int64]]:
    case = clustered(0, 900, 12, 4)
    return case.features, case.labels


@pytest.mark.parametrize("shards", [1, 3])
def test_norms_are_those_of_loops(shards: int) -> None:
    """Mean and spread of norms, within and between classes, whatever the shards."""
    features, labels = clusters()
    found = norm_measures(gathered([FEATURE_NORMS], Activations(features), labels, shards=shards)["feature-norms"])
    norms = np.array([np.sqrt((row**2).sum()) for row in features])
    own = np.array([norms[labels == label].mean() for label in labels])
    expected = [norms.mean(), norms.std(), np.sqrt(((norms - own) ** 2).mean()), own.std()]
    assert_allclose(list(found.values()), expected, rtol=1e-12)


def test_scatter_and_ranks_are_those_of_their_formulas() -> None:
    """Traces, effective ranks, participation ratios, NC1 and the condition number from numpy's own covariance."""
    features, labels = clusters()
    found = scatter_measures(class_statistics(features, labels, 4))
    means = np.stack([features[labels == c].mean(axis=0) for c in range(4)])
    within = np.cov((features - means[labels]).T, bias=True)
    between = np.cov(means[labels].T, bias=True)
    assert_allclose(found["scatter_within"], np.trace(within))
    assert_allclose(found["scatter_ratio"], np.trace(between) / np.trace(within))
    assert_allclose(found["nc1"], np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / 4)
    assert_allclose(found["condition_within"], np.linalg.cond(within))
    assert found["rank_within"] == 12
    for name, matrix in (("within", within), ("between", between), ("total", within + between)):
        values = np.linalg.eigvalsh(matrix)
        share = values[values > 1e-12] / values.sum()
        assert_allclose(found[f"effective_rank_{name}"], np.exp(-sum(p * np.log(p) for p in share)), rtol=1e-6)
        assert_allclose(found[f"participation_{name}"], values.sum() ** 2 / (values**2).sum())


def test_a_simplex_has_collapsed() -> None:
    """Means at the corners of a simplex, and a head of the same directions: the measures of collapse are 0."""
    corners = np.eye(5) * 3
    features, labels = np.repeat(corners, 4, axis=0), np.repeat(np.arange(5), 4)
    noise = np.random.default_rng(1).standard_normal((20, 5)) * 1e-9
    statistics = class_statistics(features + noise, labels, 5)
    found = scatter_measures(statistics) | mean_measures(statistics, Head(np.eye(5) * 7 + 2, np.zeros(5)))
    for name in ("nc1", "nc2_norms", "nc2_angles", "nc3"):
        assert abs(found[name]) < 1e-7, name
    assert_allclose(found["class_cosine_mean"], -1 / 4, atol=1e-8)
    turned = mean_measures(statistics, Head(np.roll(np.eye(5), 1, axis=0), np.zeros(5)))
    assert turned["nc3"] > 1


@pytest.mark.parametrize("shards", [1, 4])
def test_kurtosis_tells_tails(shards: int) -> None:
    """0 for Gaussian classes, 3 for Laplacian ones, by the direct formula in each direction."""
    rng = np.random.default_rng(2)
    labels = np.arange(40_000) % 3
    for draw, expected in ((rng.standard_normal, 0.0), (lambda shape: rng.laplace(size=shape), 3.0)):
        features = draw((40_000, 3)) * [3.0, 2.0, 1.0] + 10 * labels[:, None]
        found = gathered([WITHIN_KURTOSIS], Activations(features), labels, shards=shards)["within-class-kurtosis"]
        assert_allclose(found["kurtosis"], expected, atol=0.4)
    centred = features - np.stack([features[labels == c].mean(axis=0) for c in range(3)])[labels]
    values, vectors = np.linalg.eigh(np.cov(centred.T, bias=True))
    along = centred @ vectors
    assert_allclose(found["kurtosis"], (along**4).mean(axis=0) / (along**2).mean(axis=0) ** 2 - 3, rtol=1e-6)
    assert len(values) < DIRECTIONS


def test_the_principal_subspace_is_the_smallest_that_explains_enough() -> None:
    """95 % of the variance are in it, and less without its last axis."""
    features, labels = clusters()
    statistics = class_statistics(features, labels, 4)
    axes = principal_axes(statistics)
    share = [np.trace(a.T @ statistics.total @ a) / np.trace(statistics.total) for a in (axes, axes[:, :-1])]
    assert share[0] >= 0.95 > share[1]
    assert_allclose(axes.T @ axes, np.eye(axes.shape[1]), atol=1e-12)


def test_degenerate_features_have_what_geometry_they_have(labelled: Labelled) -> None:
    """Every measure is finite or absent, on constant, collinear, huge and tiny features and single samples."""
    statistics = class_statistics(labelled.features, labelled.labels, labelled.num_classes)
    with np.errstate(over="ignore"):
        found = scatter_measures(statistics) | mean_measures(statistics, None)
    assert all(np.isfinite(value) for value in found.values()), found


def test_no_samples_no_geometry() -> None:
    """Said in a sentence."""
    with pytest.raises(InputError, match="without samples"):
        scatter_measures(class_statistics(np.empty((0, 3)), np.empty(0, int), 2))


def test_each_fit_dataset_measures_by_itself(lake: Lake) -> None:
    """Two benchmarks with an OOD set in common keep both measures of it, and measuring again writes nothing."""
    rng = np.random.default_rng(8)
    put(lake, "models", {"model": "m"}, {"feature_dim": [3], "num_classes": [2]})
    for dataset, shift in {"train": 0.0, "other": 9.0, "far": 3.0}.items():
        samples = np.arange(40)
        vectors = rng.standard_normal((40, 3)) + shift, rng.standard_normal((40, 2))
        rows = activations(samples, samples % 2, *vectors)
        put(lake, "activations", {"model": "m", "dataset": dataset}, rows, {"seed": shift})

    made: list[int] = []

    def measure() -> dict[tuple[str, str], float]:
        parts = {m.key["dataset"]: m.parts[0] for m in lake.partitions("activations", model="m")}
        for fit in ("train", "other"):
            fits = ModelFits(lake, Benchmark(fit, fit, "test", ("far",)), "m", parts, 2, None, print)
            source = learning_set_of(fits.benchmark, FIT, parts)
            assert source
            missing = missing_geometry(lake, "m", source, parts, ["far"])
            made.append(len(missing))
            if missing:
                write_geometry(fits, source, missing)
        rows = lake.sql("select dataset, fit_dataset, energy_outside, norm_mean from geometry").fetchall()
        assert len({norm for dataset, _, _, norm in rows if dataset == "far"}) == 1
        return {(dataset, fit): outside for dataset, fit, outside, _ in rows}

    found = measure()
    assert found.keys() == {("train", "train"), ("other", "other"), ("far", "train"), ("far", "other")}
    assert found["far", "train"] != found["far", "other"]
    assert measure() == found
    assert made == [2, 2, 0, 0]
