"""The state directory: made once, so that a power failure does not take it away again with all that lies in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Wait until a directory's entries are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_state_directory(path: Path, *, sync: Callable[[Path], None] = sync_directory) -> None:
    """Make the directory, its owner's alone, and what is missing above it; each durable in the one above. Idempotent.

    fsync(2): "Calling fsync() does not necessarily ensure that the entry in the directory containing the file has also
    reached disk." Raises OSError. Blocking.
    """
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_state_directory(path.parent, sync=sync)
    path.mkdir(mode=0o700, exist_ok=True)
    sync(path.parent)
