"""The best detector: found where it is far ahead, and where none is better seldom called so, though the leader was chosen."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

from featurestore.query import catalog
from tests.sql.conftest import insert
from tests.sql.pool import WHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

DETECTORS = 8
# Of each pretraining, how many checkpoints, and how many finetunes of each.
DESIGNS = {3: [(3, 1)], 5: [(5, 1)], 8: [(4, 1), (4, 1)], 16: [(4, 2), (4, 2)], 296: [(28, 4), (28, 4), (18, 4)]}


def verdicts(
    connection: duckdb.DuckDBPyConnection, groups: Sequence[tuple[int, int]], draws: int, ahead: float = 0.0
) -> pl.DataFrame:
    """Of models whose checkpoints suit one detector or another by chance alone, on so many OOD sets.

    Args:
        connection: Over an empty lake.
        groups: Of each pretraining, how many checkpoints, and how many finetunes of each.
        draws: How many OOD sets.
        ahead: By how much the first detector is better than the others, in truth.
    """
    generator = np.random.default_rng(0)
    models, checkpoints = [], []
    for pretraining, (count, finetunes) in enumerate(groups):
        for checkpoint, finetune in itertools.product(range(count), range(finetunes)):
            name = {"model": f"m{len(models)}", "checkpoint_id": f"{pretraining}-{checkpoint}"}
            models.append(WHOLE | name | {"pretraining": f"p{pretraining}", "finetune_lr": 0.001 * (1 + finetune)})
            checkpoints.append(f"{pretraining}-{checkpoint}")
    _, of = np.unique(checkpoints, return_inverse=True)
    shape = (draws, DETECTORS, len(models))
    shared = generator.normal(size=(draws, DETECTORS, of.max() + 1))[:, :, of]
    drawn = 0.5 + 0.02 * (np.sqrt(0.8) * shared + np.sqrt(0.2) * generator.normal(size=shape))
    drawn[:, 0] -= ahead
    places = np.indices(shape).reshape(3, -1)
    cells = pl.DataFrame({"fpr95": drawn.ravel(), "auroc": 1 - drawn.ravel()}).with_columns(
        ood_dataset=pl.format("d{}", pl.Series(places[0])),
        detector=pl.format("rule-{}", pl.Series(places[1])),
        model=pl.format("m{}", pl.Series(places[2])),
        benchmark=pl.lit("main"),
        aggregation=pl.lit("class_mean"),
        id_dataset=pl.lit("id"),
    )
    insert(connection, "models", models)
    connection.register("new_rows", cells)
    connection.execute("delete from stored.metrics")
    connection.execute("insert into stored.metrics by name from new_rows")
    question = catalog.questions()["best_detector"]
    return connection.sql(question.sql, params=question.bind({})).pl()


@pytest.mark.parametrize("models", DESIGNS)
def test_where_none_is_better_seldom_one_is_called_so(connection: duckdb.DuckDBPyConnection, models: int) -> None:
    """In 5 % of the OOD sets or less, but for two standard errors, of all pretrainings and detectors at once."""
    draws = 60 if models == 296 else 200
    answer = verdicts(connection, DESIGNS[models], draws)
    called = answer.group_by("ood_dataset").agg(pl.col("verdict").is_in(["best", "behind"]).any())
    assert len(called) == draws
    assert called["verdict"].mean() <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / draws)
    # The difference from the leader, who was chosen, is above zero without any effect.
    assert answer["behind"].min() >= 0
    assert answer["behind"].mean() > 0.001


def test_a_detector_that_is_far_ahead_is_the_best(connection: duckdb.DuckDBPyConnection) -> None:
    """Of 296 models; of three none is, and it is not said that they are alike."""
    answer = verdicts(connection, DESIGNS[296], 1, ahead=0.1)
    assert dict(answer.group_by("detector").agg(pl.col("verdict").unique()).iter_rows()) == {
        "rule-0": ["best"],
        **{f"rule-{n}": ["behind"] for n in range(1, DETECTORS)},
    }
    of_three = verdicts(connection, DESIGNS[3], 1)
    assert set(of_three["verdict"]) == {"leads", "too few to tell"}
    close = verdicts(connection, DESIGNS[296], 1)
    assert "within 5 points" in set(close["verdict"])
