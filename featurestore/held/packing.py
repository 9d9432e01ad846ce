"""Manifests as JSON without names, as ten thousand of them are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from featurestore.layout.manifest import Fragment, Manifest, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featurestore.layout.tables import Table


def packed(manifest: Manifest) -> list[Any]:
    """A manifest as JSON has it."""
    parts = [
        [dict(p.key), p.fingerprint, dict(p.ingredients), [[f.path, f.rows, f.bytes, f.sha256] for f in p.fragments], dict(p.details)]
        for p in manifest.parts
    ]  # fmt: skip
    return [
        manifest.folder,
        dict(manifest.key),
        manifest.version,
        parts,
        manifest.created,
        manifest.writer,
        manifest.noting,
        manifest.sealed,
    ]


def unpacked(table: Table, manifest: Sequence[Any]) -> Manifest:
    """The manifest that was packed so."""
    _, key, version, parts, created, writer, noting, sealed = manifest
    found = tuple(
        Part(key_, fingerprint, ingredients, tuple(Fragment(*one) for one in fragments), details)
        for key_, fingerprint, ingredients, fragments, details in parts
    )
    return Manifest(table.name, key, version, found, created, writer, tuple(noting), sealed)
