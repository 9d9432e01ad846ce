"""The tables of a lake: their partition keys and the columns that their fragments store."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from featurestore.names import pick

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

VECTOR_DTYPES = ("float16", "float32")
"""The stored precisions of vectors, as pyarrow and numpy call them."""


@dataclass(frozen=True, slots=True)
class Domain:
    """What the values of a column may be; numbers are finite in any case.

    Attributes:
        sql: Their type, as SQL calls it.
        least: The smallest number that there may be; None if any may.
        most: The largest, likewise.
        among: The texts that there may be; any if empty.
        is_json: Whether texts are JSON objects.
    """

    sql: str
    least: int | None = None
    most: int | None = None
    among: tuple[str, ...] = ()
    is_json: bool = False

    @property
    def type(self) -> pa.DataType:
        """Their type in Arrow, as SQL sees it."""
        return _arrow_types()[self.sql]


@dataclass(frozen=True, slots=True)
class Table:
    """One table: rows of one key form a partition, which has one manifest.

    Attributes:
        name: The table's name, also its folder.
        keys: Columns that make a partition; they stand in the path, not in the fragments.
        part_keys: Columns below the partition: parts are added to its manifest one by one (a detector's scores).
        added: The last of the other columns, which fragments of older lakes do not have: there they are null.
        domains: What the values of each other column may be.
        required: The columns that are never null.
        row_key: The columns that tell the rows of a part from each other; none where a part has one row; None where nothing is said.
        may_be_empty: Whether a part of a table that has one row in each may have none, where nothing is known.
    """

    name: str
    keys: tuple[str, ...]
    part_keys: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    domains: Mapping[str, Domain] = field(default_factory=dict, hash=False, compare=False)
    required: frozenset[str] = frozenset()
    row_key: tuple[str, ...] | None = None
    may_be_empty: bool = False

    @property
    def columns(self) -> pa.Schema:
        """The columns that do not stand in the path, with the types that SQL sees.

        A vector column is stored as a fixed-size list of the partition's own width and precision.
        """
        return _schema((), tuple(self.domains.items()))

    def rows_problem(self, rows: int) -> str:
        """What is wrong with so many rows of a part, or an empty text: some tables have one in each."""
        wrong = self.row_key == () and rows != 1 and not (self.may_be_empty and rows == 0)
        return f"has {rows:,} rows instead of one" if wrong else ""

    @property
    def path_columns(self) -> tuple[str, ...]:
        """The columns whose values stand in a fragment's path, in order."""
        return self.keys + self.part_keys

    @property
    def sql_types(self) -> Mapping[str, str]:
        """All columns, those of the path first, and what SQL calls their types."""
        return {**dict.fromkeys(self.path_columns, "varchar"), **{name: of.sql for name, of in self.domains.items()}}

    @property
    def sql_schema(self) -> pa.Schema:
        """All columns, those of the path first."""
        return _schema(self.path_columns, tuple(self.domains.items()))


@cache
def _arrow_types() -> Mapping[str, pa.DataType]:
    import pyarrow as pa  # slow to import, and most questions are answered without it

    plain = {
        "varchar": pa.string(), "bigint": pa.int64(), "double": pa.float64(), "float": pa.float32(), "boolean": pa.bool_(),
    }  # fmt: skip
    return plain | {f"{name}[]": pa.list_(type_) for name, type_ in plain.items()}


@cache
def _schema(path_columns: tuple[str, ...], domains: tuple[tuple[str, Domain], ...]) -> pa.Schema:
    import pyarrow as pa

    of_path = [pa.field(name, pa.string()) for name in path_columns]
    return pa.schema(of_path + [pa.field(name, domain.type) for name, domain in domains])


_NEVER_NULL = "!"
"""Ends the kind of a column that is never null."""
_DOMAINS = {
    "text": Domain("varchar"),
    "texts": Domain("varchar[]"),
    "json": Domain("varchar", is_json=True),
    "role": Domain("varchar", among=("fit", "id", "ood", "val", "csid")),
    "integer": Domain("bigint"),
    "count": Domain("bigint", least=0),
    "number": Domain("double"),
    "share": Domain("double", least=0, most=1),
    "positive": Domain("double", least=0),
    "doubled": Domain("double", least=0, most=2),
    "numbers": Domain("double[]"),
    "truth": Domain("boolean"),
    "single": Domain("float"),
    "vector": Domain("float[]"),
}


def _domains(written: str) -> dict[str, Domain]:
    """Names and domains of columns, from a text such as `sample count!, path text`."""
    return {name: _DOMAINS[kind.rstrip(_NEVER_NULL)] for name, kind in map(str.split, written.split(","))}


def _table(
    name: str,
    keys: str,
    columns: str,
    part_keys: str = "",
    added: str = "",
    *,
    rows: str | None = None,
    may_be_empty: bool = False,
) -> Table:
    later = _domains(added) if added else {}
    domains = {**_domains(columns), **later}
    required = frozenset(one.split()[0] for one in columns.split(",") if one.endswith(_NEVER_NULL))
    row_key = None if rows is None else tuple(rows.split())
    return Table(
        name,
        tuple(keys.split()),
        tuple(part_keys.split()),
        tuple(later),
        domains,
        required,
        row_key,
        may_be_empty,
    )


_RECIPE = """
    pretraining text, pretrain_epochs number, pretrain_lr number, weight_decay number, dropout number,
    stochastic_depth number, augmentation text, finetune_dataset text, finetune_lr number, finetune_steps integer,
    finetune_epochs number, soup_of texts
"""
_RECIPE_ADDED = "pretrain_weight_decay number, checkpoint_id text"
RECIPE_COLUMNS = _domains(f"{_RECIPE}, {_RECIPE_ADDED}")
"""What is known of how a model was trained, and what the values may be."""

TABLES = {
    table.name: table
    for table in (
        _table(
            "models",
            "model",
            f"""
            architecture text, params count, feature_dim count, num_classes count, input_size count, source text,
            weights_sha256 text, {_RECIPE}, recipe json, model_kwargs json, preprocessing json
            """,
            added=f"""
            base_model text, feature text, crop_pct number, crop_mode text, interpolation text, mean numbers, std numbers,
            {_RECIPE_ADDED}
            """,
            rows="",
        ),
        _table(
            "datasets",
            "dataset",
            "role role!, benchmarks texts!, samples count!, classes count, digest text!, format text, location text",
            added="ood_group text, seen_classes json",
            rows="",
        ),
        _table("benchmarks", "benchmark", "without_overlaps truth!", rows=""),
        _table(
            "samples", "dataset", "sample count!, path text!, bytes count, label count, class_name text", rows="sample"
        ),
        _table("contents", "dataset", "sample count!, digest text", rows="sample"),
        _table(
            "activations", "model dataset", "sample count!, label count, feature vector!, logits vector", rows="sample"
        ),
        _table("heads", "model", "class count!, weight vector!, bias single!", added="negatives numbers", rows="class"),
        _table("failures", "model dataset", "sample count!, path text, error text", rows="sample"),
        _table("fits", "model dataset", "array text!, row count!, values numbers!", "fit"),
        _table(
            "detectors",
            "detector",
            "title text, formula text, source text, hyperparameters json, convention text",
            rows="",
        ),
        _table(
            "scores",
            "benchmark model dataset",
            "sample count!, score number!, id_rank share!",
            "detector",
            rows="sample",
        ),
        _table(
            "metrics",
            "benchmark model",
            """
            detector text!, id_dataset text!, ood_dataset text!, ood_class text, aggregation text!, n_id count, n_ood count,
            fpr95 share, auroc share, aupr_in share, aupr_out share, fpr95_ood_positive share
            """,
            added="spectrum text, fpr95_low share, fpr95_high share, auroc_low share, auroc_high share",
            rows="detector id_dataset ood_dataset ood_class aggregation spectrum",
        ),
        _table("accuracy", "model dataset", "n count!, top1 share, top5 share", rows="", may_be_empty=True),
        _table(
            "calibration",
            "model dataset",
            """
            n count, unlabelled count, accuracy share, confidence share, ece share, ece_equal_mass share, nll positive,
            brier doubled, lacking text
            """,
            rows="",
        ),
        _table(
            "selective",
            "benchmark model",
            """
            detector text!, id_dataset text!, ood_dataset text, n_id count, n_ood count, unlabelled count, accuracy share,
            aurc share, eaurc number, augrc share, misclassification_auroc share, misclassification_fpr95 share,
            risks numbers, oscr share, lacking text
            """,
            rows="detector id_dataset ood_dataset",
        ),
        _table(
            "geometry",
            "model dataset",
            """
            role role, rows count, norm_mean positive, norm_sd positive, norm_sd_within positive, norm_sd_between positive,
            scatter_within number, scatter_between number, scatter_ratio number, nc1 number, nc2_norms number,
            nc2_angles number, nc3 number, class_cosine_mean number, class_cosine_sd number, effective_rank_within number,
            effective_rank_between number, effective_rank_total number, participation_within number,
            participation_between number, participation_total number, rank_within number, condition_within number,
            kurtosis_within number, principal_dim number, energy_outside number
            """,
            "fit_dataset",
            rows="",
        ),
    )
}

ORDER = (
    "samples", "contents", "benchmarks", "datasets", "models", "heads", "failures", "activations", "accuracy",
    "calibration", "fits", "geometry", "detectors", "scores", "metrics", "selective",
)  # fmt: skip
"""All tables, each after those that its rows name: a lake that has the first few of them whole is a lake."""


def table(name: str) -> Table:
    """Return the table of that name.

    Raises:
        MissingError: No table has that name.
    """
    return TABLES[pick("table", name, TABLES)]
