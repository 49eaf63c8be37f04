"""What can go wrong, as facts. Nothing here knows HTTP responses: the front words them.

NovaError                             every error this house raises on purpose
├── ConfigError                       the program cannot start as configured: one line on stderr, exit code 2
│   └── PasteConfigError              the paste ini names something that is not there
├── RequestError                      the client's fault; ``status`` and ``reason`` say which, ``hint`` says why
│   ├── BadRequest                    400 malformed
│   │   └── ClientDisconnected        400 the body ended before its length
│   ├── RequestTimeout                408 the client was too slow
│   ├── BodyTooLarge                  413
│   ├── UriTooLong                    414
│   ├── HeadersTooLarge               431
│   ├── UnsupportedTransferEncoding   501
│   └── VersionNotSupported           505 an HTTP version other than 1.0 and 1.1
├── ServiceBusy                       503 come back after ``retry_after_s``
└── QueueError                        a message between services did not get through: see nova_wsgi/rpc/errors.py
"""

from __future__ import annotations

from typing import ClassVar


class NovaError(Exception):
    """The root of every error this house raises on purpose."""


class ConfigError(NovaError):
    """The program cannot run as configured. ``str()`` is one line that names the option or file and what is wrong."""


class PasteConfigError(ConfigError):
    """A paste ini cannot be composed: names the file, the section and the name that is missing or broken."""

    def __init__(self, problem: str, *, path: str, section: str | None = None) -> None:
        self.path = path
        self.section = section
        self.problem = problem
        where = path if section is None else f"{path}: [{section}]"
        super().__init__(f"{where}: {problem}")


class RequestError(NovaError):
    """A request that cannot be served and whose sender is to blame.

    ``status`` is the HTTP status (RFC 9110 section 15) a front answers unless it knows better, ``reason`` its phrase,
    ``hint`` a short sentence for the client that says what was wrong with this request.
    """

    status: ClassVar[int] = 400
    reason: ClassVar[str] = "Bad Request"

    def __init__(self, hint: str = "") -> None:
        self.hint = hint
        super().__init__(hint or self.reason)


class BadRequest(RequestError):
    """The request is malformed: bad framing, bad request line, bad header, bad encoding."""


class ClientDisconnected(BadRequest):
    """The client's body ended before the length or the last chunk it promised."""


class RequestTimeout(RequestError):
    """The client did not send its header block, or its body's next bytes, in time."""

    status = 408
    reason = "Request Timeout"


class BodyTooLarge(RequestError):
    """The request's body is, or says it will be, larger than the limit."""

    status = 413
    reason = "Content Too Large"


class UriTooLong(RequestError):
    """The request line is longer than the limit (RFC 9112 section 3)."""

    status = 414
    reason = "URI Too Long"


class HeadersTooLarge(RequestError):
    """The header block has too many fields, or too large ones (RFC 6585 section 5)."""

    status = 431
    reason = "Request Header Fields Too Large"


class UnsupportedTransferEncoding(RequestError):
    """A transfer coding other than a single ``chunked`` (RFC 9112 section 6.1)."""

    status = 501
    reason = "Not Implemented"


class VersionNotSupported(RequestError):
    """An HTTP version that this server does not speak (RFC 9110 section 15.6.6)."""

    status = 505
    reason = "HTTP Version Not Supported"


class ServiceBusy(NovaError):
    """The service has no room for this now. ``retry_after_s``: whole seconds until it is worth asking again."""

    def __init__(self, hint: str = "the service is busy", *, retry_after_s: int = 1) -> None:
        self.hint = hint
        self.retry_after_s = retry_after_s
        super().__init__(hint)
