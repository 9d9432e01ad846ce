"""The threads of linear algebra."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep linear algebra to one thread of this process, that of SciPy too, which brings a library of its own.

    Libraries that are loaded later would not be kept to it: so SciPy's is, here at the latest.
    """
    import scipy.linalg  # noqa: F401 # slow to import, as the other is, and every detector is
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield
