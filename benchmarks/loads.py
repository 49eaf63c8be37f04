"""Loads, each a process of its own: wrk and the generator for small requests, curl for large bodies, boto3 for a client's view.

Every load answers a Sample; the server's CPU is read before and after it.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.generator import Config
from benchmarks.placement import beside
from benchmarks.servers import Server
from benchmarks.stats import Sample, percentile

ROOT = Path(__file__).parent.parent  # where ``-m benchmarks.generator`` is found
ATTACKS = ROOT / "tests" / "support" / "attacks.py"
LOAD_TIMEOUT_S = 900.0
MD5SUM_TIMES = 4  # enough for the clock of CPU times

_SCRIPT = """
local made, n, senders = {}, 0, {}
setup = function(thread)
  senders[#senders + 1] = thread
end
init = function(args)
  local file = io.open("%s", "rb")
  local length = file:read("*n")
  while length do
    file:read(1)
    made[#made + 1] = file:read(length)
    length = file:read("*n")
  end
  began = os.clock()
end
request = function()
  n = n + 1
  if n > #made then n = 1 end
  return made[n]
end
done = function(summary, latency, requests)
  local cpu_us = (os.clock() - senders[1]:get("began")) * 1e6
  io.write(string.format("RESULT %%d %%d %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    summary.errors.status + summary.errors.read + summary.errors.write + summary.errors.timeout, summary.bytes, cpu_us))
end
"""


class LoadFailed(Exception):
    """A load's program ended with an error; its output is the text."""


@dataclass
class _Meter:
    """The server's CPU while a load ran."""

    server: Server
    cpu_s: float = 0.0

    def sample(self, requests: int, seconds: float, *, load_cpu_s: float = 0.0, **figures: float) -> Sample:
        """The figures of a load, with what the server spent on it, and the load itself."""
        return Sample(
            requests,
            requests / seconds if seconds else 0.0,
            cpu_us=self.cpu_s / max(1, requests) * 1e6,
            load_cpu_us=load_cpu_s / max(1, requests) * 1e6,
            resident_bytes=sum(self.server.resident_bytes()),
            **figures,  # type: ignore[arg-type]
        )


@contextmanager
def metered(server: Server) -> Iterator[_Meter]:
    """Count the server's CPU within the ``with``."""
    meter, before_s = _Meter(server), server.cpu_s()
    yield meter
    meter.cpu_s = server.cpu_s() - before_s


def wrk(server: Server, file: Path, *, connections: int, seconds: int) -> Sample:
    """Send the file's requests round and round over keep-alive connections. Not HEAD: wrk waits for a body."""
    script = file.with_suffix(".lua")
    script.write_text(_SCRIPT % file)
    with metered(server) as meter:
        output = _run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "30s", "-s", script, server.url]
        ).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+)", output)
    if found is None:
        raise LoadFailed(output)
    requests, duration_us, p50, p99, errors, received, load_cpu_us = map(int, found.groups())
    seconds_taken = duration_us / 1e6
    return meter.sample(
        requests,
        seconds_taken,
        load_cpu_s=load_cpu_us / 1e6,
        p50_us=p50,
        p99_us=p99,
        errors=errors,
        bytes_per_s=received / seconds_taken,
    )


def generate(
    server: Server, file: Path, *, connections: int, seconds: float, once: bool = False, rate: float = 0.0
) -> Sample:
    """Send the file's requests with our own generator, each once if asked."""
    with metered(server) as meter, generating(server, file, connections, seconds, once, rate) as process:
        told = _last_line(process)
    taken_s = told["seconds"]
    return meter.sample(
        told["requests"],
        taken_s,
        load_cpu_s=told["cpu_s"],
        p50_us=told["p50_us"],
        p99_us=told["p99_us"],
        errors=told["errors"],
        bytes_per_s=told["received"] / taken_s,
    )


@contextmanager
def generating(
    server: Server, file: Path, connections: int, seconds: float, once: bool = False, rate: float = 0.0
) -> Iterator[subprocess.Popen[str]]:
    """A generator that has begun; ended with the ``with``."""
    config = Config(server.host, server.port, str(file), connections, seconds, once, rate)
    command = [sys.executable, "-m", "benchmarks.generator", json.dumps(asdict(config))]
    with _ended(_start(command)) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise LoadFailed(_rest(process))
        yield process


@contextmanager
def idle_connections(server: Server, request: bytes, count: int) -> Iterator[None]:
    """``count`` connections that have been answered ``request`` once each and are kept open."""
    command = [sys.executable, "-m", "benchmarks.idle", server.host, str(server.port), str(count)]
    with _ended(_start(command, stdin=subprocess.PIPE)) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdin.write(request.decode() + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            raise LoadFailed(_rest(process))
        yield


@contextmanager
def attacking(
    server: Server, name: str, *, connections: int, seconds: float, delay_s: float, requests: Path | None = None
) -> Iterator[None]:
    """An attack by that name that begins in ``delay_s`` seconds; ended with the ``with``.

    ``requests``: the file of what it sends.
    """
    command = [sys.executable, str(ATTACKS), name, server.host, str(server.port)]
    command += [f"--connections={connections}", f"--seconds={seconds}", f"--delay={delay_s}"]
    if requests is not None:
        command.append(f"--requests={requests}")
    with _ended(_start(command, stdin=subprocess.PIPE)) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise LoadFailed(_rest(process))
        yield


@dataclass(frozen=True)
class Transfer:
    """One large body: from a URL, or to it when ``upload`` names a file."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    upload: Path | None = None

    def as_config(self) -> str:
        """The lines of curl's configuration file."""
        lines = [
            f'url = "{self.url}"',
            'output = "/dev/null"',
            'write-out = "%{json}\\n"',
            "fail",
            "silent",
            "show-error",
        ]
        lines += [f'header = "{name}: {text}"' for name, text in self.headers.items() if name.lower() != "host"]
        if self.upload is not None:
            lines += [f'upload-file = "{self.upload}"', 'header = "Expect:"']
        return "\n".join(lines)


def curl(server: Server, *processes: Sequence[Transfer], directory: Path) -> Sample:
    """Move large bodies: each sequence one after the other over one connection of a curl of its own, all at once."""
    commands = []
    for number, transfers in enumerate(processes):
        config = directory / f"curl-{number}"
        config.write_text("\nnext\n".join(transfer.as_config() for transfer in transfers))
        commands.append(["curl", "--disable", "-K", str(config)])
    with metered(server) as meter:
        began_s = time.perf_counter()
        started = [_start(command) for command in commands]
        outputs = [_finish(process) for process in started]
        taken_s = time.perf_counter() - began_s
    runs = [json.loads(line) for output in outputs for line in output.splitlines()]
    times = [run["time_total"] * 1e6 for run in runs]
    size = sum(run["size_download"] + run["size_upload"] for run in runs)
    return meter.sample(
        len(runs), taken_s, p50_us=percentile(times, 0.5), p99_us=percentile(times, 0.99), bytes_per_s=size / taken_s
    )


def boto3_client(server: Server, verb: str, size: int, *, seconds: float) -> Sample:
    """What one thread of a program with boto3 sees: PUT or GET of an object of ``size`` bytes."""
    command = [sys.executable, "-m", "benchmarks.client", server.url, verb, str(size), str(seconds)]
    with metered(server) as meter:
        told = json.loads(_run(command).stdout)
    return meter.sample(told["requests"], told["seconds"], p50_us=told["p50_us"], p99_us=told["p99_us"])


def pipe(file: Path) -> Sample:
    """A file through a pipe: as fast as bytes go from one process to another."""
    began_s = time.perf_counter()
    _run(["sh", "-c", f"cat {file} | cat > /dev/null"])
    taken_s = time.perf_counter() - began_s
    return Sample(1, 1 / taken_s, bytes_per_s=file.stat().st_size / taken_s)


def md5sum(file: Path) -> Sample:
    """The MD5 of a file on one core: by the CPU time it takes, so that whoever else runs does not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    _run(["md5sum", *[file] * MD5SUM_TIMES])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Sample(MD5SUM_TIMES, MD5SUM_TIMES / taken_s, bytes_per_s=MD5SUM_TIMES * file.stat().st_size / taken_s)


# -- processes ---------------------------------------------------------------------------------------------------------


def _environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


def _run(command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        beside(command), capture_output=True, text=True, env=_environ(), timeout=LOAD_TIMEOUT_S, check=False
    )
    if done.returncode:
        raise LoadFailed(f"{command[0]} ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-2000:]}")
    return done


def _start(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        beside(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=_environ(), **options
    )


def _finish(process: subprocess.Popen[str]) -> str:
    with _ended(process):
        output, errors = process.communicate(timeout=LOAD_TIMEOUT_S)
    if process.returncode:
        raise LoadFailed(f"{process.args!r} ended with {process.returncode}: {errors[-2000:]}")
    return output


def _rest(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=LOAD_TIMEOUT_S)
    return (output + errors)[-2000:]


def _last_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=LOAD_TIMEOUT_S)
    if process.returncode:
        raise LoadFailed(errors[-2000:])
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    return told


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """The process does not outlive the ``with``."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()
