"""Bucket policies: ``?policy``, ``?policyStatus``."""

from __future__ import annotations

from nova_objectstore.domain.bucket_rules import POLICY, StoredPolicy
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.policy.document import Kind, parse_policy
from nova_objectstore.domain.policy.public import is_public
from nova_objectstore.errors import AccessDenied, MalformedPolicy, MalformedXML, NoSuchDocument
from nova_objectstore.limits import POLICY_BODY_MAX
from nova_objectstore.s3.answer import Answer
from nova_objectstore.s3.body import read_document
from nova_objectstore.s3.faults import NoSuchBucketPolicy
from nova_objectstore.s3.operation import STREAM, Controller, operation
from nova_objectstore.s3.render import flag
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import document, element

CONFIRM = "x-amz-confirm-remove-self-bucket-access"


class PolicyController(Controller):
    """Who may do what with a bucket, in its owner's words."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    @operation("GetBucketPolicy", "GET /{bucket}?policy", action="s3:GetBucketPolicy")
    def get_bucket_policy(self, req: S3Request) -> Answer:
        """Answer the policy's text as it was put."""
        try:
            stored = StoredPolicy.decode(self._buckets.get_document(req.bucket, POLICY))
        except NoSuchDocument:
            raise NoSuchBucketPolicy(bucket_name=req.bucket_name) from None
        body = stored.text.encode()
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        return Answer(200, headers, (body,))

    @operation("PutBucketPolicy", "PUT /{bucket}?policy", action="s3:PutBucketPolicy", body=STREAM, status=204)
    def put_bucket_policy(self, req: S3Request) -> None:
        """Replace the policy. A public one is refused where the bucket blocks them."""
        text = _read_text(req)
        policy = parse_policy(text, Kind.BUCKET, bucket=req.bucket_name)
        if req.rules.restrictions.block_public_policy and is_public(policy):
            raise AccessDenied
        binds_root = req.header(CONFIRM).lower() == "true"
        self._buckets.put_document(req.bucket, POLICY, StoredPolicy(text, binds_root).encode())

    @operation("DeleteBucketPolicy", "DELETE /{bucket}?policy", action="s3:DeleteBucketPolicy", status=204)
    def delete_bucket_policy(self, req: S3Request) -> None:
        """Remove the policy, if there is one."""
        self._buckets.delete_document(req.bucket, POLICY)

    @operation("GetBucketPolicyStatus", "GET /{bucket}?policyStatus", action="s3:GetBucketPolicyStatus")
    def get_bucket_policy_status(self, req: S3Request) -> str:
        """Answer whether policy or ACL let the public in."""
        return document("PolicyStatus", element("IsPublic", flag(req.rules.is_public)))


def _read_text(req: S3Request) -> str:
    try:
        return read_document(req, size_max=POLICY_BODY_MAX).decode()
    except MalformedXML:
        raise MalformedPolicy("Policy exceeds the maximum allowed document size.") from None
    except UnicodeDecodeError:
        raise MalformedPolicy("This policy contains invalid Json") from None
