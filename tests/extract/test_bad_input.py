"""Bad input, as a user meets it: each piece ends as one sentence, or as a row of `failures`; none as a wrong number."""

from __future__ import annotations

import io
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.extract.conftest import tiny_vit
from tests.tiny import ARCHITECTURE, KWARGS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.pipeline import Commands

PIXELS = np.random.default_rng(1).integers(0, 256, (36, 48, 3), dtype=np.uint8)
PHOTOGRAPH = Image.fromarray(PIXELS)
CMYK = PHOTOGRAPH.convert("CMYK")
INDEXED = PHOTOGRAPH.quantize(16)
GREY = PHOTOGRAPH.convert("L")
DEEP = Image.fromarray(np.asarray(GREY).astype(np.uint16) * 257)
FRAMES = [PHOTOGRAPH, Image.new("RGB", PHOTOGRAPH.size, "red")]
WIDE = PHOTOGRAPH.resize((20_000, 60))


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def turned(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, "jpeg", exif=exif)


def first_of(frames: list[Image.Image], kind: str) -> bytes:
    return encoded(
        frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "webp" else {})
    )


def decoded(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")


READ: dict[str, tuple[bytes, Image.Image]] = {
    "cmyk.jpg": (encoded(CMYK, "jpeg"), decoded(encoded(CMYK, "jpeg"))),
    "cmyk.tif": (encoded(CMYK, "tiff"), CMYK.convert("RGB")),
    "palette.png": (encoded(INDEXED, "png"), INDEXED.convert("RGB")),
    "palette.gif": (encoded(INDEXED, "gif"), INDEXED.convert("RGB")),
    "sixteen_bits.png": (encoded(DEEP, "png"), GREY.convert("RGB")),
    "sixteen_bits.tif": (encoded(DEEP, "tiff"), GREY.convert("RGB")),
    "one_pixel.png": (encoded(PHOTOGRAPH.crop((0, 0, 1, 1)), "png"), PHOTOGRAPH.crop((0, 0, 1, 1))),
    "animated.gif": (first_of([INDEXED, INDEXED.rotate(180)], "gif"), INDEXED.convert("RGB")),
    "animated.png": (first_of(FRAMES, "png"), PHOTOGRAPH),
    "animated.webp": (first_of(FRAMES, "webp"), PHOTOGRAPH),
    "rotated.jpg": (turned(PHOTOGRAPH, 6), decoded(encoded(PHOTOGRAPH, "jpeg"))),
    "mirrored.jpg": (turned(PHOTOGRAPH, 2), decoded(encoded(PHOTOGRAPH, "jpeg"))),
    "wide.png": (encoded(WIDE, "png"), WIDE),
}
"""Unusual files, and the plain image that each must count as: nothing is turned, as torchvision and timm turn nothing."""

BROKEN = {
    "bomb.png": (
        encoded(Image.new("1", (20_000, 5_000)), "png"),
        "ValueError: 20000 x 5000 pixels: more than 89,478,485",
    ),
    "cut.jpg": (encoded(PHOTOGRAPH, "jpeg")[:-400], "OSError: image file is truncated"),
    "empty.jpg": (b"", "UnidentifiedImageError: the file is empty"),
    "garbled.png": (encoded(PHOTOGRAPH, "png")[:999] + bytes(99) + encoded(PHOTOGRAPH, "png")[1098:], "OSError: "),
    "line.png": (
        encoded(Image.new("RGB", (20_000, 1)), "png"),
        "ValueError: 20000 x 1 pixels: one side is more than 500",
    ),
    "text.png": (b"<html>404</html>", "UnidentifiedImageError: not an image that Pillow can read"),
    "vast.png": (encoded(Image.new("1", (20_000, 20_000)), "png"), "DecompressionBombError: "),
}


@pytest.fixture
def commands(fresh: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    monkeypatch.chdir(tmp_path)
    return fresh


@pytest.fixture
def labelled(commands: Commands, checkpoint: Path, tmp_path: Path) -> Commands:
    """A lake with three labelled images of three classes, and a checkpoint."""
    shutil.copy(checkpoint, tmp_path / "tiny.safetensors")
    commands.add("val", "id", {"ant": 1, "bee": 1, "cat": 1})
    return commands


def network(**overrides: Any) -> list[str]:
    pairs = [f"{name}={value}" for name, value in {**KWARGS, **overrides}.items()]
    return ["--architecture", ARCHITECTURE, "--workers", "0"] + [t for pair in pairs for t in ("--model-kwargs", pair)]


@pytest.mark.parametrize("workers", [0, 2])
def test_unusual_images_count_as_what_they_show_and_broken_ones_are_listed(
    commands: Commands, checkpoint: Path, tmp_path: Path, workers: int
) -> None:
    for name, (content, _) in {**READ, **BROKEN}.items():
        (tmp_path / "odd" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "odd" / name).write_bytes(content)
    for name, (_, plain) in READ.items():
        (tmp_path / "plain").mkdir(exist_ok=True)
        plain.save(tmp_path / "plain" / f"{name}.bmp")
    for dataset in ("odd", "plain"):
        commands.ok("dataset", "add", dataset, tmp_path / dataset, "--role", "ood")
    extraction = ["extract", "--model", checkpoint, *network(), "--dtype", "float32", "--workers", workers]
    commands.ok(*extraction, "--dataset", "plain")
    outcome = commands(*extraction, "--dataset", "odd")
    assert outcome.code == 3
    assert f"{len(BROKEN)} samples could not be read" in outcome.err
    assert "Warning" not in outcome.err
    failures = dict(commands.lake.sql("select path, error from failures").fetchall())
    assert sorted(failures) == sorted(BROKEN)
    for name, (_, reason) in BROKEN.items():
        assert failures[name].startswith(reason), name
    odd, plain = (_features(commands, dataset) for dataset in ("odd", "plain"))
    assert sorted(odd) == sorted(READ)
    for name, feature in odd.items():
        np.testing.assert_allclose(feature, plain[f"{name}.bmp"], atol=1e-5, err_msg=name)
    assert commands(*extraction, "--dataset", "odd").code == 3  # a cache hit, and still not complete


def _features(commands: Commands, dataset: str) -> dict[str, Any]:
    paths = commands.lake.read("samples", dataset=dataset).column("path").to_pylist()
    blocks = commands.lake.batches(model="tiny", dataset=dataset, columns=("sample", "feature"))
    return {paths[sample]: row for samples, rows in blocks for sample, row in zip(samples, rows, strict=True)}


def test_missing_and_unexpected_parameters_are_listed_and_nothing_is_written(
    labelled: Commands, tmp_path: Path
) -> None:
    state = tiny_vit().state_dict()
    renamed = {f"encoder.{name}" if name.startswith("blocks.") else name: value for name, value in state.items()}
    save_file(renamed, tmp_path / "renamed.safetensors")
    before = sorted(tmp_path.rglob("*"))
    said = labelled.refused("extract", "--model", "renamed.safetensors", *network(), "--dataset", "val")
    assert "missing: blocks.0.norm1.weight, " in said
    assert "unexpected: encoder.blocks.0.attn.proj.bias, " in said
    assert said.count(" and 8 more") == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_head_of_another_class_count_is_a_sentence(labelled: Commands, tmp_path: Path) -> None:
    """Another than the arguments say, than the labels need, or than the model of that name has in the lake."""
    save_file(tiny_vit(num_classes=5).state_dict(), tmp_path / "five.safetensors")
    said = labelled.refused("extract", "--model", "five.safetensors", *network(), "--dataset", "val")
    assert "of another shape: head.weight is [5, 24], not [3, 24]" in said
    np.savez(tmp_path / "two.npz", weight=np.ones((2, 24), np.float32))
    headed = ["extract", "--model", "tiny.safetensors", *network(), "--head", "two.npz", "--dataset", "val"]
    assert "has the label 2, but the head of tiny has 2 classes" in labelled.refused(*headed)
    assert not labelled.lake.partitions("models")
    labelled.ok("extract", "--model", "tiny.safetensors", *network(), "--dataset", "val")
    shutil.copy(tmp_path / "five.safetensors", tmp_path / "tiny.safetensors")
    said = labelled.refused("extract", "--model", "tiny.safetensors", *network(num_classes=5), "--dataset", "val")
    assert '"num_classes": 3' in said.replace("\\", "")
    assert "--replace" in said


class Payload:
    """What an attacker puts into a checkpoint: unpickled, it makes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.place), "w")


def _arrays(payload: Payload) -> Any:
    arrays = np.empty(1, dtype=object)
    arrays[0] = payload
    return arrays


PAYLOADS: dict[str, Callable[[Path, Payload], object]] = {
    "state.pth": lambda file, payload: torch.save({"head.weight": payload}, file),
    "whole.pt": lambda file, payload: torch.save(payload, file),
    "old.ckpt": lambda file, payload: torch.save(payload, file, _use_new_zipfile_serialization=False),
    "raw.bin": lambda file, payload: file.write_bytes(pickle.dumps(payload)),
    "arrays.npz": lambda file, payload: np.savez(file, weight=_arrays(payload)),
    "B_16-i21k-300ep-lr_0.001-aug_none-wd_0.1-do_0.0-sd_0.0.npz": lambda file, payload: np.savez(
        file, **{"head/kernel": _arrays(payload)}
    ),
    "named_wrongly.safetensors": lambda file, payload: file.write_bytes(pickle.dumps(payload)),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_never_runs(labelled: Commands, tmp_path: Path, name: str) -> None:
    payload = Payload(tmp_path / "ran")
    PAYLOADS[name](tmp_path / name, payload)
    said = labelled.refused("extract", "--model", name, *network(), "--dataset", "val")
    assert name in said
    assert ("would run code" in said) == name.endswith((".pth", ".pt", ".ckpt", ".bin"))
    if name.endswith(".npz"):
        labelled.refused("extract", "--model", "tiny.safetensors", *network(), "--head", name, "--dataset", "val")
    assert not labelled.lake.partitions("models")
    assert not (tmp_path / "ran").exists()
    pickle.loads(pickle.dumps(payload)).close()  # our own: it would have run
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"zz", b"<html>404</html>", b"PK\3\4cut", b"\x80\2cut"])
def test_a_checkpoint_that_was_not_downloaded_whole_is_a_sentence(
    labelled: Commands, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "cut.pth").write_bytes(content)
    said = labelled.refused("extract", "--model", "cut.pth", *network(), "--dataset", "val")
    assert "cut.pth" in said
    assert ("is no PyTorch checkpoint" in said) == (content[:1] in {b"z", b"<"})
    assert not labelled.lake.partitions("models")


@pytest.mark.parametrize(("place", "format_"), [("hf:cifar10@test", "hf"), ("a.tar", "tar"), ("a.csv", "csv")])
def test_a_place_of_another_format_gets_the_word_that_was_left_out(
    commands: Commands, tmp_path: Path, place: str, format_: str
) -> None:
    for name in ("a.tar", "a.csv"):
        (tmp_path / name).write_bytes(b"")
    assert f"say --format {format_}" in commands.refused("dataset", "add", "d", place, "--role", "ood")
    assert not commands.location.exists()


@pytest.mark.parametrize(
    ("label", "message"), [("-1", "the label -1"), ("1.5", "class_name,label"), ("9" * 20, "the label 9999")]
)
def test_a_label_that_is_no_index_is_refused_at_registration(
    commands: Commands, images: Path, tmp_path: Path, label: str, message: str
) -> None:
    (tmp_path / "labels.csv").write_text(f"class_name,label\nant,0\nbee,1\ncat,{label}\n")
    said = commands.refused("dataset", "add", "val", images, "--role", "id", "--labels", "labels.csv")
    assert message in said
    assert not commands.location.exists()


@pytest.mark.parametrize("second", ["ant/000.png", "./ant/000.png", "ant//000.png", "bee/../ant/000.png"])
def test_an_image_that_a_list_names_twice_is_refused_by_its_path(commands: Commands, images: Path, second: str) -> None:
    """Whichever way it is written: it would count twice."""
    (images / "list.csv").write_text(f"image_location,class\nant/000.png,ant\nbee/001.png,bee\n{second},bee\n")
    said = commands.refused("dataset", "add", "twice", images / "list.csv", "--role", "ood", "--format", "csv")
    assert "lists 'ant/000.png' more than once" in said
    assert not commands.location.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cuda:0,1"])
def test_cuda_where_there_is_none_is_a_sentence(labelled: Commands, device: str) -> None:
    arguments = ["--model", "tiny.safetensors", *network(), "--dataset", "val", "--device", device]
    assert "this machine has 0 CUDA devices; use --device cpu" in labelled.refused("extract", *arguments)
    assert not labelled.lake.partitions("models")
