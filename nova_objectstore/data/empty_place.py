"""The directory of an engine of files before the engine runs: what a restore fills."""

from __future__ import annotations

from pathlib import Path

from nova_objectstore.data.exports import export_file
from nova_objectstore.data.filesystem import FileSystem
from nova_objectstore.data.names import FAN_OUT_CHARS
from nova_objectstore.data.places import MARK_NAME


class EmptyPlace:
    """The directory of an engine that does not run yet."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._fs = FileSystem()

    def bring(self, source: Path, ref: str, *, size: int, digest: bytes | None, link: bool) -> bool:
        """Give a file its place, durably but for the directory; False when it is not what was saved. Blocking.

        Raises FileNotFoundError when ``source`` is not there, OSError.
        """
        fd = self._fs.open(str(source))
        try:
            if self._fs.size(fd) != size:
                return False
            target = self.directory / ref[:FAN_OUT_CHARS] / ref
            _make_private(target.parent)
            return export_file(self._fs, str(source) if link else None, fd, str(target), digest=digest)
        finally:
            self._fs.close(fd)

    def write_mark(self, mark: str) -> None:
        """Make the place the one that the metadata know."""
        _make_private(self.directory)
        (self.directory / MARK_NAME).write_text(mark + "\n", encoding="ascii")


def _make_private(directory: Path) -> None:
    """Make a directory and what is missing above it, their owner's alone."""
    if not directory.is_dir():
        _make_private(directory.parent)
        directory.mkdir(mode=0o700, exist_ok=True)
