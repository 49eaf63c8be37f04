"""Requests that are signed as they should be and ask for what nobody would: each has an answer, none of them a 500."""

import contextlib
import random
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from support.bad_requests import CLOSED, Request, deliver, md5
from support.raw_store import connect
from support.store import running_store
from support.store_state import check_files

REQUESTS = 2000
ANSWERS = {200, 204, 206, 304, *range(400, 500), 501}

PATHS = (
    "/", "/bad", "/bad", "/bad/kept", "/bad/kept", "/bad/kept", "/locked", "/locked/kept", "/locked/kept", "/nobody-s/x",
    "/bad/k%01", "/new-1", "/new-2",
)  # fmt: skip
METHODS = ("GET", "GET", "PUT", "PUT", "POST", "DELETE", "HEAD")
VECTORS = Path(__file__).parents[1] / "vectors" / "odd_requests"


def read_words(name: str) -> tuple[str, ...]:
    """A file of words, one a line; an empty line is an empty word."""
    return tuple((VECTORS / f"{name}.txt").read_text("utf-8").split("\n")[:-1])


COMMON, RARE, VALUES = read_words("queries"), read_words("queries_rare"), read_words("query_values")
HEADERS, FIELDS = read_words("headers"), read_words("header_values")
ROOTS, ELEMENTS, TEXTS = read_words("roots"), read_words("elements"), read_words("texts")


def make_document(dice: random.Random, depth: int = 0) -> str:
    name = dice.choice(ELEMENTS if depth else ROOTS)
    if depth > 3 or (depth and dice.random() < 0.4):
        return f"<{name}>{dice.choice(TEXTS)}</{name}>"
    return f"<{name}>{''.join(make_document(dice, depth + 1) for _ in range(dice.randrange(4)))}</{name}>"


def make_request(dice: random.Random, upload_id: str) -> Request:
    pairs = []
    for _ in range(dice.choice((0, 0, 1, 1, 1, 2))):
        name = dice.choice(dice.choice((COMMON, RARE)))
        value = upload_id if name == "uploadId" and dice.random() < 0.7 else dice.choice(VALUES)
        pairs.append(f"{name}={value}" if dice.random() < 0.8 else name)
    headers = {dice.choice(HEADERS): dice.choice(FIELDS) for _ in range(dice.choice((0, 1, 1, 2, 3)))}
    method, body = dice.choice(METHODS), b""
    if method in ("PUT", "POST"):
        documents = [make_document(dice).encode() for _ in range(3)]
        body = dice.choice([b"", b"data", b"<", b'{"Version": "2012-10-17", "Statement": []}', *documents])
        if dice.random() < 0.6:
            headers["content-md5"] = md5(body)
    return Request(method, dice.choice(PATHS) + ("?" + "&".join(pairs) if pairs else ""), body, headers)


def put_things_back(s3: Any) -> str:
    """The requests may well remove what they ask for; the id of an upload that is under way."""
    with contextlib.suppress(ClientError):
        s3.create_bucket(Bucket="bad")
        s3.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        s3.put_object(Bucket="bad", Key="kept", Body=b"small")
        s3.put_object(Bucket="locked", Key="kept", Body=b"large" * 10_000)
        upload_id = str(s3.create_multipart_upload(Bucket="bad", Key="kept")["UploadId"])
        s3.upload_part(Bucket="bad", Key="kept", UploadId=upload_id, PartNumber=1, Body=b"part")
        return upload_id
    return "nothing"


def test_odd_requests_are_answered(tmp_path: Path) -> None:
    with running_store(tmp_path) as store:
        s3, wire = store.client(), connect(store)
        upload_id = ""
        for seed in range(REQUESTS):
            if seed % 50 == 0:
                upload_id = put_things_back(s3)
            request = make_request(random.Random(seed), upload_id)
            outcome = deliver(wire, request.render())
            assert outcome == CLOSED or int(outcome.split()[0]) in ANSWERS, (seed, outcome, request)
            if wire.is_over():
                wire.close()
                wire = connect(store)
        wire.close()
        assert store.server.stop() == 0
        assert "Traceback" not in store.server.output()
        check_files(tmp_path)
