"""The rules of images: who sees, who changes, what is refused at once."""

import pytest
from support.bundles import bundle
from support.images import ADMIN, ALICE, BOB, CAROL, Clock, MemoryImageStore, MemorySource, image, principal

from nova_objectstore.errors import AccessDenied, InvalidArgument, NoSuchBucket, NoSuchKey
from nova_objectstore.images.errors import (
    ImageExists,
    ImageNameTaken,
    ImageNotAvailable,
    InvalidBundle,
    InvalidImageId,
    InvalidImageName,
    InvalidLocation,
    InvalidManifest,
    NoSuchImage,
    TooManyPermissions,
)
from nova_objectstore.images.ports import ImageChange, ImageState, ImageType
from nova_objectstore.images.registry import (
    Images,
    Registration,
    check_account_id,
    check_image_id,
    check_image_name,
    new_image_id,
)
from nova_objectstore.images.source import Location
from nova_objectstore.images.unbundle import UnbundleLimits
from nova_objectstore.types import ANONYMOUS

alice, bob, carol = principal(ALICE), principal(BOB), principal(CAROL)
LOCATION = "images/disk.img.manifest.xml"


class House:
    def __init__(self) -> None:
        self.store = MemoryImageStore()
        self.source = MemorySource()
        self.source.put_bundle(bundle(b"image" * 100, architecture="arm64", kernel_id="aki-11111111"))
        self.announced = []
        self.images = Images(
            self.store,
            self.source,
            now_us=Clock(),
            announce=self.announced.append,
            limits=UnbundleLimits(size_max=1_000_000),
        )


@pytest.fixture
def house() -> House:
    return House()


# -- registering -------------------------------------------------------------------------------------------------------


def test_what_is_registered(house):
    made = house.images.register(alice, Registration(LOCATION, name="lucid", description="Ubuntu"))
    assert house.store.get_image(made.image_id) == made
    assert check_image_id(made.image_id).startswith("ami-")
    assert len(made.image_id) == 21
    assert made.owner_id == ALICE
    assert made.state is ImageState.PENDING
    assert (made.architecture, made.kernel_id, made.size) == ("arm64", "aki-11111111", 500)
    assert (made.name, made.description, made.is_public) == ("lucid", "Ubuntu", False)
    assert house.announced == [made]
    assert house.source.open_count == 0


def test_the_request_goes_before_the_manifest(house):
    made = house.images.register(
        alice, Registration(LOCATION, image_id="ami-tiny", architecture="i386", kernel_id="aki-2", ramdisk_id="ari-2")
    )
    assert made.image_id == "ami-tiny"
    assert (made.architecture, made.kernel_id, made.ramdisk_id) == ("i386", "aki-2", "ari-2")
    with pytest.raises(ImageExists):
        house.images.register(bob, Registration(put_bobs(house), image_id="ami-tiny"))


def put_bobs(house: House) -> str:
    return house.source.put_bundle(bundle(b"bob's"), bucket="bobs", owner=BOB)


@pytest.mark.parametrize(("kind", "prefix"), [(ImageType.KERNEL, "aki-"), (ImageType.RAMDISK, "ari-")])
def test_kernels_and_ramdisks(house, kind, prefix):
    location = house.source.put_bundle(bundle(b"kernel", image_type=kind, name="vmlinuz"))
    made = house.images.register(alice, Registration(location))
    assert made.image_type is kind
    assert made.image_id.startswith(prefix)


@pytest.mark.parametrize(
    ("who", "registration", "error"),
    [
        (ANONYMOUS, Registration(LOCATION), AccessDenied),
        (bob, Registration(LOCATION), AccessDenied),
        (alice, Registration("images/other"), NoSuchKey),
        (alice, Registration("nowhere/disk.img.manifest.xml"), NoSuchBucket),
        (alice, Registration(""), InvalidLocation),
        (alice, Registration("images"), InvalidLocation),
        (alice, Registration("images/"), InvalidLocation),
        (alice, Registration("/images/x"), InvalidLocation),
        (alice, Registration("images/x\0"), InvalidLocation),
        (alice, Registration("images/\ud800"), InvalidLocation),
        (alice, Registration("images/disk.img.part.00"), InvalidManifest),
        (alice, Registration(LOCATION, image_id="ami-../../etc"), InvalidImageId),
        (alice, Registration(LOCATION, image_id="emi-12345678"), InvalidImageId),
        (alice, Registration(LOCATION, name="x" * 256), InvalidArgument),
        (alice, Registration(LOCATION, description="a\nb"), InvalidArgument),
        (alice, Registration("images/big"), InvalidManifest),
        (alice, Registration("images/huge.img.manifest.xml"), InvalidBundle),
    ],
)
def test_what_is_refused_leaves_nothing(house, who, registration, error):
    house.source.put("images", "big", b" " * 5_000_000)
    house.source.put_bundle(bundle(bytes(1_000_001), name="huge.img"))
    with pytest.raises(error):
        house.images.register(who, registration)
    assert house.images.page(ADMIN, limit=10).images == []
    assert house.announced == []
    assert house.source.open_count == 0


def test_a_name_is_taken_once(house):
    house.images.register(alice, Registration(LOCATION, name="lucid"))
    with pytest.raises(ImageNameTaken):
        house.images.register(alice, Registration(LOCATION, name="lucid"))
    house.images.register(bob, Registration(put_bobs(house), name="lucid"))


def test_parts_lie_beside_the_manifest():
    assert Location.parse("b/k.manifest.xml").beside("k.part.00") == "k.part.00"
    assert Location.parse("b/x/y/k.manifest.xml").beside("k.part.00") == "x/y/k.part.00"
    assert Location.parse("b//k").beside("p") == "/p"


# -- seeing ------------------------------------------------------------------------------------------------------------


def test_who_sees_it(house):
    house.store.create_image(image())
    house.store.create_image(image("ami-2", is_public=True))
    house.store.create_image(image("ami-3", shared_with=(BOB,)))
    everything = ["ami-00000001", "ami-2", "ami-3"]
    for who, visible in ((alice, everything), (ADMIN, everything), (bob, everything[1:]), (carol, ["ami-2"])):
        assert [found.image_id for found in house.images.page(who, limit=10).images] == visible
        for image_id in visible:
            assert house.images.find(who, image_id).image_id == image_id
        for image_id in set(everything) - set(visible):
            with pytest.raises(NoSuchImage):
                house.images.find(who, image_id)
    with pytest.raises(NoSuchImage):
        house.images.find(ANONYMOUS, "ami-2")
    assert house.images.page(ANONYMOUS, limit=10).images == []


def test_pages_and_filters(house):
    for number in range(1100):
        house.store.create_image(image(f"ami-{number:05}", is_public=number % 2 == 0))
    page = house.images.page(bob, matches=lambda found: found.image_id.endswith("00"), limit=5)
    assert [found.image_id for found in page.images] == [f"ami-{number:05}" for number in (0, 100, 200, 300, 400)]
    assert page.next_after == "ami-00400"
    rest = house.images.page(bob, matches=lambda found: found.image_id.endswith("00"), after=page.next_after, limit=6)
    assert len(rest.images) == 6
    assert rest.next_after is None
    exact = house.images.page(bob, matches=lambda found: found.image_id.endswith("00"), limit=11)
    assert len(exact.images) == 11
    assert exact.next_after is None


def test_a_deregistered_image_is_told_of_by_its_id(house):
    house.store.create_image(image(is_public=True))
    house.images.deregister(alice, "ami-00000001")
    assert house.images.page(alice, limit=10).images == []
    (found,) = house.images.page(alice, image_ids=("ami-00000001",), limit=10).images
    assert found.state is ImageState.DEREGISTERED
    assert house.images.page(bob, image_ids=("ami-00000001",), limit=10).images == []
    for verb in (house.images.deregister, house.images.reset_permissions):
        with pytest.raises(NoSuchImage):
            verb(alice, "ami-00000001")


def test_only_an_available_image_has_bytes(house):
    house.store.create_image(image())
    with pytest.raises(ImageNotAvailable):
        house.images.find_available(alice, "ami-00000001")
    house.store.create_image(image("ami-2", state=ImageState.AVAILABLE, ref="r"))
    assert house.images.find_available(alice, "ami-2").ref == "r"


# -- changing ----------------------------------------------------------------------------------------------------------


def test_owner_and_administrator_change_it(house):
    house.store.create_image(image(is_public=True))
    changes = [
        lambda who: house.images.set_public(who, "ami-00000001", True),
        lambda who: house.images.edit(who, "ami-00000001", name="x"),
        lambda who: house.images.share(who, "ami-00000001", add=(BOB,)),
        lambda who: house.images.reset_permissions(who, "ami-00000001"),
        lambda who: house.images.set_public(who, "ami-00000001", True),
        lambda who: house.images.deregister(who, "ami-00000001"),
    ]
    for change in changes[:-1]:
        for who in (bob, ANONYMOUS):
            with pytest.raises((AccessDenied, NoSuchImage)):
                change(who)
        change(ADMIN)
        change(alice)
        house.store.update_image("ami-00000001", ImageChange(is_public=True))
    with pytest.raises(AccessDenied):
        changes[-1](bob)
    changes[-1](alice)


def test_edits(house):
    house.store.create_image(image(name="a", description="b"))
    assert house.images.edit(alice, "ami-00000001", name="c").name == "c"
    changed = house.images.edit(alice, "ami-00000001", description="")
    assert (changed.name, changed.description) == ("c", "")
    with pytest.raises(InvalidArgument):
        house.images.edit(alice, "ami-00000001", name="\x07")
    with pytest.raises(InvalidArgument):
        house.images.edit(alice, "ami-00000001", description="x" * 256)


def test_sharing(house):
    house.store.create_image(image())
    changed = house.images.share(alice, "ami-00000001", add=(BOB, CAROL), is_public=True)
    assert (changed.shared_with, changed.is_public) == ((BOB, CAROL), True)
    assert house.images.share(alice, "ami-00000001", remove=(BOB,)).shared_with == (CAROL,)
    reset = house.images.reset_permissions(alice, "ami-00000001")
    assert (reset.shared_with, reset.is_public) == ((), False)
    with pytest.raises(TooManyPermissions):
        house.images.share(alice, "ami-00000001", add=[f"{n:012}" for n in range(1001)])


def test_a_users_policies_come_first(house):
    house.store.create_image(image(state=ImageState.AVAILABLE, ref="r"))
    asked = []

    def permit(who, action):
        asked.append(action)
        raise AccessDenied(action=action)

    images = Images(house.store, house.source, now_us=Clock(), permit=permit)
    for verb in (
        lambda: images.find(alice, "ami-00000001"),
        lambda: images.find_available(alice, "ami-00000001"),
        lambda: images.page(alice, limit=1),
        lambda: images.register(alice, Registration(LOCATION)),
        lambda: images.edit(alice, "ami-00000001", name="x"),
        lambda: images.share(alice, "ami-00000001", add=(BOB,)),
        lambda: images.set_public(alice, "ami-00000001", True),
        lambda: images.reset_permissions(alice, "ami-00000001"),
        lambda: images.deregister(alice, "ami-00000001"),
    ):
        with pytest.raises(AccessDenied):
            verb()
    assert asked == [
        f"ec2:{name}"
        for name in (
            "DescribeImages", "ExportImage", "DescribeImages", "RegisterImage", "ModifyImageAttribute",
            "ModifyImageAttribute", "ModifyImageAttribute", "ResetImageAttribute", "DeregisterImage",
        )
    ]  # fmt: skip
    assert house.store.get_image("ami-00000001") == image(state=ImageState.AVAILABLE, ref="r")


# -- names -------------------------------------------------------------------------------------------------------------


def test_ids():
    assert len({new_image_id(ImageType.MACHINE) for _ in range(100)}) == 100
    for image_id in ("ami-12345678", "aki-lucid", "ari-0123456789abcdef0", "ami-k3x9z0ab"):
        assert check_image_id(image_id) == image_id
    for image_id in ("", "ami", "ami-", "ami-A", "ami-12345678\n", "xmi-12345678", "ami-" + "0" * 33, "ami-1/2"):
        with pytest.raises(InvalidImageId):
            check_image_id(image_id)


def test_names_of_ec2():
    for name in ("abc", "Ubuntu 10.04 (lucid) [x86_64]", "a/b-c'd@e_f", "x" * 128):
        assert check_image_name(name) == name
    for name in ("", "ab", "x" * 129, "Lücid", "a:b", "a\nb"):
        with pytest.raises(InvalidImageName):
            check_image_name(name)


def test_account_ids():
    assert check_account_id("1111-2222-3333") == "111122223333"
    for text in ("", "1", "x" * 12, "1" * 13, "\u0661" * 12):
        with pytest.raises(InvalidArgument):
            check_account_id(text)
