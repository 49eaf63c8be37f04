"""The table of contents: every row, in the order in which it is run and shown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import comparison, denial, large, listing, service, small
from benchmarks.row import Row

ROWS: Sequence[Row] = (*small.ROWS, *large.ROWS, *listing.ROWS, *service.ROWS, *denial.ROWS, *comparison.ROWS)


class UnknownRow(Exception):
    """A term chooses no row; it is the text."""


def choose(terms: Sequence[str], *, everything: bool = False) -> Sequence[Row]:
    """The rows that ``terms`` choose; without terms those of the default set, or all. Raises UnknownRow."""
    if not terms:
        return [row for row in ROWS if everything or row.is_default]
    for term in terms:
        if not any(row.is_chosen([term]) for row in ROWS):
            raise UnknownRow(term)
    return [row for row in ROWS if row.is_chosen(terms)]
