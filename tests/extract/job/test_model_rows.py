"""Recipes after extraction: corrected without a look at images or weights, and never lost."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from extract.images.preprocess_fields import FIELDS
from extract.job.run import run_job
from extract.models.sources import Note
from extract.models.spec import ModelSpec
from featurestore import ConflictError
from featurestore.care.verify import verify
from tests.extract.conftest import FULL, run, save_tiny

if TYPE_CHECKING:
    from featurestore import Lake


def _row(lake: Lake) -> dict[str, Any]:
    (row,) = lake.sql("from models").pl().to_dicts()
    return row


def _restated(lake: Lake, spec: ModelSpec, **recipe: Any) -> list[str]:
    lines: list[str] = []
    summary = run_job(lake, [dataclasses.replace(spec, recipe=recipe)], ["val"], FULL, lines.append)
    assert (summary.extracted, summary.reused) == (0, 1)
    return lines


def test_what_is_stated_anew_is_corrected_without_extraction(
    val: Lake, spec: ModelSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not stated again stays, and so does what was inferred; the second time there is nothing to say."""
    noted = dataclasses.replace(
        spec, notes=(Note("weights", "ema", "timm's"),), recipe={"weight_decay": 0.3, "recipe": '{"seed": 1}'}
    )
    run(val, noted)
    monkeypatch.delattr(ModelSpec, "load_module")
    before = _row(val)
    given = {"weight_decay": 0.1, "dropout": 0.5, "recipe": '{"mix": 2}'}
    lines = _restated(val, spec, **given)
    assert lines[0].startswith("tiny: recipe corrected: weight_decay 0.3 -> 0.1, ")
    assert "dropout unknown -> 0.5" in lines[0]
    after = _row(val)
    assert (after["weight_decay"], after["dropout"]) == (0.1, 0.5)
    recipe = json.loads(after["recipe"])
    rest = {name: text for name, text in recipe.pop("inferred").items() if name not in FIELDS}
    assert (recipe, rest) == ({"seed": 1, "mix": 2}, {"weights": "ema (timm's)"})
    same = before.keys() - {"weight_decay", "dropout", "recipe"}
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert not any("corrected" in line for line in _restated(val, spec, **given))
    assert not any("corrected" in line for line in _restated(val, spec))
    assert _row(val) == after
    assert verify(val.storage, lambda fault: pytest.fail(str(fault)), deep=True).faults == 0


def test_a_recipe_of_other_weights_is_not_taken_over(val: Lake, spec: ModelSpec, tmp_path: Path) -> None:
    run(val, spec)
    other = dataclasses.replace(spec, checkpoint=save_tiny(tmp_path / "tiny.safetensors", seed=9), recipe={})
    with pytest.raises(ConflictError, match="; weights_sha256"):
        run(val, other)
    assert _row(val)["weight_decay"] == 0.1
    run(val, other, replacing=True)
    assert _row(val)["weight_decay"] is None


def test_nothing_is_corrected_where_the_job_is_refused(val: Lake, spec: ModelSpec) -> None:
    run(val, spec)
    with pytest.raises(ConflictError, match="another dtype"):
        run(val, dataclasses.replace(spec, recipe={"weight_decay": 0.7}), dtype="float16")
    assert _row(val)["weight_decay"] == 0.1


def test_a_row_that_is_gone_is_written_again(val: Lake, spec: ModelSpec) -> None:
    run(val, spec)
    before = _row(val)
    shutil.rmtree(Path(val.location) / "models" / "model=tiny")
    lines: list[str] = []
    summary = run_job(val, [spec], ["val"], FULL, lines.append)
    assert (summary.extracted, summary.reused) == (0, 1)
    assert "tiny: its row of models was gone, and is written again" in lines
    assert _row(val) == before


def test_preprocessing_is_said_in_a_line_and_stored(val: Lake, spec: ModelSpec) -> None:
    """Before the first image, with where each value came from; in columns, and among what was inferred where it was."""
    said: list[str] = []
    stated = spec.stating({"mean": (0.1, 0.2, 0.3), "crop_pct": 0.5}, "stated")
    run_job(val, [stated], ["val"], FULL, said.append)
    line = next(line for line in said if line.startswith("tiny: preprocessing: "))
    assert "crop_pct 0.5, mean 0.1 0.2 0.3 (stated)" in line
    assert "crop_mode center, interpolation bicubic, std 0.5 (guessed: " in line
    assert said.index(line) < next(n for n, text in enumerate(said) if "images/s" in text)
    (row,) = val.sql("select crop_pct, crop_mode, interpolation, mean, std, recipe from models").fetchall()
    assert row[:5] == (0.5, "center", "bicubic", [0.1, 0.2, 0.3], [0.5] * 3)
    inferred = json.loads(row[5])["inferred"]
    assert {"crop_mode", "interpolation", "std"} <= inferred.keys()
    assert not {"crop_pct", "mean"} & inferred.keys()
