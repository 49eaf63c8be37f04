"""The programs that are measured: the store, eventlet.wsgi's own hello world, nginx. Each on a free loopback port."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from benchmarks.placement import serving
from benchmarks.signing import ACCESS_KEY, SECRET_KEY
from nova_wsgi.testing import Listening, LiveServer, free_port

SBIN = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"  # where Debian has what administrators run
START_TIMEOUT_S = 60.0

# An answer of a hello world: status line, bytes of body, headers.
HelloAnswer = tuple[str, int, Sequence[tuple[str, str]]]


@dataclass(frozen=True)
class Server:
    """A running program: where it answers, and which processes are its own."""

    name: str
    url: str
    pids: tuple[int, ...]

    @property
    def host(self) -> str:
        """Its address."""
        return urlsplit(self.url).hostname or "127.0.0.1"

    @property
    def port(self) -> int:
        """Its TCP port."""
        return urlsplit(self.url).port or 80

    @property
    def authority(self) -> str:
        """What the Host header says."""
        return urlsplit(self.url).netloc

    def processes(self) -> list[psutil.Process]:
        """The programs and all their descendants."""
        roots = [psutil.Process(pid) for pid in self.pids]
        return [*roots, *(child for root in roots for child in root.children(recursive=True))]

    def cpu_s(self) -> float:
        """CPU seconds of all its processes and threads so far, user and system."""
        total = 0.0
        for process in self.processes():
            with contextlib.suppress(OSError):  # it has just ended
                total += process_cpu_s(process.pid)
        return total

    def resident_bytes(self) -> list[int]:
        """Resident memory of each process."""
        sizes = []
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                sizes.append(process.memory_info().rss)
        return sizes


def process_cpu_s(pid: int) -> float:
    """CPU seconds of a process, to the nanosecond; /proc has ten milliseconds. Raises OSError when there is no such process.

    The clock's number is what clock_getcpuclockid(3) makes: the complement of the pid, and the scheduler's clock.
    """
    return time.clock_gettime((~pid << 3) | 2)


def find_program(name: str) -> str | None:
    """The path of a program, also of those for administrators."""
    return shutil.which(name) or shutil.which(name, path=SBIN)


def raise_file_limit() -> int:
    """As many open files as the system allows, for us and what we start; how many. A connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def store_command(state: Path, *, workers: int, port: int = 0) -> list[str]:
    """The command line of the store, with its access log on; metrics always are."""
    program = Path(sys.executable).with_name("nova-objectstore")
    return [
        str(program), "--state-path", str(state), "--s3-listen-port", str(port), "--s3-workers", str(workers),
        "--access-log-file", str(state / "access.log"),
    ]  # fmt: skip


STORE_ENVIRON = {"NOVA_ROOT_ACCESS_KEY": ACCESS_KEY, "NOVA_ROOT_SECRET_KEY": SECRET_KEY}


@contextmanager
def store(state: Path, *, workers: int) -> Iterator[Server]:
    """``nova-objectstore`` as it comes: metrics, access log and its worker on."""
    state.mkdir(parents=True, exist_ok=True)
    command = serving(store_command(state, workers=workers))
    with LiveServer(command, environ=STORE_ENVIRON, start_timeout_s=START_TIMEOUT_S) as live:
        yield Server("nova", live.url, (live.pid,))


@contextmanager
def hello(answers: Mapping[str, HelloAnswer], *, logs: bool = False) -> Iterator[Server]:
    """eventlet.wsgi's hello world in one process; ``answers`` by method; ``logs``: a line for each, as is its default."""
    program = Path(__file__).with_name("hello.py")
    words = [sys.executable, program, "{port}", json.dumps(answers), "log" if logs else "quiet"]
    with listening("hello", words) as server:
        yield server


@contextmanager
def nginx(root: Path, *, workers: int) -> Iterator[Server]:
    """nginx with sendfile over the files of ``root/www``. The program must be installed."""
    program = find_program("nginx")
    assert program is not None, "the caller has looked"
    port = free_port()
    config = root / "nginx.conf"
    config.write_text(
        f"worker_processes {workers}; daemon off; pid {root}/nginx.pid; error_log {root}/error.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {root}/b; proxy_temp_path {root}/p;\n"
        f"fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; root {root}/www; }} }}\n"
    )
    with LiveServer(serving([program, "-c", config, "-e", root / "error.log"]), ready=Listening(port)) as live:
        yield Server("nginx", f"http://127.0.0.1:{port}", (live.pid,))


@contextmanager
def listening(
    name: str, command: Sequence[str | Path], *, environ: Mapping[str, str] | None = None, port: int = 0
) -> Iterator[Server]:
    """A program that is ready when it listens on ``port``; 0: on a free one, told to it where its command has {port}."""
    port = port or free_port()
    words = [str(word).replace("{port}", str(port)) for word in command]
    ready = Listening(port)
    with LiveServer(serving(words), ready=ready, environ=environ, start_timeout_s=START_TIMEOUT_S) as live:
        yield Server(name, f"http://127.0.0.1:{port}", (live.pid,))
