"""Raw bytes to a real store, a process with two workers: what no library would send, and what is behind a signature.

Properties: every connection ends; no answer is a 5xx but 501, 503 and 505 as they are meant; no traceback is logged; and the
server goes on answering.
"""

from __future__ import annotations

import contextlib
import random
import re
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fuzz.http_requests import make_requests
from fuzz.stores import Requests
from support import http_vectors, rfc9112
from support.fuzz_mutations import mutate
from support.fuzz_requests import UPLOAD, Case
from support.fuzzing import Target
from support.raw_store import connect
from support.store import ACCESS_KEY, REGION, SECRET_KEY, Store, running_store

DESIGNED = (501, 503, 505)
TIMEOUT_S = 30.0  # of one read: a connection that says nothing for so long hangs
HEALTH_EVERY = 50
HEALTH = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
SIGNED = b"SIGNED "  # before a case that is to be signed; other inputs go onto the wire as they are


class Server:
    """A store, and what it answers."""

    store: Store
    _sent = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        with (
            tempfile.TemporaryDirectory(prefix="nova-fuzz-") as directory,
            running_store(Path(directory) / "state") as self.store,
        ):
            s3 = self.store.client()
            s3.create_bucket(Bucket="plain")
            s3.create_bucket(Bucket="versioned", ObjectLockEnabledForBucket=True)
            for bucket in ("plain", "versioned"):
                s3.put_object(Bucket=bucket, Key="key", Body=b"content")
            yield
            assert self.answers(HEALTH) == [403], "the server does not go on"
            assert "Traceback" not in self.store.server.output(), self.store.server.output()[-3000:]

    def check(self, data: bytes) -> str:
        """Send it all, say that it is all, and read to the end."""
        wire = self._render(data)
        statuses = self.answers(wire)
        odd = [status for status in statuses if status >= 500 and status not in DESIGNED]
        assert not odd, f"answered {odd}: {self.store.server.output()[-2000:]}"
        self._sent += 1
        if self._sent % HEALTH_EVERY == 0:
            assert self.answers(HEALTH) == [403], "the server does not go on"
        return f"{wire[:4].decode('latin-1')!r} {statuses[:3]}"

    def _render(self, data: bytes) -> bytes:
        if not data.startswith(SIGNED):
            return data
        case = Case.decode(data[len(SIGNED) :])
        headers = {**case.headers, "host": "store.test"}
        if case.who:
            headers = case.sign(ACCESS_KEY, SECRET_KEY, region=REGION, host="store.test")
        lines = [
            f"{case.method} {case.target.replace(UPLOAD, 'x')} HTTP/1.1",
            *(f"{name}: {text}" for name, text in headers.items()),
        ]
        return "\r\n".join((*lines, f"content-length: {len(case.body)}", "\r\n")).encode("latin-1") + case.body

    def answers(self, data: bytes) -> list[int]:
        """The statuses of everything that comes back."""
        methods = [request.method for request in rfc9112.read(data).requests]
        statuses: list[int] = []
        with connect(self.store, timeout_s=TIMEOUT_S) as wire:
            with contextlib.suppress(ConnectionError):  # who refuses early may not read to the end
                wire.sock.sendall(data)
            with contextlib.suppress(OSError):
                wire.sock.shutdown(socket.SHUT_WR)
            while methods and (wire.received or wire.receive_more()):
                answer = wire.response(method=methods[0].decode())
                statuses.append(answer.status)
                if answer.status != 100:  # which goes before the one that counts
                    methods.pop(0)
            rest = wire.receive_to_end()
        # Behind the last whole request there may be a refusal, of what was not understood or had not come to its end.
        assert not rest or rest.startswith(b"HTTP/1.1 "), f"answered {rest[:200]!r}"
        return statuses + [int(status) for status in re.findall(rb"^HTTP/1\.1 ([0-9]{3}) ", rest)]


class Inputs:
    """Raw requests in a row; signed ones; and signed ones in damaged clothes."""

    def __init__(self) -> None:
        self._requests = Requests((*["root"] * 8, ""))

    def make(self, rng: random.Random) -> bytes:
        if rng.random() < 0.5:
            return SIGNED + self._requests.make(rng)
        made = make_requests(rng)
        return made if rng.random() < 0.5 else mutate(rng, made, _VECTORS, ())


_VECTORS = [vector.request for vector in http_vectors.read_all() if len(vector.request) < 2000]


def _targets() -> Sequence[Target]:
    server, inputs = Server(), Inputs()
    return (
        Target(
            "server",
            server.check,
            inputs.make,
            mutates=False,
            seeds=_VECTORS,
            open=server.open,
            short=150,
            inputs_max=100_000,
        ),
    )


TARGETS = _targets()
