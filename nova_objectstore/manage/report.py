"""What a command found, for people and for programs: a table on a terminal, plain lines on a pipe, JSON on request.

Laws: the three forms tell the same facts. JSON names them in snake_case, sizes in bytes, times in ISO 8601 (UTC); plain
lines are separated by tabs, under a header where there are several rows.
"""

from __future__ import annotations

import datetime
import enum
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TextIO

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class Kind(enum.Enum):
    """How a column's values are shown."""

    TEXT = enum.auto()
    NUMBER = enum.auto()
    BYTES = enum.auto()
    TIME = enum.auto()  # microseconds since 1970
    FLAG = enum.auto()
    LIST = enum.auto()  # of text


class Column(NamedTuple):
    """One fact: its JSON name, and its title for people (made of the name when empty)."""

    name: str
    kind: Kind = Kind.TEXT
    title: str = ""

    @property
    def heading(self) -> str:
        """The title that people see."""
        return self.title or self.name.replace("_", " ").capitalize()


@dataclass(frozen=True, slots=True)
class Report:
    """Rows of values, in the order of ``columns``; ``is_single`` when there is always exactly one.

    None is a value that is not known. ``text``: what people read instead, where a table cannot show it. ``status``: the
    program's exit code.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]
    is_single: bool = False
    text: str | None = None
    status: int = 0

    @classmethod
    def of_one(cls, facts: Sequence[tuple[Column, Any]], *, status: int = 0) -> Report:
        """A report of one thing."""
        return cls([column for column, _ in facts], [[value for _, value in facts]], is_single=True, status=status)


def print_json(report: Report, out: TextIO) -> None:
    """An array of objects, or the one object."""
    documents = [
        {column.name: _as_json(column.kind, value) for column, value in zip(report.columns, row, strict=True)}
        for row in report.rows
    ]
    print(json.dumps(documents[0] if report.is_single else documents, indent=2, ensure_ascii=False), file=out)


def print_plain(report: Report, out: TextIO) -> None:
    """Lines for grep, cut and awk: ``name<tab>value`` of one thing, a header and rows of several."""
    lines = [[_as_plain(column.kind, value) for column, value in zip(report.columns, row, strict=True)]
             for row in report.rows]  # fmt: skip
    names = [column.name for column in report.columns]
    for line in zip(names, lines[0], strict=True) if report.is_single else [names, *lines]:
        print("\t".join(line), file=out)


def print_table(report: Report, out: TextIO) -> None:
    """A table for a terminal; what does not fit is folded, never cut: it may be a key."""
    from rich import box  # only a terminal needs it, and it takes a tenth of a second
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None if report.is_single else box.SIMPLE_HEAD, show_header=not report.is_single, pad_edge=False)
    lines = [[_as_shown(column.kind, value) for column, value in zip(report.columns, row, strict=True)]
             for row in report.rows]  # fmt: skip
    if report.is_single:
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        lines = [[column.heading, value] for column, value in zip(report.columns, lines[0], strict=True)]
    else:
        for column in report.columns:
            is_number = column.kind in (Kind.NUMBER, Kind.BYTES)
            table.add_column(column.heading, overflow="fold", justify="right" if is_number else "left")
    for line in lines:
        table.add_row(*map(Text, line))
    Console(file=out, highlight=False).print(table)


def print_report(report: Report, out: TextIO, *, as_json: bool) -> None:
    """Print in the form that ``out`` and the caller ask for."""
    if as_json:
        print_json(report, out)
    elif report.text is not None:
        print(report.text, file=out)
    elif out.isatty():
        print_table(report, out)
    else:
        print_plain(report, out)


# -- values --------------------------------------------------------------------------------------------------------


def _as_json(kind: Kind, value: Any) -> Any:
    if value is None:
        return None
    if kind is Kind.TIME:
        return _iso_time(value)
    return list(value) if kind is Kind.LIST else value


def _as_plain(kind: Kind, value: Any) -> str:
    if value is None:
        return ""
    return _PLAIN.get(kind, str)(value)


def _as_shown(kind: Kind, value: Any) -> str:
    if value is None:
        return ""
    if kind is Kind.TIME:
        return _iso_time(value)[:19].replace("T", " ")
    if kind is Kind.BYTES:
        return _human_size(value)
    return f"{value:,}" if kind is Kind.NUMBER else _as_plain(kind, value)


def _iso_time(time_us: int) -> str:
    seconds, micros = divmod(time_us, 1_000_000)
    moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{micros:06}Z"


def _human_size(size: int) -> str:
    value, unit = float(size), 0
    while value >= 1024 and unit + 1 < len(_UNITS):
        value, unit = value / 1024, unit + 1
    return f"{size} B" if unit == 0 else f"{value:.1f} {_UNITS[unit]}"


_PLAIN: dict[Kind, Callable[[Any], str]] = {
    Kind.TIME: _iso_time,
    Kind.FLAG: lambda value: "yes" if value else "no",
    Kind.LIST: ",".join,
}
