"""Manager: the object that does a service's work.

A service gives its Managers a life: it makes them (from a class named by an option, or by composing a paste app whose
``[app:...]`` section names a Manager's ``factory``), calls ``init_host`` before any work, runs their periodic tasks,
waits for the calls they track when it stops, and calls ``cleanup_host`` last.

Laws:

- ``init_host`` is idempotent: whatever a crash left behind, it brings the system to a sane state. It may run while
  another process, or this one's previous Manager, works on the same state.
- A Manager is made in the process that uses it, after the fork; ``__init__`` opens nothing, ``init_host`` does.
- ``in_flight`` tells every call that goes on: a soft stop waits until there is none.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, TypeVar

from oslo_config import cfg

from nova_wsgi.errors import ConfigError

Scope = Literal["process", "host", "cluster"]
Environ = dict[str, Any]
StartResponse = Callable[..., Any]
F = TypeVar("F", bound=Callable[..., Any])


# -- calls that go on ----------------------------------------------------------------------------------------------


class Calls:
    """The calls that go on: how many, which, and since when (``time.monotonic()`` seconds)."""

    __slots__ = ("_calls", "_idle", "_tokens")

    def __init__(self) -> None:
        self._calls: dict[int, tuple[str | Environ, float]] = {}
        self._tokens = count()
        self._idle: threading.Event | None = None  # there while somebody waits

    def __len__(self) -> int:
        return len(self._calls)

    def begin(self, call: str | Environ) -> int:
        """Note a call, by its name or its WSGI environ; give the token that ends it."""
        token = next(self._tokens)
        self._calls[token] = (call, time.monotonic())
        return token

    def begin_request(self, environ: Environ) -> None:
        """Note a request, until ``end_request``; of one environ one at a time."""
        # PERF: no token, so that no closure must carry it
        self._calls[-id(environ)] = (environ, time.monotonic())

    def end_request(self, environ: Environ, _finished: object = None) -> None:
        """The finish hook that ends it."""
        self.end(-id(environ))

    def end(self, token: int) -> None:
        """Note that the call has ended; a second time does nothing."""
        self._calls.pop(token, None)
        if self._idle is not None and not self._calls:
            self._idle.set()

    def list(self) -> list[tuple[str, float]]:
        """(name, since) of each call, the oldest first. A request's name is its operation, or its method and path."""
        return [(call if isinstance(call, str) else _request_name(call), since) for call, since in self._calls.values()]

    def wait_idle(self, timeout_s: float | None = None) -> bool:
        """Wait until no call goes on; False when one still does after ``timeout_s``."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        while self._calls:
            if self._idle is None or self._idle.is_set():
                self._idle = threading.Event()
            left_s = None if deadline is None else deadline - time.monotonic()
            if (left_s is not None and left_s <= 0) or not self._idle.wait(left_s):
                return not self._calls
        return True


def _request_name(environ: Mapping[str, Any]) -> str:
    operation = environ.get("nova.operation")
    line = f"{environ.get('REQUEST_METHOD', '?')} {environ.get('RAW_PATH_INFO') or environ.get('PATH_INFO', '')}"
    return f"{operation} ({line})" if operation else line


# -- periodic tasks ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """One method of a Manager that is called again and again.

    ``scope``: in every ``process``; in one process of the ``host``; on one host of the ``cluster``.
    """

    name: str
    call: Callable[[], Any]
    spacing_s: float
    run_immediately: bool
    scope: Scope


@dataclass(frozen=True, slots=True)
class _Spacing:
    spacing_s: float
    run_immediately: bool
    scope: Scope


def periodic_task(*, spacing_s: float, run_immediately: bool = False, scope: Scope = "process") -> Callable[[F], F]:
    """Mark a Manager's method: call it every ``spacing_s`` seconds, never overlapping itself.

    The first call comes after ``spacing_s``, or at once with ``run_immediately``.
    """
    if spacing_s <= 0:
        raise ValueError(f"spacing_s is more than 0, not {spacing_s}")
    if scope not in ("process", "host", "cluster"):
        raise ValueError(f"scope is process, host or cluster, not {scope!r}")

    def mark(method: F) -> F:
        method.__nova_spacing__ = _Spacing(spacing_s, run_immediately, scope)  # type: ignore[attr-defined]
        return method

    return mark


# -- the Manager ---------------------------------------------------------------------------------------------------


class Manager:
    """Does a service's work. A Web Manager overrides ``__call__``; a System Manager's public methods are called."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        self.conf = conf
        self.host = host
        self.calls = Calls()
        self.stopping = (
            False  # the service takes no more work: a call that goes from one job to the next ends between them
        )
        composing = _composing.get()
        if composing is not None:
            composing.managers.append(self)

    @classmethod
    def factory(cls, global_conf: Mapping[str, str], **local_conf: str) -> Manager:
        """Paste's ``app_factory``: make the Manager of an ``[app:...]`` section.

        The section's other keys arrive as keyword arguments of ``__init__``. Raises ConfigError when composed outside
        :func:`composing`, which knows the options.
        """
        context = _composing.get()
        if context is None:
            raise ConfigError(f"{cls.__name__} is composed by a WsgiService, or inside nova_wsgi.manager.composing()")
        return cls(conf=context.conf, host=context.host, **local_conf)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        raise NotImplementedError(f"{type(self).__name__} is not a Web Manager: it has no __call__")

    def init_host(self) -> None:
        """Open what the work needs and bring it to a sane state; before the first call. May raise ConfigError."""

    def cleanup_host(self) -> None:
        """Close what ``init_host`` opened; after the last call."""

    def reload(self) -> None:
        """The options were read again (SIGHUP): take those that may change. Called on a service's own Manager."""

    def periodic_tasks(self) -> list[PeriodicTask]:
        """The methods marked with :func:`periodic_task`, those of base classes included; a subclass may add more."""
        names = dict.fromkeys(name for cls in reversed(type(self).__mro__) for name in vars(cls))
        tasks = []
        for name in names:
            spacing = getattr(getattr(type(self), name, None), "__nova_spacing__", None)
            if isinstance(spacing, _Spacing):
                tasks.append(
                    PeriodicTask(name, getattr(self, name), spacing.spacing_s, spacing.run_immediately, spacing.scope)
                )
        return tasks

    @contextmanager
    def tracked(self, name: str) -> Iterator[None]:
        """Count what happens inside as a call: a soft stop waits for it."""
        token = self.calls.begin(name)
        try:
            yield
        finally:
            self.calls.end(token)

    def in_flight(self) -> list[tuple[str, float]]:
        """(name, since) of each tracked call that goes on, the oldest first; since in ``time.monotonic()`` seconds."""
        return self.calls.list()


# -- making Managers -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Composing:
    """What a Manager made inside :func:`composing` is given, and where it is noted."""

    conf: cfg.ConfigOpts
    host: str
    managers: list[Manager]


_composing: ContextVar[Composing | None] = ContextVar("nova_composing", default=None)


@contextmanager
def composing(*, conf: cfg.ConfigOpts, host: str) -> Iterator[list[Manager]]:
    """Give ``conf`` and ``host`` to Managers that paste makes inside; the list given holds them afterwards."""
    context = Composing(conf, host, [])
    token = _composing.set(context)
    try:
        yield context.managers
    finally:
        _composing.reset(token)


def load_manager_class(name: str, *, option: str) -> type[Manager]:
    """Import ``package.module:Class``. Raises ConfigError that names the option and what is missing."""
    module_name, _, class_name = name.replace(":", ".").rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{option} = {name}: {error}") from error
    except AttributeError:
        raise ConfigError(f"{option} = {name}: {module_name} has no {class_name}") from None
    if not (isinstance(found, type) and issubclass(found, Manager)):
        raise ConfigError(f"{option} = {name}: not a Manager class")
    return found
