"""Rows of attacks: what honest clients wait at most while somebody keeps the server busy, beside what they wait alone."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import md5
from pathlib import Path

from benchmarks import servers
from benchmarks.lab import BUCKET, KIB, LARGE_SIZE, MIB, Lab, ask
from benchmarks.loads import attacking, idle_connections
from benchmarks.row import OURS, Row, Subjects
from benchmarks.servers import Server
from benchmarks.service import FILES_SPARE, IDLE_CONNECTIONS
from benchmarks.signing import Kind, Request, sign
from benchmarks.small import gets, load
from benchmarks.stats import Sample, at_most

ALONE = "alone"
BOUND = (at_most(3, "p99", of=ALONE),)
WORKERS = 2
SETS_OUT_S = (
    0.2  # the attack's beginning is in the figure: clients are there already, and 200 large downloads begin at once
)

Sign = Callable[[Lab, Server], Sequence[bytes]]


def _honest(lab: Lab, store: Server) -> Sample:
    return load(lab, store, gets(4 * KIB))


def _beside(attack: str, connections: int, make: Sign | None, lab: Lab) -> Subjects:
    """GETs of 4 KiB from before the attack begins, and without it."""
    store = lab.store(workers=WORKERS)

    def take() -> Sample:
        file = None
        if make is not None:
            file = _write(lab.settings.directory / f"attack-{attack}", make(lab, store))
        seconds = lab.settings.seconds + 60
        with attacking(store, attack, connections=connections, seconds=seconds, delay_s=SETS_OUT_S, requests=file):
            return _honest(lab, store)

    return {OURS: take, ALONE: lambda: _honest(lab, store)}


def _write(path: Path, requests: Sequence[bytes]) -> Path:
    """The file that the attacks' program reads."""
    path.write_text(json.dumps([request.decode("latin-1") for request in requests]))
    return path


def _beside_idle(lab: Lab) -> Subjects:
    """The same beside connections that were answered once each, to both workers together."""
    store = lab.store(workers=WORKERS)
    count = min(IDLE_CONNECTIONS, servers.raise_file_limit() - FILES_SPARE)

    def take() -> Sample:
        path = lab.store_objects(store, "idle", count=1, size=KIB)[0]
        with idle_connections(store, sign(Request("HEAD", path), store.authority, time.time()), count):
            return _honest(lab, store)

    return {OURS: take, ALONE: lambda: _honest(lab, store)}


# -- what is sent ------------------------------------------------------------------------------------------------------


def _signed(server: Server, *requests: Request, kind: Kind = Kind.HEADER) -> Sequence[bytes]:
    return [sign(request, server.authority, time.time(), kind=kind) for request in requests]


def _upload_heads(_lab: Lab, server: Server) -> Sequence[bytes]:
    """Heads of uploads whose bodies come in drops."""
    (request,) = _signed(server, Request("PUT", f"/{BUCKET}/slow", bytes(MIB)), kind=Kind.UNSIGNED_BODY)
    return [request[:-MIB]]


def _downloads(lab: Lab, server: Server) -> Sequence[bytes]:
    """Reads of more than any buffer holds."""
    request = Request("PUT", f"/{BUCKET}/large", lab.large_file().read_bytes())
    head = ask(server, Request("HEAD", request.path))
    if head.status != 200 or ("Content-Length", str(LARGE_SIZE)) not in head.headers:
        lab.send_all(server, [request])
    return _signed(server, Request("GET", request.path))


def _documents(_lab: Lab, server: Server) -> Sequence[bytes]:
    """XML and a policy as large as they may be, and refused for what they say."""
    entry = b"<Part><PartNumber>%d</PartNumber><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag></Part>"
    parts = b"".join(entry % number for number in range(1, 10_001))
    texts = b"<Delete>" + (b"x" * 14 + b"<x/>") * 95_000 + b"</Delete>"
    statement = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": f"arn:aws:s3:::{'*?' * 9000}/x"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()
    complete = b"<CompleteMultipartUpload>" + parts + b"</CompleteMultipartUpload>"
    return _signed(
        server,
        Request("POST", f"/{BUCKET}/k", complete, query={"uploadId": "none"}),
        Request("POST", f"/{BUCKET}", texts, query={"delete": ""}, headers={"content-md5": _md5(texts)}),
        Request("PUT", f"/{BUCKET}", policy, query={"policy": ""}),
    )


def _listings(lab: Lab, server: Server) -> Sequence[bytes]:
    """Pages of keys as deep as keys can be."""
    deep = "d/" * 500
    lab.send_all(server, [Request("PUT", f"/{BUCKET}/{number}/{deep}", b"") for number in range(100)])
    prefixes = ["", "0/" + "d/" * 250, f"0/{deep}", "/" * 1000]
    queries = [{"list-type": "2", "delimiter": "/", "prefix": prefix} for prefix in prefixes]
    return _signed(server, *(Request("GET", f"/{BUCKET}", query=query) for query in queries))


def _one_part(_lab: Lab, server: Server) -> Sequence[bytes]:
    """One and the same part, a thousand times in a round."""
    begun = ask(server, Request("POST", f"/{BUCKET}/parts", query={"uploads": ""}))
    upload_id = begun.body.partition(b"<UploadId>")[2].partition(b"</UploadId>")[0].decode()
    query = {"partNumber": "1", "uploadId": upload_id}
    return list(_signed(server, Request("PUT", f"/{BUCKET}/parts", bytes(4 * KIB), query=query))) * 1000


def _md5(body: bytes) -> str:
    return base64.b64encode(md5(body, usedforsecurity=False).digest()).decode()


# -- the rows ----------------------------------------------------------------------------------------------------------


def _row(name: str, told: str, attack: str, connections: int, make: Sign | None = None) -> Row:
    title = f"GET 4 KiB beside {connections} {told}, {WORKERS} workers"
    return Row(f"denial-{name}", title, partial(_beside, attack, connections, make), BOUND, shows="p99")


ROWS: Sequence[Row] = (
    _row("slow-headers", "heads that come in drops", "slow-headers", 500),
    _row("slow-bodies", "uploads that come in drops", "slow-bodies", 500, _upload_heads),
    _row("slow-readers", "downloads that nobody reads", "slow-readers", 200, _downloads),
    Row(
        "denial-idle-10000",
        f"GET 4 KiB beside {IDLE_CONNECTIONS:,} idle connections, {WORKERS} workers",
        _beside_idle,
        BOUND,
        shows="p99",
    ),
    _row("pipelining", "clients that send without reading", "pipelining", 4),
    _row("tiny-chunks", "bodies of one byte a chunk", "tiny-chunks", 4),
    _row("headers", "clients with 200 new header names a request", "many-headers", 4),
    _row("parameters", "clients with 2,000 parameters a request", "many-parameters", 4),
    _row("resets", "clients that break each connection", "resets", 4),
    _row("xml", "client with documents of the largest size", "requests", 1, _documents),
    _row("prefixes", "clients that list the deepest prefixes", "requests", 2, _listings),
    _row("uploads", "clients that upload one part over and over", "requests", 4, _one_part),
)
