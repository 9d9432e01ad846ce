"""Golden answers of the questions on a model's own mistakes and its confidence, in plain Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.sql.answers.rows import mean, of_model, picked, selected
from tests.sql.pool import OF_CONFIDENCE, OF_MISTAKES

if TYPE_CHECKING:
    from tests.sql.answers.rows import Row
    from tests.sql.pool import Pool

NOT_YET = "not computed yet: run `featurestore score`"
NAMES = """model detector n_id accuracy aurc eaurc augrc misclassification_auroc misclassification_fpr95 place ood_sets
    mean_auroc ood_place mean_oscr lacking"""


def selective_prediction(
    pool: Pool, detector: str = "all", ood: str = "all", benchmark: str = "main", aggregation: str = "class_mean"
) -> list[Row]:
    judged = selected(pool, benchmark=benchmark, aggregation=aggregation, ood=ood)
    told = [row for row in pool.selective if row["benchmark"] == benchmark]
    own = {(row["model"], row["detector"]): row for row in told if row["ood_dataset"] is None}
    answer = []
    for model, name in {*own, *((row["model"], row["detector"]) for row in judged)}:
        metrics = [row for row in judged if (row["model"], row["detector"]) == (model, name)]
        open_sets = [row for row in told if (row["model"], row["detector"]) == (model, name) and row["ood_dataset"]]
        row = dict.fromkeys((*OF_MISTAKES, "n_id")) | {"lacking": NOT_YET} | own.get((model, name), {})
        row |= {"model": model, "detector": name, "ood_sets": len(metrics) or None}
        row |= {"mean_auroc": mean(one["auroc"] for one in metrics)}
        row |= {"mean_oscr": mean(one["oscr"] for one in open_sets if ood in {"all", one["ood_dataset"]})}
        answer.append(row)
    for row in answer:
        rivals = [other for other in answer if other["model"] == row["model"]]
        row["place"] = place(row["augrc"], [other["augrc"] for other in rivals])
        auroc = row["mean_auroc"]
        others = [-other["mean_auroc"] for other in rivals if other["mean_auroc"] is not None]
        row["ood_place"] = place(None if auroc is None else -auroc, others)
    return picked([row for row in answer if detector in {"all", row["detector"]}], NAMES)


def place(value: float | None, among: list[float | None]) -> int | None:
    """How many are less, and one; differences in the last digits are none."""
    if value is None:
        return None
    return 1 + sum(round(other, 9) < round(value, 9) for other in among if other is not None)


def miscalibration(pool: Pool, benchmark: str = "main") -> list[Row]:
    own = {row["model"]: row for row in pool.calibration if row["dataset"] == "id"}
    answer = []
    for model in pool.models if benchmark in {"main", "other"} else ():
        name, top1 = model["model"], model["accuracy"]
        if name not in own and top1 is None:
            continue
        row = dict.fromkeys((*OF_CONFIDENCE, "n", "unlabelled")) | {"lacking": NOT_YET} | own.get(name, {})
        sure = row["confidence"]
        row |= {"overconfidence": None if sure is None else sure - row["accuracy"]}
        row |= {"accuracy": top1 if row["accuracy"] is None else row["accuracy"], "dataset": "id", "model": name}
        answer.append(row | {"pretraining": of_model(pool, name)["pretraining"]})
    names = (
        "dataset model pretraining n unlabelled accuracy confidence overconfidence ece ece_equal_mass nll brier lacking"
    )
    return picked(answer, names)
