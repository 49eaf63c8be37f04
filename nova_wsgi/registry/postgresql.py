"""The registry in PostgreSQL, or what speaks its protocol: for the services of several hosts."""

from __future__ import annotations

import logging
import re
from typing import Any

import psycopg
from psycopg import conninfo

from nova_wsgi.errors import ConfigError

# No call may hang for long: a connection that has died without a word is given up, and a statement that waits for a
# lock. What the URL says itself counts more.
BOUNDS: dict[str, Any] = {
    "connect_timeout": 5,
    "options": "-c statement_timeout=5s -c idle_in_transaction_session_timeout=30s",
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "application_name": "nova-registry",
}
# The driver runs in native threads, which never log; what it would say comes as its exceptions.
logging.getLogger("psycopg").disabled = True

_NOT_A_URL = "[database] connection: not a PostgreSQL URL: "
_ENCODED = "are % / ? # [ and @ of the password percent-encoded?"
# What is told to people must hold no piece of a password that was taken for an address.
_is_address = re.compile(r"[^@\s]*").fullmatch

_SCHEMA_LOCK = 0x6E6F7661  # any number that nobody else locks


class PostgresqlDriver:
    """Connections to the database that a libpq URL names. Raises ConfigError for a URL that libpq does not take."""

    dialect = "postgresql"
    failures: tuple[type[Exception], ...] = (psycopg.Error, OSError)
    conflict: type[Exception] = psycopg.IntegrityError
    begin_reading = "BEGIN READ ONLY"
    begin_writing = "BEGIN"
    # As a query of a table: to_regclass() may answer from a cache, and not see what was made while we waited.
    find_schema = (
        "SELECT 1 FROM pg_tables WHERE tablename = 'nova_services' AND schemaname = ANY (current_schemas(false))"
    )
    lock_schema = f"SELECT pg_advisory_xact_lock({_SCHEMA_LOCK})"

    def __init__(self, url: str) -> None:
        try:
            self._parameters = {**BOUNDS, **conninfo.conninfo_to_dict(url)}
        except psycopg.ProgrammingError as error:
            has_password = "@" in url or "password" in url.lower()  # the text may repeat a piece of it
            problem = _ENCODED if has_password else " ".join(str(error).replace(url, "").split())
            raise ConfigError(f"{_NOT_A_URL}{problem}") from None
        if not all(_is_address(self._parameters.get(name, "")) for name in ("host", "port", "dbname")):
            raise ConfigError(f"{_NOT_A_URL}{_ENCODED}")
        host = self._parameters.get("host", "local")
        self.place = f"postgresql://{host}/{self._parameters.get('dbname', '')}"

    def connect(self) -> Any:
        """Open a connection."""
        return psycopg.connect(autocommit=True, prepare_threshold=None, **self._parameters)

    def is_current(self) -> bool:
        """The server itself ends the connections that are of no use any more."""
        return True
