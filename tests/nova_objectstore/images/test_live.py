"""Images from end to end, in this process: a real store, real servers, boto3 and boto 2, and the job."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import requests
from botocore.auth import HmacV1Auth, S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from support.raw_http import serving

from nova_objectstore.assembly import Settings, build_front, build_store
from nova_objectstore.assembly_images import build_ec2, build_image_job, build_images, build_images_app, open_keys
from nova_objectstore.domain.accounts import Accounts, KeyPair
from nova_objectstore.images.bundle import BundleKeys, BundleSpec, bundle_image
from nova_objectstore.images.keys import load_public_key
from nova_objectstore.images.manifest import read_manifest
from nova_objectstore.limits import MiB
from nova_wsgi.testing import resident_size

ALICE, BOB = (
    KeyPair("AKIAALICEALICEALICE0", "alice's/secret+key0"),
    KeyPair("AKIABOBBOBBOBBOBBOB0", "bob's/secret+key00"),
)
REGION = "us-east-1"


class House:
    """A store, its S3 front with ``/_images``, its EC2 API, and its job."""

    def __init__(self, path: Path) -> None:
        self.settings = Settings(state_path=path, sync="never")
        self.store = build_store(self.settings)
        self.store.open()
        accounts = Accounts(self.store.meta, now_us=lambda: 1)
        self.alice = accounts.create("alice", pair=ALICE)[0].id
        self.bob = accounts.create("bob", pair=BOB)[0].id
        self.keys = open_keys(self.settings)
        self.images = build_images(self.store)
        self.job = build_image_job(self.store, self.keys)
        self.ec2 = build_ec2(self.store, self.images, self.settings)
        front = build_front(self.store, self.settings)
        images_app = build_images_app(self.store, self.images, self.settings)

        def s3(environ, start_response):
            beside = environ["PATH_INFO"].split("/")[1] == "_images"
            return (images_app if beside else front)(environ, start_response)

        self.s3 = s3
        self.urls: dict[str, str] = {}

    def client(self, service: str, pair: KeyPair = ALICE, **config: object):
        return boto3.session.Session().client(
            service,
            endpoint_url=self.urls[service],
            region_name=REGION,
            aws_access_key_id=pair.access_key,
            aws_secret_access_key=pair.secret_key,
            config=Config(retries={"max_attempts": 1}, **config),
        )

    def upload(self, manifest: Path, *, bucket: str = "images", prefix: str = "") -> str:
        """Put a bundle's files into a bucket with boto3; the manifest's location."""
        s3 = self.client("s3", s3={"addressing_style": "path"})
        s3.create_bucket(Bucket=bucket)
        for part in read_manifest(manifest.read_bytes()).parts:
            s3.upload_file(str(manifest.parent / part.filename), bucket, prefix + part.filename)
        s3.upload_file(str(manifest), bucket, prefix + manifest.name)
        return f"{bucket}/{prefix}{manifest.name}"

    def rest(self, method: str, target: str, pair: KeyPair = ALICE, *, signer: str = "v4", **headers: str):
        """A signed request to ``/_images``."""
        request = AWSRequest(method, self.urls["s3"] + target, headers=headers)
        credentials = Credentials(pair.access_key, pair.secret_key)
        if signer == "v4":
            S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
        else:
            HmacV1Auth(credentials).add_auth(request)
        prepared = request.prepare()
        return requests.request(method, prepared.url, headers=dict(prepared.headers), timeout=30)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "state")
    with serving(made.s3) as s3, serving(made.ec2) as ec2:
        for name, server in (("s3", s3), ("ec2", ec2)):
            made.urls[name] = f"http://127.0.0.1:{server.socket.getsockname()[1]}"
        yield made
    made.store.close()


def make_bundle(house: House, path: Path, content: bytes, name: str = "disk.img") -> Path:
    image = path / name
    image.write_bytes(content)
    certificate = house.settings.state_path / "images" / "cloud-cert.pem"
    keys = BundleKeys(load_public_key(certificate))
    return bundle_image(image, path / "bundle", spec=BundleSpec(name, user=house.alice), keys=keys, part_size=1 * MiB)


def code(call, **arguments) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_boto3_registers_an_image_and_everybody_reads_it(house: House, tmp_path: Path):
    content = os.urandom(3 * MiB) + bytes(5 * MiB)
    location = house.upload(make_bundle(house, tmp_path, content), prefix="lucid/10.04/")
    ec2, bob = house.client("ec2"), house.client("ec2", BOB)
    image_id = ec2.register_image(Name="lucid", ImageLocation=location, VirtualizationType="hvm")["ImageId"]
    (image,) = ec2.describe_images(ImageIds=[image_id])["Images"]
    assert (image["State"], image["Name"], image["OwnerId"], image["Public"]) == (
        "pending",
        "lucid",
        house.alice,
        False,
    )
    assert house.job.run() == 1
    ec2.get_waiter("image_available").wait(ImageIds=[image_id], WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    found = house.store.meta.get_image(image_id)
    assert (found.size, found.etag) == (len(content), hashlib.md5(content).hexdigest())

    assert code(bob.describe_images, ImageIds=[image_id]) == "InvalidAMIID.NotFound"
    assert house.rest("GET", f"/_images/{image_id}", BOB).status_code == 404
    ec2.modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"UserId": house.bob}, {"Group": "all"}]})
    permissions = ec2.describe_image_attribute(ImageId=image_id, Attribute="launchPermission")["LaunchPermissions"]
    assert permissions == [{"Group": "all"}, {"UserId": house.bob}]
    assert [found["ImageId"] for found in bob.describe_images(ExecutableUsers=["self"])["Images"]] == [image_id]
    for signer in ("v4", "v2"):
        answer = house.rest("GET", f"/_images/{image_id}", BOB, signer=signer)
        assert answer.content == content
    part = house.rest("GET", f"/_images/{image_id}", BOB, Range="bytes=1000-1999")
    assert (part.status_code, part.content) == (206, content[1000:2000])
    assert code(bob.deregister_image, ImageId=image_id) == "AuthFailure"

    pages = ec2.get_paginator("describe_images").paginate(Owners=["self"], PaginationConfig={"PageSize": 1})
    assert [found["ImageId"] for page in pages for found in page["Images"]] == [image_id]
    ec2.reset_image_attribute(ImageId=image_id, Attribute="launchPermission")
    ec2.deregister_image(ImageId=image_id)
    assert ec2.describe_images(Owners=["self"])["Images"] == []
    assert [item.ref for item in house.store.meta.list_garbage(queued_before_us=1 << 62)] == [found.ref]


def test_the_old_way(house: House, tmp_path: Path):
    """What nova of 2010 did: PUT, GET, POST and DELETE of /_images, signed with SigV2."""
    content = os.urandom(2 * MiB)
    location = house.upload(make_bundle(house, tmp_path, content))
    answer = house.rest("PUT", f"/_images/?image_id=ami-k3x9z0ab&image_location={location}", signer="v2")
    assert answer.status_code == 200, answer.text
    house.job.run()
    (image,) = house.rest("GET", "/_images/?image_id=ami-k3x9z0ab", signer="v2").json()
    assert image["imageState"] == "available"
    assert house.rest("POST", "/_images/?image_id=ami-k3x9z0ab&operation=add", signer="v2").status_code == 200
    assert house.rest("GET", "/_images/ami-k3x9z0ab", BOB, signer="v2").content == content
    assert house.rest("DELETE", "/_images/?image_id=ami-k3x9z0ab", BOB, signer="v2").status_code == 403
    assert house.rest("DELETE", "/_images/?image_id=ami-k3x9z0ab", signer="v2").status_code == 204
    assert house.rest("GET", "/_images/").json() == []
    assert house.rest("GET", "/_images/", KeyPair("AKIANOBODY", "x" * 20)).status_code == 403
    assert requests.get(house.urls["s3"] + "/_images/", timeout=10).status_code == 403


def test_boto3_with_sigv2(house: House):
    ec2 = house.client("ec2", signature_version="v2")
    assert ec2.describe_images()["Images"] == []
    assert code(ec2.describe_images, ImageIds=["ami-00000000"]) == "InvalidAMIID.NotFound"
    wrong = house.client("ec2", KeyPair(ALICE.access_key, "wrong"), signature_version="v2")
    assert code(wrong.describe_images) == "AuthFailure"


def test_a_presigned_url(house: House):
    url = house.client("ec2").generate_presigned_url("describe_images", Params={"Owners": ["self"]}, HttpMethod="GET")
    assert requests.get(url, timeout=10).status_code == 200
    assert requests.get(url.replace("Owner.1=self", "Owner.1=other"), timeout=10).status_code == 401


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="boto 2 itself does not import there")
@pytest.mark.parametrize("version", ["v2", "v4"])
def test_boto_2(house: House, tmp_path: Path, version: str):
    location = house.upload(make_bundle(house, tmp_path, os.urandom(10_000)))
    program = Path(__file__).parents[2] / "support" / "boto2_images.py"
    port = house.urls["ec2"].rpartition(":")[2]
    environ = {"PATH": os.environ["PATH"], "BOTO_CONFIG": "/nonexistent", "HOME": str(tmp_path)}
    if version == "v4":
        environ["EC2_USE_SIGV4"] = "True"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", program, port, ALICE.access_key, ALICE.secret_key, location, house.bob],
        env=environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


def test_a_bundle_that_is_broken_says_why(house: House, tmp_path: Path):
    manifest = make_bundle(house, tmp_path, os.urandom(2 * MiB))
    location = house.upload(manifest)
    house.client("s3").put_object(Bucket="images", Key="disk.img.part.01", Body=b"broken")
    ec2 = house.client("ec2")
    image_id = ec2.register_image(ImageLocation=location, Name="broken")["ImageId"]
    house.job.run()
    (image,) = ec2.describe_images(ImageIds=[image_id])["Images"]
    assert image["State"] == "failed"
    assert "StateReason" in image
    assert code(ec2.register_image, ImageLocation="images/none", Name="none") == "InvalidManifest"


def test_what_a_dead_worker_left_is_removed_at_the_next_start(house: House, tmp_path: Path):
    """A worker dies between making the data durable and naming it; the next start removes the data, and tries again."""
    location = house.upload(make_bundle(house, tmp_path, os.urandom(2 * MiB)))
    image_id = house.client("ec2").register_image(ImageLocation=location, Name="lost")["ImageId"]
    program = """
import os, sys
from nova_wsgi import green; green.patch()
from pathlib import Path
from nova_objectstore.assembly import Settings, build_store
from nova_objectstore.assembly_images import build_image_job, open_keys
settings = Settings(state_path=Path(sys.argv[1]), sync="never")
store = build_store(settings)
store.open()
update = store.meta.update_image
class Dying:
    def __getattr__(self, name): return getattr(store.meta, name)
    def update_image(self, image_id, change, **more):
        if change.state == "available":
            os.kill(os.getpid(), 9)
        return update(image_id, change, **more)
job = build_image_job(store, open_keys(settings))
job._store = Dying()
job.run()
"""
    killed = subprocess.run([sys.executable, "-c", program, str(house.settings.state_path)], timeout=60)
    assert killed.returncode == -9
    (left,) = house.store.data.list_unsettled()
    house.store.collector.recover()
    assert house.store.meta.known_refs([left]) == []
    assert house.store.meta.get_image(image_id).state == "untarring"
    assert house.job.run() == 0, "its lease still holds"
    later = build_image_job(house.store, house.keys, clock_us=lambda: 1 << 60)
    assert later.run() == 1
    found = house.store.meta.get_image(image_id)
    assert found.state == "available"
    assert found.ref != left


def test_an_image_of_200_mib_in_bounded_memory(house: House, tmp_path: Path):
    row = os.urandom(MiB // 4) + bytes(MiB * 3 // 4)
    image = tmp_path / "big.img"
    expected = hashlib.md5()
    with image.open("wb") as file:
        for number in range(200):
            piece = number.to_bytes(4, "big") + row[4:]
            expected.update(piece)
            file.write(piece)
    keys = BundleKeys(house.keys.public_key)
    location = house.upload(bundle_image(image, tmp_path / "bundle", spec=BundleSpec("big"), keys=keys))
    image_id = house.client("ec2").register_image(ImageLocation=location, Name="big")["ImageId"]
    before = resident_size(os.getpid())
    assert house.job.run() == 1
    grown = resident_size(os.getpid()) - before
    assert house.store.meta.get_image(image_id).etag == expected.hexdigest()
    assert grown < 48 * MiB, f"{grown / MiB:.0f} MiB"
