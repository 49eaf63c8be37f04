"""The public access block of a bucket: ``?publicAccessBlock``; and who pays for requests: ``?requestPayment``."""

from __future__ import annotations

import json

from nova_objectstore.domain.bucket_rules import PUBLIC_ACCESS_BLOCK, REQUEST_PAYMENT, PublicAccessBlock
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.errors import MalformedXML
from nova_objectstore.s3 import xml
from nova_objectstore.s3.faults import NoSuchPublicAccessBlock
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.render import flag
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import document, element

SETTINGS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
OWNER, REQUESTER = "BucketOwner", "Requester"


class PublicAccessController(Controller):
    """Settings that narrow what policies and ACLs give."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    @operation("GetPublicAccessBlock", "GET /{bucket}?publicAccessBlock", action="s3:GetBucketPublicAccessBlock")
    def get_public_access_block(self, req: S3Request) -> str:
        """Answer the four settings."""
        if req.rules.block is None:
            raise NoSuchPublicAccessBlock(bucket_name=req.bucket_name)
        told = "".join(element(name, flag(value)) for name, value in zip(SETTINGS, req.rules.block, strict=True))
        return document("PublicAccessBlockConfiguration", told)

    @operation(
        "PutPublicAccessBlock",
        "PUT /{bucket}?publicAccessBlock",
        action="s3:PutBucketPublicAccessBlock",
        body=XML,
    )
    def put_public_access_block(self, req: S3Request) -> None:
        """Replace the settings; one that is left out is off."""
        root = xml.parse(req.body, "PublicAccessBlockConfiguration")
        block = PublicAccessBlock(*(xml.boolean(root, name, default=False) for name in SETTINGS))
        self._buckets.put_document(req.bucket, PUBLIC_ACCESS_BLOCK, json.dumps(block).encode())

    @operation(
        "DeletePublicAccessBlock",
        "DELETE /{bucket}?publicAccessBlock",
        action="s3:PutBucketPublicAccessBlock",
        status=204,
    )
    def delete_public_access_block(self, req: S3Request) -> None:
        """Remove the settings."""
        self._buckets.delete_document(req.bucket, PUBLIC_ACCESS_BLOCK)

    @operation("GetBucketRequestPayment", "GET /{bucket}?requestPayment", action="s3:GetBucketRequestPayment")
    def get_bucket_request_payment(self, req: S3Request) -> str:
        """Answer who pays."""
        payer = REQUESTER if req.rules.requester_pays else OWNER
        return document("RequestPaymentConfiguration", element("Payer", payer))

    @operation(
        "PutBucketRequestPayment",
        "PUT /{bucket}?requestPayment",
        action="s3:PutBucketRequestPayment",
        body=XML,
    )
    def put_bucket_request_payment(self, req: S3Request) -> None:
        """Say who pays: requests from other accounts must agree to it, or are denied."""
        payer = xml.text(xml.parse(req.body, "RequestPaymentConfiguration"), "Payer")
        if payer not in (OWNER, REQUESTER):
            raise MalformedXML(reason="Payer")
        if payer == REQUESTER:
            self._buckets.put_document(req.bucket, REQUEST_PAYMENT, payer.encode())
        else:
            self._buckets.delete_document(req.bucket, REQUEST_PAYMENT)
