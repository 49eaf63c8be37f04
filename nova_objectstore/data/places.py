"""Places of data: a URL whose scheme picks the engine, and the mark by which a place is known again.

    file:///srv/cold/nova    a directory of its own: the embedded engine of files

Laws:

- A place is one store's, and one engine's: its mark is written once, when it is empty, and kept in the metadata too.
- A place without its mark is another one: a disk that is not mounted, a directory that was mixed up. Nothing is written.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from nova_objectstore.data.engine import DataEngine
from nova_objectstore.data.files import FilesEngine
from nova_wsgi.errors import ConfigError

MARK_NAME = "nova-place"


def _open_files(url: str, sync: str) -> DataEngine:
    return FilesEngine(directory_of(url), sync=sync)


SCHEMES: Mapping[str, Callable[[str, str], DataEngine]] = {"file": _open_files}


def directory_of(url: str) -> Path:
    """The directory that a ``file:`` URL names. Raises ConfigError, one line, for any other URL."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError(f"{url}: {error}") from None
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}:///..." for scheme in SCHEMES)
        raise ConfigError(f"{url}: not the URL of a data engine ({known})")
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or "\0" in unquote(parts.path):
        raise ConfigError(f"{url}: a directory of this host is written file:///path")
    directory = Path(unquote(parts.path))
    if not directory.is_absolute() or directory == directory.parent:
        raise ConfigError(f"{url}: not the absolute path of a directory")
    return directory


def open_engine(url: str, *, sync: str) -> DataEngine:
    """The engine of a URL, not started. Raises ConfigError."""
    directory_of(url)
    return SCHEMES[urlsplit(url).scheme](url, sync)


def claim_place(url: str, mark: str | None) -> str:
    """Make sure that the place is there and this store's; answer its mark, which is ``mark`` where it is known already.

    An empty place gets one. Blocking. Raises ConfigError, one line, for a place that is another one or cannot be used.
    """
    directory = directory_of(url)
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = _read_mark(directory)
        if found is None and mark is None:
            return _write_mark(directory)
        if mark is None and found is not None and _holds_data(directory):
            raise ConfigError(f"{url}: another store, or another storage class, has its data there")
    except OSError as error:
        raise ConfigError(f"{url}: {error.strerror}") from error
    if mark is not None and found != mark:
        raise ConfigError(f"{url}: not the place that holds this store's data; is its disk mounted?")
    assert found is not None
    return found


def _read_mark(directory: Path) -> str | None:
    try:
        return (directory / MARK_NAME).read_text("ascii", "replace").strip()
    except FileNotFoundError:
        return None


def _holds_data(directory: Path) -> bool:
    return any(not entry.name.lstrip(".").startswith(MARK_NAME) for entry in directory.iterdir())


def _write_mark(directory: Path) -> str:
    if _holds_data(directory):
        raise OSError(errno.ENOTEMPTY, "the directory is not empty")
    mark = secrets.token_hex(16)
    temporary = directory / f".{MARK_NAME}.{mark}"
    try:
        with open(temporary, "x", encoding="ascii") as file:
            file.write(mark + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, directory / MARK_NAME)
    except FileExistsError:  # another process of this store, or of another one, was faster: the metadata will tell
        return _read_mark(directory) or ""
    finally:
        temporary.unlink(missing_ok=True)
    _sync(directory)
    return mark


def _sync(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
