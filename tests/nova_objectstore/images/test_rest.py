"""/_images: what clients of 2010 did, and what a stranger may not."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bundles import bundle, rsa_key
from support.images import ADMIN, ALICE, BOB, Clock, MemoryImageStore, MemorySource, image, principal

from nova_objectstore.assembly import Settings, build_store
from nova_objectstore.assembly_images import S3ReadRules
from nova_objectstore.errors import SignatureDoesNotMatch
from nova_objectstore.images.download import Download
from nova_objectstore.images.job import ImageJob
from nova_objectstore.images.ports import ImageChange, ImageState
from nova_objectstore.images.registry import Images
from nova_objectstore.images.rest import ImagesApp
from nova_objectstore.types import ANONYMOUS, Principal
from nova_wsgi.testing import Client

LOCATION = "images/disk.img.manifest.xml"
WHO = {"alice": principal(ALICE), "bob": principal(BOB), "admin": ADMIN}


def authenticate(environ) -> Principal:
    name = environ.get("HTTP_AUTHORIZATION", "")
    if name == "mallory":
        raise SignatureDoesNotMatch(aws_access_key_id="AKIA", string_to_sign="secret things")
    return WHO.get(name, ANONYMOUS)


class House:
    def __init__(self, path: Path) -> None:
        self.store = MemoryImageStore()
        self.source = MemorySource()
        self.clock = Clock()
        self.below = build_store(Settings(state_path=path, sync="never"))
        self.below.open()
        self.data = self.below.data
        self.images = Images(self.store, self.source, now_us=self.clock)
        self.job = ImageJob(self.store, self.source, self.data, rsa_key(), now_us=self.clock)
        self.content = os.urandom(100_000)
        self.source.put_bundle(bundle(self.content))
        download = Download(self.below.egress, S3ReadRules(clock_s=time.time))
        self.client = Client(ImagesApp(self.images, download, authenticate=authenticate))

    def ask(self, method: str, target: str, who: str = "alice", **headers: str):
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if who:
            fields["Authorization"] = who
        return self.client.request(method, target, headers=fields)

    def register(self, **arguments: str) -> str:
        query = "&".join([f"image_location={LOCATION}", *(f"{name}={value}" for name, value in arguments.items())])
        answer = self.ask("PUT", f"/_images/?{query}")
        assert answer.status == 200, answer.text
        return answer.json()["imageId"]

    def available(self, **arguments: str) -> str:
        image_id = self.register(**arguments)
        self.job.run()
        return image_id


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.below.close()


# -- listing -----------------------------------------------------------------------------------------------------------


def test_an_image_as_json(house):
    image_id = house.register(image_id="ami-k3x9z0ab", display_name="L%C3%BCcid", description="Ubuntu%2010.04")
    assert image_id == "ami-k3x9z0ab"
    (found,) = house.ask("GET", "/_images/").json()
    assert found == {
        "imageId": "ami-k3x9z0ab",
        "imageLocation": LOCATION,
        "imageOwnerId": ALICE,
        "isPublic": False,
        "architecture": "x86_64",
        "imageType": "machine",
        "type": "machine",
        "imageState": "pending",
        "kernelId": None,
        "ramdiskId": None,
        "displayName": "Lücid",
        "description": "Ubuntu 10.04",
        "imageSize": 100_000,
        "creationDate": "2023-11-14T22:13:20Z",
    }
    house.job.run()
    (found,) = house.ask("GET", "/_images").json()
    assert found["imageState"] == "available"


def test_who_sees_what(house):
    house.store.create_image(image("ami-1"))
    house.store.create_image(image("ami-2", is_public=True))
    assert [found["imageId"] for found in house.ask("GET", "/_images/").json()] == ["ami-1", "ami-2"]
    assert [found["imageId"] for found in house.ask("GET", "/_images/", "bob").json()] == ["ami-2"]
    assert [found["imageId"] for found in house.ask("GET", "/_images/?image_id=ami-1").json()] == ["ami-1"]
    assert house.ask("GET", "/_images/?image_id=ami-1", "bob").json() == []
    assert house.ask("GET", "/_images/?image_id=ami-9").json() == []
    assert house.ask("GET", "/_images/?marker=ami-1").json()[0]["imageId"] == "ami-2"


def test_a_failure_is_told(house):
    image_id = house.register()
    house.source.put("images", "disk.img.part.00", b"damaged")
    house.job.run()
    (found,) = house.ask("GET", "/_images/").json()
    assert (found["imageId"], found["imageState"]) == (image_id, "failed")
    assert found["stateReason"].endswith(".")


# -- downloading -------------------------------------------------------------------------------------------------------


def test_the_bytes(house):
    image_id = house.available()
    answer = house.ask("GET", f"/_images/{image_id}")
    assert answer.status == 200
    assert answer.body == house.content
    assert answer.header("Content-Type") == "application/octet-stream"
    assert answer.header("Content-Length") == "100000"
    assert answer.header("ETag") == f'"{hashlib.md5(house.content).hexdigest()}"'
    assert answer.header("Last-Modified") == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert answer.header("Accept-Ranges") == "bytes"
    head = house.ask("HEAD", f"/_images/{image_id}")
    assert (head.status, head.body, head.header("Content-Length")) == (200, b"", "100000")


def test_ranges_and_conditions(house):
    image_id = house.available()
    path = f"/_images/{image_id}"
    etag = f'"{hashlib.md5(house.content).hexdigest()}"'
    answer = house.ask("GET", path, Range="bytes=10-19")
    assert (answer.status, answer.body) == (206, house.content[10:20])
    assert answer.header("Content-Range") == "bytes 10-19/100000"
    assert house.ask("GET", path, Range="bytes=-5").body == house.content[-5:]
    assert house.ask("GET", path, Range="bytes=5-3").status == 200
    refused = house.ask("GET", path, Range="bytes=100000-")
    assert (refused.status, refused.header("Content-Range")) == (416, "bytes */100000")
    assert house.ask("GET", path, If_None_Match=etag).status == 304
    assert house.ask("GET", path, If_None_Match='"x"').status == 200
    assert house.ask("GET", path, If_Match='"x"').status == 412
    assert house.ask("GET", path, If_Match=etag).status == 200
    assert house.ask("GET", path, If_Modified_Since="Tue, 14 Nov 2023 22:13:20 GMT").status == 304
    assert house.ask("GET", path, If_Unmodified_Since="Tue, 14 Nov 2023 22:13:19 GMT").status == 412
    assert house.ask("GET", path, Range="bytes=0-1", If_Range=etag).status == 206
    assert house.ask("GET", path, Range="bytes=0-1", If_Range='"x"').status == 200


def test_only_what_is_available_is_downloaded(house):
    image_id = house.register()
    assert house.ask("GET", f"/_images/{image_id}").status == 409
    assert house.ask("GET", f"/_images/{image_id}", "bob").status == 404
    assert house.ask("GET", "/_images/ami-none").status == 404
    assert house.ask("GET", "/_images/..%2f..%2fetc").status in (400, 404)
    assert house.ask("GET", "/_images/a/b").status == 404


# -- registering -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "who", "status"),
    [
        ("", "alice", 400),
        ("image_location=", "alice", 400),
        ("image_location=images", "alice", 400),
        ("image_location=images/none", "alice", 404),
        ("image_location=nowhere/none", "alice", 404),
        ("image_location=images/disk.img.part.00", "alice", 400),
        (f"image_location={LOCATION}&image_id=../x", "alice", 400),
        (f"image_location={LOCATION}", "bob", 403),
        (f"image_location={LOCATION}", "", 403),
        (f"image_location={LOCATION}", "mallory", 403),
        ("image_location=%ff", "alice", 400),
    ],
)
def test_what_is_not_registered(house, query, who, status):
    answer = house.ask("PUT", f"/_images/?{query}", who)
    assert answer.status == status
    assert "secret" not in answer.text
    assert house.ask("GET", "/_images/", "admin").json() == []


def test_an_id_is_taken_once(house):
    house.register(image_id="ami-12345678")
    assert house.ask("PUT", f"/_images/?image_location={LOCATION}&image_id=ami-12345678").status == 409


# -- changing ----------------------------------------------------------------------------------------------------------


def test_public_and_private(house):
    image_id = house.available()
    assert house.ask("GET", f"/_images/{image_id}", "bob").status == 404
    assert house.ask("POST", f"/_images/?image_id={image_id}&operation=add").json()["isPublic"] is True
    assert house.ask("GET", f"/_images/{image_id}", "bob").body == house.content
    for method, target in (
        ("POST", f"/_images/?image_id={image_id}&operation=remove"),
        ("POST", f"/_images/?image_id={image_id}&display_name=mine"),
        ("DELETE", f"/_images/?image_id={image_id}"),
        ("DELETE", f"/_images/{image_id}"),
    ):
        assert house.ask(method, target, "bob").status == 403
    assert house.ask("POST", f"/_images/?image_id={image_id}&operation=remove", "admin").json()["isPublic"] is False
    assert house.ask("POST", f"/_images/?image_id={image_id}&operation=remove", "bob").status == 404
    assert house.ask("POST", f"/_images/?image_id={image_id}&operation=other").status == 400


def test_edits(house):
    image_id = house.register(display_name="a", description="b")
    changed = house.ask("POST", f"/_images/?image_id={image_id}&display_name=c&description=").json()
    assert (changed["displayName"], changed["description"]) == ("c", "")
    assert house.ask("POST", f"/_images/?image_id={image_id}&display_name={'x' * 256}").status == 400
    assert house.ask("POST", f"/_images/?image_id={image_id}").status == 400
    assert house.ask("POST", "/_images/?display_name=c").status == 400
    house.register(display_name="taken")
    assert house.ask("POST", f"/_images/?image_id={image_id}&display_name=taken").status == 409


@pytest.mark.parametrize("target", ["/_images/?image_id={}", "/_images/{}"])
def test_removing(house, target):
    image_id = house.available()
    answer = house.ask("DELETE", target.format(image_id))
    assert (answer.status, answer.body) == (204, b"")
    assert house.ask("GET", "/_images/").json() == []
    assert house.ask("GET", f"/_images/{image_id}").status == 404
    assert house.ask("DELETE", target.format(image_id)).status == 404
    assert len(house.store.garbage) == 1


def test_a_method_that_is_none(house):
    assert house.ask("PATCH", "/_images/").status == 405
    assert "GET" in house.ask("PUT", "/_images/ami-1").header("Allow")


def test_bytes_that_are_gone(house):
    image_id = house.available()
    house.data.delete(house.store.get_image(image_id).ref)
    answer = house.ask("GET", f"/_images/{image_id}")
    assert (answer.status, answer.header("Retry-After")) == (503, "1")


def test_a_removed_image_may_be_registered_again(house):
    house.available(image_id="ami-12345678")
    house.ask("DELETE", "/_images/ami-12345678")
    house.available(image_id="ami-12345678")
    assert house.ask("GET", "/_images/ami-12345678").body == house.content
    house.store.update_image("ami-12345678", ImageChange(state=ImageState.FAILED))
