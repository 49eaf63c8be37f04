"""The EC2 API of images as clients use it: signed by botocore's signers, spoken to in process."""

import base64
import hmac
import time
from datetime import UTC, datetime
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import pytest
from botocore.auth import SigV2Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from support.bundles import bundle
from support.images import ADMIN, ALICE, BOB, CAROL, Clock, MemoryImageStore, MemorySource, image, principal

from nova_objectstore.errors import InvalidToken, StorageFailed
from nova_objectstore.images.ec2.app import Ec2App
from nova_objectstore.images.ec2.signatures import Authenticator, Credentials
from nova_objectstore.images.ports import ImageChange, ImageState
from nova_objectstore.images.registry import Images
from nova_wsgi.testing import Client

LOCATION = "images/disk.img.manifest.xml"
VERSION = "2016-11-15"
KEYS = {
    "AKIAALICE": Credentials("alice's secret/+=", principal(ALICE)),
    "AKIABOB": Credentials("bob's secret", principal(BOB)),
    "AKIAADMIN": Credentials("admin's secret", ADMIN),
}
NS = "{http://ec2.amazonaws.com/doc/2016-11-15/}"


def find(access_key: str, token: str | None) -> Credentials | None:
    if token:
        raise InvalidToken
    return KEYS.get(access_key)


class House:
    def __init__(self) -> None:
        self.store = MemoryImageStore()
        self.source = MemorySource()
        self.source.put_bundle(bundle(b"image" * 100))
        self.images = Images(self.store, self.source, now_us=Clock())
        self.now_s = time.time
        authenticator = Authenticator(find, region="us-east-1", clock_s=lambda: self.now_s())
        self.client = Client(Ec2App(self.images, authenticator), environ={"nova.request_id": "req-1"})

    def ask(self, action: str, who: str = "ALICE", **parameters: object):
        """The answer's root element to a request signed with SigV4, POST; dots in names are double underscores."""
        named = {name.replace("__", "."): str(value) for name, value in parameters.items()}
        return self.send(sign_v4({"Action": action, "Version": VERSION, **named}, who))

    def send(self, request: AWSRequest):
        prepared = request.prepare()
        answer = self.client.request(
            prepared.method,
            prepared.url.removeprefix("http://localhost"),
            headers=dict(prepared.headers.items()),
            body=prepared.body or b"",
        )
        assert answer.header("Content-Type") == "text/xml;charset=UTF-8"
        root = ElementTree.fromstring(answer.body)
        root.set("status", str(answer.status))
        return root

    def refusal(self, action: str, who: str = "ALICE", **parameters: object) -> str:
        return code(self.ask(action, who, **parameters))

    def ids(self, who: str = "ALICE", **parameters: object) -> list[str]:
        root = self.ask("DescribeImages", who, **parameters)
        assert root.get("status") == "200", ElementTree.tostring(root)
        return [found.text for found in root.iter(f"{NS}imageId")]


def code(root) -> str:
    assert root.tag == "Response"
    assert root.findtext("RequestID") == "req-1"
    assert root.findtext("Errors/Error/Message")
    return root.findtext("Errors/Error/Code")


def credentials(who: str, **changes: str) -> BotoCredentials:
    key = f"AKIA{who}"
    settings = {"access_key": key, "secret_key": KEYS[key].secret_key if key in KEYS else "none", **changes}
    return BotoCredentials(**settings)


def sign_v4(
    parameters: dict[str, str], who: str = "ALICE", *, region: str = "us-east-1", service: str = "ec2", **changes: str
):
    request = AWSRequest("POST", "http://localhost/", data=urlencode(parameters).encode())
    request.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    request.headers["Host"] = "localhost"
    SigV4Auth(credentials(who, **changes), service, region).add_auth(request)
    return request


def sign_v2(parameters: dict[str, str], who: str = "ALICE", *, method: str = "GET", path: str = "/", **changes: str):
    request = AWSRequest(method, f"http://localhost{path}")
    setattr(request, "data" if method == "POST" else "params", dict(parameters))
    SigV2Auth(credentials(who, **changes)).add_auth(request)
    if method == "POST":
        request.data = urlencode(request.data)
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
    return request


DESCRIBE = {"Action": "DescribeImages", "Version": VERSION}


@pytest.fixture
def house() -> House:
    return House()


# -- who ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda: sign_v4(DESCRIBE),
        lambda: sign_v2(DESCRIBE),
        lambda: sign_v2(DESCRIBE, method="POST"),
        lambda: sign_v2(DESCRIBE, path="/services/Cloud/"),
        lambda: sign_v2({**DESCRIBE, "Filter.1.Name": "name", "Filter.1.Value.1": "ü ~*/+="}),
        lambda: sign_v2({**DESCRIBE, "Filter.1.Name": "name", "Filter.1.Value.1": "ü ~*/+="}, method="POST"),
    ],
)
def test_signatures_of_all_kinds(house, make):
    house.store.create_image(image())
    root = house.send(make())
    assert root.tag == f"{NS}DescribeImagesResponse", ElementTree.tostring(root)


def test_a_presigned_url(house):
    house.store.create_image(image())
    request = AWSRequest("GET", f"http://localhost/?{urlencode(DESCRIBE)}")
    SigV4QueryAuth(credentials("ALICE"), "ec2", "us-east-1", expires=60).add_auth(request)
    assert house.send(request).tag == f"{NS}DescribeImagesResponse"
    request = AWSRequest("GET", f"http://localhost/?{urlencode(DESCRIBE)}")
    SigV4QueryAuth(credentials("ALICE"), "ec2", "us-east-1", expires=60).add_auth(request)
    request.url = request.url.replace("DescribeImages", "DeregisterImage")
    assert code(house.send(request)) == "AuthFailure"


def altered(request: AWSRequest) -> AWSRequest:
    request.data = request.data.replace(b"DescribeImages", b"DeregisterImage")
    return request


@pytest.mark.parametrize(
    "make",
    [
        lambda: AWSRequest("GET", f"http://localhost/?{urlencode(DESCRIBE)}"),
        lambda: sign_v4(DESCRIBE, "MALLORY"),
        lambda: sign_v4(DESCRIBE, secret_key="wrong"),
        lambda: sign_v4(DESCRIBE, region="eu-west-1"),
        lambda: sign_v4(DESCRIBE, service="s3"),
        lambda: sign_v4(DESCRIBE, token="token"),
        lambda: altered(sign_v4(DESCRIBE)),
        lambda: sign_v2(DESCRIBE, "MALLORY"),
        lambda: sign_v2(DESCRIBE, secret_key="wrong"),
        lambda: sign_v2(DESCRIBE, token="token"),
    ],
)
def test_what_proves_nothing(house, make):
    root = house.send(make())
    assert (root.get("status"), code(root)) == ("401", "AuthFailure")


def test_a_body_that_is_not_the_signed_hash(house):
    request = AWSRequest("POST", "http://localhost/", data=b"Action=DescribeImages&Version=2016-11-15")
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    request.headers["Content-Type"] = "application/x-www-form-urlencoded"
    SigV4Auth(credentials("ALICE"), "ec2", "us-east-1").add_auth(request)
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    assert code(house.send(request)) == "AuthFailure"


@pytest.mark.parametrize("late_s", [-901, 901, -86_400, 86_400])
def test_signatures_grow_old(house, late_s):
    house.now_s = lambda: time.time() + late_s
    for request in (sign_v4(DESCRIBE), sign_v2(DESCRIBE)):
        assert code(house.send(request)) == "RequestExpired"


def sign_v2_by_hand(parameters: dict[str, str], *, digest: str = "HmacSHA1") -> str:
    """A query string as boto 2 makes it."""
    items = {"AWSAccessKeyId": "AKIABOB", "SignatureVersion": "2", "SignatureMethod": digest, **parameters}
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(items[name], safe='-_.~')}" for name in sorted(items))
    to_sign = f"GET\nlocalhost\n/\n{query}"
    made = hmac.digest(b"bob's secret", to_sign.encode(), digest.removeprefix("Hmac").lower())
    return f"/?{query}&Signature={quote(base64.b64encode(made), safe='')}"


def status_of(house, parameters: dict[str, str], **settings: str) -> tuple[int, str]:
    answer = house.client.request("GET", sign_v2_by_hand({**DESCRIBE, **parameters}, **settings))
    return answer.status, answer.text


def test_times_of_sigv2(house):
    now = datetime.now(UTC)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S")
    assert status_of(house, {"Timestamp": stamp})[0] == 200
    assert status_of(house, {"Timestamp": f"{stamp}Z"})[0] == 200
    assert status_of(house, {"Timestamp": f"{stamp}.000Z"})[0] == 200
    assert status_of(house, {"Timestamp": f"{stamp}Z"}, digest="HmacSHA256")[0] == 200
    assert status_of(house, {"Expires": f"{now.year + 1}-01-01T00:00:00Z"})[0] == 200
    assert "RequestExpired" in status_of(house, {"Expires": f"{now.year - 1}-01-01T00:00:00Z"})[1]
    assert "AuthFailure" in status_of(house, {})[1]
    for text in ("yesterday", "2010-13-45T99:99:99Z", "0000-00-00T00:00:00Z", "\u0662010-01-01T00:00:00Z"):
        assert "InvalidParameterValue" in status_of(house, {"Timestamp": text})[1]
    for change in ({"SignatureVersion": "1"}, {"SignatureMethod": "HmacMD5"}, {"SignatureMethod": "None"}):
        assert "AuthFailure" in house.client.request("GET", f"/?{urlencode({**DESCRIBE, **change})}").text


# -- the protocol ------------------------------------------------------------------------------------------------------


def test_requests_that_are_none(house):
    assert code(house.send(sign_v4({"Version": VERSION}))) == "MissingAction"
    assert code(house.send(sign_v4({"Action": "RunInstances", "Version": VERSION}))) == "InvalidAction"
    assert code(house.send(sign_v4({"Action": "DescribeImages"}))) == "MissingParameter"
    assert code(house.send(sign_v4({"Action": "DescribeImages", "Version": "x"}))) == "NoSuchVersion"
    for method, target, body, headers in (
        ("PUT", "/", b"", {}),
        ("GET", "/?a=1&a=2", b"", {}),
        ("GET", "/?a=%ff", b"", {}),
        ("POST", "/", b"x" * 300_000, {}),
        ("POST", "/", b"{}", {"Content-Type": "application/json"}),
    ):
        answer = house.client.request(method, target, body=body, headers=headers)
        assert 400 <= answer.status < 500
        assert answer.body.startswith(b"<?xml")


def test_the_namespace_is_the_versions(house):
    root = house.send(sign_v2({"Action": "DescribeImages", "Version": "2010-08-31"}))
    assert root.tag == "{http://ec2.amazonaws.com/doc/2010-08-31/}DescribeImagesResponse"
    assert root[0].text == "req-1"


def test_a_fault_of_ours_says_little(house, caplog):
    def fail(verb: str) -> None:
        raise ZeroDivisionError("secret")

    house.store._before = fail
    assert house.refusal("DescribeImages") == "InternalError"
    assert "secret" in caplog.text
    house.store._before = lambda _: (_ for _ in ()).throw(StorageFailed("secret"))
    assert house.refusal("DescribeImages") == "Unavailable"


# -- RegisterImage -----------------------------------------------------------------------------------------------------


def test_register(house):
    root = house.ask(
        "RegisterImage",
        ImageLocation=LOCATION,
        Name="lucid",
        Description="Ubuntu",
        Architecture="i386",
        KernelId="aki-12345678",
        RamdiskId="ari-12345678",
        VirtualizationType="hvm",
    )
    made = house.store.get_image(root.findtext(f"{NS}imageId"))
    assert (made.owner_id, made.name, made.description, made.architecture) == (ALICE, "lucid", "Ubuntu", "i386")
    assert (made.kernel_id, made.ramdisk_id, made.virtualization_type) == ("aki-12345678", "ari-12345678", "hvm")
    assert made.state is ImageState.PENDING
    assert house.refusal("RegisterImage", ImageLocation=LOCATION, Name="lucid") == "InvalidAMIName.Duplicate"


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, "MissingParameter"),
        ({"ImageLocation": ""}, "MissingParameter"),
        ({"ImageLocation": "images"}, "InvalidManifest"),
        ({"ImageLocation": "images/none"}, "InvalidManifest"),
        ({"ImageLocation": "none/none"}, "InvalidManifest"),
        ({"ImageLocation": "images/disk.img.part.00"}, "InvalidManifest"),
        ({"ImageLocation": "bobs/disk.img.manifest.xml"}, "AuthFailure"),
        ({"ImageLocation": LOCATION, "Name": "x"}, "InvalidAMIName.Malformed"),
        ({"ImageLocation": LOCATION, "Description": "x" * 256}, "InvalidParameterValue"),
        ({"ImageLocation": LOCATION, "Architecture": "a b"}, "InvalidParameterValue"),
        ({"ImageLocation": LOCATION, "KernelId": "kernel"}, "InvalidAMIID.Malformed"),
        ({"ImageLocation": LOCATION, "VirtualizationType": "other"}, "InvalidParameterValue"),
        ({"ImageLocation": LOCATION, "RootDeviceName": "/dev/sda1"}, "UnsupportedOperation"),
        ({"ImageLocation": LOCATION, "BlockDeviceMapping__1__DeviceName": "x"}, "UnsupportedOperation"),
        ({"ImageLocation": LOCATION, "DryRun": "true"}, "DryRunOperation"),
        ({"ImageLocation": "images/none", "DryRun": "true"}, "InvalidManifest"),
    ],
)
def test_what_is_not_registered(house, parameters, expected):
    house.source.put_bundle(bundle(b"x"), bucket="bobs", owner=BOB)
    assert house.refusal("RegisterImage", **parameters) == expected
    assert house.ids("ADMIN") == []


# -- DescribeImages ----------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(house) -> House:
    house.store.create_image(image("ami-1", name="mine"))
    house.store.create_image(image("ami-2", owner_id=BOB, name="his"))
    house.store.create_image(image("ami-3", owner_id=BOB, is_public=True, architecture="i386", name="public"))
    house.store.create_image(image("ami-4", owner_id=BOB, shared_with=(ALICE, CAROL), name="shared"))
    return house


def test_describe(shelf):
    assert shelf.ids() == ["ami-1", "ami-3", "ami-4"]
    assert shelf.ids("ADMIN") == ["ami-1", "ami-2", "ami-3", "ami-4"]
    assert shelf.ids(Owner__1="self") == ["ami-1"]
    assert shelf.ids(Owner__1=BOB) == ["ami-3", "ami-4"]
    assert shelf.ids(Owner__1="2222-2222-2222", Owner__2="self") == ["ami-1", "ami-3", "ami-4"]
    assert shelf.ids(Owner__1="amazon") == []
    assert shelf.ids(ImageId__1="ami-4", ImageId__2="ami-1") == ["ami-1", "ami-4"]
    assert shelf.ids(ExecutableBy__1="all") == ["ami-3"]
    assert shelf.ids(ExecutableBy__1="self") == ["ami-4"]
    assert shelf.ids(ExecutableBy__1=CAROL) == [], "whom Bob shares with is his business"
    assert shelf.ids("BOB", ExecutableBy__1=CAROL) == ["ami-4"]
    assert shelf.ids(Filter__1__Name="architecture", Filter__1__Value__1="i386") == ["ami-3"]
    assert shelf.ids(
        Filter__1__Name="name", Filter__1__Value__1="m*", Filter__1__Value__2="shar??",
        Filter__2__Name="owner-id", Filter__2__Value__1=BOB,
    ) == ["ami-4"]  # fmt: skip
    assert shelf.ids(ImageId__1="ami-4", Filter__1__Name="name", Filter__1__Value__1="other") == []


def test_pages(shelf):
    first = shelf.ask("DescribeImages", MaxResults=2)
    assert [found.text for found in first.iter(f"{NS}imageId")] == ["ami-1", "ami-3"]
    token = first.findtext(f"{NS}nextToken")
    rest = shelf.ask("DescribeImages", MaxResults=2, NextToken=token)
    assert [found.text for found in rest.iter(f"{NS}imageId")] == ["ami-4"]
    assert rest.find(f"{NS}nextToken") is None


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"ImageId__1": "ami-9"}, "InvalidAMIID.NotFound"),
        ({"ImageId__1": "ami-2"}, "InvalidAMIID.NotFound"),
        ({"ImageId__1": "ami-1", "ImageId__2": "ami-2", "ImageId__3": "ami-9"}, "InvalidAMIID.NotFound"),
        ({"ImageId__1": "x"}, "InvalidAMIID.Malformed"),
        ({"Owner__1": "nobody"}, "InvalidParameterValue"),
        ({"ExecutableBy__1": "nobody"}, "InvalidParameterValue"),
        ({"Filter__1__Name": "x", "Filter__1__Value__1": "x"}, "InvalidParameterValue"),
        ({"Filter__1__Name": "name"}, "InvalidParameterValue"),
        ({"MaxResults": "0"}, "InvalidParameterValue"),
        ({"MaxResults": "1001"}, "InvalidParameterValue"),
        ({"NextToken": "x"}, "InvalidParameterValue"),
        ({"NextToken": "\u00fc"}, "InvalidParameterValue"),
        ({"NextToken": "YWZ0ZXI6Li4v"}, "InvalidAMIID.Malformed"),
        ({"DryRun": "true"}, "DryRunOperation"),
        ({"DryRun": "perhaps"}, "InvalidParameterValue"),
    ],
)
def test_what_is_not_described(shelf, parameters, expected):
    assert shelf.refusal("DescribeImages", **parameters) == expected


def test_deregistered_images(shelf):
    assert shelf.ask("DeregisterImage", ImageId="ami-1").findtext(f"{NS}return") == "true"
    assert shelf.ids() == ["ami-3", "ami-4"]
    root = shelf.ask("DescribeImages", ImageId__1="ami-1")
    assert root.findtext(f"{NS}imagesSet/{NS}item/{NS}imageState") == "deregistered"
    assert shelf.refusal("DeregisterImage", ImageId="ami-1") == "InvalidAMIID.NotFound"
    assert shelf.refusal("DeregisterImage", ImageId="ami-2") == "InvalidAMIID.NotFound"
    assert shelf.refusal("DeregisterImage", ImageId="ami-3") == "AuthFailure"
    assert shelf.refusal("DeregisterImage", "BOB", ImageId="ami-3", DryRun="true") == "DryRunOperation"
    assert shelf.refusal("DeregisterImage") == "MissingParameter"
    assert shelf.ids("BOB") == ["ami-2", "ami-3", "ami-4"]


# -- attributes --------------------------------------------------------------------------------------------------------


def permissions(house, image_id: str = "ami-1") -> list[str]:
    root = house.ask("DescribeImageAttribute", ImageId=image_id, Attribute="launchPermission")
    return [element.text for item in root.iter(f"{NS}item") for element in item]


@pytest.mark.parametrize(
    "form",
    [
        lambda what, users, groups: {
            **{f"LaunchPermission__{what}__{n}__UserId": user for n, user in enumerate(users, 1)},
            **{f"LaunchPermission__{what}__{n}__Group": group for n, group in enumerate(groups, 10)},
        },
        lambda what, users, groups: {
            "Attribute": "launchPermission",
            "OperationType": what.lower(),
            **{f"UserId__{n}": user for n, user in enumerate(users, 1)},
            **{f"UserGroup__{n}": group for n, group in enumerate(groups, 1)},
        },
    ],
    ids=["boto3", "boto 2"],
)
def test_launch_permissions(shelf, form):
    shelf.ask("ModifyImageAttribute", ImageId="ami-1", **form("Add", [BOB, CAROL], ["all"]))
    assert permissions(shelf) == ["all", BOB, CAROL]
    shelf.ask("ModifyImageAttribute", ImageId="ami-1", **form("Remove", [CAROL], ["all"]))
    assert permissions(shelf) == [BOB]
    assert shelf.ids("BOB", ImageId__1="ami-1") == ["ami-1"]
    assert (
        shelf.ask("ResetImageAttribute", ImageId="ami-1", Attribute="launchPermission").findtext(f"{NS}return")
        == "true"
    )
    assert permissions(shelf) == []


@pytest.mark.parametrize(
    "form", [{"Description__Value": "new"}, {"Attribute": "description", "Value": "new"}, {"Description": "new"}]
)
def test_the_description(shelf, form):
    shelf.ask("ModifyImageAttribute", ImageId="ami-1", **form)
    root = shelf.ask("DescribeImageAttribute", ImageId="ami-1", Attribute="description")
    assert root.findtext(f"{NS}description/{NS}value") == "new"
    assert root.findtext(f"{NS}imageId") == "ami-1"


def test_other_attributes(shelf):
    shelf.store.update_image("ami-1", ImageChange(description=""))
    for name in ("kernel", "ramdisk", "description", "productCodes", "blockDeviceMapping"):
        root = shelf.ask("DescribeImageAttribute", ImageId="ami-1", Attribute=name)
        assert root.find(f"{NS}{name}") is not None


@pytest.mark.parametrize(
    ("action", "parameters", "expected"),
    [
        ("DescribeImageAttribute", {"ImageId": "ami-1"}, "MissingParameter"),
        ("DescribeImageAttribute", {"ImageId": "ami-1", "Attribute": "x"}, "InvalidParameterValue"),
        ("DescribeImageAttribute", {"ImageId": "ami-3", "Attribute": "launchPermission"}, "AuthFailure"),
        ("DescribeImageAttribute", {"ImageId": "ami-2", "Attribute": "kernel"}, "InvalidAMIID.NotFound"),
        ("DescribeImageAttribute", {"ImageId": "ami-1", "Attribute": "kernel", "DryRun": "true"}, "DryRunOperation"),
        ("ModifyImageAttribute", {"ImageId": "ami-1"}, "MissingParameter"),
        ("ModifyImageAttribute", {"ImageId": "ami-1", "Attribute": "launchPermission"}, "MissingParameter"),
        ("ModifyImageAttribute", {"ImageId": "ami-1", "Attribute": "kernel", "Value": "x"}, "InvalidParameterValue"),
        ("ModifyImageAttribute", {"ImageId": "ami-1", "UserId__1": BOB}, "MissingParameter"),
        ("ModifyImageAttribute", {"ImageId": "ami-1", "OperationType": "x", "UserId__1": BOB}, "InvalidParameterValue"),
        (
            "ModifyImageAttribute",
            {"ImageId": "ami-1", "OperationType": "add", "Attribute": "launchPermission"},
            "MissingParameter",
        ),
        (
            "ModifyImageAttribute",
            {"ImageId": "ami-1", "LaunchPermission__Add__1__UserId": "x"},
            "InvalidAMIAttributeItemValue",
        ),
        (
            "ModifyImageAttribute",
            {"ImageId": "ami-1", "LaunchPermission__Add__1__Group": "x"},
            "InvalidAMIAttributeItemValue",
        ),
        (
            "ModifyImageAttribute",
            {"ImageId": "ami-1", "LaunchPermission__Add__1__OrganizationArn": "x"},
            "UnsupportedOperation",
        ),
        (
            "ModifyImageAttribute",
            {"ImageId": "ami-1", "LaunchPermission__Add__1__UserId": BOB, "LaunchPermission__Remove__1__UserId": BOB},
            "InvalidParameterCombination",
        ),
        (
            "ModifyImageAttribute",
            {"ImageId": "ami-1", "LaunchPermission__Add__1__UserId": BOB, "Description__Value": "x"},
            "InvalidParameterCombination",
        ),
        ("ModifyImageAttribute", {"ImageId": "ami-1", "ProductCode__1": "x"}, "UnsupportedOperation"),
        ("ModifyImageAttribute", {"ImageId": "ami-3", "Description__Value": "x"}, "AuthFailure"),
        ("ModifyImageAttribute", {"ImageId": "ami-1", "Description__Value": "x", "DryRun": "true"}, "DryRunOperation"),
        ("ResetImageAttribute", {"ImageId": "ami-1", "Attribute": "description"}, "InvalidParameterValue"),
        ("ResetImageAttribute", {"ImageId": "ami-3", "Attribute": "launchPermission"}, "AuthFailure"),
        (
            "ResetImageAttribute",
            {"ImageId": "ami-1", "Attribute": "launchPermission", "DryRun": "true"},
            "DryRunOperation",
        ),
    ],
)
def test_what_is_not_changed(shelf, action, parameters, expected):
    before = shelf.store.get_image("ami-1"), shelf.store.get_image("ami-3")
    assert shelf.refusal(action, **parameters) == expected
    assert (shelf.store.get_image("ami-1"), shelf.store.get_image("ami-3")) == before
