"""What the HTTP server says in S3's words when it refuses a request before the application sees it."""

from __future__ import annotations

from nova_objectstore.s3.render import render_error

# (status) -> AWS's code. What a client did wrong on the level of HTTP is mostly BadRequest to S3.
CODES = {
    400: "BadRequest",
    403: "AccessDenied",
    408: "RequestTimeout",
    411: "MissingContentLength",
    413: "EntityTooLarge",
    414: "InvalidURI",
    417: "PreconditionFailed",
    431: "RequestHeaderSectionTooLarge",
    500: "InternalError",
    501: "NotImplemented",
    503: "SlowDown",
    505: "HttpVersionNotSupported",
}


def render_refusal(status: int, reason: str, hint: str, request_id: str) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of a refusal, as ``nova_wsgi.server.HttpServer`` takes them."""
    document = render_error(
        CODES.get(status, "BadRequest"), hint or reason, {}, resource="", request_id=request_id, host_id=""
    )
    headers = [("Content-Type", "application/xml")]
    if request_id:
        headers.append(("x-amz-request-id", request_id))
    return headers, document.encode()
