"""`featurestore extract` with pools, shards, heads and soups, as a user types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from analysis.rows import read_head
from tests.extract import clip_names
from tests.extract.conftest import network

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Commands


@pytest.fixture
def clip(fresh: Commands, tmp_path: Path) -> Commands:
    """A lake with a labelled dataset, and three CLIP finetunes with their recipes beside them."""
    fresh.add("val", "id", {"ant": 5, "bee": 6, "cat": 4})
    for seed in range(3):
        torch.save(clip_names.openai_state(*clip_names.tower(seed)), tmp_path / f"model_{seed}.pt")
    table = {f"model_{seed}": {"aug": "rand-m1-n1", "wd": 0.1, "lr": seed / 10, "epochs": 4} for seed in range(3)}
    (tmp_path / "hparam_info.json").write_text(json.dumps(table))
    return fresh


CLIP = network(clip_names.ARCHITECTURE, clip_names.KWARGS)


def _models(*numbers: int) -> list[str]:
    return [text for number in numbers for text in ("--model", f"model_{number}.pt")]


def test_finetunes_and_their_soups_end_in_the_lake(clip: Commands) -> None:
    clip.ok("extract", *_models(0, 1, 2), *CLIP, "--dataset", "val")
    uniform = ["--soup", "uniform", "--soup-name", "u", *_models(0, 1, 2), *CLIP, "--dataset", "val"]
    assert "3 of 3 models averaged" in clip.ok("extract", *uniform)
    assert "1 cache hits" in clip.ok("extract", *uniform)
    greedy = ["--soup", "greedy", "--soup-name", "g", "--soup-on", "val", *_models(2, 1, 0), *CLIP]
    assert "begins with" in clip.ok("extract", *greedy, "--dataset", "val")
    rows = clip.lake.sql("select model, pretraining, weight_decay, finetune_lr, soup_of, source from models")
    named = {row[0]: row[1:] for row in rows.fetchall()}
    assert named["model_2"] == (None, 0.1, 0.2, None, "model_2.pt")
    assert named["u"] == (None, 0.1, None, ["model_0", "model_1", "model_2"], "u.safetensors")
    assert set(named["g"][3]) <= {"model_0", "model_1", "model_2"}
    clip.ok("score", "--detector", "msp")
    assert clip.ok("verify", "--deep").endswith("no fault\n")
    best = "select accuracy.top1 from accuracy where model = ?"
    with clip.lake.connect() as connection:
        accuracy = {name: connection.execute(best, [name]).fetchall()[0][0] for name in named}
    assert accuracy["g"] >= max(accuracy[f"model_{number}"] for number in range(3))


def test_a_name_for_several_models_is_wrong_usage(clip: Commands) -> None:
    outcome = clip("extract", *_models(0, 1), *CLIP, "--name", "mine", "--dataset", "val")
    assert outcome.code == 2
    assert "names one model" in outcome.err


def test_a_head_from_a_file(clip: Commands, tmp_path: Path) -> None:
    np.savez(tmp_path / "text.npz", weight=np.eye(3, clip_names.WIDTH), normalize=True)
    clip.ok("extract", *_models(0), *CLIP, "--head", tmp_path / "text.npz", "--dataset", "val")
    assert clip.lake.sql("select num_classes, feature_dim from models").fetchall() == [(3, clip_names.WIDTH)]
    assert clip.ok("verify", "--deep").endswith("no fault\n")
    assert "head_sha256" in clip.refused("extract", *_models(0), *CLIP, "--dataset", "val")


def test_negative_labels_of_a_head_reach_the_detector_that_needs_them(clip: Commands, tmp_path: Path) -> None:
    """The lake holds them beside the classes; a model whose head has none is scored without that detector."""
    negatives = np.random.default_rng(0).normal(size=(8, clip_names.WIDTH)).astype(np.float32)
    np.savez(
        tmp_path / "text.npz", weight=np.eye(3, clip_names.WIDTH), normalize=True, temperature=0.01, negatives=negatives
    )
    clip.ok("extract", *_models(0), *CLIP, "--head", tmp_path / "text.npz", "--dataset", "val")
    clip.ok("extract", *_models(1), *CLIP, "--dataset", "val")
    lake = clip.lake
    head = read_head(lake, "model_0", {"val": lake.part("activations", model="model_0", dataset="val")[1]})
    assert head is not None
    np.testing.assert_array_equal(head.negatives, negatives)
    np.testing.assert_allclose(head.weight, 100 * np.eye(3, clip_names.WIDTH), rtol=1e-6)
    said = clip.ok("score", "--detector", "neglabel", "--detector", "msp")
    assert "model_1: without neglabel, which need embeddings of negative labels, and the model's head has none" in said
    scored = "select model, list(distinct detector order by detector) from scores group by 1 order by 1"
    assert lake.sql(scored).fetchall() == [("model_0", ["msp", "neglabel"]), ("model_1", ["msp"])]
    assert clip.ok("verify", "--deep").endswith("no fault\n")


def test_shards_of_a_pool_together_are_the_pool(clip: Commands, tmp_path: Path) -> None:
    kwargs = json.dumps(clip_names.KWARGS).replace('"', '""')
    rows = [f'm{n},model_{n}.pt,{clip_names.ARCHITECTURE},"{kwargs}"' for n in range(4)]
    (tmp_path / "pool.csv").write_text("\n".join(["model,checkpoint,architecture,model_kwargs", *rows]))
    pool = ["extract", "--pool", "pool.csv", "--checkpoints", tmp_path, "--dataset", "val", "--shard"]
    assert "2 extracted, 0 cache hits" in clip.ok(*pool, "1/2")
    said = clip.ok(*pool, "2/2")
    assert "1 of 2 checkpoints are not in" in said
    assert "1 extracted" in said
    assert clip.ok(*pool, "5/9") == "shard 5/9 of 4 models is empty\n"
    assert clip.lake.sql("select model from models order by model").fetchall() == [("m0",), ("m1",), ("m2",)]


def test_mistakes_are_one_sentence_and_write_nothing(clip: Commands, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = sorted(path for path in tmp_path.rglob("*"))
    mistakes = {
        "did you mean 'vit-ood-2024'": ("--pool", "vit-ood", "--checkpoints", tmp_path),
        "None of the 296 checkpoints": ("--pool", "vit-ood-2024", "--checkpoints", tmp_path / "empty"),
        "Two models are called 'model_0'": (*_models(0, 0), *CLIP),
        "same weights": (*_models(0, 0), *CLIP, "--soup", "uniform", "--soup-name", "s"),
        "add --soup": (*_models(0), *CLIP, "--soup-name", "s"),
        "Cannot read the recipes": (*_models(0), *CLIP, "--recipes", "gone.json"),
        "Cannot read gone.npz as plain .npz arrays: No such file": (*_models(0), *CLIP, "--head", "gone.npz"),
    }
    for sentence, arguments in mistakes.items():
        assert sentence in clip.refused("extract", *arguments, "--dataset", "val")
    assert sorted(path for path in tmp_path.rglob("*")) == before
