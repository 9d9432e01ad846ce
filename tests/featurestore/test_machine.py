"""The threads that are worth starting, and Python's collector of cyclic garbage."""

from __future__ import annotations

import gc
import os

import pytest

from featurestore.machine import collector_paused, cores


def test_the_collector_pauses_and_works_again() -> None:
    """Also where the work fails."""
    with collector_paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError), collector_paused():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_a_collector_that_somebody_stopped_stays_so() -> None:
    """Two pauses may lie in each other, and the inner one does not end the outer."""
    with collector_paused():
        with collector_paused():
            pass
        assert not gc.isenabled()


def test_cores_are_those_that_the_process_is_bound_to() -> None:
    bound = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(bound)})
        assert cores() == 1
    finally:
        os.sched_setaffinity(0, bound)
