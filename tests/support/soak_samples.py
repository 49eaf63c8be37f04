"""What a running store takes: memory, descriptors, threads, files. Read from /proc, from its directory, and by asking it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from support.store import Store
from support.store_state import staged_files, stored_files

from nova_objectstore.assembly import DATABASE_NAME, Settings, integrity_store, open_metadata
from nova_objectstore.delivery.spool import DIRECTORY as SPOOL_DIRECTORY
from nova_objectstore.limits import KiB
from nova_wsgi import control

PARENT = "parent"
READY = re.compile(r"worker ([\w-]+/\d+) \((\d+)\) is ready")


@dataclass(frozen=True)
class Sample:
    """Figures at one moment, by their names: ``objectstore/0 rss`` in bytes, ``wal`` in bytes, ``processes``."""

    at_s: float
    figures: Mapping[str, float] = field(default_factory=dict)


class Sampler:
    """Looks at a store from outside. Its database stays open meanwhile, idle."""

    def __init__(self, store: Store, control_path: Path) -> None:
        self.store = store
        self._control_path = control_path
        found = {name: int(pid) for name, pid in READY.findall(store.server.output())}
        self.pids = {PARENT: store.server.pid, **found}
        self._meta = open_metadata(Settings(state_path=store.state_path))
        self._meta.open()

    def close(self) -> None:
        self._meta.close()

    def look(self, *, closely: bool) -> dict[str, float]:
        """What is cheap to see; ``closely`` all that is to be seen."""
        figures: dict[str, float] = {"processes": len(psutil.Process(self.store.server.pid).children(True)) + 1}
        for name, pid in self.pids.items():
            figures |= {f"{name} {what}": value for what, value in look_at_process(pid).items()}
        figures |= look_at_files(self.store.state_path)
        if closely:
            figures |= {"unnamed files": self.unnamed_files(), **self.greenthreads()}
        return figures

    def descriptors(self) -> dict[str, list[str]]:
        """What each process has open, the connections apart: they come and go with their clients."""
        return {name: open_files(pid) for name, pid in self.pids.items()}

    def unnamed_files(self) -> int:
        """Data files that no version, part or image names: what was replaced and waits for its collection."""
        files = stored_files(self.store.state_path)
        return len(files) - len(integrity_store(self._meta).live_refs(files))

    def greenthreads(self) -> dict[str, float]:
        """Of each process that answers."""
        names = {pid: name for name, pid in self.pids.items()}
        figures = {}
        for told in control.ask(str(self._control_path), "stacks"):
            if told.answer is not None and told.pid in names:
                counts = [row["count"] for row in told.answer["stacks"] if row["who"].startswith("greenthread")]
                figures[f"{names[told.pid]} greenthreads"] = sum(counts)
        return figures


def look_at_process(pid: int) -> dict[str, float]:
    """Resident and proportional memory (bytes), descriptors, threads. Raises OSError when it is gone."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    size = {name: int(kib) * KiB for name, kib in re.findall(r"^(\w+): +(\d+) kB$", rollup, re.MULTILINE)}
    return {
        "rss": size["Rss"],
        "pss": size["Pss"],
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
    }


def open_files(pid: int) -> list[str]:
    """What its descriptors stand for, sorted; numbers of pipes, sockets and the like left out."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.append(re.sub(r":\[\d+\]$", "", os.readlink(f"/proc/{pid}/fd/{name}")))
        except FileNotFoundError:
            continue  # closed between the two looks
    return sorted(found)


def look_at_files(state_path: Path) -> dict[str, float]:
    """What lies in the state directory."""
    spool = state_path / SPOOL_DIRECTORY
    return {
        "staged files": len(staged_files(state_path)),
        "data files": len(stored_files(state_path)),
        "log files": len(os.listdir(spool)) if spool.exists() else 0,
        "wal": _size(state_path / f"{DATABASE_NAME}-wal"),
        "database": _size(state_path / DATABASE_NAME),
    }


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
