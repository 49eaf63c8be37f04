"""A browser's form (AWS: "Browser-Based Uploads Using POST"): its fields as the headers of a write, its policy, its file.

Laws:

- What a form says, its fields say: of the request's own headers only those count that no policy could speak of, or that
  narrow what is done. An x-amz-acl beside a signed form is not the form's.
- The fields are verified and held against the policy before anything else is looked at; the size is when the file was read.
- A name is given once, whatever its case: which of two would be meant, the policy would not know either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import quote_plus

from nova_objectstore.checksums import CRC64NVME
from nova_objectstore.errors import EntityTooLarge, InvalidArgument, MissingContentLength
from nova_objectstore.limits import OBJECT_TAGS_MAX
from nova_objectstore.s3.address import check_key
from nova_objectstore.s3.auth.post_policy import V2_FIELDS, V4_FIELDS, PostPolicy, parse_policy
from nova_objectstore.s3.checksums import BodyCheck, Hasher, parse_algorithm, read_claim, read_content_md5
from nova_objectstore.s3.faults import MalformedPostRequest, NoFileInForm, NotAForm
from nova_objectstore.s3.multipart_form import FORM_DATA, TOKEN, FormReader, read_boundary
from nova_objectstore.s3.object_headers import SYSTEM_HEADERS
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.tags import parse_tagging

FILE = "file"
_FILENAME = "${filename}"
_IGNORED = "x-ignore-"
_SIGNING = frozenset((*V4_FIELDS, *V2_FIELDS))

# Fields that stand for headers of a write; those that begin with x-amz- do so by their own names.
_AS_HEADERS = {name: name for name in SYSTEM_HEADERS} | {
    "acl": "x-amz-acl",
    "content-md5": "content-md5",
    "if-match": "if-match",
    "if-none-match": "if-none-match",
}
# Of the request's own headers, those that are not about the request but about an object, and those that sign.
_NOT_THE_FORM_S = frozenset((*SYSTEM_HEADERS, "content-md5", "authorization"))
_OF_THE_REQUEST = frozenset(("x-amz-request-payer", "x-amz-expected-bucket-owner"))

_has_controls = re.compile(r"[\x00-\x1f\x7f]").search


class PostForm:
    """A form whose fields were read and whose file is next. ``fields``: by lower-case name, ``${filename}`` filled in."""

    __slots__ = ("_reader", "fields", "key", "policy")

    def __init__(self, reader: FormReader, fields: Mapping[str, str]) -> None:
        self._reader = reader
        self.fields = fields
        self.key = _read_key(fields)
        self.policy: PostPolicy | None = None

    def check_policy(self, *, bucket: str, now_s: float) -> None:
        """Hold the fields against the policy that was signed with them. Raises InvalidPolicyDocument, AccessDenied."""
        self.policy = parse_policy(self.fields["policy"])
        self.policy.check(self.fields, bucket=bucket, key=self.key, now_s=now_s)

    def read_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The headers of the write that the form asks for; ``headers`` are those of its request.

        Raises InvalidArgument, and what a Tagging document raises.
        """
        written = {name: value for name, value in headers.items() if _is_of_the_request(name)}
        for name, value in self.fields.items():
            header = _AS_HEADERS.get(name, name if name.startswith("x-amz-") else "")
            if header:
                written[header] = _header_value(header, value)
        if "tagging" in self.fields:
            tags = parse_tagging(self.fields["tagging"].encode(), tags_max=OBJECT_TAGS_MAX)
            written["x-amz-tagging"] = "&".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in tags.items())
        return written

    def open_file(self, headers: Mapping[str, str]) -> FormFile:
        """The file, with the digests that ``headers`` (those of the write) claim. Raises InvalidDigest, InvalidRequest, ..."""
        said = headers.get("x-amz-checksum-algorithm")
        check = BodyCheck(
            content_md5=read_content_md5(headers),
            claim=read_claim(headers),
            algorithm=parse_algorithm(said) if said else CRC64NVME,
        )
        return FormFile(self._reader, check, self.policy)


class FormFile:
    """A form's file as the domain takes bodies in; its length is told by its end alone."""

    __slots__ = ("_check", "_policy", "_reader", "_total", "digests", "hashers", "size")

    def __init__(self, reader: FormReader, check: BodyCheck, policy: PostPolicy | None) -> None:
        self._reader = reader
        self._check = check
        self._policy = policy
        self._total = 0
        self.hashers: Sequence[Hasher] = check.hashers
        self.digests = check.digests
        self.size: int | None = None

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes, empty at the end. Raises MalformedPostRequest, EntityTooLarge as soon as it is."""
        piece = self._reader.read(size)
        self._total += len(piece)
        policy = self._policy
        if policy is not None and policy.size_max is not None and self._total > policy.size_max:
            raise EntityTooLarge(proposed_size=self._total, max_size_allowed=policy.size_max)
        return piece

    def finish(self) -> None:
        """Judge size and digests. Raises EntityTooSmall, EntityTooLarge, BadDigest and its like."""
        if self._policy is not None:
            self._policy.check_size(self._total)
        self._check.verify()


# -- reading a form ------------------------------------------------------------------------------------------------------


def open_form(req: S3Request) -> PostForm:
    """Read a request's form up to its file.

    Raises NotAForm, MissingContentLength, InvalidArgument (a signature beside the form's own, a field missing or given
    twice), NoFileInForm, MalformedPostRequest, FormTooLarge, KeyTooLongError.
    """
    boundary = read_boundary(req.headers.get("content-type", ""))
    if boundary is None:
        raise NotAForm(condition=f"Bucket POST must be of the enclosure-type {FORM_DATA}")
    if req.content_length is None and "transfer-encoding" not in req.headers:
        raise MissingContentLength
    if "authorization" in req.headers:
        raise InvalidArgument(
            "Only one auth mechanism allowed; a form is signed by its fields, and by no Authorization header",
            argument_name="Authorization",
        )
    reader = FormReader(req.environ["wsgi.input"], boundary)
    fields: dict[str, str] = {}
    while (found := reader.next_field(FILE)) is not None:
        part, value = found
        name = part.name.lower()
        if name == FILE:
            return PostForm(reader, _fill_in(fields, part.filename))
        if name in fields and not name.startswith(_IGNORED):
            raise InvalidArgument(
                f"Bucket POST must contain at most one field named '{part.name}'.", argument_name=part.name
            )
        fields[name] = _decode(value)
    raise NoFileInForm


def _decode(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedPostRequest from None


def _fill_in(fields: Mapping[str, str], filename: str | None) -> dict[str, str]:
    """Fields with the file's own name where they ask for it: what is behind the last slash or backslash."""
    name = re.split(r"[/\\]", filename or "")[-1]
    return {
        field: value if field in _SIGNING or _FILENAME not in value else value.replace(_FILENAME, name)
        for field, value in fields.items()
    }


def _read_key(fields: Mapping[str, str]) -> str:
    key = fields.get("key")
    if key is None:
        raise InvalidArgument(
            "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
            argument_name="key",
            argument_value="",
        )
    if not key:
        raise InvalidArgument("User key must have a length greater than 0.", argument_name="key", argument_value="")
    check_key(key)
    return key


def _is_of_the_request(name: str) -> bool:
    return name in _OF_THE_REQUEST or not (name in _NOT_THE_FORM_S or name.startswith("x-amz-"))


def _header_value(name: str, value: str) -> str:
    """A field's value as a header has it: its UTF-8 bytes as latin-1. Raises InvalidArgument for what is no header."""
    value = value.strip()
    if not TOKEN.issuperset(name) or _has_controls(value):  # APPSEC: both are answered in a header
        raise InvalidArgument("The field cannot be a header", argument_name=name)
    return value if value.isascii() else value.encode().decode("latin-1")
