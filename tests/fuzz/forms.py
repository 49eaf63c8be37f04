"""Browsers' forms: their bodies, and the policies that are signed with them.

Properties: only errors of the store leave a reader, whatever the pieces a body comes in, and the same in each; a file is
handed out whole. A policy that was changed is not the one that was signed.
"""

from __future__ import annotations

import json
import random
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence

from fuzz.chunked_bodies import Pieces
from support.fuzzing import Target, step_of

from nova_objectstore.errors import StoreError
from nova_objectstore.s3.auth.post_policy import parse_policy, verify_form
from nova_objectstore.s3.form import PostForm
from nova_objectstore.s3.multipart_form import FormReader, read_boundary

BOUNDARY = b"xYzZY"
NOW_S = 1_767_225_600.0
OBJECT_FIELDS = {"key": "k", "policy": "p"}


def check_form(data: bytes) -> str:
    """A Content-Type in the first line, and a body."""
    content_type, _, body = data.partition(b"\n")
    try:
        boundary = read_boundary(content_type.decode("latin-1"))
    except StoreError as error:
        return type(error).__name__
    if boundary is None:
        return "no form"
    whole, pieces = (
        _read(body, boundary, len(body) + 1, 4096),
        _read(body, boundary, step_of(data, 255), step_of(data, 255, salt=1)),
    )
    assert whole == pieces, "what is read depends on how it comes"
    return whole[0]


def _read(body: bytes, boundary: bytes, step: int, size: int) -> tuple[str, list[tuple[str, bytes]], bytes]:
    reader = FormReader(Pieces(body, step), boundary)
    fields: list[tuple[str, bytes]] = []
    content = b""
    try:
        while (found := reader.next_field("file")) is not None:
            part, value = found
            if part.name.lower() == "file":
                content = b"".join(iter(lambda: reader.read(size), b""))
                _fill_in(reader, fields, part.filename)
                return f"{min(3, len(fields))} fields and a file", fields, content
            fields.append((part.name, value))
    except StoreError as error:
        return type(error).__name__, [], b""
    return f"{min(3, len(fields))} fields", fields, content


def _fill_in(reader: FormReader, fields: Sequence[tuple[str, bytes]], filename: str | None) -> None:
    """The headers of the write that the form asks for."""
    texts = {name.lower(): value.decode("latin-1") for name, value in fields}
    assert filename is None or isinstance(filename, str)
    form = PostForm(reader, {**texts, "key": texts.get("key") or "k"})
    headers = form.read_headers({"x-amz-acl": "private", "range": "x"})
    assert not any("\r" in value or "\n" in value or "\0" in value for value in headers.values()), headers


def check_policy(data: bytes) -> str:
    """A policy's text, before its base64; held against a form."""
    text = b64encode(data).decode()
    fields = {"key": "k", "acl": "private", "content-type": "text/plain,image/png", "x-amz-meta-a": "é", "policy": text}
    try:
        policy = parse_policy(text)
        policy.check(fields, bucket="b", key="k", now_s=NOW_S)
        policy.check_size(1000)
    except StoreError as error:
        return f"{type(error).__name__} {error.message[:50]}"
    return "taken"


def check_fields(data: bytes) -> str:
    """Lines of ``name:value``: what signs a form. Nobody here has a key, so that nothing is ever taken."""
    pairs = (line.partition(":") for line in data.decode("utf-8", "replace").split("\n"))
    fields = {name.strip().lower(): value for name, _, value in pairs}
    try:
        signed = verify_form(fields, lookup={"AKIAEXAMPLE": "secret"}.get, region="us-east-1")
        if "policy" in fields:
            parse_policy(fields["policy"])
    except StoreError as error:
        return f"{type(error).__name__} {error.message[:50]}"
    assert signed is None, "nobody signed this"
    return "anonymous"


# -- the grammar -------------------------------------------------------------------------------------------------------

_HEADS = (
    b'Content-Disposition: form-data; name="key"', b'Content-Disposition: form-data; name="acl"',
    b"content-disposition:form-data;name=x",
    b'Content-Disposition: form-data; name="file"; filename="a\\"b%22.txt"\r\nContent-Type: text/plain',
    b"Content-Disposition: form-data; name=file; filename*=utf-8''%C3%A9%ff",
    b'Content-Disposition: form-data; name="tagging"',
    b'Content-Disposition: attachment; name="key"', b'Content-Disposition: form-data; name=""',
    b'Content-Disposition: form-data; name="x-amz-meta-a"',
    b'Content-Disposition: form-data; name="Content-Type"\r\nContent-Transfer-Encoding: base64',
)  # fmt: skip
_VALUES = (
    b"",
    b"a/${filename}",
    b"\r\n--",
    b"--" + BOUNDARY,
    b"\xff",
    b"<Tagging><TagSet/></Tagging>",
    b"a\x00b",
    b"a\r\nb",
    "é".encode(),
)


def make_form(rng: random.Random) -> bytes:
    """A few parts, mostly with a file, mostly well-formed."""
    parts = [(rng.choice(_HEADS), rng.choice(_VALUES)) for _ in range(rng.randrange(4))]
    parts += [(_HEADS[3], rng.choice(_VALUES))] if rng.random() < 0.6 else []
    body = b"".join(b"--" + BOUNDARY + b"\r\n" + head + b"\r\n\r\n" + value + b"\r\n" for head, value in parts)
    closing = rng.choice((b"--" + BOUNDARY + b"--\r\n",) * 5 + (b"--" + BOUNDARY + b"\r\n", b"--" + BOUNDARY, b""))
    opening = rng.choice((b"", b"", b"", b"\r\n", b"preamble\r\n"))
    content_type = rng.choice(
        (b"multipart/form-data; boundary=" + BOUNDARY, b'Multipart/Form-Data; x=1; boundary="' + BOUNDARY + b'"')
    )
    return content_type + b"\n" + opening + body + closing


def make_policy(rng: random.Random) -> bytes:
    """A policy's JSON."""
    conditions = [rng.choice(_CONDITIONS) for _ in range(rng.randrange(6))]
    covered = [
        {"bucket": "b"},
        ["eq", "$key", "k"],
        ["starts-with", "$acl", ""],
        ["starts-with", "$content-type", ""],
        {"x-amz-meta-a": "é"},
    ]
    expiration = rng.choice(
        ("2026-01-02T00:00:00Z",) * 5
        + ("2025-01-01T00:00:00.000Z", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z", "soon")
    )
    return json.dumps({"expiration": expiration, "conditions": covered[: rng.randrange(6)] + conditions}).encode()


_CONDITIONS: Sequence[object] = (
    ["content-length-range", 0, 1000], ["content-length-range", "1", "9" * 19], ["content-length-range", -1, 1.5],
    ["content-length-range", 1],
    ["starts-with", "$content-type", "image/"], ["EQ", "$KEY", "k"], {"acl": "private"}, {"a": 1}, [], {}, "eq",
    ["eq", "key", "k"],
    ["eq", "$", ""], [["eq"], "$a", "b"], ["starts-with", "$x-ignore-a", 1], {"a": "b", "c": "d"}, None, True, ["eq",
        "$\ud800", "\ud800"],
)  # fmt: skip

_FIELDS = (
    b"x-amz-algorithm:AWS4-HMAC-SHA256\nx-amz-credential:AKIAEXAMPLE/20260101/us-east-1/s3/aws4_request\nx-amz-date:20260101T000000Z\n"
    b"x-amz-signature:" + b"0" * 64 + b"\npolicy:e30=",
    b"AWSAccessKeyId:AKIAEXAMPLE\nsignature:AAAA\npolicy:e30=",
    b"key:k",
)


def _targets() -> Sequence[Target]:
    head = b"multipart/form-data; boundary=" + BOUNDARY + b"\n"
    begin = head + b"--" + BOUNDARY + b"\r\n"
    growths: dict[str, Callable[[int], bytes]] = {
        "fields": lambda n: head + (b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n') * n,
        "near boundaries": lambda n: begin + b'Content-Disposition: form-data; name="file"\r\n\r\n' + b"\r\n--xYzZ" * n,
        "parameters": lambda n: (
            begin + b"Content-Disposition: form-data" + b"".join(b"; a%d=b" % i for i in range(n)) + b"\r\n\r\n"
        ),
        "a quoted string": lambda n: begin + b'Content-Disposition: form-data; name="' + b"\\" * n + b'"\r\n\r\n',
    }
    policies = {
        "lists": lambda n: b'{"expiration":"2026-01-02T00:00:00Z","conditions":[' + b"[" * n + b"]" * n + b"]}",
        "conditions": lambda n: (
            b'{"expiration":"2026-01-02T00:00:00Z","conditions":[' + b'{"a":"b"},' * n + b'{"bucket":"b"}]}'
        ),
        "digits": lambda n: (
            b'{"expiration":"2026-01-02T00:00:00Z","conditions":[["content-length-range",0,' + b"9" * n + b"]]}"
        ),
    }
    return (
        Target("forms", check_form, make_form, seeds=[make_form(random.Random(1))], words=[*_HEADS,
            b"\r\n--" + BOUNDARY, b"--"],
               growths=growths),
        Target("form_policies", check_policy, make_policy, seeds=[make_policy(random.Random(1))],
               words=[json.dumps(condition).encode() for condition in _CONDITIONS], growths=policies),
        Target("form_signatures", check_fields, seeds=_FIELDS, words=[b64encode(b64decode(b"e30=")),
            b"\nx-amz-security-token:a"]),
    )  # fmt: skip


TARGETS = _targets()
