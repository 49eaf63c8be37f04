"""XML of the query protocol: ``<ActionResponse>`` with a result and the request id, lists as ``<member>``; and the errors."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from html import escape

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
# What XML 1.0 cannot carry, not even as a reference; object keys may hold it.
_unspeakable = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def element(name: str, text: str) -> str:
    """``<name>text</name>``, escaped; what XML cannot carry becomes U+FFFD."""
    escaped = escape(_unspeakable.sub("\ufffd", text), quote=False).replace("\r", "&#13;")
    return f"<{name}>{escaped}</{name}>"


def optional(name: str, text: str) -> str:
    """The element, when there is text."""
    return element(name, text) if text else ""


def flag(name: str, value: bool) -> str:
    """A boolean."""
    return f"<{name}>{'true' if value else 'false'}</{name}>"


def structure(name: str, content: Iterable[str]) -> str:
    """``<name>...</name>`` around elements."""
    return f"<{name}>{''.join(content)}</{name}>"


def members(name: str, rows: Iterable[str]) -> str:
    """A list: ``<name><member>...</member></name>``."""
    return f"<{name}>{''.join(f'<member>{row}</member>' for row in rows)}</{name}>"


def texts(name: str, values: Iterable[str]) -> str:
    """A list of texts."""
    return f"<{name}>{''.join(element('member', value) for value in values)}</{name}>"


def entries(name: str, mapping: Mapping[str, str]) -> str:
    """A map: ``<name><entry><key>..</key><value>..</value></entry></name>``."""
    rows = (f"<entry>{element('key', key)}{element('value', value)}</entry>" for key, value in mapping.items())
    return f"<{name}>{''.join(rows)}</{name}>"


def tag_list(tags: Mapping[str, str]) -> str:
    """``<Tags>`` as IAM, STS and SNS have them."""
    return members("Tags", (element("Key", key) + element("Value", value) for key, value in tags.items()))


def iso_time(moment_us: int) -> str:
    """``2010-05-14T00:00:00Z``: whole seconds."""
    return datetime.fromtimestamp(moment_us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def response(action: str, namespace: str, request_id: str, result: Iterable[str] | None) -> bytes:
    """The document of an answered action; ``result`` None: it has none."""
    body = "" if result is None else structure(f"{action}Result", result)
    return (
        f'{DECLARATION}<{action}Response xmlns="{namespace}">{body}'
        f"<ResponseMetadata>{element('RequestId', request_id)}</ResponseMetadata></{action}Response>"
    ).encode()


def error_document(code: str, message: str, request_id: str, *, namespace: str, is_receiver: bool) -> bytes:
    """The document of an error. ``is_receiver``: it is not the client's fault."""
    kind = "Receiver" if is_receiver else "Sender"
    return (
        f'{DECLARATION}<ErrorResponse xmlns="{namespace}"><Error>{element("Type", kind)}{element("Code", code)}'
        f"{element('Message', message)}</Error>{element('RequestId', request_id)}</ErrorResponse>"
    ).encode()
