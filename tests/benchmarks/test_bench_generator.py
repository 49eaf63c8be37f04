"""The load generator understands every answer, however it is cut in pieces, and sends what it is told to."""

import itertools
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from benchmarks.generator import Config, Connection, write_requests
from benchmarks.loads import ROOT

WITH_LENGTH = b'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: "close"\r\n\r\nhello'
LOWER = b"HTTP/1.1 206 Partial Content\r\ncontent-length:12\r\n\r\nhello\r\n\r\nyou"
IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
AFTER_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n" + WITH_LENGTH
WITHOUT = b"HTTP/1.1 204 No Content\r\n\r\n"
LAST = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nconnection: Close\r\n\r\nno"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"
OF_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n"


@contextmanager
def answering(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server's port, and what it was sent: it gives each request one of ``answers``, round and round."""
    heard: list[bytes] = []
    turns = itertools.cycle(answers)

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:  # the test is over
                return
            with peer:
                while request := peer.recv(65536):
                    heard.append(request)
                    answer = next(turns)
                    peer.sendall(answer)
                    if b"onnection:" in answer:
                        break

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def send(directory: Path, requests: list[bytes], port: int, **how: Any) -> dict[str, Any]:
    """What the generator tells of these requests, over one connection."""
    write_requests(directory / "r", requests)
    config = Config("127.0.0.1", port, str(directory / "r"), connections=1, **how)
    command = [sys.executable, "-m", "benchmarks.generator", json.dumps(asdict(config))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.fixture
def connection():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection(listener.getsockname()[:2])
        yield connection
        connection.sock.close()


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 19, 1000])
@pytest.mark.parametrize(
    ("answer", "method", "status", "closes"),
    [
        (WITH_LENGTH, b"GET", 200, False),
        (LOWER, b"GET", 206, False),
        (IN_CHUNKS, b"GET", 200, False),
        (AFTER_CONTINUE, b"PUT", 200, False),
        (WITHOUT, b"DELETE", 204, False),
        (LAST, b"GET", 404, True),
        (OLD, b"GET", 200, True),
        (OF_HEAD, b"HEAD", 200, False),
    ],
)
def test_an_answer_ends_where_it_does(connection, piece, answer, method, status, closes):
    for _ in range(2):  # what is left of one answer does not spoil the next
        connection.begin(method + b" / HTTP/1.1\r\n\r\n", 0)
        pieces = [answer[start : start + piece] for start in range(0, len(answer), piece)]
        ends = [connection.take(bytearray(one + b"\r\n\r\nrubbish of before"), len(one)) for one in pieces]
        assert ends == [False] * (len(pieces) - 1) + [True]
        assert (connection.status, connection.closes, connection.head) == (status, closes, None)


def test_each_request_is_sent_once_over_connections_that_close(tmp_path):
    requests = [b"GET /%d HTTP/1.1\r\n\r\n" % number for number in range(4)]
    with answering(WITH_LENGTH, LAST) as (port, heard):
        told = send(tmp_path, requests, port, seconds=30, once=True)
    assert heard == requests
    assert (told["requests"], told["errors"], told["received"]) == (4, 2, 2 * len(WITH_LENGTH + LAST))
    assert 0 < told["cpu_s"] <= told["seconds"]


def test_requests_go_round_and_round_until_the_time_is_over(tmp_path):
    requests = [b"DELETE /1 HTTP/1.1\r\n\r\n", b"DELETE /2 HTTP/1.1\r\n\r\n"]
    with answering(WITHOUT) as (port, heard):
        told = send(tmp_path, requests, port, seconds=0.2)
    assert heard == [requests[number % 2] for number in range(len(heard))]
    assert (told["requests"], told["errors"]) == (len(heard), 0)
