"""Compiler: statements in Core -> SQL text with numbered parameters, for one dialect.

Compiling needs SQLAlchemy (200 ms and 12 MB per process) and 60 ms more for all statements; so the outcome is kept in
``compiled/<dialect>.json`` together with a fingerprint of the sources it was made from. Sources that were edited since are
compiled afresh when an engine opens: right, but slow. ``python -m nova_objectstore.meta.sql.compiler`` brings the file up to
date, and a test says when that is due.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import STATEMENTS, Statement

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect

_HERE = Path(__file__).parent
_PLACEHOLDER = {"sqlite": "?{}", "postgresql": "${}"}  # how a dialect writes its n-th parameter
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]\w*)")


class Compiled(NamedTuple):
    """What an engine needs of this package: each statement's text, and the statements that make an empty schema."""

    texts: Mapping[Statement, str]
    schema: tuple[str, ...]


def load(dialect: str) -> Compiled:
    """The statements for ``dialect`` (sqlite, postgresql), from the kept file when it is that of these sources."""
    try:
        kept = json.loads(_kept_path(dialect).read_text(encoding="utf-8"))
    except FileNotFoundError:
        kept = {}
    if kept.get("fingerprint") != fingerprint():
        kept = compile_all(dialect)
    return Compiled({STATEMENTS[name]: text for name, text in kept["statements"].items()}, tuple(kept["schema"]))


def fingerprint() -> str:
    """A digest of the sources that the compiled statements come from."""
    digest = hashlib.sha256()
    for path in (*sorted(_HERE.glob("schema*.py")), Path(__file__), *sorted((_HERE / "statements").glob("*.py"))):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def compile_all(dialect: str) -> dict[str, Any]:
    """Compile every statement and the schema: the content of the kept file."""
    core = _core_dialect(dialect)
    return {
        "fingerprint": fingerprint(),
        "schema": compile_schema(core),
        "statements": {name: _compile(found, core, dialect) for name, found in sorted(STATEMENTS.items())},
    }


def compile_schema(core: Dialect) -> list[str]:
    """The statements that make every table and index in an empty database."""
    schema = importlib.import_module("sqlalchemy.schema")
    made: list[str] = []
    for table in t.metadata.sorted_tables:
        made.append(str(schema.CreateTable(table).compile(dialect=core)).strip())
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made.extend(str(schema.CreateIndex(index).compile(dialect=core)).strip() for index in indexes)
    return [*made, t.SEED]


def _compile(found: Statement, core: Dialect, dialect: str) -> str:
    """One statement's text. Parameters are bound as p1, p2, ...; what else is bound are constants, written in place."""
    params: list[sa.BindParameter[Any]] = [sa.bindparam(f"p{number}") for number in range(1, len(found.params) + 1)]
    compiled = found.build(*params).compile(dialect=core)
    used: set[str] = set()

    def place(match: re.Match[str]) -> str:
        name = match[1]
        if re.fullmatch(r"p\d+", name):
            used.add(name)
            return _PLACEHOLDER[dialect].format(name[1:])
        return _literal(compiled.params[name])

    text = _PARAMETER.sub(place, str(compiled))
    assert used == {param.key for param in params}, f"{found}: parameters that it does not use"
    return re.sub(r"\s*\n\s*", " ", text)


def _literal(value: object) -> str:
    if isinstance(value, int):
        return str(int(value))
    assert isinstance(value, str), value
    return "'" + value.replace("'", "''") + "'"


def _core_dialect(dialect: str) -> Dialect:
    module = importlib.import_module(f"sqlalchemy.dialects.{dialect}")
    return module.dialect(paramstyle="named")  # type: ignore[no-any-return]


def _kept_path(dialect: str) -> Path:
    return _HERE / "compiled" / f"{dialect}.json"


def main() -> None:
    """Write the kept file of each dialect that has one."""
    importlib.import_module("nova_objectstore.meta.sql.engine")  # declares every statement
    for dialect in sys.argv[1:] or ["sqlite"]:
        text = json.dumps(importlib.import_module(__spec__.name).compile_all(dialect), indent=1)
        _kept_path(dialect).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
