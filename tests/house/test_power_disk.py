"""The disk of the power failure tests forgets what it may forget, and nothing else; the journal is read from a trace."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.power_disk import BYTES, DROPPED, FIXED, KEPT, NAMES, SECTOR, Disk, Fate, torn
from support.power_trace import (
    Journal,
    Linked,
    Made,
    Operation,
    Removed,
    Renamed,
    Resized,
    Synced,
    Unmodelled,
    Written,
)

MADE = (Made("/d/s", "directory"), Synced("/d", 1), Made("/d/s/a", "file"))


def left(tmp_path: Path, fate: Fate, *operations: Operation) -> dict[str, bytes]:
    """The files that are there after a cut."""
    disk = Disk("/d/s")
    for index, operation in enumerate(operations):
        disk.apply(index, operation)
    target = tmp_path / "left"
    shutil.rmtree(target, ignore_errors=True)
    disk.lay_out(target, fate)
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def test_a_directory_whose_parent_was_not_synced_is_not_there(tmp_path: Path) -> None:
    left(tmp_path, DROPPED, Made("/d/s", "directory"), Made("/d/s/a", "file"), Synced("/d/s", 2))

    assert not (tmp_path / "left").exists()


def test_what_was_synced_is_there_whatever_happens(tmp_path: Path) -> None:
    done = (*MADE, Written("/d/s/a", 0, b"bytes"), Synced("/d/s/a", 4), Synced("/d/s", 5))

    for fate in (*FIXED, *map(torn, range(20))):
        assert left(tmp_path, fate, *done) == {"a": b"bytes"}


def test_what_was_not_synced_is_there_in_part(tmp_path: Path) -> None:
    done = (*MADE, Written("/d/s/a", 0, b"old"), Synced("/d/s/a", 4), Synced("/d/s", 5), Written("/d/s/a", 3, b"new"))

    assert left(tmp_path, DROPPED, *done) == {"a": b"old"}
    assert left(tmp_path, NAMES, *done) == {"a": b"old\0\0\0"}
    assert left(tmp_path, BYTES, *done) == {"a": b"oldnew"}
    assert left(tmp_path, KEPT, *done) == {"a": b"oldnew"}


def test_a_sync_vouches_for_what_had_ended_when_it_began(tmp_path: Path) -> None:
    done = (*MADE, Synced("/d/s", 3), Written("/d/s/a", 0, b"1"), Written("/d/s/a", 1, b"2"), Synced("/d/s/a", 5))

    assert left(tmp_path, DROPPED, *done) == {"a": b"1"}


def test_a_name_needs_its_directory_and_a_file_its_own_sync(tmp_path: Path) -> None:
    done = (*MADE, Written("/d/s/a", 0, b"bytes"))

    assert left(tmp_path, DROPPED, *done, Synced("/d/s/a", 4)) == {}
    assert left(tmp_path, DROPPED, *done, Synced("/d/s", 4)) == {"a": b""}


def test_renaming_and_removing_are_lost_too(tmp_path: Path) -> None:
    done = (*MADE, Synced("/d/s", 3), Renamed("/d/s/a", "/d/s/b"), Linked("/d/s/b", "/d/s/c"), Removed("/d/s/b"))

    assert left(tmp_path, DROPPED, *done).keys() == {"a"}
    assert left(tmp_path, KEPT, *done).keys() == {"c"}
    assert left(tmp_path, DROPPED, *done, Synced("/d/s", 7)).keys() == {"c"}
    outcomes = {"".join(sorted(left(tmp_path, torn(seed), *done))) for seed in range(60)}
    assert {"a", "b", "bc"} <= outcomes
    assert outcomes <= {"", "a", "b", "c", "bc", "ac"}


def test_a_rename_is_whole(tmp_path: Path) -> None:
    done = (*MADE, Synced("/d/s", 3), Renamed("/d/s/a", "/d/s/b"))

    assert {"".join(left(tmp_path, torn(seed), *done)) for seed in range(30)} == {"a", "b"}


def test_sectors_are_torn_and_each_is_old_or_new(tmp_path: Path) -> None:
    old, new = b"o" * 8 * SECTOR, b"n" * 8 * SECTOR
    done = (*MADE, Written("/d/s/a", 0, old), Synced("/d/s/a", 4), Synced("/d/s", 5), Written("/d/s/a", 0, new))
    found = [left(tmp_path, torn(seed), *done)["a"] for seed in range(30)]

    sectors = {data[start : start + SECTOR] for data in found for start in range(0, len(data), SECTOR)}
    assert sectors == {old[:SECTOR], new[:SECTOR]}
    assert any(data not in (old, new) for data in found)


def test_lengths(tmp_path: Path) -> None:
    done = (
        *MADE,
        Synced("/d/s", 3),
        Written("/d/s/a", 0, b"bytes"),
        Resized("/d/s/a", 2),
        Resized("/d/s/a", 1, grows=True),
    )

    assert left(tmp_path, KEPT, *done) == {"a": b"by"}
    assert left(tmp_path, KEPT, *done, Resized("/d/s/a", 4, grows=True)) == {"a": b"by\0\0"}


def quoted(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def read(tmp_path: Path, *lines: str) -> Journal:
    journal = Journal("/d/s")
    (tmp_path / "trace").write_text("\n".join(lines) + "\n")
    journal.read(tmp_path / "trace")
    return journal


def test_a_trace_is_read(tmp_path: Path) -> None:
    root, path, socket = quoted("/d/s"), quoted("/d/s/a"), quoted("socket:[7]")
    answer = quoted("HTTP/1.1 200 OK\r\nx-amz-request-id: ID1\r\n\r\n")
    journal = read(
        tmp_path,
        f'1 mkdir("{root}", 0700) = 0',
        f'1 openat(AT_FDCWD<{quoted("/")}>, "{path}", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 3<{path}>',
        f'1 mkdir("{root}", 0700) = -1 EEXIST (File exists)',
        f"1 fsync(3<{path}> <unfinished ...>",
        f'2 write(3<{path}>, "{quoted("bytes")}", 5) = 5',
        "1 <... fsync resumed>) = 0",
        f'2 sendto(4<{socket}>, "{answer}", 40, 0, NULL, 0 <unfinished ...>',
        f'1 unlink("{path}") = 0',
        "2 <... sendto resumed>) = 40",
        "1 +++ exited with 0 +++",
    )

    assert journal.operations == [
        Made("/d/s", "directory"),
        Made("/d/s/a", "file"),
        Written("/d/s/a", 0, b"bytes"),
        Synced("/d/s/a", 2),
        Removed("/d/s/a"),
    ]
    assert journal.answers == {"ID1": 4}


def test_what_is_not_understood_is_an_error(tmp_path: Path) -> None:
    root, path = quoted("/d/s"), quoted("/d/s/a")
    made = (f'1 mkdir("{root}", 0700) = 0', f'1 openat(AT_FDCWD<{root}>, "{path}", O_RDWR|O_CREAT, 0600) = 3<{path}>')
    for line in (
        f'1 pwritev(3<{path}>, [{{iov_base="", iov_len=0}}], 1, 0) = 0',
        f"1 copy_file_range(3<{path}>, NULL, 3<{path}>, NULL, 5, 0) = 5",
        f"1 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 3<{path}>, 0) = 0x7f",
    ):
        with pytest.raises(Unmodelled):
            read(tmp_path, *made, line)
