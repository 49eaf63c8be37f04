"""Websites against a running store: pages, redirects, errors, and what a host that is a website does not do."""

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.accounts import Told
from support.raw_store import connect, connect_to_each_worker, sign
from support.store import Store, running_store
from support.web import browse

WEB, DOMAIN, OWN = "web.test", "s3.test", "www.custom.test"
INDEX = {"IndexDocument": {"Suffix": "index.html"}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    options = (f"--s3-website-domain={WEB}", f"--s3-website-host={OWN},*.pages.test", f"--s3-domain={DOMAIN}")
    with running_store(tmp_path_factory.mktemp("state"), *options) as running:
        yield running


@pytest.fixture(scope="module")
def s3(store: Store) -> Any:
    return store.client()


def make_site(s3: Any, bucket: str, pages: dict[str, str], **website: Any) -> None:
    """A website that everybody may read, but for what is under ``private/``."""
    s3.create_bucket(Bucket=bucket)
    for key, text in pages.items():
        s3.put_object(Bucket=bucket, Key=key, Body=text.encode(), ContentType="text/html")
    statements = [
        {"Effect": effect, "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/{keys}"}
        for effect, keys in (("Allow", "*"), ("Deny", "private/*"))
    ]
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    s3.put_bucket_website(Bucket=bucket, WebsiteConfiguration=website or INDEX)


PAGES = {
    "index.html": "home",
    "docs/index.html": "docs",
    "a b/ü.html": "names",
    "errors/404.html": "lost",
    "private/page.html": "secret",
    "/evil.test/index.html": "slashes",
    "..": "dots",
}


@pytest.fixture(scope="module")
def site(s3: Any) -> str:
    make_site(s3, "site", PAGES, **INDEX, ErrorDocument={"Key": "errors/404.html"})
    make_site(s3, "bare", {"index.html": "bare", "private/page.html": "secret"})
    s3.create_bucket(Bucket="no-site")
    s3.put_object(Bucket="no-site", Key="index.html", Body=b"not a page")
    return f"site.{WEB}"


def told(answer: Told) -> tuple[int, bytes]:
    return answer.status, answer.body


# -- pages -------------------------------------------------------------------------------------------------------------


def test_paths_and_their_pages(store: Store, site: str) -> None:
    for path, page in (
        ("/", b"home"), ("/index.html", b"home"), ("/docs/", b"docs"), ("/?x=1&versionId=2", b"home"),
        ("/a%20b/%C3%BC.html", b"names"), ("//evil.test/", b"slashes"), ("/..", b"dots"), ("/?acl", b"home"),
    ):  # fmt: skip
        assert told(browse(store, site, path)) == (200, page), path
    answer = browse(store, f"{site.upper()}:8080", "/")
    assert (answer.headers["content-type"], answer.headers["content-length"]) == ("text/html", "4")
    assert "etag" in answer.headers
    head = browse(store, site, "/docs/", method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (200, "4", b"")


def test_ranges_conditions_and_encodings(store: Store, s3: Any, site: str) -> None:
    part = browse(store, site, "/", headers={"Range": "bytes=1-2"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"om", "bytes 1-2/4")
    etag = part.headers["etag"]
    same = browse(store, site, "/", headers={"If-None-Match": etag})
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", etag)
    assert browse(store, site, "/", headers={"If-None-Match": '"other"'}).status == 200
    assert browse(store, site, "/", headers={"If-Modified-Since": "Thu, 01 Jan 2037 00:00:00 GMT"}).status == 200
    packed = gzip.compress(b"packed")
    s3.put_object(Bucket="site", Key="packed", Body=packed, ContentEncoding="gzip", CacheControl="max-age=60")
    answer = browse(store, site, "/packed")
    assert (answer.body, answer.headers["content-encoding"]) == (packed, "gzip")
    assert answer.headers["cache-control"] == "max-age=60"


def test_large_pages_and_those_of_many_parts(store: Store, s3: Any, site: str) -> None:
    large = b"0123456789abcdef" * 400_000
    s3.put_object(Bucket="site", Key="large", Body=large)
    assert told(browse(store, site, "/large")) == (200, large)
    upload = s3.create_multipart_upload(Bucket="site", Key="parts")["UploadId"]
    named = {"Bucket": "site", "Key": "parts", "UploadId": upload}
    parts = []
    for number, body in ((1, large), (2, b"end")):
        etag = s3.upload_part(**named, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
    assert told(browse(store, site, "/parts")) == (200, large + b"end")


def test_a_directory_without_its_slash(store: Store, site: str) -> None:
    for headers in ({}, {"If-Match": '"x"'}, {"Range": "bytes=99-"}):
        answer = browse(store, site, "/docs", headers=headers)
        assert (answer.status, answer.headers["location"], answer.body) == (302, "/docs/", b"")
    assert browse(store, site, "/docs", method="HEAD").status == 302
    # no path may lead to another host
    assert browse(store, site, "//evil.test").headers["location"] == "/%2Fevil.test/"
    assert browse(store, site, "/private").status == 404  # there is no index to be read below


# -- errors ------------------------------------------------------------------------------------------------------------


def test_the_error_document_comes_with_the_error_s_status(store: Store, site: str) -> None:
    for path, status in (("/missing", 404), ("/docs/missing/", 404), ("/private/page.html", 403), ("/private/x", 404)):
        assert told(browse(store, site, path)) == (status, b"lost"), path
    answer = browse(store, site, "/missing", headers={"Range": "bytes=0-1", "If-None-Match": "*"})
    assert told(answer) == (404, b"lost")
    head = browse(store, site, "/missing", method="HEAD")
    assert (head.status, head.headers["content-length"], head.body) == (404, "4", b"")


def test_pages_where_there_is_no_error_document(store: Store, s3: Any, site: str) -> None:
    answer = browse(store, f"bare.{WEB}", "/<b>?x")
    page = answer.body.decode()
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert answer.headers["x-amz-error-code"] == "NoSuchKey"
    assert "<h1>404 Not Found</h1>" in page
    assert "<li>Code: NoSuchKey</li>" in page
    assert "<li>Key: &lt;b&gt;</li>" in page
    assert f"<li>RequestId: {answer.headers['x-amz-request-id']}</li>" in page
    denied = browse(store, f"bare.{WEB}", "/private/page.html")
    assert (denied.status, denied.headers["x-amz-error-code"]) == (403, "AccessDenied")
    make_site(s3, "half", {"private/lost.html": "lost"}, **INDEX, ErrorDocument={"Key": "private/lost.html"})
    answer = browse(store, f"half.{WEB}", "/missing")
    assert answer.status == 404
    assert "An Error Occurred While Attempting to Retrieve a Custom Error Document" in answer.body.decode()
    assert "<li>Code: AccessDenied</li>" in answer.body.decode()
    assert browse(store, f"half.{WEB}", "/missing", method="HEAD").body == b""


@pytest.mark.parametrize(
    ("host", "status", "code"),
    [
        (f"no-site.{WEB}", 404, "NoSuchWebsiteConfiguration"),
        (f"no-such-bucket.{WEB}", 404, "NoSuchBucket"),
        (WEB, 404, "NoSuchBucket"),
        (OWN, 404, "NoSuchBucket"),
    ],
)
def test_hosts_without_a_website(store: Store, site: str, host: str, status: int, code: str) -> None:
    answer = browse(store, host, "/index.html")
    assert (answer.status, answer.headers["x-amz-error-code"]) == (status, code)
    assert answer.headers["content-type"].startswith("text/html")


def test_a_website_is_read_and_nothing_else(store: Store, s3: Any, site: str) -> None:
    for method in ("PUT", "POST", "DELETE", "PATCH"):
        answer = browse(store, site, "/index.html", method=method, body=b"x")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
        assert b"<li>Code: MethodNotAllowed</li>" in answer.body
    with connect(store) as wire:  # a signature gives nothing here
        for target, status in (("/private/page.html", 403), ("/index.html", 200)):
            assert wire.send(sign("GET", target, host=site).head).response().status == status
    assert browse(store, site, "/index.html", headers={"x-amz-expected-bucket-owner": "1"}).status == 200
    assert s3.get_object(Bucket="site", Key="index.html")["Body"].read() == b"home"


@pytest.mark.parametrize(
    "path",
    ["/../bare/index.html", "/%2e%2e/bare/index.html", "/..%2fbare/index.html", "/%2fbare/index.html", "//bare/index.html",
     "/bare/index.html", "/.%00/x", "/%zz", "/%ff", "/\\..\\bare", "/./index.html"],
)  # fmt: skip
def test_no_path_leaves_the_bucket(store: Store, site: str, path: str) -> None:
    answer = browse(store, site, path)
    assert answer.status in (400, 404)
    assert b"bare</" not in answer.body
    assert answer.body != b"bare"


# -- redirects ---------------------------------------------------------------------------------------------------------


def test_objects_that_went_elsewhere(store: Store, s3: Any, site: str) -> None:
    for key, there in (("moved", "/docs/"), ("away", "https://other.test/x?y=1")):
        s3.put_object(Bucket="site", Key=key, Body=b"old", WebsiteRedirectLocation=there)
        for method in ("GET", "HEAD"):
            answer = browse(store, site, f"/{key}", method=method)
            assert (answer.status, answer.headers["location"], answer.body) == (301, there, b"")
        assert s3.get_object(Bucket="site", Key=key)["WebsiteRedirectLocation"] == there
    s3.put_object(Bucket="site", Key="private/moved", Body=b"", WebsiteRedirectLocation="/secret-place")
    assert told(browse(store, site, "/private/moved")) == (403, b"lost")
    with pytest.raises(ClientError, match="InvalidArgument"):
        s3.put_object(Bucket="site", Key="bad", WebsiteRedirectLocation="ftp://x")


def test_routing_rules(store: Store, s3: Any) -> None:
    missing = {"HttpErrorCodeReturnedEquals": "404"}
    resizer = {"HostName": "api.test", "Protocol": "https", "ReplaceKeyPrefixWith": "r?k="}
    rules = [
        ({"KeyPrefixEquals": "docs/"}, {"ReplaceKeyPrefixWith": "documents/"}),
        ({"KeyPrefixEquals": "img/", **missing}, resizer),
        (missing, {"ReplaceKeyWith": "gone.html", "HttpRedirectCode": "302"}),
        ({"HttpErrorCodeReturnedEquals": "403"}, {"HostName": "login.test"}),
    ]
    routing = [{"Condition": condition, "Redirect": redirect} for condition, redirect in rules]
    pages = {"index.html": "home", "gone.html": "gone", "img/a": "image", "docs/x": "hidden", "private/a": "secret"}
    make_site(s3, "routed", pages, **INDEX, RoutingRules=routing, ErrorDocument={"Key": "gone.html"})
    host = f"routed.{WEB}:1234"
    for path, status, location in (
        ("/docs/x", 301, "/documents/x"),
        ("/img/a", 200, None),
        ("/img/b%20c", 301, "https://api.test/r?k=b%20c"),
        ("/missing", 302, "/gone.html"),
        ("/private/a", 301, "http://login.test/private/a"),
        ("/", 200, None),
    ):
        answer = browse(store, host, path)
        assert (answer.status, answer.headers.get("location")) == (status, location), path
    kept = s3.get_bucket_website(Bucket="routed")
    assert kept["RoutingRules"] == routing
    assert (kept["IndexDocument"], kept["ErrorDocument"]) == ({"Suffix": "index.html"}, {"Key": "gone.html"})


def test_a_redirect_of_all_requests(store: Store, s3: Any) -> None:
    make_site(s3, "all", {"index.html": "home"}, RedirectAllRequestsTo={"HostName": "new.test", "Protocol": "https"})
    for path in ("/", "/a%20b//c?x=1&y=2", "//other.test/"):
        answer = browse(store, f"all.{WEB}", path)
        assert (answer.status, answer.headers["location"]) == (301, f"https://new.test{path}")
    assert browse(store, f"all.{WEB}", "/", method="POST").status == 405


# -- hosts -------------------------------------------------------------------------------------------------------------


def test_hosts_of_their_own_and_s3_s(store: Store, s3: Any, site: str) -> None:
    for bucket in (OWN, "a.pages.test"):
        make_site(s3, bucket, {"index.html": bucket})
        assert told(browse(store, bucket, "/")) == (200, bucket.encode())
    for host in (f"127.0.0.1:{store.port}", DOMAIN, "else.test"):
        answer = browse(store, host, "/site/")
        assert (answer.status, answer.headers["content-type"]) == (403, "application/xml")  # a listing, denied
        assert told(browse(store, host, "/site/index.html")) == (200, b"home")
    assert browse(store, f"site.{DOMAIN}", "/docs/").status == 403


def test_a_public_page_by_acl(store: Store, s3: Any) -> None:
    s3.create_bucket(Bucket="listed", ObjectOwnership="ObjectWriter")
    s3.put_bucket_website(Bucket="listed", WebsiteConfiguration=INDEX)
    s3.put_object(Bucket="listed", Key="index.html", Body=b"public", ACL="public-read")
    s3.put_object(Bucket="listed", Key="own.html", Body=b"own")
    assert told(browse(store, f"listed.{WEB}", "/")) == (200, b"public")
    assert browse(store, f"listed.{WEB}", "/own.html").status == 403
    assert browse(store, f"listed.{WEB}", "/missing").status == 404
    s3.put_bucket_request_payment(Bucket="listed", RequestPaymentConfiguration={"Payer": "Requester"})
    assert browse(store, f"listed.{WEB}", "/", headers={"x-amz-request-payer": "requester"}).status == 403


def test_a_change_holds_for_every_worker_at_once(store: Store, s3: Any, site: str) -> None:
    s3.create_bucket(Bucket="changing")
    make_site(s3, "changing", {"index.html": "one", "other.html": "two"})
    request = f"GET / HTTP/1.1\r\nHost: changing.{WEB}\r\n\r\n".encode()
    with connect_to_each_worker(store, 1) as wires:
        for _ in range(5):
            for suffix, page in (("index.html", b"one"), ("other.html", b"two")):
                website = {"IndexDocument": {"Suffix": suffix}}
                s3.put_bucket_website(Bucket="changing", WebsiteConfiguration=website)
                assert [wire.send(request).response().body for wire in wires] == [page, page]
            s3.delete_bucket_website(Bucket="changing")
            assert [wire.send(request).response().status for wire in wires] == [404, 404]
    with pytest.raises(ClientError, match="NoSuchWebsiteConfiguration"):
        s3.get_bucket_website(Bucket="changing")


# -- a browser ---------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html><title>t</title><link rel=icon href=data:,><body><p id=out>waiting</p><script>
(async () => {
  const said = [];
  const there = `http://127.0.0.1:${location.port}/shared`;
  said.push((await (await fetch(there + '/data.json', {headers: {'x-amz-meta-x': 'y'}})).json()).answer);
  const form = new FormData();
  form.append("key", "from/${filename}");
  form.append('Content-Type', 'text/plain');
  form.append('file', new File(['from a page'], 'page.txt'));
  const posted = await fetch(there, {method: 'POST', body: form});
  said.push(posted.status, posted.headers.get('ETag'));
  try { await fetch(`http://127.0.0.1:${location.port}/closed/data.json`); said.push('let in'); }
  catch (error) { said.push('kept out'); }
  document.getElementById('out').textContent = said.join(' ');
})().catch(error => { document.getElementById('out').textContent = 'failed ' + error; });
</script>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_page_in_a_browser(store: Store, s3: Any, tmp_path: Path) -> None:
    make_site(s3, "browsed", {"app/index.html": PAGE})
    for bucket in ("shared", "closed"):
        make_site(s3, bucket, {"data.json": '{"answer": 42}'})
    statement = [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:PutObject"],
            "Resource": "arn:aws:s3:::shared/*",
        }
    ]
    s3.put_bucket_policy(Bucket="shared", Policy=json.dumps({"Version": "2012-10-17", "Statement": statement}))
    rule = {
        "AllowedOrigins": [f"http://browsed.{WEB}:*"], "AllowedMethods": ["GET", "POST"], "AllowedHeaders": ["x-amz-*"],
        "ExposeHeaders": ["ETag"],
    }  # fmt: skip
    s3.put_bucket_cors(Bucket="shared", CORSConfiguration={"CORSRules": [rule]})
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
        f"--user-data-dir={tmp_path}", f"--host-resolver-rules=MAP *.{WEB} 127.0.0.1", "--virtual-time-budget=20000",
        "--dump-dom", f"http://browsed.{WEB}:{store.port}/app",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = s3.get_object(Bucket="shared", Key="from/page.txt")
    assert found["Body"].read() == b"from a page"
    assert f'<p id="out">42 204 {found["ETag"]} kept out</p>' in done.stdout, done.stdout[-2000:] + done.stderr[-2000:]
