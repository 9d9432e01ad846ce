"""Which stored scores nothing has made stale: what metrics and ensembles are computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analysis.lineage.ingredients import OF_DATASETS, dataset_ingredients, detector_ingredients

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from analysis.detectors import Detector
    from analysis.lineage.benchmark import Benchmark
    from featurestore.layout.fingerprint import Ingredients
    from featurestore.layout.manifest import Manifest, Part


def current_scores(
    benchmark: Benchmark,
    model: str,
    activations: Mapping[str, Part],
    held: Iterable[Manifest],
    detectors: Iterable[Detector[Any]],
) -> dict[str, dict[str, str]]:
    """Fingerprints, by dataset and detector, of the stored scores that nothing has made stale.

    Scores of a detector that is not known here, as that of a plugin which another command named, are judged by the
    activations that they come from.

    Args:
        benchmark: The benchmark.
        model: The model.
        activations: The model's activations by dataset; those on the ID test dataset are among them.
        held: The model's score partitions in the benchmark.
        detectors: The detectors that there are.
    """
    manifests = [manifest for manifest in held if manifest.key["dataset"] in activations]
    # A detector that was never scored here has nothing to compare.
    scored = {part.key["detector"] for manifest in manifests for part in manifest.parts}
    known = {d.name: detector_ingredients(benchmark, model, d, activations) for d in detectors if d.name in scored}
    present = {part.fingerprint for part in activations.values()}
    current: dict[str, dict[str, str]] = {}
    for manifest in manifests:
        dataset = manifest.key["dataset"]
        here = dataset_ingredients(benchmark, dataset, activations)
        # Equal ingredients have equal fingerprints, and are compared much sooner than hashed.
        found = {
            part.key["detector"]: part.fingerprint
            for part in manifest.parts
            if _is_current(part.ingredients, known.get(part.key["detector"]), here, present)
        }
        current[dataset] = {name: found[name] for name in sorted(found)}
    return current


def _is_current(
    stored: Ingredients, wanted: Ingredients | None, here: Mapping[str, str], present: Collection[str]
) -> bool:
    """Whether scores are those that would be made now.

    Args:
        stored: Their ingredients.
        wanted: What a known detector's ingredients should be besides `here`; None if the detector is unknown.
        here: What they should come from.
        present: Fingerprints of all activations that the lake holds of the model.
    """
    if any(stored.get(name) != here.get(name) for name in OF_DATASETS):
        return False
    if wanted is not None:
        return len(stored) == len(wanted) + len(here) and all(stored.get(n) == value for n, value in wanted.items())
    # All that can be told of an unknown detector's.
    learnt_from = stored.get("learnt_from", [])
    return isinstance(learnt_from, list) and all(learning_set in present for learning_set in learnt_from)
