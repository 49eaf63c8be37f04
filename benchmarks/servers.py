"""The programs that are measured: the store, eventlet.wsgi's own hello world, nginx. Each on a free loopback port."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from nova_wsgi.testing import Listening, LiveServer, free_port

ACCESS_KEY = "AKIABENCHBENCHBENCHB"
SECRET_KEY = "bench/secret+key0123456789abcdefghijklmn"
REGION = "us-east-1"


@dataclass
class Server:
    """A running program: where it answers, and which processes are its own."""

    name: str
    url: str
    pid: int

    def processes(self) -> list[psutil.Process]:
        """The program and all its descendants."""
        root = psutil.Process(self.pid)
        return [root, *root.children(recursive=True)]

    def cpu_s(self) -> float:
        """CPU seconds of all its processes and threads so far, user and system."""
        return sum(times.user + times.system for times in (process.cpu_times() for process in self.processes()))

    def resident_bytes(self) -> list[int]:
        """Resident memory of each process."""
        return [process.memory_info().rss for process in self.processes()]


@contextmanager
def store(state: Path, *, workers: int) -> Iterator[Server]:
    """``nova-objectstore`` with its metrics and access log on."""
    program = Path(sys.executable).with_name("nova-objectstore")
    command = [
        program, "--state-path", state, "--s3-listen-port", "0", "--s3-workers", str(workers),
        "--access-log-file", state / "access.log",
    ]  # fmt: skip
    environ = {"NOVA_ROOT_ACCESS_KEY": ACCESS_KEY, "NOVA_ROOT_SECRET_KEY": SECRET_KEY}
    with LiveServer(command, environ=environ) as live:
        yield Server("nova", live.url, live.pid)


@contextmanager
def hello(body_size: int, headers: dict[str, str]) -> Iterator[Server]:
    """eventlet.wsgi's hello world: as many bytes under the same headers, in one process."""
    port = free_port()
    program = Path(__file__).with_name("hello.py")
    command = [
        sys.executable,
        program,
        str(port),
        str(body_size),
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    with LiveServer(command, ready=Listening(port)) as live:
        yield Server("hello", f"http://127.0.0.1:{port}", live.pid)


@contextmanager
def nginx(root: Path, *, workers: int) -> Iterator[Server]:
    """nginx with sendfile over the files of ``root``."""
    port = free_port()
    config = root / "nginx.conf"
    config.write_text(
        f"worker_processes {workers}; daemon off; pid {root}/nginx.pid; error_log {root}/error.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {root}/b; proxy_temp_path {root}/p;\n"
        f"fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; root {root}/www; }} }}\n"
    )
    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise FileNotFoundError("nginx is not installed")
    with LiveServer([program, "-c", config, "-e", root / "error.log"], ready=Listening(port)) as live:
        yield Server("nginx", f"http://127.0.0.1:{port}", live.pid)


def have(program: str) -> bool:
    """Whether a program is on PATH."""
    return subprocess.run(["sh", "-c", f"command -v {program}"], capture_output=True, check=False).returncode == 0
