"""A bucket's default encryption, and the ways of encryption that it takes no objects with."""

from __future__ import annotations

from nova_objectstore.domain.bucket_encryption import SSE_C, SSE_KMS, SSE_S3, BucketEncryption, BucketEncryptions
from nova_objectstore.errors import InvalidArgument, MalformedXML, NotOffered
from nova_objectstore.s3 import xml
from nova_objectstore.s3.encryption_headers import DSSE
from nova_objectstore.s3.faults import NoBucketEncryption
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import document, element

_ROOT = "ServerSideEncryptionConfiguration"
_DEFAULT = "ApplyServerSideEncryptionByDefault"
_BLOCKED = "BlockedEncryptionTypes"
_NONE_BLOCKED = "NONE"

KEY_NAME_CHARS_MAX = 2048  # KMS: an ARN of a key


class EncryptionController(Controller):
    """Default encryption of buckets."""

    def __init__(self, encryptions: BucketEncryptions) -> None:
        self._encryptions = encryptions

    @operation("GetBucketEncryption", "GET /{bucket}?encryption", action="s3:GetEncryptionConfiguration")
    def get_bucket_encryption(self, req: S3Request) -> str:
        """Answer the default in force; a bucket without one is ServerSideEncryptionConfigurationNotFoundError."""
        found = self._encryptions.get(req.bucket)
        if found is None:
            raise NoBucketEncryption(bucket_name=req.bucket_name)
        return render_bucket_encryption(found)

    @operation("PutBucketEncryption", "PUT /{bucket}?encryption", action="s3:PutEncryptionConfiguration", body=XML)
    def put_bucket_encryption(self, req: S3Request) -> None:
        """Set the default of objects to come. A key is not looked up, as AWS does not: the first write will."""
        self._encryptions.put(req.bucket, parse_bucket_encryption(req.body))

    @operation(
        "DeleteBucketEncryption", "DELETE /{bucket}?encryption", action="s3:PutEncryptionConfiguration", status=204
    )
    def delete_bucket_encryption(self, req: S3Request) -> None:
        """Go back to what buckets have that were never configured."""
        self._encryptions.delete(req.bucket)


def parse_bucket_encryption(body: bytes) -> BucketEncryption:
    """The document of PutBucketEncryption. Raises MalformedXML, InvalidArgument, NotOffered (aws:kms:dsse)."""
    rules = xml.children(xml.parse(body, _ROOT), "Rule")
    if len(rules) != 1:
        raise MalformedXML(reason="exactly one Rule")
    algorithm, key_name = _parse_default(xml.child(rules[0], _DEFAULT))
    return BucketEncryption(
        algorithm,
        key_name,
        bucket_key=xml.boolean(rules[0], "BucketKeyEnabled", default=False),
        blocks_customer_keys=_parse_blocked(xml.child(rules[0], _BLOCKED)),
    )


def _parse_default(node: xml.Node | None) -> tuple[str, str]:
    if node is None:
        return "", ""
    algorithm = xml.text(node, "SSEAlgorithm")
    key_name = xml.optional_text(node, "KMSMasterKeyID")
    if algorithm == DSSE:
        raise NotOffered("Dual-layer server-side encryption (aws:kms:dsse) is not offered; aws:kms encrypts once.")
    if algorithm not in (SSE_S3, SSE_KMS):
        raise MalformedXML(reason="SSEAlgorithm")
    if key_name is not None and algorithm != SSE_KMS:
        raise InvalidArgument(
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            argument_name="KMSMasterKeyID",
            argument_value=key_name,
        )
    if key_name is not None and not 0 < len(key_name) <= KEY_NAME_CHARS_MAX:
        raise MalformedXML(reason="KMSMasterKeyID")
    return algorithm, key_name or ""


def _parse_blocked(node: xml.Node | None) -> bool:
    """Whether SSE-C is blocked, the only way that can be (AWS: BlockedEncryptionTypes)."""
    if node is None:
        return False
    types = [child.text for child in xml.children(node, "EncryptionType")]
    if not types or not set(types) <= {SSE_C, _NONE_BLOCKED} or len(set(types)) > 1:
        raise MalformedXML(reason="EncryptionType")
    return types[0] == SSE_C


def render_bucket_encryption(found: BucketEncryption) -> str:
    """The document of GetBucketEncryption."""
    default = ""
    if found.algorithm:
        key = element("KMSMasterKeyID", found.key_name) if found.key_name else ""
        default = f"<{_DEFAULT}>{element('SSEAlgorithm', found.algorithm)}{key}</{_DEFAULT}>"
    bucket_key = element("BucketKeyEnabled", "true" if found.bucket_key else "false")
    blocked = ""
    if found.blocks_customer_keys:
        blocked = f"<{_BLOCKED}>{element('EncryptionType', SSE_C)}</{_BLOCKED}>"
    return document(_ROOT, f"<Rule>{default}{bucket_key}{blocked}</Rule>")
