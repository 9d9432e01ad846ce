"""Which cases of a test are its long form: for `make test-long`, where the short form has held the same of fewer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def shortened(values: Iterable[Any], *, to: int = 1) -> list[Any]:
    """Parameters of a test, of which all but the first few are its long form.

    Args:
        values: The parameters; a tuple holds those of several names.
        to: How many are the short form.
    """
    marks = (pytest.mark.long,)
    cases = [value if isinstance(value, tuple) else (value,) for value in values]
    return [pytest.param(*case, marks=() if place < to else marks) for place, case in enumerate(cases)]
