"""Several data engines as one: refs say where bytes lie."""

import pytest

from nova_objectstore.data.files import FilesEngine
from nova_objectstore.domain.data_engines import DataEngines, name_of
from nova_objectstore.errors import StorageFailed


def make(path) -> DataEngines:
    engines = DataEngines(FilesEngine(path / "data"), {"COLD": FilesEngine(path / "cold")})
    engines.start()
    return engines


@pytest.fixture
def engines(tmp_path):
    made = make(tmp_path)
    yield made
    made.stop()


def put(engine, content: bytes) -> str:
    writer = engine.create()
    writer.write(content)
    return writer.commit()


def read(engines, ref: str) -> bytes:
    reader = engines.open(ref)
    try:
        return reader.read(0, reader.size)
    finally:
        reader.close()


def test_a_ref_says_where_its_bytes_lie(engines, tmp_path):
    standard, cold = put(engines, b"here"), put(engines.at("COLD"), b"there")

    assert (name_of(standard), name_of(cold)) == ("", "COLD")
    assert cold.startswith("COLD:")
    assert [read(engines, ref) for ref in (standard, cold)] == [b"here", b"there"]
    assert [path.name for path in tmp_path.glob("cold/??/*")] == [cold.removeprefix("COLD:")]
    twin = engines.copy(cold)
    assert name_of(twin) == "COLD"
    engines.delete(cold)
    assert read(engines, twin) == b"there"


def test_what_was_left_unsettled_is_told_with_its_place(tmp_path):
    dead = make(tmp_path)
    refs = {put(dead, b"here"), put(dead.at("COLD"), b"there")}
    settled = {put(dead, b"here"), put(dead.at("COLD"), b"there")}
    dead.settle(sorted(settled))
    dead.stop()

    engines = make(tmp_path)
    assert set(engines.list_unsettled()) == refs
    engines.settle(sorted(refs))
    engines.stop()
    engines = make(tmp_path)
    assert list(engines.list_unsettled()) == []
    engines.stop()


def test_a_class_that_is_not_configured_is_no_missing_data(engines):
    with pytest.raises(StorageFailed, match="storage class GONE is not configured"):
        engines.open("GONE:" + "a" * 26)
    engines.settle(["GONE:" + "a" * 26])
