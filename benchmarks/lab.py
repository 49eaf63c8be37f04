"""The servers of one run, started when a row first asks for them, and what lies in them."""

from __future__ import annotations

import http.client
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks import peers, servers
from benchmarks.generator import write_requests
from benchmarks.loads import ROOT, LoadFailed, generate
from benchmarks.servers import HelloAnswer, Server
from benchmarks.signing import Kind, Request, parts, sign

KIB, MIB, GIB = 1024, 1024**2, 1024**3
BUCKET = "bench"
LARGE_SIZE = 64 * MIB
PREPARE_CONNECTIONS = 16
PREPARE_TIMEOUT_S = 300.0
KEPT_OUT_OF_HELLO = ("date", "server", "connection", "transfer-encoding", "keep-alive")  # a server's own affair


@dataclass(frozen=True)
class Settings:
    """How long and how often, and what is reported on the way."""

    directory: Path
    seconds: int
    connections: int
    say: Callable[[str], None]


class Answer(NamedTuple):
    """What a server said."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class Lab:
    """Everything that rows measure on. Servers live until ``stack`` ends."""

    def __init__(self, settings: Settings, stack: ExitStack) -> None:
        self.settings = settings
        self._stack = stack
        self._servers: dict[str, Server | None] = {}
        self._stored: set[tuple[str, str]] = set()
        self._numbers = itertools.count()

    # -- servers -------------------------------------------------------------------------------------------------------

    def store(self, *, workers: int = 1) -> Server:
        """The store, with an empty bucket at first."""
        return self._started(f"nova-{workers}", lambda state: self._open_store(state, workers))

    def filled_store(self, count: int) -> Server:
        """A store of one worker with the buckets ``keys-1000`` and ``keys-{count}`` (see fill)."""

        def start(state: Path) -> Server:
            names = sorted({1000, count})
            command = [sys.executable, "-m", "benchmarks.fill", str(state), *(f"keys-{many}={many}" for many in names)]
            self.settings.say(f"filling a bucket of {count:,} keys")
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise LoadFailed(done.stderr[-2000:])
            return self._open_store(state, 1)

        return self._started(f"nova-filled-{count}", start)

    def _open_store(self, state: Path, workers: int) -> Server:
        server = self._stack.enter_context(servers.store(state, workers=workers))
        self.make_bucket(server, BUCKET)
        return server

    def hello(self, name: str, requests: Sequence[Request], *, logs: bool = False) -> Server:
        """A hello world that answers as the store does to ``requests``: one of each method, each sent once to ask it."""

        def start(_: Path) -> Server:
            answers = {request.method: _as_hello(ask(self.store(), request), request) for request in requests}
            return self._stack.enter_context(servers.hello(answers, logs=logs))

        return self._started(f"hello-{name}{'-logs' * logs}", start)

    def nginx(self) -> Server | None:
        """nginx over the large file (``/large``); None where it is not installed."""
        if servers.find_program("nginx") is None:
            self._missing("nginx")
            return None

        def start(root: Path) -> Server:
            (root / "www").mkdir(parents=True)
            os.link(self.large_file(), root / "www" / "large")
            for directory in (self.settings.directory, root):
                directory.chmod(0o755)  # nginx's worker is another user
            return self._stack.enter_context(servers.nginx(root, workers=1))

        return self._started("nginx", start)

    def peer(self, name: str) -> Server | None:
        """A peer with our bucket; None where it is not installed."""
        if name in self._servers:
            return self._servers[name]
        self._servers[name] = None
        try:
            server = peers.start(self._stack, name, self.settings.directory / name)
        except (OSError, TimeoutError, ChildProcessError) as error:
            self.settings.say(f"{name}: does not start, skipped: {error}")
            return None
        if server is None:
            self._missing(name)
            return None
        self.make_bucket(server, BUCKET)
        self._servers[name] = server
        return server

    def peers(self) -> Mapping[str, Server]:
        """All that are installed."""
        found = {name: self.peer(name) for name in peers.PEERS}
        return {name: server for name, server in found.items() if server is not None}

    def _missing(self, name: str) -> None:
        if self._servers.get(f"missing-{name}", self) is self:
            self._servers[f"missing-{name}"] = None
            self.settings.say(f"{name}: not installed here, skipped")

    def _started(self, name: str, start: Callable[[Path], Server]) -> Server:
        server = self._servers.get(name)
        if server is None:
            server = self._servers[name] = start(self.settings.directory / name)
        return server

    # -- what lies in them ---------------------------------------------------------------------------------------------

    def make_bucket(self, server: Server, name: str) -> None:
        """Create a bucket; one that is there stays."""
        answer = ask(server, Request("PUT", f"/{name}"))
        if answer.status not in (200, 409):
            raise LoadFailed(f"{server.name} answered {answer.status} to CreateBucket: {answer.body[:500]!r}")

    def store_objects(self, server: Server, prefix: str, *, count: int, size: int) -> list[str]:
        """The paths of ``count`` objects under ``prefix``, stored when they are first asked for."""
        paths = [f"/{BUCKET}/{prefix}/{number:06}" for number in range(count)]
        if (server.url, prefix) not in self._stored:
            body = b"x" * size
            self.send_all(server, [Request("PUT", path, body) for path in paths])
            self._stored.add((server.url, prefix))
        return paths

    def send_all(self, server: Server, requests: Sequence[Request]) -> None:
        """Send each request once; all must succeed."""
        file = self.write(server, requests)
        sample = generate(server, file, connections=PREPARE_CONNECTIONS, seconds=PREPARE_TIMEOUT_S, once=True)
        file.unlink()
        if sample.errors or sample.requests != len(requests):
            raise LoadFailed(f"{server.name}: {sample.errors} of {len(requests)} requests failed")

    def large_file(self) -> Path:
        """64 MiB of random bytes."""
        path = self.settings.directory / "large"
        if not path.exists():
            path.write_bytes(os.urandom(LARGE_SIZE))
            path.chmod(0o644)
        return path

    def empty_file(self, size: int) -> Path:
        """A sparse file of ``size`` bytes."""
        path = self.settings.directory / f"empty-{size}"
        if not path.exists():
            path.touch()
            os.truncate(path, size)
        return path

    def number(self) -> int:
        """A number that nobody else has: for names that must be new."""
        return next(self._numbers)

    def write(self, server: Server, requests: Iterable[Request], *, kind: Kind = Kind.HEADER) -> Path:
        """A file of requests signed just now, for wrk and the generator."""
        now_s = time.time()
        path = self.settings.directory / f"requests-{server.name}"
        write_requests(path, [sign(request, server.authority, now_s, kind=kind) for request in requests])
        return path


def ask(server: Server, request: Request, *, kind: Kind = Kind.HEADER) -> Answer:
    """Send one request on a connection of its own."""
    target, headers, body = parts(request, server.authority, time.time(), kind=kind)
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=60)) as connection:
        connection.request(request.method, target, body=body, headers=dict(headers))
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())


def _as_hello(answer: Answer, request: Request) -> HelloAnswer:
    """The same for a hello world."""
    if not 200 <= answer.status < 300:
        raise LoadFailed(f"{request.method} {request.path} was answered {answer.status}: {answer.body[:500]!r}")
    headers = [(name, text) for name, text in answer.headers if name.lower() not in KEPT_OUT_OF_HELLO]
    return f"{answer.status} {http.client.responses[answer.status]}", len(answer.body), headers
