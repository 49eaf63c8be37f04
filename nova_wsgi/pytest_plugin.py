"""The pytest fixtures of :mod:`nova_wsgi.testing`; and processes end at once, not softly, when a test has failed.

pytest loads this in every run where the package is installed, before any conftest can patch: it imports pytest alone,
and what a fixture needs is imported when a test asks for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nova_wsgi.testing import Client, LiveServer


@pytest.fixture
def wsgi_client() -> Callable[..., Client]:
    """Make in-process clients: ``wsgi_client(app, **settings)`` is ``nova_wsgi.testing.Client(app, **settings)``."""
    from nova_wsgi.testing import Client

    return Client


@pytest.fixture
def live_server() -> Iterator[Callable[..., LiveServer]]:
    """Start real processes: ``live_server(command, **settings)`` is a ready LiveServer, stopped when the test ends."""
    from nova_wsgi.testing import LiveServer

    with ExitStack() as servers:

        def start(*arguments: Any, **settings: Any) -> LiveServer:
            return servers.enter_context(LiveServer(*arguments, **settings))

        yield start


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> None:
    """Abandon the processes that run when a test fails: fixtures do not see its error, and would wait for its leavings.

    A teardown that fails abandons them too: those below it need not end softly any more. A skip is no failure.
    """
    if call.excinfo is None or call.excinfo.errisinstance(pytest.skip.Exception):
        return
    processes = sys.modules.get("nova_wsgi.testing.processes")  # where it was not imported, nothing runs
    if processes is not None:
        processes.LiveServer.abandon_all()
