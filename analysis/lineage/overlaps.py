"""Overlaps: images of equal bytes in datasets of other roles, by the digests that the lake holds of their contents.

An image has one role in a benchmark: that of the first of fit, val, id, csid and ood that holds it. Where it judges as another,
`id`, `csid` or `ood`, it is an overlap that spoils what is judged.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    from featurestore.lake import Lake

_ROLES = ("fit", "val", "id", "csid", "ood")
_SERIOUS = {
    ("id", "fit"): 0,
    ("ood", "id"): 0,
    ("ood", "fit"): 1,
    ("ood", "val"): 1,
    ("ood", "csid"): 1,
    ("id", "val"): 1,
}
_JUDGED = ("id", "csid", "ood")
_SHOWN = 3
_BEGINNING = 16
"""Letters."""
_ODD = np.uint64(0x9E3779B97F4A7C15)
"""Multiplied by it, 64 bits stay as different as they were."""


@dataclass(frozen=True, slots=True, eq=False)
class RepeatedBytes:
    """Samples whose bytes occur more than once in some datasets.

    Attributes:
        samples: A row for each, with `dataset`, `sample` and `digest`; None where no two datasets share any.
        unread: Datasets that the lake holds no digests of.
    """

    samples: pl.DataFrame | None
    unread: frozenset[str]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Samples of a dataset whose bytes are also in another of the same benchmark, with an earlier role."""

    dataset: str
    role: str
    other: str
    other_role: str
    samples: int

    @property
    def order(self) -> tuple[int, int, str, str]:
        """What comes first is the most serious."""
        return _SERIOUS.get((self.role, self.other_role), 2), -self.samples, self.dataset, self.other


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Samples of a dataset that do not judge, since their bytes are also in a dataset of an earlier role.

    Attributes:
        dataset: The dataset.
        digest: sha256 of their numbers, each ended by LF.
        samples: They, ascending, int64, shape [n], n > 0.
    """

    dataset: str
    digest: str
    samples: NDArray[np.int64] = field(compare=False, repr=False)


def read_repeated(lake: Lake, digests: Mapping[str, str]) -> RepeatedBytes:
    """Read which bytes occur more than once; a third of a second for a million samples.

    Args:
        lake: The lake.
        digests: What the datasets' samples are, by their names: contents of other samples are not counted.
    """
    held = {
        manifest.key["dataset"]
        for manifest in lake.partitions("contents")
        if manifest.parts[0].ingredients["dataset_digest"] == digests.get(manifest.key["dataset"])
    }
    unread = frozenset(digests.keys() - held)
    if _are_disjoint(lake.read("contents", dataset=name).column("digest") for name in sorted(held)):
        return RepeatedBytes(None, unread)

    import polars as pl  # slow to import, and in few lakes datasets do

    known = pl.col("dataset").is_in(sorted(held)) & pl.col("digest").is_not_null()
    hashed = lake.scan("contents").filter(known).with_columns(number=pl.col("digest").hash())
    # Numbers are sooner grouped than texts, and of the few rows that are left the texts are compared.
    twice = hashed.group_by("number").len().filter(pl.col("len") > 1)
    found = hashed.join(twice, on="number", how="semi").select("dataset", "sample", "digest").collect()
    return RepeatedBytes(found.filter(pl.col("digest").is_duplicated()), unread)


def _are_disjoint(digests: Iterable[pa.ChunkedArray]) -> bool:
    """Whether no digest can be in two of some columns, since none begins alike."""
    found = [[np.empty(0, np.uint64), *(_beginnings(one.drop_null()) for one in column.chunks)] for column in digests]
    numbers = np.sort(np.concatenate([np.empty(0, np.uint64), *(np.unique(np.concatenate(of)) for of in found)]))
    return not bool((numbers[1:] == numbers[:-1]).any())


def _beginnings(digests: pa.StringArray) -> NDArray[np.uint64]:
    """A number for each digest, made of its first letters; 0 where it has too few of them."""
    _, offsets, letters = digests.buffers()
    if not len(digests) or letters is None:
        return np.zeros(len(digests), np.uint64)
    places = np.frombuffer(offsets, np.int32)[digests.offset : digests.offset + len(digests) + 1].astype(np.int64)
    is_long = np.diff(places) >= _BEGINNING
    held = np.frombuffer(letters, np.uint8)[places[:-1][is_long, None] + np.arange(_BEGINNING)]
    halves = np.ascontiguousarray(held).view(np.uint64)
    numbers = np.zeros(len(digests), np.uint64)
    numbers[is_long] = halves[:, 0] * _ODD ^ halves[:, 1]
    return numbers


def overlaps(repeated: RepeatedBytes, roles: Mapping[str, str]) -> list[Overlap]:
    """Which datasets of a benchmark share images across roles, the most serious first.

    Args:
        repeated: Bytes that occur more than once.
        roles: The benchmark's datasets.
    """
    if repeated.samples is None:
        return []

    import polars as pl

    counts = _placed(repeated.samples, roles).group_by("digest", "dataset", "place").len()
    pairs = (
        counts.join(counts, on="digest", suffix="_other")
        .filter(pl.col("place") > pl.col("place_other"))
        .group_by("dataset", "dataset_other")
        .agg(pl.col("len").sum())
    )
    found = [Overlap(name, roles[name], other, roles[other], count) for name, other, count in pairs.iter_rows()]
    return sorted(found, key=lambda overlap: overlap.order)


def left_out(repeated: RepeatedBytes, roles: Mapping[str, str]) -> tuple[LeftOut, ...]:
    """What does not judge in a benchmark without overlaps.

    An ID test sample is left out if its bytes are also in a fit or val dataset, a csid sample if they are also in one of these or
    the id dataset, and an OOD sample if they are in any of the four: the ID test sample of the same bytes stays.

    Args:
        repeated: Bytes that occur more than once.
        roles: The benchmark's datasets.
    """
    if repeated.samples is None:
        return ()

    import polars as pl

    placed = _placed(repeated.samples, roles)
    spoilt = placed.filter(pl.col("place") > pl.col("place").min().over("digest"))
    found = []
    for name in sorted(name for name, role in roles.items() if role in _JUDGED):
        samples = np.sort(spoilt.filter(pl.col("dataset") == name)["sample"].to_numpy())
        if len(samples):
            text = "".join(f"{sample}\n" for sample in samples.tolist())
            found.append(LeftOut(name, hashlib.sha256(text.encode()).hexdigest(), samples))
    return tuple(found)


def overlap_lines(
    repeated: RepeatedBytes, benchmarks: Mapping[str, Mapping[str, str]], without: Collection[str] = ()
) -> list[str]:
    """What to say of benchmarks: images in two roles, and datasets of which that is not known.

    Args:
        repeated: Bytes that occur more than once.
        benchmarks: The datasets of each benchmark, with their roles.
        without: Benchmarks that are judged without them.
    """
    lines = []
    for name, roles in benchmarks.items():
        found = overlaps(repeated, roles)
        if name in without:
            lines += _left_out_lines(name, left_out(repeated, roles))
            continue
        said = [
            f"{_images(one.samples)} of {one.dataset} {'is' if one.samples == 1 else 'are'} also in "
            f"{one.other} ({one.other_role})"
            for one in found
        ]
        more = f", and more in {len(said) - _SHOWN} other pairs of datasets" if len(said) > _SHOWN else ""
        if said:
            lines.append(f"{name}: {', '.join(said[:_SHOWN])}{more}: see `featurestore ask overlaps`")
    members = {dataset for roles in benchmarks.values() for dataset in roles}
    unread = sorted(repeated.unread & members)
    if unread:
        few = ", ".join(unread[:_SHOWN]) + (", …" if len(unread) > _SHOWN else "")
        have, theirs = ("has", "it") if len(unread) == 1 else ("have", "them")
        lines.append(
            f"{len(unread)} of {len(members)} datasets {have} no digests yet ({few}): whether others hold images of {theirs} "
            "is told once another model is extracted"
        )
    return lines


def _left_out_lines(benchmark: str, found: Sequence[LeftOut]) -> list[str]:
    said = [f"{_images(len(one.samples))} of {one.dataset}" for one in found]
    more = f" and of {len(said) - _SHOWN} other datasets" if len(said) > _SHOWN else ""
    what = f"{', '.join(said[:_SHOWN])}{more}" if said else "no image"
    return [f"{benchmark}: judged without overlaps, which leaves out {what}: see `featurestore ask overlaps`"]


def _placed(samples: pl.DataFrame, roles: Mapping[str, str]) -> pl.DataFrame:
    """The rows of a benchmark's datasets, with the place of the dataset's role."""
    import polars as pl

    places = {"dataset": list(roles), "place": [_ROLES.index(role) for role in roles.values()]}
    return samples.join(pl.DataFrame(places, {"dataset": pl.String, "place": pl.Int64}), on="dataset")


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"
