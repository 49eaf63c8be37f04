"""What is told of restored copies: ``x-amz-restore`` of a read, RestoreStatus in a listing; and the document that asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nova_objectstore.domain.restores import TIERS, Restores, RestoreStatus
from nova_objectstore.errors import InvalidArgument, MalformedXML, NotOffered
from nova_objectstore.limits import RESTORE_DAYS_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.answer import Headers
from nova_objectstore.s3.dates import http_date, iso_date
from nova_objectstore.s3.request import S3Request
from nova_objectstore.types import Listed, Version

ATTRIBUTES_HEADER = "x-amz-optional-object-attributes"


class RestoreRequest(NamedTuple):
    """How long a copy is to last, and how soon it is wanted."""

    days: int
    tier: str


def parse_restore(body: bytes) -> RestoreRequest:
    """The document of a RestoreObject. Raises MalformedXML, InvalidArgument, NotOffered (a restore that selects)."""
    root = xml.parse(body, "RestoreRequest")
    for name in ("Type", "SelectParameters", "OutputLocation"):
        if xml.child(root, name) is not None:
            raise NotOffered(operation=f"RestoreObject with {name}")
    days = xml.number(root, "Days")
    if not 1 <= days <= RESTORE_DAYS_MAX:
        raise InvalidArgument(
            f"Days must be between 1 and {RESTORE_DAYS_MAX}", argument_name="Days", argument_value=str(days)
        )
    parameters = xml.child(root, "GlacierJobParameters")
    tier = xml.text(parameters, "Tier") if parameters is not None else xml.text(root, "Tier", "Standard")
    if tier not in TIERS:
        raise MalformedXML(reason="Tier")
    return RestoreRequest(days, tier)


def restore_headers(status: RestoreStatus | None) -> Headers:
    """``x-amz-restore`` of an archived object (AWS: HeadObject)."""
    if status is None:
        return []
    if status.is_ongoing:
        return [("x-amz-restore", 'ongoing-request="true"')]
    return [("x-amz-restore", f'ongoing-request="false", expiry-date="{http_date(status.expires_us)}"')]


def restore_elements(
    req: S3Request, restores: Restores, versions: Callable[[], Sequence[Version | Listed]]
) -> Mapping[tuple[str, int], str]:
    """RestoreStatus of a page's archived objects by key and sequence, where the request asks for it.

    Raises InvalidArgument for an attribute that there is not (AWS: ListObjectsV2, x-amz-optional-object-attributes).
    """
    if ATTRIBUTES_HEADER not in req.headers:
        return {}
    wanted = {name.strip() for name in req.headers[ATTRIBUTES_HEADER].split(",")}
    if wanted != {"RestoreStatus"}:
        raise InvalidArgument(
            "Invalid attribute name specified.",
            argument_name=ATTRIBUTES_HEADER,
            argument_value=req.headers[ATTRIBUTES_HEADER],
        )
    return {name: _element(status) for name, status in restores.statuses(versions()).items()}


def _element(status: RestoreStatus) -> str:
    if status.is_ongoing:
        return "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
    return (
        "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
        f"<RestoreExpiryDate>{iso_date(status.expires_us)}</RestoreExpiryDate></RestoreStatus>"
    )
