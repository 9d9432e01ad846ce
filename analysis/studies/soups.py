"""Soups: does a model of averaged weights detect better than the models that it was averaged from?

Run it with `python -m analysis.studies.soups --lake LAKE --out soups.html`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import polars as pl
from scipy.sparse.csgraph import connected_components

from analysis.charts.palette import COLOURS, FPR, GREY, by_ood_set, pick_detector, tooltips
from analysis.studies.command import run
from analysis.studies.results import leading, results

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from featurestore.lake import Lake

_SOUP, _INGREDIENT = "soup", "ingredient"


def data(lake: Lake, benchmark: str = "main") -> pl.DataFrame:
    """One row per soup, model of it (itself and its ingredients), detector and OOD set; empty without soups.

    Args:
        lake: The lake.
        benchmark: The benchmark.

    Returns:
        Columns soup, group (as `groups` has it), model, part ("soup" or "ingredient"), detector, ood_dataset, accuracy, fpr95, auroc,
        and gain: how much lower the FPR is than that of the soup's ingredients on average.
    """
    soups: pl.DataFrame = lake.sql("select model as soup, soup_of from models where len(soup_of) > 0").pl()
    ingredients = soups.select("soup", model="soup_of", part=pl.lit(_INGREDIENT)).explode("model")
    parts = pl.concat([soups.select("soup", model="soup", part=pl.lit(_SOUP)), ingredients.cast(pl.String)])
    columns = ("model", "detector", "ood_dataset", "accuracy", "fpr95", "auroc")
    judged = parts.join(results(lake, benchmark).select(columns), on="model")
    of_ingredients = pl.col("fpr95").filter(pl.col("part") == _INGREDIENT).mean()
    gain = of_ingredients.over("soup", "detector", "ood_dataset") - pl.col("fpr95")
    of_soups = groups(dict(soups.iter_rows()))
    group = pl.col("soup").replace_strict(of_soups, return_dtype=pl.Int64)
    return judged.with_columns(group=group, gain=gain).sort("ood_dataset", "detector", "soup", "part", "model")


def groups(ingredients: Mapping[str, Collection[str]]) -> dict[str, int]:
    """The number of each soup's group: soups that share an ingredient, or do through others, are one, as their gains are not independent.

    >>> groups({"a": ["x", "y"], "b": ["y", "z"], "c": ["w"]})
    {'a': 0, 'b': 0, 'c': 1}
    """
    names = sorted({name for of in ingredients.values() for name in of})
    holds = np.array([[name in of for name in names] for of in map(set, ingredients.values())], int)
    numbers = connected_components(holds @ holds.T, directed=False)[1].tolist() if names else []
    return dict(zip(ingredients, numbers, strict=True))


def chart(frame: pl.DataFrame, detector: str = "") -> alt.FacetChart:
    """Each soup beside its ingredients; pick the detector.

    Args:
        frame: What `data` returns.
        detector: The one that is picked at first; by default that with the lowest mean FPR.
    """
    chosen = pick_detector(frame["detector"], detector or leading(frame)[0])
    numbers = ("accuracy", "fpr95", "auroc", "gain")
    points = (
        alt.Chart(frame)
        .transform_filter(chosen)
        .mark_point(filled=True, opacity=0.85)
        .encode(
            x=alt.X("fpr95:Q", title=FPR, scale=alt.Scale(zero=False, padding=10)),
            y=alt.Y("soup:N", title=None),
            color=alt.Color("part:N", title=None, scale=alt.Scale(domain=[_SOUP, _INGREDIENT], range=[COLOURS[1], GREY])),
            shape=alt.Shape("part:N", title=None, scale=alt.Scale(domain=[_SOUP, _INGREDIENT], range=["diamond", "circle"])),
            size=alt.condition(f"datum.part == '{_SOUP}'", alt.value(160), alt.value(45)),
            tooltip=tooltips(("soup", "model", "detector", *numbers), dict.fromkeys(numbers, ".3f")),
        )
        .add_params(chosen)
        .properties(width=300, height=alt.Step(34))
    )  # fmt: skip
    return by_ood_set(points)


if __name__ == "__main__":
    run(data, chart)
