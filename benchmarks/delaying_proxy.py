"""A proxy before an HTTP server that lets each request wait, as a network does, and counts them."""

from __future__ import annotations

import asyncio
import multiprocessing
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SPAWNED = multiprocessing.get_context("spawn")
"""What makes processes that share nothing but what they are given."""


@dataclass(frozen=True)
class DelayingProxy:
    """A proxy that runs in a process of its own.

    Attributes:
        url: Where it listens.
    """

    url: str
    _delay: Any
    _requests: Any

    def delay(self, milliseconds: float) -> None:
        """Let each request from now on wait so long."""
        self._delay.value = milliseconds / 1000

    def requests(self) -> int:
        """How many requests came since this was asked last."""
        with self._requests.get_lock():
            count, self._requests.value = self._requests.value, 0
        return int(count)


@contextmanager
def delaying_proxy(server: str) -> Iterator[DelayingProxy]:
    """Run a proxy before a server, until the end of the context."""
    delay, requests = SPAWNED.Value("d", 0.0), SPAWNED.Value("q", 0)
    with serving(_run, server, delay, requests) as url:
        yield DelayingProxy(url, delay, requests)


@contextmanager
def serving(run: Callable[..., None], *arguments: Any) -> Iterator[str]:
    """Run a server in a process of its own, until the end of the context; gives its URL.

    Args:
        run: Serves for ever on a port of this machine, which it puts into its last argument, a queue.
        arguments: Its others.
    """
    ports = SPAWNED.SimpleQueue()
    process = SPAWNED.Process(target=run, args=(*arguments, ports), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.get()}"
    finally:
        process.terminate()
        process.join()


def _run(server: str, delay: Any, requests: Any, ports: Any) -> None:
    asyncio.run(_serve(server, delay, requests, ports))


async def _serve(server: str, delay: Any, requests: Any, ports: Any) -> None:
    address, loop = urlsplit(server), asyncio.get_running_loop()
    place = address.hostname or "127.0.0.1", address.port or 80
    listener = await loop.create_server(lambda: _Client(place, delay, requests), "127.0.0.1", 0)
    ports.put(listener.sockets[0].getsockname()[1])
    await listener.serve_forever()


class _Client(asyncio.Protocol):
    """One connection: what comes from the client after the server's answer is a new request, and waits."""

    def __init__(self, place: tuple[str, int], delay: Any, requests: Any) -> None:
        self._place, self._delay, self._requests = place, delay, requests
        self._waiting: list[bytes] | None = None
        self._answered = True
        self._server: asyncio.Transport | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.Transport = transport

    def data_received(self, data: bytes) -> None:
        if self._answered:
            self._answered, self._waiting = False, [data]
            with self._requests.get_lock():
                self._requests.value += 1
            asyncio.get_running_loop().call_later(self._delay.value, self._forward)
        elif self._waiting is not None:
            self._waiting.append(data)
        elif self._server:
            self._server.write(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # the protocol's signature
        if self._server:
            self._server.close()

    def answer(self, data: bytes) -> None:
        """Hand on what the server says."""
        self._answered = True
        self.transport.write(data)

    def _forward(self) -> None:
        if self._server is None or self._server.is_closing():
            self._connecting = asyncio.ensure_future(self._connect())
            return
        waiting, self._waiting = self._waiting or [], None
        self._server.write(b"".join(waiting))

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        self._server, _ = await loop.create_connection(lambda: _Server(self), *self._place)
        if self.transport.is_closing():
            self._server.close()
        else:
            self._forward()


class _Server(asyncio.Protocol):
    """The connection behind a client's."""

    def __init__(self, client: _Client) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.answer(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # the protocol's signature
        self._client.transport.close()
