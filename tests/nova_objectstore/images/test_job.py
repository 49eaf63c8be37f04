"""Registering as a job: to its end, through every failure, and past other workers."""

import hashlib
import os
from pathlib import Path

import pytest
from support.bundles import bundle, rsa_key
from support.images import ADMIN, ALICE, Clock, MemoryImageStore, MemorySource, image, principal

from nova_objectstore.data.files import FilesEngine
from nova_objectstore.data.names import is_ref
from nova_objectstore.errors import StorageFailed, StorageFull
from nova_objectstore.images.job import ImageJob
from nova_objectstore.images.limits import ATTEMPTS_MAX, LEASE_S
from nova_objectstore.images.ports import ImageState
from nova_objectstore.images.registry import Images, Registration
from nova_objectstore.images.unbundle import UnbundleLimits
from nova_objectstore.limits import KiB, MiB
from nova_wsgi import green
from nova_wsgi.testing import wait_until

alice = principal(ALICE)


class FaultyData:
    """A data engine whose next call of a name raises."""

    def __init__(self, engine: FilesEngine) -> None:
        self._engine = engine
        self.faults: dict[str, Exception] = {}

    def _step(self, name: str) -> None:
        fault = self.faults.get(name)
        if fault is not None:
            raise fault

    def create(self, size_hint: int | None = None) -> "FaultyWriter":
        self._step("create")
        return FaultyWriter(self, self._engine.create(size_hint))

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)


class FaultyWriter:
    def __init__(self, engine: FaultyData, writer: object) -> None:
        self._engine = engine
        self._writer = writer

    def write(self, data: bytes) -> None:
        self._engine._step("write")
        self._writer.write(data)

    def commit(self) -> str:
        self._engine._step("commit")
        return self._writer.commit()

    def abort(self) -> None:
        self._writer.abort()


class House:
    """Everything around the job; ``before`` may be set to see each verb and each key opened, and to raise there."""

    def __init__(self, path: Path) -> None:
        self.before = None
        self.steps: list[str] = []
        self.store = MemoryImageStore(self._step)
        self.source = MemorySource(self._step)
        self.clock = Clock()
        self.path = path
        self.data = FaultyData(FilesEngine(path))
        self.data.start()
        self.images = Images(self.store, self.source, now_us=self.clock)
        self.content = os.urandom(700 * KiB) + bytes(900 * KiB)

    def _step(self, step: str) -> None:
        self.steps.append(step)
        if self.before is not None:
            self.before(step)

    def job(self, **settings: object) -> ImageJob:
        return ImageJob(self.store, self.source, self.data, rsa_key(), now_us=self.clock, **settings)

    def register(self, **spec: object) -> str:
        location = self.source.put_bundle(bundle(self.content, **spec), prefix="lucid/")
        return self.images.register(alice, Registration(location)).image_id

    def find(self, image_id: str):
        return self.images.find(ADMIN, image_id)

    def files(self) -> list[str]:
        """Data files there are, committed or not."""
        return sorted({name for _, _, names in os.walk(self.path) for name in names if is_ref(name)})

    def check_available(self, image_id: str) -> None:
        found = self.find(image_id)
        assert (found.state, found.reason) == (ImageState.AVAILABLE, "")
        assert found.size == len(self.content)
        assert found.etag == hashlib.md5(self.content).hexdigest()
        reader = self.data.open(found.ref)
        assert reader.read(0, reader.size) == self.content
        reader.close()
        assert self.files() == [found.ref], "nothing else is left"

    def check_failed(self, image_id: str, reason: str) -> None:
        found = self.find(image_id)
        assert found.state is ImageState.FAILED
        assert reason in found.reason
        assert found.reason.endswith(".")
        assert self.files() == []
        assert self.source.open_count == 0


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "data")


# -- to the end --------------------------------------------------------------------------------------------------------


def test_an_image_becomes_available(house):
    image_id = house.register()
    assert house.job().run() == 1
    house.check_available(image_id)
    states = [step.split()[1] for step in house.steps if step.startswith("update_image ")]
    assert states == ["decrypting", "untarring", "available"]
    assert house.job().run() == 0
    assert list(house.data.list_unsettled()) == []


def test_several_images(house):
    ids = [house.register(name=f"disk{n}") for n in range(3)]
    assert house.job().run() == 3
    assert {house.find(image_id).state for image_id in ids} == {ImageState.AVAILABLE}


def test_states_are_seen_while_it_runs(house):
    image_id = house.register()
    seen = []
    house.before = lambda step: seen.append(house.store._rows[image_id].image.state)
    house.job().run()
    assert list(dict.fromkeys(seen)) == [
        ImageState.PENDING,
        ImageState.DECRYPTING,
        ImageState.UNTARRING,
        ImageState.AVAILABLE,
    ]


def test_a_lease_is_renewed_while_it_runs(house):
    house.register()

    def pass_time(step: str) -> None:
        if "part" in step:
            house.clock.pass_s(LEASE_S / 2)

    house.before = pass_time
    house.job().run()
    assert house.steps.count("renew_lease") > 3


# -- what is wrong with the bundle ---------------------------------------------------------------------------------------


def test_a_part_that_is_not_there(house):
    image_id = house.register()
    del house.source.objects["images", "lucid/disk.img.part.01"]
    house.job().run()
    house.check_failed(image_id, "not there: NoSuchKey")


def test_a_part_that_was_changed(house):
    image_id = house.register()
    house.source.put("images", "lucid/disk.img.part.02", b"x" * 256 * KiB)
    house.job().run()
    house.check_failed(image_id, "")


def test_a_part_that_the_owner_may_not_read(house):
    image_id = house.register()
    owner, body = house.source.objects["images", "lucid/disk.img.part.01"]
    assert owner == ALICE
    house.source.put("images", "lucid/disk.img.part.01", body, owner="222222222222")
    house.job().run()
    house.check_failed(image_id, "may not read")


def test_a_manifest_that_is_no_more_one(house):
    image_id = house.register()
    house.source.put("images", "lucid/disk.img.manifest.xml", b"<manifest/>")
    house.job().run()
    house.check_failed(image_id, "no image")


def test_another_clouds_bundle(house):
    image_id = house.register()
    ImageJob(house.store, house.source, house.data, rsa_key("another"), now_us=house.clock).run()
    house.check_failed(image_id, "could not be decrypted")


def test_an_image_that_is_too_large(house):
    image_id = house.register()
    house.job(limits=UnbundleLimits(size_max=1 * MiB)).run()
    house.check_failed(image_id, "may have 1048576")


def test_a_location_that_is_none(house):
    house.store.create_image(image(location="nowhere"))
    house.job().run()
    house.check_failed("ami-00000001", "InvalidLocation")


def test_a_failed_image_is_not_tried_again(house):
    image_id = house.register()
    del house.source.objects["images", "lucid/disk.img.part.01"]
    house.job().run()
    house.clock.pass_s(10_000)
    assert house.job().run() == 0
    assert house.find(image_id).state is ImageState.FAILED


# -- what is wrong with the world ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["create", "write", "commit"])
def test_a_full_disk_fails_the_image(house, call):
    image_id = house.register()
    house.data.faults[call] = StorageFull()
    house.job().run()
    house.check_failed(image_id, "not enough space")


@pytest.mark.parametrize("call", ["create", "write", "commit"])
def test_a_failing_disk_is_tried_again_later(house, call):
    image_id = house.register()
    house.data.faults[call] = StorageFailed()
    job = house.job()
    assert job.run() == 1
    assert house.find(image_id).state is ImageState.PENDING
    assert house.files() == []
    assert job.run() == 0, "not at once"
    house.data.faults.clear()
    house.clock.pass_s(20)
    assert job.run() == 1
    house.check_available(image_id)


def test_an_unknown_fault_fails_the_image_and_says_little(house, caplog):
    image_id = house.register()
    house.data.faults["write"] = ZeroDivisionError("secret")
    house.job().run()
    house.check_failed(image_id, "internal error")
    assert "secret" not in house.find(image_id).reason
    assert "ZeroDivisionError" in caplog.text


VERBS = ("claim_pending", "update_image decrypting", "update_image untarring", "renew_lease", "update_image available")


@pytest.mark.parametrize("verb", VERBS)
def test_a_database_that_goes_away_at_a_verb(house, verb):
    """The row stays, and a later attempt makes the image. Its data alone is left, and what the verb may have named."""
    image_id = house.register()
    gone = []

    def fail(step: str) -> None:
        if step == verb or gone:
            gone.append(step)
            raise StorageFailed("the database is gone")

    house.before = fail
    with pytest.raises(StorageFailed):
        house.job().run()
    assert gone
    assert house.source.open_count == 0
    house.before = None
    assert len(house.files()) == (verb == "update_image available"), "nobody knows whether the database took it"
    unnamed = house.files()
    house.clock.pass_s(LEASE_S + 20)
    house.job().run()
    for ref in unnamed:
        house.data.delete(ref)  # as the next start does, which asks the database
    house.check_available(image_id)


def test_a_last_change_that_happened_and_failed(house):
    image_id = house.register()
    update_image = house.store.update_image

    class Store:
        """The database takes the change, and the connection breaks before it says so."""

        def __getattr__(self, name):
            return getattr(house.store, name)

        def update_image(self, image_id, change, **settings):
            update_image(image_id, change, **settings)
            if change.state is ImageState.AVAILABLE:
                raise StorageFailed("the connection broke")

    ImageJob(Store(), house.source, house.data, rsa_key(), now_us=house.clock).run()
    house.check_available(image_id)


@pytest.mark.parametrize("state", [ImageState.PENDING, ImageState.DECRYPTING, ImageState.UNTARRING])
def test_a_worker_that_died_in_a_state(house, state):
    """What a dead worker leaves is a row in a state under a lease: the next begins anew when the lease is over."""
    image_id = house.register()
    now = house.clock()
    house.store.claim_pending("dead", now_us=now, until_us=now + int(LEASE_S * 1e6))
    row = house.store._rows[image_id]
    row.image = row.image._replace(state=state)
    assert house.job().run() == 0
    house.clock.pass_s(LEASE_S)
    assert house.job().run() == 1
    house.check_available(image_id)


def test_an_image_that_ends_every_worker_is_given_up(house):
    image_id = house.register()
    for _ in range(ATTEMPTS_MAX):
        now = house.clock()
        assert house.store.claim_pending("dead", now_us=now, until_us=now + 1)
        house.clock.pass_s(1)
    house.job().run()
    house.check_failed(image_id, "given up")


# -- other workers, and owners that change their minds -------------------------------------------------------------------


@pytest.mark.parametrize(
    "moment", ["lucid/disk.img.part.00", "lucid/disk.img.part.02", "renew_lease", "update_image available"]
)
def test_deregistered_while_it_runs(house, moment):
    image_id = house.register()

    def deregister(step: str) -> None:
        if step == moment:
            house.before = None
            house.images.deregister(alice, image_id)

    house.before = deregister
    house.job().run()
    assert house.find(image_id).state is ImageState.DEREGISTERED
    assert house.files() == []
    assert house.source.open_count == 0
    house.clock.pass_s(7200)
    assert house.job().forget_deregistered() == 1


def test_a_worker_that_was_too_slow_gives_way(house):
    image_id = house.register()

    def other_finishes(step: str) -> None:
        if step == "lucid/disk.img.part.02":
            house.before = None
            house.clock.pass_s(LEASE_S + 1)
            assert house.job().run() == 1

    house.before = other_finishes
    house.job().run()
    house.check_available(image_id)


def test_a_worker_that_is_killed_leaves_nothing(house):
    image_id = house.register()
    reached = []

    def block(step: str) -> None:
        if step == "lucid/disk.img.part.02":
            reached.append(step)
            green.sleep(60)

    house.before = block
    worker = green.spawn(house.job().run)
    wait_until(lambda: reached, timeout_s=10, what="the last part")
    assert house.find(image_id).state is ImageState.UNTARRING
    worker.kill()
    wait_until(lambda: not house.files(), timeout_s=10, what="the end of what was written")
    assert house.source.open_count == 0
    house.before = None
    house.clock.pass_s(LEASE_S)
    house.job().run()
    house.check_available(image_id)
