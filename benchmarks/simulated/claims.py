"""What questions claim: which columns are an interval, what makes a finding, and which rows are one family."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import polars as pl

from benchmarks.simulated.draws import BEST, CORRELATION, FIRST
from benchmarks.simulated.table_lake import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.simulated.draws import Truth

Kind: TypeAlias = Literal["mean", "leader", "pearson", "spearman"]
"""Of a mean the truth is its estimate without noise; of a correlation, and of what detectors are behind the leader, it is known."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What a question claims.

    Attributes:
        question: Its name.
        family: What one OOD set's rows are together: the hypotheses of which one is falsely found in at most 5 % of lakes.
        kind: Of which kind the estimates are.
        estimate: The column of the estimate.
        low: The column of the lower end of its interval.
        high: That of the upper end.
        found: The rows that are called a finding.
        keys: The columns that, with the OOD set, tell rows apart.
        counted: The rows that count.
        parameters: The question's parameters.
        at_once: Whether the intervals hold all at once, rather than each by itself.
        scale: What estimates without noise are told by where `estimate` depends on the noise, too: a column in its place.
    """

    question: str
    family: str
    kind: Kind
    estimate: str
    low: str
    high: str
    found: pl.Expr
    keys: tuple[str, ...]
    counted: pl.Expr = field(default_factory=lambda: pl.lit(value=True))
    parameters: Mapping[str, str] = field(default_factory=dict)
    at_once: bool = False
    scale: str = ""

    @property
    def asked(self) -> tuple[str, ...]:
        """What tells one answer from another."""
        return (self.question, *self.parameters.values())

    @property
    def truths(self) -> tuple[Truth, ...]:
        """What may hold where this is tried."""
        return ("none", "effects") if self.kind in {"mean", "leader"} else ("none", "related", "confounded")

    @property
    def wrong(self) -> pl.Expr:
        """The rows that say what is not so: a finding where there is none, or that a correlation is weaker than it is."""
        if self.kind == "leader":
            return self.found & (pl.col("true") <= 0)
        is_nil = self.found & (pl.col("true") == 0)
        if self.kind == "mean":
            return is_nil
        return is_nil | ((pl.col("verdict") == "weaker than 0.5") & (pl.col("true").abs() >= 0.5))

    def with_truth(self, answer: pl.DataFrame, truth: Truth) -> pl.DataFrame:
        """The answer's rows that count, with a column `true`: what is estimated; null where that is not known."""
        rows = answer.filter(self.counted)
        if self.kind == "mean":
            return self._with_mean(rows, truth)
        known = rows.filter(pl.col("ood_dataset") != EXPECTED)
        return known.with_columns(true=_behind(truth) if self.kind == "leader" else _correlation(self, known, truth))

    def _with_mean(self, rows: pl.DataFrame, truth: Truth) -> pl.DataFrame:
        is_expected = pl.col("ood_dataset") == EXPECTED
        drawn = rows.filter(~is_expected)
        if truth == "none":
            return drawn.with_columns(true=pl.lit(0.0))
        told = self.scale or self.estimate
        # Where nothing varies without noise there is no estimate, and no effect.
        expected = pl.col(told).fill_null(0.0) if self.scale else pl.col(told)
        true = rows.filter(is_expected).select(*self.keys, true=expected.round(9))
        found = drawn.join(true, on=self.keys, how="left", nulls_equal=True)
        per = pl.col(self.estimate) / pl.col(told) if self.scale else pl.lit(1.0)
        return found.with_columns(true=pl.when(pl.col("true") == 0).then(0.0).otherwise(pl.col("true") * per))


def _behind(truth: Truth) -> pl.Expr:
    """How far a detector is behind the one that leads, of the leader how far it is before the others."""
    leads = pl.col("verdict").is_in(["best", "leads"])
    leader = pl.col("detector").filter(leads).first().over("ood_dataset", "pretraining")
    is_first, leader_is_first = pl.col("detector") == FIRST, leader == FIRST
    if truth == "none":
        return pl.lit(0.0)
    return pl.when(leads).then(pl.when(is_first).then(-BEST).otherwise(0.0)).otherwise(
        BEST * (is_first.cast(pl.Float64) - leader_is_first.cast(pl.Float64))
    )  # fmt: skip


def _correlation(claim: Claim, rows: pl.DataFrame, truth: Truth) -> pl.Expr:
    """The correlation that holds; where pretrainings confound, only within them: of that over all models it is not known."""
    related = CORRELATION if claim.kind == "pearson" else float(6 / np.pi * np.arcsin(CORRELATION / 2))
    if truth == "related":
        is_related = pl.col("measure") == "norm_mean" if "measure" in rows.columns else pl.lit(value=True)
        return pl.when(is_related).then(related).otherwise(0.0)
    if truth == "confounded":
        is_within = (
            pl.col("pretraining") != "all" if "pretraining" in rows.columns else pl.lit(claim.estimate == "within")
        )
        return pl.when(is_within).then(0.0)
    return pl.lit(0.0)


_HOLM = pl.col("p_holm") < 0.05
_OF_EFFECTS = ("detector", "from_value", "to_value")


def _effect(ingredient: str) -> Claim:
    family = "all its changes and detectors (Holm)"
    return Claim(f"{ingredient}_effect", family, "mean", "mean_difference", "low", "high", _HOLM, _OF_EFFECTS)


_SAID = pl.col("verdict").is_in(["falls", "rises"])


def _correlations(which: str, kind: Kind, of: pl.Expr) -> Claim:
    return Claim(
        "accuracy_fpr_correlation", f"{which}: all detectors (Holm)", kind, kind, f"{kind}_low", f"{kind}_high",
        _SAID, ("pretraining", "detector"), of,
    )  # fmt: skip


def _geometry(kind: Kind, column: str) -> Claim:
    return Claim(
        "geometry_predicts_fpr", "all measures (Holm)", kind, column, f"{column}_low", f"{column}_high",
        _SAID, ("measure", "detector"),
    )  # fmt: skip


_ALL, _WITHIN = (pl.col("pretraining") == name for name in ("all", "pooled within"))
CLAIMS = (
    *map(_effect, ("weight_decay", "pretraining", "finetune_lr", "augmentation", "dropout", "resolution")),
    Claim("best_practice", "four pieces of advice (Holm)", "mean", "difference", "low", "high", _HOLM, ("advice",)),
    Claim(
        "interactions",
        "all pairs of ingredients and detectors (Holm)",
        "mean",
        "interaction",
        "low",
        "high",
        _HOLM,
        ("ingredient", "from_value", "to_value", "other", "other_from", "other_to", "detector"),
        parameters={"detector": "all"},
    ),
    Claim(
        "recipe_regression",
        "all ingredients and pretrainings (Holm)",
        "mean",
        "standardised",
        "low",
        "high",
        _HOLM,
        ("pretraining", "ingredient"),
        scale="change",
    ),
    Claim(
        "best_detector",
        "all pairs of detectors of all pretrainings (Bonferroni)",
        "leader",
        "behind",
        "behind_low",
        "behind_high",
        pl.col("verdict").is_in(["best", "behind"]),
        ("pretraining", "detector"),
        at_once=True,
    ),
    Claim("clip_gap", "all pretrainings (Holm)", "mean", "gap", "low", "high", _HOLM, ("pretraining",)),
    _correlations("pooled within", "spearman", _WITHIN),
    _correlations("over all models", "spearman", _ALL),
    _correlations("single pretrainings", "spearman", ~_ALL & ~_WITHIN),
    _geometry("spearman", "within"),
    _geometry("spearman", "spearman"),
    _geometry("pearson", "pearson"),
)
