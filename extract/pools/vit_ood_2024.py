"""The 296 ViTs of Mueller & Hein 2024, "How to train your ViT for OOD Detection" (arXiv 2405.17447).

224 AugReg ViT-B/16 (arXiv 2106.10270) in every combination of seven ingredients, and the 72 finetunes of CLIP ViT-B/32 of
the model-soups paper (arXiv 2203.05482).
"""

from __future__ import annotations

import csv
import itertools
from importlib import resources

from extract.models.sources import Facts, named_facts
from extract.models.sources.clip import ARCHITECTURES
from extract.pools.entry import PoolEntry
from extract.pools.recipe_file import soups_recipe
from featurestore.names import suggest_slug

BUCKET = "gs://vit_models/augreg"
RELEASE = "https://github.com/mlfoundations/model-soups/releases/download/v0.0.2"
CLIP = "clip-vit-base-patch32"
"""The checkpoint that all finetunes come from, so that they are not independent."""
RESOLUTIONS = (224, 384)
PRETRAININGS = ("i1k", "i21k")
AUGMENTATIONS = ("none", "light0", "light1", "medium1", "medium2", "strong1", "strong2")
WEIGHT_DECAYS = (0.03, 0.1)
DROPOUTS = (0.0, 0.1)
FINETUNE_LRS = (0.01, 0.03)


def entries() -> list[PoolEntry]:
    """The models; neighbours prepare images alike, so that a shard of every n-th has its share of each kind."""
    text = resources.files("extract.pools").joinpath("soups_2022.csv").read_text(encoding="utf-8")
    return [_augreg(name) for name in augreg_names()] + [_finetune(row) for row in csv.DictReader(text.splitlines())]


def augreg_names() -> list[str]:
    """The AugReg files, without their suffix."""
    return [
        f"B_16-{pretraining}-300ep-lr_0.001-aug_{augmentation}-wd_{decay}-do_{dropout}-sd_{dropout}"
        f"--imagenet2012-steps_20k-lr_{rate}-res_{resolution}"
        for resolution, pretraining, augmentation, decay, dropout, rate in itertools.product(
            RESOLUTIONS, PRETRAININGS, AUGMENTATIONS, WEIGHT_DECAYS, DROPOUTS, FINETUNE_LRS
        )
    ]


def _augreg(name: str) -> PoolEntry:
    facts = named_facts(name) or Facts()
    return PoolEntry(
        suggest_slug(name), facts.architecture, f"{name}.npz", f"{BUCKET}/{name}.npz", facts.model_kwargs, facts.recipe
    )


def _finetune(row: dict[str, str]) -> PoolEntry:
    file = f"{row['model']}.pt"
    cells = {name: value for name, value in row.items() if value and name != "model"}
    said = {name: value if name in {"aug", "info"} else float(value) for name, value in cells.items()}
    recipe = {"pretraining": "clip-openai", "checkpoint_id": CLIP, "finetune_dataset": "in1k", **soups_recipe(said)}
    return PoolEntry(row["model"], ARCHITECTURES[768, 32], file, f"{RELEASE}/{file}", recipe=recipe)
