"""An HTTP server on loopback that passes requests on to another one, and fails some of them as busy storage does."""

from __future__ import annotations

import http.client
import itertools
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_ERRORS = ((503, "SlowDown"), (500, "InternalError"))
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "date", "server"}


class FaultyProxy:
    """Passes GET and HEAD on to a port of this machine. delay_seconds: what each request takes beside."""

    def __init__(self, port: int, delay_seconds: float = 0.0) -> None:
        self.set_faults(None, None)
        self._delay_seconds = delay_seconds
        self._target_port = port
        self._closed = threading.Event()
        self._local = threading.local()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy._answer(self)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def set_faults(self, every: int | None, stall_at: int | None) -> None:
        """Count anew. every: each so-many-th request is answered with 503 or 500 in turn, None: none is; stall_at: the
        request that is never answered."""
        self._every, self._stall_at = every, stall_at
        self.n_requests = self.n_faults = self.n_stalls = 0
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.n_requests = number = next(self._numbers)
        if number == self._stall_at:
            self.n_stalls += 1
            self._closed.wait()
            request.close_connection = True
            return
        time.sleep(self._delay_seconds)
        if self._every and number % self._every == 0:
            status, code = _ERRORS[self.n_faults % len(_ERRORS)]
            self.n_faults += 1
            self._send(request, status, {}, f"<Error><Code>{code}</Code></Error>".encode())
            return
        connection = self._connection()
        connection.request(request.command, request.path, headers=dict(request.headers.items()))
        answer = connection.getresponse()
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
        self._send(request, answer.status, headers, answer.read())

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPConnection("127.0.0.1", self._target_port, timeout=60)
        connection: http.client.HTTPConnection = self._local.connection
        return connection

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if not any(name.lower() == "content-length" for name in headers):
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)
