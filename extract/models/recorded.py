"""A network as a lake knows it, built again: with the same weights and preprocessing, or not at all."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from extract.models.files import AUTO, StoredWeights
from extract.models.files.candidates import RAW
from extract.models.sources import source_of_file
from extract.models.spec import ModelSpec, parameters_sha256
from featurestore.errors import ConflictError, InputError
from featurestore.layout.fingerprint import differences

if TYPE_CHECKING:
    from torch import nn

    from featurestore.layout.recorded_network import RecordedNetwork

_OF_THE_RUN = {"dtype", "compute"}
_WEIGHTS = "weights_sha256"


@dataclass(frozen=True, slots=True)
class Places:
    """Where the files of a network lie now; None is where the lake says.

    Attributes:
        checkpoint: The file with its weights.
        key_map: The file that says which of its names become which.
        head: The file with a head in the place of its own.
    """

    checkpoint: Path | None = None
    key_map: Path | None = None
    head: Path | None = None


def recorded_spec(network: RecordedNetwork, places: Places | None = None) -> tuple[ModelSpec, nn.Module | None]:
    """The model that made a lake's activations.

    Args:
        network: What the lake tells of it.
        places: Where its files lie now.

    Returns:
        The model, and its module where that was loaded already, to look at published weights.

    Raises:
        InputError: A file is not where it lay, or cannot be read.
        ConflictError: It would be another network: other weights, or another way of preparing images.
    """
    places = places or Places()
    stored = network.ingredients
    checkpoint = None if network.published else _file(network, "checkpoint", places.checkpoint, "--checkpoint")
    head = _file(network, "head", places.head, "--head") if "head_sha256" in stored else None
    key_map = _file(network, "key_map", places.key_map, "--key-map") if "key_map_sha256" in stored else None
    which = str(network.places.get("which") or stored.get("weights") or AUTO)
    if not network.places and "weights" not in stored and checkpoint is not None:
        # The usual ones were taken, which need not be those that are taken unless something is said.
        which = RAW if "weights" in StoredWeights(checkpoint, which, key_map).ingredients() else which
    preprocess = network.preprocessing
    source = network.places.get("source")
    if source is None and checkpoint is not None:
        source = source_of_file(StoredWeights(checkpoint, which, key_map)).name
    spec = ModelSpec(
        name=network.base or network.model,
        architecture=network.architecture,
        checkpoint=checkpoint,
        model_kwargs=json.loads(str(stored["model_kwargs"])),
        source=source,
        preprocess=preprocess,
        preprocess_origins=dict.fromkeys(preprocess, "as the lake says"),
        which=which,
        key_map=key_map,
        head_file=head,
    )
    module = spec.load_module() if checkpoint is None else None
    if module is not None:
        vars(spec)[_WEIGHTS] = parameters_sha256(module)
    view = replace(spec, features=(network.layer,)).views[0] if network.layer else spec
    if view.base is not None and module is not None:
        vars(view.base)[_WEIGHTS] = spec.weights_sha256
    _check_same(network, view)
    return view, module


def _file(network: RecordedNetwork, what: str, given: Path | None, option: str) -> Path:
    """A file of the network, where it is said to lie now, or lay then.

    Raises:
        InputError: It is not there, or nobody says where.
    """
    lay = network.places.get(what)
    if given is None and lay is None:
        raise InputError(
            f"The lake does not say where the {what.replace('_', ' ')} of {network.model} lies: give it with {option} FILE."
        )
    path = given if given is not None else Path(str(lay))
    if not path.exists():
        asked = "is not there" if given is not None else f"is not where it lay: give its place with {option} FILE"
        raise InputError(f"The {what.replace('_', ' ')} {path} of {network.model} {asked}.")
    return path


def _check_same(network: RecordedNetwork, spec: ModelSpec) -> None:
    """Raise unless a model has the identity that the lake's activations came from."""
    wanted = {name: value for name, value in network.ingredients.items() if name not in _OF_THE_RUN}
    found: dict[str, Any] = spec.identity
    if wanted.get(_WEIGHTS) != found[_WEIGHTS]:
        where = spec.places["checkpoint"] or f"timm's {spec.architecture}"
        raise ConflictError(
            f"{where} holds other weights than {network.model} was extracted with (sha256 begins with "
            f"{str(found[_WEIGHTS])[:12]}, not {str(wanted.get(_WEIGHTS))[:12]}): bring back those, with --checkpoint FILE, or run "
            "`featurestore extract --replace` and `featurestore score` with these."
        )
    differing = differences(wanted, found)
    if differing:
        raise ConflictError(
            f"{network.model} would not be the network that it was extracted as: it differs in {'; '.join(differing)}."
        )
