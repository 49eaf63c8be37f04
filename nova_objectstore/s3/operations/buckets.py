"""Buckets: listed, made, found, removed."""

from __future__ import annotations

import base64
import binascii

from nova_objectstore.domain.acl import PRIVATE, Acl
from nova_objectstore.domain.bucket_rules import Ownership
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.identities import Identities
from nova_objectstore.errors import InvalidArgument
from nova_objectstore.limits import LIST_BUCKETS_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.acls import ACL_HEADERS, AclReader, Owners, is_full_control_of
from nova_objectstore.s3.address import check_bucket_name
from nova_objectstore.s3.answer import Answer, empty_answer
from nova_objectstore.s3.faults import IllegalLocationConstraint, InvalidBucketAclWithObjectOwnership
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.operations.ownership import read_ownership
from nova_objectstore.s3.render import render_buckets, render_location
from nova_objectstore.s3.request import S3Request


class BucketController(Controller):
    """The service's list of buckets, and each bucket as a whole."""

    def __init__(self, buckets: Buckets, identities: Identities) -> None:
        self._buckets = buckets
        self._identities = identities
        self._acls = AclReader(identities)

    @operation("ListBuckets", "GET /", action="s3:ListAllMyBuckets")
    def list_buckets(self, req: S3Request) -> str:
        """Answer the caller's buckets by name, a page at a time when ``max-buckets`` is given."""
        prefix = req.query.get("prefix")
        limit = req.query_int("max-buckets", LIST_BUCKETS_MAX, low=1, high=LIST_BUCKETS_MAX)
        after = decode_token(req.query.get("continuation-token"))
        account = self._identities.account(req.principal.account_id)
        if req.query.get("bucket-region", self._buckets.region) != self._buckets.region:
            return render_buckets(account, (), prefix=prefix, token=None)
        page, last = self._buckets.list(account.id, prefix=prefix or "", after=after, limit=limit)
        return render_buckets(account, page, prefix=prefix, token=encode_token(last) if last else None)

    @operation("CreateBucket", "PUT /{bucket}", action="s3:CreateBucket", body=XML)
    def create_bucket(self, req: S3Request) -> Answer:
        """Make a bucket in this store's region."""
        check_bucket_name(req.bucket_name)
        self._check_location(req)
        ownership = read_ownership(req)
        self._buckets.create(
            req.bucket_name,
            owner_id=req.principal.account_id,
            object_lock=req.header("x-amz-bucket-object-lock-enabled").lower() == "true",
            ownership=ownership,
            acl=self._read_acl(req, ownership or self._buckets.ownership),
        )
        return empty_answer(200, [("Location", f"/{req.bucket_name}")])

    def _read_acl(self, req: S3Request, ownership: Ownership) -> Acl | None:
        """The ACL that the headers ask for. Raises InvalidBucketAclWithObjectOwnership where there are to be none."""
        if ACL_HEADERS.isdisjoint(req.headers):
            return PRIVATE
        owner = self._identities.account(req.principal.account_id).canonical_id
        acl = self._acls.from_headers(req.headers, Owners(owner, owner), of_bucket=True)
        if ownership is Ownership.ENFORCED and not is_full_control_of(acl, owner):
            raise InvalidBucketAclWithObjectOwnership
        return acl

    def _check_location(self, req: S3Request) -> None:
        """An empty body, or one naming this region (AWS: CreateBucket, LocationConstraint)."""
        if not req.body:
            return
        root = xml.parse(req.body, "CreateBucketConfiguration")
        wanted = xml.text(root, "LocationConstraint", "")
        region = self._buckets.region
        if wanted and wanted != region and not (wanted == "EU" and region == "eu-west-1"):
            raise IllegalLocationConstraint(
                f"The {wanted} location constraint is incompatible for the region specific endpoint this request was "
                "sent to.",
                location_constraint=wanted,
            )

    @operation("HeadBucket", "HEAD /{bucket}", action="s3:ListBucket")
    def head_bucket(self, req: S3Request) -> Answer:
        """Answer that the bucket is there, and where."""
        return empty_answer(200, [("x-amz-bucket-region", req.bucket.region), ("x-amz-access-point-alias", "false")])

    @operation("GetBucketLocation", "GET /{bucket}?location", action="s3:GetBucketLocation")
    def get_bucket_location(self, req: S3Request) -> str:
        """Answer the bucket's region; us-east-1 is the empty constraint."""
        return render_location(req.bucket.region)

    @operation("DeleteBucket", "DELETE /{bucket}", action="s3:DeleteBucket", status=204)
    def delete_bucket(self, req: S3Request) -> None:
        """Remove an empty bucket; its uploads in progress go with it."""
        self._buckets.delete(req.bucket)


def encode_token(after: str) -> str:
    """A continuation token: opaque to clients, the last name to us."""
    return base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")


def decode_token(token: str | None) -> str:
    """The name a continuation token stands for. Raises InvalidArgument."""
    if token is None:
        return ""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise InvalidArgument(
            "The continuation token provided is incorrect",
            argument_name="continuation-token",
            argument_value=token,
        ) from None
