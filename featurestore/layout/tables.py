"""The tables of a lake: their partition keys and the columns that their fragments store."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from featurestore.names import pick

VECTOR_DTYPES = {"float16": pa.float16(), "float32": pa.float32()}


@dataclass(frozen=True, slots=True)
class Table:
    """One table: rows of one key form a partition, which has one manifest.

    Attributes:
        name: The table's name, also its folder.
        keys: Columns that make a partition; they stand in the path, not in the fragments.
        part_keys: Columns below the partition: parts are added to its manifest one by one (a detector's scores).
        columns: The other columns, with the types that SQL sees. A vector column is stored as a fixed-size list of
            the partition's own width and precision.
    """

    name: str
    keys: tuple[str, ...]
    columns: pa.Schema
    part_keys: tuple[str, ...] = ()

    @property
    def path_columns(self) -> tuple[str, ...]:
        """The columns whose values stand in a fragment's path, in order."""
        return self.keys + self.part_keys

    @property
    def sql_schema(self) -> pa.Schema:
        """All columns, those of the path first."""
        return pa.schema([pa.field(name, pa.string()) for name in self.path_columns] + list(self.columns))


def _columns(**types: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, type_) for name, type_ in types.items()])


_TEXT, _INTEGER, _NUMBER, _VECTOR = pa.string(), pa.int64(), pa.float64(), pa.list_(pa.float32())

RECIPE_COLUMNS = {
    "pretraining": _TEXT,
    "pretrain_epochs": _NUMBER,
    "pretrain_lr": _NUMBER,
    "weight_decay": _NUMBER,
    "dropout": _NUMBER,
    "stochastic_depth": _NUMBER,
    "augmentation": _TEXT,
    "finetune_dataset": _TEXT,
    "finetune_lr": _NUMBER,
    "finetune_steps": _INTEGER,
    "finetune_epochs": _NUMBER,
    "soup_of": pa.list_(_TEXT),
}

_GEOMETRY_COLUMNS = (
    *("norm_mean", "norm_sd", "norm_sd_within", "norm_sd_between"),
    *("scatter_within", "scatter_between", "scatter_ratio"),
    *("nc1", "nc2_norms", "nc2_angles", "nc3"),
    *("class_cosine_mean", "class_cosine_sd"),
    *("effective_rank_within", "effective_rank_between", "effective_rank_total"),
    *("participation_within", "participation_between", "participation_total"),
    *("rank_within", "condition_within", "kurtosis_within"),
    *("principal_dim", "energy_outside"),
)

_METRIC_COLUMNS = ("fpr95", "auroc", "aupr_in", "aupr_out", "fpr95_ood_positive")

TABLES = {
    table.name: table
    for table in (
        Table(
            "models",
            ("model",),
            _columns(
                architecture=_TEXT,
                params=_INTEGER,
                feature_dim=_INTEGER,
                num_classes=_INTEGER,
                input_size=_INTEGER,
                source=_TEXT,
                weights_sha256=_TEXT,
                **RECIPE_COLUMNS,
                recipe=_TEXT,
                model_kwargs=_TEXT,
                preprocessing=_TEXT,
            ),
        ),
        Table(
            "datasets",
            ("dataset",),
            _columns(
                role=_TEXT,
                benchmarks=pa.list_(_TEXT),
                samples=_INTEGER,
                classes=_INTEGER,
                digest=_TEXT,
                format=_TEXT,
                location=_TEXT,
            ),
        ),
        Table(
            "samples",
            ("dataset",),
            _columns(sample=_INTEGER, path=_TEXT, bytes=_INTEGER, label=_INTEGER, class_name=_TEXT),
        ),
        Table(
            "activations",
            ("model", "dataset"),
            _columns(sample=_INTEGER, label=_INTEGER, feature=_VECTOR, logits=_VECTOR),
        ),
        Table(
            "heads",
            ("model",),
            pa.schema([pa.field("class", _INTEGER), pa.field("weight", _VECTOR), pa.field("bias", pa.float32())]),
        ),
        Table("failures", ("model", "dataset"), _columns(sample=_INTEGER, path=_TEXT, error=_TEXT)),
        Table("fits", ("model", "dataset"), _columns(array=_TEXT, row=_INTEGER, values=pa.list_(_NUMBER)), ("fit",)),
        Table(
            "scores",
            ("benchmark", "model", "dataset"),
            _columns(sample=_INTEGER, score=_NUMBER, id_rank=_NUMBER),
            ("detector",),
        ),
        Table(
            "metrics",
            ("benchmark", "model"),
            _columns(
                detector=_TEXT,
                id_dataset=_TEXT,
                ood_dataset=_TEXT,
                ood_class=_TEXT,
                aggregation=_TEXT,
                n_id=_INTEGER,
                n_ood=_INTEGER,
                **dict.fromkeys(_METRIC_COLUMNS, _NUMBER),
            ),
        ),
        Table("accuracy", ("model", "dataset"), _columns(n=_INTEGER, top1=_NUMBER, top5=_NUMBER)),
        Table(
            "geometry",
            ("model", "dataset"),
            _columns(role=_TEXT, rows=_INTEGER, **dict.fromkeys(_GEOMETRY_COLUMNS, _NUMBER)),
            ("fit_dataset",),
        ),
    )
}


def table(name: str) -> Table:
    """Return the table of that name.

    Raises:
        MissingError: No table has that name.
    """
    return TABLES[pick("table", name, TABLES)]
