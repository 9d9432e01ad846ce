"""What edits must leave behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from featurestore.edit import KINDS, read_inventory
from featurestore.edit.inventory import texts
from featurestore.layout.tables import TABLES

if TYPE_CHECKING:
    from featurestore import Lake


def fingerprints(lake: Lake, *tables: str) -> dict[str, str]:
    """Of each part of some tables."""
    return {
        f"{manifest.title} {dict(part.key)}": part.fingerprint
        for table in tables or TABLES
        for manifest in lake.partitions(table)
        for part in manifest.parts
    }


def dangling(lake: Lake) -> list[str]:
    """Keys that name a dataset or model without a row, and ingredients that name a part which is not there."""
    inventory = read_inventory(lake.storage)
    rows = {kind: {m.key[kind] for m in inventory.table(f"{kind}s")} for kind in ("dataset", "model")}
    parts = {part.fingerprint for _, part in inventory.parts()}
    # What a detector learned is named and not stored; digests of bytes and of sets of scores are no parts.
    named = ("activations", "id_activations", "fit_activations", "learnt_from", "scores", "id_scores", "tuning_scores")
    found = []
    for manifest, part in inventory.parts():
        key = {**manifest.key, **part.key}
        early = {"dataset": ("samples", "contents"), "model": ("heads",)}  # written before the row
        found += [
            f"{manifest.title} names the {kind} {key[column]}"
            for kind, known in rows.items()
            for column in KINDS[kind]
            if column in key and key[column] not in known and manifest.table not in early[kind]
        ]
        found += [
            f"{manifest.title} comes from {name}, which is gone"
            for name in named
            for text in texts(part.ingredients.get(name))
            if text not in parts
        ]
    return found


def mentions(lake: Lake, name: str) -> list[str]:
    """Partitions in whose paths, ingredients or rows on scores a name stands."""
    inventory = read_inventory(lake.storage)
    found = [
        manifest.title
        for manifest, part in inventory.parts()
        if name in {*manifest.key.values(), *part.key.values()}
        or any(word == name for key, value in part.ingredients.items() for word in (*key.split(), *texts(value)))
    ]
    rows = lake.sql(
        """
        select distinct benchmark, model from (from metrics union all by name from selective union all by name from oscr)
        where $name in (benchmark, model, detector, id_dataset, ood_dataset)
        """.replace("$name", f"'{name}'")
    )
    return found + [f"what judges {model} in {benchmark}" for benchmark, model in rows.fetchall()]
