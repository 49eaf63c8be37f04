"""Rows of many keys: listings, deletes of a thousand, writes into a large bucket."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.fill_keys import key_of
from benchmarks.lab import BUCKET, KIB, Lab
from benchmarks.loads import generate
from benchmarks.row import OURS, Row, Subjects
from benchmarks.servers import Server
from benchmarks.signing import Request
from benchmarks.stats import Sample, at_least, at_most

SMALLEST = 1000
COUNTS = {"1k": SMALLEST, "100k": 100_000, "1m": 1_000_000}
THOUSAND = "1,000 keys"
EMPTY = "an empty bucket"
LISTING_CONNECTIONS = 4
PAGES = 16  # places in a bucket at which listings begin
BATCHES_PER_SECOND = 4  # DeleteObjects, for each second that was asked for
LIST_CPU_US, GROUPS_CPU_US, DELETE_CPU_US = 6_000, 3_000, 60_000


def pages(count: int) -> Sequence[Request]:
    """Listings of 1,000 keys, from anywhere in a bucket of ``count``."""
    starts = [0] if count == SMALLEST else [(count - SMALLEST) * page // PAGES for page in range(PAGES)]
    return [
        Request(
            "GET",
            f"/keys-{count}",
            query={"list-type": "2", **({"start-after": key_of(start, count)} if start else {})},
        )
        for start in starts
    ]


def groups(count: int) -> Sequence[Request]:
    """The listing that answers the ten common prefixes of a bucket of ``count``."""
    return [Request("GET", f"/keys-{count}", query={"list-type": "2", "delimiter": "/"})]


def listing(lab: Lab, server: Server, requests: Sequence[Request], *, connections: int = LISTING_CONNECTIONS) -> Sample:
    """One sample of listings.

    Not by wrk: it forgets what is on its way at the end, which is all of a slow peer's, and reads 290 KB no cheaper.
    """
    file = lab.write(server, requests)
    return generate(server, file, connections=connections, seconds=lab.settings.seconds)


def _list(count: int, make: Callable[[int], Sequence[Request]], lab: Lab) -> Subjects:
    store = lab.filled_store(count)
    subjects = {OURS: lambda: listing(lab, store, make(count))}
    if count != SMALLEST:
        subjects[THOUSAND] = lambda: listing(lab, store, make(SMALLEST))
    return subjects


def _put_into(count: int, lab: Lab) -> Subjects:
    """PUTs of new keys, everywhere between those that are there, beside the same into a bucket just made."""
    store = lab.filled_store(count)

    def take(bucket: str) -> Sample:
        number, chance = lab.number(), random.Random(3)
        requests = [
            Request(
                "PUT", f"/{bucket}/d{chance.randrange(10)}/{chance.randrange(count):08}-{number}-{turn}", b"p" * 4 * KIB
            )
            for turn in range(3000 * lab.settings.seconds)
        ]
        file = lab.write(store, requests)
        return generate(store, file, connections=lab.settings.connections, seconds=lab.settings.seconds * 3, once=True)

    def take_empty() -> Sample:
        bucket = f"empty-{lab.number()}"
        lab.make_bucket(store, bucket)
        return take(bucket)

    return {OURS: lambda: take(f"keys-{count}"), EMPTY: take_empty}


def _delete_objects(lab: Lab) -> Subjects:
    store = lab.store()

    def take() -> Sample:
        requests = []
        for _ in range(BATCHES_PER_SECOND * lab.settings.seconds):
            number = lab.number()
            paths = [f"/{BUCKET}/batch-{number}/{key:04}" for key in range(1000)]
            lab.send_all(store, [Request("PUT", path) for path in paths])
            requests.append(delete_request([path.removeprefix(f"/{BUCKET}/") for path in paths]))
        return generate(store, lab.write(store, requests), connections=1, seconds=60, once=True)

    return {OURS: take}


def delete_request(keys: Sequence[str]) -> Request:
    """DeleteObjects of these keys, quietly."""
    objects = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    body = f"<Delete><Quiet>true</Quiet>{objects}</Delete>".encode()
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    return Request("POST", f"/{BUCKET}", body, query={"delete": ""}, headers={"content-md5": digest})


def _rows_of(name: str, count: int) -> list[Row]:
    same_time = (at_most(1.2, "p50", of=THOUSAND),) if name == "1m" else ()
    return [
        Row(
            f"list-{name}",
            f"ListObjectsV2, 1,000 of {count:,} keys",
            partial(_list, count, pages),
            (at_most(LIST_CPU_US, "cpu"), *same_time),
            shows="p50",
            is_default=name == "100k",
        ),
        Row(
            f"list-delimiter-{name}",
            f"ListObjectsV2, 10 common prefixes of {count:,} keys",
            partial(_list, count, groups),
            (at_most(GROUPS_CPU_US, "cpu"),),
            shows="p50",
        ),
    ]


ROWS: Sequence[Row] = (
    *(row for name, count in COUNTS.items() for row in _rows_of(name, count)),
    Row(
        "put-into-1m",
        "PUT 4 KiB into a bucket of 1,000,000 keys",
        partial(_put_into, COUNTS["1m"]),
        (at_least(0.8, "rate", of=EMPTY),),
        shows="rate",
    ),
    Row("delete-objects", "DeleteObjects of 1,000 keys", _delete_objects, (at_most(DELETE_CPU_US, "cpu"),)),
)
