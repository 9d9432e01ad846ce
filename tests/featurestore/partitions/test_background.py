"""Writing behind the producer: bounded, in order of its targets, and with every error where it belongs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from featurestore.errors import StorageError
from featurestore.layout.tables import TABLES
from featurestore.partitions import writing
from featurestore.partitions.writing import FragmentWriter, Target, resume

if TYPE_CHECKING:
    from collections.abc import Iterator

    from featurestore import Lake

TARGET = Target(TABLES["accuracy"], {"model": "m", "dataset": "d"}, {"seed": 0}, {})
PATIENCE = 60


def rows() -> pa.Table:
    return pa.table({"n": [1], "top1": [0.5], "top5": [1.0]})


@pytest.fixture
def gate(lake: Lake) -> Iterator[threading.Event]:
    """Open, the storage writes; closed, it hangs."""
    opened, create = threading.Event(), lake.storage.create

    def hanging(key: str, data: Any) -> bool:
        assert opened.wait(PATIENCE)
        return create(key, data)

    lake.storage.create = hanging  # type: ignore[method-assign]
    yield opened
    opened.set()


def test_who_hands_over_more_than_there_is_room_for_waits(lake: Lake, gate: threading.Event) -> None:
    """So memory holds a few fragments however slow the storage is; each that is stored makes room for one."""
    handed: list[int] = []
    full = threading.Event()

    def hand_over() -> None:
        with FragmentWriter(lake.storage, room=2) as writer:
            for number in range(5):
                if number == 2:
                    full.set()
                writer.submit(TARGET, number, rows)
                handed.append(number)

    thread = threading.Thread(target=hand_over)
    thread.start()
    assert full.wait(PATIENCE)
    thread.join(0.2)
    assert handed == [0, 1]
    gate.set()
    thread.join(PATIENCE)
    assert handed == [0, 1, 2, 3, 4]
    assert sorted(resume(lake.storage, TARGET)) == handed


def test_an_error_belongs_to_its_fragment_and_gives_its_room_back(lake: Lake) -> None:
    """Of the rows as of the storage; those after it are written."""
    create = lake.storage.create

    def full_disk(key: str, data: Any) -> bool:
        if key.endswith("-00001.parquet"):
            raise StorageError("The disk is full.")
        return create(key, data)

    lake.storage.create = full_disk  # type: ignore[method-assign]
    with FragmentWriter(lake.storage, room=1) as writer:
        broken = writer.submit(TARGET, 0, lambda: pa.table({"n": [1 / 0]}))
        refused = writer.submit(TARGET, 1, rows)
        written = writer.submit(TARGET, 2, rows, {"failed": [3]})
        assert isinstance(broken.exception(PATIENCE), ZeroDivisionError)
        assert isinstance(refused.exception(PATIENCE), StorageError)
    assert resume(lake.storage, TARGET) == {2: (written.result(), {"failed": [3]})}


def test_several_are_stored_at_a_time(lake: Lake) -> None:
    """As many as were asked for: each waits for the others."""
    together, create = threading.Barrier(3), lake.storage.create

    def waiting(key: str, data: Any) -> bool:
        together.wait(PATIENCE)
        return create(key, data)

    lake.storage.create = waiting  # type: ignore[method-assign]
    with FragmentWriter(lake.storage, room=3, storers=3) as writer:
        written = [writer.submit(TARGET, number, rows) for number in range(3)]
    assert {number: fragment for number, (fragment, _) in resume(lake.storage, TARGET).items()} == {
        number: future.result() for number, future in enumerate(written)
    }


def test_leaving_waits_for_what_was_handed_over(lake: Lake, gate: threading.Event) -> None:
    """At the end of the block every fragment is stored."""
    timer = threading.Timer(0.1, gate.set)
    with FragmentWriter(lake.storage) as writer:
        written = [writer.submit(TARGET, number, rows) for number in range(2)]
        timer.start()
    assert [future.done() for future in written] == [True, True]


def test_a_failure_of_the_producer_drops_what_is_not_under_way(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that is interrupted ends soon: with the fragment that was being encoded."""
    begun, dropped = threading.Event(), threading.Event()

    class Telling(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            dropped.set()
            super().shutdown(wait=wait)

    def slow() -> pa.Table:
        begun.set()
        assert dropped.wait(PATIENCE)
        return rows()

    def interrupted() -> None:
        with FragmentWriter(lake.storage, room=9) as writer:
            for number in range(9):
                writer.submit(TARGET, number, slow)
            assert begun.wait(PATIENCE)
            raise KeyboardInterrupt

    monkeypatch.setattr(writing, "ThreadPoolExecutor", Telling)
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(resume(lake.storage, TARGET)) <= 1
