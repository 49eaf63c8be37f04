"""Clients of a store whose database is locked: those that read meanwhile, and one that waits to write."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import ClientError
from support.bad_times import DEADLINE_S, locked
from support.raw_http import Client
from support.raw_store import connect, sign, sign_put
from support.store import Store, running_store
from support.store_state import check_files

from nova_objectstore.assembly import DATABASE_NAME
from nova_wsgi import green
from nova_wsgi.testing import wait_until

STATEMENTS = ("BEGIN EXCLUSIVE", "BEGIN IMMEDIATE")
KEYS, READERS = 40, 3
ANSWER_S = 5.0  # how long an honest read may take while others wait for the lock


def put_some(s3: Any) -> None:
    s3.create_bucket(Bucket="bucket")
    for number in range(KEYS):
        s3.put_object(Bucket="bucket", Key=f"key-{number}", Body=b"%d" % number)


def send_put(store: Store, body: bytes) -> Client:
    """A PUT that is on its way, to "waited": the connection that its answer comes on."""
    return connect(store).send(sign_put("/bucket/waited", len(body)) + body)


def long_lock(state_path: Path, statement: str, lock_s: float) -> str:
    """Lock a store's database for so long while clients read and write; what came of it, for people.

    Writers ask again until they are answered with success, as SDKs do.
    """
    with running_store(state_path, workers=2) as store:
        s3 = store.client()
        put_some(s3)
        ends_s = time.monotonic() + lock_s
        with locked(state_path / DATABASE_NAME, statement), Readers(store) as readers:
            writers = [green.spawn(_write_until_done, store, f"more-{number}") for number in range(READERS)]
            wait_until(lambda: time.monotonic() >= ends_s, 2 * lock_s, what="the end of the lock")
        refusals = sum(writer.wait() for writer in writers)
        assert s3.list_objects_v2(Bucket="bucket", Prefix="more-")["KeyCount"] == READERS
    check_files(state_path)
    return (
        f"{statement}, held for {lock_s:g} s: {readers.count:,} reads, the slowest {readers.slowest_s:.3f} s; "
        f"{refusals} writes refused with 503, all there afterwards"
    )


def _write_until_done(store: Store, key: str) -> int:
    """Put until it succeeds; how often it was refused."""
    s3, refusals = store.client(retries={"total_max_attempts": 1}), 0
    while True:
        try:
            s3.put_object(Bucket="bucket", Key=key, Body=b"more")
        except ClientError as error:
            if error.response["Error"]["Code"] != "ServiceUnavailable":
                raise
            refusals += 1
        else:
            return refusals


class Readers:
    """GETs, HEADs and listings that go on; each is answered rightly within ANSWER_S, or the block's end tells."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._goes_on = True
        self.count = 0
        self.slowest_s = 0.0

    def __enter__(self) -> Self:
        self._running = [green.spawn(self._read, number) for number in range(READERS)]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._goes_on = False
        for running in self._running:
            running.wait()

    def _read(self, number: int) -> None:
        wire = connect(self._store, timeout_s=ANSWER_S)
        try:
            while self._goes_on:
                number = (number + READERS) % KEYS
                self._ask(wire, f"/bucket/key-{number}", b"%d" % number)
                if number % 7 == 0:
                    self._ask(wire, f"/bucket?list-type=2&prefix=key-{number}", b"<KeyCount>")
        finally:
            wire.close()

    def _ask(self, wire: Client, target: str, wanted: bytes) -> None:
        begun_s = time.monotonic()
        answer = wire.send(sign("GET", target).head).response()
        assert answer.status == 200, answer
        assert wanted in answer.body
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun_s)
        self.count += 1

    def wait_for(self, more: int) -> None:
        """Wait until so many more were answered."""
        target = self.count + more
        wait_until(lambda: self.count >= target or any(map(_is_dead, self._running)), DEADLINE_S, what="reads")


def _is_dead(running: Any) -> bool:
    return bool(running.dead)
