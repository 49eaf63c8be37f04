"""Faults that only the protocol knows: what the wire can say and S3 does not take. Facts, as in ``errors.py``."""

from __future__ import annotations

from nova_objectstore.errors import AccessError, InvalidArgument, PreconditionFailed, RequestFault, StoreError
from nova_objectstore.types import Version


class MethodNotAllowed(RequestFault):
    """``method``, ``resource_type``: no operation of that method on the resource."""


class IllegalLocationConstraint(InvalidArgument):
    """``location_constraint``: a region that is not this store's."""


class MetadataTooLarge(RequestFault):
    """``size``, ``max_size_allowed``: the user metadata's names and values together."""


class InvalidEncryptionAlgorithm(InvalidArgument):
    """``argument_name``, ``argument_value``: a customer's key for another algorithm than AES256."""


class NoBucketEncryption(StoreError):
    """``bucket_name``: a bucket without a default encryption."""


class AccessControlListNotSupported(RequestFault):
    """The bucket's owner owns every object, and ACLs are off (AWS: Object Ownership, bucket owner enforced)."""


class NotModified(StoreError):
    """A conditional read whose object is as the client has it. ``headers`` are those of the 304."""

    def __init__(self, headers: list[tuple[str, str]]) -> None:
        super().__init__()
        self.headers = headers


class MarkerNotReadable(MethodNotAllowed):
    """A delete marker was named by its version id: it can be deleted, and nothing else (AWS: delete markers)."""

    def __init__(self, marker: Version) -> None:
        super().__init__(method="GET", resource_type="DeleteMarker")
        self.headers = [
            ("x-amz-delete-marker", "true"),
            ("x-amz-version-id", marker.version_id),
            ("Allow", "DELETE"),
        ]


class MissingDigest(RequestFault):
    """A document that must come with Content-MD5 or a checksum came without."""


class NoSuchTagSet(StoreError):
    """``bucket_name``: a bucket without tags."""


class InvalidTag(RequestFault):
    """``tag_key``, ``tag_value``: a tag that S3 does not take."""


class TooManyTags(RequestFault):
    """More tags than a bucket or an object may have."""


class NoSuchObjectLock(StoreError):
    """A version without a retention."""


class NoSuchLifecycle(StoreError):
    """``bucket_name``: a bucket without lifecycle rules."""


class ObjectLockConfigurationNotFound(StoreError):
    """``bucket_name``: a bucket without object lock."""


class InvalidRetentionPeriod(RequestFault):
    """A default retention of no days, or of too many."""


class MalformedACL(RequestFault):
    """An ACL document that is none."""


class UnresolvableGrantByEmailAddress(RequestFault):
    """``email_address``: nobody's."""


class AmbiguousGrantByEmailAddress(RequestFault):
    """``email_address``: of several accounts."""


class MissingSecurityHeader(RequestFault):
    """An ACL was to be set, and nothing says which."""


class InvalidBucketAclWithObjectOwnership(RequestFault):
    """ACLs cannot be turned off for a bucket whose own grants something to others."""


class NoSuchBucketPolicy(StoreError):
    """``bucket_name``: a bucket without a policy."""


class NoSuchPublicAccessBlock(StoreError):
    """``bucket_name``: a bucket without a public access block."""


class OwnershipControlsNotFound(StoreError):
    """``bucket_name``: a bucket whose object ownership was never configured."""


class PreflightIncomplete(RequestFault):
    """A preflight that does not say from where, or for which method."""


class CorsForbidden(AccessError):
    """``method``, ``resource_type``: a preflight that no rule of the bucket fits."""


class NoSuchCorsConfiguration(StoreError):
    """``bucket_name``: a bucket without cross-origin rules."""


class NoSuchWebsiteConfiguration(StoreError):
    """``bucket_name``: a bucket that is no website."""


class NotAForm(PreconditionFailed):
    """``condition``: the body of a form's POST is of another type."""


class MalformedPostRequest(RequestFault):
    """A form's body that is no multipart/form-data."""


class FormTooLarge(RequestFault):
    """``max_post_pre_data_length_bytes``: the fields of a form, all but its file."""


class NoFileInForm(RequestFault):
    """A form without a file."""


class InvalidTargetBucketForLogging(RequestFault):
    """``target_bucket``: not there, or one that access logs cannot be stored in."""
