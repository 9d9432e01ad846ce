"""What is stored, made again from what it comes from: by numpy from activations, by SQL from scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from tests.pipeline import Commands, scored

if TYPE_CHECKING:
    from featurestore import Lake


def features_of(lake: Lake, model: str, dataset: str) -> np.ndarray:
    return lake.scan("activations", model=model, dataset=dataset).collect()["feature"].to_numpy().astype(np.float64)


def labels_of(lake: Lake, model: str, dataset: str) -> np.ndarray:
    return lake.scan("activations", model=model, dataset=dataset).collect()["label"].to_numpy()


def geometry_rows(lake: Lake, model: str) -> dict[str, dict[str, Any]]:
    """What `score` wrote, by dataset."""
    return {row["dataset"]: row for row in lake.sql("from geometry").pl().to_dicts() if row["model"] == model}


def test_metrics_agree_with_the_scores_that_they_come_from(commands: Commands) -> None:
    """AUROC is one minus the mean id_rank of the OOD samples, from SQL alone."""
    rows = commands.lake.sql("""
        select abs(m.auroc - (select 1 - avg(s.id_rank) from scores s
                              where s.model = m.model and s.detector = m.detector and s.dataset = m.ood_dataset))
        from metrics m where aggregation = 'pooled'
    """).fetchall()
    assert len(rows) == 2 * (len(scored(commands, "a")) + len(scored(commands, "b")))
    assert max(difference for (difference,) in rows) < 1e-12


def test_stored_metrics_follow_from_scores_in_sql(commands: Commands) -> None:
    """fpr_at 95 % and auroc, per class and on aggregates, are what was stored, for every model and detector."""
    rows = commands.lake.sql("""
        select f.fpr - m.fpr95, a.auroc - m.auroc
        from metrics as m
        inner join fpr_at(null, null, null, 0.95) as f using (model, detector, ood_dataset, aggregation)
        inner join auroc(null, null, null) as a using (model, detector, ood_dataset, aggregation)
        where m.ood_class is not distinct from f.ood_class and m.ood_class is not distinct from a.ood_class
    """).fetchall()
    assert len(rows) == commands.lake.sql("select count(*) from metrics").fetchall()[0][0]
    assert np.abs(rows).max() < 1e-12


def test_accuracy_is_the_share_of_largest_logits_at_the_label(commands: Commands) -> None:
    for model in "ab":
        hits = [
            logits.argmax(axis=1) == label
            for label, logits in commands.lake.batches(model=model, dataset="test", columns=("label", "logits"))
        ]
        (row,) = commands.lake.read("accuracy", model=model, dataset="test").to_pylist()
        assert row == {"n": 36, "top1": pytest.approx(np.concatenate(hits).mean()), "top5": 1.0}


def geometry_by_numpy(train: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> dict[str, float]:
    """Every measure of a fit set, by numpy's own covariance, norms and eigenvalues."""
    means = np.stack([train[labels == c].mean(axis=0) for c in range(3)])
    norms = np.linalg.norm(train, axis=1)
    mean_norms = np.array([norms[labels == c].mean() for c in range(3)])
    within, between, total = (np.cov(x.T, bias=True) for x in (train - means[labels], means[labels], train))
    centred = means - means.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=1)
    cosines = (centred @ centred.T / np.outer(lengths, lengths))[np.triu_indices(3, 1)]
    weight = weight - weight.mean(axis=0)
    expected = {
        "norm_mean": norms.mean(),
        "norm_sd": norms.std(),
        "norm_sd_within": np.sqrt(((norms - mean_norms[labels]) ** 2).mean()),
        "norm_sd_between": mean_norms.std(),
        "scatter_within": np.trace(within),
        "scatter_between": np.trace(between),
        "scatter_ratio": np.trace(between) / np.trace(within),
        "nc1": np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)) / 3,
        "nc2_norms": lengths.std() / lengths.mean(),
        "nc2_angles": np.abs(cosines + 1 / 2).mean(),
        "nc3": np.linalg.norm(weight / np.linalg.norm(weight) - centred / np.linalg.norm(centred)),
        "class_cosine_mean": cosines.mean(),
        "class_cosine_sd": cosines.std(),
    }
    for name, matrix in {"within": within, "between": between, "total": total}.items():
        values = np.linalg.eigvalsh(matrix)
        share = values[values > 1e-10 * values[-1]] / values.sum()
        expected[f"effective_rank_{name}"] = np.exp(-(share * np.log(share)).sum())
        expected[f"participation_{name}"] = 1 / (share**2).sum()
    values, vectors = np.linalg.eigh(within)
    varies = values > 1e-10 * values[-1]
    along = (train - means[labels]) @ vectors[:, varies]
    kurtosis = (along**4).mean(axis=0) / (along**2).mean(axis=0) ** 2 - 3
    explained = np.cumsum(np.linalg.eigvalsh(total)[::-1]) / np.trace(total)
    dim = int((explained < 0.95).sum()) + 1
    return expected | {
        "rank_within": varies.sum(),
        "condition_within": values[-1] / values[varies][0],
        "kurtosis_within": np.abs(kurtosis).mean(),
        "principal_dim": dim,
        "energy_outside": 1 - explained[dim - 1],
    }


@pytest.mark.parametrize("model", ["a", "b"])
def test_geometry_of_the_fit_set_is_that_of_its_activations(commands: Commands, model: str) -> None:
    lake = commands.lake
    weight = np.stack(lake.read("heads", model=model).column("weight").to_numpy()).astype(np.float64)
    expected = geometry_by_numpy(features_of(lake, model, "train"), labels_of(lake, model, "train"), weight)
    row = geometry_rows(lake, model)["train"]
    # The sum over the weights of the last LayerNorm is one number for all samples, but for rounding.
    assert expected["rank_within"] == features_of(lake, model, "train").shape[1] - 1
    assert set(expected) == row.keys() - {"model", "dataset", "fit_dataset", "role", "rows"}
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize("model", ["a", "b"])
def test_geometry_of_other_sets_is_seen_from_the_fit_set(commands: Commands, model: str) -> None:
    rows = geometry_rows(commands.lake, model)
    assert {name: (row["role"], row["rows"], row["fit_dataset"]) for name, row in rows.items()} == {
        "train": ("fit", 90, "train"), "test": ("id", 36, "train"), "far": ("ood", 17, "train"),
        "unit-tests": ("ood", 8, "train"),
    }  # fmt: skip
    train = features_of(commands.lake, model, "train")
    total = np.cov(train.T, bias=True)
    dim = int(rows["train"]["principal_dim"])
    axes = np.linalg.eigh(total)[1][:, ::-1][:, dim:]
    for dataset in ("test", "far", "unit-tests"):
        features = features_of(commands.lake, model, dataset)
        apart = features - train.mean(axis=0)
        found = rows[dataset]
        assert found["norm_mean"] == pytest.approx(np.linalg.norm(features, axis=1).mean())
        assert found["norm_sd"] == pytest.approx(np.linalg.norm(features, axis=1).std())
        assert found["energy_outside"] == pytest.approx(((apart @ axes) ** 2).sum() / (apart**2).sum(), rel=1e-6)
        assert found["nc1"] is None


def test_ten_lines_of_numpy_reproduce_mahalanobis_and_its_fpr95(commands: Commands) -> None:
    lake = commands.lake
    labels, train = labels_of(lake, "a", "train"), features_of(lake, "a", "train")
    means = np.stack([train[labels == c].mean(axis=0) for c in range(3)])
    values, vectors = np.linalg.eigh(np.cov((train - means[labels]).T, bias=True))
    # The sum over the weights of the last LayerNorm is one number for all samples, but for rounding.
    kept = values > 1e-10 * values[-1]
    precision = vectors[:, kept] / values[kept] @ vectors[:, kept].T
    scores = {
        name: -np.min([np.einsum("nd,de,ne->n", h - m, precision, h - m) for m in means], axis=0)
        for name in ("test", "far")
        for h in [features_of(lake, "a", name)]
    }
    fpr95 = np.mean(scores["far"] >= np.quantile(scores["test"], 0.05))

    for name, own in scores.items():
        held = lake.scan("scores", model="a", dataset=name, detector="mahalanobis").collect()["score"].to_numpy()
        np.testing.assert_allclose(held, own, rtol=1e-7)
    pooled = lake.scan("metrics", model="a").filter(
        pl.col("detector") == "mahalanobis", pl.col("ood_dataset") == "far", pl.col("aggregation") == "pooled"
    )
    assert pooled.collect()["fpr95"].item() == fpr95
