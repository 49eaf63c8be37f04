"""What an operation answers, before it is written to the wire."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple

from nova_objectstore.types import new_tuple

Headers = list[tuple[str, str]]

STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
XML_HEADERS = (("Content-Type", "application/xml"),)


class Answer(NamedTuple):
    """Status, headers (Content-Length included, unless the body's length is unknown) and body."""

    status: int
    headers: Headers
    body: Iterable[bytes] = ()


def empty_answer(status: int, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """An answer without a body. 204 and 304 state no length (RFC 9110 section 8.6)."""
    if status in (204, 304):
        return Answer(status, [*headers])
    return new_tuple(Answer, (status, [*headers, ("Content-Length", "0")], ()))


def xml_answer(status: int, document: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """An answer whose body is an XML document."""
    body = document.encode("utf-8", "xmlcharrefreplace")
    return Answer(status, [*XML_HEADERS, *headers, ("Content-Length", str(len(body)))], (body,))
