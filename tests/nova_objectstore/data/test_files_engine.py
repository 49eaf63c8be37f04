"""What is particular to the file engine: names, modes, links, short writes, the dead."""

import errno
import os
import shutil
import stat

import pytest
from support.file_systems import FaultyFileSystem, check_state, stored_files

from nova_objectstore.data.files import FilesEngine
from nova_objectstore.data.names import is_owner, is_ref, new_owner, new_ref
from nova_objectstore.errors import DataMissing, StorageFailed
from nova_objectstore.limits import MiB


@pytest.fixture
def root(tmp_path):
    return tmp_path / "state" / "data"


def started(root, **options) -> FilesEngine:
    engine = FilesEngine(root, **options)
    engine.start()
    return engine


def put(engine, content: bytes) -> str:
    writer = engine.create()
    writer.write(content)
    return writer.commit()


def test_names_are_recognised():
    assert is_ref(new_ref())
    assert is_owner(new_owner(os.getpid()))
    assert not is_ref("..")
    assert not is_owner(new_ref())


def test_only_two_policies_of_sync():
    with pytest.raises(ValueError, match="always"):
        FilesEngine("/nowhere", sync="sometimes")


def test_files_and_directories_are_their_owners_alone(root):
    engine = started(root)
    settled = put(engine, b"bytes")
    engine.settle([settled])
    put(engine, b"unsettled")

    for directory, _, files in os.walk(root):
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700, directory
        for name in files:
            assert stat.S_IMODE(os.stat(os.path.join(directory, name)).st_mode) == 0o600, name
    engine.stop()


def test_a_ref_lies_under_its_first_characters(root):
    engine = started(root)
    ref = put(engine, b"bytes")
    engine.settle([ref])

    path = root / ref[:2] / ref
    assert path.read_bytes() == b"bytes"
    assert path.stat().st_nlink == 1
    engine.stop()
    check_state(root, {ref: b"bytes"})


def test_a_symbolic_link_is_not_followed(root, tmp_path):
    engine = started(root)
    ref = new_ref()
    (root / ref[:2]).mkdir(exist_ok=True)
    (tmp_path / "secret").write_bytes(b"secret")
    (root / ref[:2] / ref).symlink_to(tmp_path / "secret")

    with pytest.raises(StorageFailed):
        engine.open(ref)
    engine.stop()


def test_a_directory_is_no_data(root):
    engine = started(root)
    ref = new_ref()
    (root / ref[:2] / ref).mkdir(parents=True)

    with pytest.raises(StorageFailed):
        engine.open(ref)
    engine.stop()


def test_short_writes_are_carried_on(root):
    engine = started(root, filesystem=FaultyFileSystem(write_max=7))
    content = os.urandom(1000)
    ref = put(engine, content)
    engine.stop()

    check_state(root, {ref: content})


def test_write_back_starts_while_a_large_file_is_written(root):
    filesystem = FaultyFileSystem()
    engine = started(root, filesystem=filesystem)
    writer = engine.create(20 * MiB)
    for _ in range(20):
        writer.write(bytes(MiB))

    assert filesystem.calls.count("start_writeback") == 5
    writer.abort()
    engine.stop()
    check_state(root, {})


def test_never_syncing_makes_no_sync_call(root):
    filesystem = FaultyFileSystem()
    engine = started(root, filesystem=filesystem, sync="never")
    writer = engine.create()
    writer.write(bytes(5 * MiB))
    engine.settle([writer.commit()])
    engine.stop()

    assert not {"sync_file", "sync_directory", "start_writeback"} & set(filesystem.calls)


def test_a_file_without_a_free_link_cannot_be_shared(root):
    filesystem = FaultyFileSystem()
    engine = started(root, filesystem=filesystem)
    ref = put(engine, b"bytes")
    for at, error in ((1, errno.EMLINK), (1, errno.EXDEV), (3, errno.EMLINK)):
        filesystem.fail(at, error=error)
        assert engine.copy(ref) is None, filesystem.calls
        filesystem.heal()

    engine.settle([ref])
    engine.stop()
    check_state(root, {ref: b"bytes"})


def test_a_stopped_engine_writes_nothing(root):
    engine = started(root)
    writer = engine.create()
    writer.write(b"bytes")
    engine.stop()

    with pytest.raises(StorageFailed):
        engine.create()
    with pytest.raises(StorageFailed):
        writer.commit()
    check_state(root, {})


def test_directories_that_were_tidied_away_come_back(root):
    engine = started(root, sync="never")
    for directory in {put(engine, b"x")[:2] for _ in range(300)}:
        shutil.rmtree(root / directory)
    refs = {}
    failures = 0
    while len(refs) < 300:
        try:
            refs[put(engine, b"bytes")] = b"bytes"
        except StorageFailed:
            failures += 1

    assert 0 < failures <= 300  # at most one for each directory that was lost
    engine.settle(list(refs))
    engine.stop()
    check_state(root, refs)


def test_strangers_in_the_staging_area_are_left_alone(root):
    started(root).stop()
    (root / "pending" / "lost+found").mkdir()
    (root / "pending" / "README").write_text("hands off")
    engine = started(root)

    assert list(engine.list_unsettled()) == []
    engine.stop()
    assert sorted(os.listdir(root / "pending")) == ["README", "lost+found"]


def test_a_lock_whose_owner_died_before_it_had_a_directory_is_swept(root):
    started(root).stop()
    (root / "pending" / f"{new_owner(1)}.lock").touch()
    engine = started(root)
    assert list(engine.list_unsettled()) == []
    engine.stop()

    assert os.listdir(root / "pending") == []


def test_a_directory_that_lost_its_lock_file_is_a_dead_owners(root):
    first = started(root)
    ref = put(first, b"bytes")
    for lock in (root / "pending").glob("*.lock"):
        lock.unlink()
    second = started(root)

    assert list(second.list_unsettled()) == [ref]
    second.settle([ref])
    second.stop()
    first.stop()
    check_state(root, {ref: b"bytes"})


def test_delete_forgets_an_unsettled_ref(root):
    engine = started(root)
    ref = put(engine, b"bytes")
    engine.delete(ref)

    assert list(stored_files(root)) == []
    with pytest.raises(DataMissing):
        engine.open(ref)
    engine.stop()
    assert os.listdir(root / "pending") == []
