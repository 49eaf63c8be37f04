"""Cross-origin rules against a running store: preflights, other answers, both styles of address, and a website's host."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.accounts import Told
from support.raw_store import connect_to_each_worker
from support.store import Store, running_store
from support.web import browse, encode_form, post, sign_v4

DOMAIN, WEB = "s3.test", "web.test"
PAGE = "http://app.test"
VARY = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    options = (f"--s3-domain={DOMAIN}", f"--s3-website-domain={WEB}")
    with running_store(tmp_path_factory.mktemp("state"), *options) as running:
        yield running


@pytest.fixture(scope="module")
def s3(store: Store) -> Any:
    s3 = store.client()
    for bucket in ("cors", "no-cors"):
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="public", Body=b"public")
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        }
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statement}))
    put_rules(
        s3,
        {
            "ID": "app",
            "AllowedOrigins": [PAGE],
            "AllowedMethods": ["GET", "PUT", "POST"],
            "AllowedHeaders": ["x-amz-*", "Content-Type"],
            "ExposeHeaders": ["ETag", "x-amz-request-id"],
            "MaxAgeSeconds": 3000,
        },
        {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]},
    )
    return s3


def put_rules(s3: Any, *rules: dict[str, Any], bucket: str = "cors") -> None:
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": list(rules)})


def ask(
    store: Store, path: str, *, origin: str | None = PAGE, method: str = "GET", host: str = "", **headers: str
) -> Told:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if origin is not None:
        sent["Origin"] = origin
    return browse(store, host or f"127.0.0.1:{store.port}", path, method=method, headers=sent)


def shared(told: Told) -> dict[str, str]:
    """The headers that are about other origins."""
    return {name: value for name, value in told.headers.items() if name.startswith("access-control-") or name == "vary"}


FOR_THE_APP = {
    "access-control-allow-origin": PAGE,
    "access-control-allow-methods": "GET, PUT, POST",
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "ETag, x-amz-request-id",
    "access-control-max-age": "3000",
    "vary": VARY,
}
FOR_ALL = {"access-control-allow-origin": "*", "access-control-allow-methods": "GET", "vary": VARY}


def test_the_document(store: Store, s3: Any) -> None:
    rules = s3.get_bucket_cors(Bucket="cors")["CORSRules"]
    assert rules[0]["ID"] == "app"
    assert rules[0]["MaxAgeSeconds"] == 3000
    assert rules[1] == {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]}
    with pytest.raises(ClientError, match="NoSuchCORSConfiguration"):
        s3.get_bucket_cors(Bucket="no-cors")
    for _ in range(2):
        assert s3.delete_bucket_cors(Bucket="no-cors")["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(ClientError, match="MalformedXML"):
        put_rules(s3, bucket="no-cors")
    with pytest.raises(ClientError, match="Unsupported method is PATCH"):
        put_rules(s3, {"AllowedOrigins": ["*"], "AllowedMethods": ["PATCH"]}, bucket="no-cors")


@pytest.mark.parametrize("host", ["", f"cors.{DOMAIN}", f"cors.{WEB}"])
def test_preflights_need_no_signature_and_no_key(store: Store, s3: Any, host: str) -> None:
    path = "/not/there" if host else "/cors/not/there"
    told = ask(
        store, path, method="OPTIONS", host=host, access_control_request_method="PUT",
        access_control_request_headers="X-Amz-Date,content-type",
    )  # fmt: skip
    assert (told.status, told.body) == (200, b"")
    assert shared(told) == {**FOR_THE_APP, "access-control-allow-headers": "x-amz-date, content-type"}
    told = ask(store, path, method="OPTIONS", host=host, origin="null", access_control_request_method="GET")
    assert (told.status, shared(told)) == (200, FOR_ALL)


@pytest.mark.parametrize(
    ("path", "origin", "method", "headers", "status", "code", "words", "resource"),
    [
        ("/cors/k", None, "GET", "", 400, "BadRequest", "Insufficient information. Origin request header needed.", ""),
        ("/no-cors/k", None, "", "", 400, "BadRequest", "Insufficient information", ""),
        ("/cors/k", PAGE, "", "", 400, "BadRequest", "Invalid Access-Control-Request-Method: null", ""),
        ("/cors/k", PAGE, "PATCH", "", 400, "BadRequest", "Invalid Access-Control-Request-Method: PATCH", ""),
        ("/cors/k", PAGE, "DELETE", "", 403, "AccessForbidden", "This CORS request is not allowed", "OBJECT"),
        ("/cors", "http://other.test", "PUT", "", 403, "AccessForbidden", "This CORS request is not allowed", "BUCKET"),
        ("/cors/k", PAGE, "PUT", "x-other", 403, "AccessForbidden", "This CORS request is not allowed", "OBJECT"),
        ("/no-cors/k", PAGE, "PUT", "", 403, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.", "BUCKET"),
        ("/no-cors/k", PAGE, "", "", 403, "AccessForbidden", "CORSResponse: CORS is not enabled for this bucket.", "BUCKET"),
        ("/no-such-bucket/k", PAGE, "PUT", "", 403, "AccessForbidden", "CORSResponse: Bucket not found", "BUCKET"),
    ],
)  # fmt: skip
def test_preflights_that_are_refused(
    store: Store, s3: Any, path: str, origin: str | None, method: str, headers: str, status: int, code: str, words: str,
    resource: str,
) -> None:  # fmt: skip
    asked = {"access_control_request_method": method} if method else {}
    if headers:
        asked["access_control_request_headers"] = headers
    told = ask(store, path, origin=origin, method="OPTIONS", **asked)
    assert (told.status, told.code, shared(told)) == (status, code, {})
    assert words in told.body.decode()
    if resource:
        assert f"<Method>{method or 'OPTIONS'}</Method><ResourceType>{resource}</ResourceType>" in told.body.decode()


def test_answers_tell_what_the_rules_say(store: Store, s3: Any) -> None:
    for path, host in (("/cors/public", ""), ("/public", f"cors.{DOMAIN}")):
        told = ask(store, path, host=host)
        assert (told.status, told.body, shared(told)) == (200, b"public", FOR_THE_APP)
        assert shared(ask(store, path, host=host, origin="http://other.test")) == FOR_ALL
        assert shared(ask(store, path, host=host, method="HEAD")) == {"vary": VARY}  # no rule has HEAD
        assert shared(ask(store, path, host=host, origin=None)) == {"vary": VARY}
    told = ask(store, "/cors/public", access_control_request_method="DELETE")
    assert (told.status, shared(told)) == (200, {"vary": VARY})


def test_errors_tell_it_too(store: Store, s3: Any) -> None:
    for path, status in (("/cors/missing", 403), ("/cors", 403), ("/cors?acl&tagging", 400)):
        told = ask(store, path)
        assert (told.status, shared(told)) == (status, FOR_THE_APP)
    bad = ask(store, "/cors/public", Authorization="AWS AKIANOBODY:c2lnbmF0dXJl")
    assert (bad.status, shared(bad)) == (403, FOR_THE_APP)
    assert shared(ask(store, "/cors/public", method="PUT")) == FOR_THE_APP
    assert shared(ask(store, "/cors/public", method="DELETE")) == {"vary": VARY}


def test_buckets_without_rules_say_nothing(store: Store, s3: Any) -> None:
    for path in ("/no-cors/public", "/no-such-bucket/public", "/"):
        assert shared(ask(store, path)) == {}
        assert shared(ask(store, path, access_control_request_method="GET")) == {}
    assert ask(store, "/", method="OPTIONS").status == 405


def test_a_form_from_another_origin(store: Store, s3: Any) -> None:
    told = post(store, "/cors", encode_form([("key", "form"), *sign_v4("cors")]), {"Origin": PAGE})
    assert (told.status, shared(told)) == (204, FOR_THE_APP)
    told = post(store, "/cors", encode_form([("key", "form")]), {"Origin": PAGE})
    assert (told.status, shared(told)) == (403, FOR_THE_APP)


def test_a_change_holds_for_every_worker_at_once(store: Store, s3: Any) -> None:
    s3.create_bucket(Bucket="changing")
    request = b"OPTIONS /changing/k HTTP/1.1\r\nHost: x\r\nOrigin: o\r\nAccess-Control-Request-Method: GET\r\n\r\n"
    with connect_to_each_worker(store, 1) as wires:
        assert len(wires) == 2
        for _ in range(5):
            put_rules(s3, {"AllowedOrigins": ["o"], "AllowedMethods": ["GET"]}, bucket="changing")
            assert [wire.send(request).response().status for wire in wires] == [200, 200]
            s3.delete_bucket_cors(Bucket="changing")
            assert [wire.send(request).response().status for wire in wires] == [403, 403]
