"""One broken model does not end a job: the others run, and it is listed at the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from extract.models import Refusals
from featurestore import InputError, StorageError
from tests.extract.conftest import network, read, save_tiny
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Commands


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """Two models that run, and one for each way not to."""
    save_tiny(tmp_path / "good.safetensors")
    save_tiny(tmp_path / "deep.safetensors", depth=2)
    state = tiny_vit().state_dict()
    save_file({**state, "norm.weight": state["norm.weight"] * torch.nan}, tmp_path / "nan.safetensors")
    kwargs = json.dumps(json.dumps(KWARGS))[1:-1].replace('\\"', '""')
    rows = [
        f'a,good.safetensors,{ARCHITECTURE},"{kwargs}",0.1',
        f'gone,gone.safetensors,{ARCHITECTURE},"{kwargs}",',
        f'deep,deep.safetensors,{ARCHITECTURE},"{kwargs}",',
        f'nan,nan.safetensors,{ARCHITECTURE},"{kwargs}",',
        f'text,good.safetensors,{ARCHITECTURE},"{kwargs}",much',
        f'wide,good.safetensors,{ARCHITECTURE},"{kwargs}",0.1,0.2',
        "unknown,good.safetensors,vit_of_nobody,,",
        f'b,good.safetensors,{ARCHITECTURE},"{kwargs}",0.3',
    ]
    (tmp_path / "pool.csv").write_text("\n".join(["model,checkpoint,architecture,model_kwargs,weight_decay", *rows]))
    return tmp_path / "pool.csv"


def test_the_others_run_and_each_broken_one_is_listed_with_exit_code_3(fresh: Commands, pool: Path) -> None:
    fresh.add("val", "id", {"ant": 2, "bee": 2, "cat": 2})
    result = fresh("extract", "--pool", pool, "--dataset", "val", "--workers", 0)
    assert result.code == 3
    lines = [line for line in result.err.splitlines() if "was left out" in line]
    expected = {
        "wide": "more cells than columns",
        "text": "weight_decay is a number, 0 where it was not used, not 'much'",
        "gone": "no checkpoint",
        "unknown": "vit_of_nobody",
        "deep on val": "is not a checkpoint of",
        "nan on val": "NaN",
    }
    assert len(lines) == len(expected)
    for name, reason in expected.items():
        (line,) = [line for line in lines if line.startswith(f"{name} was left out: ")]
        assert reason in line
    held = fresh.lake.sql("select model from models order by model").fetchall()
    assert {("a",), ("b",)} <= set(held)
    assert [manifest.key["model"] for manifest in fresh.lake.partitions("activations")] == ["a", "b"]
    assert len(read(fresh.lake, "a")[0]) == 6


def test_a_job_of_one_model_or_of_broken_ones_fails(fresh: Commands, pool: Path) -> None:
    fresh.add("val", "id", {"ant": 2, "bee": 2, "cat": 2})
    deep = pool.parent / "deep.safetensors"
    for models in (["--model", deep], ["--model", deep, "--model", pool.parent / "nan.safetensors"]):
        result = fresh("extract", *models, *network(), "--dataset", "val", "--workers", 0)
        assert result.code == 1
        assert "is not a checkpoint of" in result.err
    soup = fresh("extract", "--pool", pool, "--dataset", "val", "--soup", "uniform", "--soup-name", "s")
    assert soup.code == 1


def test_what_is_not_about_a_model_ends_the_job() -> None:
    refusals = Refusals()
    with refusals.of("a"):
        raise InputError("broken")
    with pytest.raises(StorageError), refusals.of("b"):
        raise StorageError("the disk is full")
    assert refusals.reasons == {"a": "broken"}
    refusals.check_left(1)
    with pytest.raises(InputError, match="a: broken"):
        refusals.check_left(0)


def test_of_many_refusals_the_first_are_told() -> None:
    refusals = Refusals()
    for number in range(300):
        with refusals.of(f"m-{number}"):
            raise InputError("no.")
    with pytest.raises(InputError, match=r"^m-0: no\.\n(m-\d: no\.\n){9}… and 290 more are refused\.$"):
        refusals.check_left(0)
