"""The context that travels with each message: on whose behalf, and under which request's id in the logs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from nova_wsgi import logs


@dataclass(frozen=True, slots=True)
class Context:
    """``request_id``: what log lines show, ``-`` for none; ``account``: the account's id, None for the system."""

    request_id: str = logs.NO_REQUEST
    account: str | None = None


_bound: ContextVar[Context | None] = ContextVar("nova_rpc_context", default=None)


def current_context() -> Context:
    """The context of the message this greenthread works for; elsewhere, one with the request id of its log lines."""
    return _bound.get() or Context(logs.current_request_id())


@contextmanager
def bound(context: Context) -> Iterator[None]:
    """Work for a message: log under its request id, and send what is sent inside with its context."""
    before = logs.current_request_id()
    token = _bound.set(context)
    logs.bind_request_id(context.request_id)
    try:
        yield
    finally:
        logs.bind_request_id(before)
        _bound.reset(token)
