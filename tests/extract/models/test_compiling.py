"""Compiled networks give what the others give, and without a compiler there is a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from extract.datasets import add_dataset
from extract.models.network import LoadedModel
from featurestore import Lake
from tests.extract.conftest import network, run_command, stated_tolerance, tiny_spec
from tests.tiny import write_images

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.long
def test_a_compiled_network_gives_the_same_for_whole_and_cut_batches(checkpoint: Path) -> None:
    """It is compiled for one size of batch: the last, smaller one is filled up rather than compiled anew."""
    spec = tiny_spec(checkpoint)
    plain, compiled = LoadedModel(spec, CPU), LoadedModel(spec, CPU, compiling=True)
    images = torch.randint(0, 256, (8, 3, 32, 32), dtype=torch.uint8)
    for batch in (images, images[:3]):
        with torch.compiler.set_stance("default" if len(batch) == 8 else "fail_on_recompile"):
            found = compiled(batch)
        for ours, theirs in zip(found, plain(batch), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=stated_tolerance() * np.abs(theirs).max())


@pytest.mark.long
def test_without_a_compiler_it_is_a_sentence(tmp_path: Path, checkpoint: Path) -> None:
    """Nothing is written of a model that was to be compiled and was not."""
    add_dataset(Lake(tmp_path / "lake"), "val", write_images(tmp_path / "images", {"ant": 1}), role="id")
    extraction = ["extract", "--compile", "--model", checkpoint, *network(), "--dataset", "val"]
    nowhere = {"CXX": "/nowhere/c++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    ended = run_command(*extraction, "--lake", tmp_path / "lake", **nowhere)
    assert ended.returncode == 1, ended.stderr
    sentence = ended.stderr.strip().splitlines()[-1]
    assert sentence.startswith("Error: --compile needs a working compiler for cpu: ")
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "lake" / "activations").exists()
