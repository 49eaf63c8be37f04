"""The port ImageStore: one suite for every engine of it."""

import sqlite3
from collections.abc import Iterator

import pytest
from support.images import ALICE, BOB, CAROL, MemoryImageStore, image
from support.metadata import ENGINES, Metadata, new_account

from nova_objectstore.errors import AccountNotEmpty
from nova_objectstore.images.errors import ImageChanged, ImageExists, ImageNameTaken, NoSuchImage, TooManyPermissions
from nova_objectstore.images.limits import LIST_BATCH, PERMISSIONS_MAX
from nova_objectstore.images.ports import (
    UNFINISHED,
    BlockDevice,
    ImageChange,
    ImageQuery,
    ImageState,
    ImageType,
)
from nova_objectstore.meta.sql.migrations.upgrade import upgrade_sqlite
from nova_objectstore.meta.sqlite import SqliteEngine
from nova_wsgi import green

NOW = 1_700_000_000_000_000
S = 1_000_000


@pytest.fixture(params=["memory", *sorted(ENGINES)])
def house(request, tmp_path) -> Iterator[MemoryImageStore | Metadata]:
    if request.param == "memory":
        yield MemoryImageStore()
        return
    with ENGINES[request.param](tmp_path, sync="never") as metadata:
        yield metadata
        metadata.check_state()


@pytest.fixture
def store(house):
    return house.engine if isinstance(house, Metadata) else house


def ids(store, **query) -> list[str]:
    return [found.image_id for found in store.list_images(ImageQuery(**query))]


# -- rows --------------------------------------------------------------------------------------------------------------


def test_an_image_is_kept_as_it_is(store):
    made = image(
        kernel_id="aki-1",
        ramdisk_id="ari-1",
        name="Lücid",
        description="Ubuntu\t10.04",
        is_public=True,
        block_devices=(BlockDevice("ami", "sda1"), BlockDevice("ephemeral0", "sdb")),
        product_codes=("a", "b"),
        image_type=ImageType.RAMDISK,
        size=2**35,
    )
    store.create_image(made)
    assert store.get_image(made.image_id) == made
    assert store.list_images(ImageQuery()) == [made]


def test_no_such_image(store):
    for verb in (
        lambda: store.get_image("ami-1"),
        lambda: store.update_image("ami-1", ImageChange(name="x")),
        lambda: store.deregister_image("ami-1", now_us=NOW),
        lambda: store.renew_lease("ami-1", "x", until_us=NOW),
        lambda: store.release_claim("ami-1", "x", retry_at_us=NOW),
    ):
        with pytest.raises(NoSuchImage):
            verb()


def test_ids_are_unique_and_free_again_when_deregistered(store):
    store.create_image(image())
    with pytest.raises(ImageExists):
        store.create_image(image(owner_id=BOB))
    store.update_image("ami-00000001", ImageChange(share_with=(CAROL,)))
    store.deregister_image("ami-00000001", now_us=NOW)
    store.create_image(image(owner_id=BOB))
    assert store.get_image("ami-00000001") == image(owner_id=BOB)


def test_names_are_unique_in_an_account(store):
    store.create_image(image("ami-1", name="lucid"))
    store.create_image(image("ami-2", name="lucid", owner_id=BOB))
    store.create_image(image("ami-3"))
    store.create_image(image("ami-4"))
    with pytest.raises(ImageNameTaken) as caught:
        store.create_image(image("ami-5", name="lucid"))
    assert caught.value.facts["image_id"] == "ami-1"
    with pytest.raises(ImageNameTaken):
        store.update_image("ami-3", ImageChange(name="lucid"))
    store.update_image("ami-1", ImageChange(name="lucid", description="again"))
    store.deregister_image("ami-1", now_us=NOW)
    store.update_image("ami-3", ImageChange(name="lucid"))
    assert store.get_image("ami-3").name == "lucid"


# -- lists -------------------------------------------------------------------------------------------------------------


def test_who_sees_what(store):
    store.create_image(image("ami-1"))
    store.create_image(image("ami-2", owner_id=BOB))
    store.create_image(image("ami-3", owner_id=BOB, is_public=True))
    store.create_image(image("ami-4", owner_id=BOB))
    store.update_image("ami-4", ImageChange(share_with=(ALICE,)))
    assert ids(store) == ["ami-1", "ami-2", "ami-3", "ami-4"]
    assert ids(store, viewer_id=ALICE) == ["ami-1", "ami-3", "ami-4"]
    assert ids(store, viewer_id=BOB) == ["ami-2", "ami-3", "ami-4"]
    assert ids(store, viewer_id=CAROL) == ["ami-3"]
    assert ids(store, viewer_id=ALICE, owner_ids=(BOB,)) == ["ami-3", "ami-4"]
    assert ids(store, viewer_id=ALICE, image_ids=("ami-1", "ami-2", "ami-9")) == ["ami-1"]


def test_pages(store):
    names = [f"ami-{number:03}" for number in range(25)]
    for name in reversed(names):
        store.create_image(image(name))
    found, after = [], ""
    while page := ids(store, after=after, limit=7):
        assert len(page) <= 7
        found.extend(page)
        after = page[-1]
    assert found == names


def test_states(store):
    store.create_image(image("ami-1"))
    store.create_image(image("ami-2"))
    store.deregister_image("ami-2", now_us=NOW)
    assert ids(store) == ["ami-1"]
    assert ids(store, states=frozenset(ImageState)) == ["ami-1", "ami-2"]
    assert ids(store, states=(ImageState.DEREGISTERED,)) == ["ami-2"]


# -- changes -----------------------------------------------------------------------------------------------------------


def test_a_change_sets_what_it_names(store):
    store.create_image(image(name="a", description="b"))
    changed = store.update_image("ami-00000001", ImageChange(description="", is_public=True))
    assert changed == image(name="a", description="", is_public=True)
    assert store.get_image("ami-00000001") == changed


def test_sharing(store):
    store.create_image(image())
    store.update_image("ami-00000001", ImageChange(share_with=(CAROL, BOB, CAROL)))
    assert store.get_image("ami-00000001").shared_with == (BOB, CAROL)
    store.update_image("ami-00000001", ImageChange(share_with=(ALICE,), unshare=(CAROL, "444444444444")))
    assert store.get_image("ami-00000001").shared_with == (ALICE, BOB)
    store.update_image("ami-00000001", ImageChange(share_only=(CAROL,)))
    assert store.get_image("ami-00000001").shared_with == (CAROL,)
    store.update_image("ami-00000001", ImageChange(share_only=()))
    assert store.get_image("ami-00000001").shared_with == ()


def test_sharing_has_an_end(store):
    store.create_image(image())
    accounts = [f"{number:012}" for number in range(PERMISSIONS_MAX)]
    store.update_image("ami-00000001", ImageChange(share_with=accounts))
    with pytest.raises(TooManyPermissions):
        store.update_image("ami-00000001", ImageChange(share_with=(ALICE,)))
    assert len(store.get_image("ami-00000001").shared_with) == PERMISSIONS_MAX
    store.update_image("ami-00000001", ImageChange(share_with=(ALICE,), unshare=accounts[:1]))


def test_compare_and_set_on_the_state(store):
    store.create_image(image(state=ImageState.AVAILABLE))
    with pytest.raises(ImageChanged):
        store.update_image("ami-00000001", ImageChange(name="x"), states=UNFINISHED)
    store.deregister_image("ami-00000001", now_us=NOW)
    with pytest.raises(ImageChanged):
        store.update_image("ami-00000001", ImageChange(name="x"))
    with pytest.raises(ImageChanged):
        store.deregister_image("ami-00000001", now_us=NOW)


def test_deregistered_images_are_forgotten(store):
    store.create_image(image("ami-1"))
    store.create_image(image("ami-2"))
    store.create_image(image("ami-3"))
    store.update_image("ami-1", ImageChange(share_with=(BOB,)))
    store.deregister_image("ami-1", now_us=NOW)
    store.deregister_image("ami-2", now_us=NOW + 10)
    assert store.forget_deregistered(before_us=NOW + 1) == 1
    assert store.forget_deregistered(before_us=NOW + 1) == 0
    assert ids(store, states=frozenset(ImageState)) == ["ami-2", "ami-3"]
    assert store.get_image("ami-2").changed_us == NOW + 10


# -- leases ------------------------------------------------------------------------------------------------------------


def test_the_oldest_is_claimed_first(store):
    store.create_image(image("ami-1", created_us=NOW + 2))
    store.create_image(image("ami-2", created_us=NOW + 1))
    store.create_image(image("ami-3", created_us=NOW, state=ImageState.AVAILABLE))
    claims = [store.claim_pending(f"lease{n}", now_us=NOW + 5, until_us=NOW + 60 * S) for n in range(3)]
    assert [claim and claim.image.image_id for claim in claims] == ["ami-2", "ami-1", None]
    assert claims[0].attempts == 1
    assert claims[0].lease == "lease0"


def test_a_lease_that_is_over_is_anothers(store):
    store.create_image(image())
    store.claim_pending("first", now_us=NOW, until_us=NOW + 10 * S)
    store.update_image("ami-00000001", ImageChange(state=ImageState.UNTARRING), states=UNFINISHED, lease="first")
    assert store.claim_pending("second", now_us=NOW + 10 * S - 1, until_us=NOW + 20 * S) is None
    claim = store.claim_pending("second", now_us=NOW + 10 * S, until_us=NOW + 20 * S)
    assert claim.attempts == 2
    assert claim.image.state is ImageState.PENDING
    assert claim.image.changed_us == NOW + 10 * S
    for verb in (
        lambda: store.update_image("ami-00000001", ImageChange(state=ImageState.AVAILABLE), lease="first"),
        lambda: store.renew_lease("ami-00000001", "first", until_us=NOW + 99 * S),
        lambda: store.release_claim("ami-00000001", "first", retry_at_us=NOW),
    ):
        with pytest.raises(ImageChanged):
            verb()
    assert store.get_image("ami-00000001") == claim.image


def test_a_lease_from_before_the_clock_was_set_back_is_anothers(store):
    store.create_image(image())
    store.claim_pending("first", now_us=NOW + 3600 * S, until_us=NOW + 3660 * S)
    assert store.claim_pending("second", now_us=NOW + 3000 * S, until_us=NOW + 3060 * S) is None, "ten minutes may be"
    assert store.claim_pending("second", now_us=NOW, until_us=NOW + 60 * S).attempts == 2
    with pytest.raises(ImageChanged):
        store.renew_lease("ami-00000001", "first", until_us=NOW + 99 * S)


def test_a_lease_is_renewed_and_released(store):
    store.create_image(image())
    store.claim_pending("first", now_us=NOW, until_us=NOW + 10 * S)
    store.renew_lease("ami-00000001", "first", until_us=NOW + 30 * S)
    assert store.claim_pending("second", now_us=NOW + 20 * S, until_us=NOW + 60 * S) is None
    store.update_image("ami-00000001", ImageChange(state=ImageState.DECRYPTING), lease="first")
    store.release_claim("ami-00000001", "first", retry_at_us=NOW + 25 * S)
    assert store.get_image("ami-00000001").state is ImageState.PENDING
    assert store.claim_pending("second", now_us=NOW + 24 * S, until_us=NOW + 60 * S) is None
    assert store.claim_pending("second", now_us=NOW + 25 * S, until_us=NOW + 60 * S).attempts == 2


def test_a_finished_image_is_nobodys(store):
    for number, state in enumerate((ImageState.AVAILABLE, ImageState.FAILED)):
        image_id = f"ami-{number}"
        store.create_image(image(image_id))
        store.claim_pending("mine", now_us=NOW, until_us=NOW + 10 * S)
        store.update_image(image_id, ImageChange(state=state, reason="why"), states=UNFINISHED, lease="mine")
        with pytest.raises(ImageChanged):
            store.renew_lease(image_id, "mine", until_us=NOW + 99 * S)
        with pytest.raises(ImageChanged):
            store.update_image(image_id, ImageChange(state=state), states=UNFINISHED, lease="mine")
        assert store.claim_pending("other", now_us=NOW + 99 * S, until_us=NOW + 100 * S) is None
        assert store.get_image(image_id).reason == "why"


def test_deregistering_ends_a_lease(store):
    store.create_image(image())
    store.claim_pending("mine", now_us=NOW, until_us=NOW + 10 * S)
    store.deregister_image("ami-00000001", now_us=NOW)
    with pytest.raises(ImageChanged):
        store.update_image("ami-00000001", ImageChange(ref="r"), states=UNFINISHED, lease="mine")
    assert store.claim_pending("other", now_us=NOW + 99 * S, until_us=NOW + 100 * S) is None


# -- data --------------------------------------------------------------------------------------------------------------


def test_data_that_no_image_names_is_garbage(house, store):
    store.create_image(image())
    store.update_image("ami-00000001", ImageChange(state=ImageState.AVAILABLE, ref="one", etag="e"))
    store.update_image("ami-00000001", ImageChange(ref="two", changed_us=NOW + 1))
    store.update_image("ami-00000001", ImageChange(ref="two", name="x"))
    assert garbage(house) == ["one"]
    gone = store.deregister_image("ami-00000001", now_us=NOW + 2)
    assert garbage(house) == ["one", "two"]
    assert (gone.ref, gone.etag, gone.state) == ("", "", ImageState.DEREGISTERED)
    store.forget_deregistered(before_us=NOW + 3)
    assert garbage(house) == ["one", "two"]


def garbage(house) -> list[str]:
    return house.garbage() if isinstance(house, Metadata) else house.garbage


# -- with the rest of the metadata engine ------------------------------------------------------------------------------


@pytest.fixture(params=sorted(ENGINES))
def meta(request, tmp_path) -> Iterator[Metadata]:
    with ENGINES[request.param](tmp_path, sync="never") as metadata:
        yield metadata
        metadata.check_state()


def test_refs_of_images_are_known(meta):
    meta.engine.create_image(image())
    meta.engine.update_image("ami-00000001", ImageChange(state=ImageState.AVAILABLE, ref="one", etag="e"))
    assert meta.engine.known_refs(["one", "two", ""]) == ["one"]
    meta.engine.deregister_image("ami-00000001", now_us=NOW)
    assert meta.engine.known_refs(["one"]) == ["one"], "in the queue"


def test_an_account_with_images_is_not_empty(meta):
    meta.engine.create_account(new_account(ALICE), None)
    meta.engine.create_image(image())
    with pytest.raises(AccountNotEmpty):
        meta.engine.delete_account(ALICE)
    meta.engine.deregister_image("ami-00000001", now_us=NOW)
    meta.engine.delete_account(ALICE)


def test_many_images_are_listed_in_batches(meta):
    names = [f"ami-{number:05}" for number in range(LIST_BATCH * 2 + 3)]
    for name in names:
        meta.engine.create_image(image(name, owner_id=BOB if name.endswith("1") else ALICE))
    assert [found.image_id for found in meta.engine.list_images(ImageQuery(limit=10_000))] == names
    found = meta.engine.list_images(ImageQuery(owner_ids=(BOB,), limit=10_000))
    assert [image.image_id for image in found] == [name for name in names if name.endswith("1")]
    found = meta.engine.list_images(ImageQuery(viewer_id=BOB, owner_ids=(BOB,), after="ami-00500", limit=2))
    assert [image.image_id for image in found] == ["ami-00501", "ami-00511"]


def test_workers_of_several_processes_claim_an_image_once(meta, tmp_path):
    """Two engines on one database, as two processes have them."""
    other = SqliteEngine(tmp_path / "metadata.sqlite", sync="never")
    other.open()
    try:
        for number in range(20):
            meta.engine.create_image(image(f"ami-{number:02}"))
        claimed = []

        def work(engine, name: str) -> None:
            while claim := engine.claim_pending(name, now_us=NOW, until_us=NOW + S):
                claimed.append(claim.image.image_id)

        workers = [green.spawn(work, engine, f"lease-{n}") for n, engine in enumerate((meta.engine, other) * 2)]
        for worker in workers:
            worker.wait()
        assert sorted(claimed) == [f"ami-{number:02}" for number in range(20)]
    finally:
        other.close()


def test_a_database_from_before_there_were_images(tmp_path):
    path = tmp_path / "metadata.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    upgrade_sqlite(connection, "0001")
    connection.execute("INSERT INTO accounts VALUES (?, 'canonical', 'alice', '', 1)", (ALICE,))
    connection.close()
    engine = SqliteEngine(path)
    engine.open()
    try:
        engine.create_image(image(shared_with=(BOB,)))
        assert engine.get_image("ami-00000001") == image(shared_with=(BOB,))
        assert engine.find_account(ALICE).name == "alice"
    finally:
        engine.close()
