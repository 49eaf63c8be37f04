"""The options of the services registry."""

from __future__ import annotations

from oslo_config import cfg

from nova_wsgi.config import Section

GROUP = "database"


def sections(*, connection: str = "sqlite:///services.sqlite") -> tuple[Section, ...]:
    """Where the registry is, and when a service counts as down; ``connection`` is the program's default.

    It may name other options: ``sqlite:///$state_path/services.sqlite``.
    """
    return (
        Section(
            "Database",
            (
                cfg.StrOpt(
                    "connection", default=connection, secret=True, metavar="URL",
                    help="Where services report and take leases: sqlite:///relative/path, sqlite:////absolute/path, or"
                    " postgresql://user:password@host:port/name, which services of several hosts can share.",
                ),
            ),
            group=GROUP,
        ),
        Section(
            "Services registry",
            (
                cfg.FloatOpt(
                    "service_down_time", default=60.0, min=1,
                    help="Seconds without a heartbeat after which a service counts as down; several times"
                    " report_interval_s.",
                ),
                cfg.FloatOpt(
                    "lease_time_s", default=30.0, min=1,
                    help="Seconds after which a periodic task of the whole cluster may run on another host, when the"
                    " one that runs it has died.",
                ),
            ),
        ),
    )  # fmt: skip
