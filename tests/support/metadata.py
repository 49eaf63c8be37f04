"""Metadata engines for tests: how to make each of them, builders for what they take, and a check of their whole state."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.sqlite import SqliteEngine
from nova_objectstore.types import (
    AccessKey,
    Account,
    Bucket,
    Content,
    ContentKind,
    NewVersion,
    Part,
    Upload,
    Version,
    Versioning,
)

OWNER = "111122223333"
OTHER = "444455556666"
START_US = 1_700_000_000_000_000
INLINE, DATA, PARTS, NOTHING = (int(kind) for kind in ContentKind)

Row = dict[str, Any]


class Metadata:
    """An open engine with a look behind it: ``rows`` reads its tables directly, ``insert`` fills them."""

    def __init__(
        self,
        engine: MetadataEngine,
        rows: Callable[[str], list[Row]],
        insert: Callable[[str, Sequence[Row]], None],
    ) -> None:
        self.engine = engine
        self.rows = rows
        self.insert = insert
        self.now_us = START_US

    def tick(self, us: int = 1_000_000) -> int:
        """The time, a little later."""
        self.now_us += us
        return self.now_us

    def bucket(self, name: str = "photos", versioning: Versioning = Versioning.OFF, **options: Any) -> Bucket:
        """A new bucket in that versioning state."""
        bucket = self.engine.create_bucket(name, owner_id=OWNER, region="us-east-1", now_us=self.tick(), **options)
        if versioning is not Versioning.OFF and not options.get("object_lock"):
            self.engine.set_versioning(bucket.id, versioning)
        return self.engine.find_bucket(name)

    def put(self, bucket: Bucket, key: str, body: bytes = b"body", **facts: Any) -> Version:
        """A small object."""
        condition = {"condition": facts.pop("condition")} if "condition" in facts else {}
        return self.engine.put_version(bucket, new_version(key, body, now_us=self.tick(), **facts), **condition)

    def put_data(self, bucket: Bucket, key: str, ref: str, **facts: Any) -> Version:
        """A large object whose bytes lie in the data engine."""
        content = Content(ContentKind.DATA, ref)
        return self.engine.put_version(bucket, new_version(key, now_us=self.tick(), content=content, **facts))

    def delete(self, bucket: Bucket, key: str, **options: Any) -> Any:
        """DELETE without a version id."""
        return self.engine.delete_object(bucket, key, owner_id=OWNER, now_us=self.tick(), **options)

    def erase(self, bucket: Bucket, key: str, version_id: str, **options: Any) -> Any:
        """DELETE with a version id."""
        return self.engine.delete_version(bucket, key, version_id, now_us=self.tick(), **options)

    def begin(self, bucket: Bucket, key: str, upload_id: str, **facts: Any) -> Upload:
        """A multipart upload."""
        upload = new_upload(bucket, key, upload_id, now_us=self.tick(), **facts)
        self.engine.begin_upload(bucket, upload)
        return upload

    def garbage(self) -> list[str]:
        """Refs in the queue, oldest first."""
        return [item.ref for item in self.engine.list_garbage(queued_before_us=1 << 62)]

    def check_state(self) -> None:
        """What ``meta/sql/schema.py`` says holds between the rows."""
        check_state(self.rows)


# -- builders ----------------------------------------------------------------------------------------------------------


def new_account(account_id: str = OWNER, name: str = "alice", **facts: Any) -> Account:
    """An account."""
    values: dict[str, Any] = {"canonical_id": account_id * 5 + "abcd", "email": f"{name}@example.org", **facts}
    return Account(account_id, values["canonical_id"], name, values["email"], START_US)


def new_key(access_key: str, account_id: str = OWNER, created_us: int = START_US, **facts: Any) -> AccessKey:
    """A key pair."""
    values: dict[str, Any] = {"secret_key": "s3cr3t", "user_name": None, "active": True, **facts}
    return AccessKey(access_key, values["secret_key"], account_id, values["user_name"], values["active"], created_us)


def new_version(key: str, body: bytes = b"body", *, now_us: int = START_US, **facts: Any) -> NewVersion:
    """What a PUT hands over; the ETag tells bodies apart."""
    values: dict[str, Any] = {
        "size": len(body),
        "etag": body.hex() or "empty",
        "owner_id": OWNER,
        "content": Content(ContentKind.INLINE, inline=body),
        **facts,
    }
    return NewVersion(key=key, modified_us=now_us, **values)


def new_upload(bucket: Bucket, key: str, upload_id: str, *, now_us: int = START_US, **facts: Any) -> Upload:
    """A multipart upload."""
    values: dict[str, Any] = {
        "initiator": f"arn:aws:iam::{OWNER}:root",
        "storage_class": "STANDARD",
        "headers": {},
        "checksum_algorithm": "",
        "checksum_type": "",
        "tags": {},
        "extra": {},
        **facts,
    }
    lock = values.pop("lock", None) or new_version("k").lock
    return Upload(bucket.id, key, upload_id, now_us, OWNER, lock=lock, **values)


def new_part(number: int, size: int = 10, *, now_us: int = START_US, **facts: Any) -> Part:
    """A part, by default one whose bytes lie in the data engine."""
    values: dict[str, Any] = {
        "etag": f"etag-{number}",
        "checksum": None,
        "content": Content(ContentKind.DATA, f"part-{number}"),
        **facts,
    }
    return Part(number=number, size=size, modified_us=now_us, **values)


# -- engines -----------------------------------------------------------------------------------------------------------


@contextmanager
def sqlite_metadata(directory: Path, **options: Any) -> Iterator[Metadata]:
    """SQLite in a directory."""
    path = directory / "metadata.sqlite"
    engine = SqliteEngine(path, **options)
    engine.open()
    try:
        yield Metadata(engine, lambda table: sqlite_rows(path, table), lambda *filled: sqlite_insert(path, *filled))
    finally:
        engine.close()


def sqlite_rows(path: Path, table: str) -> list[Row]:
    """All rows of a table, read by a connection of its own."""
    connection = sqlite3.connect(path)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
    finally:
        connection.close()


def sqlite_insert(path: Path, table: str, rows: Sequence[Row]) -> None:
    """Fill a table directly, replacing rows of the same key: for states that would take too long to reach."""
    columns = list(rows[0])
    names, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
    connection = sqlite3.connect(path)
    try:
        with connection:
            values = (tuple(row[name] for name in columns) for row in rows)
            connection.executemany(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", values)
    finally:
        connection.close()


ENGINES = {"sqlite": sqlite_metadata}


# -- the whole state ---------------------------------------------------------------------------------------------------


def check_state(rows: Callable[[str], list[Row]]) -> None:
    """Assert what holds between the rows of all tables."""
    objects, hidden, parts = rows("objects"), rows("hidden_versions"), rows("parts")
    buckets = {row["id"]: row for row in rows("buckets")}
    _check_order(objects, hidden, buckets)
    restores = rows("restores")
    _check_bytes(objects + hidden, parts, rows("blobs"), rows("garbage"), restores)
    _check_restores(objects, hidden, restores, [row for row in parts if row["content_id"] < 0])
    _check_parts(objects + hidden, [row for row in parts if row["content_id"] > 0], rows("uploads"))
    _check_usage(objects + hidden, rows("bucket_usage"), buckets)
    _check_quotas(rows, parts, buckets)
    _check_deliveries(rows)
    for table in ("documents", "uploads", "completed_uploads"):
        assert {row["bucket_id"] for row in rows(table)} <= set(buckets)


def _check_deliveries(rows: Callable[[str], list[Row]]) -> None:
    waiting = Counter(row["subscription_arn"] for row in rows("deliveries"))
    assert {row["arn"]: row["waiting"] for row in rows("subscriptions") if row["waiting"]} == waiting
    assert {row["event_id"] for row in rows("deliveries")} == {row["id"] for row in rows("events")}


def _check_order(objects: list[Row], hidden: list[Row], buckets: dict[int, Row]) -> None:
    current = {(row["bucket_id"], row["key"]): row for row in objects}
    assert not [row for row in objects if row["kind"] == NOTHING], "a marker is never current"
    newest: dict[tuple[int, str], Row] = {}
    ids = Counter((row["bucket_id"], row["key"], row["version_id"]) for row in objects + hidden)
    assert set(ids.values()) <= {1}, "a version id names one version of a key"
    for row in hidden:
        assert buckets[row["bucket_id"]]["versioning"] != "", "an unversioned bucket hides nothing"
        name = (row["bucket_id"], row["key"])
        if name not in newest or row["neg_sequence"] < newest[name]["neg_sequence"]:
            newest[name] = row
    for name, row in newest.items():
        if name in current:
            assert current[name]["sequence"] > -row["neg_sequence"]
        else:
            assert row["kind"] == NOTHING, "a key whose newest version is an object has a current one"


def _check_restores(objects: list[Row], hidden: list[Row], restores: list[Row], copies: list[Row]) -> None:
    versions = {(row["bucket_id"], row["key"], row["sequence"]): row for row in objects}
    versions |= {(row["bucket_id"], row["key"], -row["neg_sequence"]): row for row in hidden}
    copied = Counter(-row["content_id"] for row in copies)
    for row in restores:
        version = versions[row["bucket_id"], row["key"], row["sequence"]]
        assert version["version_id"] == row["version_id"]
        assert version["storage_class"] is not None
        assert (row["kind"] is None) == (row["expires_us"] == 0)
        assert row["kind"] in (None, version["kind"])
        assert (row["ref"] is not None) == (row["kind"] == DATA)
        assert copied.pop(row["id"], 0) == (version["parts_count"] if row["kind"] == PARTS else 0)
    assert not copied, "copies of parts that belong to no restore"


def _check_bytes(
    versions: list[Row], parts: list[Row], blobs: list[Row], garbage: list[Row], restores: list[Row]
) -> None:
    inline = [row["content_id"] for row in versions if row["kind"] == INLINE]
    inline += [row["blob_id"] for row in parts if row["kind"] == INLINE]
    assert sorted(inline) == sorted(row["id"] for row in blobs), "each small body belongs to one version or part"
    sizes = {row["id"]: len(row["body"]) for row in blobs}
    for row in versions:
        assert row["kind"] != INLINE or sizes[row["content_id"]] == row["size"]
    refs = Counter(row["ref"] for row in versions + parts + garbage + restores if row["ref"] is not None)
    assert set(refs.values()) <= {1}, f"named more than once: {refs}"
    for row in versions + parts:
        assert (row["ref"] is not None) == (row["kind"] == DATA)


def _check_parts(versions: list[Row], parts: list[Row], uploads: list[Row]) -> None:
    contents: dict[int, list[Row]] = defaultdict(list)
    for row in sorted(parts, key=lambda row: (row["content_id"], row["number"])):
        contents[row["content_id"]].append(row)
    in_progress = {row["id"] for row in uploads}
    completed = {row["content_id"]: row for row in versions if row["kind"] == PARTS}
    assert not in_progress & set(completed)
    assert set(contents) <= in_progress | set(completed)
    for number in in_progress:
        assert all(row["offset"] is None for row in contents[number])
    for number, version in completed.items():
        assert len(contents[number]) == version["parts_count"] > 0
        end = 0
        for row in contents[number]:
            assert row["offset"] == end
            end += row["size"]
        assert end == version["size"]


def _check_usage(versions: list[Row], usage: list[Row], buckets: dict[int, Row]) -> None:
    counted = dict.fromkeys(buckets, (0, 0))
    for row in versions:
        if row["kind"] != NOTHING:
            objects, size = counted[row["bucket_id"]]
            counted[row["bucket_id"]] = (objects + 1, size + row["size"])
    assert {row["bucket_id"]: (row["objects"], row["bytes"]) for row in usage} == counted


def _check_quotas(rows: Callable[[str], list[Row]], parts: list[Row], buckets: dict[int, Row]) -> None:
    bucket_of = {row["id"]: row["bucket_id"] for row in rows("uploads")}
    counted: Counter[int] = Counter()
    for row in parts:
        if row["content_id"] in bucket_of:
            counted[bucket_of[row["content_id"]]] += row["size"]
    in_progress = {row["bucket_id"]: row["bytes"] for row in rows("part_usage")}
    assert {bucket_id: size for bucket_id, size in in_progress.items() if size} == +counted
    assert set(in_progress) | {row["bucket_id"] for row in rows("bucket_quotas")} <= set(buckets)
    held = {row["bucket_id"]: (row["objects"], row["bytes"]) for row in rows("bucket_usage")}
    for account in rows("account_quotas"):
        mine = [number for number, row in buckets.items() if row["owner_id"] == account["account_id"]]
        assert account["objects"] == sum(held[number][0] for number in mine)
        assert account["bytes"] == sum(held[number][1] + in_progress.get(number, 0) for number in mine)
