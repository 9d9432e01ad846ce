"""Images judged through the real command and in Python: the lake's numbers for the lake's images, and refusals that say what to do."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from safetensors.torch import load_file, save_file

from featurestore.errors import ConflictError, InputError
from featurestore.judge import Judge
from tests.tiny import tiny_vit, write_images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline import Commands

CHOSEN = ("--model", "a", "--detector", "mahalanobis")


def stored(commands: Commands, dataset: str, detector: str = "mahalanobis") -> Any:
    return commands.lake.read("scores", benchmark="main", model="a", dataset=dataset, detector=detector)


def test_images_of_the_lake_get_the_scores_of_the_lake(commands: Commands) -> None:
    """A row per image, in order, with threshold, rank, verdict and prediction, as JSON and as CSV; the same image twice is one row."""
    folder = commands.folder
    outcome = commands("judge", folder / "test", folder / "far", folder / "far", *CHOSEN, "--format", "json")
    assert outcome.code == 0
    assert "accept scores of at least" in outcome.err
    rows = json.loads(outcome.out)
    expected, ranks = (
        np.concatenate([stored(commands, name)[column].to_numpy() for name in ("test", "far")])
        for column in ("score", "id_rank")
    )
    assert len(rows) == len(expected)
    assert_allclose([row["score"] for row in rows], expected, rtol=1e-6)
    assert_allclose([row["id_rank"] for row in rows], ranks, atol=1e-9)
    threshold = np.quantile(stored(commands, "test")["score"].to_numpy(), 0.05)
    assert [row["threshold"] for row in rows] == pytest.approx([threshold] * len(rows))
    assert [row["accepted"] for row in rows] == (expected >= rows[0]["threshold"]).tolist()
    assert rows[0]["threshold_low"] is None  # 36 images are too few to bound it from below
    assert rows[0]["threshold_high"] > threshold
    logits = np.concatenate(
        [block[0] for block in commands.lake.batches(model="a", dataset="test", columns=("logits",))]
    )
    assert [row["predicted"] for row in rows[:36]] == logits.argmax(axis=1).tolist()
    assert {row["class_name"] for row in rows} <= {"ant", "bee", "cat"}
    assert {row["error"] for row in rows} == {None}
    text = commands.ok("judge", folder / "test", *CHOSEN, "--format", "csv", "--tpr", 0.5)
    accepted = [row["accepted"] == "true" for row in csv.DictReader(io.StringIO(text))]
    assert np.mean(accepted) == pytest.approx(0.5, abs=0.03)


def test_images_that_cannot_be_read_are_rows_and_the_others_are_judged(commands: Commands, tmp_path: Path) -> None:
    """Missing, empty, no image: each with its reason, and exit code 0; globs are taken, also where the shell leaves them."""
    write_images(tmp_path / "new", {"ant": 2})
    (tmp_path / "new" / "empty.png").touch()
    (tmp_path / "new" / "text.jpg").write_text("no image")
    outcome = commands(
        "judge",
        tmp_path / "gone.png",
        tmp_path / "new" / "*.*",
        tmp_path / "new" / "**" / "0*.png",
        *CHOSEN,
        "--format",
        "json",
    )
    assert outcome.code == 0
    rows = {row["image"].removeprefix(f"{tmp_path}/"): row for row in json.loads(outcome.out)}
    assert list(rows) == ["gone.png", "new/empty.png", "new/text.jpg", "new/ant/000.png", "new/ant/001.png"]
    assert "No such file" in rows["gone.png"]["error"]
    assert "empty" in rows["new/empty.png"]["error"]
    assert "not an image" in rows["new/text.jpg"]["error"]
    assert [row["score"] is None for row in rows.values()] == [True, True, True, False, False]
    assert [row["accepted"] is None for row in rows.values()] == [True, True, True, False, False]
    assert "3 of 5 images could not be judged" in outcome.err


def test_what_cannot_be_judged_by_is_one_sentence(commands: Commands, tmp_path: Path) -> None:
    """And nothing is printed that a program could take for an answer."""
    image = commands.folder / "test" / "ant" / "000.png"
    assert "no model with activations 'c'" in commands.refused("judge", image, "--model", "c", "--detector", "msp")
    assert "featurestore score --model a --detector cfood" in commands.refused(
        "judge", image, "--model", "a", "--detector", "cfood"
    )
    assert "between 0 and 1" in commands.refused("judge", image, *CHOSEN, "--tpr", 95)
    (tmp_path / "bare").mkdir()
    assert "There is no image in" in commands.refused("judge", tmp_path / "bare", *CHOSEN)
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / os.fsdecode(b"\xff.png")).touch()
    assert "is no text: rename that file" in commands.refused("judge", strange, *CHOSEN)
    assert "no format" in commands.refused("judge", image, *CHOSEN, "--format", "xml")
    assert commands("judge", *CHOSEN).code == 2


def test_other_weights_are_refused_and_files_that_moved_are_asked_for(copied: Commands) -> None:
    """The lake says where they lay; the hash says whether they are the same."""
    image, models = copied.folder / "image.png", copied.folder / "models"
    shutil.copy(next(write_images(copied.folder / "new", {"ant": 1}).rglob("*.png")), image)
    (models / "a.safetensors").rename(copied.folder / "moved.safetensors")
    places = next(part.details["network"] for part in copied.lake.partitions("activations", model="a")[0].parts)
    assert places["checkpoint"].endswith("models/a.safetensors")
    judge = copied.lake.judge("a", "mahalanobis", say=None)
    with pytest.raises(ConflictError, match=r"b.safetensors holds other weights than a was extracted with"):
        judge.images(image, checkpoint=models / "b.safetensors")
    with pytest.raises(InputError, match=r"gone\.safetensors of a is not there"):
        judge.images(image, checkpoint=models / "gone.safetensors")
    one = judge.images(image, checkpoint=copied.folder / "moved.safetensors")
    assert one["error"].to_list() == [None]
    weights = load_file(copied.folder / "moved.safetensors")
    weights["head.bias"] = weights["head.bias"] + 1
    save_file(weights, copied.folder / "moved.safetensors")
    said = copied.refused("judge", image, *CHOSEN, "--checkpoint", copied.folder / "moved.safetensors")
    assert "holds other weights than a was extracted with" in said
    assert "extract --replace" in said


def test_a_module_of_torch_gives_the_same_around_the_network_of_the_lake_or_ones_own(commands: Commands) -> None:
    """Images in; scores, verdicts and logits out. A network with another head is not that model."""
    import torch

    judge = commands.lake.judge("a", "vim", say=None)
    paths = judge.images(commands.folder / "test")["image"].to_list()
    module = judge.as_module()
    images = torch.stack([module.transform(Image.open(path).convert("RGB")) for path in paths])
    expected = stored(commands, "test", "vim")["score"].to_numpy()
    for one in (module, judge.as_module(tiny_vit(1))):
        judged = one(images)
        assert_allclose(judged.score.numpy(), expected, rtol=1e-6)
        assert_array_equal(judged.accepted.numpy(), judged.score.numpy() >= judge.threshold)
        assert_array_equal(judged.predicted.numpy(), judged.logits.numpy().argmax(axis=1))
        assert not one.training
        assert next(one.parameters()).shape == next(tiny_vit(1).parameters()).shape
    with pytest.raises(ConflictError, match="has another head than a was extracted with"):
        judge.as_module(tiny_vit(2))
    with pytest.raises(InputError, match="A Linear is no network of timm's"):
        judge.as_module(torch.nn.Linear(2, 2))


def test_a_judge_that_was_saved_judges_images_where_the_lake_is_gone(copied: Commands, tmp_path: Path) -> None:
    """The file says which network it was, and where its weights lay; a pickle does so too."""
    write_images(tmp_path / "new", {"ant": 2, "bee": 2})
    whole = copied.lake.judge("a", "energy", say=None)
    expected = whole.images(tmp_path / "new", checkpoint=copied.folder / "models" / "a.safetensors")
    whole.save(tmp_path / "judge")
    shutil.rmtree(copied.location)
    for judge in (Judge.load(tmp_path / "judge"), pickle.loads(pickle.dumps(whole))):  # our own bytes
        assert isinstance(judge, Judge)
        assert judge.images(tmp_path / "new", checkpoint=copied.folder / "models" / "a.safetensors").equals(expected)


def test_layers_models_in_float16_and_without_a_head_are_judged(fresh: Commands) -> None:
    """Each gets the lake's own scores for the lake's images; without a head nothing is predicted."""
    for name, role, seed in (("train", "fit", 0), ("test", "id", 1)):
        fresh.add(name, role, {"ant": 30, "bee": 30, "cat": 30}, seed)
    options = ("--dtype", "float16", "--feature", "penultimate,blocks.0")
    assert fresh.extract({"a": 1}, "train", "test", options=options).code == 0
    fresh.ok("score", "--detector", "mahalanobis", "--detector", "knn.openood")
    for model in ("a", "a@blocks.0"):
        for detector in ("mahalanobis", "knn.openood"):
            judge = fresh.lake.judge(model, detector, say=None)
            rows = judge.images(fresh.folder / "test")
            held = fresh.lake.read("scores", benchmark="main", model=model, dataset="test", detector=detector)
            assert_allclose(rows["score"].to_numpy(), held["score"].to_numpy(), rtol=1e-3)
            assert rows["predicted"].is_null().all() == (model != "a")
            module = judge.as_module()
            paths = rows["image"].to_list()[:5]
            from torch import stack

            judged = module(stack([module.transform(Image.open(path).convert("RGB")) for path in paths]))
            assert_allclose(judged.score.numpy(), held["score"].to_numpy()[:5], rtol=1e-3)
