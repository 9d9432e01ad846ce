"""What a pass read of the images' bytes: compared with what the lake knows, or written to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from extract.datasets import (
    Contents,
    check_equal,
    read_contents,
    read_digests,
    read_listing,
    unread,
    write_contents,
)
from extract.job.plan import fragment_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extract.datasets import DatasetRow
    from extract.job.unit import Written
    from featurestore.lake import Lake


def settle_contents(
    lake: Lake, dataset: DatasetRow, fragment_rows: int, written: Sequence[Written], looked_at: int
) -> None:
    """Write a dataset's contents if the lake has none; images of fragments that were there already are read once more for it.

    Args:
        lake: The lake.
        dataset: What was read.
        fragment_rows: Samples per fragment.
        written: What the pass's units read.
        looked_at: When the pass began, in nanoseconds since 1970.

    Raises:
        ConflictError: The lake has contents, and images have other bytes.
    """
    listing, digests = read_listing(lake, dataset.dataset), unread(dataset.samples)
    found = {number: block for unit in written for number, block in unit.digests.items()}
    held = read_contents(lake, dataset.dataset, dataset.digest)
    for number, samples in enumerate(fragment_ranges(dataset.samples, fragment_rows)):
        rows = slice(samples.start, samples.stop)
        if number in found:
            digests[rows] = found[number]
        elif held is None:
            digests[rows] = read_digests(dataset.reader, listing.paths[rows])
    if held is None:
        write_contents(lake, dataset.dataset, dataset.digest, Contents(digests, looked_at))
    else:  # another job wrote them meanwhile, or each unit compared its own
        check_equal(dataset.dataset, listing.paths, digests, held.digests)
