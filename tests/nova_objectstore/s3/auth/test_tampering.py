"""Every byte of a signed request, changed in every way that could matter: it is refused, or it means what was signed.

What a request means is read here for itself, by Python's own decoders: method, path, parameters, and the headers that the
signature speaks of. Whoever answers these rows otherwise has found two requests with one signature.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import pytest
from support.signing import presign_v2, presign_v4, sign_v2, sign_v4, verify

from nova_objectstore.errors import InvalidURI, StoreError
from nova_objectstore.s3.auth import WireRequest
from nova_objectstore.s3.auth.sigv2 import LATE_PARAMETERS, SIGNED_PARAMETERS
from nova_objectstore.s3.operation import Operation
from nova_objectstore.s3.operations import CONTROLLERS
from nova_objectstore.s3.operations.not_offered import NOT_OFFERED

URL = "http://store.test/bucket/a/kept%20key~1?versionId=V.1%2F2&response-expires=0"
HEADERS = {"Content-Type": "text/plain", "x-amz-acl": "private", "x-amz-meta-colour": "light blue"}
CHANGES = 'aZ05 %+&=/.;,:~"\\\x7f\xe9'  # one of each kind that a parser may see something in


class Signed(NamedTuple):
    """A signed request, and what else of its headers its signature covers beside x-amz-*."""

    request: WireRequest
    now_s: float
    covered: frozenset[str]


def make_all() -> dict[str, Signed]:
    v4, v4_s = sign_v4("PUT", URL, HEADERS, body=b"data")
    v4_query, v4_query_s = presign_v4("PUT", URL, HEADERS)
    v4_query = v4_query._replace(headers={"host": "store.test", **{n.lower(): v for n, v in HEADERS.items()}})
    v2, v2_s = sign_v2("PUT", URL, {**HEADERS, "Content-MD5": "x" * 22 + "=="})
    v2_query = presign_v2("PUT", URL)
    in_v4, in_v2 = frozenset(("host", "content-type")), frozenset(("content-type", "content-md5"))
    return {
        "v4": Signed(v4, v4_s, in_v4),
        "v4 query": Signed(v4_query, v4_query_s, in_v4),
        "v2": Signed(v2, v2_s, in_v2),
        "v2 query": Signed(v2_query, time.time(), in_v2),
    }


ALL = make_all()


def meaning(signed: Signed, request: WireRequest) -> tuple[object, ...]:
    """What a request asks for, as far as its signature speaks of it."""
    query = sorted(parse_qsl(request.query, keep_blank_values=True, encoding="latin-1"))
    headers = {
        name: " ".join(value.split())
        for name, value in request.headers.items()
        if name.startswith("x-amz-") or name in signed.covered
    }
    # SigV2 has it that the rest of the query may say what it likes.
    if "X-Amz-Signature" not in request.query and "AWS4" not in request.headers.get("authorization", ""):
        kept = SIGNED_PARAMETERS | LATE_PARAMETERS | {"AWSAccessKeyId", "Expires", "x-amz-acl"}
        query = [pair for pair in query if pair[0] in kept]
    else:
        query = [pair for pair in query if pair[0] != "X-Amz-Signature"]
    return (
        request.method,
        unquote_to_bytes(request.path),
        query,
        {name: value for name, value in headers.items() if value},
    )


def is_refused(signed: Signed, request: WireRequest) -> bool:
    """True when nobody would be taken for the one who signed."""
    try:
        found = verify(request, signed.now_s)
    except StoreError:
        return True
    return found is None  # anonymous: who takes the signature away is nobody


def spell(text: str) -> Iterator[str]:
    """A text with one place changed, in every place and every way."""
    for place in range(len(text)):
        before, it, after = text[:place], text[place], text[place + 1 :]
        yield before + after
        yield before + it + it + after
        yield before + it.swapcase() + after
        yield before + quote(it, safe="") + after
        yield f"{before}%{ord(it):02x}{after}"
        yield f"{before}%25{ord(it):02X}{after}"
        for other in CHANGES:
            yield before + other + after
            yield before + other + it + after


def tampered(signed: Signed) -> Iterator[WireRequest]:
    request = signed.request
    yield from (request._replace(method=text) for text in spell(request.method))
    yield from (request._replace(path="/" + text) for text in spell(request.path[1:]))
    yield from (request._replace(query=text) for text in spell(request.query))
    for name, value in request.headers.items():
        others = {key: kept for key, kept in request.headers.items() if key != name}
        yield request._replace(headers=others)
        yield from (request._replace(headers={**others, name: text}) for text in spell(value))
        yield from (request._replace(headers={**others, text.lower(): value}) for text in spell(name) if text)


@pytest.mark.parametrize("name", ALL)
def test_whatever_is_taken_means_what_was_signed(name: str) -> None:
    signed = ALL[name]
    assert not is_refused(signed, signed.request)
    wanted = meaning(signed, signed.request)
    tried = taken = 0
    for request in tampered(signed):
        tried += 1
        if not is_refused(signed, request):
            taken += 1
            assert meaning(signed, request) == wanted, request
    assert tried > 5000
    assert taken < tried / 4


# -- parameters that ask for something else ------------------------------------------------------------------------------


OVERRIDES = {name for name in SIGNED_PARAMETERS if name.startswith("response-")}
# SigV2 does not sign these: with list-type the keys are those that would be listed anyway, only in another form.
UNSIGNED_IN_V2 = frozenset(("list-type",))


def names_of(rows: Iterable[Operation]) -> set[str]:
    """Every name in a query that chooses an operation."""
    return {name for made in rows for name in made.markers | made.guards}


def additions() -> Iterator[tuple[str, str]]:
    """A way to sign, and a name that asks for another operation, another version or other headers of the answer."""
    offered = names_of(made for controller in CONTROLLERS for made, _ in controller.rows()) | OVERRIDES | {"versionId"}
    for name in ALL:
        asking = offered - UNSIGNED_IN_V2 if "v2" in name else offered | names_of(NOT_OFFERED)
        yield from ((name, marker) for marker in sorted(asking - (LATE_PARAMETERS if name == "v2" else set())))


def spellings(name: str) -> Iterator[str]:
    """A name in all the spellings that a query's reader takes for it."""
    yield name
    for place, it in enumerate(name):
        yield f"{name[:place]}%{ord(it):02x}{name[place + 1 :]}"
    yield "".join(f"%{ord(it):02X}" for it in name)


@pytest.mark.parametrize(("name", "marker"), list(additions()))
def test_a_request_cannot_be_made_another_operation_s(name: str, marker: str) -> None:
    signed = ALL[name]
    query = signed.request.query
    for spelling in spellings(marker):
        for text in (f"{query}&{spelling}", f"{spelling}=1&{query}", f"{query}&{spelling}=1"):
            assert is_refused(signed, signed.request._replace(query=text)), text


# -- one mechanism's signature in another ----------------------------------------------------------------------------------


def test_a_url_s_signature_is_no_header_s_however_its_parameters_are_spelled() -> None:
    request, now_s = presign_v4("GET", "http://store.test/bucket/key", expires_s=60)
    given = dict(parse_qsl(request.query))
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={given['X-Amz-Credential']}, SignedHeaders={given['X-Amz-SignedHeaders']}, "
        f"Signature={given.pop('X-Amz-Signature')}"
    )
    headers = {**request.headers, "authorization": authorization, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    headers["date"] = given["X-Amz-Date"]
    ways: list[Callable[[str], str]] = [str, lambda name: name.replace("-", "%2D"), lambda name: f"%58{name[1:]}"]
    for way in ways:
        query = "&".join(f"{way(name)}={quote(value, safe='')}" for name, value in given.items())
        moved = request._replace(query=query, headers=headers)
        with pytest.raises(StoreError, match="Only one auth mechanism"):
            verify(moved, now_s + 30)
        with pytest.raises(StoreError, match="Only one auth mechanism"):
            verify(moved, now_s + 120)


def test_a_name_in_a_query_that_is_no_utf_8_is_told_as_such() -> None:
    with pytest.raises(InvalidURI):
        verify(WireRequest("GET", "/bucket", "%FF=1", {"host": "store.test"}), 0.0)
