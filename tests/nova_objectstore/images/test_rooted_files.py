"""Files below a directory that others write in: only regular ones, and never by a link, whoever exchanges what meanwhile."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import pytest

from nova_objectstore.images.rooted_files import open_below
from nova_wsgi import green

THREAD = green.original("threading")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"secret")
    made = tmp_path / "root"
    (made / "a" / "b").mkdir(parents=True)
    (made / "a" / "b" / "file").write_bytes(b"data")
    return made


def read(root: Path, name: str) -> bytes:
    with open_below(root, PurePosixPath(name)) as file:
        return file.read()


def test_a_file_is_read(root: Path) -> None:
    assert read(root, "a/b/file") == b"data"
    assert read(root, "./a//b/file") == b"data"
    (root.parent / "way").symlink_to(root)
    assert read(root.parent / "way", "a/b/file") == b"data", "the root is the administrator's word"


@pytest.mark.parametrize("name", ["", "..", "../outside/file", "a/../../outside/file", "/etc/passwd", "a/b/.."])
def test_a_name_does_not_leave_the_root(root: Path, name: str) -> None:
    with pytest.raises(OSError) as caught:
        read(root, name)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize(
    ("link", "target", "name", "code"),
    [
        ("link", "../outside/file", "link", errno.ELOOP),
        ("link", "a/b/file", "link", errno.ELOOP),
        ("link", "link", "link", errno.ELOOP),
        ("way", "../outside", "way/file", errno.ENOTDIR),
        ("way", "a/b", "way/file", errno.ENOTDIR),
        ("a/b/up", "../..", "a/b/up/a/b/file", errno.ENOTDIR),
    ],
)
def test_no_link_is_followed(root: Path, link: str, target: str, name: str, code: int) -> None:
    (root / link).symlink_to(target)
    with pytest.raises(OSError) as caught:
        read(root, name)
    assert caught.value.errno == code


def test_what_is_no_regular_file_is_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(root / "socket"))
    for name, codes in (("pipe", [errno.EINVAL]), ("socket", [errno.ENXIO]), ("a", [errno.EINVAL])):
        with pytest.raises(OSError) as caught:
            read(root, name)
        assert caught.value.errno in codes


def test_no_descriptor_is_left_open(root: Path) -> None:
    os.mkfifo(root / "pipe")
    before = len(os.listdir("/proc/self/fd"))
    for name in ("a/b/file", "a/b/none", "a/none/file", "a/b/file/x", "pipe"):
        with suppress(OSError):
            read(root, name)
    assert len(os.listdir("/proc/self/fd")) == before


@contextmanager
def exchanging(path: Path, other: Path) -> Iterator[None]:
    """A thread that puts a link to ``other`` in a directory's place, and the directory back, again and again."""
    done = THREAD.Event()
    aside, link = path.with_name("aside"), path.with_name("link")
    link.symlink_to(other)

    def exchange() -> None:
        while not done.is_set():
            path.rename(aside)
            link.rename(path)
            path.rename(link)
            aside.rename(path)

    thread = THREAD.Thread(target=exchange)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_directory_that_is_exchanged_again_and_again(root: Path) -> None:
    outcomes: dict[object, int] = {}
    with exchanging(root / "a" / "b", root.parent / "outside"):
        for _ in range(5000):
            try:
                outcome: object = read(root, "a/b/file")
            except OSError as error:
                outcome = errno.errorcode[error.errno or 0]
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert outcomes.keys() <= {b"data", "ENOENT", "ENOTDIR", "ELOOP"}, outcomes
    assert outcomes.get(b"data")
