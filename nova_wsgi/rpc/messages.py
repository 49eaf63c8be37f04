"""Messages and replies as values, and as JSON on the way. Pure: no clock, no sockets.

Laws:

- What arrives equals what was sent, as JSON has it: text, numbers, true and false, null, lists, objects with text keys.
  Tuples arrive as lists; bytes, dates and the like do not travel (send text).
- Bytes from outside become a value whole, or a BadMessage; nothing in between.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nova_wsgi.rpc.context import Context
from nova_wsgi.rpc.errors import BAD_RESULT, BadMessage, MessageTooLarge, RemoteError

ID_SIZE_MAX = 200  # characters of ASCII: ours have 32
FAULT_MESSAGE_MAX = 2000  # characters of an error's text that travel: enough to say what was wrong

_TOPIC = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")  # no dot: `topic.host` can be read one way only
_HOST = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,252}")  # a DNS name (RFC 1035: at most 253), or an address


# -- values --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message goes: to one consumer of ``topic``; to one on ``host``; or, a ``fanout``, to every one.

    Raises ValueError for a name that is not letters, digits, ``_`` and ``-`` (a host's also ``.`` and ``:``).
    """

    topic: str
    host: str | None = None
    fanout: bool = False

    def __post_init__(self) -> None:
        if _TOPIC.fullmatch(self.topic) is None:
            raise ValueError(f"not the name of a topic: {self.topic!r}")
        if self.host is not None and _HOST.fullmatch(self.host) is None:
            raise ValueError(f"not the name of a host: {self.host!r}")

    def __str__(self) -> str:
        if self.fanout:
            return f"every {self.topic}"
        return self.topic if self.host is None else f"{self.topic}.{self.host}"


@dataclass(frozen=True, slots=True)
class Message:
    """Run ``method`` with ``arguments``.

    ``id`` is unique and stays the same when a message is sent again. A call has ``timeout_s``, the seconds its caller
    waits for the reply, which goes to ``reply_to`` (a name that means something to the driver alone); a cast has
    neither.
    """

    method: str
    arguments: Mapping[str, Any]
    context: Context
    id: str
    timeout_s: float | None = None
    reply_to: str | None = None

    @property
    def is_call(self) -> bool:
        """Whether somebody waits for the reply."""
        return self.timeout_s is not None


@dataclass(frozen=True, slots=True)
class Fault:
    """An error as it travels: RemoteError's ``kind`` and ``message``."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the call ``id``: what the method returned, or the fault it ended with."""

    id: str
    result: Any = None
    fault: Fault | None = None

    def value(self) -> Any:
        """What the method returned. Raises RemoteError when it raised."""
        if self.fault is not None:
            raise RemoteError(self.fault.kind, self.fault.message)
        return self.result


# -- JSON ----------------------------------------------------------------------------------------------------------


def encode_message(message: Message, *, size_max: int) -> bytes:
    """The message as JSON. Raises BadMessage for an argument that cannot travel, MessageTooLarge beyond ``size_max``."""
    document = {
        "id": message.id,
        "method": message.method,
        "arguments": message.arguments,
        "request_id": message.context.request_id,
        "account": message.context.account,
        "timeout_s": message.timeout_s,
        "reply_to": message.reply_to,
    }
    try:
        return _encode(document, size_max)
    except MessageTooLarge as error:
        raise MessageTooLarge(f"{message.method}: {error}") from None
    except BadMessage as error:
        raise BadMessage(f"the arguments of {message.method}: {error}") from None


def decode_message(data: bytes) -> Message:
    """The message that ``data`` holds. Raises BadMessage."""
    document = _decode(data)
    timeout_s = _field(document, "timeout_s", (int, float, type(None)))
    id = _field(document, "id", str)
    if not (0 < len(id) <= ID_SIZE_MAX and id.isascii()):
        raise BadMessage("the id of a message is not one")
    return Message(
        method=_field(document, "method", str),
        arguments=_field(document, "arguments", dict),
        context=Context(_field(document, "request_id", str), _field(document, "account", (str, type(None)))),
        id=id,
        timeout_s=None if timeout_s is None else float(timeout_s),
        reply_to=_field(document, "reply_to", (str, type(None))),
    )


def encode_reply(reply: Reply, *, size_max: int) -> bytes:
    """The reply as JSON; one whose result cannot travel becomes the fault BAD_RESULT."""
    fault = None if reply.fault is None else [reply.fault.kind, reply.fault.message[:FAULT_MESSAGE_MAX]]
    try:
        return _encode({"id": reply.id, "result": reply.result, "fault": fault}, size_max)
    except BadMessage as error:
        return _encode({"id": reply.id, "result": None, "fault": [BAD_RESULT, str(error)]}, size_max)


def decode_reply(data: bytes) -> Reply:
    """The reply that ``data`` holds. Raises BadMessage."""
    document = _decode(data)
    fault = _field(document, "fault", (list, type(None)))
    if fault is not None and (len(fault) != 2 or not all(isinstance(text, str) for text in fault)):
        raise BadMessage("the fault of a reply is not a kind and a message")
    return Reply(_field(document, "id", str), document.get("result"), None if fault is None else Fault(*fault))


def _encode(document: Mapping[str, Any], size_max: int) -> bytes:
    try:
        data = _encoder.encode(document).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadMessage(f"not JSON: {error}") from None
    if len(data) > size_max:
        raise MessageTooLarge(f"{len(data)} bytes, and {size_max} are the most that travel")
    return data


def _decode(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadMessage("not a JSON object")
    return document


def _field(document: Mapping[str, Any], name: str, kind: type[Any] | tuple[type[Any], ...]) -> Any:
    found = document.get(name)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise BadMessage(f"the field {name} is missing or not of its type")
    return found


_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
