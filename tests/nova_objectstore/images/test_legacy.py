"""The directories of nova's objectstore of 2010, taken in: by links, twice, and past whatever is wrong with them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.images import ADMIN, ALICE, BOB, principal
from support.metadata import new_account

from nova_objectstore.assembly import Settings, build_store
from nova_objectstore.assembly_images import build_images, build_legacy_import, image_store
from nova_objectstore.data.names import is_ref
from nova_objectstore.domain.data_engines import DEFAULT
from nova_objectstore.errors import NoSuchAccount, NoSuchKey, StorageFull
from nova_objectstore.images.legacy import ImportReport, LegacyImport, OwnersByName
from nova_objectstore.images.ports import ImageState, ImageType
from nova_objectstore.limits import KiB
from nova_objectstore.types import Content, ContentKind, NewVersion

ACCOUNTS = {"admin": ALICE, "project": BOB}


def resolve_owner(name: str) -> str:
    try:
        return ACCOUNTS[name]
    except KeyError:
        raise NoSuchAccount(name=name) from None


class Old:
    """An old store's directories."""

    def __init__(self, path: Path) -> None:
        self.buckets, self.images = path / "buckets", path / "images"
        self.buckets.mkdir(parents=True)
        self.images.mkdir()

    def bucket(self, name: str, owner: object = "admin") -> Path:
        directory = self.buckets / name
        directory.mkdir()
        (self.buckets / f"{name}.json").write_text(json.dumps({"ownerId": owner}))
        return directory

    def object(self, bucket: str, key: str, body: bytes) -> Path:
        path = self.buckets / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, ns=(0, 1_300_000_000_123_456_789))
        return path

    def image(self, image_id: str, body: bytes | None = b"image" * 10_000, **info: object) -> Path:
        directory = self.images / image_id
        directory.mkdir()
        document = {
            "imageId": image_id,
            "imageLocation": "b/m.manifest.xml",
            "imageOwnerId": "admin",
            "isPublic": True,
            "architecture": "i386",
            "imageType": "machine",
            "imageState": "available",
            **info,
        }
        (directory / "info.json").write_text(
            json.dumps({key: value for key, value in document.items() if value is not None})
        )
        if body is not None:
            (directory / "image").write_bytes(body)
        return directory / "image"

    def snapshot(self) -> dict[str, tuple]:
        """Names, modes, contents and times of everything."""
        found = {}
        for root, directories, names in os.walk(self.buckets.parent):
            for name in (*directories, *names):
                path = Path(root) / name
                facts = path.lstat()
                body = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
                found[str(path)] = (facts.st_mode, facts.st_uid, facts.st_mtime_ns, hashlib.md5(body).hexdigest())
        return found


class House:
    def __init__(self, path: Path) -> None:
        self.old = Old(path / "old")
        self.settings = Settings(state_path=path / "state", sync="never")
        self.store = build_store(self.settings)
        self.store.open()
        self.data = self.store.data.at(DEFAULT)
        for name, account_id in ACCOUNTS.items():
            self.store.meta.create_account(new_account(account_id, name), None)
        self.told = []

    def run(self, *, adopt: bool = True, **paths: Path | None) -> ImportReport:
        before = self.old.snapshot()
        job = build_legacy_import(self.store, self.settings, resolve_owner=resolve_owner, progress=self.told.append)
        if not adopt:
            job._adopt = None
        try:
            return job.run(**(paths or {"buckets_path": self.old.buckets, "images_path": self.old.images}))
        finally:
            assert self.old.snapshot() == before, "the originals are as they were"
            assert list(self.data._staging.list_unsettled(lambda _: True)) == []

    def read(self, bucket: str, key: str) -> bytes:
        found = self.store.buckets.find(bucket)
        return b"".join(self.store.egress.read(self.store.objects.get(found, key, inline=True)))

    def image(self, image_id: str):
        return build_images(self.store).find(ADMIN, image_id)

    def files(self) -> list[Path]:
        data = self.data._root
        return [Path(root) / name for root, _, names in os.walk(data) for name in names if is_ref(name)]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.store.close()


def problems(report: ImportReport) -> dict[str, str]:
    return {Path(problem.path).name: problem.sentence for problem in report.problems}


BIG, SMALL = os.urandom(100 * KiB), b"small"


# -- taken in ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adopt", [True, False])
def test_buckets_and_objects(house, adopt):
    house.old.bucket("admins")
    house.old.bucket("Projects_2010", "project")
    big = house.old.object("admins", "dir/ü big", BIG)
    house.old.object("admins", "small", SMALL)
    house.old.object("admins", "empty", b"")
    house.old.object("Projects_2010", "x.manifest.xml", b"<manifest/>")

    report = house.run(adopt=adopt)

    assert report.problems == []
    assert (report.buckets, report.objects, report.images, report.unchanged) == (2, 4, 0, 0)
    assert (report.linked, report.copied) == ((1, 3) if adopt else (0, 4))
    assert report.size == len(BIG) + len(SMALL) + len(b"<manifest/>")
    assert house.store.buckets.find("admins").owner_id == ALICE
    assert house.store.buckets.find("Projects_2010").owner_id == BOB
    assert house.read("admins", "dir/ü big") == BIG
    assert house.read("admins", "small") == SMALL
    assert house.read("admins", "empty") == b""
    version = house.store.objects.get(house.store.buckets.find("admins"), "dir/ü big")
    assert version.etag == hashlib.md5(BIG).hexdigest()
    assert version.modified_us == 1_300_000_000_123_456
    assert version.checksum.algorithm == "CRC64NVME"
    assert any(path.samefile(big) for path in house.files()) is adopt


def test_images(house):
    path = house.old.image("ami-k3x9z0ab", kernelId="aki-lucid", displayName="Lücid", description="Ubuntu")
    house.old.image(
        "aki-lucid",
        imageType=None,
        type="kernel",
        isPublic=False,
        imageOwnerId="project",
        imageState=None,
        state="available",
    )
    house.old.image("ari-tiny", imageType="ramdisk", imageState=None, architecture=None)

    report = house.run()

    assert report.problems == []
    assert (report.images, report.linked, report.copied) == (3, 3, 0)
    found = house.image("ami-k3x9z0ab")
    assert (found.state, found.image_type, found.architecture) == (ImageState.AVAILABLE, ImageType.MACHINE, "i386")
    assert (found.owner_id, found.is_public, found.location) == (ALICE, True, "b/m.manifest.xml")
    assert (found.kernel_id, found.name, found.description) == ("aki-lucid", "Lücid", "Ubuntu")
    assert (found.size, found.etag) == (50_000, hashlib.md5(b"image" * 10_000).hexdigest())
    reader = house.store.data.open(found.ref)
    assert reader.read(0, 100_000) == path.read_bytes()
    reader.close()
    kernel = house.image("aki-lucid")
    assert (kernel.image_type, kernel.owner_id, kernel.is_public) == (ImageType.KERNEL, BOB, False)
    assert house.image("ari-tiny").architecture == "x86_64"
    assert [image.image_id for image in build_images(house.store).page(principal(BOB), limit=9).images] == [
        "aki-lucid",
        "ami-k3x9z0ab",
        "ari-tiny",
    ]


def test_progress_is_told(house):
    house.old.bucket("admins")
    house.old.object("admins", "a", BIG)
    house.old.object("admins", "b", SMALL)
    house.old.image("ami-tiny", b"image")
    house.run()
    assert [at.files_done for at in house.told] == [0, 1, 2, 3]
    assert {(at.files_total, at.bytes_total) for at in house.told} == {(3, len(BIG) + len(SMALL) + 5)}
    assert house.told[0].path.endswith("admins/a")
    assert (house.told[-1].bytes_done, house.told[-1].path) == (len(BIG) + len(SMALL) + 5, "")


# -- again -------------------------------------------------------------------------------------------------------------


def test_a_second_time(house):
    house.old.bucket("admins")
    house.old.object("admins", "big", BIG)
    house.old.object("admins", "small", SMALL)
    house.old.image("ami-tiny")
    first = house.run()
    files = set(house.files())
    second = house.run()
    assert (first.objects, first.images) == (2, 1)
    assert (second.buckets, second.objects, second.images, second.unchanged) == (0, 0, 0, 3)
    assert (second.linked, second.copied, second.size, second.problems) == (0, 0, 0, [])
    assert set(house.files()) == files


def test_what_came_and_what_changed_since(house):
    house.old.bucket("admins")
    path = house.old.object("admins", "k", BIG)
    house.run()
    path.unlink()  # as an old store that goes on would not do it: it wrote in place
    house.old.object("admins", "k", BIG + b"more")
    house.old.object("admins", "new", SMALL)
    report = house.run()
    assert (report.objects, report.unchanged, report.problems) == (2, 0, [])
    assert house.read("admins", "k") == BIG + b"more"
    assert len(house.store.meta.list_garbage(queued_before_us=1 << 62)) == 1


def test_what_somebody_else_put_is_left_alone(house):
    house.old.bucket("admins")
    house.old.object("admins", "k", BIG)
    bucket = house.store.buckets.create("admins", owner_id=ALICE)
    new = NewVersion("k", 4, "etag", 1, ALICE, Content(ContentKind.INLINE, inline=b"mine"))
    house.store.meta.put_version(bucket, new)
    report = house.run()
    assert "left alone" in problems(report)["k"]
    assert house.read("admins", "k") == b"mine"
    assert house.files() == []


def test_a_deregistered_image_comes_back(house):
    house.old.image("ami-tiny", displayName="tiny")
    house.run()
    images = build_images(house.store)
    images.deregister(ADMIN, "ami-tiny")
    assert house.run().images == 1
    assert house.image("ami-tiny").state is ImageState.AVAILABLE


# -- what is wrong -----------------------------------------------------------------------------------------------------


def test_trouble_is_told_and_ends_nothing(house, tmp_path):
    house.old.bucket("good")
    house.old.object("good", "k", SMALL)
    house.old.bucket("nobodys", "stranger")
    house.old.object("nobodys", "k", SMALL)
    house.old.bucket("ownerless", None)
    house.old.bucket("broken")
    (house.old.buckets / "broken.json").write_text("{")
    house.old.bucket("listed")
    (house.old.buckets / "listed.json").write_text("[]")
    house.old.bucket("big")
    (house.old.buckets / "big.json").write_text(" " * 70_000)
    house.old.bucket("_images")
    (house.old.buckets / "file.json").write_text("{}")
    taken = house.old.bucket("taken", "project")
    house.store.buckets.create("taken", owner_id=ALICE)
    (house.old.buckets / "link.json").write_text('{"ownerId": "admin"}')
    (house.old.buckets / "link").symlink_to(tmp_path)
    (house.old.buckets / "good" / "secret").symlink_to("/etc/passwd")
    (house.old.buckets / "good" / "elsewhere").symlink_to(tmp_path)
    os.mkfifo(house.old.buckets / "good" / "pipe")
    os.close(os.open(os.fsencode(house.old.buckets / "good") + b"/\xff", os.O_CREAT | os.O_WRONLY))

    report = house.run()

    told = problems(report)
    assert (report.buckets, report.objects) == (1, 1)
    assert "has no account" in told["nobodys"]
    assert "who owns it" in told["ownerless"]
    assert "not a JSON document" in told["broken"]
    assert "not a JSON object" in told["listed"]
    assert "too large" in told["big"]
    assert "not one that a bucket can have" in told["_images"]
    assert "another account's" in told[taken.name]
    assert "not a regular file" in told["secret"]
    assert "not a regular file" in told["elsewhere"]
    assert "not a regular file" in told["pipe"]
    assert "not UTF-8" in told["\udcff"]
    assert house.read("good", "k") == SMALL
    with pytest.raises(NoSuchKey):
        house.read("good", "secret")


def test_images_that_are_none(house):
    house.old.image("ami-pending", imageState="untarring")
    house.old.image("ami-nobody", imageOwnerId="stranger")
    house.old.image("ami-floppy", imageType="floppy")
    house.old.image("AMI-UPPER")
    house.old.image("ami-arch", architecture="../x")
    house.old.image("ami-imageless", None)
    house.old.image("ami-name", displayName="a\nb")
    house.old.image("ami-one", displayName="same")
    house.old.image("ami-two", displayName="same")
    report = house.run()
    told = {Path(problem.path).parent.name: problem.sentence for problem in report.problems}
    assert report.images == 1
    assert "'untarring'" in told["ami-pending"]
    assert "no account" in told["ami-nobody"]
    assert "floppy" in told["ami-floppy"]
    assert "AMI-UPPER" in told
    assert "architecture" in told["ami-arch"]
    assert "cannot be read" in told["ami-imageless"]
    assert "ami-name" in told
    assert "ImageNameTaken" in told["ami-two"]
    assert len(house.files()) == 1


def test_paths_that_are_none(house, tmp_path):
    with pytest.raises(NotADirectoryError):
        house.run(buckets_path=tmp_path / "missing")
    assert house.run(buckets_path=None, images_path=house.old.images).images == 0


def test_a_full_disk_ends_it(house):
    house.old.bucket("admins")
    house.old.object("admins", "k", BIG)

    class Full:
        def __getattr__(self, name):
            return getattr(house.store.data, name)

        def create(self, size_hint=None):
            raise StorageFull

    job = LegacyImport(
        house.store.meta, image_store(house.store), Full(), house.store.buckets,
        resolve_owner=resolve_owner, now_us=lambda: 1,
    )  # fmt: skip
    with pytest.raises(StorageFull):
        job.run(buckets_path=house.old.buckets)


def test_owners():
    class Meta:
        def find_account(self, account_id):
            return new_account(account_id, "x")

        def find_account_by(self, *, name):
            if name != "alice":
                raise NoSuchAccount(name=name)
            return new_account(ALICE, name)

    owners = OwnersByName(Meta(), {"system": BOB})
    assert (owners("system"), owners("alice")) == (BOB, ALICE)
    with pytest.raises(NoSuchAccount):
        owners("stranger")
    assert OwnersByName(Meta(), default=BOB)("stranger") == BOB


# -- the engine's part -------------------------------------------------------------------------------------------------


def test_an_adopted_file_is_data_like_any_other(house, tmp_path):
    data = house.data
    path = tmp_path / "file"
    path.write_bytes(BIG)
    ref = data.adopt(path)
    data.settle([ref])
    path.unlink()
    reader = data.open(ref)
    assert reader.read(0, len(BIG)) == BIG
    reader.close()
    data.delete(ref)
    assert house.files() == []
    with pytest.raises(FileNotFoundError):
        data.adopt(tmp_path / "missing")
    assert house.files() == []


def test_a_file_on_another_file_system_is_not_adopted(house):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == Path(house.data._root).stat().st_dev:
        pytest.skip("there is only one file system")
    path = other / f"nova-adopt-{os.getpid()}"
    path.write_bytes(BIG)
    try:
        assert house.data.adopt(path) is None
    finally:
        path.unlink()
