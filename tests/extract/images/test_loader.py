"""Images: every kind is decoded as torchvision's loader does, or fails alone, with its reason."""

from __future__ import annotations

import dataclasses
import io
import os
import sys
import tarfile
import warnings
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets.folder import pil_loader

from extract.datasets import FileReader, Origin, add_dataset, open_reader, read_dataset
from extract.images import loader
from extract.images.decoding import read_rgb
from extract.images.loader import ImageDataset, image_batches
from extract.images.pictures import image_opener
from tests.tiny import write_images

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from featurestore import Lake

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 20, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)
GREY = np.linspace(0, 255, 240).reshape(12, 20).astype(np.uint8)


def palette(**options: Any) -> bytes:
    return encoded(RGB.quantize(16), "png", **options)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(RGB, "jpeg", exif=exif)


def animated(kind: str) -> bytes:
    frames = [Image.fromarray(np.full((12, 20, 3), value, np.uint8)) for value in (200, 10)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


LIKE_TORCHVISION: dict[str, Callable[[], bytes]] = {
    "plain.png": lambda: encoded(RGB, "png"),
    "photograph.jpg": lambda: encoded(RGB, "jpeg"),
    "cmyk.jpg": lambda: encoded(RGB.convert("CMYK"), "jpeg"),
    "cmyk.tif": lambda: encoded(RGB.convert("CMYK"), "tiff"),
    "palette.png": palette,
    "palette_transparent_index.png": lambda: palette(transparency=3),
    "palette_transparent_bytes.png": lambda: palette(transparency=bytes(range(0, 256, 16))),
    "palette.gif": lambda: encoded(RGB.quantize(16), "gif"),
    "grey.png": lambda: encoded(Image.fromarray(GREY), "png"),
    "grey.jpg": lambda: encoded(Image.fromarray(GREY), "jpeg"),
    "grey_alpha.png": lambda: encoded(Image.fromarray(GREY).convert("LA"), "png"),
    "alpha.png": lambda: encoded(RGB.convert("RGBA"), "png"),
    "black_white.png": lambda: encoded(Image.fromarray(GREY > 99), "png"),
    "one_pixel.png": lambda: encoded(RGB.crop((0, 0, 1, 1)), "png"),
    "animated.gif": lambda: animated("gif"),
    "animated.webp": lambda: animated("webp"),
    "animated.png": lambda: animated("png"),
    "rotated.jpg": rotated,
    "wide.png": lambda: encoded(Image.new("RGB", (20_000, 60), "red"), "png"),
}


@pytest.mark.parametrize("name", LIKE_TORCHVISION)
def test_pixels_are_those_of_torchvision_s_image_folder(name: str, tmp_path: Path) -> None:
    """timm's loader does the same; no warning of the decoder's is let out."""
    (tmp_path / name).write_bytes(LIKE_TORCHVISION[name]())
    ours = read_rgb(tmp_path / name)
    with warnings.catch_warnings(action="ignore"):
        theirs = pil_loader(str(tmp_path / name))
    assert ours.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("kind", ["png", "tiff", "pgm"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path, kind: str) -> None:
    """Pillow's own conversion clips, so that nearly all of the image becomes white."""
    values = GREY.astype(np.uint16) * 257
    if kind == "pgm":
        (tmp_path / "a").write_bytes(b"P5 20 12 65535\n" + values.astype(">u2").tobytes())
    else:
        (tmp_path / "a").write_bytes(encoded(Image.fromarray(values), kind))
    found = np.asarray(read_rgb(tmp_path / "a"))
    np.testing.assert_array_equal(found, np.repeat(GREY[:, :, None], 3, axis=2))


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.png": (lambda: b"", "UnidentifiedImageError: the file is empty"),
    "text.png": (lambda: b"no image at all", "UnidentifiedImageError: not an image that Pillow can read"),
    "cut.jpg": (lambda: encoded(Image.new("RGB", (64, 64), "red"), "jpeg")[:-40], "OSError: image file is truncated"),
    "cut.png": (lambda: encoded(RGB, "png")[:-60], ""),
    "garbled.png": (lambda: encoded(RGB, "png").replace(b"IDAT", b"IDAT" + bytes(99)), ": "),
    "bomb.png": (lambda: encoded(Image.new("1", (20_000, 5_000)), "png"), "ValueError: 20000 x 5000 pixels: more"),
    "huge_bomb.png": (lambda: encoded(Image.new("1", (20_000, 20_000)), "png"), "DecompressionBombError"),
    "line.png": (lambda: encoded(Image.new("RGB", (20_000, 1)), "png"), "ValueError: 20000 x 1 pixels: one"),
    "float.tif": (lambda: encoded(Image.fromarray(GREY.astype(np.float32)), "tiff"), "mode F"),
    "integer.tif": (lambda: encoded(Image.fromarray(GREY.astype(np.int32)), "tiff"), "mode I"),
}


def to_tensor(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.resize((8, 8)))).permute(2, 0, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_images_fail_alone_with_a_reason_that_names_no_place(tmp_path: Path, workers: int) -> None:
    """The others of their batch are read; errors say the same wherever the images lie."""
    for name, (make, _) in BROKEN.items():
        (tmp_path / name).write_bytes(make())
    (tmp_path / "good.png").write_bytes(encoded(RGB, "png"))
    paths = [*BROKEN, "good.png", "gone.png"]
    dataset = ImageDataset(FileReader(tmp_path), paths, {"": to_tensor})
    (found,) = image_batches(dataset, [range(len(paths))], workers=workers, pin=False)
    batch = found.only
    assert batch.samples == [len(BROKEN)]
    torch.testing.assert_close(batch.images[0], to_tensor(RGB))
    errors = {paths[sample]: text for sample, text in batch.errors}
    assert list(errors) == [*BROKEN, "gone.png"]
    for name, (_, reason) in BROKEN.items():
        assert errors[name], name
        assert reason in errors[name]
    assert errors["gone.png"] == "FileNotFoundError: No such file or directory"
    assert not any(str(tmp_path) in text or " at 0x" in text for text in errors.values())


@pytest.mark.parametrize("whole", [1, 1 << 20])
def test_a_file_is_read_in_one_go_unless_it_is_too_large_for_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: int
) -> None:
    """Either way it is the same image, closed afterwards: warnings of files left open are errors here."""
    (tmp_path / "a.png").write_bytes(encoded(RGB, "png"))
    (tmp_path / "b.png").write_bytes(encoded(RGB, "png")[:60])
    monkeypatch.setattr(loader, "_READ_WHOLE", whole)
    good, cut = (ImageDataset(FileReader(tmp_path), ["a.png", "b.png"], {"": to_tensor})[sample] for sample in range(2))
    assert isinstance(good.images[""], torch.Tensor)
    torch.testing.assert_close(good.images[""], to_tensor(RGB))
    assert isinstance(cut.images[""], str)
    assert (cut.sample, min(good.read, good.decode, cut.read, cut.decode) > 0) == (1, True)


@pytest.mark.parametrize("workers", [0, 2])
def test_images_in_a_tar_are_read_like_files(tmp_path: Path, workers: int) -> None:
    names = ["plain.png", "photograph.jpg", "grey.png"]
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in names:
            (tmp_path / name).write_bytes(LIKE_TORCHVISION[name]())
            tar.add(tmp_path / name, name)
    files = ImageDataset(FileReader(tmp_path), names, {"": to_tensor})
    packed = ImageDataset(open_reader(Origin("tar", str(tmp_path / "a.tar"))), [*names, "gone.png"], {"": to_tensor})
    batches = [batch.only for batch in image_batches(packed, [[0, 1], [2, 3]], workers=workers, pin=False)]
    for sample in range(3):
        torch.testing.assert_close(batches[sample // 2].images[sample % 2], files[sample].images[""])
    assert batches[1].errors == [(3, "FileNotFoundError: No such member in the tar")]


def test_a_sample_opens_as_the_model_saw_it_and_a_file_that_is_gone_as_nothing(lake: Lake, tmp_path: Path) -> None:
    """Dataset and number name the image; no error reaches whoever only wants to look."""
    folder = write_images(tmp_path / "images", {"ant": 2}, size=8)
    add_dataset(lake, "ood", folder, role="ood")
    first, second = lake.read("samples", dataset="ood").column("path").to_pylist()
    (folder / first).unlink()
    open_image = image_opener(lake, [str(tmp_path)])
    image = open_image("ood", 1)
    assert image is not None
    assert image.tobytes() == read_rgb(folder / second).tobytes()
    assert open_image("ood", 0) is None
    assert open_image("nowhere", 0) is None


def test_a_lake_s_word_on_where_its_images_lie_opens_nothing_elsewhere(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what a link leads to, nor a pipe, which would never end, nor the hub, whose library would be called."""
    folder = write_images(tmp_path / "images", {"ant": 4}, size=8)
    paths = [folder / "ant" / f"{number:03d}.png" for number in range(4)]
    add_dataset(lake, "ood", folder, role="ood")
    secret = write_images(tmp_path / "home", {"ant": 1}, size=8) / "ant" / "000.png"
    paths[0].unlink()
    paths[0].symlink_to(secret)
    paths[1].unlink()
    os.mkfifo(paths[1])
    opened = [image_opener(lake, [str(folder)])("ood", sample) is not None for sample in range(4)]
    assert opened == [False, False, True, True]
    for places in ((), (str(tmp_path / "home"),), ("s3://images",)):
        assert image_opener(lake, places)("ood", 2) is None
    row = dataclasses.replace(read_dataset(lake, "ood"), format="hf", location="hf:someone/else@test")
    monkeypatch.setattr("extract.images.pictures.read_dataset", lambda *_: row)
    asked: list[str] = []
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=lambda name, **_: asked.append(name)))
    assert image_opener(lake, [str(tmp_path)])("ood", 2) is None
    assert asked == []


def test_a_progressive_jpeg_of_many_scans_is_its_row_s_error() -> None:
    """Its last scan once more, as often as one likes, takes a few bytes and another pass over all pixels each time."""
    whole = encoded(RGB, "jpeg", progressive=True)
    start = whole.rindex(b"\xff\xda")
    assert read_rgb(io.BytesIO(whole)).size == RGB.size
    bomb = whole[:-2] + whole[start:-2] * 200 + whole[-2:]
    with pytest.raises(ValueError, match=r"a JPEG of 2\d\d scans, more than 100: it would take minutes to decode"):
        read_rgb(io.BytesIO(bomb))
