"""What a request knows of itself, by condition key: computed when a policy asks, and only for operations that have it.

Law: a key that AWS does not define for an operation is not there for it. ``?prefix=home/`` on a GetObject must not look
like a listing of ``home/``, nor an x-amz-acl header on it like a write.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from nova_objectstore.domain.objects import Objects
from nova_objectstore.domain.policy.conditions import read_date
from nova_objectstore.domain.uploads import Uploads
from nova_objectstore.errors import MissingError, NoSuchKey, NoSuchUpload, NoSuchVersion
from nova_objectstore.limits import OBJECT_TAGS_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.body import read_document
from nova_objectstore.s3.copy_source import COPY_SOURCE, parse_copy_source
from nova_objectstore.s3.dates import iso_date
from nova_objectstore.s3.lock_headers import LEGAL_HOLD, MODE, RETAIN_UNTIL
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.tags import parse_tagging, parse_tagging_header
from nova_objectstore.types import Bucket, Version

PAYER = "x-amz-request-payer"
DAY_S = 24 * 3600

CREATING = frozenset(("PutObject", "PostObject", "CopyObject", "CreateMultipartUpload"))
COPYING = frozenset(("CopyObject", "UploadPartCopy"))
# Where an object comes to be; the other writes of s3:PutObject only prepare it.
OBJECT_CREATION = frozenset(("PutObject", "PostObject", "CopyObject", "CompleteMultipartUpload"))
PUTTING = CREATING | OBJECT_CREATION | frozenset(("UploadPart", "UploadPartCopy"))
LISTING = frozenset(("ListObjects", "ListObjectsV2", "ListObjectVersions"))
CONDITIONAL = OBJECT_CREATION | frozenset(("DeleteObject", "RenameObject"))
GRANTING = CREATING | frozenset(("CreateBucket", "PutBucketAcl", "PutObjectAcl"))
OWNING = frozenset(("CreateBucket", "PutBucketOwnershipControls"))


class Sources(NamedTuple):
    """What contexts read from, the clock (seconds since 1970) and the region."""

    objects: Objects
    uploads: Uploads
    clock_s: Callable[[], float]
    region: str


class RequestContext:
    """The context of a request, or of a second resource that it touches.

    ``operation``: whose keys there are; empty for none but those that every request has. ``told``: values of keys that
    are not read from the request. ``inline``: a small object's bytes are read with its version.
    """

    __slots__ = (
        "_inline", "_is_read", "_missing", "_sources", "_version", "bucket", "key", "operation", "req", "told",
        "version_id",
    )  # fmt: skip

    def __init__(
        self,
        req: S3Request,
        sources: Sources,
        *,
        operation: str,
        bucket: Bucket | None = None,
        key: str = "",
        version_id: str | None = None,
        inline: bool = False,
        told: Mapping[str, str] | None = None,
    ) -> None:
        self.req = req
        self._inline = inline
        self._sources = sources
        self.operation = operation
        self.bucket = bucket
        self.key = key
        self.version_id = version_id
        self.told = told
        self._is_read = False
        self._version: Version | None = None
        self._missing: MissingError | None = None

    # -- keys ------------------------------------------------------------------------------------------------------

    def values(self, key: str) -> Sequence[str] | None:
        """The values of a condition key; None when the request has no such key."""
        if self.told is not None and key in self.told:
            return (self.told[key],)
        name, slash, tag = key.partition("/")
        if slash:
            read_tags = _TAGS.get(name)
            return None if read_tags is None else _find_tag(read_tags(self), tag)
        if key == "s3:requestobjecttagkeys":
            tags = _requested_tags(self)
            return tuple(tags) if tags is not None else None
        row = _KEYS.get(key)
        if row is None or (row.operations is not None and self.operation not in row.operations):
            return None
        value = row.read(self)
        return None if value is None else (value,)

    # -- what the request is about -------------------------------------------------------------------------------------

    def version(self) -> Version | None:
        """The version that the request is about, read once and kept; None when there is none."""
        if not self._is_read and self.bucket is not None and self.key:
            self._is_read = True
            try:
                self._version = self._sources.objects.get(self.bucket, self.key, self.version_id, inline=self._inline)
            except (NoSuchKey, NoSuchVersion) as error:
                self._missing = error.anew()
        return self._version

    def missing(self) -> MissingError | None:
        """Why ``version`` answered None."""
        self.version()
        return self._missing.anew() if self._missing is not None else None

    @property
    def judged(self) -> Version | None:
        """The version that was read while the request was judged, None when nothing was."""
        return self._version

    def initiator(self) -> str | None:
        """The ARN of who began the upload that the request names."""
        upload_id = self.req.query.get("uploadId")
        if not upload_id or self.bucket is None:
            return None
        try:
            return self._sources.uploads.get(self.bucket, self.key, upload_id).initiator
        except NoSuchUpload:
            return None

    def pays(self) -> bool:
        """Whether the request says that who asks will pay."""
        return (self.req.headers.get(PAYER) or self.req.query.get(PAYER, "")).lower() == "requester"

    # -- second resources ----------------------------------------------------------------------------------------------

    def listing(self, prefix: str) -> RequestContext:
        """What a listing of ``prefix`` by the same request would know."""
        return RequestContext(self.req, self._sources, operation="", told={"s3:prefix": prefix})

    def beside(
        self,
        bucket: Bucket,
        key: str,
        version_id: str | None = None,
        *,
        operation: str = "",
        inline: bool = False,
        told: Mapping[str, str] | None = None,
    ) -> RequestContext:
        """The context of another object that the same request touches."""
        return RequestContext(
            self.req,
            self._sources,
            operation=operation,
            bucket=bucket,
            key=key,
            version_id=version_id,
            inline=inline,
            told=told,
        )

    @property
    def now_s(self) -> float:
        """Seconds since 1970."""
        return self._sources.clock_s()

    @property
    def region(self) -> str:
        """This store's."""
        return self._sources.region

    def document(self) -> xml.Node | None:
        """The request's XML document; None for an empty body. Raises MalformedXML."""
        if not self.req.body:
            self.req.body = read_document(self.req)
        return xml.parse(self.req.body) if self.req.body else None


# -- tags ------------------------------------------------------------------------------------------------------------


def _find_tag(tags: Mapping[str, str] | None, name: str) -> Sequence[str] | None:
    """A tag's value; its name is not case-sensitive where only one fits (AWS: aws:ResourceTag)."""
    if not tags:
        return None
    if name in tags:
        return (tags[name],)
    folded = [value for key, value in tags.items() if key.lower() == name.lower()]
    return (folded[0],) if len(folded) == 1 else None


def _existing_tags(context: RequestContext) -> Mapping[str, str] | None:
    if context.operation in PUTTING:
        return None
    version = context.version()
    return version.tags if version is not None else None


def _requested_tags(context: RequestContext) -> Mapping[str, str] | None:
    if context.operation in CREATING:
        header = context.req.headers.get("x-amz-tagging")
        return parse_tagging_header(header) if header is not None else None
    if context.operation == "PutObjectTagging":
        context.document()
        return parse_tagging(context.req.body, tags_max=OBJECT_TAGS_MAX)
    return None


_TAGS: Mapping[str, Callable[[RequestContext], Mapping[str, str] | None]] = {
    "s3:existingobjecttag": _existing_tags,
    "s3:requestobjecttag": _requested_tags,
}


# -- keys ------------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A condition key: how it is read, and which operations have it (None: all)."""

    read: Callable[[RequestContext], str | None]
    operations: frozenset[str] | None = None


def _header(name: str, operations: frozenset[str] | None = None) -> Row:
    return Row(lambda context: context.req.headers.get(name), operations)


def _query(name: str, operations: frozenset[str]) -> Row:
    return Row(lambda context: context.req.query.get(name), operations)


def _copy_source(context: RequestContext) -> str | None:
    """``bucket/key``, decoded, without the slash that may stand before it; the version is s3:VersionId's."""
    header = context.req.headers.get(COPY_SOURCE)
    if header is None:
        return None
    source = parse_copy_source(header)
    return f"{source.bucket}/{source.key}"


def _address(context: RequestContext) -> str | None:
    address = str(context.req.environ.get("REMOTE_ADDR", ""))
    return address.partition("%")[0] or None


def _signature_age(context: RequestContext) -> str | None:
    auth = context.req.auth
    return None if auth is None else str(max(0, int((context.now_s - auth.signed_at_s) * 1000)))


def _location(context: RequestContext) -> str | None:
    root = context.document()
    return xml.optional_text(root, "LocationConstraint") if root is not None else None


def _from_header_or(header: str, operation: str, element: str) -> Row:
    """What a write says in a header, and an operation of its own in its document."""

    def read(context: RequestContext) -> str | None:
        if context.operation != operation:
            return context.req.headers.get(header)
        root = context.document()
        return xml.optional_text(root, element) if root is not None else None

    return Row(read, CREATING | {operation})


_RETAIN_UNTIL = _from_header_or(RETAIN_UNTIL, "PutObjectRetention", "RetainUntilDate")


def _remaining_days(context: RequestContext) -> str | None:
    until = _RETAIN_UNTIL.read(context)
    if until is None:
        return None
    try:
        return str(math.ceil((read_date(until) - context.now_s) / DAY_S))
    except (ValueError, OverflowError):
        return None  # the operation refuses the date


_GRANT_HEADERS = ("read", "write", "read-acp", "write-acp", "full-control")

_KEYS: Mapping[str, Row] = {
    "aws:currenttime": Row(lambda context: iso_date(int(context.now_s * 1_000_000))),
    "aws:epochtime": Row(lambda context: str(int(context.now_s))),
    "aws:referer": _header("referer"),
    "aws:requestedregion": Row(lambda context: context.region),
    "aws:securetransport": Row(
        lambda context: "true" if context.req.environ.get("wsgi.url_scheme") == "https" else "false"
    ),
    "aws:sourceip": Row(_address),
    "aws:useragent": _header("user-agent"),
    "aws:viaawsservice": Row(lambda context: "false"),
    "s3:authtype": Row(lambda context: str(context.req.auth.auth_type) if context.req.auth is not None else None),
    "s3:delimiter": _query("delimiter", LISTING),
    "s3:if-match": _header("if-match", CONDITIONAL),
    "s3:if-none-match": _header("if-none-match", CONDITIONAL),
    "s3:locationconstraint": Row(_location, frozenset(("CreateBucket",))),
    "s3:max-keys": _query("max-keys", LISTING),
    "s3:object-lock-legal-hold": _from_header_or(LEGAL_HOLD, "PutObjectLegalHold", "Status"),
    "s3:object-lock-mode": _from_header_or(MODE, "PutObjectRetention", "Mode"),
    "s3:object-lock-remaining-retention-days": Row(_remaining_days, _RETAIN_UNTIL.operations),
    "s3:object-lock-retain-until-date": _RETAIN_UNTIL,
    "s3:objectcreationoperation": Row(
        lambda context: "true" if context.operation in OBJECT_CREATION else "false", PUTTING
    ),
    "s3:prefix": _query("prefix", LISTING),
    "s3:signatureage": Row(_signature_age),
    "s3:signatureversion": Row(lambda context: str(context.req.auth.version) if context.req.auth is not None else None),
    "s3:tlsversion": Row(lambda context: context.req.environ.get("nova.tls_version")),
    "s3:versionid": Row(lambda context: context.version_id),
    "s3:x-amz-acl": _header("x-amz-acl", GRANTING),
    "s3:x-amz-content-sha256": _header("x-amz-content-sha256"),
    "s3:x-amz-copy-source": Row(_copy_source, COPYING),
    "s3:x-amz-metadata-directive": _header("x-amz-metadata-directive", COPYING),
    "s3:x-amz-object-ownership": _header("x-amz-object-ownership", OWNING),
    "s3:x-amz-server-side-encryption": _header("x-amz-server-side-encryption", PUTTING),
    "s3:x-amz-server-side-encryption-aws-kms-key-id": _header("x-amz-server-side-encryption-aws-kms-key-id", PUTTING),
    "s3:x-amz-server-side-encryption-customer-algorithm": _header(
        "x-amz-server-side-encryption-customer-algorithm", PUTTING | {"GetObject", "HeadObject"}
    ),
    "s3:x-amz-storage-class": _header("x-amz-storage-class", CREATING),
    "s3:x-amz-website-redirect-location": _header("x-amz-website-redirect-location", CREATING),
    **{f"s3:x-amz-grant-{name}": _header(f"x-amz-grant-{name}", GRANTING) for name in _GRANT_HEADERS},
}
