from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.errors import InputError
from featurestore.layout import paths
from featurestore.layout.tables import TABLES

slugs = st.text(alphabet="abz019._-", min_size=1).filter(lambda name: name.strip("._-"))
tables = st.sampled_from(list(TABLES.values()))


@given(tables, st.data())
def test_a_partition_path_gives_its_key_back(table: object, data: st.DataObject) -> None:
    key = {name: data.draw(slugs) for name in table.keys}
    assert paths.partition_key(table, paths.partition_path(table, key)) == key


@pytest.mark.parametrize("value", ["../up", "a/b", "", "A", "a=b"])
def test_a_value_that_is_no_slug_makes_no_path(value: str) -> None:
    """No user string reaches a path unchecked, neither in the partition's nor in the part's segments."""
    with pytest.raises(InputError):
        paths.partition_path(TABLES["models"], {"model": value})
    with pytest.raises(InputError):
        paths.part_path(TABLES["scores"], {"detector": value})


@pytest.mark.parametrize(
    "folder", ["models", "models/model=a/model=b", "models/dataset=a", "activations/dataset=d/model=m", "x/model=a"]
)
def test_other_folders_are_no_partitions(folder: str) -> None:
    table = TABLES["activations" if folder.startswith("activations") else "models"]
    assert paths.partition_key(table, folder) is None


@given(st.integers(1, 10**6))
def test_a_manifest_name_gives_its_version_back(version: int) -> None:
    assert paths.manifest_version(f"a/b=c/{paths.manifest_name(version)}") == version


@pytest.mark.parametrize(
    "name", ["_manifest.0.json", "_manifest.01.json", "_manifest.x.json", "_manifest.1.json~", "x"]
)
def test_other_files_are_no_manifests(name: str) -> None:
    assert paths.manifest_version(name) is None


@given(st.integers(0, 10**6))
def test_a_fragment_name_gives_its_number_back(number: int) -> None:
    assert paths.fragment_number(f"a/{paths.fragment_name('0123456789abcdef', number)}") == number


@pytest.mark.parametrize("name", ["0123456789ab-1.parquet", "0123456789ab-00001", "0123456789ab-²²²²².parquet", "x"])
def test_other_files_are_no_fragments(name: str) -> None:
    assert paths.fragment_number(name) is None


PARTITION = "scores/benchmark=main/model=m/dataset=d"
OF_PARTITION = {
    f"{PARTITION}/_manifest.1.json": True,
    f"{PARTITION}/detector=msp/0123456789ab-00000.parquet": True,
    f"{PARTITION}/detector=msp/_manifest.1.json": False,
    f"{PARTITION}/0123456789ab-00000.parquet": False,
    f"{PARTITION}/fit=msp/0123456789ab-00000.parquet": False,
    f"{PARTITION}/detector=msp/more/0123456789ab-00000.parquet": False,
    f"{PARTITION}/detector=msp/notes.parquet": False,
    f"{PARTITION}/notes.txt": False,
    PARTITION: False,
    "scores/benchmark=main/model=m/_manifest.1.json": False,
    "scores/benchmark=main/model=A b/dataset=d/_manifest.1.json": False,
    "metrics/benchmark=main/model=m/dataset=d/_manifest.1.json": False,
}


@pytest.mark.parametrize("path", OF_PARTITION)
def test_what_belongs_to_a_partition_is_told_by_its_path(path: str) -> None:
    """Manifests lie in the partition's folder, fragments in that of their part; nothing else is the lake's."""
    assert paths.partition_of(TABLES["scores"], path) == (PARTITION if OF_PARTITION[path] else None)


def test_fragments_of_a_table_without_parts_lie_in_the_partition_s_folder() -> None:
    path = "models/model=m/0123456789ab-00000.parquet"
    assert paths.partition_of(TABLES["models"], path) == "models/model=m"
