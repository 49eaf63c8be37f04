"""A PostgreSQL of the tests' own: in a folder of its own, on a port of the loopback that nobody else uses.

Debian's package is what is run (``apt-get install postgresql``), not its service. It refuses to run as root, who
therefore starts it as the package's user.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from nova_wsgi.testing import LiveServer, LogLine, free_port

DEBIAN = Path("/usr/lib/postgresql")
USER = "postgres"
SETTINGS = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "jit": "off"}


class Postgres:
    """A server that can be stopped and started again, with what it holds, at the same ``url``."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nova-postgres-")  # pytest's folders are closed to its user
        self._data = Path(self._folder.name) / "data"
        self._programs = max(DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name))
        self._as_user: list[str] = []
        if os.getuid() == 0:
            self._as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
            shutil.chown(self._folder.name, USER, USER)
        self._port = free_port()
        self._server: LiveServer | None = None
        self.url = f"postgresql://{USER}@127.0.0.1:{self._port}/postgres"
        initdb = [*self._as_user, self._programs / "initdb", "-D", self._data, "-U", USER, "-A", "trust", "--no-sync"]
        subprocess.run([*initdb, "-E", "UTF8"], check=True, capture_output=True, timeout=60, cwd="/")

    def start(self) -> None:
        """Start it, with what it held when it stopped; returns when it takes connections."""
        assert self._server is None
        options = [text for name, value in SETTINGS.items() for text in ("-c", f"{name}={value}")]
        command = [*self._as_user, self._programs / "postgres", "-D", self._data, "-p", str(self._port), *options]
        self._server = LiveServer(command, ready=LogLine("ready to accept connections"), cwd="/")

    def stop(self) -> None:
        """Stop it, and end its connections."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(signal.SIGINT)

    def make_schema(self) -> str:
        """Make an empty schema, which is quicker than a database of its own; the URL that leads into it."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        return f"{self.url}?options=-csearch_path%3D{name}"

    def close(self) -> None:
        """End it and all that belongs to it."""
        self.stop()
        self._folder.cleanup()


def started_postgres() -> Postgres:
    """A server that runs. Skips the test, or under CI fails it, when PostgreSQL is not installed."""
    if not list(DEBIAN.glob("*/bin/initdb")):
        reason = "no PostgreSQL to test against: apt-get install postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    server = Postgres()
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server
