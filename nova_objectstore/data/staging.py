"""Staging: what a process has written and not settled yet, and what dead processes left behind.

Strategy: ``pending/<owner>/`` holds a hard link for every ref that its process has not settled; the process keeps
``pending/<owner>.lock`` flocked for its life, so that everybody on the host can tell the dead by the kernel's word.

Laws:

- The lock file is made and locked before the directory and removed after it: if it can be taken, the owner is dead.
- Whoever finds a dead owner's directory takes its lock before touching it, and holds it until all is decided.
- An entry is removed after what it stands for: a crash in between is found again by the next who looks.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator

from nova_objectstore.data.filesystem import FileSystem
from nova_objectstore.data.names import is_owner, is_ref, new_owner

LOCK_SUFFIX = ".lock"
_CLAIM_TRIES_MAX = 10  # a claim fails only when somebody sweeps stray locks in the very moment


class Staging:
    """One process's own staging directory under ``root``, and those of the dead that it has adopted."""

    def __init__(self, root: str, filesystem: FileSystem, *, sync_directory: Callable[[str], None]) -> None:
        self._root = root
        self._fs = filesystem
        self._sync_directory = sync_directory
        self._owner = ""
        self._locks: dict[str, int] = {}  # owner -> descriptor: our own, and those of the dead that we clear up
        self._adopted: dict[str, str] = {}  # ref -> the dead owner it was found with
        self.pid = 0

    # -- our own -----------------------------------------------------------------------------------------------------

    def claim(self) -> None:
        """Make and lock a directory of our own. Idempotent. Raises OSError."""
        if self._owner:
            return
        for _ in range(_CLAIM_TRIES_MAX):
            owner = new_owner(os.getpid())
            lock = self._fs.try_lock(self._lock_path(owner))
            if lock is not None:
                break
        else:
            raise BlockingIOError(f"no lock to be had in {self._root}")
        self._locks[owner] = lock
        try:
            self._fs.make_directory(self._directory(owner))
            self._sync_directory(self._root)
        except OSError:
            self._drop(owner)
            raise
        self._owner, self.pid = owner, os.getpid()

    def release(self) -> None:
        """Give our directory and all adopted ones up; what is still in them becomes a dead owner's. Idempotent."""
        self._owner = ""
        self._adopted.clear()
        for owner in list(self._locks):
            self._drop(owner)
            self._unlock(owner)

    def path(self, ref: str) -> str:
        """Where a ref of ours is staged. Raises OSError when we have no directory: before claim, after release."""
        if not self._owner:
            raise OSError(errno.ESHUTDOWN, "the data engine is not started")
        return f"{self._directory(self._owner)}/{ref}"

    def sync(self) -> None:
        """Make our directory's entries durable. Raises OSError."""
        self._sync_directory(self._directory(self._owner))

    def rename(self, ref: str, name: str) -> None:
        """Give what is staged as ``ref`` its whole ref. Raises OSError."""
        self._fs.rename(self.path(ref), self.path(name))

    def remove(self, ref: str) -> bool:
        """Remove a ref's entry, ours or an adopted one; whether it is gone. A directory adopted for it goes with its last.

        Never raises. An entry that the system refuses to remove stays ours, and is found again when we are dead.
        """
        owner = self._adopted.get(ref, self._owner)
        try:
            self._fs.unlink(f"{self._directory(owner)}/{ref}")
        except FileNotFoundError:
            pass
        except OSError:
            return False
        self._adopted.pop(ref, None)
        if owner != self._owner:
            self._drop(owner)
        return True

    def has(self, ref: str) -> bool:
        """Whether a ref has an entry, of ours or an adopted one. Raises OSError."""
        owner = self._adopted.get(ref, self._owner)
        return bool(owner) and self._fs.exists(f"{self._directory(owner)}/{ref}")

    def list_staged(self) -> set[str]:
        """What any process, alive or dead, has not settled. Raises OSError."""
        staged: set[str] = set()
        for owner in filter(is_owner, self._fs.list_directory(self._root)):
            with contextlib.suppress(FileNotFoundError):  # cleared up meanwhile
                staged.update(self._fs.list_directory(self._directory(owner)))
        return staged

    # -- of the dead -------------------------------------------------------------------------------------------------

    def list_unsettled(self, is_committed: Callable[[str], bool]) -> Iterator[str]:
        """Yield what the dead committed and did not settle; remove what they did not commit. Raises OSError.

        Those adopted before and still undecided are told again.
        """
        self._sweep_locks()
        for owner in self._fs.list_directory(self._root):
            if is_owner(owner) and owner != self._owner and self._adopt(owner):
                yield from self._walk(owner, is_committed)
                self._drop(owner)

    def _adopt(self, owner: str) -> bool:
        """Whether the owner is dead and its directory ours to clear up."""
        if owner in self._locks:
            return True
        lock = self._fs.try_lock(self._lock_path(owner))
        if lock is None:
            return False
        self._locks[owner] = lock
        return True

    def _walk(self, owner: str, is_committed: Callable[[str], bool]) -> Iterator[str]:
        directory = self._directory(owner)
        try:
            names = self._fs.list_directory(directory)
        except FileNotFoundError:  # another process has just finished with it
            return
        for ref in filter(is_ref, names):
            if is_committed(ref):
                self._adopted[ref] = owner
                yield ref
            else:
                with contextlib.suppress(FileNotFoundError):
                    self._fs.unlink(f"{directory}/{ref}")

    def _sweep_locks(self) -> None:
        """Remove lock files whose owners died before they had a directory."""
        names = set(self._fs.list_directory(self._root))
        for name in names:
            owner = name.removesuffix(LOCK_SUFFIX)
            if name != owner and is_owner(owner) and owner not in names and owner not in self._locks:
                lock = self._fs.try_lock(self._lock_path(owner))
                if lock is not None:
                    self._locks[owner] = lock
                    self._drop(owner)

    # -- directories and locks ---------------------------------------------------------------------------------------

    def _drop(self, owner: str) -> None:
        """Remove an owner's directory if it is empty by now, and its lock with it."""
        try:
            self._fs.remove_directory(self._directory(owner))
        except FileNotFoundError:
            pass
        except OSError:  # not empty, or a failing disk: it stays, for us or for the next who looks
            return
        with contextlib.suppress(OSError):
            self._fs.unlink(self._lock_path(owner))
        self._unlock(owner)

    def _unlock(self, owner: str) -> None:
        lock = self._locks.pop(owner, None)
        if lock is not None:
            with contextlib.suppress(OSError):
                self._fs.close(lock)

    def _directory(self, owner: str) -> str:
        return f"{self._root}/{owner}"

    def _lock_path(self, owner: str) -> str:
        return f"{self._root}/{owner}{LOCK_SUFFIX}"
