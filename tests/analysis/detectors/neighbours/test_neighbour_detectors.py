from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp, softmax

from analysis.detectors import get
from analysis.detectors.comparison import compare
from analysis.detectors.held_rows import HeldRows
from analysis.rows.activations import Activations
from analysis.rows.lake_rows import hashed
from analysis.statistics.statistic import SweepContext
from analysis.statistics.sweep import columns_of, gather_lane
from featurestore.errors import InputError
from tests.analysis.conftest import clustered
from tests.analysis.gathered import fitted, fitted_and_warned, scored
from tests.analysis.modelled import Modelled, modelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from analysis.statistics.statistic import Accumulator, Statistic
    from analysis.statistics.sweep import Blocks

    Float64 = NDArray[Any]

SHAPES = {"knn": 1000, "knn.openood": 50, "knn@k=10": 10, "knn.sampled": 10}


def unit(rows: Float64) -> Float64:
    return rows.astype(float) / np.linalg.norm(rows.astype(float), axis=1, keepdims=True)


def sampled(model: Modelled, share: float) -> NDArray[np.int64]:
    """Positions of the rows whose numbers hash lowest."""
    count = max(1, int(share * len(model.rows)))
    return np.sort(np.argsort(hashed(np.arange(len(model.rows)), 1))[:count])


def naive_knn(bank: Float64, queries: Float64, neighbours: int) -> Float64:
    """Sort all squared distances, one query at a time."""
    bank = unit(bank)
    return np.array([-np.sort(((query - bank) ** 2).sum(axis=1))[neighbours - 1] for query in unit(queries)])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("name", ["knn", "knn.openood", "knn@k=10"])
def test_knn_equals_sorted_distances(name: str, dtype: type) -> None:
    """To the digits of float64, although the neighbours are found in float32."""
    model = modelled(clustered(0, 3000, 24, 5))
    rows = Activations(model.rows.feature.astype(dtype), model.rows.logits64, model.head)
    queries = Activations(np.concatenate([model.queries.feature.astype(dtype), rows.feature[:5]]))
    slow = naive_knn(rows.feature, queries.feature, SHAPES[name])
    assert_allclose(scored(name, rows, model.labels, queries, rows_per_block=500), slow, rtol=1e-12)
    assert_allclose(scored(name, rows, model.labels, queries, rows_per_block=77, shards=3), slow, rtol=1e-12)


@pytest.mark.parametrize("name", ["knn", "knn.openood"])
def test_lanes_of_other_processes_are_merged(name: str) -> None:
    """Each with lists of its own, which come back without the queries; the answer is that of lanes that share theirs."""
    model = modelled(clustered(0, 3000, 24, 5))

    def elsewhere(
        rows: Blocks, statistics: Sequence[Statistic], context: SweepContext, advance: Callable[[int], None]
    ) -> Iterator[list[Accumulator]]:
        assert isinstance(rows, HeldRows)
        for lane in rows.lanes(columns_of(statistics)):
            gathered = pickle.dumps(gather_lane(rows, lane, statistics, replace(context), advance))
            assert len(gathered) < 13 * len(model.queries) * 1.25 * (SHAPES[name] + 64) + 100_000
            yield pickle.loads(gathered)

    context = SweepContext(5, 24, 3000, "float64")
    rows = HeldRows(model.rows, model.labels, rows_per_block=300, shards=4)
    found = compare(rows, [get(name)], model.queries, context, run=elsewhere)[name]
    assert_array_equal(found, scored(name, model.rows, model.labels, model.queries, shards=2))


def test_knn_is_exact_where_float32_is_not() -> None:
    """Distances of 1e-4 between unit vectors, of which 2 - 2 cos in float32 keeps no digit."""
    rng = np.random.default_rng(0)
    rows = Activations(1 + 3e-5 * rng.normal(size=(700, 30)))
    queries = Activations(1 + 3e-5 * rng.normal(size=(20, 30)))
    slow = naive_knn(rows.feature, queries.feature, 50)
    assert slow.min() > -1e-6
    model = Modelled(rows, np.zeros(700, int), queries)
    found = scored("knn.openood", rows, model.labels, queries)
    # More samples than are kept lie within float32's rounding of the K-th: the answer is within it too.
    assert_allclose(found, slow, rtol=0, atol=1e-6)
    wide = Activations(np.concatenate([rows.feature[:80], rng.normal(size=(620, 30))]))
    assert_allclose(
        scored("knn.openood", wide, model.labels, queries), naive_knn(wide.feature, queries.feature, 50), rtol=1e-10
    )


def test_copies_of_a_sample_are_neighbours_at_no_distance() -> None:
    """Sixty copies of the query come before everything else."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 6))
    features[40:100] = features[0]
    found = scored("knn.openood", Activations(features), np.zeros(300, int), Activations(features[:2]))
    assert found[0] == 0
    assert found[1] < -0.01


@pytest.mark.parametrize(("name", "rows"), [("knn", 999), ("knn.openood", 49), ("knn.sampled", 999)])
def test_a_bank_smaller_than_k_is_an_error(name: str, rows: int) -> None:
    """Both numbers are named; one more row of the fit set is enough."""
    rng = np.random.default_rng(0)
    features, logits = rng.normal(size=(rows + 1, 3)), rng.normal(size=(rows + 1, 2))
    queries = Activations(features[:2])
    labels = np.zeros(rows + 1, int)
    with pytest.raises(InputError, match=f"{name} goes by .* K = {SHAPES[name]} nearest.* has only "):
        scored(name, Activations(features[:-1], logits[:-1]), labels[:-1], queries)
    assert len(scored(name, Activations(features, logits), labels, queries)) == 2


@pytest.mark.parametrize("shards", [1, 3])
def test_sampled_knn_equals_sorted_distances_to_its_bank(shards: int) -> None:
    """1 % of 2,000 rows are 20, the same ones in any order."""
    model = modelled(clustered(0, 2000, 8, 5))
    bank = model.rows.feature[sampled(model, 0.01)]
    fast = scored("knn.sampled", model.rows, model.labels, model.queries, shards=shards)
    assert_allclose(fast, naive_knn(bank, model.queries.feature, 10), rtol=1e-12)
    bank = model.rows.feature[sampled(model, 0.05)]
    fast = scored("knn.sampled@share=0.05,k=3", model.rows, model.labels, model.queries, shards=shards)
    assert_allclose(fast, naive_knn(bank, model.queries.feature, 3), rtol=1e-12)


def naive_nnguide(model: Modelled, neighbours: int, share: float = 0.01) -> Float64:
    chosen = sampled(model, share)
    bank = unit(model.rows.feature[chosen]) * logsumexp(model.rows.logits64[chosen], axis=1)[:, None]
    scores = []
    for query, logits in zip(unit(model.queries.feature), model.queries.logits64, strict=True):
        largest = np.sort(bank @ query)[-min(neighbours, len(bank)) :]
        scores.append(logsumexp(logits) * largest.mean())
    return np.array(scores)


@pytest.mark.parametrize(("name", "neighbours"), [("nnguide", 1000), ("nnguide.openood", 100)])
def test_nnguide_equals_the_formula(name: str, neighbours: int) -> None:
    """With a bank larger and smaller than K."""
    for rows in (12_000, 900):
        model = modelled(clustered(0, rows, 8, 5))
        fast = scored(name, model.rows, model.labels, model.queries, rows_per_block=2048, shards=2)
        assert_allclose(fast, naive_nnguide(model, neighbours), rtol=1e-12)
    fast = scored("nnguide@share=0.03,k=7", model.rows, model.labels, model.queries)
    assert_allclose(fast, naive_nnguide(model, 7, 0.03), rtol=1e-12)
    # Of a bank so much larger than K the largest products are found in float32, and multiplied again.
    fast = scored("nnguide@share=0.5,k=7", model.rows, model.labels, model.queries)
    assert_allclose(fast, naive_nnguide(model, 7, 0.5), rtol=1e-12)


def test_nnguide_says_that_its_bank_is_smaller_than_k() -> None:
    """The number that took the place of K is named."""
    model = modelled(clustered(0, 900, 8, 5))
    fit, warned = fitted_and_warned("nnguide", model.rows, model.labels)
    assert fit.neighbours == 9
    assert warned == ["nnguide takes the mean over K = 9 neighbours in place of 1000: its bank has no more"]


GRID = [*np.linspace(0.001, 0.1, 100), *np.linspace(0.105, 0.5, 81), *np.linspace(0.51, 0.99, 49)]


def naive_cfood(bank: Float64, queries: Float64, *, ties: float = 1e-11, share: float = 0.01) -> Float64:
    """The definition: all squared distances between references, sorted, and every size in turn."""
    bank, count = unit(bank), len(bank)
    apart = [np.sort(np.delete(((bank - row) ** 2).sum(axis=1), j)) for j, row in enumerate(bank)]
    scores = []
    for query in unit(queries):
        distances = ((bank - query) ** 2).sum(axis=1)
        kappa, seen = 1.0, set()
        for size in GRID:
            position = int(size * count - 1)
            if position in seen:
                continue
            seen.add(position)
            reached = sum(apart[j][position] + ties >= distances[j] for j in range(count))
            if reached / count >= share:
                kappa = size
                break
        scores.append(-kappa)
    return np.array(scores)


@pytest.mark.parametrize(("rows", "dim"), [(25, 4), (400, 6), (3000, 16), (2500, 2)])
def test_cfood_equals_the_definition(rows: int, dim: int) -> None:
    """Banks of 2 to 300 references; scores that tie, tie."""
    model = modelled(clustered(1, rows, dim, 3), queries=60)
    fast = scored("cfood", model.rows, model.labels, model.queries, shards=2)
    assert_allclose(fast, naive_cfood(model.rows.feature[sampled(model, 0.1)], model.queries.feature), rtol=1e-14)
    assert rows < 400 or len(np.unique(fast)) > 5
    fast = scored("cfood@alpha=0.2,k=0.1", model.rows, model.labels, model.queries)
    slow = naive_cfood(model.rows.feature[sampled(model, 0.2)], model.queries.feature, share=0.1)
    assert_allclose(fast, slow, rtol=1e-14)


def test_cfood_counts_references_at_equal_distance() -> None:
    """On a lattice nearly all distances tie, and some references are copies of each other and of the queries."""
    rng = np.random.default_rng(0)
    features = rng.integers(-1, 2, (2000, 5)).astype(float)
    features[:, 0] = 1
    queries = Activations(np.concatenate([features[:40], -features[:20]]))
    rows = Activations(features)
    model = Modelled(rows, np.zeros(2000, int), queries)
    fast = scored("cfood", rows, model.labels, queries)
    assert_allclose(fast, naive_cfood(features[sampled(model, 0.1)], queries.feature), rtol=1e-14)


def test_cfood_does_not_depend_on_order_scale_or_threads() -> None:
    """The same fit from the same samples, whatever their norms."""
    model = modelled(clustered(1, 600, 5, 3))
    once, again = (
        fitted("cfood", Activations(model.rows.feature * factor), model.labels, shards=shards)
        for factor, shards in ((1.0, 1), (3.0, 4))
    )
    assert_allclose(again.bank, once.bank, rtol=1e-14)
    assert_allclose(again.reach, once.reach, rtol=1e-12, atol=1e-14)
    assert (np.diff(once.reach, axis=0) <= 0).all()


def test_cfood_needs_two_references() -> None:
    """A tenth of nineteen rows is one."""
    model = modelled(clustered(1, 19, 5, 3))
    with pytest.raises(InputError, match=r"a share of 0\.1 of the fit set has 1"):
        scored("cfood", model.rows, model.labels, model.queries)


def naive_relation(model: Modelled, power: float = 1, threshold: float = 0.03) -> Float64:
    """One pair at a time."""
    said, fitted_rows = softmax(model.rows.logits64, axis=1), unit(model.rows.feature)
    scores = []
    for query, logits in zip(unit(model.queries.feature), model.queries.logits64, strict=True):
        related = [max(query @ row, 0) * (softmax(logits) @ p) for row, p in zip(fitted_rows, said, strict=True)]
        scores.append(sum(value**power for value in related if value > threshold))
    return np.array(scores)


@pytest.mark.parametrize("classes", [3, 40, 300])
@pytest.mark.parametrize("sharpness", [0.1, 1.0, 30.0])
@pytest.mark.parametrize("dense", [0.02, 2.0])
def test_relation_equals_the_formula(
    classes: int, sharpness: float, dense: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For predictions flat and sharp, whether pairs are multiplied all together or singly."""
    monkeypatch.setattr("analysis.detectors.neighbours.relation._DENSE", dense)
    model = modelled(clustered(classes, 300, 10, classes))
    rows, queries = (
        Activations(part.feature, sharpness * part.logits64, model.head) for part in (model.rows, model.queries)
    )
    model = Modelled(rows, model.labels, queries)
    slow = naive_relation(model)
    assert_allclose(scored("relation", rows, model.labels, queries, classes=classes), slow, rtol=1e-11, atol=1e-14)
    assert_allclose(
        scored("relation", rows, model.labels, queries, classes=classes, shards=3, rows_per_block=23), slow, rtol=1e-11
    )
    fast = scored("relation@power=2,threshold=0.1", rows, model.labels, queries, classes=classes)
    assert_allclose(fast, naive_relation(model, 2, 0.1), rtol=1e-11, atol=1e-14)
