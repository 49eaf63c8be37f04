"""Current versions that were read a moment ago, trusted as long as nobody has committed anything since.

Clients ask for the same object again and again: HEAD before GET, the ranges of one large object, a package that everybody
installs. A read that finds its version here costs no statement.

Law: what it answers is what the database would answer now. Versions are kept under the wal-index's mark, taken before they
were read and unchanged after; the first look under another mark forgets them all.
"""

from __future__ import annotations

from nova_objectstore.limits import MiB
from nova_objectstore.meta.sqlite.wal_index import WalIndex
from nova_objectstore.types import INLINE, Version

VERSIONS_MAX = 1024
INLINE_BYTES_MAX = 2 * MiB  # of small objects' bytes


class VersionCache:
    """Keeps versions by bucket and key."""

    def __init__(self, index: WalIndex) -> None:
        self.index = index
        self._mark = b""
        # By what was asked for: a version with its bytes is another value than the same without them.
        self._versions: dict[tuple[int, str, bool], Version] = {}
        self._inline_bytes = 0

    def find(self, bucket_id: int, key: str, *, inline: bool) -> Version | None:
        """The key's current version, with a small object's bytes when ``inline``; None when it must be read."""
        mark = self.index.mark()
        if mark != self._mark:
            self._forget()
            self._mark = mark
            return None
        return self._versions.get((bucket_id, key, inline))

    def keep(self, version: Version, *, inline: bool) -> None:
        """Keep what was read after ``find`` had none."""
        if self.index.mark() != self._mark:
            return  # somebody has committed meanwhile: perhaps after it was read
        size = len(version.content.inline or b"")
        if len(self._versions) >= VERSIONS_MAX or self._inline_bytes + size > INLINE_BYTES_MAX:
            self._forget()
        self._inline_bytes += size
        self._versions[version.bucket_id, version.key, inline] = version
        if inline and version.content.kind is not INLINE:
            self._versions[version.bucket_id, version.key, False] = version

    def _forget(self) -> None:
        self._versions.clear()
        self._inline_bytes = 0
