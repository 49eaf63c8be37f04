"""The document of RestoreObject, and what is told of restored copies."""

import pytest

from nova_objectstore.domain.restores import RestoreStatus
from nova_objectstore.errors import InvalidArgument, MalformedXML, NotOffered
from nova_objectstore.s3.restore_status import parse_restore, restore_headers

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def document(content: str) -> bytes:
    return f"<RestoreRequest {NAMESPACE}>{content}</RestoreRequest>".encode()


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        ("<Days>1</Days>", (1, "Standard")),
        ("<Days>7</Days><GlacierJobParameters><Tier>Bulk</Tier></GlacierJobParameters>", (7, "Bulk")),
        ("<Days>36500</Days><Tier>Expedited</Tier><Description>why</Description>", (36500, "Expedited")),
    ],
)
def test_what_is_asked_for(content, asked):
    assert parse_restore(document(content)) == asked


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("", MalformedXML),
        ("<Days>soon</Days>", MalformedXML),
        ("<Days>-1</Days>", MalformedXML),
        ("<Days>0</Days>", InvalidArgument),
        ("<Days>36501</Days>", InvalidArgument),
        ("<Days>1</Days><Tier>Fast</Tier>", MalformedXML),
        ("<Days>1</Days><GlacierJobParameters/>", MalformedXML),
        ("<Type>SELECT</Type><SelectParameters/>", NotOffered),
        ("<Days>1</Days><SelectParameters/>", NotOffered),
        ("<Days>1</Days><OutputLocation/>", NotOffered),
    ],
)
def test_what_is_refused(content, error):
    with pytest.raises(error):
        parse_restore(document(content))


def test_headers():
    assert restore_headers(None) == []
    assert restore_headers(RestoreStatus(True, 0)) == [("x-amz-restore", 'ongoing-request="true"')]
    assert restore_headers(RestoreStatus(False, 1_700_006_400_000_000)) == [
        ("x-amz-restore", 'ongoing-request="false", expiry-date="Wed, 15 Nov 2023 00:00:00 GMT"')
    ]
