"""Memory: a worker is small when idle, and streams whatever is large."""

import re
from pathlib import Path

import pytest
from support.raw_store import Load, clients, connect, sign, sign_put
from support.store import running_store

from nova_objectstore.limits import KiB, MiB
from nova_wsgi.testing import workers

IDLE_MAX = 70 * MiB
GROWTH_MAX = 30 * MiB  # of each worker over its idle size, while the two of them carry sixteen transfers
TRANSFER_SIZE = 256 * MiB
PIECE = bytes(range(256)) * (2 * KiB)  # 512 KiB: what a client hands to the kernel at once


def read_sizes(pid: int) -> dict[str, int]:
    """RSS; PSS, which shares what processes share; and USS, what ends with the process: all in bytes."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    size = {name: int(kib) * KiB for name, kib in re.findall(r"^(\w+): +(\d+) kB$", rollup, re.MULTILINE)}
    return {"rss": size["Rss"], "pss": size["Pss"], "uss": size["Private_Clean"] + size["Private_Dirty"]}


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM


def read_peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)[1]) * KiB  # type: ignore[index]


def tell(record_property: object, name: str, sizes: dict[str, int]) -> None:
    text = ", ".join(f"{kind} {size / MiB:.1f} MiB" for kind, size in sizes.items())
    record_property(name, text)  # type: ignore[operator]
    print(f"{name}: {text}")


def read_libraries(pid: int) -> set[str]:
    """The files whose code the process has mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return set(re.findall(r"^\S+ r-xp .* (/.+)$", maps, re.MULTILINE))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="libraries are read from Linux's /proc")
def test_processes_share_their_libraries_with_the_parent(tmp_path: Path) -> None:
    with running_store(tmp_path) as store:
        shared = read_libraries(store.server.pid)
        assert any("_awscrt" in path for path in shared), "what every worker needs soon is loaded before the fork"
        children = workers(store.server.pid)
        assert len(children) == 3  # the background worker, too
        for pid in children:
            assert read_libraries(pid) <= shared


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks of memory are read from Linux's /proc")
def test_sixteen_transfers_of_256_mib_take_little_memory(tmp_path: Path, record_property: object) -> None:
    with running_store(tmp_path) as store:
        pids = store.workers()
        assert len(pids) == 2
        idle = {pid: read_sizes(pid)["rss"] for pid in pids}
        for pid in pids:
            tell(record_property, f"worker {pid} idle", read_sizes(pid))
            assert idle[pid] <= IDLE_MAX
        store.client().create_bucket(Bucket="memory")

        def upload(index: int, load: Load) -> None:
            with connect(store) as wire:
                wire.send(sign_put(f"/memory/up-{index}", TRANSFER_SIZE))
                for _ in range(TRANSFER_SIZE // len(PIECE)):
                    wire.send(PIECE)
                assert wire.response().status == 200
            load.count += 1

        def download(index: int, load: Load) -> None:
            with connect(store) as wire:
                wire.send(sign("GET", "/memory/source").head)
                assert wire.take_through(b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
                buffer = bytearray(512 * KiB)
                left = TRANSFER_SIZE - len(wire.received)
                while left and (count := wire.sock.recv_into(buffer, min(left, len(buffer)))):
                    left -= count
                assert left == 0
            load.count += 1

        upload(0, Load())
        store.client().copy_object(Bucket="memory", Key="source", CopySource="memory/up-0")
        for pid in pids:
            forget_peak(pid)
        with clients(16, lambda index, load: (upload if index < 8 else download)(index, load)) as load:
            load.wait_for(4)
            for pid in pids:
                tell(record_property, f"worker {pid} busy", read_sizes(pid))
        for pid in pids:
            growth = read_peak(pid) - idle[pid]
            tell(record_property, f"worker {pid} at most", {"growth": growth, "rss": read_peak(pid)})
            assert growth <= GROWTH_MAX
