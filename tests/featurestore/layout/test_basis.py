"""What parts note of what they rest on."""

from __future__ import annotations

from copy import deepcopy

from featurestore.layout.basis import NAME, Basis, shared
from featurestore.layout.manifest import Manifest, Part, from_json, to_json


def note(*activations: str) -> Basis:
    return Basis(samples=dict.fromkeys(activations, "s"), rows={}, networks={"m": "n"}, activations=list(activations))


def test_parts_that_rest_on_the_same_share_one_note() -> None:
    """And none gets another's; without a note, or with one that says nothing, nothing is shared."""
    details = {
        "msp": {NAME: note("a", "b"), "seconds": 1},
        "energy": {NAME: note("a", "b")},
        "vim": {NAME: note("a", "b", "c")},
        "old": {},
        "odd": {NAME: "?"},
        "none": {NAME: note()},
        "nothing": {NAME: note() | {"rows": {"far": 1}}},
    }
    parts = tuple(Part({"detector": name}, name, {}, (), told) for name, told in deepcopy(details).items())
    key = {"benchmark": "main", "model": "m", "dataset": "d"}
    manifest = from_json(to_json(Manifest("scores", key, 1, parts)), "path")
    read = {part.key["detector"]: part.details for part in shared(manifest).parts}
    assert read == details
    assert read["msp"][NAME] is read["energy"][NAME]
    assert read["none"][NAME] is not read["nothing"][NAME]
