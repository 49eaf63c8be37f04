"""Every statement of the registry, in SQLAlchemy Core. Parameters are named; durations are microseconds."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, bindparam, delete, insert, literal_column, null, or_, select, update
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import Executable, FunctionElement

from nova_wsgi.registry.tables import Number, leases, processes, services


class now_us(FunctionElement[int]):
    """The database's clock: microseconds since 1970. SQLite's knows milliseconds."""

    type = Number
    inherit_cache = True


@compiles(now_us, "sqlite")
def _now_sqlite(element: now_us, compiler: Any, **options: Any) -> str:
    return "(CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000)"


@compiles(now_us, "postgresql")
def _now_postgresql(element: now_us, compiler: Any, **options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


def _number(name: str) -> ColumnElement[int]:
    return bindparam(name, type_=BigInteger())


def _of_process() -> ColumnElement[bool]:
    return processes.c.id == bindparam("process_id")


def _of_service() -> ColumnElement[bool]:
    return processes.c.service_id == bindparam("service_id")


_EXPIRY = now_us() + _number("duration_us")
_LEASES_DIFFER_US: ColumnElement[int] = literal_column(
    "600000000", Number
)  # one host's lease time from another's: 10 min

STATEMENTS: dict[str, Executable] = {
    # -- heartbeats
    "find_service": select(services.c.id).where(
        services.c.host == bindparam("host"),
        services.c.binary == bindparam("binary"),
        services.c.topic == bindparam("topic"),
    ),
    "insert_service": insert(services).values(
        host=bindparam("host"), binary=bindparam("binary"), topic=bindparam("topic")
    ),
    "insert_process": insert(processes).values(
        id=bindparam("process_id"),
        service_id=bindparam("service_id"),
        pid=_number("pid"),
        version=bindparam("version"),
        started_us=now_us() - _number("age_us"),
        last_seen_us=now_us(),
        in_flight=_number("in_flight"),
        state=bindparam("state"),
    ),
    "beat": update(processes)
    .where(_of_process())
    .values(last_seen_us=now_us(), in_flight=_number("in_flight"), state=bindparam("state")),
    "delete_ended_processes": delete(processes).where(
        _of_service(),
        or_(processes.c.state == bindparam("down"), processes.c.last_seen_us < now_us() - _number("down_time_us")),
    ),
    "read_standing": select(services.c.disabled_us, services.c.disabled_reason)
    .join(processes, processes.c.service_id == services.c.id)
    .where(_of_process()),
    # -- administration
    "list_services": select(
        services.c.id,
        services.c.host,
        services.c.binary,
        services.c.topic,
        services.c.disabled_us,
        services.c.disabled_reason,
    ).order_by(services.c.host, services.c.binary, services.c.topic),
    "list_processes": select(
        processes.c.service_id,
        processes.c.pid,
        processes.c.version,
        processes.c.started_us,
        processes.c.last_seen_us,
        processes.c.in_flight,
        processes.c.state,
        (now_us() - processes.c.last_seen_us).label("silent_us"),
    ).order_by(processes.c.service_id, processes.c.last_seen_us),
    "disable_service": update(services)
    .where(services.c.id == bindparam("service_id"))
    .values(disabled_us=now_us(), disabled_reason=bindparam("reason")),
    "enable_service": update(services)
    .where(services.c.id == bindparam("service_id"))
    .values(disabled_us=null(), disabled_reason=null()),
    "delete_processes": delete(processes).where(_of_service()),
    "delete_service": delete(services).where(services.c.id == bindparam("service_id")),
    # -- leases
    "insert_lease": insert(leases).values(
        name=bindparam("name"), holder=bindparam("holder"), host=bindparam("host"), expires_us=_EXPIRY
    ),
    "take_lease": update(leases)
    .where(
        leases.c.name == bindparam("lease_name"),
        or_(
            leases.c.holder == bindparam("by"),
            leases.c.expires_us < now_us(),
            leases.c.expires_us > _EXPIRY + _LEASES_DIFFER_US,  # nobody's lasts so long: the clock was set back since
        ),
    )
    .values(holder=bindparam("by"), host=bindparam("at"), expires_us=_EXPIRY),
    "find_lease": select(leases.c.holder).where(leases.c.name == bindparam("lease_name")),
    "release_leases": delete(leases).where(leases.c.holder == bindparam("by")),
}
