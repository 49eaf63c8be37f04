"""What S3 reads from single header fields, queries and addresses.

Properties: only errors of the store leave a parser; a range lies inside its object; a query is what urllib reads; what
stands for a name in a continuation token comes back as that name.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote

from fuzz.xml_documents import OWNER, NobodyElse
from support.fuzzing import Target

from nova_objectstore.errors import StoreError
from nova_objectstore.query.faults import MalformedQueryString
from nova_objectstore.query.parameters import Parameters, parse_pairs
from nova_objectstore.s3.acls import AclReader, Owners
from nova_objectstore.s3.address import AddressParser, is_bucket_name
from nova_objectstore.s3.checksums import (
    announced_trailers,
    parse_algorithm,
    read_claim,
    read_content_md5,
    read_upload_checksum,
)
from nova_objectstore.s3.conditions import (
    copy_conditions,
    delete_condition,
    parse_etags,
    parse_http_date,
    read_conditions,
    write_condition,
)
from nova_objectstore.s3.copy_source import parse_copy_source, parse_rename_source
from nova_objectstore.s3.dates import http_date
from nova_objectstore.s3.encryption_headers import read_encryption, read_reader_key, read_source_key
from nova_objectstore.s3.lock_headers import lock_headers, read_lock
from nova_objectstore.s3.object_headers import read_stored_headers
from nova_objectstore.s3.operations.buckets import decode_token, encode_token
from nova_objectstore.s3.ranges import parse_copy_range, parse_range, range_applies
from nova_objectstore.s3.request import parse_query
from nova_objectstore.s3.tags import parse_tagging_header

Read = Callable[[str], object]

# -- one header --------------------------------------------------------------------------------------------------------


def _range(text: str) -> object:
    for size in (0, 1, 1000):
        found = parse_range(text, size)
        if found is not None:
            assert 0 <= found.first <= found.last < size, f"{found} of {size}"
    return found


def _copy_range(text: str) -> object:
    found = parse_copy_range(text, 1000)
    assert 0 <= found.first <= found.last < 1000, found
    return found


def _date(text: str) -> object:
    moment_s = parse_http_date(text)
    if moment_s is not None and moment_s >= 0:
        assert parse_http_date(http_date(moment_s * 1_000_000)) == moment_s, "what is answered is another date"
    return moment_s


def _etags(text: str) -> object:
    tags = parse_etags(text)
    assert tags.any or tags.matches_weakly("e") or not tags.matches_strongly("e")
    return tags


_ACLS: Any = AclReader(NobodyElse())  # type: ignore[arg-type]
SINGLE: Mapping[str, Read] = {
    "range": _range,
    "copy-range": _copy_range,
    "date": _date,
    "etags": _etags,
    "if-range": lambda text: range_applies(text, etag="e", modified_s=1),
    "copy-source": parse_copy_source,
    "rename-source": lambda text: parse_rename_source(text, bucket="b"),
    "tagging": parse_tagging_header,
    "token": lambda text: encode_token(decode_token(text)),
    "algorithm": parse_algorithm,
}

# -- several headers ---------------------------------------------------------------------------------------------------

Fields = dict[str, str]


def _lock(headers: Fields) -> object:
    return lock_headers(read_lock(headers))


MANY: Mapping[str, Callable[[Fields], object]] = {
    "read conditions": lambda headers: read_conditions(headers).check(etag="e", modified_s=1, now_s=1e9),
    "copy conditions": lambda headers: copy_conditions(headers).check_copy(etag="e", modified_s=1, now_s=1e9),
    "write condition": write_condition,
    "delete condition": delete_condition,
    "content-md5": read_content_md5,
    "checksum": read_claim,
    "upload checksum": read_upload_checksum,
    "trailers": announced_trailers,
    "encryption": read_encryption,
    "reader key": read_reader_key,
    "source key": read_source_key,
    "lock": _lock,
    "stored headers": read_stored_headers,
    "acl": lambda headers: _ACLS.from_headers(headers, Owners(OWNER, OWNER), of_bucket=True),
}


def check_single(data: bytes) -> str:
    """A value, by everybody who reads a single one; as HTTP would let it through."""
    value = _plain(data.decode("latin-1"))
    told = []
    for name, read in SINGLE.items():
        try:
            if read(value) is not None:
                told.append(name)
        except StoreError as error:
            told.append(f"{name}: {type(error).__name__}")
    return " ".join(told)


def check_many(data: bytes) -> str:
    """Lines of ``name:value``, read by everybody who reads some of them."""
    pairs = (line.partition(":") for line in data.decode("latin-1").split("\n"))
    headers = {name.strip().lower(): _plain(value) for name, _, value in pairs if name.strip()}
    told = set()
    for name, read in MANY.items():
        try:
            read(headers)
        except StoreError as error:
            told.add(f"{name}: {type(error).__name__}")
    return " ".join(sorted(told)) or "taken"


def _plain(value: str) -> str:
    """What the HTTP parser lets through: no control characters, no white space around."""
    return re.sub(r"[\x00-\x08\x0a-\x1f\x7f]", "", value).strip(" \t")


# -- queries and addresses ---------------------------------------------------------------------------------------------


def check_query(data: bytes) -> str:
    """S3's reader, and the query protocol's, against urllib's."""
    text = data.decode("latin-1")
    told = []
    try:
        theirs = parse_qsl(_escaped(text), keep_blank_values=True, errors="strict", max_num_fields=10**6)
    except UnicodeDecodeError:
        theirs = None
    if text.isascii():  # in a target all is
        try:
            pairs = parse_query(text)
        except StoreError as error:
            assert theirs is None, "urllib reads this query"
            told.append(type(error).__name__)
        else:
            assert theirs is not None, "urllib does not read this query"
            assert pairs == dict(reversed(theirs)), "urllib reads another query"
            told.append(f"{min(3, len(pairs))} pairs")
    return " ".join((*told, _check_form(text, theirs)))


def _check_form(text: str, theirs: list[tuple[str, str]] | None) -> str:
    pairs: dict[str, str] = {}
    refusal = ""
    try:
        pairs = parse_pairs(text)
    except MalformedQueryString as error:
        refusal = error.message
    if refusal:  # urllib takes a name twice
        assert theirs is None or "UTF-8" not in refusal, "urllib reads this form"
        return "malformed"
    assert theirs is not None, "urllib does not read this form"
    assert pairs == dict(theirs), "urllib reads another form"
    return _check_parameters(Parameters(pairs))


def _check_parameters(parameters: Parameters) -> str:
    names = {name.split(".")[0] for name in parameters.pairs}
    for name in sorted(names)[:5]:
        parameters.members(name)
        parameters.tags(name)
        for read in (parameters.flag, parameters.required, parameters.entries, _bounded(parameters)):
            try:
                read(name)
            except StoreError:
                continue
    return f"{min(3, len(names))} names"


def _bounded(parameters: Parameters) -> Callable[[str], int]:
    def read(name: str) -> int:
        value = parameters.number(name, 1, low=1, high=1000)
        assert 1 <= value <= 1000, value
        return value

    return read


def _escaped(text: str) -> str:
    return "".join(char if char < "\x80" else f"%{ord(char):02X}" for char in text)


_ADDRESSES = AddressParser(["s3.example.com", "example.com"])


def check_address(data: bytes) -> str:
    """``host path``."""
    host, _, path = data.decode("latin-1").partition(" ")
    if not path.isascii():
        path = _escaped(path)
    try:
        found = _ADDRESSES.parse(host, path)
    except StoreError as error:
        return type(error).__name__
    assert "\0" not in found.key
    assert len(found.key.encode()) <= 1024
    again = _ADDRESSES.parse("other.test", f"/{quote(found.bucket, safe='')}/{quote(found.key, safe='')}")
    assert (again.bucket, again.key) == (found.bucket, found.key), "another spelling is another address"
    return f"{found.is_virtual} {bool(found.key)} {is_bucket_name(found.bucket)}"


# -- seeds -------------------------------------------------------------------------------------------------------------

_SINGLES = (
    b"bytes=0-9", b"bytes=-5", b"bytes=5-", b"bytes=0-1,3-4", b"bytes=0-99",
    b"Wed, 21 Oct 2015 07:28:00 GMT", b"Wednesday, 21-Oct-15 07:28:00 GMT", b"Wed Oct 21 07:28:00 2015",
    b"2015-10-21T07:28:00.123Z", b"Wed, 21 Oct 2015 07:28:00 +0200", b'"a", W/"b", c', b"*", b'"e"',
    b"Thu, 01 Jan 1970 00:00:01 GMT", b"/b/k%2Fx+y?versionId=1", b"arn:aws:s3:::b/k", b"b/k",
    b"a=b&c=%C3%A9+d", b"YWJj", b"w6k", b"CRC64NVME",
)  # fmt: skip
_MANY = (
    b'if-match:"e"\nif-none-match:*\nif-modified-since:Wed, 21 Oct 2015 07:28:00 GMT',
    b'x-amz-if-match-size:1\nx-amz-if-match-last-modified-time:Wed, 21 Oct 2015 07:28:00 GMT\nif-match:"e"',
    b'x-amz-copy-source-if-match:"e"\nx-amz-copy-source-if-unmodified-since:Wed, 21 Oct 2015 07:28:00 GMT',
    b"content-md5:1B2M2Y8AsgTpgAmY7PhCfg==\nx-amz-checksum-crc32:AAAAAA==\nx-amz-sdk-checksum-algorithm:CRC32",
    b"x-amz-trailer:x-amz-checksum-crc32c\nx-amz-checksum-algorithm:CRC32\nx-amz-checksum-type:COMPOSITE",
    b"x-amz-server-side-encryption:aws:kms\nx-amz-server-side-encryption-aws-kms-key-id:k\nx-amz-server-side-encryption-context:eyJhIjoiYiJ9\n"
    b"x-amz-server-side-encryption-bucket-key-enabled:true",
    b"x-amz-server-side-encryption-customer-algorithm:AES256\nx-amz-server-side-encryption-customer-key:"
    b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nx-amz-server-side-encryption-customer-key-md5:tCmSsoXpUVsGwEpBrpcZTA==",
    b"x-amz-copy-source-server-side-encryption-customer-algorithm:AES256\nx-amz-copy-source-server-side-encryption-customer-key:AAEC",
    b"x-amz-object-lock-mode:GOVERNANCE\nx-amz-object-lock-retain-until-date:2030-01-01T00:00:00Z\nx-amz-object-lock-legal-hold:ON",
    b"x-amz-meta-a:b\nx-amz-meta-c:=?UTF-8?B?w6k=?=\ncontent-encoding:aws-chunked,gzip\ncache-control:no-cache\nexpires:0",
    b'x-amz-grant-read:id="' + OWNER.encode() + b'", uri=http://acs.amazonaws.com/groups/global/AllUsers\nx-amz-grant-write:emailAddress=a@b',
    b"x-amz-acl:public-read",
)  # fmt: skip
_QUERIES = (
    b"a=b&c=d+e&f=%C3%A9&&g", b"versionId=1&acl",
    b"Action=X&Version=1&Tags.member.1.Key=k&Tags.member.1.Value=v&Tags.member.02.Key=x",
    b"a=%", b"a=%zz&%61=2", b"a=%ff", b"Filter.1.Value.2=x&Filter.1.Name=n",
    b"Max=12&Flag=true&Map.entry.1.key=a&Map.entry.1.value=b", b"a=b=c;d=e",
)  # fmt: skip
_PLACES = (
    b"127.0.0.1 /b/k%20x", b"b.s3.example.com:80 /k/%C3%A9", b"a.b.example.com. //x", b"S3.EXAMPLE.COM /b",
    b"[::1]:1 /b/%00", b"x /b/%ff",
    b"example.com /%2F%2E%2E/k", b" /",
)  # fmt: skip


def make_many(rng: random.Random) -> bytes:
    """Lines of several seeds together."""
    lines = [line for seed in _MANY for line in seed.split(b"\n")]
    chosen = rng.sample(lines, rng.randrange(1, 6))
    values = [line.partition(b":")[2] for line in lines]
    return b"\n".join(
        line if rng.random() < 0.7 else line.partition(b":")[0] + b":" + rng.choice(values) for line in chosen
    )


def _targets() -> Sequence[Target]:
    singles = {
        "etags": lambda n: b'"a", ' * n + b'"',
        "bare etags": lambda n: b"a" * n + b'"',
        "blank etags": lambda n: b"a" + b" " * n + b"b",
        "copy source": lambda n: b"?versionId=" * n + b"&",
        "tags": lambda n: b"a=b&" * n,
        "a range": lambda n: b"bytes=" + b"9" * n + b"-",
        "a token": lambda n: b"a" * n,
    }
    many = {
        "grants": lambda n: b"x-amz-grant-read:" + b"id = " * n,
        "an encoding": lambda n: b"content-encoding:" + b"aws-chunked," * n,
    }
    queries = {
        "pairs": lambda n: b"&".join(b"a%d=b" % i for i in range(n)),
        "one name": lambda n: b"a=%41&" * n,
        "members": lambda n: b"&".join(b"T.member.%d.Key=b" % i for i in range(n)),
    }
    return (
        Target("single_headers", check_single, seeds=_SINGLES, words=[b"bytes=", b"GMT", b"W/", b"?versionId=", b"-",
            b"+00:00", b"Mon, ", b"Jan"], growths=singles),
        Target("header_groups", check_many, make_many, seeds=_MANY, growths=many),
        Target("queries", check_query, seeds=_QUERIES, words=(b"%C3%A9", b".member.", b"=", b"%41"), growths=queries),
        Target("addresses", check_address, seeds=_PLACES, words=(b"s3.example.com", b"/b/", b"%00", b"%2F"),
               growths={"a path": lambda n: b"a /b/" + b"%41" * n, "slashes": lambda n: b"a " + b"/" * n}),
    )  # fmt: skip


TARGETS = _targets()
