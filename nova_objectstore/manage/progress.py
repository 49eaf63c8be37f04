"""How far a long command is: a bar on a terminal, nothing anywhere else. It goes to standard error, beside the report."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

REFRESH_S = 0.1  # ten frames a second: drawing costs more than a step of what is shown

Tell = Callable[[int, int], None]
"""Called with the bytes done and the bytes there are in all."""


@contextmanager
def show_progress(out: TextIO, what: str) -> Iterator[Tell]:
    """Draw a bar named ``what`` on ``out`` while the block runs; it vanishes at the end."""
    if not out.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # only a terminal needs it, and it takes a tenth of a second
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    # Drawn by us: rich's own thread would not run while the command computes.
    bar = Progress(*columns, TimeRemainingColumn(), console=Console(file=out), auto_refresh=False, transient=True)
    drawn_s = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal drawn_s
        bar.update(task, completed=done, total=total)
        now_s = time.monotonic()
        if now_s - drawn_s >= REFRESH_S or done == total:
            drawn_s = now_s
            bar.refresh()

    with bar:
        task = bar.add_task(what, total=None)
        yield tell
