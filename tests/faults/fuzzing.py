"""What random tests share: how many examples they try, what must not happen, and what may be wrong with bytes.

In continuous integration they try few examples, the same ones each time; as many times more, and others, as `$FEATURESTORE_TEST_TIMES` says.
"""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from featurestore.errors import LakeError
from featurestore.shown_text import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SECONDS = 60
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Making what failed smaller takes minutes, where an example takes a second."""


def examples(few: int) -> int:
    """So many, or so many times more."""
    return few * int(os.environ.get("FEATURESTORE_TEST_TIMES", "1"))


def fuzz(few: int) -> Any:
    """Settings of a test with so many examples."""
    return settings(
        max_examples=examples(few),
        suppress_health_check=list(HealthCheck),
        deadline=None,
        phases=_PHASES,
        derandomize=examples(1) == 1,
    )


@contextmanager
def soon() -> Iterator[None]:
    """Fail, rather than hang."""

    def end(*_: object) -> None:
        raise AssertionError(f"it takes more than {_SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def sentence(error: Exception) -> None:
    """One line for people, as commands show it."""
    text = shown(str(error))
    assert text
    assert all(character >= " " for character in text), repr(text)
    assert len(text) < 2000, text


def tried(call: Callable[[], object]) -> None:
    """Run it; it may say why not."""
    with soon():
        try:
            call()
        except LakeError as error:
            sentence(error)


@st.composite
def changes(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Something wrong with bytes: some are others, gone, or there twice."""
    kind, at, length = draw(st.integers(0, 4)), draw(st.floats(0, 1)), draw(st.integers(1, 16))
    noise = draw(st.binary(min_size=1, max_size=16))
    near = draw(st.sampled_from([64, 1024, 1 << 30]))
    from_the_end = draw(st.booleans())

    def change(data: bytes) -> bytes:
        made, span = bytearray(data), min(near, len(data))
        place = int(at * max(0, span - 1))
        place = len(data) - 1 - place if from_the_end else place
        if kind == 0:
            made[place : place + len(noise)] = noise
        elif kind == 1:
            del made[place : place + length]
        elif kind == 2:
            made[place:place] = made[place : place + length]
        elif kind == 3:
            del made[place:]
        elif made:
            made[place] ^= 1 << (length % 8)
        return bytes(made)

    return change
