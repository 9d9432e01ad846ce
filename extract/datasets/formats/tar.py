"""Tar files and WebDataset shards: images are read where they lie, by offset; nothing is extracted."""

from __future__ import annotations

import io
import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from extract.datasets.formats.format import Format, Found
from extract.datasets.formats.imagenet_wnids import index_of_wnids, wnids_in_names, wnids_note
from extract.datasets.formats.shards import address, base_of, files_at, others_at
from extract.datasets.formats.splits import one_split, split_folders
from extract.datasets.formats.suffixes import is_image, passed_over, suffix_of, suffixes_found, suffixes_read
from extract.datasets.formats.tar_classes import folder_classes, sidecar_classes
from extract.datasets.formats.tar_index import PackedObject, TarMember, index_of, read_member
from extract.datasets.formats.walk import HIDDEN
from extract.datasets.formats.webdataset import key_of, of_image_key, several_images, without_image
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


@dataclass(frozen=True, slots=True)
class _Shard:
    """What one tar file holds: images and what their sidecars say, by name; what is left; and images that were not chosen."""

    prefix: str
    images: Mapping[str, TarMember]
    sidecars: Mapping[str, tuple[str, int | None]]
    left: Sequence[str]
    other_images: int


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
    return list_packed(location, shards, role, options, others_at(location, _SUFFIX))


def list_packed(
    location: str, shards: Mapping[str, Path | PackedObject], role: str, options: FormatOptions, others: Counter[str]
) -> Found:
    """List the images of tars, wherever they lie.

    Args:
        location: What messages call them.
        shards: The tars, by what begins the addresses of their images.
        role: The dataset's role.
        options: `inside`, `split` and `image_key`, where they were said.
        others: How many files beside them are none, by suffix.

    Raises:
        InputError: There is no image, or classes are missing or in doubt.
    """
    opened = _open_shards(location, shards, options)
    found = [(shard.prefix + name, member) for shard in opened for name, member in shard.images.items()]
    if not found:
        where = f"the folder {options.inside!r} of {location}" if options.inside else location
        raise InputError(f"There is no image in {where}.")
    paths, sizes = [path for path, _ in found], [member.size for _, member in found]
    sidecars = {shard.prefix + name: said for shard in opened for name, said in shard.sidecars.items()}
    counted = others + _passed_over(opened) + Counter({"files of other splits": len(shards) - len(opened)})
    notes = passed_over(location, len(paths), +counted)
    if sidecars:
        left = [shard.prefix + name for shard in opened for name in shard.left]
        classes = _with_sidecars(location, paths, sizes, sidecars)
        notes += without_image(location, left, paths)
    else:
        names = [name for shard in opened for name in shard.images]
        classes = _by_name(Found(paths, sizes, ()), names, location, role, options.inside)
    doubt = classes.refusal or several_images(location, paths, has_classes=bool(sidecars))
    return replace(classes, notes=[*notes, *classes.notes], inferred=suffixes_found(paths), refusal=doubt)


def _open_shards(location: str, shards: Mapping[str, Path | PackedObject], options: FormatOptions) -> list[_Shard]:
    """The tars of the split that is meant."""
    if options.split is not None and "" in shards:
        raise InputError(
            f"--split chooses among tar files; inside of {location}, --inside names the folder of a split."
        )
    of = {prefix.rstrip("/"): prefix for prefix in shards}
    chosen = one_split(location, list(of), options.split, adding=options.adding)
    return [_open(of[each], shards[of[each]], options) for each in chosen]


def _open(prefix: str, tar: Path | PackedObject, options: FormatOptions) -> _Shard:
    members, suffixes = _inside(index_of(tar), options.inside), suffixes_read(options)
    images = {name: m for name, m in members.items() if is_image(name, suffixes) and not _is_hidden(name)}
    chosen = images
    if options.image_key is not None and images:
        chosen = {name: images[name] for name in of_image_key(str(tar), images, options.image_key)}
    sidecars = sidecar_classes(tar, members, chosen)
    used = {key_of(name) + suffix for name in sidecars for suffix in (".cls", ".json")}
    left = [name for name in members if name not in images and name not in used]
    return _Shard(prefix, chosen, sidecars, left, len(images) - len(chosen))


def _passed_over(shards: Sequence[_Shard]) -> Counter[str]:
    """How many members are neither image nor class, and images that were not chosen."""
    names = (name for shard in shards for name in shard.left)
    counted = Counter(HIDDEN if _is_hidden(name) else suffix_of(name) for name in names)
    counted["images under other keys"] = sum(shard.other_images for shard in shards)
    return counted


def _is_hidden(name: str) -> bool:
    return "/." in f"/{name}"


def _by_name(base: Found, names: Sequence[str], location: str, role: str, inside: str | None) -> Found:
    """Classes by folder, or by the wnid that ends an image's name."""
    wnids = [wnid for wnid in wnids_in_names(names) if wnid]
    if len(wnids) == len(names) and len({name.rpartition("/")[0] for name in names}) == 1:
        labels = None if role == "ood" else index_of_wnids(location, wnids)
        return replace(
            base, class_names=wnids, label_of_class=labels, notes=[] if role == "ood" else [wnids_note(location, wnids)]
        )
    splits = split_folders(names) if inside is None else None
    refusal = None
    if splits and len(splits.names) > 1:
        refusal = (
            f"{location} holds the splits {', '.join(splits.names)}, which are different datasets: choose one with --inside, as "
            f"--inside {next(name for name in names).rpartition('/')[0]}."
        )
    return replace(base, class_names=folder_classes(names, inside, location, role), refusal=refusal)


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
    if os.path.isfile(location):  # noqa: PTH113 # a Path raises for a list of shards that is too long to be a name
        return Path(location), path
    shard, suffix, name = path.partition(_SUFFIX + "/")
    return base_of(location) / (shard + suffix.rstrip("/")), name


TAR = Format(
    "tar",
    list_tar,
    lambda location, _: TarReader(location),
    frozenset({"inside", "label_kind", "split", "image_key"}),
    lambda location: files_at(location, _SUFFIX),
)
