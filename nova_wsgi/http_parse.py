"""The head of an HTTP/1 request, read strictly after RFC 9112. Pure: bytes in, environ keys and framing out.

Strategy: wait until the whole header block is in one ``bytes`` (:func:`find_head_end`), then judge and split it at once
(:func:`parse_head`). One C-speed pass rules out every control character but CRLF pairs, so that what follows may split
on CRLF without looking back; field names met before are found in a table with their environ key.

Laws:

- What two recipients could read differently is refused, not repaired: framing faults are 400 and end the connection.
- Lax only where the RFC asks for it: one empty line before the request line (section 2.2), a minor version above 1.
- The outcome does not depend on how the bytes were split on their way.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from nova_wsgi.errors import (
    BadRequest,
    HeadersTooLarge,
    UnsupportedTransferEncoding,
    UriTooLong,
    VersionNotSupported,
)
from nova_wsgi.http_limits import HttpLimits

CRLF: Final = b"\r\n"
HEAD_END: Final = b"\r\n\r\n"

# RFC 9110 5.5: field values are VCHAR, SP, HTAB and obs-text. Everything else must pair up as CRLF.
VISIBLE: Final = bytes(byte for byte in range(256) if byte == 0x09 or (byte >= 0x20 and byte != 0x7F))
_BARE_LF = re.compile(rb"(?<!\r)\n")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 5.6.2
# RFC 3986 3.2.2 and 3.2.3: a bracketed IP literal or a registered name, and a port. No userinfo.
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]*)(?::[0-9]*)?")
_VERSION = re.compile(r"HTTP/[0-9]\.[0-9]")
_ABSOLUTE = re.compile(r"https?://([^/?]*)(/[^?]*)?(?:\?(.*))?", re.IGNORECASE)
_CONTENT_LENGTH_DIGITS_MAX = 18  # any real length, and no number that a 64-bit peer would read as another

_METHODS = frozenset(("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"))  # PERF: known to be tokens
_SINGLE = frozenset(("HTTP_HOST", "CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"))  # twice is a fault of framing

# Field name as sent -> its lower-case spelling, and its environ key ("" for a name that has none). Bounded, because
# clients choose the names; and hosts that were found to be well formed.
_NAMES_MAX = 2048
_NAME_CHARS_MAX = 64  # of a name that is kept
_names: dict[str, tuple[str, str]] = {}
# PERF: whole lines that clients send with every request -> name, key, value. Only of fields whose values repeat.
_LINES_MAX = 1024
_LINE_SIZE_MAX = 256
_REPEATING = frozenset(
    ("accept", "accept-encoding", "accept-language", "amz-sdk-request", "cache-control", "connection", "content-length",
     "content-type", "expect", "host", "user-agent", "x-amz-user-agent")
)  # fmt: skip
_lines: dict[str, tuple[str, str, str]] = {}
_HOSTS_MAX = 256
_hosts: set[str] = set()


class Framing:
    """Where a request's body ends and what becomes of the connection after it.

    ``body_length`` is in bytes, -1 for a chunked body; ``is_1_1``: the client speaks HTTP/1.1, and so
    understands a chunked response.
    """

    __slots__ = ("body_length", "expects_continue", "is_1_1", "keep_alive")

    def __init__(self, body_length: int, keep_alive: bool, is_1_1: bool, expects_continue: bool) -> None:
        self.body_length = body_length
        self.keep_alive = keep_alive
        self.is_1_1 = is_1_1
        self.expects_continue = expects_continue


_USUAL_FRAMING = Framing(0, keep_alive=True, is_1_1=True, expects_continue=False)  # PERF: of what has no body


def head_start(buffer: bytes) -> int:
    """Where the request line begins: after one empty line, if there is one (RFC 9112 2.2: clients that add a CRLF)."""
    return 2 if buffer[:2] == CRLF else 0  # PERF: a method's call costs four times as much


def find_head_end(buffer: bytes, scanned: int, limits: HttpLimits) -> int:
    """Find the CRLF CRLF that ends the header block; -1 when it has not come yet.

    ``scanned`` bytes of the buffer were searched before without finding it. Raises UriTooLong, HeadersTooLarge, or
    BadRequest for a line that ends in a bare LF: such a block might never end.
    """
    start = head_start(buffer)
    end = buffer.find(HEAD_END, scanned - 3 if scanned > start + 3 else start)
    size = end - start
    if 0 < size <= limits.request_line_max and size <= limits.headers_total_max:
        return end
    if buffer.startswith(CRLF, start):
        raise BadRequest("an empty request line")
    _check_growing_head(buffer, start, end, scanned, limits)
    return end


def _check_growing_head(buffer: bytes, start: int, end: int, scanned: int, limits: HttpLimits) -> None:
    """Refuse a head that is too large or can be seen to be wrong before it is complete."""
    line_end = buffer.find(b"\n", start)
    line_size = (line_end if line_end >= 0 else len(buffer)) - start  # with the CR, if it is there
    if line_size > limits.request_line_max + 1:
        raise UriTooLong(f"a request line has at most {limits.request_line_max} bytes")
    # The three bytes more are the beginning of a CRLF CRLF that may still complete a head of just the allowed size.
    known_end = min(len(buffer) if end < 0 else end, start + limits.headers_total_max + 3)
    if _BARE_LF.search(buffer, max(start, min(scanned, known_end) - 1), known_end):
        raise BadRequest("a line ends in LF without CR")
    if (end - start if end >= 0 else len(buffer) - start - 3) > limits.headers_total_max:
        raise HeadersTooLarge(f"a header block has at most {limits.headers_total_max} bytes")


def parse_head(head: bytes, environ: dict[str, Any], limits: HttpLimits) -> Framing:
    """Judge a header block (without its final CRLF CRLF) and put its CGI keys into ``environ``.

    Sets REQUEST_METHOD, RAW_PATH_INFO, PATH_INFO, QUERY_STRING, SERVER_PROTOCOL, CONTENT_TYPE, CONTENT_LENGTH,
    ``HTTP_*`` and ``nova.headers``: the fields' values by lower-case name, those of a repeated one joined with a comma.
    Names with an underscore are only there: as environ keys they could not be told from those with a dash.

    Raises a RequestError: BadRequest, HeadersTooLarge, UnsupportedTransferEncoding or
    VersionNotSupported.
    """
    lines = split_block(head, limits)
    version = _parse_request_line(lines[0], environ)
    environ["nova.headers"] = _parse_fields(lines, environ)
    return _frame(version, environ)


def split_block(block: bytes, limits: HttpLimits) -> list[str]:
    """Split a block into its lines as latin-1 text, sure that no control character is left in them."""
    lines = block.decode("latin-1").split("\r\n")
    if len(block.translate(None, VISIBLE)) != 2 * (len(lines) - 1):
        raise BadRequest("a control character, or a CR or LF by itself")
    if len(lines) - 1 > limits.header_count_max:
        raise HeadersTooLarge(f"at most {limits.header_count_max} header fields are accepted")
    if len(block) > limits.header_size_max and max(map(len, lines[1:]), default=0) > limits.header_size_max:
        raise HeadersTooLarge(f"a header field has at most {limits.header_size_max} bytes")
    return lines


# -- the request line ---------------------------------------------------------------------------------------------


def _parse_request_line(line: str, environ: dict[str, Any]) -> str:
    """RFC 9112 3: ``method SP request-target SP HTTP-version``, and nothing else. Return the version to speak."""
    parts = line.split(" ")
    if len(parts) != 3:
        raise BadRequest("a request line is a method, a target and a version with single spaces between them")
    method, target, version = parts
    if version != "HTTP/1.1" and version != "HTTP/1.0":
        version = _judge_version(line, version)
    if method not in _METHODS and not _TOKEN.fullmatch(method):
        raise BadRequest("the method is not a token")
    environ["REQUEST_METHOD"] = method  # first: whatever else is wrong, a HEAD is answered without a body
    # RFC 9112 3.2: a target is ASCII without whitespace; a fragment never travels (RFC 3986 3.5).
    if not target.isascii() or "\t" in target or "#" in target:
        raise BadRequest("the request target has characters that must be percent-encoded")
    if target[:1] == "/":
        path, _, query = target.partition("?")
    else:
        path, query = _parse_other_target(method, target, environ)
    environ["RAW_PATH_INFO"] = path
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
    environ["QUERY_STRING"] = query
    environ["SERVER_PROTOCOL"] = version
    return version


def _judge_version(line: str, version: str) -> str:
    if line == "PRI * HTTP/2.0":  # RFC 9113 3.4: the preface is made so that HTTP/1 servers refuse it
        raise BadRequest("HTTP/2 is not spoken here")
    if not _VERSION.fullmatch(version):
        raise BadRequest("the version is not of the form HTTP/1.1")
    if version[5] != "1":
        raise VersionNotSupported("HTTP/1.1 and HTTP/1.0 are spoken here")
    return "HTTP/1.1"  # RFC 9110 2.5: read a higher minor version as the highest one known


def _parse_other_target(method: str, target: str, environ: dict[str, Any]) -> tuple[str, str]:
    """RFC 9112 3.2.2 and 3.2.4: the absolute form, whose authority replaces Host, and the asterisk of OPTIONS."""
    if target == "*" and method == "OPTIONS":
        return "*", ""
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not match[1] or method == "CONNECT":
        raise BadRequest("the request target is neither a path nor an http URI")
    environ["nova.target_authority"] = match[1]
    return match[2] or ("*" if method == "OPTIONS" and match[3] is None else "/"), match[3] or ""


# -- the fields ---------------------------------------------------------------------------------------------------


def _parse_fields(lines: list[str], environ: dict[str, Any]) -> dict[str, str]:
    """Put the field lines (all but the first of ``lines``) into ``environ``; return them by lower-case name."""
    headers: dict[str, str] = {}
    names, known = _names, _lines
    del lines[0]
    for line in lines:
        field = known.get(line)
        if field is not None:
            lower, key, value = field
        else:
            name, colon, value = line.partition(":")
            lower, key = names.get(name) or _learn_name(name)
            if not colon:
                raise BadRequest("a header field without a colon")
            value = value.strip(" \t")
            if lower in _REPEATING and len(line) <= _LINE_SIZE_MAX:
                if len(known) >= _LINES_MAX:  # strangers may have filled it: those that come again are soon back
                    known.clear()
                known[line] = lower, key, value
        if lower in headers:
            if key:
                environ[key] = _combine(key, environ[key], value)
            headers[lower] += "," + value
            continue
        headers[lower] = value
        if key:
            environ[key] = value
    return headers


def _learn_name(name: str) -> tuple[str, str]:
    """Check a field name and find its spellings. A folded line and ``Name :`` have names that are no tokens."""
    check_field_name(name)
    if "_" in name:
        key = ""
    else:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
    if len(_names) < _NAMES_MAX and len(name) <= _NAME_CHARS_MAX:
        _names[name] = name.lower(), key
    return name.lower(), key


def check_field_name(name: str) -> None:
    """Raise BadRequest unless ``name`` is a token: no whitespace, above all none before the colon (RFC 9112 5.1)."""
    if not _TOKEN.fullmatch(name):
        raise BadRequest("a header field name is not a token, or its line is folded")


def _combine(key: str, former: str, value: str) -> str:
    """RFC 9110 5.3: fields of one name are a list; cookies are joined by semicolons (RFC 9113 8.2.3)."""
    if key in _SINGLE:
        raise BadRequest(f"more than one {key.removeprefix('HTTP_').replace('_', '-').title()} field")
    return former + ("; " if key == "HTTP_COOKIE" else ",") + value


# -- framing ------------------------------------------------------------------------------------------------------


def _frame(version: str, environ: dict[str, Any]) -> Framing:
    is_1_1 = version == "HTTP/1.1"
    # PERF: the same host as before, in a request for a path
    if environ.get("HTTP_HOST") not in _hosts or "nova.target_authority" in environ:
        _check_host(is_1_1, environ)
    body_length = 0
    if "HTTP_TRANSFER_ENCODING" in environ:
        _check_transfer_encoding(is_1_1, environ)
        body_length = -1
    elif "CONTENT_LENGTH" in environ:
        body_length = _parse_content_length(environ["CONTENT_LENGTH"])
    connection = environ.get("HTTP_CONNECTION")
    keep_alive = is_1_1 if connection is None else _is_kept(connection, is_1_1)
    expects = False
    # RFC 9110 10.1.1: an expectation in an HTTP/1.0 request is ignored; one that is not known may be, and is, because
    # clients of S3 send such.
    expectation = environ.get("HTTP_EXPECT")
    if expectation is not None and is_1_1 and expectation.lower() == "100-continue":
        expects = body_length != 0
    if not body_length and keep_alive and is_1_1:
        return _USUAL_FRAMING
    return Framing(body_length, keep_alive, is_1_1, expects)


def _check_host(is_1_1: bool, environ: dict[str, Any]) -> None:
    """RFC 9112 3.2: exactly one valid Host in HTTP/1.1; the authority of an absolute target goes before it."""
    host = environ.get("HTTP_HOST")
    if host is None:
        if is_1_1:
            raise BadRequest("an HTTP/1.1 request has a Host field")
    elif host not in _hosts:
        if not _HOST.fullmatch(host):
            raise BadRequest("the Host field is not a host and port")
        if len(_hosts) < _HOSTS_MAX and len(host) < _HOSTS_MAX:
            _hosts.add(host)
    authority = environ.pop("nova.target_authority", None)
    if authority is not None:
        if not _HOST.fullmatch(authority):
            raise BadRequest("the request target's authority is not a host and port")
        environ["HTTP_HOST"] = authority


def _check_transfer_encoding(is_1_1: bool, environ: dict[str, Any]) -> None:
    """RFC 9112 6.1 and 6.3, without the mercy it allows: ``chunked``, alone, in HTTP/1.1, without a length."""
    codings = environ["HTTP_TRANSFER_ENCODING"].lower()
    if "CONTENT_LENGTH" in environ:
        raise BadRequest("both Transfer-Encoding and Content-Length")
    if not is_1_1:
        raise BadRequest("Transfer-Encoding in an HTTP/1.0 request")
    if codings != "chunked":
        names = [coding.strip(" \t") for coding in codings.split(",")]
        if names[-1] == "chunked" and "chunked" not in names[:-1] and all(map(_TOKEN.fullmatch, names)):
            raise UnsupportedTransferEncoding("the only transfer coding known here is chunked")
        raise BadRequest("the Transfer-Encoding is not chunked")


def _parse_content_length(value: str) -> int:
    """RFC 9112 6.2: ``1*DIGIT``. No sign, no underscore, no list: those are where recipients differ."""
    if not value.isdecimal() or len(value) > _CONTENT_LENGTH_DIGITS_MAX:
        raise BadRequest("the Content-Length is not a decimal number")
    return int(value)


def _is_kept(connection: str, is_1_1: bool) -> bool:
    """RFC 9112 9.3: HTTP/1.1 persists unless closed, HTTP/1.0 closes unless kept."""
    options = [option.strip(" \t") for option in connection.lower().split(",")]
    return "close" not in options and (is_1_1 or "keep-alive" in options)


def parse_trailers(block: bytes, limits: HttpLimits) -> dict[str, str]:
    """Read the trailer section of a chunked body (without its final CRLF): lower-case names to values.

    The same strictness and limits as for a header block. Raises BadRequest or HeadersTooLarge.
    """
    trailers: dict[str, str] = {}
    for line in split_block(CRLF + block, limits)[1:] if block else ():
        name, colon, value = line.partition(":")
        check_field_name(name)
        if not colon:
            raise BadRequest("a trailer field without a colon")
        name, value = name.lower(), value.strip(" \t")
        trailers[name] = f"{trailers[name]},{value}" if name in trailers else value
    return trailers
