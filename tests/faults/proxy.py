"""A proxy before an S3 server that lets some requests fail, as servers and networks do."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.delaying_proxy import SPAWNED, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("none", "500", "503", "timeout", "torn upload", "torn answer", "lost answer", "stopped")
_CODES = {
    "500": (500, "InternalError", "We encountered an internal error. Please try again."),
    "503": (503, "SlowDown", "Please reduce your request rate."),
}
_SILENCE = 8.0
"""Seconds without an answer: longer than a client waits."""
_STOPPED = 1.5
"""Seconds for which a server that is stopped and started again is away."""


@dataclass(frozen=True)
class FaultyProxy:
    """A proxy that runs in a process of its own.

    Attributes:
        url: Where it listens.
    """

    url: str
    _rule: Any
    _injected: Any

    def inject(self, kind: str, share: float = 0.0, seed: int = 0, most: int = 1_000_000) -> None:
        """Let a share of the requests fail from now on, at most so many; `stopped` is away once, from a request on that the seed chooses."""
        with self._rule.get_lock():
            self._rule[:] = [float(KINDS.index(kind)), share, float(seed), float(most)]
        self._injected.value = 0

    def injected(self) -> int:
        """How many requests failed since then."""
        return int(self._injected.value)


@contextmanager
def faulty_proxy(server: str) -> Iterator[FaultyProxy]:
    """Run a proxy before a server, until the end of the context."""
    rule, injected = SPAWNED.Array("d", [0.0] * 4), SPAWNED.Value("q", 0)
    with serving(_serve, server, rule, injected) as url:
        yield FaultyProxy(url, rule, injected)


def _serve(server: str, rule: Any, injected: Any, ports: Any) -> None:
    address = urlsplit(server)
    _Request.place = address.hostname or "127.0.0.1", address.port or 80
    _Request.rule, _Request.injected, _Request.random = rule, injected, Random(0)
    ThreadingHTTPServer.request_queue_size = 256
    ThreadingHTTPServer.daemon_threads = True
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _Request)
    ports.put(listener.server_address[1])
    listener.serve_forever()


class _Request(BaseHTTPRequestHandler):
    """One connection: each of its requests is handed on and answered, or meets its fault."""

    protocol_version = "HTTP/1.1"
    place: tuple[str, int]
    rule: Any
    injected: Any
    random: Random
    seeded = -1.0
    away_until = 0.0

    def handle_one_request(self) -> None:
        """Read a request, and answer it."""
        try:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(body, self._chosen(bool(body)))
        except (OSError, http.client.HTTPException):
            self.close_connection = True

    def _chosen(self, uploads: bool) -> str:
        """Which fault befalls this request."""
        if time.monotonic() < _Request.away_until:
            return "gone"
        with self.rule.get_lock():
            number, share, seed, most = self.rule[:]
            if _Request.seeded != seed:
                _Request.seeded, _Request.random = seed, Random(seed)
            kind = KINDS[int(number)]
            if kind == "none" or self.injected.value >= most or (kind == "torn upload" and not uploads):
                return "none"
            if self.random.random() >= share:
                return "none"
            self.injected.value += 1
        if kind == "stopped":
            _Request.away_until = time.monotonic() + _STOPPED
            return "gone"
        return kind

    def _answer(self, body: bytes, kind: str) -> None:
        if kind == "gone":
            self._hang_up()
        elif kind in _CODES:
            self._refuse(*_CODES[kind])
        elif kind == "timeout":
            time.sleep(_SILENCE)
            self._hang_up()
        elif kind == "torn upload":
            self._ask(body[: len(body) // 2]).close()
            self._hang_up()
        else:
            self._hand_on(body, kind)

    def _hand_on(self, body: bytes, kind: str) -> None:
        """Do what was asked; the answer may be lost, or torn."""
        connection = self._ask(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if kind == "lost answer":
            self._hang_up()
            return
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length")
        self.send_header("Content-Length", str(length if self.command == "HEAD" and length else len(content)))
        self.end_headers()
        if kind == "torn answer" and self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2])
            self._hang_up()
        elif self.command != "HEAD":
            self.wfile.write(content)

    def _ask(self, body: bytes) -> http.client.HTTPConnection:
        """Send the request on, with what may be a part of its body."""
        connection = http.client.HTTPConnection(*self.place, timeout=60)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        return connection

    def _refuse(self, code: int, name: str, said: str) -> None:
        content = f'<?xml version="1.0"?><Error><Code>{name}</Code><Message>{said}</Message></Error>'.encode()
        self.send_response_only(code, name)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(0 if self.command == "HEAD" else len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
