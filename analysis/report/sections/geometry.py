"""The geometry of feature spaces: what differs between pretrainings, and what goes with FPR."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from analysis.report.section_items import Finding, SectionBody, TableView, findings
from analysis.report.sections.section import Section
from analysis.report.sentences import FEW, Number, Text, clustered, correlation, hedge, other_sign, sentence, span
from analysis.studies import geometry, geometry_vs_fpr
from featurestore.query import catalog

if TYPE_CHECKING:
    from markupsafe import Markup

    from analysis.report.context import Context
    from analysis.report.section_items import Figure

_QUERY = "from geometry where dataset = fit_dataset"
_MEANINGS = "select column_name as measure, comment as meaning from duckdb_columns() where table_name = 'geometry'"
_QUESTION = "geometry_predicts_fpr"
_PREFERRED = "mahalanobis"
_MOST = 2


def build(context: Context) -> SectionBody:
    """The measures by pretraining, their correlation with FPR, and the measures of each model."""
    if not context.lake.partitions("geometry"):
        none = "Geometry: the lake holds no measures of its feature spaces; `featurestore score` makes them."
        return SectionBody(not_shown=[none])
    table = TableView(
        "geometry-measures",
        "Measures of the feature spaces",
        "One row per model and fit dataset.",
        context.lake.sql(_QUERY).pl(),
        [_QUERY],
    )
    meanings = TableView(
        "geometry-meanings",
        "What the measures are",
        "Of the features of the fit dataset; ood_energy_outside is energy_outside of the OOD set.",
        _meanings(),
        [_MEANINGS],
    )
    apart, differences, not_shown = _by_pretraining(context)
    ranked, predictors, why = _predictors(context)
    return SectionBody([*predictors, *differences], [*ranked, *apart, meanings, table], [*not_shown, *why])


def _meanings() -> pl.DataFrame:
    known = catalog.views()["geometry"].columns
    return pl.DataFrame({"measure": geometry.MEASURES, "meaning": [known[name] for name in geometry.MEASURES]})


def _by_pretraining(context: Context) -> tuple[list[Figure], list[Finding], list[str]]:
    figure = context.figure(
        geometry,
        "Feature spaces by pretraining",
        "Each dot is a model, each bar the mean of a pretraining; the measures that differ most stand first. Measures whose "
        "values span more than a factor of ten are compared by their logarithms. A table below says what each measure is.",
    )
    if figure.frame.is_empty():
        return [], [], ["Geometry by pretraining: it takes two models whose measures differ."]
    return [figure], findings(_differences(figure.frame), *figure.sql), []


def _differences(frame: pl.DataFrame) -> list[Markup]:
    """The measure and pretraining that lie furthest from the others, and whether that could be chance among all."""
    groups: pl.DataFrame = frame.drop_nulls("difference").unique(["measure", "pretraining"])
    if groups.is_empty():
        return []
    clear = groups.filter((pl.col("low") > 0) | (pl.col("high") < 0))
    furthest = groups if clear.is_empty() else clear
    row = furthest.sort(pl.col("difference").abs().round(9), "measure", "pretraining", descending=[True, False, False]).row(0, named=True)  # fmt: skip
    verdict = (
        "Of {tried} comparisons of feature spaces by pretraining, none can be told from chance; furthest is {measure}: models"
        if clear.is_empty()
        else "Of {tried} comparisons of feature spaces by pretraining, {measure} stands out: models"
    )
    # The side is told in words.
    low, high = sorted(np.sign(row["difference"]) * row[name] for name in ("low", "high"))
    size = abs(row["difference"])
    return [
        sentence(
            verdict
            + " with pretraining {pretraining} lie {size} standard deviations {side} the others ({interval}, widened for all that "
            "were compared, n = {checkpoints} checkpoints against {others}).",
            tried=len(groups),
            measure=row["measure"],
            pretraining=row["pretraining"],
            size=Number(size, f"{size:.1f}"),
            side=Text("above" if row["difference"] > 0 else "below"),
            interval=Text(span(low, high, shares=False)),
            checkpoints=row["checkpoints"],
            others=row["other_checkpoints"],
        )
    ]


def _predictors(context: Context) -> tuple[list[Figure], list[Finding], list[str]]:
    detector = _PREFERRED if _PREFERRED in context.detectors else context.best_detector
    figure = context.figure(
        geometry_vs_fpr,
        "What goes with FPR",
        f"The rank correlation of each measure with the FPR of {detector}, over models, with its 95 % interval, pooled "
        "within pretrainings where these are known, so that what they differ in makes no correlation. The interval is for "
        "each measure alone: of 25 measures without any meaning, one or two have one without zero.",
        filters=(),
        detector=detector,
    )
    frame = figure.frame
    models = int(frame["models"].to_numpy().max()) if len(frame) else 0
    if models < FEW:
        return [], [], [f"Geometry against FPR: it takes {FEW} models with both by {detector}, the lake has {models}."]
    # The closest within pretrainings; over all models where none is known.
    close = pl.coalesce(pl.col("within"), pl.col("spearman")).abs().round(9)
    ranked = frame.sort(pl.col("ood_dataset"), pl.col("within").is_null(), -close, maintain_order=True)
    first = ranked.group_by("ood_dataset", maintain_order=True).first().head(_MOST)
    tried = dict(frame.group_by("ood_dataset").len().iter_rows())
    left = int(frame["left_out"].to_numpy().min())
    why = [f"Geometry against FPR leaves out models without measures: {left}."] if left else []
    said = (_predictor(row, tried[row["ood_dataset"]]) for row in first.iter_rows(named=True))
    return [figure], findings(said, *figure.sql), why


def _predictor(row: dict[str, Any], tried: int) -> Markup:
    """The closest measure, as clear as it is: also among all that were tried, by itself, or not; within pretrainings first."""
    is_within, p, corrected = row["within"] is not None, row["p"], row["p_holm"]
    name, count = ("within", row["n_within"]) if is_within else ("spearman", row["n"])
    among = ", among models of equal pretraining," if is_within else ", over all models, whatever their pretraining,"
    verdict = (
        f"On {{ood}}{among} there are too few models to tell whether a measure goes with the FPR of {{detector}}; the closest of {{tried}} is {{measure}}"
        if p is None or corrected is None or (p >= 0.05 and row["verdict"] == "too few to tell")
        else f"On {{ood}}{among} the FPR of {{detector}} goes with {{measure}}, also when the {{tried}} measures tried are allowed for (Holm)"
        if corrected < 0.05
        else f"On {{ood}}{among} the FPR of {{detector}} goes most closely with {{measure}}, which among {{tried}} measures may be chance"
        if p < 0.05
        else f"On {{ood}}{among} none of {{tried}} measures of the feature space goes with the FPR of {{detector}} as closely as 0.5; the closest is {{measure}}"
    )
    return sentence(
        verdict
        + " (Spearman {rho}, {interval}, n = {count}{clustered})."
        + hedge(count, "values")
        + other_sign(row["within"], row["spearman"]),
        ood=row["ood_dataset"],
        detector=row["detector"],
        measure=row["measure"],
        tried=tried,
        rho=correlation(row[name], f"{_QUESTION}.{name}"),
        interval=Text(span(row[f"{name}_low"], row[f"{name}_high"], shares=False)),
        count=count,
        clustered=clustered(count, row["models"]),
        over_all=correlation(row["spearman"], f"{_QUESTION}.spearman"),
    )


SECTION = Section("geometry", "What has the geometry of features to do with it?", 65, build)
