"""Broken checkpoints and heads, made at random of whole ones, and what is said of them: `python -m tests.extract.models.mutants 4000 [SEED]`."""

from __future__ import annotations

import io
import json
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save

from extract.models.files import AUTO, StoredWeights, outline, read_state_dict
from extract.models.heads import read_head
from extract.models.sources.registry import SOURCES
from extract.models.spec import ModelSpec
from featurestore.errors import LakeError
from tests.extract.jax_arrays import augreg_arrays
from tests.tiny import ARCHITECTURE, KWARGS, tiny_vit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ADVICE = ("weights_only", "allow_pickle", "safe_globals", "trust")
_LONGEST = 900


def originals() -> dict[str, bytes]:
    """Whole files by name: what torch.save writes in both formats, safetensors, the ViT papers' arrays, and a head."""
    vit = tiny_vit()
    state = vit.state_dict()
    torch_files = {}
    for name, content, new in (("new.pth", {"epoch": 3, "state_dict": state}, True), ("old.pth", state, False)):
        buffer = io.BytesIO()
        torch.save(content, buffer, _use_new_zipfile_serialization=new)
        torch_files[name] = buffer.getvalue()
    head = {"weight": np.ones((3, 24), np.float32), "bias": np.zeros(3, np.float32), "normalize": np.array(True)}
    return {
        **torch_files,
        "m.safetensors": save(state),
        "vit.npz": _npz(augreg_arrays(vit, KWARGS)),
        "head.npz": _npz(head),
    }


def _npz(arrays: Mapping[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def mutant(whole: bytes, generator: np.random.Generator) -> bytes:
    """A file with something wrong: in its bytes, or, where it is an archive, in those of a member, whose checksum is right again."""
    if whole.startswith(b"PK") and generator.random() < 0.7:
        return _with_member(whole, generator)
    if whole[8:9] == b"{" and generator.random() < 0.7:
        length = int.from_bytes(whole[:8], "little")
        header = _changed(whole[8 : 8 + length], generator)
        return len(header).to_bytes(8, "little") + header + whole[8 + length :]
    return _changed(whole, generator)


def _with_member(whole: bytes, generator: np.random.Generator) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as archive, zipfile.ZipFile(made, "w") as changed:
        members = archive.infolist()
        pickled = [info for info in members if info.filename.endswith("data.pkl")]
        chosen = (pickled or members)[int(generator.integers(len(pickled or members)))]
        for info in members:
            content = archive.read(info)
            if info is chosen:
                content = (
                    _changed(content[:128], generator) + content[128:] if not pickled else _changed(content, generator)
                )
            changed.writestr(info.filename, content)
    return made.getvalue()


def _changed(data: bytes, generator: np.random.Generator) -> bytes:
    """Bytes of which some are others, gone, or there twice; mostly at their beginning, where what tells their meaning stands."""
    changed = bytearray(data)
    for _ in range(int(generator.choice([1, 1, 2, 8]))):
        if not changed:
            break
        near = min(len(changed), int(generator.choice([64, 4096, len(changed)])))
        at, length = int(generator.integers(near)), int(generator.choice([1, 1, 4, 64]))
        match int(generator.integers(6)):
            case 0:
                changed[at] ^= 1 << int(generator.integers(8))
            case 1:
                changed[at : at + length] = generator.bytes(length)
            case 2:
                del changed[at : at + length]
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                changed[at : at + length] = bytes([int(generator.choice([0, 0x2D, 0x39, 0xFF]))]) * length
            case _:
                del changed[at + length :]
    return bytes(changed)


def _load(path: Path) -> object:
    return ModelSpec("m", ARCHITECTURE, path, KWARGS, which=AUTO).load_module()


def _recognise(path: Path) -> object:
    return [source.name for source in SOURCES.values() if source.recognise(StoredWeights(path))]


_WAYS: tuple[Callable[[Path], object], ...] = (
    _recognise, lambda path: outline(StoredWeights(path)), lambda path: read_state_dict(StoredWeights(path)), _load, read_head,
)  # fmt: skip


def verdict(path: Path) -> tuple[str, str]:
    """What becomes of a file: `read` by all ways that read such files, `refused` with a sentence, or `broken`, and what was said."""
    said = []
    for way in _WAYS:
        try:
            way(path)
        except LakeError as error:
            said.append(str(error))
        except Exception as error:  # noqa: BLE001 # that is what is looked for
            return "broken", f"{type(error).__name__}: {error}"
    poor = [text for text in said if not text.isprintable() or len(text) > _LONGEST or any(a in text for a in ADVICE)]
    if poor:
        return "broken", f"a poor sentence: {poor[0]!r}"
    return ("refused", said[0]) if said else ("read", "")


def main(number: int, seed: int) -> None:
    """Try so many mutants of each file, say what became of them, and keep what was broken."""
    files = originals()
    for name, whole in files.items():
        counts, seen = Counter[str](), set[str]()
        with tempfile.TemporaryDirectory() as folder:
            for attempt in range(number):
                generator = np.random.default_rng([seed, attempt, *name.encode()])
                made = mutant(whole, generator)
                path = Path(folder, name)
                path.write_bytes(made)
                outcome, text = verdict(path)
                counts[outcome] += 1
                if outcome == "broken" and text not in seen:
                    seen.add(text)
                    sys.stdout.write(f"{name}, seed {seed}, attempt {attempt}: {text[:300]}\n")
        sys.stdout.write(f"{name}: {json.dumps(counts)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
