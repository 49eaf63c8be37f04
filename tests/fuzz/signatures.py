"""SigV4 and SigV2, in headers and in queries: anything that could be sent, and what botocore signs.

Properties: only errors of the store leave the verifiers; nothing is taken but what a holder of the secret signed. What
botocore signs is taken, and no longer with one change to what it covers. Canonical spellings do not change when they are
made again, and mean what the text meant.
"""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from support.fuzzing import Target
from support.signing import presign_v2, presign_v4, read_requests, sign_v2, sign_v4, verify

from nova_objectstore.errors import InvalidURI, StoreError
from nova_objectstore.s3.auth import WireRequest
from nova_objectstore.s3.auth.canonical import (
    canonical_path,
    canonical_query,
    decode_component,
    encode_component,
    split_query,
)
from nova_objectstore.s3.conditions import parse_http_date

# -- anything that could be sent ---------------------------------------------------------------------------------------


def to_request(data: bytes) -> WireRequest:
    """``METHOD path?query`` and header lines, as the vectors have them; what no HTTP parser would let through is dropped."""
    line, *lines = data.decode("latin-1").split("\n")
    method, _, target = line.partition(" ")
    path, _, query = "".join(char for char in target if "!" <= char <= "~" and char != "#").partition("?")
    pairs = (header.partition(":") for header in lines)
    headers = {name.lower(): "".join(char for char in value if char >= " ").strip(" \t") for name, _, value in pairs}
    return WireRequest(method or "GET", path or "/", query, headers)


def from_request(request: WireRequest) -> bytes:
    target = request.path + (f"?{request.query}" if request.query else "")
    lines = [f"{request.method} {target}", *(f"{name}:{value}" for name, value in request.headers.items())]
    return "\n".join(lines).encode("latin-1", "replace")


_VECTORS = [vector for topic in ("sigv4", "sigv2") for vector in read_requests(topic)]
_TIMES = sorted({vector.now_s for vector in _VECTORS})
# What was signed, by the signature: the head that a forger would have to leave as it is.
_SIGNED = {from_request(vector.request): vector for vector in _VECTORS if vector.expect == "ok"}


def check_wire(data: bytes) -> str:
    """At the time of each vector."""
    request = to_request(data)
    told = set()
    for now_s in _TIMES:
        try:
            signed = verify(request, now_s)
        except StoreError as error:
            told.add(f"{type(error).__name__} {error.message[:40]}")
            continue
        if signed is None:
            return "anonymous"
        told.add("taken")
        assert _was_signed(request), "nobody signed this"
    return " ".join(sorted(told))


def _was_signed(request: WireRequest) -> bool:
    """The method and the meaning of the path are those of a vector, and so is the signature."""
    return any(
        vector.request.method == request.method and _meaning(vector.request) == _meaning(request) for vector in _VECTORS
    )


def _meaning(request: WireRequest) -> bytes:
    """What a path names; a bucket with a slash behind it or without."""
    path = unquote_to_bytes(request.path)
    return path if path.count(b"/") > 1 else path + b"/"


# -- canonical spellings -----------------------------------------------------------------------------------------------


def check_canonical(data: bytes) -> str:
    """A path, a query and each of its parts."""
    text = data.decode("latin-1").replace("\n", "")
    path = canonical_path(text)
    assert canonical_path(path) == path, "a canonical path has another canonical path"
    assert unquote_to_bytes(path) == unquote_to_bytes(text.encode("latin-1")), "a canonical path is another path"
    assert path.isascii()
    query = canonical_query(text)
    assert canonical_query(query) == query, "a canonical query has another canonical query"
    encoded = encode_component(text)
    assert encode_component(encoded) == encoded, "a canonical component has another one"
    try:
        decoded = decode_component(text)
    except InvalidURI:
        return "not UTF-8"
    assert decode_component(encoded) == decoded, "a canonical component has another meaning"
    assert encoded == quote(decoded, safe="-._~"), "urllib encodes it otherwise"
    pairs = [(name, value) for name, value in split_query(text) if name or value]
    try:
        ours = [(decode_component(name), decode_component(value)) for name, value in pairs]
    except InvalidURI:
        return "a part is not UTF-8"
    theirs = parse_qsl(_as_utf8(text), keep_blank_values=True, errors="strict", max_num_fields=10_000)
    assert ours == [pair for pair in theirs if any(pair)], "urllib reads another query"
    return f"{path == text} {encoded == text} {min(len(pairs), 3)}"


def _as_utf8(text: str) -> str:
    """Bytes beyond ASCII as urllib wants them, in escapes."""
    return "".join(char if char < "\x80" else f"%{ord(char):02X}" for char in text)


# -- what botocore signs -----------------------------------------------------------------------------------------------

_KEY_CHARACTERS = string.ascii_letters + "0123456789-._~/ +!*'()$&,:;=@%é中\U0001f40d\"<>[]^`{|}\\\x7f"
_PARAMETERS = (
    "versionId",
    "uploadId",
    "partNumber",
    "prefix",
    "delimiter",
    "acl",
    "tagging",
    "x-id",
    "a b",
    "list-type",
)
_HEADERS = ("x-amz-meta-a", "x-amz-acl", "content-type", "x-amz-tagging", "x-amz-copy-source", "content-md5", "range")
Signed = tuple[WireRequest, float]


def make_signed(rng: random.Random) -> bytes:
    """A request to sign, how to sign it, and where to change it then; as JSON, so that it can be kept."""
    key = "".join(rng.choice(_KEY_CHARACTERS) for _ in range(rng.randrange(1, 24)))
    query = {
        rng.choice(_PARAMETERS): "".join(rng.choice(_KEY_CHARACTERS) for _ in range(rng.randrange(6)))
        for _ in range(rng.randrange(4))
    }
    headers = {rng.choice(_HEADERS): _make_value(rng) for _ in range(rng.randrange(3))}
    case = {
        "method": rng.choice(("GET", "PUT", "DELETE", "HEAD", "POST")),
        "key": key, "query": query, "headers": headers, "by": rng.choice(sorted(_SIGNERS)),
        "change": rng.choice(sorted(_CHANGES)), "at": rng.randrange(1 << 16),
    }  # fmt: skip
    return json.dumps(case, ensure_ascii=True).encode()


def _make_value(rng: random.Random) -> str:
    return "".join(rng.choice("abc  \t,;=/:é") for _ in range(rng.randrange(10))).strip()


def check_signed(data: bytes) -> str:
    """Sign with botocore, verify, change one thing, verify again."""
    case = json.loads(data)
    signer, change = _SIGNERS[case["by"]], _CHANGES[case["change"]]
    signed, now_s = signer(case["method"], _url(case), case["headers"])
    # As the bytes of UTF-8, which is what botocore signs; WSGI has them as latin-1.
    request = signed._replace(
        headers={name: value.encode().decode("latin-1") for name, value in signed.headers.items()}
    )
    verified = verify(request, now_s)
    assert verified is not None, "a signature was not seen"
    changed = change(request, random.Random(case["at"]))
    if changed is None:
        return f"{case['by']} unchanged"
    try:
        again = verify(changed, now_s)
    except StoreError as error:
        return f"{case['by']} {case['change']} {type(error).__name__}"
    # Of a request without a signature nobody is told; it may do what everybody may.
    assert again is None, f"taken after {case['change']}: {changed}"
    return f"{case['by']} {case['change']} anonymous"


def _url(case: Mapping[str, Any]) -> str:
    query = "&".join(f"{quote(name, safe='-._~')}={quote(value, safe='-._~')}" for name, value in case["query"].items())
    return f"http://store.example/bucket/{quote(case['key'], safe='/-._~')}" + (f"?{query}" if query else "")


def _sign_v2_header(method: str, url: str, headers: Mapping[str, str]) -> Signed:
    return sign_v2(method, url, {name: value for name, value in headers.items() if value.isascii()})


def _sign_v2_query(method: str, url: str, headers: Mapping[str, str]) -> Signed:
    request = presign_v2(method, url)
    expires = dict(parse_qsl(request.query))["Expires"]
    return request, float(expires) - 60


def _sign_v4_query(method: str, url: str, headers: Mapping[str, str]) -> Signed:
    return presign_v4(method, url)


_SIGNERS: Mapping[str, Callable[[str, str, Mapping[str, str]], Signed]] = {
    "v4": sign_v4, "v4 query": _sign_v4_query, "v2": _sign_v2_header, "v2 query": _sign_v2_query,
}  # fmt: skip


# -- one change --------------------------------------------------------------------------------------------------------

Change = Callable[[WireRequest, random.Random], WireRequest | None]


def _other_method(request: WireRequest, _rng: random.Random) -> WireRequest:
    return request._replace(method="DELETE" if request.method != "DELETE" else "GET")


def _other_path(request: WireRequest, rng: random.Random) -> WireRequest:
    at = rng.randrange(1, len(request.path) + 1)
    return request._replace(path=request.path[:at] + rng.choice("a/.") + request.path[at:])


def _other_bucket(request: WireRequest, _rng: random.Random) -> WireRequest:
    return request._replace(path=request.path.replace("/bucket/", "/other/", 1))


def _added_parameter(request: WireRequest, rng: random.Random) -> WireRequest:
    added = rng.choice(("acl", "versionId=2", "uploadId=1", "tagging"))
    return request._replace(query=f"{request.query}&{added}" if request.query else added)


def _dropped_parameter(request: WireRequest, rng: random.Random) -> WireRequest | None:
    items = request.query.split("&") if request.query else []
    signed = [
        item for item in items if item.partition("=")[0] in ("acl", "versionId", "uploadId", "partNumber", "tagging")
    ]
    if not signed:
        return None
    items.remove(rng.choice(signed))
    return request._replace(query="&".join(items))


def _other_signature(request: WireRequest, rng: random.Random) -> WireRequest | None:
    """The first character, whatever it is: the last of a base64 text has bits that say nothing."""
    text = request.headers.get("authorization")
    mark = "Signature=" if text is None or text.startswith("AWS4") else ":"
    whole = request.query if text is None else text
    at = whole.find(mark) + len(mark)
    changed = whole[:at] + ("A" if whole[at] != "A" else "b") + whole[at + 1 :]
    if text is None:
        return request._replace(query=changed)
    return request._replace(headers={**request.headers, "authorization": changed})


def _added_amz_header(request: WireRequest, _rng: random.Random) -> WireRequest:
    return request._replace(headers={**request.headers, "x-amz-grant-read": "id=1"})


def _other_header(request: WireRequest, rng: random.Random) -> WireRequest | None:
    names = [name for name in request.headers if name.startswith("x-amz-") and name != "x-amz-date"]
    if not names:
        return None
    name = rng.choice(names)
    return request._replace(headers={**request.headers, name: request.headers[name] + "x"})


def _dropped_header(request: WireRequest, rng: random.Random) -> WireRequest | None:
    # One that is signed and empty says no more than none: both are signed the same.
    names = [name for name in request.headers if name in ("x-amz-meta-a", "x-amz-acl") and request.headers[name]]
    if not names:
        return None
    dropped = rng.choice(names)
    return request._replace(headers={name: value for name, value in request.headers.items() if name != dropped})


def _other_date(request: WireRequest, _rng: random.Random) -> WireRequest | None:
    for name in ("x-amz-date", "date"):
        text = request.headers.get(name)
        if text is not None and name == "x-amz-date":
            other = text[:-2] + str((int(text[-2]) + 1) % 10) + "Z"
            return request._replace(headers={**request.headers, name: other})
        if text is not None and parse_http_date(text) is not None:
            other = text[:-5] + str((int(text[-5]) + 1) % 10) + text[-4:]
            return request._replace(headers={**request.headers, name: other})
    return None


_CHANGES: Mapping[str, Change] = {
    "another method": _other_method, "another path": _other_path, "another bucket": _other_bucket,
    "an added parameter": _added_parameter, "a dropped parameter": _dropped_parameter,
    "another signature": _other_signature, "an added header": _added_amz_header, "another header": _other_header,
    "a dropped header": _dropped_header, "another date": _other_date,
}  # fmt: skip


def _targets() -> Sequence[Target]:
    seeds = [from_request(vector.request) for vector in _VECTORS]
    words = (b"X-Amz-Algorithm=AWS4-HMAC-SHA256", b"AWS4-HMAC-SHA256 ", b"AWS AKIAIOSFODNN7EXAMPLE:", b"Credential=",
        b"SignedHeaders=",
             b"Signature=", b"\nx-amz-date:20130524T000000Z", b"&X-Amz-Expires=604800", b"&Expires=1",
             b"host;x-amz-date", b"/aws4_request",
             b"\nx-amz-content-sha256:UNSIGNED-PAYLOAD", b"us-east-1", b"20130524")  # fmt: skip
    texts = [b"/b/%7ea+b", b"a=b&c=%C3%A9&d", b"//.././%2F%2f", b"%", b"%zz", b"\xc3\xa9 ~", b"a=1=2&&=&b"]
    head = b"GET /b?acl\nauthorization:AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/s3/aws4_request,SignedHeaders="
    growths = {
        "signed headers": lambda n: head + b"a;" * n + b",Signature=0\nx-amz-date:20130524T000000Z\nhost:a",
        "components": lambda n: b"GET /\nauthorization:AWS4-HMAC-SHA256 " + b"a=b, " * n,
        "a query": lambda n: b"GET /?X-Amz-Signature=" + b"&a%=" * n + b"\nhost:a",
        "spaces": lambda n: b"GET /\nauthorization:AWS4-HMAC-SHA256 Credential=a" + b" " * n + b"\nhost:a" + b" " * n,
    }
    return (
        Target("signed_requests", check_wire, seeds=seeds, words=words, growths=growths, short=500),
        Target("canonical_spellings", check_canonical, seeds=texts, words=(b"%2F", b"%7E", b"%c3%a9")),
        Target("botocore_signs", check_signed, make_signed, mutates=False, short=300),
    )


TARGETS = _targets()
