"""Compiler: the tables and statements in Core -> SQL text for a driver, kept in ``compiled/<dialect>.json``.

Importing SQLAlchemy would cost every process 0.2 s and 12 MB, so running programs read the kept text. A test compares
it with the sources; ``tools/render-registry-sql`` writes it anew.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIALECTS = {"sqlite": "named", "postgresql": "pyformat"}  # how their drivers write parameters: :name, %(name)s

_KEPT = Path(__file__).parent / "compiled"


@dataclass(frozen=True, slots=True)
class Compiled:
    """SQL text: the statements that make the tables, and the statements by name."""

    schema: tuple[str, ...]
    statements: Mapping[str, str]


def load(dialect: str) -> Compiled:
    """Read the kept text for a dialect."""
    kept = json.loads(kept_path(dialect).read_text(encoding="utf-8"))
    return Compiled(tuple(kept["schema"]), kept["statements"])


def kept_path(dialect: str) -> Path:
    """Where the text for a dialect is kept."""
    return _KEPT / f"{dialect}.json"


def render(dialect: str) -> str:
    """Compile for a dialect: the content of the kept file. Needs SQLAlchemy."""
    core = importlib.import_module(f"sqlalchemy.dialects.{dialect}").dialect(paramstyle=DIALECTS[dialect])
    statements = importlib.import_module("nova_wsgi.registry.statements").STATEMENTS
    compiled = {
        "schema": _schema(core),
        "statements": {name: _text(statement, core) for name, statement in statements.items()},
    }
    return json.dumps(compiled, indent=1) + "\n"


def _schema(core: Any) -> list[str]:
    schema = importlib.import_module("sqlalchemy.schema")
    made = []
    for table in importlib.import_module("nova_wsgi.registry.tables").metadata.sorted_tables:
        made.append(_text(schema.CreateTable(table, if_not_exists=True), core))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made += [_text(schema.CreateIndex(index, if_not_exists=True), core) for index in indexes]
    return made


def _text(statement: Any, core: Any) -> str:
    return re.sub(r"\s+", " ", str(statement.compile(dialect=core))).strip()
