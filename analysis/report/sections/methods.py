"""What the numbers rest on: datasets, how intervals and corrections are made, versions."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import polars as pl

from analysis.report.section_items import SectionBody, TableView
from analysis.report.sections.section import Section

if TYPE_CHECKING:
    from analysis.report.context import Context

_DATASETS = "select dataset, role, samples, classes, benchmarks, format from datasets order by role, dataset"
_PACKAGES = ("featurestore", "duckdb", "polars", "numpy", "scipy")
_METHODS = (
    "FPR and AUROC take ID as positive; scores are higher where a sample is more in-distribution. The threshold of FPR is the one that accepts 95 % of ID test samples. A mean over OOD classes weighs each class the same.",
    "Intervals are of 95 %. Those of means and differences are Student's t over models, or over clusters of pairs that share their pretrained checkpoints; those of correlations are Fisher's z, with Bonett and Wright's variance for Spearman's; those of FPR and AUROC of one result are what other images of ID and OOD might have given. They hold for models like these, not for models at large.",
    "A correlation of fewer than ten values has no interval, and an exact p over all orders. Finetunes of one checkpoint count as one value. What a pretraining does to both sides is taken out of correlations within pretrainings.",
    "Families of tests are corrected by Holm: all changes of an ingredient with all detectors on one OOD set; all measures of the feature space on one OOD set; all detectors in correlations of accuracy on one OOD set. The best detector is compared with the next by an interval that is widened for the choice among all (Bonferroni).",
    "Every number carries the SQL that it was read with; `featurestore sql` runs it as it stands. What a script made of the rows, its command makes again.",
)  # fmt: skip


def build(context: Context) -> SectionBody:
    """The datasets, and a note on methods."""
    datasets: pl.DataFrame = context.lake.sql(_DATASETS).pl().with_columns(pl.col("benchmarks").list.join(", "))
    roles = f"Roles: fit (detectors learn from it), id (ID test), ood, val (tunes).{_left_out(context)}"
    return SectionBody(
        items=[TableView("datasets", "Datasets", roles, datasets, [_DATASETS])],
        not_shown=list(context.rests_on),
        notes=[*_METHODS, _made(context)],
    )


def _made(context: Context) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"Made from `{context.lake.location}` (digest {context.digest[:16]}) with {versions}."


def _left_out(context: Context) -> str:
    """What to say where not all images judge."""
    setting = f"from benchmarks select without_overlaps where benchmark = '{context.benchmark}'"
    if context.lake.sql(setting).fetchall() != [(True,)]:
        return ""
    return " ID and OOD images that are also in a dataset of another role are left out of the judging."


SECTION = Section("methods", "What do these numbers rest on?", 90, build)
