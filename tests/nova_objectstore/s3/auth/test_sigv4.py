"""SigV4 in the header: what botocore signs is verified, what anybody changes is refused."""

import string
from hashlib import sha256
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from support.signing import ACCESS_KEY, REGION, SECRET_KEY, sign_v4, verify

from nova_objectstore.errors import (
    AccessDenied,
    AuthorizationHeaderMalformed,
    InvalidAccessKeyId,
    InvalidArgument,
    InvalidRequest,
    NotOffered,
    RequestTimeTooSkewed,
    SignatureDoesNotMatch,
)
from nova_objectstore.s3.auth import AuthType, PayloadForm, SignatureVersion, WireRequest, sigv4
from nova_objectstore.s3.auth.canonical import without_secrets
from nova_objectstore.s3.auth.signing_key import NO_KEY, signing_key

URL = "http://bucket.example.com/some/key"
HEADERS = {"Range": "bytes=0-9", "x-amz-meta-colour": "red"}


@pytest.fixture
def signed():
    return sign_v4("GET", URL + "?versionId=1&response-expires=0", HEADERS)


def changed(request, **headers):
    """The request with other headers; None removes one."""
    made = {**request.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return request._replace(headers={name: value for name, value in made.items() if value is not None})


def authorized(request, old, new):
    """The request with a piece of its Authorization header replaced."""
    header = request.headers["authorization"]
    assert old in header
    return changed(request, authorization=header.replace(old, new))


# -- what is verified ------------------------------------------------------------------------------------------------


def test_a_verified_request_tells_all_that_later_steps_need(signed):
    request, now_s = signed
    made = verify(request, now_s)
    assert made.access_key == ACCESS_KEY
    assert made.auth_type is AuthType.HEADER
    assert made.version is SignatureVersion.V4
    assert made.signed_headers == ("host", "range", "x-amz-content-sha256", "x-amz-date", "x-amz-meta-colour")
    assert made.payload is PayloadForm.HASH
    assert made.payload_hash == request.headers["x-amz-content-sha256"]
    assert made.timestamp == request.headers["x-amz-date"]
    assert made.scope == f"{made.timestamp[:8]}/{REGION}/s3/aws4_request"
    assert request.headers["authorization"].endswith(made.signature)
    assert made.signing_key == signing_key(SECRET_KEY, made.timestamp[:8], REGION, "s3")
    assert made.session_token is None
    assert made.signed_at_s == now_s
    assert made.expires_at_s is None
    assert made.signing_key.hex() not in repr(made)


def test_a_session_token_is_carried_along():
    request, now_s = sign_v4("GET", URL, token="a/token+of=sts")
    assert verify(request, now_s).session_token == "a/token+of=sts"


odd_text = st.text(
    alphabet=st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), min_size=1, max_size=20
)
safe_characters = st.sets(st.sampled_from("!$&'()*+,;=:@~/"))


@given(key=odd_text, safe=safe_characters, lower=st.booleans())
@settings(max_examples=150, deadline=None, database=None)
def test_odd_keys_however_the_client_spells_them(key, safe, lower):
    path = "/bucket/" + quote(key, safe="".join(safe))
    if lower:
        path = path.lower() if path.lower().isascii() and key == key.lower() else path
    request, now_s = sign_v4("GET", "http://example.com" + path)
    request = request._replace(path=path)
    assert verify(request, now_s).access_key == ACCESS_KEY


@given(key=odd_text, safe=safe_characters)
@settings(max_examples=150, deadline=None, database=None)
def test_a_proxy_may_respell_the_path_that_was_signed_canonically(key, safe):
    request, now_s = sign_v4("GET", "http://example.com/bucket/" + quote(key, safe="/-._~"))
    respelled = request._replace(path="/bucket/" + quote(key, safe="".join(safe) + "/"))
    assert verify(respelled, now_s).access_key == ACCESS_KEY


@given(st.lists(st.tuples(odd_text, odd_text), max_size=5), st.randoms())
@settings(max_examples=150, deadline=None, database=None)
def test_odd_queries_in_any_order(pairs, random):
    items = [f"p{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs]
    request, now_s = sign_v4("GET", "http://example.com/bucket?" + "&".join(items))
    random.shuffle(items)
    assert verify(request._replace(query="&".join(items)), now_s).access_key == ACCESS_KEY


header_values = st.text(alphabet=string.ascii_letters + string.digits + " \t,;:=\"'/+", min_size=1, max_size=30)


@given(st.dictionaries(st.from_regex(r"\Ax-amz-meta-[a-z0-9]{1,8}\Z"), header_values, max_size=4))
@settings(max_examples=100, deadline=None, database=None)
def test_odd_header_values(headers):
    request, now_s = sign_v4("PUT", URL, headers, body=b"data")
    assert verify(request, now_s).access_key == ACCESS_KEY


def test_metadata_in_utf_8_is_verified_as_the_bytes_on_the_wire():
    request, now_s = sign_v4("PUT", URL, {"x-amz-meta-name": "café à la crème"})
    on_the_wire = changed(request, x_amz_meta_name="café à la crème".encode().decode("latin-1"))
    assert verify(on_the_wire, now_s).access_key == ACCESS_KEY


def test_components_may_stand_in_any_order_and_names_in_any_case(signed):
    request, now_s = signed
    scheme, _, rest = request.headers["authorization"].partition(" ")
    credential, names, signature = [part.strip() for part in rest.split(",")]
    names = "SignedHeaders=" + ";".join(reversed(names.partition("=")[2].title().split(";")))
    for header in (f"{scheme} {signature},{names},{credential}", f"{scheme}  {credential} , {names},\t{signature}"):
        assert verify(changed(request, authorization=header), now_s)


def test_a_date_header_serves_where_there_is_no_x_amz_date():
    day = "Fri, 24 May 2013 00:00:00 GMT"
    stamp = "20130524T000000Z"
    signable = sigv4.Signable(
        WireRequest("GET", "/", "", {"host": "h", "date": day}),
        (),
        sigv4.parse_signed_headers("date;host", sigv4.header_fault),
        "UNSIGNED-PAYLOAD",
        stamp,
        f"20130524/{REGION}/s3/aws4_request",
    )
    with pytest.raises(SignatureDoesNotMatch) as caught:
        signable.verify("", NO_KEY, ACCESS_KEY)
    key = signing_key(SECRET_KEY, "20130524", REGION, "s3")
    signature = sigv4.hmac.digest(key, caught.value.facts["string_to_sign"].encode(), "sha256").hex()
    header = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20130524/{REGION}/s3/aws4_request, SignedHeaders=date;host, "
        f"Signature={signature}"
    )
    headers = {"host": "h", "date": day, "authorization": header, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    assert verify(WireRequest("GET", "/", "", headers), 1369353600.0).timestamp == stamp


@pytest.mark.parametrize("form", list(PayloadForm))
def test_every_payload_form_is_told(form):
    value = "ab" * 32 if form is PayloadForm.HASH else form.value
    assert sigv4.parse_payload(value) is form


# -- what is refused -------------------------------------------------------------------------------------------------

HOUR = 3600

# name -> (what the tamperer does to request and clock, the error, facts that must be told)
TAMPERING = {
    "method": (lambda r, now: (r._replace(method="DELETE"), now), SignatureDoesNotMatch, {}),
    "path": (lambda r, now: (r._replace(path="/some/keys"), now), SignatureDoesNotMatch, {}),
    "path escaped twice": (lambda r, now: (r._replace(path="/some/%256bey"), now), SignatureDoesNotMatch, {}),
    "path normalised": (lambda r, now: (r._replace(path="/some/./key"), now), SignatureDoesNotMatch, {}),
    "slash added": (lambda r, now: (r._replace(path="/some/key/"), now), SignatureDoesNotMatch, {}),
    "query value": (lambda r, now: (r._replace(query=r.query.replace("=1", "=2")), now), SignatureDoesNotMatch, {}),
    "query dropped": (lambda r, now: (r._replace(query="versionId=1"), now), SignatureDoesNotMatch, {}),
    "query added": (lambda r, now: (r._replace(query=r.query + "&acl"), now), SignatureDoesNotMatch, {}),
    "signed header changed": (lambda r, now: (changed(r, range="bytes=0-99"), now), SignatureDoesNotMatch, {}),
    "signed header dropped": (lambda r, now: (changed(r, range=None), now), SignatureDoesNotMatch, {}),
    "host": (lambda r, now: (changed(r, host="other.example.com"), now), SignatureDoesNotMatch, {}),
    "payload hash": (lambda r, now: (changed(r, x_amz_content_sha256="0" * 64), now), SignatureDoesNotMatch, {}),
    "payload unsigned": (
        lambda r, now: (changed(r, x_amz_content_sha256="UNSIGNED-PAYLOAD"), now),
        SignatureDoesNotMatch,
        {},
    ),
    "header added": (
        lambda r, now: (changed(r, x_amz_acl="public-read", x_amz_tagging="a=b"), now),
        AccessDenied,
        {"headers_not_signed": "x-amz-acl, x-amz-tagging"},
    ),
    "host not signed": (
        lambda r, now: (authorized(r, "SignedHeaders=host;", "SignedHeaders="), now),
        AccessDenied,
        {"headers_not_signed": "host"},
    ),
    "date not signed": (
        lambda r, now: (authorized(r, ";x-amz-date", ""), now),
        AccessDenied,
        {"headers_not_signed": "x-amz-date"},
    ),
    "signature": (
        lambda r, now: (authorized(r, r.headers["authorization"][-4:], "0000"), now),
        SignatureDoesNotMatch,
        {},
    ),
    "signature not hex": (
        lambda r, now: (authorized(r, r.headers["authorization"][-64:], "é"), now),
        SignatureDoesNotMatch,
        {"signature_provided": "é"},
    ),
    "unknown key": (
        lambda r, now: (authorized(r, ACCESS_KEY, "AKIANOBODY"), now),
        InvalidAccessKeyId,
        {"aws_access_key_id": "AKIANOBODY"},
    ),
    "region": (
        lambda r, now: (authorized(r, REGION, "eu-west-1"), now),
        AuthorizationHeaderMalformed,
        {"region": REGION},
    ),
    "service": (lambda r, now: (authorized(r, "/s3/", "/ec2/"), now), AuthorizationHeaderMalformed, {}),
    "terminator": (lambda r, now: (authorized(r, "aws4_request", "aws5"), now), AuthorizationHeaderMalformed, {}),
    "scope's day": (
        lambda r, now: (authorized(r, r.headers["x-amz-date"][:8], "20130524"), now),
        AuthorizationHeaderMalformed,
        {},
    ),
    "scope's day no day": (
        lambda r, now: (authorized(r, r.headers["x-amz-date"][:8] + "/", "2013/"), now),
        AuthorizationHeaderMalformed,
        {},
    ),
    "date": (
        lambda r, now: (changed(r, x_amz_date=r.headers["x-amz-date"][:9] + "000000Z"), now - now % 86400 + 60),
        SignatureDoesNotMatch,
        {},
    ),
    "date missing": (lambda r, now: (changed(r, x_amz_date=None), now), AccessDenied, {}),
    "date garbage": (lambda r, now: (changed(r, x_amz_date="yesterday"), now), AccessDenied, {}),
    "date empty": (lambda r, now: (changed(r, x_amz_date=""), now), AccessDenied, {}),
    "date impossible": (lambda r, now: (changed(r, x_amz_date="20130230T250000Z"), now), AccessDenied, {}),
    "replayed later": (lambda r, now: (r, now + 901), RequestTimeTooSkewed, {"max_allowed_skew_milliseconds": 900_000}),
    "from the future": (lambda r, now: (r, now - 901), RequestTimeTooSkewed, {}),
    "hash missing": (lambda r, now: (changed(r, x_amz_content_sha256=None), now), InvalidRequest, {}),
    "hash garbage": (
        lambda r, now: (changed(r, x_amz_content_sha256="abc"), now),
        InvalidArgument,
        {"argument_name": "x-amz-content-sha256", "argument_value": "abc"},
    ),
    "ECDSA payload": (
        lambda r, now: (changed(r, x_amz_content_sha256="STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"), now),
        NotOffered,
        {"header": "x-amz-content-sha256"},
    ),
    "ECDSA": (lambda r, now: (authorized(r, "HMAC-SHA256", "ECDSA-P256-SHA256"), now), NotOffered, {}),
    "other scheme": (
        lambda r, now: (changed(r, authorization="Basic dXNlcjpwYXNz"), now),
        InvalidArgument,
        {"argument_name": "Authorization"},
    ),
    "no scheme": (lambda r, now: (changed(r, authorization="nonsense"), now), InvalidArgument, {}),
    "scheme alone": (lambda r, now: (changed(r, authorization="AWS4-HMAC-SHA256"), now), InvalidArgument, {}),
    "components missing": (
        lambda r, now: (changed(r, authorization="AWS4-HMAC-SHA256 Credential=a/b/c/d/e"), now),
        AuthorizationHeaderMalformed,
        {},
    ),
    "credential missing": (
        lambda r, now: (authorized(r, "Credential=", "Cred="), now),
        AuthorizationHeaderMalformed,
        {},
    ),
    "signed headers missing": (
        lambda r, now: (authorized(r, "SignedHeaders=", "Headers="), now),
        AuthorizationHeaderMalformed,
        {},
    ),
    "signature missing": (lambda r, now: (authorized(r, "Signature=", "Sig="), now), AuthorizationHeaderMalformed, {}),
    "component malformed": (
        lambda r, now: (authorized(r, "SignedHeaders=", "SignedHeaders-"), now),
        AuthorizationHeaderMalformed,
        {},
    ),
    "credential with a part more": (
        lambda r, now: (authorized(r, "/s3/", "/s3/x/"), now),
        AuthorizationHeaderMalformed,
        {},
    ),
    "credential with an empty part": (
        lambda r, now: (authorized(r, "/s3/", "//"), now),
        AuthorizationHeaderMalformed,
        {},
    ),
    "credential endless": (
        lambda r, now: (authorized(r, ACCESS_KEY, "A" * 5000), now),
        AuthorizationHeaderMalformed,
        {},
    ),
    "signed headers endless": (
        lambda r, now: (authorized(r, "SignedHeaders=", "SignedHeaders=" + "a;" * 3000), now),
        AuthorizationHeaderMalformed,
        {},
    ),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_refused(signed, name):
    tamper, error, facts = TAMPERING[name]
    request, now_s = tamper(*signed)
    with pytest.raises(error) as caught:
        verify(request, now_s)
    assert type(caught.value) is error
    assert facts.items() <= caught.value.facts.items()


@pytest.mark.parametrize("added", ["é", "\u20ac", "=", ";x", " x", "0", "Signature="])
def test_a_signature_with_more_behind_it_is_another(signed, added):
    request, now_s = signed
    with pytest.raises(SignatureDoesNotMatch):
        verify(changed(request, authorization=request.headers["authorization"] + added), now_s)


def test_a_mismatch_tells_its_client_how_it_was_computed_and_nobody_else(signed):
    request, now_s = signed
    with pytest.raises(SignatureDoesNotMatch) as caught:
        verify(request._replace(method="PUT"), now_s)
    facts = caught.value.facts
    assert facts["canonical_request"].startswith(
        "PUT\n/some/key\nresponse-expires=0&versionId=1\nhost:bucket.example.com\n"
    )
    assert facts["string_to_sign"].startswith("AWS4-HMAC-SHA256\n")
    assert facts["canonical_request_bytes"].startswith("50 55 54 0a")
    assert facts["string_to_sign_bytes"].startswith("41 57 53 34")
    assert request.headers["authorization"].endswith(facts["signature_provided"])
    for shown in (str(caught.value), repr(caught.value)):
        assert "colour" not in shown
        assert facts["signature_provided"] not in shown


def test_the_skew_is_fifteen_minutes_both_ways(signed):
    request, now_s = signed
    assert verify(request, now_s + 900)
    assert verify(request, now_s - 900)


def test_a_switched_secret_is_another_secret(signed):
    request, now_s = signed
    assert verify(request, now_s)
    with pytest.raises(SignatureDoesNotMatch):
        sigv4.verify_header(request, lookup=lambda _: "another secret", region=REGION, now_s=now_s)


def test_services_without_the_payload_header_bring_the_hash_of_the_body():
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    signed = AWSRequest(method="POST", url="http://example.com/", headers={}, data=body)
    SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY), "sts", REGION).add_auth(signed)
    headers = {"host": "example.com", **{name.lower(): value for name, value in signed.headers.items()}}
    request = WireRequest("POST", "/", "", headers)
    options = {
        "lookup": lambda _: SECRET_KEY,
        "region": REGION,
        "now_s": sigv4.parse_timestamp(headers["x-amz-date"]),
        "service": "sts",
    }
    assert sigv4.verify_header(request, body_sha256=sha256(body).hexdigest(), **options).access_key == ACCESS_KEY
    with pytest.raises(SignatureDoesNotMatch):
        sigv4.verify_header(request, body_sha256=sha256(body + b"x").hexdigest(), **options)
    with pytest.raises(InvalidRequest):
        sigv4.verify_header(request, **options)


def test_what_strangers_can_leave_behind_is_bounded():
    caches = (signing_key, sigv4._split_credential, sigv4._split_signed_headers_cached, sigv4._parse_timestamp)
    assert all(cache.cache_info().maxsize <= 4096 for cache in caches)
    before = sum(cache.cache_info().currsize for cache in caches)
    for number in range(10):
        text = f"{number};" + "a" * 600
        assert str(number) in sigv4.parse_signed_headers(text, sigv4.header_fault).members
        assert sigv4.parse_timestamp(text) is None
        with pytest.raises(AuthorizationHeaderMalformed):
            sigv4.parse_credential(text, sigv4.header_fault)
    assert sum(cache.cache_info().currsize for cache in caches) == before


def test_a_mismatch_repeats_no_session_token_and_no_customer_s_key():
    headers = {
        "x-amz-security-token": "a/token+of=a&session",
        "x-amz-server-side-encryption-customer-key": "a/customer+key=",
        "x-amz-copy-source-server-side-encryption-customer-key": "a/source+key=",
        "x-amz-server-side-encryption-customer-key-md5": "its-digest",
    }
    request, now_s = sign_v4("GET", "http://example.com/key?X-Amz-Security-Token-Like=1", headers=headers)
    with pytest.raises(SignatureDoesNotMatch) as caught:
        verify(request._replace(method="PUT"), now_s)
    facts = caught.value.facts
    told = facts["canonical_request"] + bytes.fromhex(facts["canonical_request_bytes"]).decode()
    assert not [value for value in ("a/token", "a/customer", "a/source") if value in told]
    assert (
        told.count("x-amz-security-token:REDACTED\n")
        == told.count("x-amz-server-side-encryption-customer-key:REDACTED\n")
        == 2
    )
    assert told.count("\nx-amz-server-side-encryption-customer-key-md5:its-digest\n") == 2


def test_a_mismatch_of_a_session_s_presigned_url_repeats_no_token():
    shown = without_secrets(
        "GET\n/k\nX-Amz-Date=1&X-Amz-Security-Token=a%2Ftoken&x-id=GetObject\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"
    )
    assert (
        shown == "GET\n/k\nX-Amz-Date=1&X-Amz-Security-Token=REDACTED&x-id=GetObject\nhost:h\n\nhost\nUNSIGNED-PAYLOAD"
    )
