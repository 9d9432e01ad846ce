"""Which weights a checkpoint holds: those as trained, those averaged while training (EMA), and under which keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from extract.models.files.note import Note
from extract.models.files.prefixes import without_prefix
from featurestore.errors import InputError
from featurestore.shown_text import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

AUTO, RAW, EMA = "auto", "raw", "ema"
_RAW_KEYS = re.compile(
    r"state_dict|model|model_state(_dict)?|model_weights|net|network|module|student|encoder|backbone|weights|params|state|online"
)
_EMA_KEYS = re.compile(
    r"(state_dict|model|params|net|network)_ema|ema|ema_(state_dict|model|network|net|weights|state|params)|model_ema_state_dict"
    r"|teacher|averaged_model|swa_model|momentum_encoder|target"
)
_TIMM_ORDER = ("state_dict_ema", "model_ema", "state_dict", "model")
_FIRST_BEFORE = ("state_dict", "model", "model_state_dict", "state_dict_ema", "model_ema")
"""In which order weights were taken before there was a choice: what is taken as then needs no word in a fingerprint."""
_NO_WEIGHTS = re.compile(
    r"optim|sched|scaler|criterion|loss|callback|loop|args|config|hparam|hyper|rng|random|metric|sampler"
)
_LISTED = 6


@dataclass(frozen=True, slots=True)
class Candidate:
    """Arrays by name that lie together in a file.

    Attributes:
        place: The keys that lead to them, joined by dots; empty for the file itself.
        arrays: By name.
        beside: What lies among the arrays and is none.
    """

    place: str
    arrays: Mapping[str, Tensor]
    beside: Sequence[str] = ()

    @property
    def kind(self) -> str:
        """`ema`, `raw`, or nothing if the keys do not tell."""
        parts = self.place.split(".") if self.place else []
        if any(_EMA_KEYS.fullmatch(part) for part in parts):
            return EMA
        return RAW if not parts or any(_RAW_KEYS.fullmatch(part) for part in parts) else ""

    def __str__(self) -> str:
        return f"{self.place or 'the file itself'} ({len(self.arrays)} arrays)"


@dataclass(frozen=True, slots=True)
class Choice:
    """Which weights of a file are taken.

    Attributes:
        taken: Them.
        ingredient: What it adds to a fingerprint; empty where nothing else could have been taken.
        notes: What there is to say.
    """

    taken: Candidate
    ingredient: str
    notes: tuple[Note, ...]


def choose(content: Any, wanted: str, path: Path) -> Choice:
    """The weights that are wanted, of what a file holds.

    Args:
        content: What was read.
        wanted: `auto`, which takes EMA weights where there are any, as timm does; `raw`, `ema`, or the keys that lead to weights.
        path: What messages call the file.

    Raises:
        InputError: There are no weights, not those that are wanted, or several.
    """
    found = list(_candidates(content, (), path))
    if not found:
        raise InputError(f"{path} holds no state dict: expected tensors by parameter name.")
    known = [one for one in found if one.kind] or found
    taken = _wanted(known, found, wanted, path)
    others = [one for one in found if one is not taken]
    notes = _notes(taken, others, wanted, list(_nameless(content, ())))
    usual = min(
        known, key=lambda one: _FIRST_BEFORE.index(one.place) if one.place in _FIRST_BEFORE else len(_FIRST_BEFORE)
    )
    return Choice(taken, taken.place if len(known) > 1 and taken is not usual else "", notes)


def _notes(taken: Candidate, others: Sequence[Candidate], wanted: str, nameless: Sequence[str]) -> tuple[Note, ...]:
    if not others and not taken.beside and not nameless:
        return ()
    rest = "; ".join(
        [
            *([f"the file also holds {', '.join(map(str, others[:_LISTED]))}"] if others else []),
            *(f"the arrays in {place} have no names, and are not read" for place in nameless),
            *([f"beside the arrays lie {', '.join(taken.beside[:_LISTED])}"] if taken.beside else []),
        ]
    )
    kind = {EMA: "EMA weights", RAW: "weights as trained", "": "weights"}[taken.kind]
    how = (
        f"--weights {wanted}" if wanted != AUTO else "EMA goes before raw, as in timm" if taken.kind == EMA else "auto"
    )
    return (Note("weights", f"{kind} of {taken.place or 'the file'}", f"{how}; {rest}; --weights takes others"),)


def _wanted(known: Sequence[Candidate], found: Sequence[Candidate], wanted: str, path: Path) -> Candidate:
    listed = ", ".join(map(str, found[:_LISTED]))
    if wanted not in {AUTO, RAW, EMA}:
        exact = [one for one in found if one.place == wanted]
        if not exact:
            raise InputError(f"{path} holds no weights at {wanted!r}; it holds {listed}.")
        return exact[0]
    averaged = [one for one in known if one.kind == EMA]
    trained = [one for one in known if one.kind != EMA]
    fitting = trained if wanted == RAW else averaged if wanted == EMA else averaged or trained
    if not fitting:
        raise InputError(f"{path} holds no {wanted} weights for --weights {wanted}; it holds {listed}.")
    by_timm = sorted((one for one in fitting if one.place in _TIMM_ORDER), key=lambda one: _TIMM_ORDER.index(one.place))
    if len(fitting) > 1 and not by_timm:
        raise InputError(f"{path} holds several weights: {listed}. Say which: --weights {fitting[0].place}, for one.")
    return (by_timm or list(fitting))[0]


def _candidates(value: Any, place: tuple[str, ...], path: Path) -> Iterator[Candidate]:
    if not isinstance(value, Mapping):
        return
    inner = [
        one
        for key, below in value.items()
        if isinstance(key, str) and not _NO_WEIGHTS.search(key.lower())
        for one in _candidates(below, (*place, key), path)
    ]
    arrays = {key: below for key, below in value.items() if isinstance(key, str) and isinstance(below, torch.Tensor)}
    if inner or not arrays:
        yield from inner
        return
    odd = [key for key, below in value.items() if isinstance(below, torch.Tensor) and not isinstance(key, str)]
    if odd:
        raise InputError(
            f"{path} holds an array of the name {plain(repr(odd[0]))} among its weights: expected names that are text."
        )
    beside = [str(key) for key in value if key not in arrays]
    if place or not beside or any("." in name for name in arrays):
        yield from _by_network(arrays, place, beside)


def _nameless(value: Any, place: tuple[str, ...]) -> Iterator[str]:
    """Where lists of arrays lie, as some trainers keep averaged weights: in the order of a network's parameters."""
    if isinstance(value, list | tuple) and len(value) > 1 and all(isinstance(one, torch.Tensor) for one in value):
        yield f"{'.'.join(place)} ({len(value)})"
    if isinstance(value, Mapping):
        for key, below in value.items():
            if isinstance(key, str) and not _NO_WEIGHTS.search(key.lower()):
                yield from _nameless(below, (*place, key))


def _by_network(arrays: Mapping[str, Tensor], place: tuple[str, ...], beside: Sequence[str]) -> Iterator[Candidate]:
    """The candidates in one flat mapping: student and teacher, say, that lie side by side under two prefixes."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, value in arrays.items():
        first, _, rest = name.partition(".")
        groups.setdefault(first, {})[rest] = value
    inner = [frozenset(without_prefix(group)[0]) for group in groups.values()]
    if len(groups) > 1 and all(Candidate(first, {}).kind for first in groups) and len(set(inner)) < len(inner):
        for first, group in groups.items():
            yield Candidate(".".join((*place, first)), group, beside)
    else:
        yield Candidate(".".join(place), arrays, beside)
