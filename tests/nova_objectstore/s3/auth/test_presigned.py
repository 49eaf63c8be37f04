"""Presigned URLs: what botocore signs is verified for its time, what anybody changes is refused."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.signing import ACCESS_KEY, REGION, presign_v4, verify

from nova_objectstore.errors import (
    AccessDenied,
    AuthorizationQueryParametersError,
    InvalidAccessKeyId,
    InvalidArgument,
    NotOffered,
    PresignedExpiresOutOfRange,
    SignatureDoesNotMatch,
)
from nova_objectstore.s3.auth import AuthType, PayloadForm, SignatureVersion

URL = "http://bucket.example.com/some/key"
DAY = 86400


@pytest.fixture
def signed():
    return presign_v4("GET", URL + "?versionId=1")


def requeried(request, old, new):
    assert old in request.query
    return request._replace(query=request.query.replace(old, new))


def without(request, name):
    items = [item for item in request.query.split("&") if not item.startswith(name + "=")]
    return request._replace(query="&".join(items))


def test_a_verified_url_tells_until_when_it_is_good(signed):
    request, now_s = signed
    made = verify(request, now_s + 3599)
    assert made.access_key == ACCESS_KEY
    assert made.auth_type is AuthType.QUERY
    assert made.version is SignatureVersion.V4
    assert made.signed_headers == ("host",)
    assert made.payload is PayloadForm.UNSIGNED
    assert made.signed_at_s == now_s
    assert made.expires_at_s == now_s + 3600
    assert made.session_token is None


def test_a_url_is_good_a_little_before_its_time(signed):
    request, now_s = signed
    assert verify(request, now_s - 900)


def test_a_session_token_is_carried_along():
    request, now_s = presign_v4("GET", URL, token="a/token+of=sts")
    assert verify(request, now_s).session_token == "a/token+of=sts"


odd_text = st.text(
    alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1, max_size=20
)


@given(key=odd_text, value=odd_text, random=st.randoms())
@settings(max_examples=100, deadline=None, database=None)
def test_odd_keys_and_parameters_in_any_order(key, value, random):
    url = f"http://example.com/bucket/{quote(key, safe='/~')}?response-content-disposition={quote(value, safe='')}"
    request, now_s = presign_v4("GET", url)
    items = request.query.split("&")
    random.shuffle(items)
    assert verify(request._replace(query="&".join(items)), now_s).access_key == ACCESS_KEY


def test_signed_headers_must_be_sent():
    request, now_s = presign_v4("PUT", URL, {"Content-Type": "text/plain", "x-amz-acl": "private"})
    headers = {"host": "bucket.example.com", "content-type": "text/plain", "x-amz-acl": "private"}
    assert verify(request._replace(headers=headers), now_s).signed_headers == ("content-type", "host", "x-amz-acl")
    with pytest.raises(SignatureDoesNotMatch):
        verify(request._replace(headers={"host": "bucket.example.com", "x-amz-acl": "private"}), now_s)
    with pytest.raises(SignatureDoesNotMatch):
        verify(request._replace(headers={**headers, "x-amz-acl": "public-read"}), now_s)


def test_headers_that_change_nothing_need_no_signature(signed):
    request, now_s = signed
    headers = {**request.headers, "content-type": "text/plain", "range": "bytes=0-1", "user-agent": "curl"}
    assert verify(request._replace(headers=headers), now_s)


TAMPERING = {
    "method": (lambda r: r._replace(method="PUT"), SignatureDoesNotMatch, {}),
    "path": (lambda r: r._replace(path="/some/other"), SignatureDoesNotMatch, {}),
    "parameter": (lambda r: requeried(r, "versionId=1", "versionId=2"), SignatureDoesNotMatch, {}),
    "parameter dropped": (lambda r: without(r, "versionId"), SignatureDoesNotMatch, {}),
    "parameter added": (lambda r: r._replace(query=r.query + "&tagging"), SignatureDoesNotMatch, {}),
    "second expiry": (lambda r: r._replace(query=r.query + "&X-Amz-Expires=604800"), SignatureDoesNotMatch, {}),
    "longer expiry": (lambda r: requeried(r, "Expires=3600", "Expires=604800"), SignatureDoesNotMatch, {}),
    "host": (lambda r: r._replace(headers={"host": "other.example.com"}), SignatureDoesNotMatch, {}),
    "host not signed": (
        lambda r: requeried(r, "SignedHeaders=host", "SignedHeaders=range"),
        AccessDenied,
        {"headers_not_signed": "host"},
    ),
    "header added": (
        lambda r: r._replace(headers={**r.headers, "x-amz-copy-source": "b/k", "x-amz-acl": "private"}),
        AccessDenied,
        {"headers_not_signed": "x-amz-acl, x-amz-copy-source"},
    ),
    "payload hash added": (
        lambda r: r._replace(headers={**r.headers, "x-amz-content-sha256": "ab" * 32}),
        SignatureDoesNotMatch,
        {},
    ),
    "signature": (lambda r: r._replace(query=r.query[:-4] + "0000"), SignatureDoesNotMatch, {}),
    "token added": (lambda r: r._replace(query=r.query + "&X-Amz-Security-Token=t"), SignatureDoesNotMatch, {}),
    "unknown key": (
        lambda r: requeried(r, ACCESS_KEY, "AKIANOBODY"),
        InvalidAccessKeyId,
        {"aws_access_key_id": "AKIANOBODY"},
    ),
    "region": (lambda r: requeried(r, REGION, "eu-west-1"), AuthorizationQueryParametersError, {"region": REGION}),
    "service": (lambda r: requeried(r, "%2Fs3%2F", "%2Fsns%2F"), AuthorizationQueryParametersError, {}),
    "terminator": (lambda r: requeried(r, "aws4_request", "aws5_request"), AuthorizationQueryParametersError, {}),
    "credential malformed": (lambda r: requeried(r, "%2Fs3%2F", "%2F"), AuthorizationQueryParametersError, {}),
    "algorithm": (lambda r: requeried(r, "AWS4-HMAC-SHA256", "AWS4-SHA256"), AuthorizationQueryParametersError, {}),
    "ECDSA": (lambda r: requeried(r, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), NotOffered, {}),
    "date malformed": (lambda r: requeried(r, "X-Amz-Date=2", "X-Amz-Date=x"), AuthorizationQueryParametersError, {}),
    "date of another day": (
        lambda r: requeried(r, r.query.partition("X-Amz-Date=")[2][:8] + "T", "20130524T"),
        AuthorizationQueryParametersError,
        {},
    ),
    "expiry no number": (lambda r: requeried(r, "=3600", "=soon"), AuthorizationQueryParametersError, {}),
    "expiry negative": (lambda r: requeried(r, "=3600", "=-7"), PresignedExpiresOutOfRange, {}),
    "expiry beyond a week": (lambda r: requeried(r, "=3600", "=604801"), PresignedExpiresOutOfRange, {}),
    "expiry endless": (lambda r: requeried(r, "=3600", "=" + "9" * 50), PresignedExpiresOutOfRange, {}),
    "expiry zero": (lambda r: requeried(r, "=3600", "=0"), AccessDenied, {"x_amz_expires": 0}),
    "presigned plus header": (
        lambda r: r._replace(headers={**r.headers, "authorization": "AWS4-HMAC-SHA256 Credential=x"}),
        InvalidArgument,
        {"argument_name": "Authorization"},
    ),
    **{
        f"{name} missing": (lambda r, name=name: without(r, name), AuthorizationQueryParametersError, {})
        for name in (
            "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_refused(signed, name):
    tamper, error, facts = TAMPERING[name]
    request, now_s = signed
    with pytest.raises(error) as caught:
        verify(tamper(request), now_s)
    assert type(caught.value) is error
    assert facts.items() <= caught.value.facts.items()


def test_a_url_that_is_over_says_when(signed):
    request, now_s = signed
    with pytest.raises(AccessDenied) as caught:
        verify(request, now_s + 3600)
    assert caught.value.message == "Request has expired"
    assert caught.value.facts["x_amz_expires"] == 3600
    assert caught.value.facts["expires"] == caught.value.facts["server_time"]


def test_a_url_of_tomorrow_is_not_good_yet(signed):
    request, now_s = signed
    with pytest.raises(AccessDenied, match="not yet valid"):
        verify(request, now_s - DAY)


def test_a_week_is_the_longest():
    request, now_s = presign_v4("GET", URL, expires_s=7 * DAY)
    assert verify(request, now_s + 7 * DAY - 1)


def test_a_body_may_be_signed_by_the_url():
    request, now_s = presign_v4("PUT", URL)
    streaming = request._replace(
        headers={**request.headers, "x-amz-content-sha256": PayloadForm.UNSIGNED_CHUNKS_TRAILER.value}
    )
    with pytest.raises(SignatureDoesNotMatch):  # the URL was made for UNSIGNED-PAYLOAD
        verify(streaming, now_s)
    same = request._replace(headers={**request.headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    assert verify(same, now_s).payload is PayloadForm.UNSIGNED
