"""A real webhook: an HTTP server of the tests' own that keeps what it gets, and fails when it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from nova_wsgi.testing import wait_until


class Got(NamedTuple):
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def records(self) -> list[dict[str, Any]]:
        """S3's records in it, none in another message."""
        return list(self.json.get("Records", ()))


class Webhook:
    """Where events go. ``status`` is what it answers; ``refused`` are paths that it answers 503 to."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.status = 200
        self.refused: set[str] = set()
        self.got: list[Got] = []
        self.tried = 0
        self.lock = threading.Lock()

    def records(self, path: str = "/") -> list[dict[str, Any]]:
        """The records that came to a path, in the order in which they came."""
        with self.lock:
            return [record for got in self.got if got.path == path for record in got.records]

    def wait_for(self, count: int, path: str = "/", timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """Wait for that many records, or more."""
        wait_until(lambda: len(self.records(path)) >= count, timeout_s, what=f"{count} records at {path}")
        return self.records(path)

    def take(self, got: Got) -> int:
        """Keep a request, and say how to answer it."""
        with self.lock:
            self.tried += 1
            if got.path in self.refused:
                return 503
            if self.status == 200:
                self.got.append(got)
            return self.status


@contextmanager
def running_webhook() -> Iterator[Webhook]:
    """A webhook on a free port of the loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(webhook.take(Got(self.path, headers, body)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    webhook = Webhook(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield webhook
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
