"""The registry's tables.

Laws:

- A service is a (host, binary, topic); its row is what an administrator says about it, and outlives its processes.
- Each process of a service has a row of its own: workers come and go, and each tells only of itself. The rows of
  processes that ended stay until another process of the service registers: until then they tell when it was last seen.
- Times are microseconds since 1970 by the database's clock alone: hosts whose clocks differ need not care. When the
  database's clock is set, services may look up or down, and leases last longer or shorter, once, by as much.
- The rows are of the moment: a release that needs other columns names new tables, and services report into those.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text

metadata = MetaData()

# SQLite numbers rows by itself only where the column is declared INTEGER.
Number = BigInteger().with_variant(Integer, "sqlite")

services = Table(
    "nova_services",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("host", Text, nullable=False),
    Column("binary", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("disabled_us", Number),  # when it was disabled; NULL: enabled
    Column("disabled_reason", Text),
    Index("nova_services_name", "host", "binary", "topic", unique=True),
    sqlite_autoincrement=True,  # an id that was deleted never names another service
)

processes = Table(
    "nova_service_processes",
    metadata,
    Column("id", Text, primary_key=True),  # the process chose it: random
    Column("service_id", Number, ForeignKey("nova_services.id"), nullable=False),
    Column("pid", Number, nullable=False),
    Column("version", Text, nullable=False),
    Column("started_us", Number, nullable=False),
    Column("last_seen_us", Number, nullable=False),
    Column("in_flight", Number, nullable=False),
    Column("state", Text, nullable=False),  # up, draining, down
    Index("nova_service_processes_service", "service_id"),
)

leases = Table(
    "nova_leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("host", Text, nullable=False),  # for people
    Column("expires_us", Number, nullable=False),
)
