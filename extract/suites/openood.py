"""What the suites of OpenOOD v1.5 share: lists in `benchmark_imglist/`, images in folders beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.suites.suite import TUNES, Suite, SuiteSet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LARGE, SMALL = "images_largescale", "images_classic"
_LISTS = "benchmark_imglist"
_ID_ROLES = {"train": "fit", "val": "val", "test": "id"}


def openood_suite(
    name: str,
    folder: str,
    *,
    id_name: str,
    images: str,
    tuning: str,
    groups: Mapping[str, Sequence[str]],
    shifted: Mapping[str, str],
    elsewhere: Mapping[str, str],
) -> Suite:
    """One of its suites.

    Args:
        name: What `--suite` takes.
        folder: Its folder of lists.
        id_name: The ID set's name in the lake, before `-train`, `-val` and `-test`.
        images: The folder of images that most lists are relative to.
        tuning: The OOD set that tunes.
        groups: The OOD sets of each group.
        shifted: The list of each covariate-shifted ID set.
        elsewhere: Sets whose images lie in another folder.
    """

    def listed(set_name: str, role: str, file: str, group: str | None = None) -> SuiteSet:
        root = elsewhere.get(set_name, images)
        return SuiteSet(set_name, role, f"{_LISTS}/{folder}/{file}.txt", images=root, group=group)

    def sets() -> Iterator[SuiteSet]:
        for split, role in _ID_ROLES.items():
            yield listed(f"{id_name}-{split}", role, f"{split}_{folder}")
        for group, names in groups.items():
            yield from (listed(each, "ood", f"test_{each}", group) for each in names)
        yield listed(f"{tuning}-val", "ood", f"val_{tuning}", TUNES)
        yield from (listed(each, "csid", file) for each, file in shifted.items())

    return Suite(name, tuple(sets()), _LISTS, below=("data",))
