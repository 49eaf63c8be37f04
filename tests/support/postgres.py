"""A PostgreSQL of the tests' own: in a folder of its own, on a port of the loopback that nobody else uses.

Debian's package is what is run (``apt-get install postgresql``), not its service. It refuses to run as root, who
therefore starts it as the package's user.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from nova_wsgi.testing import Listening, LiveServer, free_port

DEBIAN = Path("/usr/lib/postgresql")
USER = "postgres"


class Postgres:
    """A server that can be stopped and started again, with what it holds, at the same ``url``."""

    def __init__(self, folder: Path) -> None:
        self._bin = max(DEBIAN.glob("*/bin"), key=lambda path: int(path.parent.name))
        self._as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.getuid() == 0 else []
        self._data = folder / "data"
        self._port = free_port()
        self._server: LiveServer | None = None
        self.url = f"postgresql://{USER}@127.0.0.1:{self._port}/postgres"
        self._data.mkdir(mode=0o700)
        if self._as_user:
            shutil.chown(self._data, USER, USER)
            for parent in (folder, *folder.parents):  # pytest's folders are for their owner alone
                if parent.owner() == "root" and parent.is_relative_to("/tmp") and parent != Path("/tmp"):
                    parent.chmod(parent.stat().st_mode | 0o011)
        command = [*self._as_user, self._bin / "initdb", "-D", self._data, "-U", USER, "-A", "trust", "--no-sync", "-N"]
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd="/")

    def start(self) -> None:
        """Start it, with what it held when it stopped; returns when it takes connections."""
        assert self._server is None
        settings = {"listen_addresses": "127.0.0.1", "port": self._port, "unix_socket_directories": "", "fsync": "off"}
        options = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        command = [*self._as_user, self._bin / "postgres", "-D", self._data, *options]
        self._server = LiveServer(command, ready=Listening(self._port), cwd="/")

    def stop(self) -> None:
        """Stop it at once, its connections with it."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(signal.SIGINT)

    def make_database(self, name: str) -> str:
        """Make an empty database; its URL."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[call-overload]
        return self.url.removesuffix("postgres") + name


def require() -> None:
    """Skip the test where PostgreSQL is not installed; in CI that is a failure."""
    missing = "PostgreSQL is not installed: apt-get install postgresql"
    if not list(DEBIAN.glob("*/bin/initdb")):
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
