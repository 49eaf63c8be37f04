"""Between the two engines: data made durable first, metadata second, and what becomes of the data when that fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nova_objectstore.data.engine import DataEngine
from nova_objectstore.errors import EngineError, StoreError
from nova_objectstore.types import DATA, INLINE, Content
from nova_wsgi import green

T = TypeVar("T")


class Commits:
    """Runs the metadata verb that gives freshly written data its name."""

    def __init__(self, data: DataEngine) -> None:
        self._data = data

    def commit(self, content: Content, verb: Callable[[], T]) -> T:
        """Run ``verb``; settle the data when it succeeded, delete it when it was refused.

        After an EngineError the outcome is unknown (the database may have committed and then gone): the data is doubtful,
        and the collector asks the metadata whether it is named.
        """
        try:
            result = verb()
        except EngineError:
            if content.kind is DATA:
                self._data.doubt([content.ref])
            raise
        except StoreError:
            self.discard(content)
            raise
        if content.kind is DATA:
            self._data.settle([content.ref])
        return result

    def discard(self, content: Content) -> None:
        """Delete data that no version will ever name."""
        if content.kind is DATA:
            green.run_native(self._data.delete, content.ref)
            self._data.settle([content.ref])

    def share(self, content: Content) -> Content | None:
        """A second content with the same bytes, without moving them; None where it must be read and written."""
        if content.kind is INLINE and content.inline is not None:
            return content
        if content.kind is DATA:
            ref = green.run_native(self._data.copy, content.ref)
            if ref is not None:
                return Content(DATA, ref)
        return None
