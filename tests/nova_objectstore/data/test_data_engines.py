"""The data port's laws, run on every engine."""

import os

import pytest

from nova_objectstore.checksums import CRC64NVME, new_digest
from nova_objectstore.data.files import FilesEngine
from nova_objectstore.domain.data_engines import DataEngines
from nova_objectstore.errors import DataCorrupt, DataMissing

ENGINES = {
    "files": lambda path: FilesEngine(path / "data"),
    "files-unsynced": lambda path: FilesEngine(path / "data", sync="never"),
    "several": lambda path: DataEngines(FilesEngine(path / "data"), {"COLD": FilesEngine(path / "cold")}),
    "a named one": lambda path: DataEngines(FilesEngine(path / "data"), {"COLD": FilesEngine(path / "cold")}).at(
        "COLD"
    ),
}
ABSENT = "a" * 26


@pytest.fixture(params=ENGINES)
def make_engine(request, tmp_path):
    """Makes engines over one place, as the processes of a host do."""
    engines = []

    def make():
        engine = ENGINES[request.param](tmp_path)
        engine.start()
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.stop()


@pytest.fixture
def engine(make_engine):
    return make_engine()


def put(engine, content: bytes, *, settle: bool = True) -> str:
    writer = engine.create(len(content))
    writer.write(content)
    ref = writer.commit()
    if settle:
        engine.settle([ref])
    return ref


def get(engine, ref: str) -> bytes:
    reader = engine.open(ref)
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()


def test_what_was_committed_is_read_back(engine):
    writer = engine.create()
    for piece in (b"one ", bytearray(b"two "), memoryview(b"three")):
        writer.write(piece)
    ref = writer.commit()

    assert get(engine, ref) == b"one two three"


def test_what_is_doubted_is_told_until_it_is_settled_or_deleted(engine):
    first, second, third = (put(engine, b"content", settle=False) for _ in range(3))
    assert list(engine.list_doubtful()) == []
    engine.doubt([first, second])
    engine.doubt([second])
    assert sorted(engine.list_doubtful()) == sorted([first, second])

    engine.settle([first, third])
    assert list(engine.list_doubtful()) == [second]
    engine.delete(second)
    assert list(engine.list_doubtful()) == []
    assert get(engine, first) == b"content"


def test_empty_data_is_data(engine):
    ref = put(engine, b"")

    reader = engine.open(ref)
    assert (reader.size, reader.read(0, 10)) == (0, b"")
    reader.close()


def test_every_ref_is_fresh(engine):
    refs = {put(engine, b"same") for _ in range(50)}

    assert len(refs) == 50


def test_another_process_reads_it_too(make_engine):
    ref = put(make_engine(), b"bytes")

    assert get(make_engine(), ref) == b"bytes"


def test_reads_at_offsets(engine):
    content = os.urandom(100_000)
    reader = engine.open(put(engine, content))

    assert reader.size == len(content)
    assert reader.read(99_990, 100) == content[99_990:]
    assert reader.read(1, 70_000) == content[1:70_001]
    assert reader.read(100_000, 1) == b""
    reader.close()


def test_a_descriptor_begins_with_the_first_byte(engine):
    reader = engine.open(put(engine, b"bytes"))
    fd = reader.fileno()
    if fd is not None:
        assert os.pread(fd, 10, 0) == b"bytes"
        assert not os.get_inheritable(fd)
    reader.close()


def test_closing_twice_does_nothing(engine):
    reader = engine.open(put(engine, b"bytes"))
    reader.close()
    other = engine.open(put(engine, b"other"))  # may get the descriptor that the first one had

    reader.close()

    assert other.read(0, 5) == b"other"
    other.close()


@pytest.mark.parametrize(
    "ref", [ABSENT, "", ".", "..", "../x", "/etc/passwd", "a" * 25, "A" * 26, "a" * 25 + "\n", "é" * 26]
)
def test_what_is_not_there_is_missing(engine, ref):
    with pytest.raises(DataMissing):
        engine.open(ref)
    with pytest.raises(DataMissing):
        engine.copy(ref)
    engine.delete(ref)
    engine.settle([ref])


def test_aborted_data_is_nowhere(engine, make_engine):
    writer = engine.create()
    writer.write(b"x" * 10_000)
    writer.abort()
    writer.abort()

    engine.stop()
    assert list(make_engine().list_unsettled()) == []


def test_deleted_data_is_missing_and_deleting_again_is_nothing(engine):
    ref = put(engine, b"bytes")
    engine.delete(ref)
    engine.delete(ref)

    with pytest.raises(DataMissing):
        engine.open(ref)


def test_readers_go_on_after_a_delete(engine):
    ref = put(engine, b"bytes")
    reader = engine.open(ref)
    engine.delete(ref)

    assert reader.read(0, 5) == b"bytes"
    reader.close()


def test_a_copy_is_of_its_own(engine):
    ref = put(engine, b"bytes")
    twin = engine.copy(ref)
    if twin is None:
        pytest.skip("this engine cannot copy without moving bytes")
    assert twin != ref
    engine.delete(ref)

    assert get(engine, twin) == b"bytes"


def test_start_and_stop_are_idempotent(engine):
    engine.start()
    ref = put(engine, b"bytes")
    engine.stop()
    engine.stop()
    engine.start()

    assert get(engine, ref) == b"bytes"
    assert get(engine, put(engine, b"more")) == b"more"


def test_living_processes_keep_what_they_have_not_settled(make_engine):
    first, second = make_engine(), make_engine()
    ref = put(first, b"bytes", settle=False)
    writer = first.create()

    assert list(second.list_unsettled()) == []
    assert list(first.list_unsettled()) == []
    assert get(second, writer.commit()) == b""
    assert get(second, ref) == b"bytes"


def test_what_a_stopped_process_left_is_told_until_it_is_decided(make_engine):
    first = make_engine()
    keep, drop = (put(first, content, settle=False) for content in (b"keep", b"drop"))
    put(first, b"settled")
    twin = first.copy(keep)
    first.create().write(b"never committed")
    first.stop()

    second = make_engine()
    unsettled = {keep, drop} | ({twin} if twin else set())
    assert set(second.list_unsettled()) == unsettled
    assert set(second.list_unsettled()) == unsettled
    second.settle([keep])
    for ref in unsettled - {keep}:
        second.delete(ref)

    assert list(second.list_unsettled()) == []
    assert list(make_engine().list_unsettled()) == []
    assert get(second, keep) == b"keep"
    with pytest.raises(DataMissing):
        second.open(drop)


def test_two_that_clear_up_at_once_are_told_each_ref_once(make_engine):
    dead = [make_engine() for _ in range(3)]
    left = {put(engine, b"left", settle=False) for engine in dead for _ in range(3)}
    for engine in dead:
        engine.stop()

    first, second = make_engine(), make_engine()
    told_first, told_second = first.list_unsettled(), second.list_unsettled()
    told = [next(told_first), next(told_second), *told_first, *told_second]

    assert sorted(told) == sorted(left)
    for ref in told[: len(told) // 2]:
        first.settle([ref])
        second.settle([ref])
    second.stop()  # dies before it has decided about all of its own
    first.stop()
    third = make_engine()
    third.settle(list(third.list_unsettled()))
    assert list(make_engine().list_unsettled()) == []
    assert all(get(third, ref) == b"left" for ref in left)


# -- what tells damaged data -------------------------------------------------------------------------------------------


def digest_of(content: bytes) -> bytes:
    digest = new_digest(CRC64NVME)
    digest.update(content)
    return digest.digest()


@pytest.mark.parametrize("content", [b"", b"bytes", os.urandom(100_000)], ids=len)
def test_the_digest_of_what_was_written_is_known(make_engine, content):
    engine = make_engine()
    writer = engine.create()
    for begin in range(0, len(content), 30_000):
        writer.write(memoryview(content)[begin : begin + 30_000])
    ref = writer.commit()
    twin = engine.copy(ref)
    assert twin is not None

    for name in (ref, twin):
        reader = make_engine().open(name)
        assert reader.digest == digest_of(content)
        reader.close()


def test_what_is_in_quarantine_is_kept_and_not_read(make_engine):
    engine = make_engine()
    ref = put(engine, b"damaged")
    other = put(engine, b"sound")

    assert engine.quarantine(ref)
    assert engine.quarantine(ref), "again does nothing"
    with pytest.raises(DataCorrupt):
        make_engine().open(ref)
    with pytest.raises(DataCorrupt):
        engine.copy(ref)
    assert get(engine, other) == b"sound"

    assert engine.release(ref)
    assert engine.release(ref), "again does nothing"
    assert get(make_engine(), ref) == b"damaged"


def test_what_is_in_quarantine_can_be_deleted(engine):
    ref = put(engine, b"damaged")
    engine.quarantine(ref)
    engine.delete(ref)
    engine.delete(ref)

    with pytest.raises(DataMissing):
        engine.open(ref)
    assert not engine.release(ref)


def test_what_is_not_there_cannot_be_in_quarantine(engine):
    assert not engine.quarantine(ABSENT)
    assert not engine.release(ABSENT)
    with pytest.raises(DataMissing):
        engine.open(ABSENT)


# -- what lies there, and what leaves ----------------------------------------------------------------------------------


def test_what_is_settled_is_listed_with_its_size(make_engine):
    engine = make_engine()
    settled = {put(engine, bytes(size)): size for size in (0, 1, 5000)}
    quarantined = put(engine, bytes(7))
    engine.quarantine(quarantined)
    unsettled = put(engine, b"bytes", settle=False)
    engine.create().write(b"half")

    listed = {found.ref: found.size for found in make_engine().list_settled()}
    assert listed == {**settled, quarantined: 7}
    engine.settle([unsettled])
    assert unsettled in {found.ref for found in engine.list_settled()}


@pytest.mark.parametrize("link", [True, False])
def test_data_leave_as_a_file_with_the_same_bytes(engine, tmp_path, link):
    content = os.urandom(100_000)
    ref = put(engine, content)
    target = tmp_path / "exported"

    assert engine.export(ref, str(target), link=link) == len(content)
    assert target.read_bytes() == content
    assert not (tmp_path / "exported.part").exists()
    engine.delete(ref)
    assert target.read_bytes() == content


def test_an_export_that_was_interrupted_is_begun_anew(engine, tmp_path):
    ref = put(engine, b"bytes")
    (tmp_path / "exported.part").write_bytes(b"half of an earlier one")

    engine.export(ref, str(tmp_path / "exported"), link=False)
    assert sorted(path.name for path in tmp_path.glob("exported*")) == ["exported"]


def test_what_is_missing_or_in_quarantine_does_not_leave(engine, tmp_path):
    ref = put(engine, b"bytes")
    engine.quarantine(ref)

    with pytest.raises(DataCorrupt):
        engine.export(ref, str(tmp_path / "exported"), link=True)
    with pytest.raises(DataMissing):
        engine.export(ABSENT, str(tmp_path / "exported"), link=True)
    assert not (tmp_path / "exported").exists()
