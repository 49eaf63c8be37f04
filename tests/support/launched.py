"""Starts ``programs/launched.py`` as a real process, for the tests of launching."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nova_wsgi import green
from nova_wsgi.testing import LiveServer

PROGRAM = Path(__file__).parents[1] / "nova_wsgi" / "programs" / "launched.py"
LISTENS = r"web listens on (?P<url>\S+)"
ACTIVATE = PROGRAM.with_name("socket_activate.py")
INI = PROGRAM.with_name("launched.ini")


def launch(
    *options: str, environ: Mapping[str, str] | None = None, sockets: str | None = None, **settings: Any
) -> LiveServer:
    """Start it and wait until it says READY; ``sockets`` are names of those it inherits, commas between."""
    command = [sys.executable, PROGRAM, *options]
    if sockets is not None:
        command = [sys.executable, ACTIVATE, sockets, *command]
    return LiveServer(command, environ=environ, **settings)


def refused(*options: str, environ: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
    """Start it with something wrong; give its exit code and the lines on standard error."""
    done = subprocess.run(
        [sys.executable, str(PROGRAM), *options],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, **(environ or {})},
        check=False,
    )
    return done.returncode, done.stderr.splitlines()


class Request:
    """A GET that goes on beside the test."""

    def __init__(self, server: LiveServer, target: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self.connection.request("GET", target)
        self._answer = green.spawn(self._read)

    def _read(self) -> str | OSError | http.client.HTTPException:
        try:
            return self.connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            return error
        finally:
            self.connection.close()

    def answer(self) -> str:
        """The body."""
        answer = self._answer.wait()
        assert isinstance(answer, str), answer
        return answer

    def failure(self) -> BaseException | None:
        """How it failed; None when it was answered."""
        answer = self._answer.wait()
        return None if isinstance(answer, str) else answer


def get(server: LiveServer, target: str = "/greet") -> str:
    """The body of a GET's 200 answer."""
    status, _, body = server.request("GET", target)
    assert status == 200, body
    return body.decode()


def begun(server: LiveServer, target: str) -> Request:
    """A GET whose work has begun."""
    path = target.partition("?")[0]
    before = server.output().count(f"begin {path}")
    request = Request(server, target)
    server.wait_for_output(rf"(?s)(begin {path}.*){{{before + 1}}}")
    return request
