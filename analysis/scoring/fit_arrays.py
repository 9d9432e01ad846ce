"""Fits as named arrays and back: what a detector learned, in the form in which the lake stores it."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from featurestore.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

Fit = TypeVar("Fit")


def to_arrays(fit: Any) -> dict[str, NDArray[Any]]:
    """The arrays and numbers of a fit, a dataclass, by name; those of a dataclass within it as `outer.inner`.

    Raises:
        InputError: A field is neither an array, a number, nor such a dataclass.
    """
    found: dict[str, NDArray[Any]] = {}
    for field in fields(fit):
        value = getattr(fit, field.name)
        if is_dataclass(value):
            found |= {f"{field.name}.{name}": array for name, array in to_arrays(value).items()}
        elif isinstance(value, (np.ndarray, int, float, np.number)):
            found[field.name] = np.asarray(value)
        else:
            raise InputError(f"A fit may hold arrays and numbers; {type(fit).__name__}.{field.name} is {value!r}.")
    return found


def from_arrays(
    kind: type[Fit], arrays: Mapping[str, NDArray[Any]], same: Callable[[Any], Any] = lambda fit: fit
) -> Fit:
    """The fit that `to_arrays` took apart.

    Args:
        kind: The fit's dataclass. Its annotations say which fields are dataclasses themselves, and must be
            importable from its module.
        arrays: What `to_arrays` returned; a number is an array of shape [].
        same: Is shown each dataclass as it is made, and may return an equal one in its place.

    Raises:
        InputError: An array is absent.
    """
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        inner = getattr(sys.modules[kind.__module__], str(field.type), None)
        below = {
            name.removeprefix(f"{field.name}."): a for name, a in arrays.items() if name.startswith(f"{field.name}.")
        }
        if is_dataclass(inner) and isinstance(inner, type):
            values[field.name] = from_arrays(inner, below, same)
        elif field.name in arrays:
            array = arrays[field.name]
            values[field.name] = array.item() if array.ndim == 0 else array
        else:
            raise InputError(f"The stored fit lacks {field.name}: delete the model's fits, and score again.")
    made: Fit = same(kind(**values))
    return made
