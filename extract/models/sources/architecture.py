"""Building timm's networks."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import timm
import torch
from torch.overrides import TorchFunctionMode

from extract.images.preprocess_fields import DECODE
from extract.models.files import reason
from featurestore.errors import InputError
from featurestore.names import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

    from extract.models.sources.source import Weights


_FILLING = frozenset({"normal_", "uniform_", "trunc_normal_", "erfinv_", "clamp_", "mul_", "add_", "fill_", "zero_"})
_REGISTERED = ("_parameters", "_buffers", "_modules")
_TEST_TIME = ("test_input_size", "test_crop_pct")


def as_json(value: Mapping[str, Any]) -> str:
    """A mapping as canonical JSON."""
    return json.dumps(dict(value), sort_keys=True)


def of_json(text: str) -> Any:
    """What JSON says, which has no NaN and no infinity, though Python reads and writes them.

    Raises:
        ValueError: It is not JSON.
    """
    return json.loads(text, parse_constant=_no_number)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON: write null for what is not known")


def create(
    weights: Weights, *, pretrained: bool = False, given: Mapping[str, Tensor] | None = None, **overrides: Any
) -> nn.Module:
    """The network of weights, with timm's weights or none.

    Args:
        weights: What to build.
        pretrained: Whether to get timm's weights.
        given: Arrays that timm converts and loads in the place of its own weights, all of them strictly.
        overrides: Arguments that go before those of the weights.

    Raises:
        InputError: timm does not know the architecture, or it does not take the arguments.
    """
    check_known(weights.architecture)
    arguments = {**weights.model_kwargs, **overrides}
    overlay = _overlay(weights)
    if given is not None:
        # timm would be lenient with a head of another size than that of its own weights.
        classes = arguments.get("num_classes", getattr(timm.get_pretrained_cfg(weights.architecture), "num_classes", 0))
        overlay |= {"state_dict": dict(given), "source": "", "num_classes": classes, "label_offset": 0}
    try:
        return timm.create_model(  # type: ignore[no-any-return]
            weights.architecture,
            pretrained=pretrained or given is not None,
            pretrained_cfg_overlay=overlay or None,
            **arguments,
        )
    except Exception as error:  # of numbers that make no network (no heads, negative sizes) timm raises anything
        if pretrained or (isinstance(error, RuntimeError) and given is not None):
            raise  # weights that cannot be had, or arrays that are missing or left over
        raise InputError(
            f"timm cannot build {weights.architecture} with {as_json(arguments)}: {reason(error)}."
        ) from error


@contextlib.contextmanager
def without_values() -> Iterator[None]:
    """Networks that are built inside have shapes alone: on torch's meta device, where nothing need be drawn at random either."""
    with torch.device("meta"), _NothingDrawn():
        yield


class _NothingDrawn(TorchFunctionMode):
    """Passes over what would fill a tensor of the meta device: it has no values, and torch takes its time for each call."""

    def __torch_function__(self, func: Any, _types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if args and getattr(func, "__name__", "") in _FILLING and isinstance(args[0], torch.Tensor) and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))


def to_be_loaded(skeleton: nn.Module, weights: Weights) -> nn.Module:
    """A network for weights that will all be loaded: the one without values, where it consists of weights alone.

    Drawing random weights takes longer than reading the real ones. A network that computes arrays of its own is built whole.

    Args:
        skeleton: The network, built `without_values`.
        weights: What it was built of.
    """
    return skeleton if _holds_weights_alone(skeleton) else create(weights)


def _holds_weights_alone(module: nn.Module) -> bool:
    """Whether all tensors of a network are in its state dict."""
    if not {name for name, _ in module.named_buffers()} <= module.state_dict().keys():
        return False
    own = (value for part in module.modules() for name, value in vars(part).items() if name not in _REGISTERED)
    held = (inner for value in own for inner in (value if isinstance(value, list | tuple) else [value]))
    return not any(isinstance(value, torch.Tensor) for value in held)


def check_known(name: str) -> None:
    """Raise if timm does not know an architecture, or the tag behind its name.

    Raises:
        InputError: It does not; the message names the nearest.
    """
    if not is_known(name):
        raise InputError(unknown_name(name))


def is_known(name: str) -> bool:
    """Whether timm has an architecture of that name, and knows the tag behind it if there is one."""
    stem, dot, _ = name.partition(".")
    return timm.is_model(stem) and (not dot or name in timm.list_models(f"{stem}.*", include_tags=True))


def unknown_name(name: str) -> str:
    """The sentence on a name that timm does not know, with the nearest that it does."""
    stem = name.partition(".")[0]
    if not timm.is_model(stem):
        return f"timm has no architecture {name!r}: {nearest(stem, timm.list_models())}"
    return f"timm knows no weights {name!r}: {nearest(name, timm.list_models(f'{stem}.*', include_tags=True))}"


def _overlay(weights: Weights) -> dict[str, Any]:
    """What differs from timm's own preprocessing; a size or crop of it is not overruled by those that timm tests with."""
    size = weights.model_kwargs.get("img_size")
    sides = (size, size) if isinstance(size, int) else tuple(size or ())
    said = {**({"input_size": (3, *sides)} if sides else {}), **weights.preprocess}
    gone = _TEST_TIME if "input_size" in said else _TEST_TIME[1:] if "crop_pct" in said else ()
    return {**dict.fromkeys(gone), **{field: value for field, value in said.items() if field != DECODE}}
