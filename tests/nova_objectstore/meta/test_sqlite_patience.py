"""Where a COMMIT runs: on the hub's thread when the disk is quick, beside it when nothing is known of the disk, or it hangs."""

from __future__ import annotations

import sqlite3
from collections import deque

import pytest
from support.metadata import sqlite_metadata

from nova_objectstore.errors import StorageFailed
from nova_objectstore.meta.sql.statements.accounts import grow_epoch
from nova_objectstore.meta.sqlite.connection import CHECKPOINT_PAGES
from nova_objectstore.meta.sqlite.patience import (
    FORGIVEN_AFTER,
    IMPATIENCE_MAX_S,
    IMPATIENCE_MIN_S,
    PATIENCE_S,
    STALL_S,
    TRUST_MAX,
    TRUST_MIN,
    Patience,
    Way,
)
from nova_wsgi import green

native_thread, native_time = green.original("_thread"), green.original("time")

QUICK_S, SLOW_S, STALLED_S = PATIENCE_S / 2, PATIENCE_S * 2, STALL_S * 2


@pytest.fixture
def patience():
    return Patience()


def trusted_after(patience, now_s=0.0) -> int:
    """How many quick commits it takes until the hub commits itself."""
    for count in range(TRUST_MAX + 1):
        way = patience.choose(now_s)
        if way is Way.HUB:
            return count
        patience.note(way, now_s, QUICK_S)
    raise AssertionError("the disk was never trusted")


def test_a_disk_earns_trust_by_being_quick_again_and_again(patience):
    assert patience.choose(0.0) is Way.PATIENT
    assert trusted_after(patience) == TRUST_MIN


def test_a_slow_commit_costs_as_much_as_the_first_trust(patience):
    for _ in range(TRUST_MIN - 1):
        patience.note(Way.PATIENT, 0.0, QUICK_S)
    patience.note(Way.PATIENT, 0.0, SLOW_S)
    assert trusted_after(patience, IMPATIENCE_MIN_S) == TRUST_MIN


def test_one_slow_commit_in_a_while_does_not_keep_the_trust_from_growing(patience):
    for _ in range(4):  # of losses of trust
        trusted_after(patience)
        patience.note(Way.HUB, 0.0, STALLED_S)
    for number in range(1000):
        if patience.choose(1.0) is Way.HUB:
            break
        patience.note(Way.PATIENT, 0.0, SLOW_S if number % 40 == 0 else QUICK_S)
    assert 16 * TRUST_MIN < number < 40 * TRUST_MIN


def test_waiting_in_vain_is_tried_again_less_and_less_often(patience):
    now_s, pauses = 0.0, []
    for _ in range(9):
        assert patience.choose(now_s) is Way.PATIENT
        patience.note(Way.PATIENT, now_s, SLOW_S)
        began_s = now_s
        while patience.choose(now_s) is Way.THREAD:
            patience.note(Way.THREAD, now_s, SLOW_S)
            now_s += 0.01
        pauses.append(round(now_s - began_s, 2))
    assert pauses == sorted(pauses)
    assert pauses[0] == pytest.approx(IMPATIENCE_MIN_S, abs=0.02)
    assert pauses[-1] == pytest.approx(IMPATIENCE_MAX_S, abs=0.02)


def test_a_commit_somewhat_slow_keeps_the_trust_and_a_stall_doubles_what_it_takes(patience):
    trusted_after(patience)
    patience.note(Way.HUB, 0.0, SLOW_S)
    assert patience.choose(0.0) is Way.HUB
    expected = TRUST_MIN
    for _ in range(12):
        patience.note(Way.HUB, 0.0, STALLED_S)
        expected = min(2 * expected, TRUST_MAX)
        assert trusted_after(patience) == expected


def test_a_disk_that_becomes_slow_loses_the_trust_soon(patience):
    trusted_after(patience)
    count = 0
    while patience.choose(0.0) is Way.HUB:
        patience.note(Way.HUB, 0.0, SLOW_S)
        count += 1
    assert count <= 5
    assert trusted_after(patience) == 2 * TRUST_MIN


def test_one_slow_commit_in_ten_is_borne(patience):
    trusted_after(patience)
    for number in range(1000):
        patience.note(Way.HUB, 0.0, SLOW_S if number % 10 == 0 else QUICK_S)
        assert patience.choose(0.0) is Way.HUB


def test_stalls_are_forgotten_in_the_end(patience):
    trusted_after(patience)
    patience.note(Way.HUB, 0.0, STALLED_S)
    trusted_after(patience)
    for _ in range(FORGIVEN_AFTER):
        patience.note(Way.HUB, 0.0, QUICK_S)
    assert patience.choose(0.0) is Way.HUB
    patience.note(Way.HUB, 0.0, STALLED_S)
    assert trusted_after(patience) == 2 * TRUST_MIN


# -- the committer -----------------------------------------------------------------------------------------------------


class Disk(sqlite3.Connection):
    """Notes the thread of each COMMIT; one waits until somebody on the hub lets it go, if ``hangs`` is held, or fails."""

    threads: deque[int] = deque()
    hangs = native_thread.allocate_lock()
    fails = False

    def execute(self, sql, *params):
        if sql == "COMMIT":
            Disk.threads.append(native_thread.get_ident())
            if Disk.fails:
                native_time.sleep(STALLED_S)
                raise sqlite3.OperationalError("disk I/O error")
            with Disk.hangs:
                return super().execute(sql, *params)
        return super().execute(sql, *params)


@pytest.fixture
def meta(tmp_path):
    with sqlite_metadata(tmp_path, sync="never", connection_class=Disk) as meta:
        yield meta
        Disk.fails = False
        meta.check_state()


def patience_of(meta) -> Patience:
    return meta.engine._committer._patience


def test_a_hanging_disk_hangs_nobody_but_its_writers(meta):
    bucket = meta.bucket()
    Disk.hangs.acquire()
    write = green.spawn(meta.put, bucket, "k", b"body")
    green.sleep(0.02)  # longer than the hub's patience: it goes on, and lets the disk go
    assert not write.dead
    Disk.hangs.release()
    assert write.wait().size == 4


def test_a_quick_disk_is_committed_to_by_the_hub_and_a_stall_ends_it(meta):
    bucket = meta.bucket()
    trusted_after(patience_of(meta))
    Disk.threads.clear()
    meta.put(bucket, "k", b"body")
    assert list(Disk.threads) == [native_thread.get_ident()]

    patience_of(meta).note(Way.HUB, 0.0, STALLED_S)
    meta.put(bucket, "k", b"body")
    assert Disk.threads[-1] != native_thread.get_ident()


def test_a_commit_that_fails_after_a_while_is_a_stall_too(meta):
    bucket = meta.bucket()
    trusted_after(patience_of(meta))
    Disk.fails = True
    with pytest.raises(StorageFailed):
        meta.put(bucket, "k", b"body")
    assert Disk.threads[-1] == native_thread.get_ident()
    assert patience_of(meta).choose(0.0) is not Way.HUB


def test_a_commit_in_which_sqlite_may_checkpoint_is_the_native_thread_s(meta):
    bucket = meta.bucket()
    trusted_after(patience_of(meta))
    meta.engine._committer._checkpointer._log_pages = CHECKPOINT_PAGES
    meta.put(bucket, "k", b"body")
    assert Disk.threads[-1] != native_thread.get_ident()
    meta.engine._committer.checkpoint()  # which finds out how long the log is
    meta.put(bucket, "k", b"body")
    assert Disk.threads[-1] == native_thread.get_ident()


def test_between_two_commits_of_the_hub_s_others_have_their_turn(meta):
    bucket = meta.bucket()
    turns, at_commits = [0], []

    def take_turns():
        while len(at_commits) < 20:
            turns[0] += 1
            green.sleep(0)

    def spoil(tx):
        tx.run(grow_epoch)
        raise KeyError("a verb that fails after it has written")

    def put(number):
        meta.put(bucket, f"k{number}")
        at_commits.append(turns[0])

    writes = [green.spawn(put, number) for number in range(20)]
    spoilt = green.spawn(meta.engine._write, spoil, (), {})  # so that each of them is repeated alone
    trusted_after(patience_of(meta))
    others = green.spawn(take_turns)
    for write in writes:
        write.wait()
    with pytest.raises(KeyError):
        spoilt.wait()
    others.wait()
    assert len(set(at_commits)) > 10
