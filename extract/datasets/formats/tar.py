"""Tar files and WebDataset shards: images are read where they lie, by offset; nothing is extracted."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.imagenet_wnids import index_of_wnids, wnids_in_names, wnids_note
from extract.datasets.formats.shards import address, base_of, files_at
from extract.datasets.formats.tar_classes import folder_classes, sidecar_classes
from extract.datasets.formats.tar_index import PackedObject, TarMember, index_of, read_member
from extract.datasets.formats.walk import is_image
from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extract.datasets.formats.format import FormatOptions

_SUFFIX = ".tar"


@dataclass(frozen=True, slots=True)
class TarReader:
    """Images inside one tar file, by their name in it, or inside many, by `<tar>/<name>`."""

    location: str

    def open(self, path: str) -> io.BytesIO:
        """Read an image; each process has an index of its own, and opens the file anew."""
        shard, name = _split(self.location, path)
        member = index_of(shard).get(name)
        if member is None:
            raise FileNotFoundError(2, "No such member in the tar", path)
        return io.BytesIO(read_member(shard, member))


def list_tar(location: str, role: str, options: FormatOptions) -> Found:
    """List the images in order of the files and, within each, of the archive.

    A sample's class is what the `.cls` or `.json` member beside it says, else the first folder below the folder that
    all images share, or below `inside`; or, in a flat tar, the wnid that ends its name.

    Raises:
        InputError: There is no tar file or no image, or classes are missing or in doubt.
    """
    shards = {
        "" if str(shard) == location else address(shard, location) + "/": shard for shard in files_at(location, _SUFFIX)
    }
    return list_packed(location, shards, role, options)


def list_packed(location: str, shards: Mapping[str, Path | PackedObject], role: str, options: FormatOptions) -> Found:
    """List the images of tars, wherever they lie.

    Args:
        location: What messages call them.
        shards: The tars, by what begins the addresses of their images.
        role: The dataset's role.
        options: `inside`, where it was said.

    Raises:
        InputError: There is no image, or classes are missing or in doubt.
    """
    paths: list[str] = []
    found: list[tuple[str, TarMember]] = []
    sidecars: dict[str, tuple[str, int | None]] = {}
    for prefix, shard in shards.items():
        members = _inside(index_of(shard), options.inside)
        images = {name: member for name, member in members.items() if is_image(name) and "/." not in f"/{name}"}
        sidecars |= {prefix + name: said for name, said in sidecar_classes(shard, members, images).items()}
        paths += [prefix + name for name in images]
        found += images.items()
    if not paths:
        where = f"the folder {options.inside!r} of {location}" if options.inside else location
        raise InputError(f"There is no image in {where}.")
    sizes = [member.size for _, member in found]
    if sidecars:
        return _with_sidecars(location, paths, sizes, sidecars)
    names = [name for name, _ in found]
    wnids = [wnid for wnid in wnids_in_names(names) if wnid]
    if len(wnids) == len(names) and len({name.rpartition("/")[0] for name in names}) == 1:
        labels = None if role == "ood" else index_of_wnids(location, wnids)
        return Found(paths, sizes, wnids, labels, [] if role == "ood" else [wnids_note(location, wnids)])
    return Found(paths, sizes, folder_classes(names, options.inside, location, role))


def _with_sidecars(
    location: str, paths: Sequence[str], sizes: Sequence[int], sidecars: Mapping[str, tuple[str, int | None]]
) -> Found:
    missing = [path for path in paths if path not in sidecars]
    if missing:
        raise InputError(
            f"{len(missing):,} of {len(paths):,} images in {location} have no class in a .cls or .json member beside them "
            f"(first: {missing[0]}): either all have one, or none."
        )
    names = [sidecars[path][0] for path in paths]
    if all(label is None or _is_number(name, label) for name, label in sidecars.values()):
        return Found(paths, sizes, names)  # bare names, or bare integers
    labels = {name: label for name, label in sidecars.values() if label is not None}
    for path, (name, label) in sidecars.items():
        if label is None or labels[name] != label:
            raise InputError(
                f"{location} gives class {name!r} of {path} the label {label}, but others a label, or this class {labels.get(name)}: "
                "each class must have one."
            )
    return Found(paths, sizes, names, labels)


def _is_number(name: str, label: int) -> bool:
    return name.removeprefix("-").isdecimal() and int(name) == label


def _inside(members: Mapping[str, TarMember], folder: str | None) -> Mapping[str, TarMember]:
    if folder is None:
        return members
    prefix = folder.strip("/") + "/"
    return {name: member for name, member in members.items() if name.startswith(prefix)}


def _split(location: str, path: str) -> tuple[Path, str]:
    if Path(location).is_file():
        return Path(location), path
    shard, suffix, name = path.partition(_SUFFIX + "/")
    return base_of(location) / (shard + suffix.rstrip("/")), name


TAR = Format(
    "tar",
    list_tar,
    lambda location, _: TarReader(location),
    frozenset({"inside", "label_kind"}),
    lambda location: files_at(location, _SUFFIX),
)
