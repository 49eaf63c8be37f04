"""Which mechanism a request uses, and what is no mechanism."""

import pytest
from support.signing import sign_v4, verify

from nova_objectstore.errors import InvalidArgument
from nova_objectstore.s3.auth import WireRequest


@pytest.mark.parametrize(
    "query", ["", "list-type=2", "prefix=Signatures", "x=X-Amz-Signature", "prefix=AWSAccessKeyId"]
)
@pytest.mark.parametrize("headers", [{}, {"authorization": ""}])
def test_a_request_without_a_signature_is_anonymous(query, headers):
    assert verify(WireRequest("GET", "/bucket", query, {"host": "h", **headers}), 0.0) is None


@pytest.mark.parametrize("query", ["X-Amz-Signature=x", "Signature=x", "AWSAccessKeyId=x", "X-Amz-Algorithm=x"])
def test_two_mechanisms_at_once_are_refused(query):
    request, now_s = sign_v4("GET", "http://example.com/bucket")
    with pytest.raises(InvalidArgument, match="Only one auth mechanism allowed"):
        verify(request._replace(query=query), now_s)


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        ("Bearer abc", "Bearer"),
        ("aws4-hmac-sha256 x", "aws4-hmac-sha256"),
        ("AWS", ""),
        ("AWS4-HMAC-SHA256", ""),
        (" AWS a:b", ""),
        ("AWS3 x", "AWS3"),
        ("a/token/without/a/scheme x", ""),
    ],
)
def test_other_schemes_are_refused_and_what_they_bring_is_not_repeated(header, shown):
    with pytest.raises(InvalidArgument) as caught:
        verify(WireRequest("GET", "/", "", {"host": "h", "authorization": header}), 0.0)
    assert caught.value.facts == {"argument_name": "Authorization", "argument_value": shown}
