"""What can go wrong, as facts, without HTTP.

A class is named after AWS's error code where AWS has one; its attributes are the facts of the error; ``message`` overrides
the front's sentence where the fact needs its own. ``s3/errors.py`` maps each class (by walking the MRO) to code, status and
message.

    NovaError
      StoreError                 every error of the store
        AccessError              who asks may not, or could not be told
        MissingError             a thing that was named is not there
        ConflictError            the state does not allow it
        PreconditionFailed       a condition of the request does not hold
        RequestFault             the request itself is wrong
        EngineError              an engine could not do its work: not the client's fault
"""

from __future__ import annotations

from typing import Any, Self

from nova_wsgi.errors import NovaError


class StoreError(NovaError):
    """Root of the store's errors. ``facts`` become elements of the error document (snake_case is made CamelCase)."""

    def __init__(self, message: str = "", /, **facts: Any) -> None:
        self.message = message
        self.facts = facts
        super().__init__(message or ", ".join(f"{name}={value!r}" for name, value in facts.items()))


# -- who --------------------------------------------------------------------------------------------------------------


class AccessError(StoreError):
    """Who asks may not, or could not be told."""


class AccessDenied(AccessError):
    """The principal may not do this."""


class InvalidAccessKeyId(AccessError):
    """``aws_access_key_id``: nobody's access key, or one that was switched off."""


class SignatureDoesNotMatch(AccessError):
    """``aws_access_key_id``, ``signature_provided``, ``string_to_sign``, ``canonical_request`` and their ``_bytes`` in hex.

    The facts echo every signed header but session tokens and customers' keys: they are for the client that sent them and
    never for a log, which is why ``str()`` and ``repr()`` leave them out.
    """

    def __init__(self, message: str = "", /, **facts: Any) -> None:
        super().__init__(message, **facts)
        self.args = (message,)

    def __str__(self) -> str:
        return f"aws_access_key_id={self.facts.get('aws_access_key_id')!r}"


class RequestTimeTooSkewed(AccessError):
    """``request_time``, ``server_time``, ``max_allowed_skew_milliseconds``: signed too long ago, or in the future."""


class InvalidToken(AccessError):
    """A session token that this store did not make, or not for that access key."""


class ExpiredToken(AccessError):
    """A session token whose time is over."""


# -- not there ----------------------------------------------------------------------------------------------------------


class MissingError(StoreError):
    """A thing that was named is not there."""

    def anew(self) -> Self:
        """The same, raised by nobody yet. Who keeps an error that was raised keeps its frames too, and maybe itself."""
        return type(self)(self.message, **self.facts)


class NoSuchAccount(MissingError):
    """No account of that name or id."""


class NoSuchAccessKey(MissingError):
    """No such access key."""


class NoSuchBucket(MissingError):
    """``bucket_name``: no such bucket."""


class NoSuchKey(MissingError):
    """``key``: no current object under it. ``delete_marker`` and ``version_id`` are set when a marker hides it."""


class NoSuchVersion(MissingError):
    """``key``, ``version_id``: no such version."""


class NoSuchUpload(MissingError):
    """``upload_id``: never begun, completed, or aborted."""


class NoSuchDocument(MissingError):
    """``bucket_name``, ``document``: the bucket has no such configuration."""


class NoSuchKmsKey(MissingError):
    """``key_id``, ``version``: the keyring has no such key, or not that version of it."""


# -- the state does not allow it ----------------------------------------------------------------------------------------


class ConflictError(StoreError):
    """The state does not allow it."""


class AccountExists(ConflictError):
    """An account of that name or id exists already."""


class AccessKeyExists(ConflictError):
    """That access key is somebody's already."""


class AccountNotEmpty(ConflictError):
    """The account still owns buckets."""


class BucketAlreadyExists(ConflictError):
    """``bucket_name``: another account's bucket."""


class BucketAlreadyOwnedByYou(ConflictError):
    """``bucket_name``: the caller's own bucket."""


class BucketNotEmpty(ConflictError):
    """``bucket_name``: it still holds versions or markers."""


class TooManyBuckets(ConflictError):
    """The account has as many buckets as it may."""


class InvalidBucketState(ConflictError):
    """The request does not fit the bucket's state."""


class ConditionalRequestConflict(ConflictError):
    """A racing write made the condition unanswerable; the client may retry."""


class ObjectLocked(AccessError):
    """Retention or a legal hold forbids it."""


class QuotaExceeded(ConflictError):
    """The write would go over a quota."""


class InvalidObjectState(ConflictError):
    """``storage_class``: the object is archived and not restored; or it is to be restored, and not archived."""


class RestoreAlreadyInProgress(ConflictError):
    """The object is being restored already."""


class KmsKeyExists(ConflictError):
    """``key_id``: the keyring has a key of that id already."""


class KmsKeyDisabled(ConflictError):
    """``key_id``: the key was disabled: it neither seals nor opens."""


# -- conditions -----------------------------------------------------------------------------------------------------------


class PreconditionFailed(StoreError):
    """``condition``: the header whose condition does not hold."""


# -- the request is wrong -------------------------------------------------------------------------------------------------


class RequestFault(StoreError):
    """The request itself is wrong."""


class InvalidArgument(RequestFault):
    """``argument_name``, ``argument_value``: a value S3 does not take."""


class InvalidRequest(RequestFault):
    """The parts of the request do not fit together."""


class InvalidPart(RequestFault):
    """``part_number``, ``etag``: a part that was not uploaded, or whose ETag or checksum differs."""


class InvalidPartOrder(RequestFault):
    """The list of parts is not in ascending order."""


class EntityTooSmall(RequestFault):
    """``part_number``, ``proposed_size``, ``min_size_allowed``: a part but the last is too small."""


class EntityTooLarge(RequestFault):
    """``proposed_size``, ``max_size_allowed``."""


class BadDigest(RequestFault):
    """The body does not have the digest the request claims."""


class InvalidDigest(RequestFault):
    """A digest that is not one: bad base64, or of the wrong length."""


class IncompleteBody(RequestFault):
    """The body ended before its stated length."""


class InvalidRange(RequestFault):
    """``range_requested``, ``actual_object_size``: no byte of the object is in the range."""


class AuthorizationHeaderMalformed(RequestFault):
    """An Authorization header without a key, scope, headers or signature; ``region`` (ours) when it names another."""


class AuthorizationQueryParametersError(RequestFault):
    """The same in a presigned URL's query parameters."""


class PresignedExpiresOutOfRange(AuthorizationQueryParametersError):
    """X-Amz-Expires is negative or beyond seven days: an AuthorizationQueryParametersError on the wire."""


class XAmzContentSHA256Mismatch(RequestFault):
    """``client_computed_content_sha256``, ``s3_computed_content_sha256``: the body is not the one that was signed."""


class InvalidChunkSizeError(AccessError):
    """``chunk``, ``bad_chunk_size``: an aws-chunked chunk but the last is smaller than 8 KiB."""


class MalformedTrailerError(RequestFault):
    """The trailer of an aws-chunked body is missing, malformed, or not the one x-amz-trailer announced."""


class MissingContentLength(RequestFault):
    """The length of the body, or of the decoded body, was not said."""


class MalformedXML(RequestFault):
    """The XML document is not well-formed, not the expected one, or over a limit; ``reason`` says which."""


class InvalidURI(RequestFault):
    """``uri``: the path cannot be decoded into a bucket and a key."""


class KeyTooLongError(RequestFault):
    """``size``, ``max_size_allowed``: the key's UTF-8 has too many bytes."""


class InvalidBucketName(RequestFault):
    """``bucket_name``: not a name that AWS's rules allow."""


class InvalidStorageClass(RequestFault):
    """``storage_class_requested``: not one of this store's."""


class InvalidPolicyDocument(RequestFault):
    """The policy of a browser form is not one; the message says why."""


class MalformedPolicy(RequestFault):
    """An access policy that is not one; the message says why."""


# -- not the client's fault -----------------------------------------------------------------------------------------------


class EngineError(StoreError):
    """An engine could not do its work."""


class DataMissing(EngineError):
    """``ref``: metadata names data that the data engine does not have."""


class DataCorrupt(EngineError):
    """``ref``: the stored bytes are not those that were written."""


class StorageFull(EngineError):
    """No space left, or over the disk quota: nothing of the write was kept."""


class StorageFailed(EngineError):
    """The disk or the database failed a write or a read; it may heal."""


class SchemaTooNew(EngineError):
    """The database was written by a later release; this one must not touch it."""


class NotOffered(StoreError):
    """``operation``: an operation of AWS's model that this store does not offer."""
