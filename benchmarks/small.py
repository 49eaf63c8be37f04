"""Rows of small requests: each beside eventlet.wsgi's hello world, which answers the same requests with as many bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import count, cycle

from benchmarks.lab import BUCKET, KIB, LARGE_SIZE, MIB, Lab
from benchmarks.loads import generate, generating, wrk
from benchmarks.row import OURS, Prepare, Row, Subjects
from benchmarks.servers import Server
from benchmarks.signing import Kind, Request
from benchmarks.stats import Sample, at_least, at_most

HELLO = "hello world"
LOGGING_HELLO = "hello world, logging"
SIZES = {"1k": KIB, "4k": 4 * KIB, "128k": 128 * KIB}
FEW = 100  # keys: what a cache of versions holds
MANY = 10_000  # keys: what it does not
REQUESTS_FILE_MAX = 64 * MIB  # what wrk keeps in memory
WRITES_PER_S = 100.0  # of the writer beside readers: each empties the caches of versions
DELETES_PER_S = 8000  # how many keys are made for each second of deletes
_LETTERS = {"G": "GET", "H": "HEAD", "P": "PUT", "D": "DELETE"}
MIX = [_LETTERS[letter] for letter in "GGHPGHGDGHPGHGDHGPHG"]  # 45 % GET, 30 % HEAD, 15 % PUT, 10 % DELETE

Make = Callable[[Lab, Server], Sequence[Request]]


def gets(size: int, keys: int = FEW, method: str = "GET") -> Make:
    """GETs or HEADs of ``keys`` objects, in no order."""

    def make(lab: Lab, server: Server) -> Sequence[Request]:
        paths = lab.store_objects(server, f"get-{size}-{keys}", count=keys, size=size)
        return [Request(method, path) for path in random.Random(1).sample(paths, keys)]

    return make


def puts(size: int) -> Make:
    """PUTs of half as many keys as wrk can hold requests, each by turns with one of two bodies: never what is there.

    SQLite leaves a page alone that is to be overwritten with what it holds.
    """

    def make(lab: Lab, server: Server) -> Sequence[Request]:
        count, chance = min(MANY, REQUESTS_FILE_MAX // (size + KIB)), random.Random(3)
        keys = [f"/{BUCKET}/put-{size}/{number:06}" for number in range(count // 2)]
        return [Request("PUT", path, chance.randbytes(size)) for path in keys * 2]

    return make


def mixed(size: int) -> Make:
    """The mix, over 1,000 objects; deletes are of keys that were put a moment before."""

    def make(lab: Lab, server: Server) -> Sequence[Request]:
        read = lab.store_objects(server, f"mix-{size}", count=1000, size=size)
        paths = {"GET": cycle(read), "HEAD": cycle(read[::-1]), "PUT": _written(), "DELETE": _written()}
        chance = random.Random(4)
        return [
            Request(method, next(paths[method]), chance.randbytes(size) if method == "PUT" else b"")
            for method in MIX * 100
        ]

    return make


def _written() -> Iterator[str]:
    return (f"/{BUCKET}/mixed/{number:06}" for number in count())


def load(
    lab: Lab, server: Server, make: Make, *, kind: Kind = Kind.HEADER, connections: int = 0, raw: bool = False
) -> Sample:
    """One sample of requests sent round and round: by wrk, or by our own generator where ``raw``."""
    settings = lab.settings
    requests = make(lab, server)
    file = lab.write(server, requests, kind=kind)
    send = generate if raw else wrk
    sample = send(server, file, connections=connections or settings.connections, seconds=settings.seconds)
    sent_per_s = sum(len(request.body) for request in requests) / len(requests) * sample.requests_per_s
    return replace(sample, bytes_per_s=max(sample.bytes_per_s, sent_per_s))


def deletes(lab: Lab, server: Server, size: int, *, keys: int, over: Server | None = None) -> Sample:
    """DELETEs of ``keys`` that are there, each once; ``over``: a hello world answers them in the server's place."""
    settings = lab.settings
    number = lab.number()
    paths = [f"/{BUCKET}/delete-{number}/{key:06}" for key in range(keys)]
    if over is None:
        lab.send_all(server, [Request("PUT", path, b"z" * size) for path in paths])
    target = over or server
    file = lab.write(target, [Request("DELETE", path) for path in paths])
    return generate(target, file, connections=settings.connections, seconds=60, once=True)


# -- beside hello world ------------------------------------------------------------------------------------------------


def beside_hello(
    make: Make, *, kind: Kind = Kind.HEADER, connections: int = 0, raw: bool = False, logs: bool = False
) -> Prepare:
    """A row's subjects: one worker of ours, and a hello world for the same requests."""

    def prepare(lab: Lab) -> Subjects:
        store = lab.store()
        requests = make(lab, store)
        by_method = {request.method: request for request in requests}
        shape = "-".join(sorted(by_method)) + f"-{requests[0].path.rpartition('/')[0].replace('/', '-')}"
        yardstick = lab.hello(shape, list(by_method.values()), logs=logs)
        take = partial(load, lab, kind=kind, connections=connections, raw=raw)
        return {
            OURS: lambda: take(store, make),
            LOGGING_HELLO if logs else HELLO: lambda: take(yardstick, lambda _lab, _server: requests),
        }

    return prepare


def _deletes_beside_hello(size: int, lab: Lab) -> Subjects:
    store = lab.store()
    keys = DELETES_PER_S * lab.settings.seconds
    yardstick = lab.hello("DELETE", [Request("DELETE", f"/{BUCKET}/nothing")])
    return {
        OURS: lambda: deletes(lab, store, size, keys=keys),
        HELLO: lambda: deletes(lab, store, size, keys=keys, over=yardstick),
    }


def _beside_writer(make: Make, lab: Lab) -> Subjects:
    """GETs while one connection writes; the writer's CPU is in the figure."""
    store = lab.store()
    yardstick = lab.hello(f"writer-{len(make(lab, store))}", make(lab, store)[:1])

    def take() -> Sample:
        chance = random.Random(5)
        writes = [
            Request("PUT", f"/{BUCKET}/beside/{number % 50}", chance.randbytes(4 * KIB)) for number in range(1000)
        ]
        file = lab.write(store, writes).rename(lab.settings.directory / "requests-writer")
        with generating(store, file, 1, lab.settings.seconds + 60, rate=WRITES_PER_S):
            return load(lab, store, make)

    return {OURS: take, HELLO: lambda: load(lab, yardstick, lambda _lab, _server: make(lab, store))}


# -- ours beside ours --------------------------------------------------------------------------------------------------


def _two_workers(make: Make, lab: Lab) -> Subjects:
    one, two = lab.store(workers=1), lab.store(workers=2)
    return {OURS: lambda: load(lab, two, make), "1 worker": lambda: load(lab, one, make)}


def _beside_much(lab: Lab) -> Subjects:
    """Small GETs beside a client that lists and one that moves large bodies, on two workers."""
    store = lab.store(workers=2)
    make = gets(4 * KIB)
    lab.store_objects(store, "listed", count=1000, size=0)
    large = Request("PUT", f"/{BUCKET}/large", lab.large_file().read_bytes())
    lab.send_all(store, [large])
    listing = Request("GET", f"/{BUCKET}", query={"list-type": "2", "prefix": "listed/"})

    def take() -> Sample:
        with ExitStack() as stack:
            for request in (listing, Request("GET", large.path)):
                name = f"requests-beside-{len(request.query)}"
                file = lab.write(store, [request]).rename(lab.settings.directory / name)
                stack.enter_context(generating(store, file, 1, lab.settings.seconds + 60))
            return load(lab, store, make)

    return {OURS: take, "alone": lambda: load(lab, store, make)}


def _ranges(lab: Lab) -> Subjects:
    """4 KiB out of 64 MiB, wherever."""
    store, nginx = lab.store(), lab.nginx()
    file = lab.large_file()
    lab.send_all(store, [Request("PUT", f"/{BUCKET}/large", file.read_bytes())])
    starts = [random.Random(2).randrange(LARGE_SIZE - 4 * KIB) for _ in range(1000)]

    def ranged(path: str) -> Make:
        return lambda _lab, _server: [
            Request("GET", path, headers={"range": f"bytes={start}-{start + 4 * KIB - 1}"}) for start in starts
        ]

    subjects = {OURS: lambda: load(lab, store, ranged(f"/{BUCKET}/large"))}
    if nginx is not None:
        subjects["nginx"] = lambda: load(lab, nginx, ranged("/large"))
    return subjects


# -- the rows ----------------------------------------------------------------------------------------------------------

_GET_BOUND = (at_most(0.6, "cpu", of=HELLO),)
_PUT_BOUND = (at_most(0.9, "cpu", of=HELLO),)
_TAIL = (at_most(5, "tail"),)


def _sized_rows() -> list[Row]:
    rows = []
    for name, size in SIZES.items():
        told, bounded = f"{size // KIB} KiB", name == "4k"
        rows += [
            Row(f"get-{name}", f"GET {told}, {FEW} keys", beside_hello(gets(size)),
                _GET_BOUND if bounded else (), is_default=bounded),
            Row(f"head-{name}", f"HEAD {told}, {FEW} keys", beside_hello(gets(size, method="HEAD"), raw=True),
                _GET_BOUND if bounded else (), is_default=bounded),
            Row(f"put-{name}", f"PUT {told}", beside_hello(puts(size)),
                _PUT_BOUND if bounded else (), is_default=bounded),
            Row(f"delete-{name}", f"DELETE {told}", partial(_deletes_beside_hello, size)),
        ]  # fmt: skip
    return rows


_4K = 4 * KIB
ROWS: Sequence[Row] = (
    *_sized_rows(),
    Row("get-4k-many", f"GET 4 KiB, {MANY:,} keys", beside_hello(gets(_4K, MANY)), _GET_BOUND, is_default=True),
    Row("get-4k-writer", f"GET 4 KiB, {FEW} keys, beside {WRITES_PER_S:.0f} PUT/s", partial(_beside_writer, gets(_4K))),
    Row(
        "get-4k-many-writer",
        f"GET 4 KiB, {MANY:,} keys, beside {WRITES_PER_S:.0f} PUT/s",
        partial(_beside_writer, gets(_4K, MANY)),
    ),
    Row("get-4k-logs", "GET 4 KiB, eventlet.wsgi logging too", beside_hello(gets(_4K), logs=True)),
    Row("put-4k-logs", "PUT 4 KiB, eventlet.wsgi logging too", beside_hello(puts(_4K), logs=True)),
    Row("get-4k-presigned", "GET 4 KiB, presigned", beside_hello(gets(_4K), kind=Kind.PRESIGNED)),
    Row("get-4k-sigv2", "GET 4 KiB, SigV2", beside_hello(gets(_4K), kind=Kind.V2)),
    Row("put-4k-unsigned", "PUT 4 KiB, UNSIGNED-PAYLOAD", beside_hello(puts(_4K), kind=Kind.UNSIGNED_BODY)),
    Row("put-4k-chunks", "PUT 4 KiB, signed chunks", beside_hello(puts(_4K), kind=Kind.CHUNKS)),
    Row("get-4k-1-connection", "GET 4 KiB, 1 connection", beside_hello(gets(_4K), connections=1)),
    Row("get-4k-256-connections", "GET 4 KiB, 256 connections", beside_hello(gets(_4K), connections=256)),
    Row("put-4k-1-connection", "PUT 4 KiB, 1 connection", beside_hello(puts(_4K), connections=1)),
    Row("put-4k-256-connections", "PUT 4 KiB, 256 connections", beside_hello(puts(_4K), connections=256)),
    Row("mix-4k", "45 % GET, 30 % HEAD, 15 % PUT, 10 % DELETE of 4 KiB", beside_hello(mixed(_4K), raw=True)),
    Row(
        "get-4k-2-workers",
        "GET 4 KiB, 2 workers",
        partial(_two_workers, gets(_4K)),
        (at_least(1.7, "rate", of="1 worker"),),
        shows="rate",
        is_default=True,
    ),
    Row("put-4k-2-workers", "PUT 4 KiB, 2 workers", partial(_two_workers, puts(_4K)), shows="rate"),
    Row(
        "get-4k-beside",
        "GET 4 KiB beside a listing and a large GET, 2 workers",
        _beside_much,
        _TAIL,
        shows="p99",
        is_default=True,
    ),
    Row("get-range", "GET of 4 KiB out of 64 MiB", _ranges),
)
