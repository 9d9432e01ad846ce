"""Lakes of thousands of models, of which a few are scored in earnest and the others are these under other names.

Each other model has weights of its own by name, so that every fingerprint in its manifests is computed anew, as the product
would, and metrics of its own, so that they compress as those of real models do. Its other fragments are hard links to those of the
few: a lake of millions of files takes the room of its folders and manifests. Nothing is synced to disk.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.detectors.registry import detectors
from analysis.lineage.benchmark import Benchmark
from analysis.lineage.ingredients import detector_ingredients
from benchmarks.lakes.scored import make_scored_lake
from featurestore.layout import basis
from featurestore.layout.fingerprint import fingerprint
from featurestore.layout.judged_scores import ingredient_name, scores_digest
from featurestore.layout.manifest import SEAL_BYTES, sealed
from featurestore.layout.tables import ORDER, TABLES
from featurestore.partitions import snapshot
from featurestore.partitions.encoding import encode
from featurestore.verbs import VerbLake

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.lakes.scored import Datasets
    from featurestore.layout.fingerprint import Ingredient
    from featurestore.layout.manifest import Manifest, Part
    from featurestore.storage import Storage

DATASETS = {"train": ("fit", 600, 6), "val": ("id", 120, 6), "ninco": ("ood", 96, 8), "unit-tests": ("ood", 102, 17)}
TEMPLATES = 8
_PER_LINK = 50_000
"""Names that one file may have on common file systems, with some to spare."""
_DIGEST = r"(?<![0-9a-f])(?:[0-9a-f]{64}|[0-9a-f]{16}|[0-9a-f]{12}(?=-\d{5}\.parquet))(?![0-9a-f])"
_Text: TypeAlias = tuple[str, ...]
_OF_MODELS = [table for table in ORDER if "model" in TABLES[table].keys]


def _is_there(lake: VerbLake, name: str) -> bool:
    return Path(lake.storage.uri(f"models/model={name}")).is_dir()


def multiply(
    location: Path, models: int, chosen: Sequence[str], datasets: Datasets = DATASETS, whole: int | None = None
) -> None:
    """Make a lake of so many models with scores of these detectors, unless it is there.

    Args:
        location: Where.
        models: How many.
        chosen: The detectors.
        datasets: Role, samples and classes of each dataset, by name.
        whole: How many models have the files of scores and statistics, which manifests name of all; all by default.
    """
    done, scored = location / "made", location / "templates-made"
    if done.exists():
        return
    lake = (
        VerbLake(location) if scored.exists() else make_scored_lake(location, min(models, TEMPLATES), datasets, chosen)
    )
    scored.touch()
    templates = [_Template.read(lake, f"model-{n:03d}", datasets) for n in range(min(models, TEMPLATES))]
    for number in range(len(templates), models):
        name = f"model-{number:05d}"
        if not _is_there(lake, name):
            templates[number % len(templates)].copy(name, f"{number:064x}", bare=whole is not None and number >= whole)
    done.touch()


def add_model(location: Path, name: str, datasets: Datasets = DATASETS) -> None:
    """Add one more model to such a lake, unless it is there."""
    lake = VerbLake(location)
    if not _is_there(lake, name):
        weights = hashlib.sha256(name.encode()).hexdigest()
        _Template.read(lake, "model-000", datasets).copy(name, weights, bare=True)


@dataclass(frozen=True, slots=True)
class _Template:
    """A model of the lake as what is written for another one: manifests as text, fragments as files to link."""

    storage: Storage
    model: str
    weights: str
    manifests: Sequence[tuple[Manifest, _Text]]
    datasets: Datasets
    links: dict[str, tuple[str, int]] = field(default_factory=dict)
    rows: dict[str, pa.Table] = field(default_factory=dict)

    @classmethod
    def read(cls, lake: VerbLake, model: str, datasets: Datasets) -> _Template:
        found = [one for table in _OF_MODELS for one in snapshot.current(lake.storage, TABLES[table], model=model)]
        texts = (lake.storage.get(one.path)[:-SEAL_BYTES].decode() + "}" for one in found)
        manifests = [(one, _split(text, model)) for one, text in zip(found, texts, strict=True)]
        weights = str(found[0].parts[0].ingredients["weights_sha256"])
        return cls(lake.storage, model, weights, _in_order(manifests), datasets)

    def copy(self, name: str, weights: str, *, bare: bool = False) -> None:
        """Write the model under another name, with other weights; bare, without the files of partitions of many parts."""
        digests = {self.weights: weights, self.model: name}
        scores: dict[str, dict[str, str]] = {}
        activations: dict[str, Part] = {}
        for manifest, _ in self.manifests:
            if manifest.table == "scores" and not scores:
                digests |= self._learned(name, activations)
            for part in manifest.parts:
                print_ = self._print(manifest, part, name, digests, scores)
                digests |= {part.fingerprint: print_, part.fingerprint[:12]: print_[:12]}
                digests |= {basis.short(part.fingerprint): basis.short(print_)}
                if manifest.table == "activations":
                    activations[manifest.key["dataset"]] = replace(part, fingerprint=print_)
                if manifest.table == "scores":
                    scores.setdefault(manifest.key["dataset"], {})[part.key["detector"]] = print_
        for manifest, text in self.manifests:
            folder = self.storage.uri(manifest.folder.replace(f"model={self.model}", f"model={name}"))
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103 # millions of them
            joined = _joined(text, digests)
            if manifest.table == "metrics":
                joined = self._own_metrics(manifest, folder, digests, joined)
            with open(f"{folder}/{manifest.path.rpartition('/')[2]}", "xb") as file:  # noqa: PTH123
                file.write(sealed(joined.encode()))
            for part in manifest.parts if not (bare and TABLES[manifest.table].part_keys) else ():
                if manifest.table != "metrics":
                    self._link(manifest, part, folder, digests)

    def _own_metrics(self, manifest: Manifest, folder: str, digests: Mapping[str, str], text: str) -> str:
        """Write metrics that lie near the template's; returns the manifest's text with what tells of the file."""
        ((path, fragment),) = manifest.files(manifest.parts[0])
        if path not in self.rows:
            self.rows[path] = pq.read_table(self.storage.uri(path))
        rows = self.rows[path]
        random = np.random.default_rng(int(digests[manifest.parts[0].fingerprint][:12], 16))
        nearer = pa.array(1 - 0.05 * random.random(len(rows)))
        for place, field_ in enumerate(rows.schema):
            if pa.types.is_floating(field_.type):
                rows = rows.set_column(place, field_, pc.multiply(rows[place], nearer))
        data = bytes(encode(rows))
        with open(f"{folder}/{digests[manifest.parts[0].fingerprint][:12]}-00000.parquet", "xb") as file:  # noqa: PTH123
            file.write(data)
        text = text.replace(fragment.sha256, hashlib.sha256(data).hexdigest())
        return text.replace(f'"bytes": {fragment.bytes}', f'"bytes": {len(data)}')

    def _learned(self, name: str, activations: Mapping[str, Part]) -> dict[str, str]:
        """The digests of what detectors learned of the template, and what they are of the other model."""
        first = next(manifest for manifest, _ in self.manifests if manifest.table == "scores")
        digests = {}
        for part in first.parts:
            own = detector_ingredients(_benchmark(self.datasets), name, detectors()[part.key["detector"]], activations)
            digests |= dict(zip(_texts(part.ingredients["fits"]), _texts(own["fits"]), strict=True))
        return digests

    def _print(
        self, manifest: Manifest, part: Part, name: str, digests: dict[str, str], scores: dict[str, dict[str, str]]
    ) -> str:
        """The fingerprint of a part of the other model."""
        key = {**manifest.key, **part.key, "model": name}
        ingredients = {n: _renamed(value, digests) for n, value in part.ingredients.items()}
        for dataset, of in scores.items():
            own = ingredient_name(dataset)
            if own in ingredients:
                digests[str(part.ingredients[own])] = ingredients[own] = scores_digest(of)
        made = basis.network(part.ingredients)
        if made:
            digests[made] = basis.network(ingredients)
        return fingerprint(manifest.table, key, ingredients)

    def _link(self, manifest: Manifest, part: Part, folder: str, digests: dict[str, str]) -> None:
        """Give the files of a part their names there; a file that has many is copied first."""
        for source, fragment in manifest.files(part):
            within = fragment.path.replace(part.fingerprint[:12], digests[part.fingerprint[:12]])
            if "/" in within:
                os.mkdir(f"{folder}/{within.rpartition('/')[0]}")  # noqa: PTH102
            known, names = self.links.get(source, (source, 1))
            os.link(self.storage.uri(known), f"{folder}/{within}")
            self.links[source] = known, names + 1
            assert names < _PER_LINK, "more templates are needed"


def _benchmark(datasets: Datasets) -> Benchmark:
    of = {role: [name for name, (own, *_) in datasets.items() if own == role] for role in ("fit", "id", "ood")}
    return Benchmark("main", of["fit"][0], of["id"][0], tuple(of["ood"]))


def _texts(listed: object) -> list[str]:
    assert isinstance(listed, list)
    return [str(one) for one in listed]


def _in_order(manifests: Sequence[tuple[Manifest, _Text]]) -> list[tuple[Manifest, _Text]]:
    """Each after those that its ingredients name: `accuracy` and geometry name activations, scores also fits."""
    return sorted(manifests, key=lambda one: (_OF_MODELS.index(one[0].table), one[0].path))


def _renamed(value: Ingredient, digests: Mapping[str, str]) -> Ingredient:
    if isinstance(value, list):
        return [_renamed(one, digests) for one in value]
    return digests.get(value, value) if isinstance(value, str) else value


def _split(text: str, model: str) -> _Text:
    """A text in pieces, of which every second one is a digest or the model's name."""
    return tuple(re.split(rf"({_DIGEST}|{re.escape(model)})", text))


def _joined(text: _Text, digests: Mapping[str, str]) -> str:
    return "".join([digests.get(piece, piece) for piece in text])
