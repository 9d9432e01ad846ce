"""Golden answers of the regression on recipes, by numpy: each fit is made anew, without whichever unit."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from tests.sql.answers.rows import grouped, holm, mean, of_model, selected, short_architecture

if TYPE_CHECKING:
    from tests.sql.answers.rows import Row
    from tests.sql.pool import Pool

COLUMNS = (
    "pretraining", "pretrain_epochs", "pretrain_lr", "pretrain_weight_decay", "weight_decay", "dropout", "stochastic_depth",
    "augmentation", "finetune_dataset", "finetune_lr", "finetune_steps", "finetune_epochs",
)  # fmt: skip
OF_CHECKPOINT = (
    "architecture", "pretraining", "pretrain_epochs", "pretrain_lr", "dropout", "stochastic_depth", "augmentation",
)  # fmt: skip
NOTHING = dict.fromkeys(
    ("ingredient", "scale", "standardised", "low", "high", "freedom", "p", "change", "explained"), None
)
FEW = 10


def _rank(matrix: Any) -> int:
    """Its rank; older numpy has none of a matrix without rows or columns."""
    return int(np.linalg.matrix_rank(matrix)) if matrix.size else 0


def refitted(x: Any, units: Any, y: Any) -> tuple[Any, Any, Any]:
    """Least squares, and what leaving out units in turn tells of it.

    Args:
        x: Columns, (n, k), of full rank.
        units: What each row is left out with, (n,).
        y: Numbers, (n, draws).

    Returns:
        Coefficients (k, draws); their standard errors, likewise, scaled to be right where all errors are alike; and degrees of
        freedom (k,), NaN of a coefficient that some unit alone tells.
    """
    coefficients, inverse = np.linalg.lstsq(x, y, rcond=None)[0], np.linalg.inv(x.T @ x)
    left = np.eye(len(x)) - x @ inverse @ x.T
    variances, projected, alone = np.zeros_like(coefficients), [], np.zeros(x.shape[1], bool)
    for unit in dict.fromkeys(units):
        of, others = units == unit, x[units != unit]
        moved = np.linalg.lstsq(others, y[~of], rcond=None)[0] - coefficients
        variances += moved**2
        ranks = [_rank(others[:, :n]) for n in range(x.shape[1] + 1)]
        alone |= np.diff(ranks) == 0
        projected.append(left[:, of] @ np.linalg.pinv(left[np.ix_(of, of)], rcond=1e-9) @ x[of] @ inverse)
    products = np.einsum("gnk,hnk->kgh", np.array(projected), np.array(projected))
    traces = np.trace(products, axis1=1, axis2=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = np.where(alone, np.nan, traces**2 / (products**2).sum((1, 2)))
        return coefficients, np.sqrt(variances * (np.diag(inverse) / traces)[:, None]), freedom


def told(model: Row) -> dict[str, Any]:
    """The ingredients of a model: text, number or None."""
    sizeless = re.sub(rf"_{model['input_size'] or 0}(?=\.|$)", "", model["architecture"] or "") or None
    found = {name: model.get(name) for name in COLUMNS} | {
        "architecture": short_architecture(model | {"architecture": sizeless}),
        "resolution": model["input_size"],
    }
    others = json.loads(model.get("recipe") or "{}")
    kept = {name: value for name, value in others.items() if name not in {"run", "seed", "inferred"}}
    found |= {f"recipe.{n}": str(v).lower() if isinstance(v, bool) else v for n, v in kept.items()}
    drawn = re.fullmatch(r"rand-m([0-9.]+)-n(\d+)", found["augmentation"] or "")
    if drawn or found["augmentation"] == "none":
        operations = float(drawn[2]) if drawn else 0.0
        magnitude = float(drawn[1]) if drawn and operations else 0.0
        found |= {"augmentation.operations": operations, "augmentation.magnitude": magnitude}
    return found


def checkpoint_of(model: Row) -> Any:
    values = told(model)
    decay = model.get("pretrain_weight_decay") or model.get("weight_decay")
    return model.get("checkpoint_id") or (decay, *(values[name] for name in OF_CHECKPOINT))


def columns_of(recipes: list[dict[str, Any]]) -> tuple[dict[str, str], list[str]]:
    """Which ingredients count and how, and the others, each with why it does not."""
    names = sorted({name for recipe in recipes for name in recipe})
    is_drawn = any(str(r["augmentation"]).startswith("rand-") for r in recipes) and all(
        r["augmentation"] is None or "augmentation.operations" in r for r in recipes
    )
    kinds, reasons = {}, []
    for name in names:
        if name.partition(".")[0] == "augmentation" and ("." in name) != is_drawn:
            continue
        values = [r[name] for r in recipes if r.get(name) is not None]
        is_number = all(isinstance(value, int | float) for value in values)
        if 2 * len(values) < len(recipes):
            reasons.append(f"{name} (unknown)")
        elif len(set(values)) < 2:
            reasons.append(f"{name} (constant)")
        elif name.startswith("recipe.") and not is_number and 5 * len(set(values)) > len(recipes):
            reasons.append(f"{name} (too many values)")
        else:
            is_rate = re.search(r"(^|[_.])(lr|weight_decay)$", name)
            kinds[name] = "text" if not is_number else "log10" if is_rate and min(values) > 0 else "number"
    return kinds, reasons


def coded(recipes: list[dict[str, Any]], kinds: dict[str, str]) -> dict[tuple[str, str], Any]:
    """Columns by name and scale; all texts' values against none, or the most frequent, have one."""
    found = {}
    for name, kind in kinds.items():
        values = [recipe[name] for recipe in recipes]
        if kind == "text":
            counts = Counter(values)
            reference = min(counts, key=lambda value: (value != "none", -counts[value], value))
            for value in set(values) - {reference}:
                found[f"{name}={value}", f"against {reference}"] = np.array([float(v == value) for v in values])
        else:
            found[name, kind] = np.log10(values) if kind == "log10" else np.array(values, float)
    return dict(sorted(found.items()))


def recipe_regression(
    pool: Pool,
    detector: str = "mahalanobis",
    within: str = "pretraining",
    least: int = 5,
    metric: str = "fpr95",
    **chosen: Any,
) -> list[Row]:
    models = [of_model(pool, model["model"]) for model in pool.models]
    models = [model | {"of": within_of(model, within)} for model in models if model.get("source") != "ensemble"]
    recipes: dict[str, list[Row]] = {}
    for model in sorted(models, key=lambda model: model["model"]):
        recipes.setdefault(repr((told(model), model.get("soup_of"), model["of"])), []).append(model)
    answer: list[Row] = []
    rows = selected(pool, detector=detector, **chosen)
    for cell, of_cell in grouped(rows, "ood_dataset", "detector"):
        values = {row["model"]: row[metric] for row in of_cell}
        for of in {model["of"]: None for model in models if model["model"] in values}:
            alike = [repeats for repeats in recipes.values() if repeats[0]["of"] == of]
            row = cell | {"pretraining": of[0], "feature": of[1]}
            answer += [row | found for found in regression(alike, values, within, least)]
    for _, family in grouped(answer, "ood_dataset"):
        holm(family, "p")
    return answer


def within_of(model: Row, within: str) -> tuple[str | None, str | None]:
    return ("all" if within == "all" else model["pretraining"], model.get("feature"))


def regression(alike: list[list[Row]], values: dict[str, float], within: str, least: int) -> list[Row]:
    """One row per coefficient of the models of a pool, repeats together, or one that has none."""
    judged = [model["model"] for repeats in alike for model in repeats if model["model"] in values]
    usable = [r for r in alike if r[0].get("soup_of") is None and (within == "all" or r[0]["pretraining"] is not None)]
    hidden = set() if within == "all" else {"pretraining"}
    recipes = [{name: value for name, value in told(r[0]).items() if name not in hidden} for r in usable]
    kinds, reasons = columns_of(recipes)
    complete = [i for i, recipe in enumerate(recipes) if kinds and all(recipe.get(n) is not None for n in kinds)]
    columns = coded([recipes[i] for i in complete], kinds)
    scored = [[values[model["model"]] for model in usable[i] if model["model"] in values] for i in complete]
    members = [place for place, numbers in enumerate(scored) if numbers]
    used = sum(map(len, scored))
    row = dict.fromkeys(("recipes", "checkpoints"), 0) | {"models": used, "left_out": len(judged) - used}
    row |= {"ingredients_left_out": ", ".join(reasons) or None, "speaks_of": "too few to tell"}
    if not members:
        return [NOTHING | row]
    checkpoints = [checkpoint_of(usable[complete[place]][0]) for place in members]
    found = fitted(
        {key: column[members] for key, column in columns.items()},
        checkpoints,
        np.array([mean(scored[place]) for place in members]),
        least,
    )
    return [
        row | one | {"ingredients_left_out": ", ".join([*reasons, *one["ingredients_left_out"]]) or None}
        for one in found
    ]


def fitted(columns: dict[tuple[str, str], Any], checkpoints: list[Any], y: Any, least: int) -> list[Row]:
    different = list(dict.fromkeys(checkpoints))
    of = np.array([different.index(checkpoint) for checkpoint in checkpoints])
    is_few = len(different) < FEW
    intercepts = (of[:, None] == np.arange(len(different))).astype(float) if is_few else np.ones((len(y), 1))
    spreads = {key: column.std(ddof=1) if np.ptp(column) else 0.0 for key, column in columns.items()}
    x, kept, collinear = intercepts, [], []
    for key, column in columns.items():
        wider = np.column_stack([x, (column - column.mean()) / (spreads[key] or 1)])
        if spreads[key] and np.linalg.matrix_rank(wider, tol=1e-7) > x.shape[1]:
            x, kept = wider, [*kept, key]
        else:
            is_of_checkpoint = is_few and not any(np.ptp(column[of == one]) for one in set(of))
            why = "the same within each checkpoint" if is_of_checkpoint else "collinear"
            collinear.append(f"{key[0]} ({why})")
    is_told, spread = len(y) >= least * x.shape[1], y.std(ddof=1) if np.ptp(y.round(12)) else 0.0
    row = {"recipes": len(y), "checkpoints": len(different), "ingredients_left_out": collinear}
    if not kept:
        return [NOTHING | row | {"speaks_of": "too few to tell"}]
    alone = "this checkpoint" if len(different) == 1 else f"these {len(different)} checkpoints"
    whom = f"finetunes of {alone}" if is_few else "checkpoints like these"
    row |= {"speaks_of": whom if is_told else "too few to tell"}
    scaled = (y - y.mean()) / (spread or 1)
    coefficients, errors, freedom = refitted(x, np.arange(len(y)) if is_few else of, scaled[:, None])
    explained = 1 - float(((scaled[:, None] - x @ coefficients) ** 2).sum() / (len(y) - 1))
    answer = []
    for place, (name, scale) in enumerate(kept, intercepts.shape[1]):
        found = NOTHING | row | {"ingredient": name, "scale": scale}
        if is_told and spread:
            per = 1 / spreads[name, scale] if scale.startswith("against") else 1.0
            found |= {"standardised": per * coefficients[place, 0], "explained": explained}
            found["change"] = coefficients[place, 0] * spread / spreads[name, scale]
            if freedom[place] + 1e-6 >= 4:
                found["freedom"] = int(freedom[place] + 1e-6)
                t = stats.t(found["freedom"])
                half = t.ppf(0.975) * errors[place, 0]
                found |= {"low": per * (coefficients[place, 0] - half), "high": per * (coefficients[place, 0] + half)}
                found["p"] = 2 * t.sf(abs(coefficients[place, 0] / errors[place, 0]))
        answer.append(found)
    return answer
