"""EC2's error codes: faults that only this protocol knows, and rows for the facts of the domain.

Source: the Amazon EC2 API Reference, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

from nova_objectstore import errors as fact
from nova_objectstore.images import errors as image_fact
from nova_objectstore.query.faults import ErrorRow, QueryFault
from nova_objectstore.query.faults import error_row as common_error_row
from nova_wsgi.errors import RequestError
from nova_wsgi.middleware.ratelimit import TooManyRequests


class InvalidParameterCombination(QueryFault):
    """Parameters that do not go together."""

    code = "InvalidParameterCombination"


class UnsupportedOperation(QueryFault):
    """Something of EC2's model that this service does not have."""

    code = "UnsupportedOperation"


class InvalidAttributeItem(QueryFault):
    """An item of an image's attribute that is none."""

    code = "InvalidAMIAttributeItemValue"


class NoSuchVersion(QueryFault):
    """A Version that is no date."""

    code = "NoSuchVersion"


class AuthFailure(QueryFault):
    """The credentials could not be validated. One sentence for every way, as EC2 has it."""

    code = "AuthFailure"
    status = 401

    def __init__(self) -> None:
        super().__init__("AWS was not able to validate the provided access credentials")


class DryRunOperation(QueryFault):
    """The request would have succeeded, and was not to be done."""

    code = "DryRunOperation"
    status = 412

    def __init__(self) -> None:
        super().__init__("Request would have succeeded, but DryRun flag is set.")


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
    return common_error_row(error, ROWS, unknown=INTERNAL_ERROR)
