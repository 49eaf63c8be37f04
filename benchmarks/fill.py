"""Buckets of any number of keys, made without a server: STATE_PATH BUCKET=KEYS ...; a line ``DONE OF`` as it goes on.

The keys are ``d{0..9}/{number}``, empty objects, in order: a delimiter finds ten groups. They are written with the metadata
engine's own verb, ten thousand to a transaction: some 30 us a key, a million in half a minute.
"""

from __future__ import annotations

from nova_wsgi import green

green.patch()

import os  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

from benchmarks.fill_keys import key_of  # noqa: E402
from benchmarks.signing import ACCESS_KEY, REGION, SECRET_KEY  # noqa: E402
from nova_objectstore.assembly import DATABASE_NAME, Settings, build_store  # noqa: E402
from nova_objectstore.bootstrap import ACCESS_KEY_VARIABLE, SECRET_KEY_VARIABLE, ensure_root  # noqa: E402
from nova_objectstore.meta.sql import compiler  # noqa: E402
from nova_objectstore.meta.sql.quotas import write_usage  # noqa: E402
from nova_objectstore.meta.sql.versions import put_version  # noqa: E402
from nova_objectstore.meta.sqlite import connection  # noqa: E402
from nova_objectstore.types import Bucket, Content, ContentKind, NewVersion  # noqa: E402

KEYS_PER_TRANSACTION = 10_000
EMPTY_ETAG = "d41d8cd98f00b204e9800998ecf8427e"


def make_buckets(state_path: Path, names: list[str]) -> list[Bucket]:
    """The administrator's account, and empty buckets of it."""
    made = build_store(Settings(state_path=state_path, sync="never"))
    made.open()
    try:
        pair = {ACCESS_KEY_VARIABLE: ACCESS_KEY, SECRET_KEY_VARIABLE: SECRET_KEY}
        owner = ensure_root(made.meta, state_path, environ={**os.environ, **pair}).account
        return [
            made.meta.create_bucket(name, owner_id=owner.id, region=REGION, now_us=time.time_ns() // 1000)
            for name in names
        ]
    finally:
        made.close()


def fill(state_path: Path, bucket: Bucket, count: int) -> Iterator[int]:
    """Write ``count`` keys; yields how many are there after each transaction."""
    texts = compiler.load("sqlite").texts
    database = connection.connect_writer(connection.Settings(state_path / DATABASE_NAME, "never"))
    now_us = time.time_ns() // 1000
    try:
        for first in range(0, count, KEYS_PER_TRANSACTION):
            last = min(count, first + KEYS_PER_TRANSACTION)
            database.execute("BEGIN IMMEDIATE")
            transaction = connection.SqliteTransaction(database, texts)
            for number in range(first, last):
                put_version(transaction, bucket, _empty(key_of(number, count), bucket.owner_id, now_us))
            write_usage(transaction)
            database.execute("COMMIT")
            yield last
    finally:
        database.close()


def _empty(key: str, owner_id: str, now_us: int) -> NewVersion:
    return NewVersion(key, 0, EMPTY_ETAG, now_us, owner_id, Content(ContentKind.INLINE, inline=b""))


def main() -> None:
    """Fill what is asked for, and tell how far it is."""
    state_path = Path(sys.argv[1])
    counts = {name: int(count) for name, _, count in (word.partition("=") for word in sys.argv[2:])}
    total, done = sum(counts.values()), 0
    for bucket in make_buckets(state_path, list(counts)):
        for written in fill(state_path, bucket, counts[bucket.name]):
            print(done + written, total, flush=True)
        done += counts[bucket.name]


if __name__ == "__main__":
    main()
