from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from featurestore.errors import CorruptionError, FormatError
from featurestore.layout.manifest import Fragment, Manifest, Part, from_json, merged, to_json

if TYPE_CHECKING:
    from collections.abc import Callable

KEY = {"benchmark": "main", "model": "m", "dataset": "d"}


def part(detector: str, seed: int = 0) -> Part:
    fragment = Fragment(f"detector={detector}/{seed:012x}-00000.parquet", 3, 100, f"{seed:064x}")
    return Part({"detector": detector}, f"{seed:064x}", {"seed": seed}, (fragment,), {"seconds": 1.5})


def commit(current: Manifest | None, *parts: Part, replacing: bool = False) -> Manifest | None:
    return merged(current, "scores", KEY, parts, replacing=replacing)


def test_the_first_commit_is_version_one() -> None:
    first = commit(None, part("msp"))
    assert first is not None
    assert (first.version, [dict(p.key) for p in first.parts]) == (1, [{"detector": "msp"}])
    assert (first.part({"detector": "msp"}), first.part({"detector": "x"})) == (part("msp"), None)
    assert (first.parts[0].rows, first.parts[0].bytes) == (3, 100)


def test_equal_parts_need_no_commit() -> None:
    """A cache hit plans nothing."""
    assert commit(commit(None, part("msp"), part("gen")), part("gen")) is None


def test_a_new_part_stands_beside_the_old_ones() -> None:
    """Adding a detector keeps the others, and counts the version up."""
    second = commit(commit(None, part("msp")), part("msp"), part("gen"))
    assert second is not None
    assert (second.version, second.parts) == (2, (part("msp"), part("gen")))


def test_replacing_swaps_only_what_differs() -> None:
    second = commit(commit(None, part("msp"), part("gen")), part("msp", 1), replacing=True)
    assert second is not None
    assert {p.fingerprint for p in second.parts} == {f"{0:064x}", f"{1:064x}"}
    assert second.part({"detector": "gen"}) == part("gen")


def test_json_gives_the_manifest_back() -> None:
    """Nothing is lost; time and writer are stamped."""
    manifest = commit(None, part("msp"), part("gen"))
    assert manifest is not None
    again = from_json(to_json(manifest), "p")
    assert replace(again, created="", writer="") == manifest
    assert again.created.endswith("+00:00")
    assert again.writer.startswith("featurestore ")
    assert again.title == "scores (benchmark main, model m, dataset d)"


def altered(change: Callable[[dict[str, Any]], Any]) -> bytes:
    manifest = commit(None, part("msp"))
    assert manifest is not None
    document = json.loads(to_json(manifest))
    del document["checksum"]
    change(document)
    return json.dumps(document).encode()


def test_a_newer_format_is_refused() -> None:
    with pytest.raises(FormatError, match=r"_manifest.1.json has format version 2, .*upgrade featurestore"):
        from_json(altered(lambda d: d.update(format=2, later="field")), "a/_manifest.1.json")


def test_any_flipped_bit_of_a_manifest_is_found() -> None:
    """Also in the checksum itself, and in its name: nothing of it is read."""
    manifest = commit(None, part("msp"))
    assert manifest is not None
    data = to_json(manifest)
    assert from_json(data, "p").sealed
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises((CorruptionError, FormatError)):
            from_json(bytes(flipped), "p")
    with pytest.raises(
        CorruptionError, match="p was altered since it was written, its checksum differs: bring it back"
    ):
        from_json(data.replace(b'"rows": 3', b'"rows": 2'), "p")
    with pytest.raises(CorruptionError, match="its checksum differs"):
        from_json(json.dumps(json.loads(data)).encode(), "p")


def test_a_manifest_of_an_earlier_writer_has_no_checksum() -> None:
    """It is read, and says so."""
    found = from_json(altered(lambda d: d.update(later="field")), "p")
    assert (found.sealed, len(found.parts)) == (False, 1)


@pytest.mark.parametrize(
    "path",
    [
        "../x.parquet",
        "a/../../x",
        "/etc/passwd",
        "..\\x",
        "a\\b",
        "C:\\x",
        "C:x",
        "",
        ".",
        "a//b",
        "a/./b",
        "a\0b",
        "s3://x",
    ],
)
def test_a_fragment_outside_its_partition_is_refused(path: str) -> None:
    """An altered manifest cannot make a reader open another file."""
    data = altered(lambda d: d["parts"][0]["fragments"][0].update(path=path))
    with pytest.raises(CorruptionError, match="outside its own partition"):
        from_json(data, "p")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b'"x"', b"null", b"{}", b"\xff\xfe", b"[" * 100_000])
def test_garbage_is_no_manifest(data: bytes) -> None:
    with pytest.raises(CorruptionError, match=r"p/_manifest\.1\.json is not a manifest"):
        from_json(data, "p/_manifest.1.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("table"),
        lambda d: d.update(table=1),
        lambda d: d.update(key=["a"]),
        lambda d: d.update(key={"model": None}),
        lambda d: d.update(version="1"),
        lambda d: d.update(parts={"a": 1}),
        lambda d: d.update(parts=None),
        lambda d: d["parts"][0].pop("fragments"),
        lambda d: d["parts"][0].update(key=None),
        lambda d: d["parts"][0]["fragments"][0].update(path=5),
        lambda d: d["parts"][0]["fragments"][0].update(rows="3"),
        lambda d: d["parts"][0]["fragments"][0].update(bytes=None),
        lambda d: d["parts"][0]["fragments"][0].pop("sha256"),
        lambda d: d["parts"][0]["fragments"][0].update(sha256=7),
        lambda d: d["parts"][0]["fragments"][0].update(rows=-1),
        lambda d: d["parts"][0].update(fingerprint=None),
        lambda d: d["parts"][0].update(ingredients=[]),
        lambda d: d["parts"][0].update(details="x"),
    ],
)
def test_a_field_of_another_shape_is_no_manifest(change: Callable[[dict[str, Any]], Any]) -> None:
    """Missing or mistyped fields are found when the manifest is read, not somewhere later."""
    with pytest.raises(CorruptionError, match="is not a manifest"):
        from_json(altered(change), "p")


def test_a_fragment_says_what_contradicts_it() -> None:
    """A size or a number of rows that is not its own, and that there is nothing."""
    (fragment,) = part("msp").fragments
    assert (fragment.size_problem(100), fragment.rows_problem(3)) == ("", "")
    assert fragment.size_problem(None) == "it is missing"
    assert fragment.size_problem(0) == "it has 0 bytes instead of 100"
    assert fragment.rows_problem(4) == "it has 4 rows instead of 3"


def test_a_manifest_says_where_it_and_its_fragments_lie() -> None:
    manifest = commit(None, part("msp"), part("gen"))
    assert manifest is not None
    folder = "scores/benchmark=main/model=m/dataset=d"
    assert manifest.path == f"{folder}/_manifest.1.json"
    ((path, fragment),) = manifest.files(part("gen"))
    assert (path, fragment) == (f"{folder}/detector=gen/000000000000-00000.parquet", part("gen").fragments[0])
