"""How much memory a large object takes, encrypted or not."""

import tracemalloc

import pytest
from support.encrypted import OWNER

from nova_objectstore.domain.bodies import Digests
from nova_objectstore.domain.bucket_encryption import SSE_S3, Scheme
from nova_objectstore.domain.objects import ObjectSpec
from nova_objectstore.limits import KiB, MiB


class Endless:
    """A body that is made while it is read."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.left = size
        self.hashers = []
        self.at_most = 0

    def read(self, size, /):
        count = min(size, self.left)
        self.left -= count
        return bytes(count)

    def finish(self):
        pass

    def digests(self):
        return Digests("0" * 32, None)


@pytest.mark.parametrize("scheme", [None, Scheme(SSE_S3)])
def test_a_large_object_takes_no_more_memory_than_a_plain_one(place, scheme):
    place.put("warm", bytes(2 * MiB), scheme)
    tracemalloc.start()
    try:
        spec = ObjectSpec("cat", OWNER, encryption=scheme)
        place.store.objects.put(place.bucket, spec, Endless(64 * MiB))
        assert sum(len(piece) for piece in place.store.egress.read(place.get("cat"))) == 64 * MiB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * MiB


def test_a_range_reads_its_frames_and_no_more(place):
    place.put("cat", bytes(4 * MiB), Scheme(SSE_S3))
    body = place.store.egress.open_body(place.get("cat"), 3 * MiB, 3 * MiB + 10 * KiB)

    assert [len(piece) for piece in body] == [10 * KiB + 1]
    body.close()
