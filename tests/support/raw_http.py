"""A real HTTP server in the test's own process, and clients that speak raw bytes to it."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from nova_wsgi import green
from nova_wsgi.server import HttpLimits, HttpServer

PATIENCE_S = 5.0  # how long a test waits for what must happen; nothing takes this long when it works


def wait_until(condition: Callable[[], Any], what: str = "the condition") -> None:
    """Run others until the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S} s in vain for {what}"
        green.sleep(0.002)


def limits(**changes: Any) -> HttpLimits:
    return HttpLimits(**changes)


@contextlib.contextmanager
def serving(app: Any, *, family: int = socket.AF_INET, path: str = "", **options: Any) -> Iterator[HttpServer]:
    """A server on a free port of the loopback interface, or on the unix socket ``path``."""
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.bind(path or ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        listening.listen(128)
        server = HttpServer(listening, app, **options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
            wait_until(lambda: not server.connections, "the end of all connections")


@dataclass
class Response:
    status: int
    headers: list[tuple[str, str]]
    body: bytes = b""
    trailing: bytes = field(default=b"", repr=False)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection. Reads time out with an error instead of hanging the tests."""

    def __init__(self, server: HttpServer | None = None, *, tls: Any = None, sock: Any = None) -> None:
        if sock is None:
            assert server is not None, "to a server, or on a socket that is connected already"
            sock = socket.socket(server.socket.family, socket.SOCK_STREAM)
            sock.settimeout(PATIENCE_S)
            sock.connect(server.socket.getsockname())
        self.sock = sock if tls is None else tls.wrap_socket(sock, server_hostname="localhost")
        self.received = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.sock.close()

    def send(self, data: bytes) -> Client:
        self.sock.sendall(data)
        return self

    def get(self, target: str = "/", *fields: str, method: str = "GET") -> Client:
        lines = [f"{method} {target} HTTP/1.1", "Host: a.example", *fields]
        return self.send("".join(f"{line}\r\n" for line in lines).encode("latin-1") + b"\r\n")

    def receive_more(self) -> bool:
        """Receive something; False at the end of the stream, however it ends."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.received += data
        return bool(data)

    def receive_to_end(self) -> bytes:
        while self.receive_more():
            pass
        data, self.received = self.received, b""
        return data

    def take(self, size: int) -> bytes:
        while len(self.received) < size:
            assert self.receive_more(), f"the connection ended {size - len(self.received)} bytes early"
        data, self.received = self.received[:size], self.received[size:]
        return data

    def take_through(self, mark: bytes) -> bytes:
        while mark not in self.received:
            assert self.receive_more(), f"the connection ended before {mark!r}; received {self.received!r}"
        return self.take(self.received.index(mark) + len(mark))

    def response(self, *, method: str = "GET") -> Response:
        """Read one response, framed as a client must frame it (RFC 9112 6.3)."""
        head = self.take_through(b"\r\n\r\n").decode("latin-1")
        status_line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        assert re.fullmatch(r"HTTP/1\.1 \d{3} .*", status_line), status_line
        response = Response(int(status_line[9:12]), [tuple(line.split(": ", 1)) for line in lines])  # type: ignore[misc]
        if method == "HEAD" or response.status in (100, 204, 304):
            return response
        if response.header("Transfer-Encoding") == "chunked":
            response.body = self._chunks()
        elif (length := response.header("Content-Length")) is not None:
            response.body = self.take(int(length))
        else:
            assert response.header("Connection") == "close"
            response.body = self.receive_to_end()
        return response

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.take_through(b"\r\n"), 16):
            body += self.take(size)
            assert self.take(2) == b"\r\n"
        assert self.take(2) == b"\r\n"
        return body

    def is_closed(self) -> bool:
        """Wait for the connection's end; nothing more may come before it."""
        assert self.receive_to_end() == b""
        return True

    def is_open(self) -> bool:
        """Tell whether the connection still answers a request."""
        return self.get("/still-open").response().status == 200


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers what it was asked, as JSON: environ (what is JSON), body, trailers."""
    body = environ["wsgi.input"].read()
    answer = {
        "environ": {key: value for key, value in environ.items() if isinstance(value, str | list | dict | bool | int)},
        "body": body.decode("latin-1"),
        "trailers": environ["wsgi.input"].trailers,
    }
    answer["environ"].pop("nova.finish_hooks")
    content = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]


def answering(content: bytes | list[bytes], *headers: tuple[str, str], status: str = "200 OK") -> Any:
    """An application that answers the same to everything, after reading the body."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        start_response(status, list(headers))
        return content if isinstance(content, list) else [content]

    return app
