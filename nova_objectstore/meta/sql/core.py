"""SQLAlchemy Core, imported when a statement must be compiled, and only then.

The import costs a process some 200 ms and 12 MB, and compiling every statement 60 ms more. A release carries the compiled
statements (``compiled/``), so a server never pays it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlalchemy as sa

    from nova_objectstore.meta.sql import schema as t
else:

    class _Later:
        """A module that is imported when its first attribute is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

    sa = _Later("sqlalchemy")
    t = _Later("nova_objectstore.meta.sql.schema")

__all__ = ["sa", "t"]
