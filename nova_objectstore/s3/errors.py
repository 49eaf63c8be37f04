"""How the store's facts are worded to S3's clients: rows of code, status, message (AWS: "Error responses").

The pipeline walks an exception's ``__mro__`` to the first row; what has none is an InternalError, whose text stays here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nova_objectstore import errors as fact
from nova_objectstore.s3 import faults
from nova_wsgi import errors as wire


class ErrorRow(NamedTuple):
    """AWS's code, the HTTP status, and the sentence used when the fact brings none of its own."""

    code: str
    status: int
    message: str


INTERNAL_ERROR = ErrorRow("InternalError", 500, "We encountered an internal error. Please try again.")

ROWS: dict[type[BaseException], ErrorRow] = {
    # -- who
    fact.AccessDenied: ErrorRow("AccessDenied", 403, "Access Denied"),
    fact.InvalidAccessKeyId: ErrorRow(
        "InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."
    ),
    fact.SignatureDoesNotMatch: ErrorRow(
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    ),
    fact.RequestTimeTooSkewed: ErrorRow(
        "RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large."
    ),
    fact.InvalidToken: ErrorRow("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
    fact.ExpiredToken: ErrorRow("ExpiredToken", 400, "The provided token has expired."),
    fact.ObjectLocked: ErrorRow("AccessDenied", 403, "Access Denied because object protected by object lock."),
    # -- not there
    fact.NoSuchBucket: ErrorRow("NoSuchBucket", 404, "The specified bucket does not exist"),
    fact.NoSuchKey: ErrorRow("NoSuchKey", 404, "The specified key does not exist."),
    fact.NoSuchVersion: ErrorRow("NoSuchVersion", 404, "The specified version does not exist."),
    fact.NoSuchUpload: ErrorRow(
        "NoSuchUpload",
        404,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
    ),
    fact.NoSuchDocument: ErrorRow("NoSuchConfiguration", 404, "The specified configuration does not exist."),
    fact.NoSuchKmsKey: ErrorRow("KMS.NotFoundException", 400, "The specified key does not exist."),
    fact.NoSuchAccount: ErrorRow("InvalidAccessKeyId", 403, "The account does not exist."),
    fact.NoSuchAccessKey: ErrorRow(
        "InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records."
    ),
    # -- the state does not allow it
    fact.InvalidObjectState: ErrorRow(
        "InvalidObjectState", 403, "The operation is not valid for the object's storage class"
    ),
    fact.RestoreAlreadyInProgress: ErrorRow("RestoreAlreadyInProgress", 409, "Object restore is already in progress"),
    fact.BucketAlreadyExists: ErrorRow(
        "BucketAlreadyExists",
        409,
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. "
        "Please select a different name and try again.",
    ),
    fact.BucketAlreadyOwnedByYou: ErrorRow(
        "BucketAlreadyOwnedByYou",
        409,
        "Your previous request to create the named bucket succeeded and you already own it.",
    ),
    fact.BucketNotEmpty: ErrorRow("BucketNotEmpty", 409, "The bucket you tried to delete is not empty"),
    fact.TooManyBuckets: ErrorRow("TooManyBuckets", 400, "You have attempted to create more buckets than allowed"),
    fact.InvalidBucketState: ErrorRow(
        "InvalidBucketState", 409, "The request is not valid for the current state of the bucket."
    ),
    fact.ConditionalRequestConflict: ErrorRow(
        "ConditionalRequestConflict",
        409,
        "The conditional request cannot succeed due to a conflicting operation against this resource.",
    ),
    fact.QuotaExceeded: ErrorRow("QuotaExceeded", 403, "The write would exceed the quota."),
    fact.KmsKeyDisabled: ErrorRow("KMS.DisabledException", 400, "The specified key is disabled."),
    fact.ConflictError: ErrorRow("OperationAborted", 409, "A conflicting operation is in progress."),
    # -- conditions
    fact.PreconditionFailed: ErrorRow(
        "PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"
    ),
    # -- the request is wrong
    fact.InvalidArgument: ErrorRow("InvalidArgument", 400, "Invalid Argument"),
    fact.InvalidRequest: ErrorRow("InvalidRequest", 400, "Invalid Request"),
    fact.InvalidPart: ErrorRow(
        "InvalidPart",
        400,
        "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
        "specified entity tag may not match the part's entity tag.",
    ),
    fact.InvalidPartOrder: ErrorRow(
        "InvalidPartOrder",
        400,
        "The list of parts was not in ascending order. Parts must be ordered by part number.",
    ),
    fact.EntityTooSmall: ErrorRow(
        "EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"
    ),
    fact.EntityTooLarge: ErrorRow(
        "EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed object size."
    ),
    fact.BadDigest: ErrorRow("BadDigest", 400, "The Content-MD5 you specified did not match what we received."),
    fact.InvalidDigest: ErrorRow("InvalidDigest", 400, "The Content-MD5 you specified was invalid."),
    fact.IncompleteBody: ErrorRow(
        "IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header"
    ),
    fact.InvalidRange: ErrorRow("InvalidRange", 416, "The requested range is not satisfiable"),
    fact.AuthorizationHeaderMalformed: ErrorRow(
        "AuthorizationHeaderMalformed", 400, "The authorization header is malformed."
    ),
    fact.AuthorizationQueryParametersError: ErrorRow(
        "AuthorizationQueryParametersError", 400, "The query string authorization parameters are not valid."
    ),
    fact.PresignedExpiresOutOfRange: ErrorRow(
        "AuthorizationQueryParametersError", 403, "X-Amz-Expires must be between 1 and 604800 seconds."
    ),
    fact.XAmzContentSHA256Mismatch: ErrorRow(
        "XAmzContentSHA256Mismatch", 400, "The provided 'x-amz-content-sha256' header does not match what was computed."
    ),
    fact.InvalidChunkSizeError: ErrorRow(
        "InvalidChunkSizeError", 403, "Only the last chunk is allowed to have a size less than 8192 bytes"
    ),
    fact.MalformedTrailerError: ErrorRow(
        "MalformedTrailerError", 400, "The request contained trailing data that was not well-formed or did not conform."
    ),
    fact.MissingContentLength: ErrorRow(
        "MissingContentLength", 411, "You must provide the Content-Length HTTP header."
    ),
    fact.MalformedXML: ErrorRow(
        "MalformedXML",
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    fact.InvalidURI: ErrorRow("InvalidURI", 400, "Couldn't parse the specified URI."),
    fact.KeyTooLongError: ErrorRow("KeyTooLongError", 400, "Your key is too long"),
    fact.InvalidBucketName: ErrorRow("InvalidBucketName", 400, "The specified bucket is not valid."),
    fact.InvalidPolicyDocument: ErrorRow(
        "InvalidPolicyDocument", 400, "The content of the form does not meet the conditions of the policy."
    ),
    fact.MalformedPolicy: ErrorRow("MalformedPolicy", 400, "The policy is not a valid one."),
    fact.RequestFault: ErrorRow("InvalidRequest", 400, "Invalid Request"),
    faults.IllegalLocationConstraint: ErrorRow(
        "IllegalLocationConstraintException", 400, "The location constraint is not this region's."
    ),
    faults.MetadataTooLarge: ErrorRow(
        "MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size"
    ),
    fact.InvalidStorageClass: ErrorRow("InvalidStorageClass", 400, "The storage class you specified is not valid"),
    faults.InvalidEncryptionAlgorithm: ErrorRow(
        "InvalidEncryptionAlgorithmError",
        400,
        "The Encryption request you specified is not valid. Supported value: AES256.",
    ),
    faults.NoBucketEncryption: ErrorRow(
        "ServerSideEncryptionConfigurationNotFoundError", 404, "The server side encryption configuration was not found"
    ),
    faults.AccessControlListNotSupported: ErrorRow(
        "AccessControlListNotSupported", 400, "The bucket does not allow ACLs"
    ),
    faults.InvalidBucketAclWithObjectOwnership: ErrorRow(
        "InvalidBucketAclWithObjectOwnership",
        400,
        "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
    ),
    faults.InvalidTargetBucketForLogging: ErrorRow(
        "InvalidTargetBucketForLogging",
        400,
        "The target bucket for logging does not exist, is not owned by you, or does not have the appropriate grants for "
        "the log-delivery group.",
    ),
    faults.OwnershipControlsNotFound: ErrorRow(
        "OwnershipControlsNotFoundError", 404, "The bucket ownership controls were not found"
    ),
    faults.NoSuchPublicAccessBlock: ErrorRow(
        "NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found"
    ),
    faults.NoSuchBucketPolicy: ErrorRow("NoSuchBucketPolicy", 404, "The bucket policy does not exist"),
    faults.MalformedACL: ErrorRow(
        "MalformedACLError",
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    ),
    faults.UnresolvableGrantByEmailAddress: ErrorRow(
        "UnresolvableGrantByEmailAddress", 400, "The e-mail address you provided does not match any account on record."
    ),
    faults.AmbiguousGrantByEmailAddress: ErrorRow(
        "AmbiguousGrantByEmailAddress", 400, "The e-mail address you provided is associated with more than one account."
    ),
    faults.MissingSecurityHeader: ErrorRow("MissingSecurityHeader", 400, "Your request was missing a required header."),
    faults.MissingDigest: ErrorRow(
        "InvalidRequest", 400, "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
    ),
    faults.NoSuchTagSet: ErrorRow("NoSuchTagSet", 404, "The TagSet does not exist"),
    faults.InvalidTag: ErrorRow("InvalidTag", 400, "The tag provided was not a valid tag."),
    faults.TooManyTags: ErrorRow("InvalidTag", 400, "There are too many tags."),
    faults.NoSuchLifecycle: ErrorRow("NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"),
    faults.NoSuchObjectLock: ErrorRow(
        "NoSuchObjectLockConfiguration", 404, "The specified object does not have a ObjectLock configuration"
    ),
    faults.ObjectLockConfigurationNotFound: ErrorRow(
        "ObjectLockConfigurationNotFoundError", 404, "Object Lock configuration does not exist for this bucket"
    ),
    faults.InvalidRetentionPeriod: ErrorRow(
        "InvalidRetentionPeriod", 400, "The retention period must be a positive integer value."
    ),
    faults.PreflightIncomplete: ErrorRow("BadRequest", 400, "Insufficient information."),
    faults.CorsForbidden: ErrorRow("AccessForbidden", 403, "CORSResponse: This CORS request is not allowed."),
    faults.NoSuchCorsConfiguration: ErrorRow("NoSuchCORSConfiguration", 404, "The CORS configuration does not exist"),
    faults.NoSuchWebsiteConfiguration: ErrorRow(
        "NoSuchWebsiteConfiguration", 404, "The specified bucket does not have a website configuration"
    ),
    faults.MalformedPostRequest: ErrorRow(
        "MalformedPOSTRequest", 400, "The body of your POST request is not well-formed multipart/form-data."
    ),
    faults.FormTooLarge: ErrorRow(
        "MaxPostPreDataLengthExceeded", 400, "Your POST request fields preceding the upload file were too large."
    ),
    faults.NoFileInForm: ErrorRow(
        "IncorrectNumberOfFilesInPostRequest", 400, "POST requires exactly one file upload per request."
    ),
    faults.NotModified: ErrorRow("NotModified", 304, "Not Modified"),
    faults.MethodNotAllowed: ErrorRow(
        "MethodNotAllowed", 405, "The specified method is not allowed against this resource."
    ),
    # -- not the client's fault
    fact.StorageFull: ErrorRow(
        "InsufficientStorage", 507, "There is not enough space left to store this. Nothing of it was kept."
    ),
    fact.StorageFailed: ErrorRow("ServiceUnavailable", 503, "The storage does not answer at the moment. Try again."),
    fact.NotOffered: ErrorRow(
        "NotImplemented", 501, "A header or query you provided implies functionality that is not implemented."
    ),
    # -- the transfer
    wire.BadRequest: ErrorRow("BadRequest", 400, "The request is malformed."),
    wire.ClientDisconnected: ErrorRow(
        "IncompleteBody", 400, "You did not provide the number of bytes specified by the Content-Length HTTP header"
    ),
    wire.RequestTimeout: ErrorRow(
        "RequestTimeout",
        400,
        "Your socket connection to the server was not read from or written to within the timeout period.",
    ),
    wire.BodyTooLarge: ErrorRow("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed object size."),
    wire.HeadersTooLarge: ErrorRow("RequestHeaderSectionTooLarge", 400, "Your request header section is too large."),
    wire.ServiceBusy: ErrorRow("SlowDown", 503, "Please reduce your request rate."),
}


def find_row(error: BaseException) -> ErrorRow:
    """The row of the error's class or of its nearest ancestor."""
    for kind in type(error).__mro__:
        row = ROWS.get(kind)
        if row is not None:
            return row
    return INTERNAL_ERROR


def error_facts(error: BaseException) -> dict[str, Any]:
    """The facts to show beside the code: names in AWS's CamelCase."""
    facts: dict[str, Any] = getattr(error, "facts", {})
    return {_camel_case(name): value for name, value in facts.items() if value is not None}


def tell_error(error: BaseException) -> tuple[ErrorRow, str, dict[str, Any]]:
    """The row of an error, and what to say of it: its own sentence or the row's, and its facts."""
    row = find_row(error)
    if row is INTERNAL_ERROR or isinstance(error, fact.EngineError):
        return row, row.message, {}  # its own may tell what is nobody's business: paths, the database's words
    message = getattr(error, "message", "") or getattr(error, "hint", "") or row.message
    return row, message, error_facts(error)


def error_headers(error: BaseException, row: ErrorRow) -> list[tuple[str, str]]:
    """The headers that an error's answer has beside those of its document."""
    headers = list(getattr(error, "headers", ()))
    facts = getattr(error, "facts", {})
    if facts.get("delete_marker"):
        headers += [("x-amz-delete-marker", "true"), ("x-amz-version-id", facts["version_id"])]
    elif isinstance(error, fact.NoSuchKey):
        headers.append(("x-amz-delete-marker", "false"))
    retry_after = getattr(error, "retry_after_s", None)
    if retry_after is not None or row.status == 503:
        headers.append(("Retry-After", str(retry_after or 1)))
    return headers


_SPELLINGS = {
    "etag": "ETag",
    "aws_access_key_id": "AWSAccessKeyId",
    "client_computed_content_sha256": "ClientComputedContentSHA256",
    "content_md5": "Content-MD5",
    "host_id": "HostId",
    "max_uri_length": "MaxURILength",
    "s3_computed_content_sha256": "S3ComputedContentSHA256",
    "uri": "URI",
    "x_amz_expires": "X-Amz-Expires",
}


def _camel_case(name: str) -> str:
    spelling = _SPELLINGS.get(name)
    return spelling or "".join(word.capitalize() for word in name.split("_"))
