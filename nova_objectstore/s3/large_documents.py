"""Large XML documents, a few at a time: as a tree each is some twenty times its bytes, and while it is read others run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nova_objectstore.limits import XML_LARGE_AT_ONCE, XML_LARGE_BYTES

_turns = threading.BoundedSemaphore(XML_LARGE_AT_ONCE)


@contextmanager
def in_turn(document: bytes) -> Iterator[None]:
    """Within the ``with`` the document may be a tree: a large one waits until there are few enough of them."""
    if len(document) <= XML_LARGE_BYTES:
        yield
        return
    with _turns:
        yield
