"""Errors of the query protocol: faults in its own words, and rows for the facts of the domain.

A service brings rows of its own, which come before the common ones. Source: "Common Errors" of the IAM, STS and SNS API
references.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from nova_objectstore import errors as fact
from nova_objectstore.errors import StoreError
from nova_wsgi.errors import RequestError
from nova_wsgi.middleware.ratelimit import TooManyRequests


class QueryFault(StoreError):
    """An error in the protocol's own words: ``code``, ``status`` and the message."""

    code = "InvalidRequest"
    status = 400


class MissingParameter(QueryFault):
    """A parameter that must be there is not."""

    code = "MissingParameter"


class InvalidParameterValue(QueryFault):
    """A parameter has a value that the service does not take."""

    code = "InvalidParameterValue"


class ValidationError(QueryFault):
    """A parameter breaks a constraint of the service's model."""

    code = "ValidationError"


class MalformedQueryString(QueryFault):
    """Parameters that are not UTF-8, given twice, or too many."""

    code = "MalformedQueryString"


class MissingAction(QueryFault):
    """No Action parameter."""

    code = "MissingAction"


class InvalidAction(QueryFault):
    """An Action that no service has here."""

    code = "InvalidAction"


class MissingAuthenticationToken(QueryFault):
    """A request without a signature."""

    code = "MissingAuthenticationToken"
    status = 403

    def __init__(self) -> None:
        super().__init__("Request is missing Authentication Token")


class WrongScope(QueryFault):
    """Signed for another service or region."""

    code = "SignatureDoesNotMatch"
    status = 403


class RequestExpired(QueryFault):
    """Signed too long ago, or too far in the future."""

    code = "RequestExpired"


class ErrorRow(NamedTuple):
    """The code, the HTTP status, and a sentence (with the fact's own facts in braces) where the fact brings none."""

    code: str
    status: int
    message: str


Rows = Mapping[type[BaseException], ErrorRow]

INTERNAL_ERROR = ErrorRow("InternalFailure", 500, "The request processing has failed because of an unknown error.")
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
    "signing method. Consult the service documentation for details."
)
_NOBODYS = "The security token included in the request is invalid."

COMMON_ROWS: Rows = {
    fact.AccessDenied: ErrorRow("AccessDenied", 403, "User is not authorized to perform this action"),
    fact.InvalidAccessKeyId: ErrorRow("InvalidClientTokenId", 403, _NOBODYS),
    fact.InvalidToken: ErrorRow("InvalidClientTokenId", 403, _NOBODYS),
    fact.ExpiredToken: ErrorRow("ExpiredToken", 403, "The security token included in the request is expired"),
    fact.SignatureDoesNotMatch: ErrorRow("SignatureDoesNotMatch", 403, _MISMATCH),
    fact.XAmzContentSHA256Mismatch: ErrorRow("SignatureDoesNotMatch", 403, _MISMATCH),
    fact.RequestTimeTooSkewed: ErrorRow(
        "RequestExpired", 400, "Signature expired: {request_time} is too far from {server_time}"
    ),
    fact.AuthorizationHeaderMalformed: ErrorRow("IncompleteSignature", 400, "The Authorization header is malformed."),
    fact.AuthorizationQueryParametersError: ErrorRow(
        "IncompleteSignature", 400, "The authorization query parameters are not valid."
    ),
    fact.RequestFault: ErrorRow("ValidationError", 400, "The input fails to satisfy the constraints of the service."),
    fact.EngineError: ErrorRow(
        "ServiceUnavailable", 503, "The request has failed due to a temporary failure of the server."
    ),
    TooManyRequests: ErrorRow("Throttling", 429, "Rate exceeded"),
    RequestError: ErrorRow("MalformedInput", 400, "The request is malformed"),
}


def error_row(error: BaseException, rows: Rows = COMMON_ROWS, *, unknown: ErrorRow = INTERNAL_ERROR) -> ErrorRow:
    """Code, status and message of an error; one without a row becomes ``unknown``, and its own text stays here."""
    found = next((rows[kind] for kind in type(error).__mro__ if kind in rows), None)
    if found is None and isinstance(error, QueryFault):
        return ErrorRow(error.code, error.status, error.message)
    row = found or unknown
    if isinstance(error, RequestError):
        return ErrorRow(row.code, error.status, error.hint or row.message)
    if isinstance(error, StoreError) and row is not unknown:
        message = "" if isinstance(error, fact.EngineError) else error.message
        return row._replace(message=message or row.message.format_map(_Facts(error.facts)))
    return row


class _Facts(dict[str, object]):
    """Facts for a sentence; one that is missing is a dash."""

    def __missing__(self, name: str) -> str:
        return "-"
