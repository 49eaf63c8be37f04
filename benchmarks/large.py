"""Rows of large bodies: beside nginx with sendfile, the speed of md5sum on one core, and that of a pipe."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.lab import BUCKET, GIB, LARGE_SIZE, Answer, Lab, ask
from benchmarks.loads import LoadFailed, Transfer, curl, md5sum, pipe
from benchmarks.row import OURS, Row, Subjects
from benchmarks.servers import Server
from benchmarks.signing import Kind, Request, parts
from benchmarks.stats import Sample, at_least

MD5SUM, CAT = "md5sum", "cat, a pipe"
TRANSFERS_PER_SECOND = 4  # of a body of 64 MiB, for each second that was asked for
UPLOADERS = 2
PART_COUNT = GIB // LARGE_SIZE
_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")


def transfer(
    server: Server, request: Request, *, kind: Kind = Kind.UNSIGNED_BODY, upload: Path | None = None
) -> Transfer:
    """A signed request for curl; what it sends is the file ``upload``."""
    target, headers, _ = parts(request, server.authority, time.time(), kind=kind)
    return Transfer(server.url + target, headers, upload)


def download(lab: Lab, server: Server) -> Sample:
    """GET of 64 MiB, again and again over one connection."""
    request = Request("GET", f"/{BUCKET}/large")
    count = TRANSFERS_PER_SECOND * lab.settings.seconds
    return curl(server, [transfer(server, request)] * count, directory=lab.settings.directory)


def store_large(lab: Lab, server: Server) -> None:
    """Put the large file."""
    upload = transfer(server, Request("PUT", f"/{BUCKET}/large"), upload=lab.large_file())
    curl(server, [upload], directory=lab.settings.directory)


def upload(lab: Lab, server: Server, *, kind: Kind = Kind.UNSIGNED_BODY) -> Sample:
    """PUT of 64 MiB by two clients at once."""
    made = [_upload(lab, server, number, kind) for number in range(UPLOADERS)]
    count = max(1, TRANSFERS_PER_SECOND * lab.settings.seconds // UPLOADERS)
    return curl(server, *([one] * count for one in made), directory=lab.settings.directory)


def _upload(lab: Lab, server: Server, number: int, kind: Kind) -> Transfer:
    request = Request("PUT", f"/{BUCKET}/large-{number}")
    if kind is Kind.UNSIGNED_BODY:
        return transfer(server, request, upload=lab.large_file())
    body = lab.large_file().read_bytes()
    target, headers, sent = parts(Request("PUT", request.path, body), server.authority, time.time(), kind=kind)
    file = lab.settings.directory / f"chunks-{number}"
    file.write_bytes(sent)
    return Transfer(server.url + target, headers, file)


def upload_parts(lab: Lab, server: Server) -> Sample:
    """A multipart upload of 1 GiB: its parts of 64 MiB by two clients, and its completion; then it is deleted."""
    path = f"/{BUCKET}/multipart"
    begun = _must(ask(server, Request("POST", path, query={"uploads": ""})))
    found = _UPLOAD_ID.search(begun.body)
    assert found is not None, "CreateMultipartUpload answers an id"
    upload_id = found[1].decode()
    transfers = [
        transfer(
            server,
            Request("PUT", path, query={"partNumber": str(number), "uploadId": upload_id}),
            upload=lab.large_file(),
        )
        for number in range(1, PART_COUNT + 1)
    ]
    sample = curl(server, transfers[::2], transfers[1::2], directory=lab.settings.directory)
    listed = _must(ask(server, Request("GET", path, query={"uploadId": upload_id})))
    etags = re.findall(rb"<ETag>([^<]+)</ETag>", listed.body)
    document = b"".join(
        b"<Part><PartNumber>%d</PartNumber><ETag>%b</ETag></Part>" % (number, etag)
        for number, etag in enumerate(etags, 1)
    )
    whole = b"<CompleteMultipartUpload>%b</CompleteMultipartUpload>" % document
    _must(ask(server, Request("POST", path, whole, query={"uploadId": upload_id})))
    _must(ask(server, Request("DELETE", path)))
    return sample


def _must(answer: Answer) -> Answer:
    if not 200 <= answer.status < 300:
        raise LoadFailed(f"{answer.status}: {answer.body[:500]!r}")
    return answer


# -- the rows ----------------------------------------------------------------------------------------------------------


def _get(lab: Lab) -> Subjects:
    store, nginx = lab.store(), lab.nginx()
    store_large(lab, store)
    file = lab.large_file()
    subjects: dict[str, Callable[[], Sample]] = {OURS: partial(download, lab, store)}
    if nginx is not None:
        count = TRANSFERS_PER_SECOND * lab.settings.seconds
        from_nginx: Sequence[Transfer] = [Transfer(f"{nginx.url}/large")] * count
        subjects["nginx"] = lambda: curl(nginx, from_nginx, directory=lab.settings.directory)
    subjects[CAT] = partial(pipe, file)
    return subjects


def _put(kind: Kind, lab: Lab) -> Subjects:
    store, file = lab.store(workers=2), lab.large_file()
    return {OURS: partial(upload, lab, store, kind=kind), MD5SUM: partial(md5sum, file)}


def _multipart(lab: Lab) -> Subjects:
    store, file = lab.store(workers=2), lab.large_file()
    return {OURS: partial(upload_parts, lab, store), MD5SUM: partial(md5sum, file)}


ROWS: Sequence[Row] = (
    Row("get-64m", "GET 64 MiB", _get, (at_least(0.9, "bytes", of="nginx"),), shows="bytes", is_default=True),
    Row(
        "put-64m",
        "PUT 64 MiB, UNSIGNED-PAYLOAD, 2 at once, 2 workers",
        partial(_put, Kind.UNSIGNED_BODY),
        (at_least(0.75, "bytes", of=MD5SUM),),
        shows="bytes",
        is_default=True,
    ),
    Row(
        "put-64m-chunks",
        "PUT 64 MiB, signed chunks, 2 at once, 2 workers",
        partial(_put, Kind.CHUNKS),
        (at_least(0.5, "bytes", of=MD5SUM),),
        shows="bytes",
    ),
    Row("multipart-1g", "the parts of a multipart upload of 1 GiB, 2 at once, 2 workers", _multipart, shows="bytes"),
)
