"""What a request leaves behind, answered or refused: nothing that only the garbage collector would find."""

import base64
import gc
import hashlib
from collections import Counter
from contextlib import closing

import pytest
from support.sts import ALICE, House, policy, statement

from nova_objectstore.assembly import build_front
from nova_objectstore.assembly_websites import build_websites
from nova_wsgi import green
from nova_wsgi.testing import Client

TIMES = 5
TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
TWO_KEYS = b"<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object></Delete>"
ON = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
WEBSITE = b"<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>%s</WebsiteConfiguration>"
PAGE = b"<ErrorDocument><Key>%s</Key></ErrorDocument>"
ALLOWED = ("s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:GetObjectTagging", "s3:PutObjectTagging")

REQUESTS = [
    ("PUT", "/box/a", b"hello", {}),
    ("PUT", "/box/a", b"hello", {"If-None-Match": "*"}),
    ("PUT", "/box/a", b"hello", {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}),
    ("PUT", "/box/large", bytes(100_000), {}),
    ("PUT", "/box/copy", b"", {"x-amz-copy-source": "/box/a"}),
    ("PUT", "/box/copy", b"", {"x-amz-copy-source": "/box/none"}),
    ("PUT", "/box/a?tagging", TAGS, {}),
    ("PUT", "/box/a?retention", b"", {}),
    ("PUT", "/box/a?partNumber=1&uploadId=none", b"", {}),
    ("PUT", "/box", b"", {}),
    ("PUT", "/box?versioning", ON, {}),
    ("PUT", "/box?policy", b"{", {}),
    ("GET", "/", b"", {}),
    ("GET", "/box?list-type=2", b"", {}),
    ("GET", "/box?versions", b"", {}),
    ("GET", "/box?uploads&max-uploads=x", b"", {}),
    ("GET", "/box?policy", b"", {}),
    ("GET", "/box/a", b"", {}),
    ("GET", "/box/a", b"", {"Range": "bytes=1-2"}),
    ("GET", "/box/a", b"", {"Range": "bytes=99-"}),
    ("GET", "/box/a", b"", {"If-Match": '"x"'}),
    ("GET", "/box/a?tagging", b"", {}),
    ("GET", "/box/a?versionId=none", b"", {}),
    ("GET", "/box/large", b"", {}),
    ("GET", "/box/none", b"", {}),
    ("GET", "/none", b"", {}),
    ("HEAD", "/box/a", b"", {}),
    ("HEAD", "/box/none", b"", {}),
    ("PATCH", "/box/a", b"", {}),
    ("POST", "/box/a?uploads", b"", {}),
    ("POST", "/box/a?uploadId=none", b"", {}),
    ("POST", "/box?delete", TWO_KEYS, {"Content-MD5": base64.b64encode(hashlib.md5(TWO_KEYS).digest()).decode()}),
    ("DELETE", "/box/none", b"", {}),
    ("DELETE", "/box", b"", {}),
]


@pytest.fixture(autouse=True)
def frozen():
    """What the tests before have left is no collection's business: it would take seconds each time."""
    gc.freeze()
    yield
    gc.unfreeze()


def garbage_of(call):
    """What the collector finds after ``call`` was called some times: how many things of each type."""
    call()
    gc.collect()
    gc.disable()
    try:
        for _ in range(TIMES):
            call()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        return Counter(type(thing).__name__ for thing in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


@pytest.mark.parametrize("is_root", [True, False], ids=["root", "user"])
def test_a_request_leaves_no_garbage(house, is_root):
    root = house.roots[ALICE]
    who = root if is_root else house.user("ursula", statement(*ALLOWED))
    assert house.s3(root, "PUT", "/box")[0] == 200
    for method, target, body, headers in REQUESTS:
        found = garbage_of(lambda: house.s3(who, method, target, body, headers=headers))  # noqa: B023  called at once
        assert not found, (method, target, headers)


@pytest.mark.parametrize(
    "error_page", [b"", PAGE % b"deep/index.html", PAGE % b"secret"], ids=["none", "shown", "secret"]
)
@pytest.mark.parametrize(
    ("path", "status"), [("/", 200), ("/none", 404), ("/deep", 302), ("/deep/", 200), ("/secret", 403)]
)
def test_a_website_leaves_no_garbage(tmp_path, path, status, error_page):
    with green.Timeout(30), closing(House(tmp_path, website_domains=("web.test",))) as house:
        root = house.roots[ALICE]
        assert house.s3(root, "PUT", "/box")[0] == 200
        for key in ("index.html", "deep/index.html", "secret"):
            assert house.s3(root, "PUT", f"/box/{key}")[0] == 200
        shown = policy(statement("s3:GetObject", resource=["arn:aws:s3:::box/*index.html"], Principal="*"),
                       statement("s3:ListBucket", resource="arn:aws:s3:::box", Principal="*"))  # fmt: skip
        assert house.s3(root, "DELETE", "/box?publicAccessBlock")[0] == 204
        assert house.s3(root, "PUT", "/box?policy", shown.encode())[0] == 204
        assert house.s3(root, "PUT", "/box?website", WEBSITE % error_page)[0] == 200
        websites = Client(build_websites(house.store, build_front(house.store, house.settings), house.settings))

        def visit():
            return websites.request("GET", path, headers={"Host": "box.web.test"})

        assert visit().status == status
        assert not garbage_of(visit)
