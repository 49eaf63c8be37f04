"""What happens to a real store's host: disks fill up and fail, databases are locked, clocks are set, descriptors run out."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError
from support.store import Store, need_program

from nova_wsgi.testing import wait_until, workers

DEADLINE_S = 20.0
MiB = 1024 * 1024
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
connection.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def skip(reason: str) -> None:
    """Skip a test where something cannot be had; where everything must be there it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


# -- disks ---------------------------------------------------------------------------------------------------------------


KINDS = ("tmpfs", "ext4")


@contextmanager
def small_disk(path: Path, size: int, *, kind: str = "tmpfs") -> Iterator[Path]:
    """A file system of ``size`` bytes, mounted while the block runs. Only root can."""
    if os.getuid() != 0:
        skip("a file system can be mounted by root alone")
    path.mkdir()
    what = ["-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs"]
    if kind == "ext4":
        image = path.with_suffix(".img")
        with open(image, "xb") as file:
            file.truncate(size)
        subprocess.run([need_program("mkfs.ext4"), "-q", "-m", "0", image], check=True)
        what = ["-o", "loop", str(image)]
    done = subprocess.run([need_program("mount"), *what, path], capture_output=True, text=True, check=False)
    if done.returncode:
        skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


def fill(directory: Path) -> Path:
    """Take all the space there is; the file that has it."""
    path = directory / "filler"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with suppress(OSError):
            while True:
                os.write(fd, bytes(4096))
    finally:
        os.close(fd)
    return path


CHANGING_CALLS = (
    "pwrite64,fsync,fdatasync,link,linkat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,ftruncate,fallocate"
)


@contextmanager
def failing_calls(pids: Sequence[int], error: str, calls: str = CHANGING_CALLS) -> Iterator[None]:
    """System calls that change a file system fail in these processes, as they do on one that has become read-only."""
    attached = [argument for pid in pids for argument in ("-p", str(pid))]
    command = [need_program("strace"), "-f", "-e", f"trace={calls}", "-e", f"inject={calls}:error={error}", *attached]
    process = subprocess.Popen([*command, "-o", "/dev/null"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for _ in pids:
            line = process.stderr.readline()
            if "attached" not in line:
                skip(f"processes cannot be traced here: {line.strip()}")
        wait_until(lambda: all(all(_traced_threads(pid)) for pid in pids), DEADLINE_S, what="strace")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=DEADLINE_S)
        wait_until(lambda: not any(any(_traced_threads(pid)) for pid in pids), DEADLINE_S, what="the end of strace")


def _traced_threads(pid: int) -> list[bool]:
    """Of each thread of a process whether it is traced."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # it has just ended
            found.append("TracerPid:\t0\n" not in (task / "status").read_text())
    return found


# -- databases -----------------------------------------------------------------------------------------------------------


@contextmanager
def locked(database: Path, statement: str) -> Iterator[None]:
    """Another process holds the database: it has run ``statement`` (BEGIN EXCLUSIVE, BEGIN IMMEDIATE) and does nothing."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, database, statement],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield
    finally:
        process.communicate(timeout=DEADLINE_S)


def count_rows(database: Path, table: str) -> int:
    connection = sqlite3.connect(database)
    try:
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        return int(count)
    finally:
        connection.close()


# -- clocks ----------------------------------------------------------------------------------------------------------------


class FakeClock:
    """The wall clock of a program that is started with ``environ``; monotonic clocks go on as they do."""

    def __init__(self, directory: Path) -> None:
        if not Path(FAKETIME).exists():
            skip("libfaketime is not installed")
        self._path = directory / "clock"
        self.ahead_s = 0.0
        self.set(0)
        self.environ = {
            "LD_PRELOAD": FAKETIME,
            "FAKETIME_TIMESTAMP_FILE": str(self._path),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead_s: float) -> None:
        """So many seconds ahead of the true time, from now on."""
        fresh = self._path.with_name("clock.new")
        fresh.write_text(f"{ahead_s:+f}\n")
        fresh.replace(self._path)
        self.ahead_s = ahead_s


# -- descriptors -----------------------------------------------------------------------------------------------------------


@contextmanager
def no_descriptors(pid: int) -> Iterator[None]:
    """A process may open nothing more while the block runs."""
    former = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir(f"/proc/{pid}/fd")) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, former[1]))
    try:
        free = used - psutil.Process(pid).num_fds()
        assert free >= 0
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, former)


# -- what clients see ------------------------------------------------------------------------------------------------------


def refused(call: Any, **names: Any) -> tuple[int, str]:
    """The status and the code of a request that must be refused."""
    with pytest.raises(ClientError) as caught:
        call(**names)
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


def read(s3: Any, bucket: str, key: str) -> bytes:
    body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def wait_for_success(call: Any, **names: Any) -> Any:
    """Ask until it is answered with success: what a cause that has gone leaves may last for a moment."""
    deadline = time.monotonic() + DEADLINE_S
    while True:
        try:
            return call(**names)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] < 500 or time.monotonic() > deadline:
                raise


def processes(store: Store) -> list[int]:
    """All processes of a store: the one that was started first. It serves S3 itself where it has one worker."""
    return [store.server.pid, *sorted(workers(store.server.pid))]
