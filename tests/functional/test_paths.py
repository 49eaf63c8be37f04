"""Keys, prefixes and names of every kind, sent to a running store: each is itself, and none of them is ever a path.

Rows: tests/vectors/paths. Directories that somebody else filled: tests/nova_objectstore/images/test_legacy_paths.py; backups:
tests/nova_objectstore/jobs/test_backup_paths.py.
"""

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes

import pytest
from support.access_logs import allow, log_to
from support.bad_requests import Request, deliver
from support.raw_http import Client
from support.raw_store import connect, sign
from support.store import Store, running_store
from support.store_state import all_paths, check_files
from support.web import browse

from nova_wsgi.testing import wait_until

VECTORS = Path(__file__).parents[1] / "vectors" / "paths"
DOCUMENT = json.loads((VECTORS / "keys.json").read_text("utf-8"))
TAKEN = [row["key"] for row in DOCUMENT["keys"] if row["expect"] == "200"]
REFUSED = [(row["key"], row["expect"]) for row in DOCUMENT["keys"] if row["expect"] != "200"]
BUCKET, WEBSITE = "paths", "s3-website.test"
SECRET = b"root:x:0:0:nobody may read this through the store"
_data_file = re.compile(
    r"data/(?:pending(?:/[0-9]+-[a-z2-7]{26}(?:\.lock|/[a-z2-7]{26,39})?)?|[a-z2-7]{2}(?:/[a-z2-7]{26,39})?)"
)
_housekeeping = re.compile(
    r"(?:metadata|services)\.sqlite[^/]*|access-logs(?:/[0-9a-f]{32}[^/]*)?|[^/]*\.lock|rpc.*|control.*"
)


class Place(NamedTuple):
    """A store, in a directory that holds something else too."""

    store: Store
    before: set[Path]  # every path there before anybody asked for anything


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    top = tmp_path_factory.mktemp("top")
    state_path = top / "one" / "two" / "state"
    state_path.parent.mkdir(parents=True)
    for directory in (top, top / "one", top / "one" / "two"):
        (directory / "secret").write_bytes(SECRET)
    arguments = f"--s3-website-domain={WEBSITE}", "--logging-delivery-s=1"
    with running_store(state_path, *arguments) as store:
        store.client().create_bucket(Bucket=BUCKET)
        yield Place(store, all_paths(top))
        assert store.server.stop() == 0
        assert not re.search(" ERROR |Traceback", store.server.output())
        check_files(state_path)
    for directory in (top, top / "one", top / "one" / "two"):
        assert (directory / "secret").read_bytes() == SECRET


@pytest.fixture
def wire(place: Place) -> Iterator[Client]:
    with connect(place.store) as made:
        yield made


def assert_only_data_files_are_new(place: Place) -> None:
    """Whatever was asked for: what is new has a name that the store made."""
    state_path = place.store.state_path
    for path in all_paths(state_path.parents[2]) - place.before:
        assert state_path in path.parents, path
        name = str(path.relative_to(state_path))
        assert _data_file.fullmatch(name) or _housekeeping.fullmatch(name), name


def content_of(raw: str) -> bytes:
    """Bytes of a key's own; every other one is large enough for a file."""
    return raw.encode() * (1 if len(raw) % 2 else 20_000 // len(raw) + 1)


# -- keys ----------------------------------------------------------------------------------------------------------------


def test_every_key_is_itself_and_no_path(place: Place, wire: Client) -> None:
    for raw in TAKEN:
        assert deliver(wire, Request("PUT", f"/{BUCKET}/{raw}", content_of(raw)).render()) == "200", raw
    assert_only_data_files_are_new(place)
    pages = place.store.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    listed = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    wanted = sorted(unquote_to_bytes(raw) for raw in TAKEN)
    assert [key.encode() for key in listed] == wanted, "as bytes: nothing is normalised, folded or trimmed"
    assert len(set(wanted)) == len(TAKEN)
    for raw in TAKEN:
        assert wire.send(sign("GET", f"/{BUCKET}/{raw}").head).response().body == content_of(raw), raw
        copied = {"x-amz-copy-source": f"/{BUCKET}/{quote(unquote_to_bytes(raw), safe='')}"}
        assert deliver(wire, Request("PUT", f"/{BUCKET}/copied", headers=copied).render()) == "200", raw
        assert wire.send(sign("GET", f"/{BUCKET}/copied").head).response().body == content_of(raw), raw
    assert_only_data_files_are_new(place)
    assert deliver(wire, Request("DELETE", f"/{BUCKET}/copied").render()) == "204"


@pytest.mark.parametrize(("raw", "expected"), REFUSED, ids=[raw[:40] for raw, _ in REFUSED])
def test_what_is_no_key(place: Place, wire: Client, raw: str, expected: str) -> None:
    for method in ("PUT", "GET", "DELETE"):
        assert deliver(wire, Request(method, f"/{BUCKET}/{raw}").render()) == expected
    copied = Request("PUT", f"/{BUCKET}/copied", headers={"x-amz-copy-source": f"/{BUCKET}/{raw}"})
    assert deliver(wire, copied.render())[:3] in ("200", "400", "404")  # a lone % is one: a key of that name is there
    assert deliver(wire, Request("DELETE", f"/{BUCKET}/copied").render()) == "204"
    assert_only_data_files_are_new(place)


# -- prefixes, delimiters, markers: as SQL might take them --------------------------------------------------------------


def naive_listing(keys: list[bytes], prefix: bytes, delimiter: bytes, after: bytes) -> tuple[list[bytes], list[bytes]]:
    """Keys and groups, one key at a time, as AWS's page of ListObjectsV2 tells it."""
    found, groups = [], []
    for key in sorted(keys):
        if not key.startswith(prefix) or key <= after:
            continue
        rest = key[len(prefix) :]
        if delimiter and delimiter in rest:
            group = prefix + rest[: rest.index(delimiter) + len(delimiter)]
            if group not in groups and group != after:  # who goes on behind a group has seen it
                groups.append(group)
        else:
            found.append(key)
    return found, groups


ODD = (
    b"%",
    b"_",
    b"*",
    b"?",
    b"[a-z]",
    b"'",
    b"''",
    b'"',
    b"\\",
    b"--",
    b";",
    b"\0",
    b"\x7f",
    b"/",
    b"//",
    b".",
    b"..",
    b"~",
)
ODD_TEXTS = (
    *ODD,
    "é".encode(),
    "e\u0301".encode(),
    "😀".encode(),
    "\u202e".encode(),
    "\uff0e".encode(),
    "\U0010ffff".encode(),
    b"' OR '1'='1",
)


@pytest.mark.parametrize("delimiter", ["", "/", "%", "_", "'", "..", "😀", "e"])
def test_prefixes_and_delimiters_are_texts_and_no_patterns(place: Place, wire: Client, delimiter: str) -> None:
    keys = [unquote_to_bytes(raw) for raw in TAKEN]
    starts = {key[:length] for key in keys for length in (1, 2, 3) if is_text(key[:length])}
    for prefix in sorted({*starts, *ODD_TEXTS, b""})[:: 1 if delimiter in ("", "/") else 3]:
        for after in (b"", b"%", b"'"):
            query = f"prefix={quote(prefix, safe='')}&start-after={quote(after, safe='')}&delimiter={quote(delimiter, safe='')}"
            answer = wire.send(sign("GET", f"/{BUCKET}?list-type=2&encoding-type=url&{query}").head).response()
            assert answer.status == 200, answer.body
            contents = re.findall(rb"<Contents><Key>(.*?)</Key>", answer.body)
            groups = re.findall(rb"<CommonPrefixes><Prefix>(.*?)</Prefix>", answer.body)
            got = [*map(decode, contents)], [*map(decode, groups)]
            assert got == naive_listing(keys, prefix, delimiter.encode(), after), (prefix, after)


def decode(shown: bytes) -> bytes:
    """A key as encoding-type=url shows it."""
    return unquote_to_bytes(shown.replace(b"+", b" "))


def is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


# -- websites, images, access logs ---------------------------------------------------------------------------------------


def test_a_website_s_paths_are_keys_of_its_bucket(place: Place) -> None:
    s3 = place.store.client()
    s3.create_bucket(Bucket="pages")
    s3.delete_public_access_block(Bucket="pages")
    policy = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::pages/*"}
    s3.put_bucket_policy(Bucket="pages", Policy=json.dumps({"Version": "2012-10-17", "Statement": [policy]}))
    s3.put_bucket_website(Bucket="pages", WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    s3.put_object(Bucket="pages", Key="index.html", Body=b"home")
    host = f"pages.{WEBSITE}"
    assert browse(place.store, host, "/").body == b"home"
    ups = (
        "/../secret",
        "/../../secret",
        "/%2e%2e/%2e%2e/%2e%2e/secret",
        "/..%2f..%2fsecret",
        "/..%5csecret",
        "//secret",
    )
    for path in (
        *ups,
        f"/../{BUCKET}/dir",
        "/../pages/index.html",
        "/./index.html",
        "/index.html/.",
        "/%2e/index.html",
    ):
        told = browse(place.store, host, path)
        assert (told.status, SECRET in told.body, b"home" in told.body) == (404, False, False), path
    for raw in TAKEN:
        told = browse(place.store, host, f"/{raw}")
        assert told.status in (302, 404) or told.body == b"home", raw
        assert SECRET not in told.body
    for raw, _ in REFUSED:
        assert browse(place.store, host, f"/{raw}").status in (400, 404), raw
    assert_only_data_files_are_new(place)


IMAGES = [
    ("GET", "/_images/..%2F..%2Fsecret"),
    ("GET", "/_images/../secret"),
    ("GET", "/_images/%2Fetc%2Fpasswd"),
    ("GET", "/_images/a%00"),
    ("DELETE", "/_images/..%2F..%2Fsecret"),
    ("DELETE", "/_images/?image_id=..%2Fsecret"),
    ("PUT", "/_images/?image_location=..%2F..%2Fsecret&image_id=..%2Fx"),
    ("PUT", "/_images/?image_location=%2Fetc%2Fpasswd"),
    ("PUT", "/_images/?image_location=paths%2F..%2F..%2Fsecret"),
    ("PUT", "/_images/?image_location=paths%2Fa%00b"),
    ("PUT", "/_images/?image_location=file%3A%2F%2F%2Fetc%2Fpasswd"),
    ("PUT", "/_images/?image_location=paths%2Fdir&image_id=..%2F..%2Fx"),
    ("POST", "/_images/?image_id=..%2Fsecret&operation=add"),
]


@pytest.mark.parametrize(("method", "target"), IMAGES)
def test_an_image_is_no_path(place: Place, wire: Client, method: str, target: str) -> None:
    answer = wire.send(sign(method, target, unsigned={"Content-Length": "0"}).head).response(method=method)
    assert 400 <= answer.status < 500, answer.body
    assert SECRET not in answer.body
    assert_only_data_files_are_new(place)


PREFIXES = ["../../../", "/etc/cron.d/", "a/../../b/", "..\\", "%2e%2e/", "\uff0e\uff0e/", "~root/", "'; --"]


def test_access_logs_go_to_keys_whatever_their_prefix(place: Place) -> None:
    s3 = place.store.client()
    for bucket in ("paths-logged", "paths-logs"):
        s3.create_bucket(Bucket=bucket)
    allow(s3, "paths-logs")

    def is_delivered(prefix: str) -> bool:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="paths-logs", EncodingType="url")
        return any(unquote(entry["Key"]).startswith(prefix) for page in pages for entry in page.get("Contents", ()))

    for prefix in PREFIXES:
        log_to(s3, "paths-logged", "paths-logs", prefix)
        s3.put_object(Bucket="paths-logged", Key="../../../etc/passwd", Body=b"x")
    for prefix in PREFIXES:
        wait_until(partial(is_delivered, prefix), 30, what=f"a log under {prefix}")
    assert_only_data_files_are_new(place)


def test_a_bucket_s_name_is_no_path(place: Place, wire: Client) -> None:
    for raw in ("..", "%2e%2e", "..%2F..%2Fsecret", "%2Fetc", "a%5Cb", "%00", "data", "pending", "metadata.sqlite"):
        outcome = deliver(wire, Request("PUT", f"/{raw}").render())
        if outcome == "200":  # a name like others
            place.store.client().delete_bucket(Bucket=raw)
        else:
            assert outcome in ("400 InvalidBucketName", "400 InvalidURI"), raw
    assert_only_data_files_are_new(place)


def test_rows_are_what_they_seem() -> None:
    names: list[Any] = [row["name"] for row in DOCUMENT["keys"]]
    assert len(set(names)) == len(names) > 120
