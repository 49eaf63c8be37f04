"""What lies in the directories of nova's objectstore of 2010: its buckets, objects and images, found and looked at.

Each scan goes through a directory once and yields what it finds, or a Problem, in the order of names; it keeps nothing.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_bucket_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}").fullmatch


class Problem(NamedTuple):
    """Why something is not taken in: its path, and a sentence."""

    path: str
    sentence: str


class Found(NamedTuple):
    """A regular file as it was found. ``name`` is the object's key or the image's id; ``stamp`` tells one state of it.

    ``root`` is the directory that was given, below which nobody's links are followed.
    """

    name: str
    path: Path
    size: int
    stamp: str
    root: Path

    @property
    def modified_us(self) -> int:
        """When it was written last."""
        return int(self.stamp.rpartition(":")[2]) // 1000


class FoundBucket(NamedTuple):
    """A bucket's directory, and the file that says whose it is."""

    name: str
    directory: Path
    description: Path


def stamp_of(facts: os.stat_result) -> str:
    """What tells one state of a file from another."""
    return f"{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}"


def look(name: str, path: Path, root: Path) -> Found | Problem:
    """A file as it is now. Symbolic links are not followed."""
    try:
        facts = path.lstat()
    except OSError as error:
        return unreadable(path, error)
    if not stat.S_ISREG(facts.st_mode):
        return Problem(str(path), "It is not a regular file.")
    return Found(name, path, facts.st_size, stamp_of(facts), root)


def unreadable(path: Path | str, error: OSError) -> Problem:
    """The problem of something that the operating system does not give."""
    return Problem(str(path), f"It cannot be read: {error.strerror}.")


def scan_buckets(path: Path) -> Iterator[FoundBucket | Problem]:
    """Every directory with a ``<bucket>.json`` beside it."""
    for description in sorted(path.glob("*.json")):
        directory = description.with_suffix("")
        if directory.is_symlink() or not directory.is_dir():
            continue  # not a bucket's: the directory is what makes one
        if _bucket_name(directory.name):
            yield FoundBucket(directory.name, directory, description)
        else:
            yield Problem(str(directory), "Its name is not one that a bucket can have.")


def scan_objects(directory: Path) -> Iterator[Found | Problem]:
    """Every file of a bucket; its key is its path inside."""
    problems: list[Problem] = []

    def note(error: OSError) -> None:
        problems.append(unreadable(error.filename, error))

    for root, directories, names in os.walk(directory, onerror=note):
        directories.sort()
        links = [name for name in directories if os.path.islink(os.path.join(root, name))]
        for name in sorted(names + links):
            path = Path(root) / name
            yield look(str(path.relative_to(directory)), path, directory.parent)
    yield from problems


def scan_images(path: Path) -> Iterator[Found | Problem]:
    """Every directory with an ``info.json``; its image lies beside that."""
    for description in sorted(path.glob("*/info.json")):
        yield look(description.parent.name, description.with_name("image"), path)
