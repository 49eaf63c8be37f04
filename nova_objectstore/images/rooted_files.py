"""Files below a directory that others may write in: opened one name after the other, and past no link.

Laws:

- Below the root no symbolic link is followed, however its directories are exchanged meanwhile; the root itself is the
  administrator's word. A name that would leave it is refused.
- What is opened is a regular file: nobody waits for a pipe, and no device is touched beyond being opened.

Source: openat(2), O_NOFOLLOW and O_NONBLOCK in open(2).
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path, PurePath
from typing import BinaryIO

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_below(root: Path, name: PurePath) -> BinaryIO:
    """Open the file ``name`` below ``root`` for reading. Blocking.

    Raises OSError: ELOOP or ENOTDIR where a symbolic link is on the way, EINVAL for what is no regular file or leaves the root.
    """
    parts = name.parts
    if not parts or name.is_absolute() or ".." in parts:
        raise OSError(errno.EINVAL, "a name that leaves its directory", str(name))
    above = os.open(root, _DIRECTORY)
    try:
        for part in parts[:-1]:
            below = os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            os.close(above)
            above = below
        fd = os.open(parts[-1], _FILE, dir_fd=above)
    finally:
        os.close(above)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", str(root / name))
    return open(fd, "rb")
