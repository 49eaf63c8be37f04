"""The spool: whole lines, taken whole, by any number of writers and one taker."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nova_objectstore.delivery import spool as module
from nova_objectstore.delivery.spool import DIRECTORY, Group, Spool, read_batch
from nova_objectstore.domain.access_logging import KeyFormat, LogTarget, Source
from nova_objectstore.domain.acl import Grant, Permission
from nova_wsgi import green

SOURCE = Source("photos", "111122223333", ("111122223333", "c" * 64))
TARGET = LogTarget("logs", "a/b")
START_US = 1_795_000_000_000_000


@pytest.fixture
def spool(tmp_path: Path):
    made = Spool(tmp_path, now_us=lambda: START_US)
    yield made
    made.close()


def group(target: LogTarget = TARGET, event_us: int = START_US) -> Group:
    return Group.of(target, SOURCE, "us-east-1", event_us)


def take(spool: Spool) -> list[Path]:
    return spool.take(begun_before_us=START_US + 1)


def test_what_was_written_is_taken_once_and_after_its_time(spool: Spool) -> None:
    assert take(spool) == []
    spool.write(group(), SOURCE, "one")
    spool.write(group(), SOURCE, 'two "ü"')

    assert spool.take(begun_before_us=START_US) == []
    (path,) = take(spool)
    batch = read_batch(path)

    assert batch.group == group()
    assert batch.records == {SOURCE: ["one", 'two "ü"']}
    assert take(spool) == [path], "until it is unlinked: its worker may have died"
    assert batch.key == read_batch(path).key, "it is stored under one key, however often"


def test_taking_in_native_threads_opens_nothing_that_stays(spool: Spool) -> None:
    def pollers() -> int:
        found = [Path(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")]
        return sum(1 for path in found if path.is_symlink() and os.readlink(path) == "anon_inode:[eventpoll]")

    green.run_native(int)  # which may make what threads are answered through
    before = pollers()
    for _ in range(2 * green.NATIVE_THREADS_MAX):
        spool.write(group(), SOURCE, "one")
        green.run_native(take, spool)
    assert pollers() == before


def test_what_is_written_after_the_end_is_kept_and_leaves_nothing_open(spool: Spool) -> None:
    spool.write(group(), SOURCE, "one")
    spool.close()
    before = len(os.listdir("/proc/self/fd"))
    spool.write(group(), SOURCE, "two")
    assert len(os.listdir("/proc/self/fd")) == before
    (path,) = take(spool)
    assert read_batch(path).records == {SOURCE: ["one", "two"]}


def test_a_writer_goes_on_behind_what_was_taken(spool: Spool) -> None:
    for text in ("one", "two", "three"):
        spool.write(group(), SOURCE, text)
        (path,) = take(spool)
        assert list(read_batch(path).records.values()) == [[text]]
        path.unlink()
    assert spool.dropped == 0


@pytest.mark.parametrize(
    ("key_format", "key"),
    [
        (KeyFormat.DEFAULT, "a/b2026-11-18-11-06-40-N"),
        (KeyFormat.SIMPLE, "a/b2026-11-18-11-06-40-N"),
        (KeyFormat.BY_DELIVERY_TIME, "a/b111122223333/us-east-1/photos/2026/11/18/2026-11-18-11-06-40-N"),
        (KeyFormat.BY_EVENT_TIME, "a/b111122223333/us-east-1/photos/2026/11/17/2026-11-17-00-00-00-N"),
    ],
)
def test_keys(key_format: KeyFormat, key: str) -> None:
    yesterday_us = START_US - 24 * 3600 * 1_000_000
    made = group(TARGET._replace(key_format=key_format), yesterday_us)
    assert made.key("2026-11-18-11-06-40", "N") == key


def test_targets_have_files_of_their_own_and_sources_share_them(spool: Spool) -> None:
    other = Source("other", "444455556666", ("444455556666", "d" * 64))
    granted = TARGET._replace(grants=(Grant("c" * 64, Permission.READ),))
    spool.write(group(), SOURCE, "one")
    spool.write(group(), other, "two")
    spool.write(group(granted), SOURCE, "three")

    batches = [read_batch(path) for path in take(spool)]

    found = {batch.group.target: batch.records for batch in batches}
    assert found == {TARGET: {SOURCE: ["one"], other: ["two"]}, granted: {SOURCE: ["three"]}}


def test_a_file_that_is_full_is_left_to_the_job(spool: Spool, tmp_path: Path) -> None:
    line = "x" * (module.SPOOL_FILE_BYTES_MAX // 4)
    for _ in range(6):
        spool.write(group(), SOURCE, line)
    assert sorted(path.suffix for path in (tmp_path / DIRECTORY).iterdir()) == [".batch", ".open"]
    assert sum(len(read_batch(path).records[SOURCE]) for path in take(spool)) == 6


def test_what_cannot_be_kept_is_dropped_and_told(spool: Spool, tmp_path: Path, caplog) -> None:
    (tmp_path / DIRECTORY).write_text("no directory")
    with caplog.at_level(logging.WARNING):
        spool.write(group(), SOURCE, "one")
        spool.write(group(), SOURCE, "two")
    assert spool.dropped == 2
    assert len(caplog.records) == 1, "once a minute"


def test_a_file_that_is_none_of_ours_is_set_aside(spool: Spool, tmp_path: Path) -> None:
    spool.write(group(), SOURCE, "one")
    strange = tmp_path / DIRECTORY / "strange.open"
    strange.write_text("not JSON\n")
    assert len(take(spool)) == 1
    assert strange.with_suffix(".bad").exists()


WRITER = """
import sys, time
from nova_wsgi import green; green.patch()
from pathlib import Path
from nova_objectstore.delivery.spool import Group, Spool
from nova_objectstore.domain.access_logging import LogTarget, Source
spool = Spool(Path(sys.argv[1]), now_us=lambda: 0)
source = Source("photos", "1", ("1",))
group = Group.of(LogTarget("logs", ""), source, "us-east-1", 0)
print("ready", flush=True)
sys.stdin.readline()
for number in range(2000):
    spool.write(group, source, f"{sys.argv[2]}-{number}")
print(spool.dropped)
"""


def test_nothing_is_lost_between_processes_that_write_and_one_that_takes(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path, str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    taker = Spool(tmp_path, now_us=lambda: 1)
    found: list[str] = []
    while any(writer.poll() is None for writer in writers):
        found += _emptied(taker)
    found += _emptied(taker)
    assert [writer.communicate(timeout=10)[0] for writer in writers] == ["0\n"] * 3
    assert sorted(found) == sorted(f"{writer}-{number}" for writer in range(3) for number in range(2000))


def _emptied(taker: Spool) -> list[str]:
    lines = []
    for path in taker.take(begun_before_us=1):
        lines += [line for records in read_batch(path).records.values() for line in records]
        path.unlink()
    return lines
