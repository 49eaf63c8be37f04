"""multipart/form-data as it arrives: the fields before the file into memory, the file as a stream (RFC 7578; RFC 2046
section 5.1).

Strategy: one buffer over the input. Fields are looked for in it whole, which their limit allows; the file is handed on as it
comes, but for as many bytes as could be the begin of the delimiter that ends it.

Laws:

- Strict: a form begins with its boundary, a delimiter is followed by CRLF or by ``--``, every part is a named form-data. What
  a browser would not send is refused, not guessed at; an end without the closing delimiter is no end.
- The end of the file is told only when the rest of the form was found well-formed.
- Fields behind the file are ignored (AWS: "HTML form fields"); they count like those before it.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol
from urllib.parse import unquote

from nova_objectstore.errors import StoreError
from nova_objectstore.limits import FORM_BOUNDARY_BYTES_MAX, FORM_BYTES_MAX
from nova_objectstore.s3.faults import FormTooLarge, MalformedPostRequest

_STEP = 8 * 1024  # bytes asked of the input at once while fields are read
_EOL = b"\r\n"
_HEAD_END = b"\r\n\r\n"
_BOUNDARY_BYTES = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=? ")
# RFC 9110 section 5.6.2
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_ENCODINGS = frozenset(("7bit", "8bit", "binary"))  # the identities; RFC 7578 section 4.7 allows no others
FORM_DATA = "multipart/form-data"


class Input(Protocol):
    """``wsgi.input``."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, empty at the end."""
        ...


class Part(NamedTuple):
    """A part's name, and the name of the file that it is, None where it says none."""

    name: str
    filename: str | None


# -- heads ---------------------------------------------------------------------------------------------------------------


def parse_parameters(text: str) -> tuple[str, dict[str, str]]:
    """``form-data; name="a"; filename="b"`` (a Content-Type alike): the first word in lower-case, and the parameters.

    In quotes a backslash escapes a quote or another backslash, and is itself before anything else: browsers send the paths of
    files. Raises MalformedPostRequest, also for a parameter that is given twice.
    """
    value, semicolon, rest = text.partition(";")
    parameters: dict[str, str] = {}
    while semicolon:
        name, equals, rest = rest.partition("=")
        name, rest = name.strip(" \t").lower(), rest.lstrip(" \t")
        if not equals or not name or not TOKEN.issuperset(name) or name in parameters:
            raise MalformedPostRequest
        if rest.startswith('"'):
            parameters[name], rest = _take_quoted(rest)
            between, semicolon, rest = rest.partition(";")
            if between.strip(" \t"):
                raise MalformedPostRequest
        else:
            word, semicolon, rest = rest.partition(";")
            parameters[name] = word.strip(" \t")
    return value.strip(" \t").lower(), parameters


def _take_quoted(text: str) -> tuple[str, str]:
    """A quoted string's value, and what comes behind it."""
    taken: list[str] = []
    at = 1
    while at < len(text):
        character = text[at]
        if character == '"':
            return "".join(taken), text[at + 1 :]
        if character == "\\" and text[at + 1 : at + 2] in ('"', "\\"):
            at += 1
            character = text[at]
        taken.append(character)
        at += 1
    raise MalformedPostRequest


def read_boundary(content_type: str) -> bytes | None:
    """The boundary of a form's Content-Type; None where it is no form's. Raises MalformedPostRequest for a bad one."""
    if content_type.partition(";")[0].strip(" \t").lower() != FORM_DATA:
        return None
    boundary = parse_parameters(content_type)[1].get("boundary", "").encode("latin-1")
    if not 1 <= len(boundary) <= FORM_BOUNDARY_BYTES_MAX or boundary.endswith(b" "):
        raise MalformedPostRequest
    if not _BOUNDARY_BYTES.issuperset(boundary):
        raise MalformedPostRequest
    return boundary


def parse_head(head: bytes) -> Part:
    """A part's head, its lines without the empty one behind them. Raises MalformedPostRequest."""
    fields: dict[str, str] = {}
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise MalformedPostRequest from None
    for line in lines:
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or not name or not TOKEN.issuperset(name) or name in fields or not _is_plain(value):
            raise MalformedPostRequest
        fields[name] = value.strip(" \t")
    if fields.get("content-transfer-encoding", "binary").lower() not in _ENCODINGS:
        raise MalformedPostRequest
    kind, parameters = parse_parameters(fields.get("content-disposition", ""))
    if kind != "form-data" or not parameters.get("name"):
        raise MalformedPostRequest
    return Part(_unescape(parameters["name"]), _read_filename(parameters))


def _is_plain(value: str) -> bool:
    return not any((ord(character) < 32 and character != "\t") or character == "\x7f" for character in value)


def _read_filename(parameters: dict[str, str]) -> str | None:
    extended = parameters.get("filename*")
    if extended is not None:  # RFC 7578 section 4.2 does without; older clients send it for names beyond ASCII
        charset, _, encoded = extended.partition("''")
        if charset.lower() != "utf-8":
            raise MalformedPostRequest
        try:
            return unquote(encoded, errors="strict")
        except UnicodeDecodeError:
            raise MalformedPostRequest from None
    filename = parameters.get("filename")
    return _unescape(filename) if filename is not None else None


def _unescape(text: str) -> str:
    """What browsers write for a quote (HTML: "multipart/form-data encoding algorithm")."""
    return text.replace("%22", '"')


# -- bodies --------------------------------------------------------------------------------------------------------------


class FormReader:
    """A form's body: ``next_field`` until it answers a part that is the file, then ``read``."""

    __slots__ = ("_allowed", "_begun", "_buffer", "_delimiter", "_ended", "_error", "_in_file", "_input")

    def __init__(self, source: Input, boundary: bytes, *, size_max: int = FORM_BYTES_MAX) -> None:
        self._input = source
        self._delimiter = b"\r\n--" + boundary
        self._buffer = b""
        self._allowed = size_max  # bytes of all but the file that may still come
        self._begun = False
        self._in_file = False
        self._ended = False
        self._error: StoreError | None = None

    # -- fields ------------------------------------------------------------------------------------------------------

    def next_field(self, file_name: str) -> tuple[Part, bytes] | None:
        """The next field and its value; of the part called ``file_name`` (in any case) the value is to be read. None at
        the end of a form without one.

        Raises MalformedPostRequest, FormTooLarge, and what the input raises.
        """
        if not self._begun:
            self._begun = True
            self._take_opening()
        part = self._next_part()
        if part is None:
            self._skip_epilogue()
            return None
        if part.name.lower() == file_name:
            self._in_file = True
            return part, b""
        return part, self._take_until(self._delimiter)

    def _take_opening(self) -> None:
        opening = self._delimiter[2:]
        while len(self._buffer) < len(self._delimiter) and self._fill():
            pass
        if self._buffer.startswith(_EOL):  # RFC 2046: the line break before a delimiter is the delimiter's
            self._spend(2)
        if not self._buffer.startswith(opening):
            raise MalformedPostRequest
        self._spend(len(opening))

    def _next_part(self) -> Part | None:
        """The head of the part that begins behind a delimiter; None behind the last."""
        while len(self._buffer) < 2 and self._fill():
            pass
        if self._buffer.startswith(b"--"):
            self._spend(2)
            return None
        if not self._buffer.startswith(_EOL):
            raise MalformedPostRequest
        self._spend(2)
        return parse_head(self._take_until(_HEAD_END))

    def _take_until(self, mark: bytes) -> bytes:
        """The bytes before ``mark``, which is taken too."""
        start = 0
        while (found := self._buffer.find(mark, start)) < 0:
            start = max(0, len(self._buffer) - len(mark) + 1)
            if len(self._buffer) > self._allowed:
                raise FormTooLarge(max_post_pre_data_length_bytes=FORM_BYTES_MAX)
            if not self._fill():
                raise MalformedPostRequest
        taken = self._buffer[:found]
        self._spend(found + len(mark))
        return taken

    def _spend(self, count: int) -> None:
        self._allowed -= count
        if self._allowed < 0:
            raise FormTooLarge(max_post_pre_data_length_bytes=FORM_BYTES_MAX)
        self._buffer = self._buffer[count:]

    def _fill(self) -> bool:
        more = self._input.read(_STEP)
        self._buffer += more
        return bool(more)

    # -- the file ------------------------------------------------------------------------------------------------------

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes of the file, empty at its end; by then the rest of the form was read.

        Raises MalformedPostRequest, FormTooLarge (fields behind the file), and what the input raises; again and again.
        """
        assert self._in_file, "the fields come first"
        if self._error is not None:
            raise self._error
        try:
            return b"" if self._ended else self._read(size)
        except StoreError as error:
            self._error = error
            raise

    def _read(self, size: int) -> bytes:
        held_back = len(self._delimiter) - 1
        while True:
            found = self._buffer.find(self._delimiter)
            ready = found if found >= 0 else len(self._buffer) - held_back
            if found == 0:
                self._finish()
                return b""
            if ready > 0:
                piece = self._buffer[: min(ready, size)]
                self._buffer = self._buffer[len(piece) :]
                return piece
            # PERF: as much as was asked for, so that large files pass in large pieces
            more = self._input.read(max(size, _STEP))
            if not more:
                raise MalformedPostRequest
            self._buffer += more

    def _finish(self) -> None:
        """Take what is behind the file: the delimiter, fields that are ignored, the closing delimiter."""
        self._spend(len(self._delimiter))
        while self._next_part() is not None:
            self._take_until(self._delimiter)
        self._skip_epilogue()
        self._ended = True

    def _skip_epilogue(self) -> None:
        while self._buffer or self._fill():
            self._spend(len(self._buffer))
