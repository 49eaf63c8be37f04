"""Who owns objects that others write: ``?ownershipControls``."""

from __future__ import annotations

from nova_objectstore.domain.bucket_rules import OWNERSHIP, Ownership
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.identities import Identities
from nova_objectstore.errors import InvalidArgument, MalformedXML
from nova_objectstore.s3 import xml
from nova_objectstore.s3.acls import is_full_control_of
from nova_objectstore.s3.faults import InvalidBucketAclWithObjectOwnership, OwnershipControlsNotFound
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import document, element

OWNERSHIP_HEADER = "x-amz-object-ownership"


class OwnershipController(Controller):
    """Object ownership of a bucket."""

    def __init__(self, buckets: Buckets, identities: Identities) -> None:
        self._buckets = buckets
        self._identities = identities

    @operation("GetBucketOwnershipControls", "GET /{bucket}?ownershipControls", action="s3:GetBucketOwnershipControls")
    def get_bucket_ownership_controls(self, req: S3Request) -> str:
        """Answer the setting; a bucket whose was removed has none, and its objects are their writers'."""
        if req.rules.ownership is None:
            raise OwnershipControlsNotFound(bucket_name=req.bucket_name)
        rule = element("ObjectOwnership", req.rules.ownership)
        return document("OwnershipControls", f"<Rule>{rule}</Rule>")

    @operation(
        "PutBucketOwnershipControls",
        "PUT /{bucket}?ownershipControls",
        action="s3:PutBucketOwnershipControls",
        body=XML,
    )
    def put_bucket_ownership_controls(self, req: S3Request) -> None:
        """Replace the setting. ACLs are not turned off under grants to others: those must be taken back first."""
        rules = xml.children(xml.parse(req.body, "OwnershipControls"), "Rule")
        if len(rules) != 1:
            raise MalformedXML(reason="Rule")
        try:
            ownership = Ownership(xml.text(rules[0], "ObjectOwnership"))
        except ValueError:
            raise MalformedXML(reason="ObjectOwnership") from None
        owner = self._identities.owner(req.bucket.owner_id).canonical_id
        if ownership is Ownership.ENFORCED and not is_full_control_of(req.rules.acl, owner):
            raise InvalidBucketAclWithObjectOwnership
        self._buckets.put_document(req.bucket, OWNERSHIP, ownership.encode())

    @operation(
        "DeleteBucketOwnershipControls",
        "DELETE /{bucket}?ownershipControls",
        action="s3:PutBucketOwnershipControls",
        status=204,
    )
    def delete_bucket_ownership_controls(self, req: S3Request) -> None:
        """Remove the setting."""
        self._buckets.delete_document(req.bucket, OWNERSHIP)


def read_ownership(req: S3Request) -> Ownership | None:
    """``x-amz-object-ownership`` of CreateBucket, None without. Raises InvalidArgument."""
    value = req.headers.get(OWNERSHIP_HEADER)
    if value is None:
        return None
    try:
        return Ownership(value)
    except ValueError:
        raise InvalidArgument(
            f"Invalid {OWNERSHIP_HEADER} header", argument_name=OWNERSHIP_HEADER, argument_value=value
        ) from None
