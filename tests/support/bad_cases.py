"""Bad input, row by row, for the bucket ``bad`` with the object ``kept``: nothing of it may change either of them."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import time
from collections.abc import Iterator
from typing import Any

from support.bad_requests import CLOSED, Case, Chunked, Raw, Request, document, md5
from support.raw_store import UNSIGNED, Signed

from nova_objectstore.limits import KiB, MiB

MALFORMED = "400 MalformedXML"
INCOMPLETE = "400 IncompleteBody"
WRONG = "400 InvalidArgument"

# -- documents ------------------------------------------------------------------------------------------------------------

DELETE = "/bad?delete"
BOMB = b"".join(
    [
        b'<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "lol">',
        *(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9)),
        b"]><Delete><Object><Key>&j;</Key></Object></Delete>",
    ]
)
EXTERNAL = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>'


def delete_document(*keys: bytes) -> bytes:
    return b"<Delete>%s</Delete>" % b"".join(b"<Object><Key>%s</Key></Object>" % key for key in keys)


DOCUMENTS = {
    "nothing": b"",
    "only spaces": b" \n ",
    "no XML": b"Key=a",
    "JSON": b'{"Objects": [{"Key": "a"}]}',
    "half a tag": b"<Delete",
    "not closed": b"<Delete><Object><Key>a</Key></Object>",
    "closed crosswise": b"<Delete><Object></Delete></Object>",
    "two roots": delete_document(b"a") * 2,
    "another root": b"<Remove><Object><Key>a</Key></Object></Remove>",
    "no UTF-8": delete_document(b"\xff\xfe"),
    "overlong UTF-8": delete_document(b"\xc0\xaf"),
    "a NUL": delete_document(b"\0"),
    "a NUL by reference": delete_document(b"&#0;"),
    "a control by reference": delete_document(b"&#1;"),
    "an entity nobody declared": delete_document(b"&nbsp;"),
    "a bare ampersand": delete_document(b"a & b"),
    "an entity bomb": BOMB,
    "an external entity": EXTERNAL,
    "a document type": b"<!DOCTYPE Delete>" + delete_document(b"a"),
    "an encoding nobody knows": b'<?xml version="1.0" encoding="x-unknown"?><Delete',
    "half of UTF-16": b"\xff\xfe<\0D\0e",
    "nested too deep": b"<Delete>" + b"<a>" * 100_000,
    "nested and closed": b"<Delete>" + b"<a>" * 5000 + b"</a>" * 5000 + b"</Delete>",
    "too many elements": b"<Delete>" + b"<a/>" * 200_000 + b"</Delete>",
    "many attributes": b"<Delete " + b" ".join(b'a%d="x"' % n for n in range(50_000)) + b"/",
    "an object without a key": b"<Delete><Object><VersionId>1</VersionId></Object></Delete>",
    "no objects": b"<Delete><Quiet>true</Quiet></Delete>",
    "1,001 keys": delete_document(*(b"%d" % n for n in range(1001))),
    "10 MiB": delete_document(b"k" * 10 * MiB),
    "10 MiB of spaces": b"<Delete>" + b" " * 10 * MiB + b"</Delete>",
    "a comment of 3 MiB": b"<!--" + b"x" * 3 * MiB + b"-->" + delete_document(b"a"),
}
OTHER_DOCUMENTS = [
    (
        "PUT",
        "/bad?versioning",
        b"<VersioningConfiguration><Status>Perhaps</Status></VersioningConfiguration>",
        MALFORMED,
    ),
    ("PUT", "/bad?versioning", b"<VersioningConfiguration>" + b"<Status>Enabled</Status>" * 2, MALFORMED),
    ("PUT", "/bad?tagging", b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", MALFORMED),
    ("PUT", "/bad/kept?tagging", b"<Tagging/>" * 2, MALFORMED),
    ("PUT", "/newbucket", b"<CreateBucketConfiguration><LocationConstraint>", MALFORMED),
    ("PUT", "/newbucket", BOMB, MALFORMED),
    ("POST", "/bad/kept?uploadId=nope", b"<CompleteMultipartUpload/>", MALFORMED),
    ("POST", "/bad/kept?uploadId=nope", b"<CompleteMultipartUpload><Part><PartNumber>-1</PartNumber>", MALFORMED),
    (
        "POST",
        "/bad/kept?uploadId=nope",
        b"<CompleteMultipartUpload><Part><PartNumber>99999999999999999999</PartNumber><ETag>a</ETag></Part>"
        b"</CompleteMultipartUpload>",
        MALFORMED,
    ),
    (
        "POST",
        "/bad/kept?uploadId=nope",
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>"
        % (b"0" * 32),
        "404 NoSuchUpload",
    ),
]


def document_cases() -> Iterator[Case]:
    for name, body in DOCUMENTS.items():
        yield Case(f"document: {name}", document("POST", DELETE, body), MALFORMED)
    for number, (method, target, body, expected) in enumerate(OTHER_DOCUMENTS):
        yield Case(f"document: {method} {target} {number}", document(method, target, body), expected)
    endless = b"a00000\r\n" + b" " * 10 * MiB + b"\r\n0\r\n\r\n"
    chunked = {"Transfer-Encoding": "chunked"}
    yield Case(
        "document: 10 MiB in chunks",
        Request("POST", DELETE, endless, {"content-md5": md5(b"")}, UNSIGNED, -1, chunked),
        f"{MALFORMED} | 400 MissingContentLength",
    )


# -- digests --------------------------------------------------------------------------------------------------------------


def digest_cases() -> Iterator[Case]:
    good = base64.b64encode(b"\0" * 4).decode()
    rows = [
        ("another Content-MD5", {"content-md5": md5(b"other")}, "400 BadDigest"),
        ("a Content-MD5 that is no base64", {"content-md5": "!!!!"}, "400 InvalidDigest"),
        ("a Content-MD5 that is too short", {"content-md5": "YWJj"}, "400 InvalidDigest"),
        ("a Content-MD5 in hex", {"content-md5": hashlib.md5(b"x").hexdigest()}, "400 InvalidDigest"),
        ("an empty Content-MD5", {"content-md5": ""}, "400 InvalidDigest"),
        ("a checksum of other bytes", {"x-amz-checksum-crc32": good}, "400 BadDigest"),
        ("a checksum that is no base64", {"x-amz-checksum-crc32": "?"}, "400 BadDigest"),
        ("a checksum of another length", {"x-amz-checksum-sha256": good}, "400 BadDigest"),
        ("two checksums", {"x-amz-checksum-crc32": good, "x-amz-checksum-crc32c": good}, "400 InvalidRequest"),
        ("an algorithm that is none", {"x-amz-sdk-checksum-algorithm": "CRC99"}, "400 InvalidRequest"),
    ]
    for name, headers, expected in rows:
        for size in (10, 100 * KiB):
            yield Case(f"digest: {name} ({size})", Request("PUT", "/bad/kept", b"d" * size, headers), expected)
    yield Case(
        "digest: another payload hash",
        Request("PUT", "/bad/kept", b"data", payload=hashlib.sha256(b"atad").hexdigest()),
        "400 XAmzContentSHA256Mismatch",
    )
    yield Case("digest: a payload hash that is none", Request("PUT", "/bad/kept", b"data", payload="abc"), WRONG)


# -- lengths --------------------------------------------------------------------------------------------------------------


def length_cases() -> Iterator[Case]:
    for size in (10, 20 * KiB, 3 * MiB):
        body = b"t" * size
        cut = {"payload": UNSIGNED, "length": 2 * size, "stops": True}
        yield Case(f"truncated: {size} bytes", Request("PUT", "/bad/kept", body, **cut), INCOMPLETE)  # type: ignore[arg-type]
        yield Case(
            f"truncated: {size} bytes in chunks",
            Request(
                "PUT",
                "/bad/kept",
                b"%x\r\n%s" % (size + 1, body),
                payload=UNSIGNED,
                length=-1,
                unsigned={"Transfer-Encoding": "chunked"},
                stops=True,
            ),
            INCOMPLETE,
        )
    yield Case(
        "length: shorter than the body",
        Request("PUT", "/bad/kept", b"x" * 100, length=10),
        "400 XAmzContentSHA256Mismatch",
    )
    huge = {"payload": UNSIGNED, "unsigned": {"Expect": "100-continue"}}
    yield Case(
        "length: 6 GiB",
        Request("PUT", "/bad/kept", length=6 * 1024**3, **huge),
        "400 EntityTooLarge",  # type: ignore[arg-type]
    )
    yield Case(
        "length: 18 digits",
        Request("PUT", "/bad/kept", length=10**18 - 1, **huge),
        "400 EntityTooLarge",  # type: ignore[arg-type]
    )
    for text in ("-1", "+5", "0x5", "5, 5", "five", "", "5" * 30, "\xb2"):
        unsigned = {"Content-Length": text}
        yield Case(
            f"length: {text!r}",
            Request("PUT", "/bad/kept", b"12345", payload=UNSIGNED, length=-1, unsigned=unsigned),
            "400 BadRequest",
        )
    both = {"Transfer-Encoding": "chunked", "Content-Length": "5"}
    yield Case(
        "length: two kinds",
        Request("PUT", "/bad/kept", b"0\r\n\r\n", payload=UNSIGNED, unsigned=both),
        "400 BadRequest",
    )
    yield Case("length: none", Request("PUT", "/bad/kept", payload=UNSIGNED, length=-1), "411 MissingContentLength")
    yield Case(
        "length: a part of a document",
        Request("POST", DELETE, delete_document(b"a")[:20], {"content-md5": md5(b"")}, UNSIGNED, 50, stops=True),
        INCOMPLETE,
    )


# -- signed chunks --------------------------------------------------------------------------------------------------------

PART_A, PART_B = b"a" * 64 * KiB, b"b" * 100
WHOLE = len(PART_A) + len(PART_B)


def good_chunks(signed: Signed) -> bytes:
    return signed.encode_chunks(PART_A, PART_B)


def _replace(old: bytes, new: bytes) -> Any:
    return lambda signed: good_chunks(signed).replace(old, new, 1)


def _resign(number: int) -> Any:
    """Another signature at the ``number``-th chunk."""

    def forge(signed: Signed) -> bytes:
        parts = re.split(rb"(chunk-signature=[0-9a-f]{64})", good_chunks(signed))
        parts[2 * number + 1] = b"chunk-signature=" + b"0" * 64
        return b"".join(parts)

    return forge


def chunk_cases() -> Iterator[Case]:
    mismatch = "403 SignatureDoesNotMatch"
    rows: list[tuple[str, Any, str]] = [
        ("a wrong signature, first", _resign(0), mismatch),
        ("a wrong signature, second", _resign(1), mismatch),
        ("a wrong signature, last", _resign(2), mismatch),
        ("other data", _replace(b"aaa", b"aba"), mismatch),
        ("chunks swapped", lambda signed: signed.encode_chunks(PART_B, PART_A), "403 InvalidChunkSizeError"),
        ("no signature", _replace(b";chunk-signature=", b";chunk-sign_ture="), INCOMPLETE),
        ("a size that is none", _replace(b"10000;", b"1000g;"), INCOMPLETE),
        ("a size that is negative", _replace(b"10000;", b"-1000;"), INCOMPLETE),
        ("a size that is too large", _replace(b"10000;", b"fffff;"), INCOMPLETE),
        ("no chunk at the end", lambda signed: good_chunks(signed)[:-86], INCOMPLETE),
        ("bytes behind the end", lambda signed: good_chunks(signed) + b"more", INCOMPLETE),
        ("nothing at all", lambda signed: b"", INCOMPLETE),
        ("garbage", lambda signed: b"\xff" * 1000, INCOMPLETE),
    ]
    for name, forge, expected in rows:
        yield Case(f"chunks: {name}", Chunked("/bad/kept", forge, WHOLE), expected)
    claims = [
        ("less than comes", WHOLE - 1, INCOMPLETE),
        ("more than comes", WHOLE + 1, INCOMPLETE),
        ("nothing", 0, INCOMPLETE),
        ("a negative length", -1, "411 MissingContentLength"),
        ("no number", "many", "411 MissingContentLength"),
        ("6 GiB", 6 * 1024**3, "400 EntityTooLarge"),
        ("20 digits", 10**20, "411 MissingContentLength"),
    ]
    for name, size, expected in claims:
        yield Case(f"chunks: claiming {name}", Chunked("/bad/kept", good_chunks, size), expected)  # type: ignore[arg-type]
    yield Case("chunks: truncated", Chunked("/bad/kept", good_chunks, WHOLE, 10 * MiB, stops=True), INCOMPLETE)
    yield Case("chunks: cut short", Chunked("/bad/kept", good_chunks, WHOLE, 1000), INCOMPLETE)


# -- names ----------------------------------------------------------------------------------------------------------------

KEYS_TAKEN = [  # S3: any UTF-8 is a key
    "..", "../../../../etc/passwd", "%2e%2e/%2E%2e%2fup", ".", "./.", "a/../b", "//", "/", "%01", "%7f", "%20", "%25", "%C3%BC",
]  # fmt: skip


def name_cases() -> Iterator[Case]:
    for raw in ("%00", "a%00b", "%FF", "%C0%AF", "%ED%A0%80", "a%F5%80%80%80", "%zz", "%", "%4", "%u0041"):
        for method in ("GET", "PUT", "DELETE"):
            yield Case(f"key: {method} {raw}", Request(method, f"/bad/{raw}"), "400 InvalidURI")
    yield Case("key: 1,025 bytes", Request("PUT", "/bad/" + "k" * 1025), "400 KeyTooLongError")
    yield Case("key: 1,026 bytes of UTF-8", Request("PUT", "/bad/" + "%C3%BC" * 513), "400 KeyTooLongError")
    yield Case("key: not ASCII", Request("GET", "/bad/\xfc"), "400 BadRequest | 400 InvalidURI")
    for raw in (
        "..",
        ".",
        "%2e%2e",
        "a",
        "UPPER",
        "a_b",
        "-ab",
        "ab-",
        "a..b",
        "192.168.1.1",
        "b" * 64,
        "xn--abc",
        "a%2Fb",
    ):
        yield Case(f"bucket: PUT {raw}", Request("PUT", f"/{raw}"), "400 InvalidBucketName")
    for raw in ("%FF", "%00", "b%zz"):
        yield Case(f"bucket: PUT {raw}", Request("PUT", f"/{raw}"), "400 InvalidURI | 400 InvalidBucketName")
    for raw in ("..", "%2e%2e", "a", "b" * 5000):
        yield Case(f"bucket: GET {raw[:9]}", Request("GET", f"/{raw}"), "404 NoSuchBucket | 400 InvalidBucketName")


def query_cases() -> Iterator[Case]:
    rows = [
        ("prefix=%FF", WRONG),
        ("marker=%C0%AF", WRONG),
        ("%FF=1", WRONG),
        ("max-keys=-1", WRONG),
        ("max-keys=many", WRONG),
        ("max-keys=99999999999999999999", WRONG),
        ("list-type=3", WRONG),
        ("encoding-type=latin", WRONG),
        ("list-type=2&continuation-token=garbage", WRONG),
        ("list-type=2&continuation-token=%00%01", WRONG),
        ("versions&version-id-marker=x", WRONG),
        ("versions&key-marker=a&version-id-marker=%FF", WRONG),
        ("uploads&max-uploads=0x10", WRONG),
        ("delimiter=%00&prefix=%00&max-keys=%31", "200"),
        ("uploads&upload-id-marker=%00&key-marker=x", "200 | 400 InvalidArgument"),
    ]
    for query, expected in rows:
        yield Case(f"query: {query}", Request("GET", f"/bad?{query}"), expected)
    objects = [
        ("GET", "versionId=garbage", "404 NoSuchVersion | 400 InvalidArgument"),
        ("GET", "versionId=", WRONG),
        ("GET", "versionId=%00", "404 NoSuchVersion | 400 InvalidArgument"),
        ("DELETE", "versionId=" + "9" * 2000, "404 NoSuchVersion | 400 InvalidArgument | 204"),
        ("GET", "partNumber=0", WRONG),
        ("GET", "partNumber=x", WRONG),
        ("GET", "partNumber=99", "400 InvalidPart | 416 InvalidPartNumber"),
        ("GET", "uploadId=garbage", "404 NoSuchUpload"),
        ("GET", "uploadId=%00", "404 NoSuchUpload"),
        ("DELETE", "uploadId=", "404 NoSuchUpload"),
        ("PUT", "partNumber=0&uploadId=x", WRONG),
        ("PUT", "partNumber=10001&uploadId=x", WRONG),
        ("PUT", "partNumber=x&uploadId=x", WRONG),
        ("PUT", "partNumber=1&uploadId=x", "404 NoSuchUpload"),
        ("GET", "response-content-type=a%0d%0aX-Evil:%20b", "400 InvalidArgument | 400 InvalidRequest"),
        ("GET", "response-expires=%00", "400 InvalidArgument | 400 InvalidRequest"),
    ]
    for method, query, expected in objects:
        yield Case(f"query: {method} {query[:40]}", Request(method, f"/bad/kept?{query}"), expected)
    yield Case("query: 1 MiB", Request("GET", "/bad?prefix=" + "p" * MiB), "414 InvalidURI")


# -- headers --------------------------------------------------------------------------------------------------------------


def header_cases() -> Iterator[Case]:
    large = "431 RequestHeaderSectionTooLarge"
    yield Case("header: 1 MiB", Request("GET", "/bad", unsigned={"x-large": "x" * MiB}), large)
    many = {f"x-{number}": "x" * 8 for number in range(50_000)}
    yield Case("headers: 1 MiB", Request("GET", "/bad", unsigned=many), large)
    yield Case("headers: 1,000", Request("GET", "/bad", unsigned={f"x-{n}": "" for n in range(1000)}), large)
    rows = [
        ("GET", "/bad/kept", {"range": "bytes=5-2"}, "200"),
        ("GET", "/bad/kept", {"range": "bytes=abc"}, "200"),
        ("GET", "/bad/kept", {"range": "bytes=" + "9" * 30 + "-"}, "416 InvalidRange"),
        ("GET", "/bad/kept", {"range": "bytes=-0"}, "416 InvalidRange"),
        ("GET", "/bad/kept", {"range": "bytes=" + ",".join(["0-1"] * 1000)}, "200 | 206"),
        ("GET", "/bad/kept", {"if-modified-since": "yesterday"}, "200"),
        ("GET", "/bad/kept", {"if-none-match": '"' * 1000}, "200"),
        ("PUT", "/bad/kept", {"x-amz-meta-big": "m" * 3 * KiB}, "400 MetadataTooLarge"),
        ("PUT", "/bad/kept", {"x-amz-storage-class": "CHEAP"}, "400 InvalidStorageClass"),
        ("PUT", "/bad/kept", {"x-amz-tagging": "a=1&a=2"}, "400 InvalidTag"),
        ("PUT", "/bad/kept", {"x-amz-tagging": "%FF=1"}, "400 InvalidTag | 400 InvalidArgument"),
        ("PUT", "/bad/kept", {"x-amz-copy-source": "/"}, WRONG),
        ("PUT", "/bad/kept", {"x-amz-copy-source": "%FF/x"}, WRONG),
        ("PUT", "/bad/kept", {"x-amz-copy-source": "/bad/../../etc/passwd"}, "404 NoSuchKey"),
        ("PUT", "/bad/kept", {"x-amz-copy-source": "/bad/%00"}, "400 InvalidURI | 400 InvalidArgument"),
        ("PUT", "/bad/kept", {"x-amz-copy-source": "/nobucket/x"}, "404 NoSuchBucket"),
        ("PUT", "/bad/kept", {"x-amz-copy-source": "/bad/kept?versionId=%FF"}, f"{WRONG} | 404 NoSuchVersion"),
        ("PUT", "/bad/kept", {"x-amz-copy-source": "/bad/kept", "x-amz-metadata-directive": "EAT"}, WRONG),
        ("PUT", "/bad/kept?renameObject", {"x-amz-rename-source": "/other/kept"}, WRONG),
        ("PUT", "/bad/kept?renameObject", {"x-amz-rename-source": "/bad/missing"}, "404 NoSuchKey"),
        ("PUT", "/bad/kept", {"x-amz-object-lock-mode": "LOOSE"}, f"{WRONG} | 400 InvalidRequest"),
        ("PUT", "/bad/kept", {"x-amz-acl": "everything"}, f"{WRONG} | 400 AccessControlListNotSupported"),
        ("GET", "/bad", {"x-amz-expected-bucket-owner": "somebody"}, "403 AccessDenied"),
    ]
    for number, (method, target, headers, expected) in enumerate(rows):
        yield Case(
            f"header: {method} {next(iter(headers))} {number}", Request(method, target, headers=headers), expected
        )


def auth_cases() -> Iterator[Case]:
    def authorization(text: str) -> Request:
        return Request(
            "GET",
            "/bad",
            damage=lambda head: re.sub(rb"Authorization: [^\r]*", b"Authorization: " + text.encode(), head),
        )

    malformed = "400 AuthorizationHeaderMalformed"
    scope = f"{time.strftime('%Y%m%d', time.gmtime())}/us-east-1/s3/aws4_request"
    rows = [
        ("", "400 | 403"),
        ("Basic dXNlcjpwYXNz", "400 | 403"),
        ("AWS4-HMAC-SHA256", "400"),
        ("AWS4-HMAC-SHA256 Credential=", malformed),
        ("AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=zz", malformed),
        (f"AWS4-HMAC-SHA256 Credential=nobody/{scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}", "403"),
        (f"AWS4-HMAC-SHA256 Credential={'x' * 20_000}, SignedHeaders=host, Signature={'0' * 64}", malformed),
        (
            f"AWS4-HMAC-SHA256 Credential=a/{scope}, SignedHeaders={';'.join('h' * 5000)}, Signature={'0' * 64}",
            "400 | 403",
        ),
        ("AWS :", "400 | 403"),
        ("AWS nobody:c2lnbmF0dXJl", "403"),
        ("AWS4-ECDSA-P256-SHA256 Credential=a", "400 | 403 | 501"),
        ("\u00ff\u00fe", "400 | 403"),
    ]
    for number, (text, expected) in enumerate(rows):
        yield Case(f"authorization: {text[:40]!r} {number}", authorization(text), expected)
    for name, pattern, new in [
        ("a date that is none", rb"x-amz-date: \w+", b"x-amz-date: tomorrow"),
        ("an old date", rb"x-amz-date: \w+", b"x-amz-date: 20130524T000000Z"),
        ("no date", rb"x-amz-date: \w+\r\n", b""),
        ("no payload hash", rb"x-amz-content-sha256: [^\r]*\r\n", b""),
        ("another host", rb"host: [^\r]*", b"host: other.test"),
        ("another path", rb"/bad", b"/dab"),
    ]:
        damaged = Request("GET", "/bad", damage=lambda head, p=pattern, n=new: re.sub(p, n, head, count=1))  # type: ignore[misc]
        yield Case(f"authorization: {name}", damaged, "400 | 403")
    names = ("Credential", "Date", "Expires", "SignedHeaders", "Signature")
    for values in (
        ("a", "b", "c", "d", "e"),
        ("", "", "", "", ""),
        ("%FF", "%00", "-1", "host", "0"),
        (f"a/{scope}", "20130524T000000Z", "9" * 30, "host", "0" * 64),
        (f"a/{scope}", "20130524T000000Z", "60", "host", "0" * 64),
    ):
        query = "&".join(f"X-Amz-{name}={value}" for name, value in zip(names, values, strict=True))
        line = f"GET /bad/kept?X-Amz-Algorithm=AWS4-HMAC-SHA256&{query} HTTP/1.1\r\nHost: store.test\r\n\r\n"
        yield Case(f"presigned: {query[:60]}", Raw(line.encode()), "400 | 403")


# -- methods and garbage --------------------------------------------------------------------------------------------------


def garbage_cases() -> Iterator[Case]:
    for method in ("FOO", "TRACE", "PATCH", "PROPFIND", "get", "M" * 200):
        yield Case(f"method: {method[:10]}", Request(method, "/bad/kept"), "405 MethodNotAllowed")
    yield Case("method: CONNECT", Raw(b"CONNECT store.test:443 HTTP/1.1\r\nHost: store.test\r\n\r\n"), "400 BadRequest")
    yield Case("method: DELETE of the service", Request("DELETE", "/"), "405 MethodNotAllowed")
    yield Case("method: POST without a form", Request("POST", "/bad", b"x=1"), "400 | 405 | 412")
    noise = random.Random(2)
    coded = b"PUT /bad/kept HTTP/1.1\r\nHost: a\r\nTransfer-Encoding"
    rows = [
        ("noise", noise.randbytes(5000) + b"\r\n\r\n", "400 BadRequest"),
        (
            "a TLS greeting",
            bytes.fromhex("1603010200010001fc0303") + noise.randbytes(500) + b"\r\n\r\n",
            "400 BadRequest",
        ),
        ("an SSH greeting", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "400 BadRequest"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 BadRequest"),
        ("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", "505 HttpVersionNotSupported"),
        ("HTTP/0.9", b"GET /\r\n\r\n", "400 BadRequest"),
        (
            "a PROXY header from nobody's proxy",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "400 BadRequest",
        ),
        ("NULs", b"\0" * 100 + b"\r\n\r\n", "400 BadRequest"),
        ("a NUL in a header", b"GET / HTTP/1.1\r\nHost: a\r\nX-A: a\0b\r\n\r\n", "400 BadRequest"),
        ("a folded header", b"GET / HTTP/1.1\r\nHost: a\r\nX-A: a\r\n b\r\n\r\n", "400 BadRequest"),
        ("a space before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400 BadRequest"),
        ("two hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 BadRequest"),
        ("no host", b"GET / HTTP/1.1\r\n\r\n", "400 BadRequest"),
        ("bare LFs", b"GET / HTTP/1.1\nHost: a\n\n", "400 BadRequest"),
        ("a transfer coding nobody knows", b"%s: gzip, chunked\r\n\r\n" % coded, "501 NotImplemented"),
        ("a chunk that is none", b"%s: chunked\r\n\r\nzz\r\n" % coded, "400 | 403"),
    ]
    for name, data, expected in rows:
        yield Case(f"garbage: {name}", Raw(data), expected)
    yield Case("garbage: half a request", Raw(b"GET / HTTP/1.1\r\nHost:", stops=True), CLOSED)
    yield Case("garbage: nothing", Raw(b"", stops=True), CLOSED)


CASES = [
    *document_cases(),
    *digest_cases(),
    *length_cases(),
    *chunk_cases(),
    *name_cases(),
    *query_cases(),
    *header_cases(),
    *auth_cases(),
    *garbage_cases(),
]
