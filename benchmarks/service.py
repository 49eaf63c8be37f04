"""Rows of the service itself: how soon it answers, and what it keeps in memory."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks import servers
from benchmarks.lab import BUCKET, GIB, KIB, Lab
from benchmarks.large import transfer
from benchmarks.loads import curl, idle_connections
from benchmarks.placement import serving
from benchmarks.row import OURS, Row, Subjects
from benchmarks.servers import STORE_ENVIRON, Server, store_command
from benchmarks.signing import Request, sign
from benchmarks.stats import Sample, at_most
from nova_wsgi.testing import Listening, LiveServer, free_port

IDLE_CONNECTIONS = 10_000
FILES_SPARE = 500  # descriptors that a process needs besides its connections
IDLE_SIZE_MAX = 60e6
CONNECTION_SIZE_MAX = 12e3
TRANSFER_GROWTH_MAX = 20e6
FIRST_ANSWER_S_MAX = 1.0
PEAK_RESET = "5"  # proc(5), /proc/pid/clear_refs: forget the peak of resident memory


class _Answers(Listening):
    """Ready when it answers a request, whatever it says."""

    def is_ready(self, server: LiveServer) -> bool:
        """Ask."""
        if not super().is_ready(server):
            return False
        with contextlib.suppress(OSError, http.client.HTTPException):
            return bool(server.request("GET", "/")[0])
        return False


def _first_answer(state_of: Callable[[Lab], Path], lab: Lab) -> Subjects:
    def take() -> Sample:
        state, port = state_of(lab), free_port()
        state.mkdir(exist_ok=True)
        command = serving(store_command(state, workers=2, port=port))
        began_s = time.perf_counter()
        with LiveServer(command, ready=_Answers(port), environ=STORE_ENVIRON):
            return Sample(1, seconds=time.perf_counter() - began_s)

    return {OURS: take}


def _fresh(lab: Lab) -> Path:
    return lab.settings.directory / f"fresh-{lab.number()}"


def _used(lab: Lab) -> Path:
    state = lab.settings.directory / "used"
    if not state.exists():
        with servers.store(state, workers=2) as server:
            lab.make_bucket(server, BUCKET)
            lab.store_objects(server, "used", count=1000, size=4 * KIB)
    return state


@contextmanager
def _fresh_store(lab: Lab, *, workers: int) -> Iterator[Server]:
    with servers.store(_fresh(lab), workers=workers) as server:
        lab.make_bucket(server, BUCKET)
        yield server


def _idle_worker(lab: Lab) -> Subjects:
    def take() -> Sample:
        with servers.store(_fresh(lab), workers=2) as server:
            return Sample(1, resident_bytes=max(server.resident_bytes()[1:]))  # without the parent

    return {OURS: take}


def _idle_connections(lab: Lab) -> Subjects:
    """Resident memory of the whole server with 10,000 connections (or as many as may be open), less that with one."""
    count = min(IDLE_CONNECTIONS, servers.raise_file_limit() - FILES_SPARE)

    def take() -> Sample:
        with _fresh_store(lab, workers=1) as server:
            path = lab.store_objects(server, "small", count=1, size=KIB)[0]
            request = sign(Request("HEAD", path), server.authority, time.time())
            with idle_connections(server, request, 1):
                before = sum(server.resident_bytes())
            with idle_connections(server, request, count):
                grown = sum(server.resident_bytes()) - before
            return Sample(count, resident_bytes=grown / count)

    return {OURS: take}


def _large_bodies(lab: Lab) -> Subjects:
    """How far the peak of resident memory rises above what was there before, over all processes."""

    def take() -> Sample:
        with _fresh_store(lab, workers=2) as server:
            lab.store_objects(server, "small", count=1000, size=4 * KIB)
            request, file = f"/{BUCKET}/giant", lab.empty_file(GIB)
            before = dict(_peaks(server, reset=True))
            up = transfer(server, Request("PUT", request), upload=file)
            sent = curl(server, [up], directory=lab.settings.directory)
            curl(server, [transfer(server, Request("GET", request))], directory=lab.settings.directory)
            grown = sum(max(0, peak - before.get(pid, 0)) for pid, peak in _peaks(server, reset=False).items())
            return Sample(2, bytes_per_s=sent.bytes_per_s, resident_bytes=grown, cpu_us=sent.cpu_us)

    return {OURS: take}


def _peaks(server: Server, *, reset: bool) -> Mapping[int, int]:
    """The peak of resident memory of each process in bytes; ``reset``: since now."""
    peaks = {}
    for process in server.processes():
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError):
            if reset:
                Path(f"/proc/{process.pid}/clear_refs").write_text(PEAK_RESET)
            status = Path(f"/proc/{process.pid}/status").read_text()
            line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
            peaks[process.pid] = int(line.split()[1]) * KIB
    return peaks


ROWS: Sequence[Row] = (
    Row(
        "start",
        "first answer after the command, a store that was used before",
        lambda lab: _first_answer(_used, lab),
        (at_most(FIRST_ANSWER_S_MAX, "seconds"),),
        shows="seconds",
        is_default=True,
    ),
    Row(
        "start-fresh",
        "first answer after the command, an empty directory",
        lambda lab: _first_answer(_fresh, lab),
        (at_most(FIRST_ANSWER_S_MAX, "seconds"),),
        shows="seconds",
    ),
    Row(
        "memory-idle",
        "resident memory of an idle worker",
        _idle_worker,
        (at_most(IDLE_SIZE_MAX, "resident"),),
        shows="resident",
        is_default=True,
    ),
    Row(
        "memory-connections",
        f"resident memory of an idle connection, of {IDLE_CONNECTIONS:,}",
        _idle_connections,
        (at_most(CONNECTION_SIZE_MAX, "resident"),),
        shows="resident",
    ),
    Row(
        "memory-1g",
        "growth of resident memory by 1 GiB up and down",
        _large_bodies,
        (at_most(TRANSFER_GROWTH_MAX, "resident"),),
        shows="resident",
    ),
)
