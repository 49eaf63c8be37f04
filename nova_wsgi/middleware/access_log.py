"""The access log: one line a request, made when its last byte was sent or its connection was lost.

The line is formatted in the finish hook, after the response has left, and given to :func:`nova_wsgi.logs.access_log`,
which writes many at once in a native thread. (Formatting costs 1.6 us; queueing the fields to do it later costs more.)

Laws:

- A client cannot forge a line or a field: quotes, backslashes and everything not printable ASCII are escaped.
- Signatures and tokens in a query, the request's or the referrer's, are not written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Self
from urllib.parse import unquote

from paste.deploy.converters import aslist

from nova_wsgi import logs
from nova_wsgi.calling import entry_of
from nova_wsgi.middleware.finish import HOOKS, call_with_hooks, observe

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from nova_wsgi.http import Finished

# Query parameters that let whoever reads the log act as the client: signatures and session tokens of SigV4 and SigV2
# (the access key's name in X-Amz-Credential stays), customers' keys, and the common names of bearer tokens and passwords.
REDACTED = (
    "x-amz-signature",
    "x-amz-security-token",
    "x-amz-server-side-encryption-customer-key",
    "x-amz-copy-source-server-side-encryption-customer-key",
    "signature",
    "webidentitytoken",
    "access_token",
    "id_token",
    "token",
    "password",
)
REDACTION = "REDACTED"

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")  # in every locale

_SAFE = {code: chr(code) for code in range(0x20, 0x7F)} | {ord('"'): '\\"', ord("\\"): "\\\\"}
_ESCAPES = [_SAFE.get(code, f"\\x{code:02x}") for code in range(0x100)]  # by latin-1 code, which WSGI text is in

# PERF: user agents and accounts that need no escape, which come again and again. Bounded, because clients choose them.
_PLAIN_MAX = 256
_PLAIN_CHARS_MAX = 256
_plain: set[str] = set()


class AccessLog:
    """Logs in the form ``combined`` (Apache's, and after it: request id, microseconds, operation, + or X) or ``json``.

    X says that the response did not reach its end. The times are UTC, of the request's begin. ``log`` gives the log
    that lines are written to, at each request anew: the process's is replaced when its options are read.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        form: str = "combined",
        redact: Iterable[str] = REDACTED,
        log: Callable[[], logs.AccessLog] = logs.access_log,
    ) -> None:
        self._app = entry_of(app)
        self._format = FORMS[form]
        self._redacted = frozenset(name.lower() for name in redact)
        self._log = log
        observe(self._finished)

    @classmethod
    def filter_factory(
        cls, global_conf: Mapping[str, str], *, form: str = "combined", redact: str = ""
    ) -> Callable[[WSGIApplication], Self]:
        """Paste options: ``form``, combined or json; ``redact``, names of query parameters besides the usual ones."""
        if form not in FORMS:
            raise ValueError(f"form is one of {', '.join(FORMS)}, not {form!r}")
        redacted = [*REDACTED, *aslist(redact)]
        return lambda app: cls(app, form=form, redact=redacted)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Hand the request on, and log it when it is over."""
        hooks = environ.get(HOOKS)
        if hooks is None:
            return call_with_hooks(self, environ, start_response)
        hooks.append(self._finished)
        return self._app(environ, start_response)

    def _finished(self, environ: WSGIEnvironment, finished: Finished) -> None:
        log = self._log()
        if log.enabled:
            log.write(self._format(environ, finished, self._redacted))


def combined_line(environ: WSGIEnvironment, finished: Finished, redacted: frozenset[str]) -> str:
    """Format a request as Apache's combined log format does, with four columns more."""
    get = environ.get
    status, bytes_sent, _, duration_s, _, aborted = finished
    referrer = _escaped(_referrer(environ, redacted) or "-") if "HTTP_REFERER" in environ else "-"
    account, agent = get("nova.account") or "-", get("HTTP_USER_AGENT") or "-"
    if account not in _plain:
        account = _learned(account)
    if agent not in _plain:
        agent = _learned(agent)
    return (
        f"{get('REMOTE_ADDR') or '-'} - {account} [{_stamp(duration_s)}] "
        f'"{environ["REQUEST_METHOD"]} {_escaped(_target(environ, redacted))} {get("SERVER_PROTOCOL", "-")}" '
        f'{status} {bytes_sent} "{referrer}" "{agent}" '
        f"{get('nova.request_id') or '-'} {int(duration_s * 1e6)} {get('nova.operation') or '-'} "
        f"{'X' if aborted else '+'}"
    )


def json_line(environ: WSGIEnvironment, finished: Finished, redacted: frozenset[str]) -> str:
    """Format a request as one JSON object; durations in microseconds, ``time`` in seconds since 1970."""
    get = environ.get
    return json.dumps(
        {
            "time": round(time.time() - finished.duration_s, 6),
            "request_id": get("nova.request_id"),
            "remote_addr": get("REMOTE_ADDR"),
            "account": get("nova.account"),
            "method": environ["REQUEST_METHOD"],
            "host": get("HTTP_HOST"),
            "target": _target(environ, redacted),
            "protocol": get("SERVER_PROTOCOL"),
            "operation": get("nova.operation"),
            "status": finished.status,
            "bytes_sent": finished.bytes_sent,
            "bytes_received": finished.bytes_received,
            "duration_us": round(finished.duration_s * 1e6),
            "first_byte_us": round(finished.first_byte_s * 1e6),
            "aborted": finished.aborted,
            "referrer": _referrer(environ, redacted),
            "user_agent": get("HTTP_USER_AGENT"),
        }
    )


FORMS: dict[str, Callable[[WSGIEnvironment, Finished, frozenset[str]], str]] = {
    "combined": combined_line,
    "json": json_line,
}


def _target(environ: WSGIEnvironment, redacted: frozenset[str]) -> str:
    """The request target as it was sent, without its secrets."""
    path: str = environ.get("RAW_PATH_INFO") or environ["PATH_INFO"]
    query: str = environ.get("QUERY_STRING", "")
    return f"{path}?{redact_query(query, redacted)}" if query else path


def _referrer(environ: WSGIEnvironment, redacted: frozenset[str]) -> str | None:
    """The Referer header; a page reached by a presigned URL sends that URL on."""
    url: str | None = environ.get("HTTP_REFERER")
    if url is None or "?" not in url:
        return url
    path, _, query = url.partition("?")
    return f"{path}?{redact_query(query, redacted)}"


def redact_query(query: str, redacted: frozenset[str]) -> str:
    """Replace the values of the parameters named in ``redacted``, in lower case, however they are spelled."""
    parts = query.split("&")
    for index, part in enumerate(parts):
        name, equals, _ = part.partition("=")
        if equals and (unquote(name) if "%" in name else name).lower() in redacted:
            parts[index] = f"{name}={REDACTION}"
    return "&".join(parts)


def _escaped(text: str) -> str:
    # PERF: nearly every field is plain, and three scans in C cost a tenth of the translation.
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return "".join([_ESCAPES[ord(char)] if char <= "\xff" else f"\\u{ord(char):04x}" for char in text])


def _learned(text: str) -> str:
    """The same of a text that will come again."""
    escaped = _escaped(text)
    if escaped is text and len(text) <= _PLAIN_CHARS_MAX:
        if len(_plain) >= _PLAIN_MAX:  # strangers may have filled it: those that come again are soon back
            _plain.clear()
        _plain.add(text)
    return escaped


_stamp_second = -1
_stamp_text = ""


def _stamp(duration_s: float) -> str:
    """The time the request began, as ``22/Nov/2026:15:13:01 +0000``."""
    global _stamp_second, _stamp_text
    second = int(time.time() - duration_s)
    if second != _stamp_second:  # PERF: strftime costs more than the rest of the line
        parts = time.gmtime(second)
        _stamp_text = time.strftime(f"%d/{MONTHS[parts.tm_mon - 1]}/%Y:%H:%M:%S +0000", parts)
        _stamp_second = second
    return _stamp_text
