"""A program that upgrades a database again and again, each time killed one statement later: ``OLDER DIRECTORY STEP``.

Each upgrade is a process of its own, forked here, and opens a fresh copy of the database OLDER as a server does. It kills
itself with SIGKILL when SQLite is about to run its n-th statement. Then another process opens what is left, undisturbed.
DIRECTORY/n is the copy; for each a line: ``n revision-after-the-kill exit-status-of-the-second``. It ends with the first
upgrade that comes to its end. STEP leaves statements out.
"""

from nova_wsgi import green

green.patch()

import importlib  # noqa: E402
import os  # noqa: E402
import shutil  # noqa: E402
import signal  # noqa: E402
import sqlite3  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from nova_objectstore.meta.sqlite import SqliteEngine  # noqa: E402

importlib.import_module("nova_objectstore.meta.sql.migrations.upgrade")  # once, not in every process


class Killing(sqlite3.Connection):
    """Kills its process when its ``left``-th statement begins."""

    left = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_trace_callback(self._count)

    def _count(self, _text: str) -> None:
        Killing.left -= 1
        if Killing.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def open_in_a_process(path: Path, connection_class: type[sqlite3.Connection]) -> int:
    """Open the database as a server does, and close it; the exit status."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    status = 1
    try:
        engine = SqliteEngine(path, connection_class=connection_class)
        engine.open()
        engine.close()
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    older, directory, step = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    status, number = -signal.SIGKILL, 1 - step
    while status == -signal.SIGKILL:
        number += step
        path = directory / str(number)
        shutil.copyfile(older, path)
        Killing.left = number
        status = open_in_a_process(path, Killing)
        with sqlite3.connect(path) as connection:
            ((revision,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        connection.close()
        print(number, revision, open_in_a_process(path, sqlite3.Connection), flush=True)


if __name__ == "__main__":
    main()
