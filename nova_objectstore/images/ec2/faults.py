"""EC2's error codes: faults that only this protocol knows, and rows for the facts of the domain.

Source: the Amazon EC2 API Reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from typing import NamedTuple

from nova_objectstore import errors as fact
from nova_objectstore.errors import StoreError
from nova_objectstore.images import errors as image_fact
from nova_wsgi.errors import RequestError
from nova_wsgi.middleware.ratelimit import TooManyRequests


class Ec2Fault(StoreError):
    """An error in EC2's own words: ``code``, ``status`` and the message."""

    code = "InvalidRequest"
    status = 400


class MissingParameter(Ec2Fault):
    """A parameter that must be there is not."""

    code = "MissingParameter"


class InvalidParameterValue(Ec2Fault):
    """A parameter has a value that EC2 does not take."""

    code = "InvalidParameterValue"


class InvalidParameterCombination(Ec2Fault):
    """Parameters that do not go together."""

    code = "InvalidParameterCombination"


class UnsupportedOperation(Ec2Fault):
    """Something of EC2's model that this service does not have."""

    code = "UnsupportedOperation"


class InvalidAttributeItem(Ec2Fault):
    """An item of an image's attribute that is none."""

    code = "InvalidAMIAttributeItemValue"


class MissingAction(Ec2Fault):
    """No Action parameter."""

    code = "MissingAction"


class InvalidAction(Ec2Fault):
    """An Action that this service does not have."""

    code = "InvalidAction"


class NoSuchVersion(Ec2Fault):
    """A Version that is no date."""

    code = "NoSuchVersion"


class MalformedQueryString(Ec2Fault):
    """Parameters that are not UTF-8, given twice, or too many."""

    code = "MalformedQueryString"


class AuthFailure(Ec2Fault):
    """The credentials could not be validated. One sentence for every way, as EC2 has it."""

    code = "AuthFailure"
    status = 401

    def __init__(self) -> None:
        super().__init__("AWS was not able to validate the provided access credentials")


class RequestExpired(Ec2Fault):
    """Signed too long ago, or too far in the future."""

    code = "RequestExpired"


class DryRunOperation(Ec2Fault):
    """The request would have succeeded, and was not to be done."""

    code = "DryRunOperation"
    status = 412

    def __init__(self) -> None:
        super().__init__("Request would have succeeded, but DryRun flag is set.")


class ErrorRow(NamedTuple):
    """EC2's code, the HTTP status, and a sentence (with the fact's own facts in braces) where the fact brings none."""

    code: str
    status: int
    message: str


INTERNAL_ERROR = ErrorRow("InternalError", 500, "An internal error has occurred")

ROWS: dict[type[BaseException], ErrorRow] = {
    image_fact.NoSuchImage: ErrorRow("InvalidAMIID.NotFound", 400, "The image id '[{image_id}]' does not exist"),
    image_fact.InvalidImageId: ErrorRow("InvalidAMIID.Malformed", 400, 'Invalid id: "{image_id}"'),
    image_fact.ImageNotAvailable: ErrorRow(
        "InvalidAMIID.Unavailable", 400, "The image id '{image_id}' is not available"
    ),
    image_fact.InvalidImageName: ErrorRow("InvalidAMIName.Malformed", 400, "The name is not one of an image"),
    image_fact.ImageNameTaken: ErrorRow(
        "InvalidAMIName.Duplicate", 400, "AMI name {name} is already in use by AMI {image_id}"
    ),
    image_fact.ImageExists: ErrorRow("InvalidParameterValue", 400, "The image {image_id} exists already"),
    image_fact.ImageChanged: ErrorRow("IncorrectState", 400, "The image {image_id} is changing at the moment"),
    image_fact.InvalidManifest: ErrorRow("InvalidManifest", 400, "The manifest is not one"),
    image_fact.InvalidBundle: ErrorRow("InvalidManifest", 400, "The bundle cannot be an image"),
    image_fact.InvalidLocation: ErrorRow(
        "InvalidManifest", 400, "The image location is not bucket/manifest: {location}"
    ),
    image_fact.TooManyPermissions: ErrorRow(
        "ResourceLimitExceeded", 400, "An image is shared with at most {permissions_max} accounts"
    ),
    fact.NoSuchBucket: ErrorRow("InvalidManifest", 400, "The manifest's bucket does not exist: {bucket_name}"),
    fact.NoSuchKey: ErrorRow("InvalidManifest", 400, "The manifest does not exist: {key}"),
    fact.AccessDenied: ErrorRow("AuthFailure", 403, "Not authorized for this image or its manifest"),
    fact.InvalidArgument: ErrorRow("InvalidParameterValue", 400, "A parameter has an invalid value"),
    fact.RequestFault: ErrorRow("InvalidRequest", 400, "The request is not valid"),
    fact.EngineError: ErrorRow("Unavailable", 503, "The service does not answer at the moment. Try again."),
    TooManyRequests: ErrorRow("RequestLimitExceeded", 429, "Request limit exceeded."),
    RequestError: ErrorRow("InvalidRequest", 400, "The request is malformed"),
}


def error_row(error: BaseException) -> ErrorRow:
    """Code, status and message of an error; what is not known is an internal one, whose text stays here."""
    if isinstance(error, Ec2Fault):
        return ErrorRow(error.code, error.status, error.message)
    row = next((ROWS[kind] for kind in type(error).__mro__ if kind in ROWS), INTERNAL_ERROR)
    if isinstance(error, RequestError):
        return ErrorRow(row.code, error.status, error.hint or row.message)
    if isinstance(error, StoreError) and row is not INTERNAL_ERROR:
        message = "" if isinstance(error, fact.EngineError) else error.message
        return row._replace(message=message or row.message.format_map(_Facts(error.facts)))
    return row


class _Facts(dict[str, object]):
    """Facts for a sentence; one that is missing is a dash."""

    def __missing__(self, name: str) -> str:
        return "-"
