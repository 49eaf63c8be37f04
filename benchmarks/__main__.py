"""``make bench``: the store and its yardsticks measured alternately, in one run; medians, ratios, and what must hold of them."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import plot, report, servers, workloads
from benchmarks.lab import Lab, Settings
from benchmarks.report import Result
from benchmarks.row import Row

TABLE_WIDTH = 160  # where the output is no terminal


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--list", action="store_true", help="show the rows and their bounds, and exit")
    parser.add_argument(
        "--only", metavar="ROW,ROW", default="", help="these rows: names, or patterns of them (get-4k,'list-*')"
    )
    parser.add_argument("--all", action="store_true", help="every row, not only the short default set")
    parser.add_argument(
        "--rounds", type=int, default=3, help="how often every subject of a row is measured (default: 3)"
    )
    parser.add_argument("--seconds", type=int, default=1, help="how long a load runs in a round (default: 1)")
    parser.add_argument(
        "--connections", type=int, default=32, help="keep-alive connections of small loads (default: 32)"
    )
    parser.add_argument(
        "--directory", metavar="DIR", help="where servers keep their state meanwhile (default: a temporary one)"
    )
    parser.add_argument("--json", metavar="FILE", help="write every sample to this file")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables as Markdown to this file")
    parser.add_argument("--plot", metavar="FILE", help="draw the results into this PNG (extra `bench`)")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bound does not hold")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure, print, write; the exit status."""
    options = parse()
    try:
        rows = workloads.choose([term for term in options.only.split(",") if term], everything=options.all)
    except workloads.UnknownRow as error:
        print(f"no row is called {error}; --list shows them", file=sys.stderr)
        return 2
    if options.list:
        show_rows(rows if options.only or options.all else workloads.ROWS)
        return 0
    servers.raise_file_limit()
    results = run(rows, options)
    write(results, options)
    return 1 if options.check and report.missed(results) else 0


def show_rows(rows: Sequence[Row]) -> None:
    """Names, titles, bounds; a star marks the default set."""
    for row in rows:
        print(f"{'*' if row.is_default else ' '} {row.name:24} {row.title}")
        for _, bound, *_ in report.bound_lines([Result(row.name, row.title, row.shows, row.bounds)]):
            print(f"{'':27}{bound}")


def run(rows: Sequence[Row], options: argparse.Namespace) -> list[Result]:
    """Measure the rows, one after the other, each in rounds. What fails is told, and the others go on.

    Ctrl-C ends the measuring; what was measured is kept.
    """
    console = Console(stderr=True)
    results: list[Result] = []
    try:
        with ExitStack() as stack:
            measure_all(rows, options, console, stack, results)
    except KeyboardInterrupt:
        console.print("stopped; the rows so far:")
    except (
        OSError,
        TimeoutError,
    ) as error:  # a server that does not end as it should: the figures are there all the same
        console.print(f"at the end: {error}", markup=False)
    return results


def measure_all(
    rows: Sequence[Row], options: argparse.Namespace, console: Console, stack: ExitStack, results: list[Result]
) -> None:
    """Append a Result for each row; servers, directory and progress bar live as long as ``stack``."""
    parent = options.directory and str(Path(options.directory).absolute())
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nova-bench-", dir=parent)))
    columns = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    progress = stack.enter_context(Progress(*columns, console=console, disable=not console.is_terminal))
    task = progress.add_task("", total=len(rows) * options.rounds)
    lab = Lab(Settings(directory, options.seconds, options.connections, console.print), stack)
    for number, row in enumerate(rows, 1):
        progress.update(task, description=row.name)
        result = measure(row, lab, options.rounds, lambda: progress.advance(task))
        progress.update(task, completed=number * options.rounds)
        results.append(result)
        if result.failure:
            console.print(f"{row.name} failed: {result.failure}", markup=False)


def measure(row: Row, lab: Lab, rounds: int, advance: Callable[[], None]) -> Result:
    """One row: all subjects in every round, in turns backwards and forwards so that none is always the first."""
    result = Result(row.name, row.title, row.shows, row.bounds)
    try:
        subjects = row.prepare(lab)
        result.samples = {name: [] for name in subjects}
        for number in range(rounds):
            for name, take in list(subjects.items())[:: -1 if number % 2 else 1]:
                result.samples[name].append(take())
            advance()
    except Exception as error:  # noqa: BLE001  whatever a server or a load does, the other rows are worth having
        result.failure = f"{type(error).__name__}: {error}"
    return result


def write(results: Sequence[Result], options: argparse.Namespace) -> None:
    """The tables on standard output, and the files that were asked for."""
    console = Console()
    report.show(results, console if console.is_terminal else Console(width=TABLE_WIDTH))
    if options.json:
        Path(options.json).write_text(json.dumps(report.as_json(results), indent=1) + "\n")
    if options.markdown:
        Path(options.markdown).write_text(report.markdown(results))
    if options.plot:
        plot.draw(results, Path(options.plot))


if __name__ == "__main__":
    sys.exit(main())
