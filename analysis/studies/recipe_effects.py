"""What each recipe ingredient does to FPR, all else equal: pairs of models that differ in it alone.

Run it with `python -m analysis.studies.recipe_effects --lake LAKE --out effects.html`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from analysis.charts.palette import CLEAR_COLOURS, by_ood_set, nil, pick_detector, tooltips
from analysis.studies.command import run
from analysis.studies.results import by_sign

if TYPE_CHECKING:
    from featurestore.lake import Lake

_KEYS = ("ingredient", "from_value", "to_value", "ood_dataset", "detector")
_MEASURES = (
    "pairs",
    "clusters",
    "mean_difference",
    "low",
    "high",
    "improved",
    "worsened",
    "p",
    "p_mean",
    "p_holm",
    "from_fpr95",
)
_BETTER, _WORSE, _UNCLEAR = "lower FPR", "higher FPR", "interval includes 0"


def data(lake: Lake, benchmark: str = "main") -> pl.DataFrame:
    """One row per change of an ingredient, OOD set and detector: the view `effects`, which the `…_effect` questions read.

    Args:
        lake: The lake.
        benchmark: The benchmark.

    Returns:
        Columns ingredient, from_value, to_value, ood_dataset, detector, pairs, clusters, mean_difference (of fpr95, to minus from),
        low and high (95 % interval of the mean difference; null for a single cluster), improved, worsened (pairs), p (of the
        sign test on clusters), p_mean (of the mean, by Student's t), p_holm (corrected for all changes
        of the ingredient and all detectors), from_fpr95 and to_fpr95 (means over clusters of pairs), change (as text) and effect.
    """
    return (
        effects(lake, benchmark)
        .filter(pl.col("pairs") > 0)
        .select(*_KEYS, *_MEASURES)
        .with_columns(
            to_fpr95=pl.col("from_fpr95") + pl.col("mean_difference"),
            change=pl.format(
                "{}  {} → {}",
                pl.col("ingredient").str.replace_all("_", " "),
                *(pl.col(value).map_elements(in_words, pl.String) for value in ("from_value", "to_value")),
            ),
            effect=by_sign("low", "high", below=_BETTER, above=_WORSE, unclear=_UNCLEAR),
        )
        .sort(_KEYS)
    )


def in_words(value: str) -> str:
    """The value of an ingredient without the JSON that the rest of a recipe is.

    >>> in_words('{"mixup":0.5,"smoothing":0.1}'), in_words("resnet50")
    ('mixup 0.5, smoothing 0.1', 'resnet50')
    """
    try:
        said = json.loads(value)
    except ValueError:
        return value
    return ", ".join(f"{key} {option}" for key, option in said.items()) if said and isinstance(said, dict) else value


def effects(lake: Lake, benchmark: str) -> pl.DataFrame:
    """The rows of the view `effects` for the mean over OOD classes; those without pairs only count models left out."""
    frame: pl.DataFrame = lake.sql("from effects where aggregation = 'class_mean'").pl()
    return frame.filter(pl.col("benchmark") == benchmark)


def chart(frame: pl.DataFrame, detector: str = "mahalanobis") -> alt.FacetChart:
    """The difference that each change makes, with its interval, from zero; pick the detector.

    Args:
        frame: What `data` returns.
        detector: The one that is picked at first.
    """
    chosen = pick_detector(frame["detector"], detector)
    scale = alt.Scale(domain=[_BETTER, _WORSE, _UNCLEAR], range=CLEAR_COLOURS)
    in_points = {name: f"100 * datum.{name}" for name in ("mean_difference", "low", "high")}
    base = (
        alt.Chart(frame)
        .transform_filter(chosen)
        .transform_calculate(**{f"{name}_points": of for name, of in in_points.items()})
    )
    rows = base.encode(
        y=alt.Y("change:N", title=None, axis=alt.Axis(labelLimit=260, grid=True)),
        color=alt.Color("effect:N", title=None, scale=scale),
    )
    numbers = {
        "from_fpr95": ".3f",
        "to_fpr95": ".3f",
        "mean_difference": "+.3f",
        "low": "+.3f",
        "high": "+.3f",
        "p": ".2g",
        "p_holm": ".2g",
    }
    tooltip = tooltips(("change", "detector", "pairs", "clusters", "improved", "worsened", *numbers), numbers)
    x = alt.X("mean_difference_points:Q", title="Difference of FPR (percentage points)", axis=alt.Axis(tickCount=6))
    intervals = rows.mark_rule(strokeWidth=2).encode(x="low_points:Q", x2="high_points:Q")
    points = rows.mark_point(filled=True, size=70, opacity=1).encode(x=x, tooltip=tooltip)
    layers = alt.layer(nil(base), intervals, points).add_params(chosen).properties(width=300, height=alt.Step(22))
    return by_ood_set(layers)


if __name__ == "__main__":
    run(data, chart)
