"""Services: the verbs on the registry's tables, one transaction each, and what a reader gets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from oslo_config import cfg

from nova_wsgi.errors import NovaError
from nova_wsgi.registry.database import Database, Transaction, open_database

SECOND_US = 1_000_000
UP, DRAINING, DOWN = "up", "draining", "down"

REASON_SIZE_MAX = 255  # characters: what fits on a line of a table


class NoSuchService(NovaError):
    """The registry has no service of that id, or of that name."""


class ServiceIsUp(NovaError):
    """A service that reports cannot be deleted: it would be back with its next heartbeat, and enabled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceEntry:
    """A service, summed up over its processes. Times are microseconds since 1970; None: it has never reported.

    ``state`` is up when a process takes work, draining when those that live are ending, else down. ``in_flight`` are
    calls, ``processes`` those that live; ``version`` and ``started_us`` are those of the process that started last.
    """

    id: int
    host: str
    binary: str
    topic: str
    version: str
    state: str
    started_us: int | None
    last_seen_us: int | None
    in_flight: int
    processes: int
    disabled_us: int | None
    disabled_reason: str | None

    @property
    def enabled(self) -> bool:
        """Whether it takes work, as far as administrators are concerned."""
        return self.disabled_us is None


class Standing(NamedTuple):
    """What an administrator has said about a service."""

    disabled: bool
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a process tells. ``process_id`` is its own choice, random; ``age_s``: how long it has been up."""

    process_id: str
    host: str
    binary: str
    topic: str
    pid: int
    version: str
    age_s: float
    in_flight: int
    state: str


class Services:
    """The services of one registry. ``down_time_s``: how long a process may be silent before it counts as down.

    Every method raises RegistryLost when the database cannot be reached.
    """

    def __init__(self, database: Database, *, down_time_s: float) -> None:
        self.database = database
        self._down_time_us = int(down_time_s * SECOND_US)

    def report(self, beat: Heartbeat) -> Standing:
        """Note a heartbeat; a process that is not known (any more) is registered. What is said about its service."""
        return self.database.write(_report, beat, self._down_time_us)

    def list(self, *, host: str | None = None, binary: str | None = None) -> list[ServiceEntry]:
        """Every service, or those of a host, or of a binary; by host, binary and topic."""
        found = self.database.read(_read_all, self._down_time_us)
        return [entry for entry in found if host in (None, entry.host) and binary in (None, entry.binary)]

    def get(self, service_id: int) -> ServiceEntry:
        """One service. Raises NoSuchService."""
        return _pick(self.database.read(_read_all, self._down_time_us), service_id)

    def find(self, host: str, binary: str, *, topic: str | None = None) -> ServiceEntry:
        """The one service of that name. Raises NoSuchService when there is none, or several topics."""
        found = [entry for entry in self.list(host=host, binary=binary) if topic in (None, entry.topic)]
        if not found:
            raise NoSuchService(f"no service {binary} has reported from the host {host}")
        if len(found) > 1:
            topics = ", ".join(entry.topic for entry in found)
            raise NoSuchService(f"{binary} on {host} is several services: give one of the topics {topics}")
        return found[0]

    def disable(self, service_id: int, reason: str = "") -> ServiceEntry:
        """Have a service take no more work of the queue, and say why. Raises NoSuchService."""
        reason = " ".join("".join(char if char.isprintable() else " " for char in reason).split())[:REASON_SIZE_MAX]
        return self.database.write(_change, service_id, self._down_time_us, "disable_service", {"reason": reason})

    def enable(self, service_id: int) -> ServiceEntry:
        """Have a service take work again. Raises NoSuchService."""
        return self.database.write(_change, service_id, self._down_time_us, "enable_service", {})

    def delete(self, service_id: int) -> ServiceEntry:
        """Forget a service that is down. Raises NoSuchService, ServiceIsUp."""
        return self.database.write(_delete, service_id, self._down_time_us)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_services(conf: cfg.ConfigOpts, *, create: bool = True) -> Services:
    """The registry that the options name; nothing is connected yet. Raises ConfigError.

    ``create``: an SQLite file that is not there is made.
    """
    return Services(open_database(conf.database.connection, create=create), down_time_s=conf.service_down_time)


# -- the transactions ------------------------------------------------------------------------------------------------


def _report(transaction: Transaction, beat: Heartbeat, down_time_us: int) -> Standing:
    told = {"process_id": beat.process_id, "in_flight": beat.in_flight, "state": beat.state}
    if not transaction.run("beat", **told):
        service_id = _service_id(transaction, beat)
        transaction.run("delete_ended_processes", service_id=service_id, down=DOWN, down_time_us=down_time_us)
        age_us = int(beat.age_s * SECOND_US)
        transaction.run(
            "insert_process", service_id=service_id, pid=beat.pid, version=beat.version, age_us=age_us, **told
        )
    standing = transaction.one("read_standing", process_id=beat.process_id)
    assert standing is not None, "the process has just been written"
    disabled_us, reason = standing
    return Standing(disabled_us is not None, reason)


def _service_id(transaction: Transaction, beat: Heartbeat) -> int:
    name = {"host": beat.host, "binary": beat.binary, "topic": beat.topic}
    found = transaction.one("find_service", **name)
    if found is None:
        transaction.run("insert_service", **name)
        found = transaction.one("find_service", **name)
    assert found is not None, "the service has just been written"
    return int(found[0])


def _read_all(transaction: Transaction, down_time_us: int) -> list[ServiceEntry]:
    processes: dict[int, list[_Process]] = {}
    for row in transaction.all("list_processes"):
        processes.setdefault(row[0], []).append(_Process(*row[1:]))
    rows = transaction.all("list_services")
    return [_summed(row, processes.get(row[0], []), down_time_us) for row in rows]


def _change(
    transaction: Transaction, service_id: int, down_time_us: int, statement: str, parameters: dict[str, Any]
) -> ServiceEntry:
    transaction.run(statement, service_id=service_id, **parameters)
    return _pick(_read_all(transaction, down_time_us), service_id)


def _delete(transaction: Transaction, service_id: int, down_time_us: int) -> ServiceEntry:
    entry = _pick(_read_all(transaction, down_time_us), service_id)
    if entry.state != DOWN:
        raise ServiceIsUp(f"{entry.binary} on {entry.host} is {entry.state}: stop it first")
    transaction.run("delete_processes", service_id=service_id)
    transaction.run("delete_service", service_id=service_id)
    return entry


def _pick(entries: Iterable[ServiceEntry], service_id: int) -> ServiceEntry:
    for entry in entries:
        if entry.id == service_id:
            return entry
    raise NoSuchService(f"no service has the id {service_id}")


class _Process(NamedTuple):
    pid: int
    version: str
    started_us: int
    last_seen_us: int
    in_flight: int
    state: str
    silent_us: int


def _summed(row: tuple[Any, ...], processes: list[_Process], down_time_us: int) -> ServiceEntry:
    """A service's row and those of its processes."""
    service_id, host, binary, topic, disabled_us, reason = row
    living = [process for process in processes if process.state != DOWN and process.silent_us <= down_time_us]
    states = {process.state for process in living}
    latest = max(living or processes, key=lambda process: process.started_us, default=None)
    return ServiceEntry(
        id=service_id,
        host=host,
        binary=binary,
        topic=topic,
        version=latest.version if latest else "",
        state=UP if UP in states else DRAINING if states else DOWN,
        started_us=latest.started_us if latest else None,
        last_seen_us=max((process.last_seen_us for process in processes), default=None),
        in_flight=sum(process.in_flight for process in living),
        processes=len(living),
        disabled_us=disabled_us,
        disabled_reason=reason,
    )
