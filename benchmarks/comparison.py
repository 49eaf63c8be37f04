"""Rows beside other S3 servers: two workers of ours, and each peer that is installed, at the same requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.lab import BUCKET, KIB, Lab
from benchmarks.large import download, store_large, upload
from benchmarks.listing import listing
from benchmarks.loads import boto3_client
from benchmarks.row import OURS, Prepare, Row, Subjects
from benchmarks.servers import Server
from benchmarks.signing import Request
from benchmarks.small import DELETES_PER_S, deletes, gets, load, mixed, puts
from benchmarks.stats import Bound, Sample, at_least

_4K = 4 * KIB
_LIST = Request("GET", f"/{BUCKET}", query={"list-type": "2", "prefix": "listed/"})

DELETED_KEYS = 1000  # of a peer, for each second: the slow ones take their time to make them

Take = Callable[[Lab, Server], Sample]
Ready = Callable[[Lab, Server], object]


def _nothing(lab: Lab, server: Server) -> None:
    """There is nothing to make ready."""


def beside_peers(take: Take, make_ready: Ready = _nothing) -> Prepare:
    """A row's subjects: what ``take`` measures of ours and of each peer, after ``make_ready`` of each."""

    def prepare(lab: Lab) -> Subjects:
        found = {OURS: lab.store(workers=2), **lab.peers()}
        for server in found.values():
            make_ready(lab, server)
        return {name: partial(take, lab, server) for name, server in found.items()}

    return prepare


def _list_ready(lab: Lab, server: Server) -> None:
    lab.store_objects(server, "listed", count=1000, size=0)


def _deletes(lab: Lab, server: Server) -> Sample:
    """Of ours as many as it deletes in that time: in a tenth of a second there is little to see but its beginning."""
    keys = DELETES_PER_S if server is lab.store(workers=2) else DELETED_KEYS
    return deletes(lab, server, _4K, keys=keys * lab.settings.seconds)


def _boto3(verb: str) -> Take:
    return lambda lab, server: boto3_client(server, verb, _4K, seconds=lab.settings.seconds)


def _bounds(radosgw: float) -> Sequence[Bound]:
    return at_least(radosgw, "rate", of="radosgw"), at_least(20, "rate", of="moto")


def _row(
    name: str,
    title: str,
    take: Take,
    make_ready: Ready = _nothing,
    *,
    bounds: Sequence[Bound] = (),
    shows: str = "rate",
    is_default: bool = False,
) -> Row:
    prepare = beside_peers(take, make_ready)
    return Row(f"peers-{name}", f"{title}, 2 workers", prepare, bounds, shows, is_default)


_get, _head, _put, _mix = gets(_4K), gets(_4K, method="HEAD"), puts(_4K), mixed(_4K)

ROWS: Sequence[Row] = (
    _row("get-4k", "GET 4 KiB", lambda lab, server: load(lab, server, _get), _get, bounds=_bounds(10), is_default=True),
    _row(
        "head-4k", "HEAD 4 KiB", lambda lab, server: load(lab, server, _head, raw=True), _head, bounds=(_bounds(10)[1],)
    ),
    _row("put-4k", "PUT 4 KiB", lambda lab, server: load(lab, server, _put), bounds=_bounds(10)),
    _row(
        "delete-4k",
        "DELETE 4 KiB",
        _deletes,
        bounds=_bounds(10),
    ),
    _row(
        "list-1k",
        "ListObjectsV2, 1,000 keys",
        lambda lab, server: listing(lab, server, [_LIST], connections=lab.settings.connections),
        _list_ready,
        bounds=_bounds(4),
    ),
    _row("mix-4k", "the mix, 4 KiB", lambda lab, server: load(lab, server, _mix, raw=True), _mix),
    _row("get-64m", "GET 64 MiB", download, store_large, shows="bytes"),
    _row("put-64m", "PUT 64 MiB, 2 at once", upload, shows="bytes"),
    _row("boto3-get-4k", "boto3, one thread, GET 4 KiB", _boto3("get")),
    _row("boto3-put-4k", "boto3, one thread, PUT 4 KiB", _boto3("put")),
)
