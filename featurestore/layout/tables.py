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
        added: The last of these columns, which fragments of older lakes do not have: there they are null.
    """

    name: str
    keys: tuple[str, ...]
    columns: pa.Schema
    part_keys: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    @property
    def path_columns(self) -> tuple[str, ...]:
        """The columns whose values stand in a fragment's path, in order."""
        return self.keys + self.part_keys

    @property
    def sql_schema(self) -> pa.Schema:
        """All columns, those of the path first."""
        return pa.schema([pa.field(name, pa.string()) for name in self.path_columns] + list(self.columns))


_TYPES = {
    "text": pa.string(),
    "texts": pa.list_(pa.string()),
    "integer": pa.int64(),
    "number": pa.float64(),
    "numbers": pa.list_(pa.float64()),
    "truth": pa.bool_(),
    "single": pa.float32(),
    "vector": pa.list_(pa.float32()),
}


def _types(written: str) -> dict[str, pa.DataType]:
    """Names and types of columns, from a text such as `sample integer, path text`."""
    return {name: _TYPES[type_] for name, type_ in map(str.split, written.split(","))}


def _table(name: str, keys: str, columns: str, part_keys: str = "", added: str = "") -> Table:
    later = _types(added) if added else {}
    schema = pa.schema({**_types(columns), **later})
    return Table(name, tuple(keys.split()), schema, tuple(part_keys.split()), tuple(later))


_RECIPE = """
    pretraining text, pretrain_epochs number, pretrain_lr number, weight_decay number, dropout number,
    stochastic_depth number, augmentation text, finetune_dataset text, finetune_lr number, finetune_steps integer,
    finetune_epochs number, soup_of texts
"""
_RECIPE_ADDED = "pretrain_weight_decay number, checkpoint_id text"
RECIPE_COLUMNS = _types(f"{_RECIPE}, {_RECIPE_ADDED}")

TABLES = {
    table.name: table
    for table in (
        _table(
            "models",
            "model",
            f"""
            architecture text, params integer, feature_dim integer, num_classes integer, input_size integer, source text,
            weights_sha256 text, {_RECIPE}, recipe text, model_kwargs text, preprocessing text
            """,
            added=f"""
            base_model text, feature text, crop_pct number, crop_mode text, interpolation text, mean numbers, std numbers,
            {_RECIPE_ADDED}
            """,
        ),
        _table(
            "datasets",
            "dataset",
            "role text, benchmarks texts, samples integer, classes integer, digest text, format text, location text",
            added="ood_group text, seen_classes text",
        ),
        _table("benchmarks", "benchmark", "without_overlaps truth"),
        _table("samples", "dataset", "sample integer, path text, bytes integer, label integer, class_name text"),
        _table("contents", "dataset", "sample integer, digest text"),
        _table("activations", "model dataset", "sample integer, label integer, feature vector, logits vector"),
        _table("heads", "model", "class integer, weight vector, bias single", added="negatives numbers"),
        _table("failures", "model dataset", "sample integer, path text, error text"),
        _table("fits", "model dataset", "array text, row integer, values numbers", "fit"),
        _table("detectors", "detector", "title text, formula text, source text, hyperparameters text, convention text"),
        _table("scores", "benchmark model dataset", "sample integer, score number, id_rank number", "detector"),
        _table(
            "metrics",
            "benchmark model",
            """
            detector text, id_dataset text, ood_dataset text, ood_class text, aggregation text, n_id integer, n_ood integer,
            fpr95 number, auroc number, aupr_in number, aupr_out number, fpr95_ood_positive number
            """,
            added="spectrum text, fpr95_low number, fpr95_high number, auroc_low number, auroc_high number",
        ),
        _table("accuracy", "model dataset", "n integer, top1 number, top5 number"),
        _table(
            "calibration",
            "model dataset",
            """
            n integer, unlabelled integer, accuracy number, confidence number, ece number, ece_equal_mass number, nll number,
            brier number, lacking text
            """,
        ),
        _table(
            "selective",
            "benchmark model",
            """
            detector text, id_dataset text, ood_dataset text, n_id integer, n_ood integer, unlabelled integer, accuracy number,
            aurc number, eaurc number, augrc number, misclassification_auroc number, misclassification_fpr95 number,
            risks numbers, oscr number, lacking text
            """,
        ),
        _table(
            "geometry",
            "model dataset",
            """
            role text, rows integer, norm_mean number, norm_sd number, norm_sd_within number, norm_sd_between number,
            scatter_within number, scatter_between number, scatter_ratio number, nc1 number, nc2_norms number,
            nc2_angles number, nc3 number, class_cosine_mean number, class_cosine_sd number, effective_rank_within number,
            effective_rank_between number, effective_rank_total number, participation_within number,
            participation_between number, participation_total number, rank_within number, condition_within number,
            kurtosis_within number, principal_dim number, energy_outside number
            """,
            "fit_dataset",
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
