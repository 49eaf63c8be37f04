"""AWS's documented examples, as raw requests in tests/vectors/sigv4 and tests/vectors/sigv2."""

import pytest
from support.signing import ACCESS_KEY, read_requests, verify

from nova_objectstore import errors


@pytest.mark.parametrize("vector", [*read_requests("sigv4"), *read_requests("sigv2")], ids=str)
def test_a_documented_request_gets_the_documented_verdict(vector):
    if vector.expect == "ok":
        assert verify(vector.request, vector.now_s, bucket=vector.bucket).access_key == ACCESS_KEY
        return
    with pytest.raises(getattr(errors, vector.expect)):
        verify(vector.request, vector.now_s, bucket=vector.bucket)


def test_there_are_vectors():
    assert len(read_requests("sigv4")) >= 8
    assert len(read_requests("sigv2")) >= 8
