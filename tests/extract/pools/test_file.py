"""Pool files: what a row says is what a model is, and a broken row is named by its line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from extract.pools.entry import PoolEntry
from extract.pools.file import read_entries
from extract.pools.selection import ModelSelection, select
from featurestore import InputError
from tests.extract.conftest import quiet

if TYPE_CHECKING:
    from pathlib import Path


def test_a_pool_file_carries_checkpoints_arguments_and_recipes(tmp_path: Path, checkpoint: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(checkpoint.read_bytes())
    (tmp_path / "pool.csv").write_text(
        "model,checkpoint,architecture,model_kwargs,weight_decay,finetune_steps,pretraining,soup_of\n"
        'm,m.safetensors,vit_tiny_patch16_224,"{""img_size"": 32}",0.1,20,in21k,"[""a"", ""b""]"\n'
        "n,,resnet18,,,,,\n",
        encoding="utf-8-sig",  # as Excel writes it
    )
    first, second = select(ModelSelection(pool=str(tmp_path / "pool.csv")), quiet)
    assert first.checkpoint == tmp_path / "m.safetensors"
    assert first.model_kwargs == {"img_size": 32, "num_classes": 3}
    assert first.recipe == {"weight_decay": 0.1, "finetune_steps": 20, "pretraining": "in21k", "soup_of": ["a", "b"]}
    assert second.recipe == {}
    assert second.checkpoint is None


def test_a_model_without_a_name_is_called_as_its_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "vit-wd0.1.pth.tar").touch()
    (tmp_path / "pool.csv").write_text("checkpoint,architecture\nvit-wd0.1.pth.tar,resnet18\n")
    (entry,) = read_entries(tmp_path / "pool.csv")
    assert isinstance(entry, PoolEntry)
    assert entry.name == "vit-wd0.1"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("model,architecture\nm,\n", "line 2: every model needs"),
        ("architecture,checkpoint\nresnet18,runs/best.pth\n", "pool.csv, line 2: the column model must name"),
        ("model,architecture\nM/1,resnet18\n", "'m-1'"),
        ("model,architecture,colour\nm,resnet18,red\n", "unknown column 'colour'"),
        (
            "model,architecture,weight_decay\nm,resnet18,much\n",
            "line 2: weight_decay is a number, 0 where it was not used, not 'much'",
        ),
        ("model,architecture,checkpoint\nm,resnet18,gone.pth\n", "there is no checkpoint"),
        ("model,architecture,model_kwargs\nm,resnet18,[1]\n", "must be a JSON object"),
        ("model,architecture\n", "has no rows"),
        (
            "model,architecture,weight_decay\nm,resnet18,nan\n",
            "weight_decay is a number, 0 where it was not used, not 'nan'",
        ),
        ('model,architecture,recipe\nm,resnet18,"{""a"": NaN}"\n', "NaN is no number of JSON"),
        ("model,architecture,architecture\nm,resnet18,resnet34\n", "has the column 'architecture' more than once"),
    ],
)
def test_a_broken_pool_row_is_named_by_line(tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "pool.csv").write_text(row)
    with pytest.raises(InputError, match=message):
        select(ModelSelection(pool=str(tmp_path / "pool.csv")), quiet)
