"""GetObject of what was moved to another class, and its old bytes collected, after its metadata were read."""

import os
from types import SimpleNamespace

import pytest

from nova_objectstore.errors import DataMissing
from nova_objectstore.s3.operations.reading import ReadingController
from nova_objectstore.types import Principal

CONTENT = os.urandom(3000)


class Read:
    """Objects as they are read: one version after the other."""

    def __init__(self, *versions) -> None:
        self._versions = list(versions)

    def get(self, _bucket, _key, _version_id, *, inline):
        return self._versions.pop(0)


@pytest.fixture
def place(classed_place):
    return classed_place


def get(place, *versions):
    request = SimpleNamespace(
        headers={},
        query={},
        bucket=place.bucket,
        key="cat",
        version_id=None,
        judged=None,
        principal=Principal(account_id="111122223333"),
        rules=SimpleNamespace(lifecycle=None),
    )
    controller = ReadingController(Read(*versions), place.store.egress, place.store.restores)
    answer = controller.get_object(request)
    try:
        return dict(answer.headers), b"".join(answer.body)
    finally:
        answer.body.close()


@pytest.mark.parametrize("storage_class", ["COLD", "STANDARD"])
def test_it_is_read_where_it_lies_now(place, storage_class):
    read = place.put("cat", CONTENT, "STANDARD" if storage_class == "COLD" else "COLD")
    place.move(read, storage_class)
    place.check()
    headers, body = get(place, read, place.get("cat"))
    assert body == CONTENT
    assert headers.get("x-amz-storage-class", "STANDARD") == storage_class


def test_what_is_missing_where_it_lies_now_is_an_error(place):
    read = place.put("cat", CONTENT)
    place.store.data.delete(read.content.ref)
    with pytest.raises(DataMissing):
        get(place, read, place.get("cat"))


def test_parts_that_are_missing_are_an_error(place):
    read = place.multipart("cat", [CONTENT])
    (part,) = place.store.meta.list_content_parts(read)
    place.store.data.delete(part.content.ref)
    with pytest.raises(DataMissing):
        get(place, read, place.get("cat"))
