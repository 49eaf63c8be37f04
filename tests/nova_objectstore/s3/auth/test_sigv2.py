"""SigV2: what botocore signs is verified (boto 2: tests/vectors/sigv2), what anybody changes is refused."""

import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.signing import ACCESS_KEY, presign_v2, sign_v2, verify

from nova_objectstore.errors import (
    AccessDenied,
    InvalidAccessKeyId,
    InvalidArgument,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
)
from nova_objectstore.s3.auth import AuthType, PayloadForm, SignatureVersion
from nova_objectstore.s3.auth.sigv2 import LATE_PARAMETERS, SIGNED_PARAMETERS

URL = "http://example.com/bucket/some/key"

odd_text = st.text(
    alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1, max_size=20
)


def changed(request, **headers):
    made = {**request.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return request._replace(headers={name: value for name, value in made.items() if value is not None})


def test_a_verified_request_tells_all_that_later_steps_need():
    request, now_s = sign_v2("GET", URL)
    made = verify(request, now_s)
    assert (made.access_key, made.auth_type, made.version) == (ACCESS_KEY, AuthType.HEADER, SignatureVersion.V2)
    assert made.payload is PayloadForm.UNSIGNED
    assert made.signed_at_s == now_s
    assert made.expires_at_s is None


@given(key=odd_text, name=st.sampled_from(sorted(SIGNED_PARAMETERS)), value=odd_text, other=odd_text)
@settings(max_examples=150, deadline=None, database=None)
def test_odd_keys_and_parameters(key, name, value, other):
    query = f"{name}={quote(value, safe='')}&prefix={quote(other, safe='')}&uploads"
    request, now_s = sign_v2("GET", f"http://example.com/bucket/{quote(key, safe='/~')}?{query}")
    assert verify(request, now_s).access_key == ACCESS_KEY


@given(st.dictionaries(st.from_regex(r"\Ax-amz-meta-[a-z0-9]{1,8}\Z"), st.from_regex(r"\A[ -~]{1,20}\Z"), max_size=4))
@settings(max_examples=80, deadline=None, database=None)
def test_odd_headers(headers):
    request, now_s = sign_v2("PUT", URL, {**headers, "Content-Type": "text/plain", "Content-MD5": "x" * 22 + "=="})
    assert verify(request, now_s).access_key == ACCESS_KEY


def test_the_bucket_of_a_virtual_host_is_signed():
    request, now_s = sign_v2("GET", "http://bucket.example.com/some/key", auth_path="/bucket/some/key")
    assert verify(request, now_s, bucket="bucket")
    with pytest.raises(SignatureDoesNotMatch):
        verify(request, now_s)
    with pytest.raises(SignatureDoesNotMatch):
        verify(request, now_s, bucket="other")


@pytest.mark.parametrize("name", sorted(LATE_PARAMETERS))
def test_late_sub_resources_may_be_signed_or_not(name):
    request, now_s = sign_v2("GET", URL + f"?{name}")  # botocore does not
    assert verify(request, now_s)
    with pytest.raises(SignatureDoesNotMatch):  # of a URL that others hold, it must be
        verify(presign_v2("GET", URL + f"?{name}"), time.time())


def test_an_x_amz_date_stands_for_the_date():
    request, now_s = sign_v2("GET", URL)
    date = request.headers["date"]
    with pytest.raises(SignatureDoesNotMatch) as caught:
        verify(changed(request, x_amz_date=date), now_s)
    assert caught.value.facts["string_to_sign"] == f"GET\n\n\n\nx-amz-date:{date}\n/bucket/some/key"


TAMPERING = {
    "method": (lambda r, now: (r._replace(method="PUT"), now), SignatureDoesNotMatch),
    "path": (lambda r, now: (r._replace(path="/bucket/other"), now), SignatureDoesNotMatch),
    "path respelled": (lambda r, now: (r._replace(path="/bucket/some/%6bey"), now), SignatureDoesNotMatch),
    "sub-resource": (lambda r, now: (r._replace(query="acl"), now), SignatureDoesNotMatch),
    "override": (lambda r, now: (r._replace(query="response-expires=x"), now), SignatureDoesNotMatch),
    "amz header": (lambda r, now: (changed(r, x_amz_acl="public-read"), now), SignatureDoesNotMatch),
    "content type": (lambda r, now: (changed(r, content_type="text/html"), now), SignatureDoesNotMatch),
    "content md5": (lambda r, now: (changed(r, content_md5="abc"), now), SignatureDoesNotMatch),
    "date": (lambda r, now: (changed(r, date="Sat, 01 Jan 2000 00:00:00 GMT"), 946684800), SignatureDoesNotMatch),
    "signature": (lambda r, now: (changed(r, authorization=f"AWS {ACCESS_KEY}:abc="), now), SignatureDoesNotMatch),
    "signature not ascii": (
        lambda r, now: (changed(r, authorization=f"AWS {ACCESS_KEY}:é"), now),
        SignatureDoesNotMatch,
    ),
    "key": (lambda r, now: (changed(r, authorization="AWS nobody:abc="), now), InvalidAccessKeyId),
    "malformed": (lambda r, now: (changed(r, authorization="AWS HAHAHA"), now), InvalidArgument),
    "date missing": (lambda r, now: (changed(r, date=None), now), AccessDenied),
    "date garbage": (lambda r, now: (changed(r, x_amz_date="Bad Date"), now), AccessDenied),
    "date empty": (lambda r, now: (changed(r, x_amz_date=""), now), AccessDenied),
    "before 1970": (lambda r, now: (changed(r, x_amz_date="Tue, 07 Jul 1950 21:53:04 GMT"), now), AccessDenied),
    "year 2010": (lambda r, now: (changed(r, x_amz_date="Tue, 07 Jul 2010 21:53:04 GMT"), now), RequestTimeTooSkewed),
    "year 9999": (lambda r, now: (changed(r, x_amz_date="Tue, 07 Jul 9999 21:53:04 GMT"), now), RequestTimeTooSkewed),
    "replayed": (lambda r, now: (r, now + 901), RequestTimeTooSkewed),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_refused(name):
    tamper, error = TAMPERING[name]
    request, now_s = tamper(*sign_v2("GET", URL))
    with pytest.raises(error) as caught:
        verify(request, now_s)
    assert type(caught.value) is error


# -- in the query ----------------------------------------------------------------------------------------------------


@given(key=odd_text, value=odd_text)
@settings(max_examples=80, deadline=None, database=None)
def test_odd_keys_and_overrides_in_urls(key, value):
    url = f"http://example.com/bucket/{quote(key, safe='/~')}?response-content-type={quote(value, safe='')}"
    request = presign_v2("GET", url)
    made = verify(request, time.time())
    assert made.auth_type is AuthType.QUERY
    assert made.expires_at_s > time.time() + 3000


def test_headers_of_a_url_may_stand_in_its_query():
    headers = {"x-amz-acl": "public-read", "Content-Type": "text/plain", "x-amz-meta-name": "a b"}
    request = presign_v2("PUT", URL, headers)
    assert "x-amz-acl=public-read" in request.query
    assert verify(request, time.time())
    with pytest.raises(SignatureDoesNotMatch):
        verify(request._replace(query=request.query.replace("public-read", "private")), time.time())
    with pytest.raises(SignatureDoesNotMatch):
        verify(request._replace(headers={**request.headers, "x-amz-acl": "private"}), time.time())


def replaced(request, old, new):
    assert old in request.query
    return request._replace(query=request.query.replace(old, new))


QUERY_TAMPERING = {
    "method": (lambda r: r._replace(method="PUT"), SignatureDoesNotMatch),
    "path": (lambda r: r._replace(path="/bucket/other"), SignatureDoesNotMatch),
    "sub-resource": (lambda r: r._replace(query=r.query + "&acl"), SignatureDoesNotMatch),
    "header": (lambda r: r._replace(headers={**r.headers, "x-amz-acl": "private"}), SignatureDoesNotMatch),
    "later": (lambda r: replaced(r, "Expires=", "Expires=9"), SignatureDoesNotMatch),
    "no expiry": (lambda r: replaced(r, "Expires=", "Expired="), AccessDenied),
    "expiry no number": (lambda r: replaced(r, "Expires=", "Expires=x"), AccessDenied),
    "expiry endless": (lambda r: replaced(r, "Expires=", "Expires=" + "9" * 40), AccessDenied),
    "no signature": (lambda r: replaced(r, "Signature=", "Sig="), AccessDenied),
    "no key": (lambda r: replaced(r, "AWSAccessKeyId=", "Key="), AccessDenied),
    "unknown key": (lambda r: replaced(r, ACCESS_KEY, "nobody"), InvalidAccessKeyId),
    "url plus header": (lambda r: r._replace(headers={**r.headers, "authorization": "AWS a:b"}), InvalidArgument),
}


@pytest.mark.parametrize("name", QUERY_TAMPERING)
def test_tampering_with_a_url_is_refused(name):
    tamper, error = QUERY_TAMPERING[name]
    with pytest.raises(error) as caught:
        verify(tamper(presign_v2("GET", URL)), time.time())
    assert type(caught.value) is error


def test_a_url_is_over_at_its_time():
    request = presign_v2("GET", URL, expires_s=60)
    expires = float(request.query.partition("Expires=")[2].partition("&")[0])
    assert verify(request, expires - 1)
    with pytest.raises(AccessDenied, match="expired"):
        verify(request, expires)
