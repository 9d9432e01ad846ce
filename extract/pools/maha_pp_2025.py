"""The 44 ImageNet models of the Mahalanobis++ paper (arXiv 2505.18032), as far as timm publishes them.

The paper names models in short. They are mapped by that name and by their published top-1 accuracy, which tells a variant
for 384 pixels from one for 224. The table itself is one that questions read, too.
"""

from __future__ import annotations

from extract.pools.entry import PoolEntry
from featurestore.query import published


def entries() -> list[PoolEntry]:
    """The models that timm has, under timm's names; the paper's name stands in their recipe."""
    return [_entry(row) for row in published.rows() if row["timm"]]


def unmapped() -> dict[str, str]:
    """The others by the paper's name, each with what is known of it."""
    return {row["published_name"]: row["remark"] for row in published.rows() if not row["timm"]}


def _entry(row: dict[str, str]) -> PoolEntry:
    published_as = f'{{"published_name": "{row["published_name"]}", "published_top1": {row["top1"]}}}'
    recipe = {"pretraining": row["pretraining"], "finetune_dataset": "in1k", "recipe": published_as}
    return PoolEntry(row["timm"], row["timm"], published=f"timm's hub, {row['timm']}", recipe=recipe)
