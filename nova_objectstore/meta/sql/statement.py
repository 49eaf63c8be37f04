"""Statement: one SQL statement by name; what verbs hand to a transaction.

A statement is written as a function from its parameters to a SQLAlchemy Core construct::

    @statement
    def find_bucket(name: Param) -> Core:
        return sa.select(*t.BUCKET).where(t.buckets.c.name == name)

    row = tx.one(find_bucket, "photos")

The function runs only when the statement is compiled (see ``compiler.py``). Parameters are positional, in its order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Param = Any  # a sqlalchemy.BindParameter while a statement is being built
Core = Any  # a sqlalchemy construct that compiles to one statement

STATEMENTS: dict[str, Statement] = {}


class Statement:
    """A statement's name, its parameters in order, and how to build it in Core. Hashed by identity."""

    __slots__ = ("build", "name", "params")

    def __init__(self, name: str, params: tuple[str, ...], build: Callable[..., Core]) -> None:
        assert name not in STATEMENTS, f"two statements are called {name}"
        self.name = name
        self.params = params
        self.build = build
        STATEMENTS[name] = self

    def __repr__(self) -> str:
        return f"<Statement {self.name}>"


def statement(build: Callable[..., Core]) -> Statement:
    """Declare a statement whose parameters are the function's own."""
    code = build.__code__
    return Statement(build.__name__, code.co_varnames[: code.co_argcount], build)


def statement_of(params: tuple[str, ...]) -> Callable[[Callable[..., Core]], Statement]:
    """Declare a statement over many parameters: the function gets them as one dict, in order."""

    def declare(build: Callable[[dict[str, Param]], Core]) -> Statement:
        return Statement(build.__name__, params, lambda *values: build(dict(zip(params, values, strict=True))))

    return declare
