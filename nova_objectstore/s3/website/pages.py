"""The error pages of websites that have no document for them (AWS: "Configuring a custom error document")."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from nova_objectstore.s3.answer import STATUS_LINES, Answer

HTML = "text/html; charset=utf-8"


class Fault(NamedTuple):
    """An error as pages tell it."""

    code: str
    message: str
    facts: Mapping[str, Any]

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What there is to say, line by line."""
        return [
            ("Code", self.code),
            ("Message", self.message),
            *((name, str(value)) for name, value in self.facts.items()),
        ]


def render_page(
    status: int, fault: Fault, *, request_id: str, host_id: str, document_fault: Fault | None = None
) -> Answer:
    """An error page; ``document_fault`` says why the website's own error document could not be sent."""
    title = html.escape(STATUS_LINES[status])
    rows = _list((*fault.rows, ("RequestId", request_id), ("HostId", host_id)))
    more = ""
    if document_fault is not None:
        more = (
            "<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n"
            f"{_list(document_fault.rows)}"
        )
    page = (
        f"<html>\n<head><title>{title}</title></head>\n<body>\n<h1>{title}</h1>\n{rows}{more}<hr/>\n</body>\n</html>\n"
    )
    body = page.encode()
    headers = [
        ("Content-Type", HTML),
        ("x-amz-error-code", fault.code),
        ("x-amz-error-message", _header_text(fault.message)),
        *((f"x-amz-error-detail-{name}", _header_text(str(value))) for name, value in fault.facts.items()),
        ("Content-Length", str(len(body))),
    ]
    return Answer(status, headers, (body,))


def _list(rows: tuple[tuple[str, str], ...] | list[tuple[str, str]]) -> str:
    # APPSEC: keys are what anybody puts into a path
    items = "".join(f"<li>{name}: {html.escape(value)}</li>\n" for name, value in rows)
    return f"<ul>\n{items}</ul>\n"


def _header_text(text: str) -> str:
    return quote(text, safe=" !\"#$&'()*+,/:;<=>?@[]^_`{|}~-.")
