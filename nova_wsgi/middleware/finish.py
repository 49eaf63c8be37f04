"""Finish hooks under a WSGI server that knows none.

Some requests never reach a filter: the server refuses them (a head that is none, one that comes too late, one too many).
A filter that wants to know how each request ended says so with :func:`observe` when it is made.

Our own server puts a list at ``environ['nova.finish_hooks']`` and runs what it finds there after the last byte; the
filters only append to it. Where the key is absent, the outermost filter calls :func:`call_with_hooks`, which makes the
list and wraps the response once for all filters below; they find the list and know no difference.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from nova_wsgi.response import close_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from nova_wsgi.http import Finished

HOOKS = "nova.finish_hooks"
FinishHook = Callable[["WSGIEnvironment", "Finished"], None]

LOG = logging.getLogger(__name__)

_observers: ContextVar[list[FinishHook] | None] = ContextVar("nova_wsgi.observers", default=None)


@contextmanager
def observing() -> Iterator[list[FinishHook]]:
    """Collect the hooks of the filters that are made in this block: for the requests that no filter gets to see."""
    hooks: list[FinishHook] = []
    token = _observers.set(hooks)
    try:
        yield hooks
    finally:
        _observers.reset(token)


def observe(hook: FinishHook) -> None:
    """Have ``hook`` run for requests that are refused before the pipeline that is being composed; else nothing."""
    hooks = _observers.get()
    if hooks is not None:
        hooks.append(hook)


def call_with_hooks(app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Call ``app`` with a list of hooks in the environ; they run when the server closes the response's body."""
    hooks: list[FinishHook] = []
    environ[HOOKS] = hooks
    request = _ForeignRequest(environ, hooks)
    try:
        return request.body_of(app(environ, request.starter(start_response)))
    except BaseException:  # a kill too: the server above deals with it; counters of requests in flight must come down
        request.finish(aborted=True)
        raise


class _ForeignRequest:
    """What a foreign server does not tell: the status, the bytes, the times."""

    def __init__(self, environ: WSGIEnvironment, hooks: list[FinishHook]) -> None:
        self._environ = environ
        self._hooks = hooks
        self._started = time.monotonic()
        self._first_byte_s: float | None = None
        self._status = 500
        self._sent = 0

    def starter(self, start_response: StartResponse) -> StartResponse:
        """Wrap ``start_response`` to see the status, and the bytes that go through its ``write``."""

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
            self._status = int(status[:3])
            write = start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

            def counted(chunk: bytes) -> None:
                self._count(chunk)
                write(chunk)

            return counted

        return start

    def body_of(self, body: Iterable[bytes]) -> Iterable[bytes]:
        return _ForeignBody(body, self)

    def _count(self, chunk: bytes) -> None:
        if self._first_byte_s is None:
            self._first_byte_s = time.monotonic() - self._started
        self._sent += len(chunk)

    def iterate(self, body: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in body:
            self._count(chunk)
            yield chunk

    def finish(self, *, aborted: bool) -> None:
        """Run the hooks, once; one that fails is logged and stops no other."""
        from nova_wsgi.http import Finished  # here, because a foreign server may have no use for eventlet before

        duration_s = time.monotonic() - self._started
        length = self._environ.get("CONTENT_LENGTH") or ""
        finished = Finished(
            status=self._status,
            bytes_sent=self._sent,
            bytes_received=int(length) if length.isdecimal() else 0,
            duration_s=duration_s,
            first_byte_s=duration_s if self._first_byte_s is None else self._first_byte_s,
            aborted=aborted,
        )
        hooks, self._hooks = self._hooks, []
        for hook in hooks:
            try:
                hook(self._environ, finished)
            except Exception:  # a hook is a bystander: the response and the other hooks go on
                LOG.exception("a finish hook failed")


class _ForeignBody:
    """The response's body, which tells the request when it is closed."""

    def __init__(self, body: Iterable[bytes], request: _ForeignRequest) -> None:
        self._body = body
        self._request = request
        self._complete = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._request.iterate(self._body)
        self._complete = True

    def close(self) -> None:
        try:
            close_body(self._body)
        finally:
            self._request.finish(aborted=not self._complete)
