"""What a process has freed goes back to the system: pages between those in use, cycles, and what native threads had."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys

import psutil
import pytest
from support.launched import get, launch

from nova_wsgi.testing import LiveServer, wait_until, workers

MiB = 1024 * 1024
C_LIBRARY = ctypes.CDLL(None)
ALLOCATE_IN_THREADS = """
import _thread, ctypes, sys, tempfile
from nova_wsgi import memory

print(memory.limit_arenas())
met, done = _thread.allocate_lock(), [_thread.allocate_lock() for _ in range(6)]
for lock in (met, *done):
    lock.acquire()

def allocate(lock):
    kept = bytearray(5000)
    lock.release()
    met.acquire()  # nobody releases it: all six live at once, each with an arena if it may

for lock in done:
    _thread.start_new_thread(allocate, (lock,))
for lock in done:
    lock.acquire()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
with tempfile.NamedTemporaryFile("r") as told:
    stream = ctypes.c_void_p(libc.fopen(told.name.encode(), b"w"))
    libc.malloc_info(0, stream)
    libc.fclose(stream)
    print(told.read().count("<heap nr="), flush=True)
"""

needs_glibc = pytest.mark.skipif(not hasattr(C_LIBRARY, "malloc_info"), reason="the C library is not glibc")


def arenas(**environ: str) -> list[str]:
    """Of a process with six native threads: whether it has set a limit, and how many arenas it has."""
    clean = {name: value for name, value in os.environ.items() if name not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")}
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATE_IN_THREADS],
        env={**clean, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.split()


@needs_glibc
def test_native_threads_share_an_arena() -> None:
    assert arenas() == ["True", "2"]


@needs_glibc
@pytest.mark.parametrize(
    "setting", [{"MALLOC_ARENA_MAX": "3"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=3"}], ids=["variable", "tunable"]
)
def test_who_sets_a_number_of_arenas_has_it(setting: dict[str, str]) -> None:
    assert arenas(**setting) == ["False", "3"]


@needs_glibc
@pytest.mark.parametrize("options", [(), ("--web-workers=2",)], ids=["one process", "workers"])
def test_free_pages_go_back_wherever_they_lie(options: tuple[str, ...]) -> None:
    with launch("--memory-return-s=0.2", *options) as server:
        before = resident(server)
        freed = int(get(server, "/scatter?size=20000&count=3001"))
        assert freed > 50 * MiB
        wait_until(lambda: resident(server) < before + freed / 4)


@needs_glibc
def test_without_it_they_are_kept() -> None:
    """Which is what the test above would not notice."""
    with launch("--memory-return-s=0") as server:
        before = resident(server)
        freed = int(get(server, "/scatter?size=20000&count=3001"))
        assert resident(server) > before + freed / 2


def test_what_only_the_collector_finds_is_found_soon() -> None:
    with launch("--memory-return-s=0.2") as server:
        assert get(server, "/knot") == "tied"
        server.wait_for_output("untied")


def resident(server: LiveServer) -> int:
    """Bytes of the program and its workers."""
    return sum(int(psutil.Process(pid).memory_info().rss) for pid in (server.pid, *workers(server.pid)))
