"""Files that leave, or come back into, the engine of files: linked where they can be, else copied and compared.

Law: a file is whole and durable under a temporary name before it gets its own; who interrupts it leaves only the former.
"""

from __future__ import annotations

import contextlib
import errno

from nova_objectstore.checksums import CRC64NVME, new_digest
from nova_objectstore.data.filesystem import FileSystem
from nova_objectstore.limits import MiB

TEMPORARY_SUFFIX = ".part"
_STEP = 4 * MiB
CANNOT_LINK = frozenset((errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP))


def export_file(filesystem: FileSystem, source: str | None, fd: int, target: str, *, digest: bytes | None) -> bool:
    """Give the bytes of ``fd`` the new name ``target``; False, and nothing done, when they have not that ``digest``.

    ``source``: the file's name, to be linked; None, or where it cannot be linked: its bytes are copied and synced. The
    directory's entry is the caller's to sync. Raises OSError. Blocking.
    """
    if source is not None and _link(filesystem, source, target):
        return True
    temporary = target + TEMPORARY_SUFFIX
    with contextlib.suppress(FileNotFoundError):  # what somebody who was interrupted has left
        filesystem.unlink(temporary)
    try:
        is_sound = _copy(filesystem, fd, temporary) == digest or digest is None
        if is_sound:
            filesystem.link(temporary, target)
    finally:
        filesystem.unlink(temporary)
    return is_sound


def _link(filesystem: FileSystem, source: str, target: str) -> bool:
    try:
        filesystem.link(source, target)
    except OSError as error:
        if error.errno in CANNOT_LINK:
            return False
        raise
    return True


def _copy(filesystem: FileSystem, fd: int, path: str) -> bytes:
    """Copy all bytes into a new file, durably; answer their CRC64NVME."""
    digest = new_digest(CRC64NVME)
    target = filesystem.create(path)
    try:
        offset = 0
        while data := filesystem.read(fd, offset, _STEP):
            digest.update(data)
            rest = memoryview(data)
            while rest:
                rest = rest[filesystem.write(target, rest) :]
            offset += len(data)
        filesystem.sync_file(target)
    finally:
        filesystem.close(target)
    return digest.digest()
