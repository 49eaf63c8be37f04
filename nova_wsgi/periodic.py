"""The periodic tasks of a service's Managers: one loop each, and the leases that say in which process one runs.

Law: a task whose scope is ``host`` or ``cluster`` runs in one process at a time. The process that holds its lease
keeps it while it lives; when it dies, however it dies, another takes over at its next tick.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Sequence
from typing import Protocol

from oslo_config import cfg

from nova_wsgi.errors import ConfigError
from nova_wsgi.loopingcall import FixedInterval, LoopingCall
from nova_wsgi.manager import Manager, PeriodicTask, Scope
from nova_wsgi.shared_places import take_place


class Leases(Protocol):
    """Says whether this process is the one that runs a task."""

    def hold(self, name: str, scope: Scope) -> bool:
        """Take the lease ``name``, or keep it; False when another process (host, cluster) has it. Does not wait."""
        ...


class HostLeases:
    """Leases between the processes of one host: places of a file (shared_places), which are free when their process ends.

    Without a path the file is an anonymous one, shared by those who inherit it over a fork: the processes of one
    program. A cluster is taken for one host.
    """

    def __init__(self, path: str | None = None) -> None:
        try:
            if path is None:
                self._fd = os.memfd_create("nova-leases", os.MFD_CLOEXEC)
            else:
                self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"{path}: cannot keep leases there: {error.strerror}") from None

    def hold(self, name: str, scope: Scope) -> bool:
        """Take the place that the name hashes to."""
        return scope == "process" or take_place(self._fd, zlib.crc32(name.encode()))

    def close(self) -> None:
        """Let go of every lease of this process."""
        os.close(self._fd)


def host_leases(conf: cfg.ConfigOpts, topic: str) -> HostLeases:
    """The leases of a service's processes: by the option ``lock_path``, or without it among those of its program."""
    directory = conf.lock_path if "lock_path" in conf else None
    return HostLeases(os.path.join(directory, f"{topic}.leases") if directory else None)


class PeriodicTasks:
    """The loops of some Managers' periodic tasks."""

    def __init__(self, managers: Sequence[Manager], leases: Leases) -> None:
        self._leases = leases
        self._loops = [
            self._loop(f"{type(manager).__name__}.{task.name}", task)
            for manager in managers
            for task in manager.periodic_tasks()
        ]

    def _loop(self, name: str, task: PeriodicTask) -> LoopingCall:
        def run() -> None:
            if self._leases.hold(name, task.scope):
                task.call()

        initial_delay_s = 0.0 if task.run_immediately else task.spacing_s
        return LoopingCall(run, FixedInterval(task.spacing_s), name=name, initial_delay_s=initial_delay_s)

    def start(self) -> None:
        """Start every loop."""
        for loop in self._loops:
            loop.start()

    def stop(self) -> None:
        """Begin no further call."""
        for loop in self._loops:
            loop.stop()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until no task runs; False when one still does after ``timeout_s``."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        for loop in self._loops:
            try:
                loop.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                return False
        return True

    def kill(self) -> None:
        """End every loop now."""
        for loop in self._loops:
            loop.kill()
