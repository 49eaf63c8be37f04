"""Pages of IAM's lists: ``Marker``, ``MaxItems``, ``IsTruncated``. A marker names the last thing of the page before."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from nova_objectstore.iam.limits import PAGE_DEFAULT, PAGE_MAX
from nova_objectstore.query.documents import element, flag, members
from nova_objectstore.query.faults import ValidationError
from nova_objectstore.query.request import QueryRequest

Item = TypeVar("Item")


class Page(NamedTuple):
    """What of a list is asked for: what comes behind ``after``, at most ``limit``."""

    after: str
    limit: int

    def of(self, items: Sequence[Item], name: Callable[[Item], str]) -> Sequence[Item]:
        """The page, and one more thing, of a list that is at hand in the order of its names."""
        return [item for item in items if name(item) > self.after][: self.limit + 1]

    def render(
        self, title: str, items: Sequence[Item], name: Callable[[Item], str], row: Callable[[Item], str]
    ) -> Iterator[str]:
        """The elements of a page, given with one thing more when there is one."""
        shown = items[: self.limit]
        yield members(title, (row(item) for item in shown))
        yield from self.end(name(shown[-1]) if len(items) > self.limit else "")

    @staticmethod
    def end(marker: str) -> Iterator[str]:
        """Whether there is more, and behind which name."""
        yield flag("IsTruncated", bool(marker))
        if marker:
            yield element("Marker", urlsafe_b64encode(marker.encode()).decode())


def read_page(req: QueryRequest) -> Page:
    """The page that a request asks for. Raises ValidationError."""
    limit = req.parameters.number("MaxItems", PAGE_DEFAULT, low=1, high=PAGE_MAX)
    marker = req.parameters.text("Marker")
    try:
        after = b64decode(marker, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise ValidationError("Invalid Marker.") from None
    return Page(after, limit)
