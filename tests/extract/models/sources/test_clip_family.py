"""QuickGELU and pretraining of CLIP's towers are what the file, a config beside it, or the user says, and are never guessed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from extract.models.network import LoadedModel
from extract.pools.naming import spec_from_file
from featurestore import InputError
from tests.extract.clip_names import ARCHITECTURE, KWARGS, openai_state, tower

if TYPE_CHECKING:
    from pathlib import Path

    from extract.models import ModelSpec
    from tests.pipeline import Commands

GELU = ARCHITECTURE.replace("_quickgelu", "")
OPENAI = {"pretraining": "clip-openai"}
# As much of a ViT-B/32 as its shapes are known by.
WIDE = {"visual.conv1.weight": torch.zeros(768, 3, 32, 32), "visual.positional_embedding": torch.zeros(50, 768)}


def _file(folder: Path, state: dict[str, Any] | None = None) -> Path:
    torch.save({"visual.class_embedding": torch.zeros(768), **(state or WIDE)}, folder / "m.pt")
    return folder / "m.pt"


def _config(folder: Path, **model: Any) -> None:
    written = {"model_cfg": {"embed_dim": 512, **model}, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(written))


def _notes(spec: ModelSpec) -> dict[str, str]:
    return {note.topic: note.value for note in spec.notes}


def test_names_alone_decide_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"QuickGELU.*state --architecture {ARCHITECTURE} or {GELU}, or pretraining"):
        spec_from_file(_file(tmp_path))


@pytest.mark.parametrize("architecture", [ARCHITECTURE, GELU])
def test_a_stated_architecture_is_taken_and_pretraining_stays_unknown(tmp_path: Path, architecture: str) -> None:
    spec = spec_from_file(_file(tmp_path), architecture)
    assert spec.architecture == architecture
    assert "pretraining" not in spec.recipe
    assert _notes(spec)["pretraining"] == "unknown"
    assert "as pretraining=clip-laion2b" in str(spec.notes[0])


@pytest.mark.parametrize(("said", "architecture"), [({}, GELU), ({"quick_gelu": True}, ARCHITECTURE)])
def test_open_clip_s_config_tells(tmp_path: Path, said: dict[str, Any], architecture: str) -> None:
    _config(tmp_path, **said)
    spec = spec_from_file(_file(tmp_path))
    assert spec.architecture == architecture
    assert spec.preprocess["mean"] == (0.5, 0.5, 0.5)
    assert "pretraining" not in spec.recipe


def test_fields_of_openai_s_archives_tell(tmp_path: Path) -> None:
    fields = {name: torch.tensor(224) for name in ("input_resolution", "context_length", "vocab_size")}
    spec = spec_from_file(_file(tmp_path, {**WIDE, **fields}))
    assert spec.architecture == ARCHITECTURE
    assert spec.recipe == OPENAI


def test_a_stated_pretraining_tells(tmp_path: Path) -> None:
    spec = spec_from_file(_file(tmp_path), recipe=OPENAI)
    assert (spec.architecture, spec.recipe) == (ARCHITECTURE, OPENAI)
    assert "pretraining" not in _notes(spec)
    with pytest.raises(InputError, match="QuickGELU"):
        spec_from_file(_file(tmp_path), recipe={"pretraining": "clip-laion2b"})


def test_an_architecture_that_contradicts_is_refused(tmp_path: Path) -> None:
    file = _file(tmp_path)
    with pytest.raises(InputError, match=rf"network with QuickGELU \(pretraining is.*--architecture {ARCHITECTURE}"):
        spec_from_file(file, GELU, recipe=OPENAI)
    assert spec_from_file(file, GELU, {"act_layer": "quick_gelu"}, OPENAI).architecture == GELU
    _config(tmp_path)
    with pytest.raises(InputError, match=rf"network with GELU \(open_clip_config.json.*--architecture {GELU}"):
        spec_from_file(file, ARCHITECTURE)


def test_a_broken_config_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text("[]")
    with pytest.raises(InputError, match="as the config of an open_clip model"):
        spec_from_file(_file(tmp_path))


def test_the_activation_changes_the_numbers(tmp_path: Path) -> None:
    """So that a guess of it would be wrong without a word."""
    torch.save(openai_state(*tower()), tmp_path / "m.pt")
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    quick, plain = (
        LoadedModel(spec_from_file(tmp_path / "m.pt", name, KWARGS), torch.device("cpu"))(images)[0]
        for name in (ARCHITECTURE, GELU)
    )
    assert abs(quick - plain).max() > 1e-4 * abs(quick).max()


def test_the_command_says_what_is_unknown(fresh: Commands, tmp_path: Path) -> None:
    fresh.add("val", "id", {"ant": 3, "bee": 3, "cat": 3})
    file = tmp_path / "m.pt"
    state = openai_state(*tower())
    torch.save({name.removeprefix("model."): value for name, value in state.items() if "head" not in name}, file)
    kwargs = [text for name, value in KWARGS.items() for text in ("--model-kwargs", f"{name}={value}")]
    said = fresh.refused("extract", "--model", file, *kwargs, "--dataset", "val")
    assert "--architecture" in said
    said = fresh.ok("extract", "--model", file, "--architecture", ARCHITECTURE, *kwargs, "--dataset", "val")
    assert "m: pretraining: unknown (m.pt does not say; state it in a pool's column" in said
    assert fresh.lake.sql("select pretraining from models").fetchall() == [(None,)]
    (tmp_path / "recipes.json").write_text(json.dumps({"n": {"pretraining": "clip-openai"}}))
    named = file.rename(tmp_path / "n.pt")
    options = ("--architecture", ARCHITECTURE, *kwargs, "--dataset", "val", "--recipes", tmp_path / "recipes.json")
    assert "unknown" not in fresh.ok("extract", "--model", named, *options)
    found = fresh.lake.sql("select pretraining from models where model = 'n'")
    assert found.fetchall() == [("clip-openai",)]
