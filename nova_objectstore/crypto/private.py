"""Files that their owner alone may read: read only when that is so, and written whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
import stat
from pathlib import Path

from nova_wsgi import green
from nova_wsgi.errors import ConfigError

# Called in native threads, too: the patched os.open would give each of them a hub, with a descriptor of its own.
os = green.original("os")


def read_private(path: Path, *, size_max: int) -> bytes | None:
    """The content; None when there is no such file.

    Raises ConfigError when others than the owner may read or write it, when it is no regular file or a link, when it
    is larger than ``size_max`` bytes, and when it cannot be read. Blocking, but short.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path}: not a regular file")
        if status.st_mode & 0o077:
            raise ConfigError(f"{path}: others than its owner may read or write it; run: chmod 600 {path}")
        content = b""
        while len(content) <= size_max and (piece := os.read(fd, size_max + 1 - len(content))):
            content += piece
    finally:
        os.close(fd)
    if len(content) > size_max:
        raise ConfigError(f"{path}: larger than {size_max} bytes")
    return content


def create_private(path: Path, content: bytes) -> None:
    """Make the file, durably; nothing when there is one. Raises ConfigError. Blocking."""
    _publish(path, content, replace=False, modified_ns=None)


def replace_private(path: Path, content: bytes, *, modified_ns: int | None = None) -> None:
    """Make or replace the file, durably and at once: readers see the old content or the new.

    ``modified_ns`` becomes its time of modification, nanoseconds since 1970. Raises ConfigError. Blocking.
    """
    _publish(path, content, replace=True, modified_ns=modified_ns)


def _publish(path: Path, content: bytes, *, replace: bool, modified_ns: int | None) -> None:
    staged = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            _write(staged, content, modified_ns)
            if replace:
                os.replace(staged, path)
            else:
                with contextlib.suppress(FileExistsError):  # another process was faster: its file stays
                    os.link(staged, path)
        finally:
            staged.unlink(missing_ok=True)
        _sync_directory(path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _write(staged: Path, content: bytes, modified_ns: int | None) -> None:
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        owner = os.stat(staged.parent)
        if os.geteuid() == 0 != owner.st_uid:  # an administrator's command must not take the store's own file from it
            os.fchown(fd, owner.st_uid, owner.st_gid)
        file.write(content)
        file.flush()
        if modified_ns is not None:
            os.utime(fd, ns=(modified_ns, modified_ns))
        os.fsync(fd)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
