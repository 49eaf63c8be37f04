"""What the tables of the schema are made of: their collection, and the kinds of columns."""

from __future__ import annotations

from sqlalchemy import BigInteger as _BigInteger
from sqlalchemy import Column, Integer, MetaData, Text

metadata = MetaData()

# SQLite makes a rowid alias only of a column declared INTEGER; other databases need 8 bytes for these.
Big = _BigInteger().with_variant(Integer, "sqlite")


def text(name: str, *, nullable: bool = False) -> Column[str]:
    """A text that is not sorted by."""
    return Column(name, Text(collation=None), nullable=nullable)


def key(name: str) -> Column[str]:
    """A text that sorts as the bytes of its UTF-8."""
    return Column(name, Text().with_variant(Text(collation="C"), "postgresql"), nullable=False)


def number(name: str, *, nullable: bool = False) -> Column[int]:
    """A number, a flag, a time in microseconds."""
    return Column(name, Big, nullable=nullable)
