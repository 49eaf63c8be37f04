"""A store under attack: what it is started with, who attacks it, what an honest client gets, and what is left afterwards."""

from __future__ import annotations

import contextlib
import json
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from support import attacks
from support.raw_store import connect, sign, sign_put
from support.store import Store, running_store

from nova_objectstore.limits import KiB, MiB
from nova_wsgi import control
from nova_wsgi.testing import resident_size, wait_until

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "denial"
TIMEOUT_S = 1.0  # of every wait for a client, so that an attack's connections end while the test looks
CONNECTIONS_MAX = 100
REQUESTS_MAX = 60
ATTACK_S = 40.0  # the longest an attack may take to see its rounds ended
PATIENCE_S = 20.0  # how long an honest client tries, turned away or not
BUSY = 503
GROWTH_MAX = (
    80 * MiB
)  # of resident memory, whatever the attack: caches that fill, two trees of XML, and what malloc keeps
LOG_LINES_MAX = 200  # of the service's own log in an attack; the access log has a line for each answer
FILES_MORE = 8  # that the store opens by itself meanwhile: the database, to write its log back
GREENTHREADS_MORE = 64 + 4  # the server's stock of spare ones, and tasks that run now and then

OPTIONS = (
    f"--http-connections-max={CONNECTIONS_MAX}",
    f"--http-requests-max={REQUESTS_MAX}",
    *(
        f"--http-{name}-timeout-s={TIMEOUT_S}"
        for name in ("handshake", "header", "body-idle", "keepalive", "write", "linger")
    ),
)


@dataclass
class Idle:
    """What a worker holds while nobody asks it anything."""

    fds: int
    resident: int
    greenthreads: int


@dataclass
class Victim:
    """The store that is attacked. One worker, so that every limit is met."""

    store: Store
    control_path: Path
    before: Idle = field(init=False)

    def __post_init__(self) -> None:
        self.honest_round(b"warm")
        self.wait_alone()
        self.before = Idle(len(read_files(self.pid)), resident_size(self.pid), self.greenthreads())

    @property
    def pid(self) -> int:
        """The process that serves."""
        return self.store.server.pid

    def connections(self) -> int:
        """How many clients are connected."""
        found = psutil.Process(self.pid).net_connections("tcp4")
        return sum(row.laddr.port == self.store.port and row.status != psutil.CONN_LISTEN for row in found)

    def greenthreads(self) -> int:
        """How many there are."""
        stacks = self.ask("stacks")["stacks"]
        return int(sum(row["count"] for row in stacks if row["who"].startswith("greenthread")))

    def wait_alone(self) -> None:
        """Until nobody is connected, and no request goes on."""
        wait_until(lambda: not self.connections(), what="the end of all connections")
        wait_until(lambda: not self.ask("inflight")["calls"], what="the end of all requests")

    def ask(self, question: str) -> dict[str, Any]:
        """Ask its control socket."""
        (told,) = control.ask(str(self.control_path), question, topic="objectstore", pid=self.pid)
        assert told.answer is not None, told.problem
        return told.answer

    # -- the honest client -----------------------------------------------------------------------------------------------

    def honest_round(self, body: bytes) -> None:
        """Put, get and head an object, each over a new connection, and be answered as on any day."""
        target = f"/{BUCKET}/honest"
        put = sign_put(target, len(body)) + body
        assert self.try_on(put)[0] == 200
        assert self.try_on(sign("GET", target).head) == (200, body)

    def try_on(self, request: bytes) -> tuple[int, bytes]:
        """Status and body; as SDKs do, again after 503 or an answer that did not come."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError, AssertionError), connect(self.store, timeout_s=5.0) as wire:
                response = wire.send(request).response()
                if response.status != BUSY:
                    return response.status, response.body
            assert time.monotonic() < deadline, f"no answer to {request[:60]!r} within {PATIENCE_S} s"

    # -- the attacker ----------------------------------------------------------------------------------------------------

    @contextmanager
    def attacked(self, name: str, requests: Sequence[bytes] = (), **options: object) -> Iterator[Attacker]:
        """An attack that goes on within the ``with``; it must end by itself, and the store be as it was before."""
        log = len(self.store.server.output().splitlines())
        with attacking(name, self.store.port, self.store.state_path.parent, requests, **options) as attacker:
            yield attacker
        lines = self.store.server.output().splitlines()[log:]
        assert len(lines) <= LOG_LINES_MAX, "\n".join(lines[-20:])
        assert not re.search(" ERROR .*(failed|broken)|Traceback", "\n".join(lines)), "\n".join(lines)
        self.check_idle()

    def serve_while(self, attacker: Attacker, *, rounds_min: int = 5) -> dict[str, Any]:
        """Be an honest client until the attack has ended; what the attacker saw."""
        number = 0
        while attacker.goes_on() or number < rounds_min:
            number += 1
            self.honest_round(b"%d" % number * KiB)
            assert resident_size(self.pid) - self.before.resident <= GROWTH_MAX
        return attacker.outcome()

    def check_idle(self) -> None:
        """Nothing is left of an attack: no descriptor, no request, no greenthread."""
        self.wait_alone()
        files = read_files(self.pid)
        assert len(files) <= self.before.fds + FILES_MORE, sorted(files)
        assert self.greenthreads() <= self.before.greenthreads + GREENTHREADS_MORE
        assert resident_size(self.pid) - self.before.resident <= GROWTH_MAX


class Attacker:
    """An attack in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def wait_ready(self) -> None:
        """Until its connections are open."""
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], ATTACK_S)[0], "the attack does not begin"
        assert self._process.stdout.readline() == "ready\n"

    def goes_on(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def outcome(self) -> dict[str, Any]:
        """What it saw, when it has ended."""
        output, _ = self._process.communicate(timeout=ATTACK_S)
        assert self._process.returncode == 0
        told: dict[str, Any] = json.loads(output.splitlines()[-1])
        return told


@contextmanager
def attacking(
    name: str, port: int, directory: Path, requests: Sequence[bytes] = (), **options: object
) -> Iterator[Attacker]:
    """Start an attack; it is ended with the ``with`` at the latest. ``options`` are its program's."""
    command = [sys.executable, attacks.__file__, name, "127.0.0.1", str(port), f"--seconds={ATTACK_S}"]
    command += [f"--{option}={value}" for option, value in options.items()]
    if requests:
        command.append(f"--requests={attacks.write_requests(directory / f'{name}.json', requests)}")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        attacker = Attacker(process)
        try:
            attacker.wait_ready()
            yield attacker
        finally:
            process.kill()


@contextmanager
def running_victim(directory: Path, *options: str) -> Iterator[Victim]:
    """A store with low limits, its metrics at /metrics, and its access log in a file."""
    control_path = directory / "control"
    arguments = (
        *OPTIONS,
        f"--api-paste-config={_write_paste(directory)}",
        f"--access-log-file={directory / 'access.log'}",
        f"--control-path={control_path}",
        *options,
    )
    with running_store(directory / "state", *arguments, workers=1) as store:
        store.client().create_bucket(Bucket=BUCKET)
        yield Victim(store, control_path)
        assert store.server.stop() == 0


def read_files(pid: int) -> list[str]:
    """What a process has open."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since
            found.append(str(link.readlink()))
    return found


def _write_paste(directory: Path) -> Path:
    """The paste configuration as it is shipped, with the metrics beside S3."""
    text = (ROOT / "etc" / "api-paste.ini").read_text().replace("[pipeline:s3]", "[pipeline:s3_alone]")
    path = directory / "paste.ini"
    path.write_text(f"{text}\n[composite:s3]\nuse = egg:Paste#urlmap\n/ = s3_alone\n/metrics = prometheus\n")
    return path


def read_metric(store: Store, operation: str, status: str) -> float:
    """How many requests of an operation were answered with a status of that class."""
    text = store.server.request("GET", "/metrics")[2].decode()
    row = re.search(
        rf'^nova_http_requests_total{{api="s3",operation="{operation}",status="{status}"}} (\S+)$', text, re.MULTILINE
    )
    return float(row[1]) if row else 0.0
