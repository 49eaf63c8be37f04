"""Test tools for services built on this house: an in-process client, and real processes with deadlines.

    client      Client: requests to a WSGI application without a server; checks that it keeps to PEP 3333
    processes   LiveServer: a program as a real process, and probes of it; wait_until

The package installs two pytest fixtures: ``wsgi_client(app)`` makes a Client, ``live_server(command, ready=...)``
starts a LiveServer that is stopped when the test ends. docs/service.md shows them in use.
"""

from __future__ import annotations

from nova_wsgi.testing.client import Answer, Client, WsgiViolation
from nova_wsgi.testing.processes import (
    Listening,
    LiveServer,
    LogLine,
    Notified,
    free_port,
    open_fds,
    resident_size,
    wait_until,
    workers,
)

__all__ = [
    "Answer",
    "Client",
    "Listening",
    "LiveServer",
    "LogLine",
    "Notified",
    "WsgiViolation",
    "free_port",
    "open_fds",
    "resident_size",
    "wait_until",
    "workers",
]
