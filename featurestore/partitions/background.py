"""Writing behind the producer: one thread encodes a fragment while another stores the one before."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Semaphore
from typing import TYPE_CHECKING, Any, Self

from featurestore.partitions.writing import encode_fragment, store_fragment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    import pyarrow as pa

    from featurestore.layout.manifest import Fragment
    from featurestore.partitions.writing import Target
    from featurestore.storage import Storage


class FragmentWriter:
    """Writes fragments in the background, in memory bounded by a few of them; a context manager.

    Args:
        storage: The lake's storage.
        room: How many fragments may wait or be under way; who hands over another one waits. Those who hand over several
            at once, and must not wait for them, need room for all of these.
    """

    def __init__(self, storage: Storage, room: int = 2) -> None:
        self._storage = storage
        self._encoder = ThreadPoolExecutor(1)
        self._storer = ThreadPoolExecutor(1)
        self._room = Semaphore(room)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._encoder.shutdown(wait=True, cancel_futures=error is not None)
        self._storer.shutdown(wait=True, cancel_futures=error is not None)

    def submit(
        self, target: Target, number: int, rows: Callable[[], pa.Table], notes: Mapping[str, Any] | None = None
    ) -> Future[Fragment]:
        """Write one fragment, once there is room; `rows` is called in the background.

        Returns:
            The fragment to come, or the error that writing it raised.
        """
        self._room.acquire()
        written: Future[Fragment] = Future()
        written.add_done_callback(lambda _: self._room.release())
        self._encoder.submit(self._encode, written, target, number, rows, notes)
        return written

    def _encode(self, written: Future[Fragment], target: Target, number: int, *content: Any) -> None:
        rows, notes = content
        try:
            table = rows()
            self._storer.submit(self._store, written, target, number, encode_fragment(table, notes), table.num_rows)
        except BaseException as error:  # noqa: BLE001 # it belongs to whoever waits for the fragment
            written.set_exception(error)

    def _store(self, written: Future[Fragment], target: Target, number: int, *content: Any) -> None:
        try:
            written.set_result(store_fragment(self._storage, target, number, *content))
        except BaseException as error:  # noqa: BLE001 # it belongs to whoever waits for the fragment
            written.set_exception(error)
