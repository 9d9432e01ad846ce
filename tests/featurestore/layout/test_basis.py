"""What parts note of what they rest on."""

from __future__ import annotations

from copy import deepcopy

from featurestore.layout.basis import NAME, Basis, compared
from featurestore.layout.manifest import Manifest, Part, from_json, to_json


def note(*activations: str) -> Basis:
    return Basis(samples=dict.fromkeys(activations, "s"), rows={}, networks={"m": "n"}, activations=list(activations))


def test_parts_that_note_the_same_are_known_by_the_first_of_them() -> None:
    """What they note stays; without a note, or with one that says nothing, a part is alone."""
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
    found = compared(manifest)
    assert {part.key["detector"]: part.details for part in found.parts} == details
    assert found.noting == (0, 0, 2, 3, 4, 5, 6)
    assert found == manifest
