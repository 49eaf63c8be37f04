"""Queues for tests: a Manager that remembers its messages, and each driver of the port behind the same few steps."""

from __future__ import annotations

import contextlib
import sys
import uuid
from pathlib import Path
from typing import Any

from nova_wsgi import green, logs, rpc
from nova_wsgi.errors import NovaError
from nova_wsgi.manager import Manager
from nova_wsgi.rpc.amqp import AmqpTransport
from nova_wsgi.rpc.embedded import EmbeddedTransport
from nova_wsgi.testing import LiveServer, Notified, wait_until

DRIVERS = ("embedded", "sockets", "amqp")


class NoSuchImage(NovaError):
    """A fact of the house's."""


class Recorder(Manager):
    """Remembers what was run, and answers in every way a method can. ``gate``: what ``wait`` waits for."""

    def __init__(self, host: str = "host-1") -> None:
        super().__init__(conf=None, host=host)  # type: ignore[arg-type]
        self.seen: list[Any] = []
        self.contexts: list[rpc.Context] = []
        self.waiting = 0
        self.most_waiting = 0
        self.open_gate = False

    @rpc.exposed
    def note(self, what: Any) -> Any:
        self.seen.append(what)
        self.contexts.append(rpc.current_context())
        return what

    @rpc.exposed
    def wait(self, what: Any = None, then_return: Any = "waited") -> Any:
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        try:
            while not self.open_gate:
                green.sleep(0.01)
        finally:
            self.waiting -= 1
        self.seen.append(what)
        return then_return

    @rpc.exposed
    def where(self) -> str:
        return self.host

    @rpc.exposed
    def add(self, first: int, second: int = 1, *, factor: float = 1.0, unit: str | None = None) -> float:
        self.seen.append((first, second))
        return (first + second) * factor

    @rpc.exposed
    def fail(self, how: str) -> None:
        self.seen.append(how)
        raise {"fact": NoSuchImage("ami-1"), "bug": KeyError("left out"), "long": NovaError("x" * 10_000)}[how]

    @rpc.exposed
    def return_odd(self, what: str) -> Any:
        return {"bytes": b"raw", "large": "x" * 2_000_000, "deep": deep(100_000), "nan": float("nan")}[what]

    @rpc.exposed
    def request_id_logged(self) -> str:
        return logs.current_request_id()

    def helper(self) -> str:
        self.seen.append("helper")
        return "not for messages"

    def _private(self) -> None:
        self.seen.append("private")


def deep(levels: int) -> list[Any]:
    nested: list[Any] = []
    for _ in range(levels):
        nested = [nested]
    return nested


class Site:
    """One queue with everything that uses it, on a topic of its own."""

    def __init__(self, driver: str, place: str) -> None:
        self.driver = driver
        self.place = place  # a directory, or the broker's URL
        self.topic = f"t-{uuid.uuid4().hex[:12]}"
        self.heartbeat_s = 30
        self._here: list[Any] = []
        self._open = contextlib.ExitStack()

    def transport(self, **limits: int) -> rpc.Transport:
        """A transport of its own, as another process would have it ("embedded": as in the same one)."""
        bounds = rpc.QueueLimits(**limits)
        made: rpc.Transport
        if self.driver == "amqp":
            made = AmqpTransport(self.place, limits=bounds, heartbeat_s=self.heartbeat_s)
        elif self.driver == "sockets":
            made = EmbeddedTransport(self.place, limits=bounds, consumers=[])
        else:
            made = EmbeddedTransport(limits=bounds, consumers=self._here)
        self._open.callback(made.close)
        return made

    def client(self, **limits: int) -> rpc.Client:
        """A sender; a call or cast of its waits 10 s at most."""
        return rpc.Client(self.transport(**limits), self.topic, timeout_s=10, send_timeout_s=10)

    def consumer(self, manager: Manager, **limits: int) -> rpc.Consumer:
        """A consumer that takes messages."""
        consumer = self.transport(**limits).listen(self.topic, manager.host, rpc.Dispatcher(manager).handle)
        self._open.callback(consumer.close)
        assert consumer.wait_ready(10)
        return consumer

    def close(self) -> None:
        """Close everything that was opened."""
        self._open.close()


# -- a consumer in a process of its own ------------------------------------------------------------------------------

PROGRAM = Path(__file__).parents[1] / "nova_wsgi" / "programs" / "queue_worker.py"
PROGRAM_TOPIC = "queue-worker"


class Worker(LiveServer):
    """``programs/queue_worker.py``, running; ``folder`` is where it notes what it does."""

    def __init__(self, folder: Path, url: str, *options: str, **settings: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        command = [sys.executable, PROGRAM, f"--rpc-url={url}", *options]
        super().__init__(command, ready=Notified(""), environ={"QUEUE_FOLDER": str(folder)}, **settings)

    def said(self, word: str) -> list[str]:
        """What it has noted under a word."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / word).read_text().splitlines()
        return []

    def wait_said(self, word: str, count: int = 1, timeout_s: float = 10.0) -> list[str]:
        """Wait until it has noted as many."""
        wait_until(lambda: len(self.said(word)) >= count, timeout_s, what=f"{count} lines of {word}")
        return self.said(word)

    def open_gate(self) -> None:
        """Let what it holds go on."""
        (self.folder / "gate").touch()
