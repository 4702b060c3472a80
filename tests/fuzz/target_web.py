"""Answers of web servers: a photo within its limits or a refusal, and nobody is asked whom the configuration does not name."""

from __future__ import annotations

import socket
import threading
import time
from functools import cache
from typing import NamedTuple

from fuzzing import mutated, watching
from hypothesis import strategies as st

from prodseek.catalogue.photo_source import PhotoSource
from prodseek.catalogue.web import WebAccess
from prodseek.photos.decode import ImageLimits, ImageRejected
from prodseek.storage import retries
from prodseek.storage.retries import RetryPolicy

MAX_BYTES = 2000
TIMEOUT_SECONDS = 2.0
_HOST = "127.0.0.1"
_TOKENS = (
    b"\r\n", b"\r\n\r\n", b"\n", b"\0", b"\xff", b"HTTP/1.1 ", b"HTTP/9.9 ", b"100 Continue\r\n\r\n", b"206", b"301 x",
    b"\r\nLocation: http://169.254.169.254/\r\n", b"\r\nLocation: //elsewhere/x\r\n", b"\r\nLocation: file:///etc/passwd\r\n",
    b"\r\nLocation: /again\r\n", b"\r\nLocation: http://[::1]:x/\r\n", b"\r\nLocation: http://127.0.0.1@elsewhere/\r\n",
    b"\r\nLocation: \r\n", b"\r\nLocation: http://127.1/\r\n", b"\r\nLocation: http://0x7f000001/\r\n", b"http://", b"@",
    b"\r\nContent-Length: -1\r\n", b"\r\nContent-Length: 99999999999999999999\r\n", b"\r\nContent-Length: 5, 5\r\n",
    b"\r\nTransfer-Encoding: chunked\r\n", b"ffffffffffffffff\r\n", b"-1\r\n", b"0;x=y\r\n", b"\r\nConnection: keep-alive\r\n",
    b"\r\nContent-Encoding: gzip\r\n", b"\r\nUpgrade: h2c\r\n", b"a" * 70_000, b"\r\nX: " + b"y: z\r\nX" * 150,
    b"\r\nLast-Modified: Fri, 31 Dec 9999 23:59:59 -9999\r\n", b"\r\nETag: " + b"e" * 3000, b"\r\n ",
)  # fmt: skip
_SEEDS = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Type: image/jpeg\r\nETag: \"x\"\r\n"
    b"Last-Modified: Fri, 01 Jan 2021 00:00:00 GMT\r\n\r\nhello world!",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n world!\r\n0\r\nTrailer: 1\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nServer: old\r\n\r\n" + b"without a length " * 200,
    b"HTTP/1.1 302 Found\r\nLocation: /elsewhere?a=b#c\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot found",
    b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
)  # fmt: skip


class Case(NamedTuple):
    """What a server answers, one after the other, the last for ever; and the path and query that it is asked for."""

    answers: tuple[bytes, ...]
    path: str


class _Server:
    """Answers every connection on loopback with the next of its answers, whatever was asked, and closes it."""

    def __init__(self) -> None:
        self._listener = socket.create_server((_HOST, 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self.answers: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                try:
                    connection.settimeout(TIMEOUT_SECONDS)
                    connection.recv(65536)
                    connection.sendall(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    pass  # a client that has read enough


@cache
def _server() -> _Server:
    return _Server()


def cases() -> st.SearchStrategy[Case]:
    _server()
    answers = st.lists(mutated(_SEEDS, _TOKENS), min_size=1, max_size=3).map(tuple)
    return st.builds(Case, answers, st.one_of(st.just("x.jpg"), st.text(max_size=12)))


def check(case: Case) -> None:
    server = _server()
    retries._storage_states.clear()  # a server that failed eight times is not asked again at once
    web = WebAccess((_HOST,), TIMEOUT_SECONDS)
    photos = PhotoSource("/nowhere", (), ImageLimits(max_bytes=MAX_BYTES), RetryPolicy(1, 4 * TIMEOUT_SECONDS), web)
    uri = f"http://{_HOST}:{server.port}/{case.path}"

    def looked_at(event: str, values: tuple[object, ...]) -> None:
        assert event != "socket.connect" or values[1][0] == _HOST, f"connects to {values[1]}"  # type: ignore[index]
        assert event != "socket.getaddrinfo" or values[0] in (_HOST, _HOST.encode()), f"looks up {values[0]!r:.100}"
        assert event != "open" or "passwd" not in str(values[0]), f"opens {values[0]}"

    for ask in (photos.read, photos.stamp):
        server.answers = list(case.answers)
        started = time.monotonic()
        with watching(looked_at):
            try:
                found = ask(uri)
            except ImageRejected as rejected:
                assert rejected.detail
                found = None
        assert time.monotonic() - started < 3 * TIMEOUT_SECONDS
        assert not isinstance(found, bytes) or len(found) <= MAX_BYTES + 1
