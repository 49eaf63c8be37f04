"""Dispatcher: from a message to the Manager's method it names.

Laws:

- Only methods marked :func:`exposed` can be named: a method is private unless its author says otherwise, so that a
  helper added later, or a hook of the Manager's life, is never open to whoever can send a message. An override in a
  subclass is marked again.
- The arguments are checked against the signature, names and plain types, before anything runs.
- Whatever happens is an answer: what the method returned, or a fault with its kind.
- Each call is tracked by its Manager: a soft stop waits for it.
"""

from __future__ import annotations

import inspect
import logging
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from nova_wsgi.errors import NovaError
from nova_wsgi.manager import Manager
from nova_wsgi.rpc.context import bound
from nova_wsgi.rpc.errors import BAD_ARGUMENTS, UNKNOWN_METHOD
from nova_wsgi.rpc.messages import Fault, Message, Reply

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__nova_exposed__"


def exposed(method: F) -> F:
    """Let messages name this Manager method. Its arguments arrive by name, as JSON has them.

    It may run twice for one message and beside itself for two: it is idempotent. Raises TypeError for a method that
    cannot be called so: a private one, a hook of Manager, one with positional-only arguments or ``*args``.
    """
    name = method.__name__
    if name.startswith("_") or hasattr(Manager, name):
        raise TypeError(f"{method.__qualname__} is not for messages: it is private, or a hook of Manager")
    for parameter in inspect.signature(method).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise TypeError(f"{method.__qualname__}: {parameter.name} cannot be given by name")
    setattr(method, _MARK, True)
    return method


class Dispatcher:
    """Runs messages by one Manager's exposed methods."""

    def __init__(self, manager: Manager) -> None:
        self.calls_total = 0
        self._manager = manager
        self._methods = {method.name: method for method in _exposed_methods(manager)}

    @property
    def methods(self) -> list[str]:
        """The names that messages may use."""
        return sorted(self._methods)

    def handle(self, message: Message) -> Reply:
        """Run the message; every error is a fault in the reply. Unknown methods and bad arguments run nothing."""
        self.calls_total += 1
        with bound(message.context):
            method = self._methods.get(message.method)
            if method is None:
                problem = f"{type(self._manager).__name__} has no {message.method!r} for messages"
                return _refuse(message, UNKNOWN_METHOD, problem)
            try:
                method.check(message.arguments)
            except TypeError as error:
                return _refuse(message, BAD_ARGUMENTS, f"{message.method}: {error}")
            with self._manager.tracked(message.method):
                return _run(method, message)


def _run(method: _Method, message: Message) -> Reply:
    try:
        return Reply(message.id, method.call(**message.arguments))
    except NovaError as error:
        # The caller is told; of a cast nobody is, so the log is.
        log.log(logging.INFO if message.is_call else logging.WARNING, "%s failed: %s", message.method, error)
        return Reply(message.id, fault=Fault(type(error).__name__, str(error)))
    except Exception as error:  # a fault of the method's: its caller is told, and the next message must be run
        log.exception("%s failed", message.method)
        return Reply(message.id, fault=Fault(type(error).__name__, str(error)))


def _refuse(message: Message, kind: str, problem: str) -> Reply:
    log.warning("a message was refused: %s", problem)
    return Reply(message.id, fault=Fault(kind, problem))


# -- methods and their signatures ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Method:
    name: str
    call: Callable[..., Any]
    signature: inspect.Signature
    hints: Mapping[str, Any]

    def check(self, arguments: Mapping[str, Any]) -> None:
        """Raise TypeError when the method cannot be called with these arguments."""
        self.signature.bind(**arguments)
        for name, value in arguments.items():
            hint = self.hints.get(name)
            if hint is not None and not _accepts(hint, value):
                raise TypeError(f"{name} is {_show(hint)}, not {type(value).__name__}")


def _exposed_methods(manager: Manager) -> list[_Method]:
    names = dict.fromkeys(name for cls in type(manager).__mro__ for name in vars(cls))
    found = []
    for name in names:
        function = getattr(type(manager), name, None)
        if getattr(function, _MARK, False):
            bound_method = getattr(manager, name)
            found.append(_Method(name, bound_method, inspect.signature(bound_method), _hints(function)))
    return found


def _hints(function: Any) -> Mapping[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):  # a name imported for type checkers alone: the types are then not checked
        return {}


_CONTAINERS: Mapping[Any, type] = {list: list, Sequence: list, dict: dict, Mapping: dict}


def _accepts(hint: Any, value: Any) -> bool:
    """Whether a JSON value is of the hinted type: plain types, unions, Literals, and the outside of containers.

    What JSON does not know (a class of ours, a TypeVar) is left to the method.
    """
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_accepts(option, value) for option in typing.get_args(hint))
    if origin is typing.Literal:
        return value in typing.get_args(hint)
    if (container := _CONTAINERS.get(origin or hint)) is not None:
        return isinstance(value, container)
    if hint is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (str, bool, type(None)):
        return isinstance(value, hint)
    return True


def _show(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and typing.get_origin(hint) is None else str(hint)
