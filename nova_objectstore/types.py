"""Frozen values that every layer may use.

Laws: times are integer microseconds since 1970 (``_us``); sizes are bytes; ETags and checksums carry no quotes; keys are
``str`` whose UTF-8 is at most 1,024 bytes and has no NUL; a row of the hot path is a NamedTuple, built straight from SQL.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nova_objectstore.domain.policy.document import Policy

# PERF: ``new_tuple(Answer, (status, headers, body))`` is ``Answer(status, headers, body)`` at a third of its cost, for what
# every request makes. It needs all fields, in order.
new_tuple = tuple.__new__

NULL_VERSION = "null"  # S3: the id of a version written while versioning was never enabled, or suspended


class Account(NamedTuple):
    """An AWS-like account: the owner of buckets, and the principal its root key pair stands for."""

    id: str  # 12 digits
    canonical_id: str  # 64 hex digits
    name: str
    email: str
    created_us: int


class AccessKey(NamedTuple):
    """A key pair, and whose it is. ``user_name`` is None for an account's root."""

    access_key: str
    secret_key: str
    account_id: str
    user_name: str | None
    active: bool
    created_us: int

    def __repr__(self) -> str:
        return f"AccessKey({self.access_key!r}, account_id={self.account_id!r}, user_name={self.user_name!r})"


class Versioning(enum.StrEnum):
    """A bucket's versioning state (AWS: PutBucketVersioning)."""

    OFF = ""  # never enabled: AWS answers no Status element
    ENABLED = "Enabled"
    SUSPENDED = "Suspended"


# PERF: Python 3.11 takes 0.15 us to look a member of an enum up in its class: what every request asks for has a name here.
UNVERSIONED, VERSIONED, SUSPENDED = Versioning.OFF, Versioning.ENABLED, Versioning.SUSPENDED


class Bucket(NamedTuple):
    """A bucket as every request needs it. ``revision`` grows with every change of the bucket or its documents."""

    id: int
    name: str
    owner_id: str  # the account's 12 digits
    region: str
    created_us: int
    versioning: Versioning
    object_lock: bool
    revision: int


class Checksum(NamedTuple):
    """An additional checksum (AWS: "Checking object integrity")."""

    algorithm: str  # CRC32 | CRC32C | CRC64NVME | SHA1 | SHA256
    type: str  # FULL_OBJECT | COMPOSITE
    value: str  # base64; a composite one ends in "-N"


class Lock(NamedTuple):
    """Object lock of one version. ``retain_until_us`` is 0 and ``mode`` empty without a retention."""

    mode: str = ""  # "" | GOVERNANCE | COMPLIANCE
    retain_until_us: int = 0
    legal_hold: bool = False


NO_LOCK = Lock()


class ContentKind(enum.IntEnum):
    """Where a version's bytes lie."""

    INLINE = 0  # in the metadata database
    DATA = 1  # one ref of the data engine
    PARTS = 2  # a list of parts, each with its own content
    NOTHING = 3  # a delete marker


# PERF: as above
INLINE, DATA, PARTS = ContentKind.INLINE, ContentKind.DATA, ContentKind.PARTS
MARKER = ContentKind.NOTHING


class Content(NamedTuple):
    """A version's (or a part's) bytes: exactly one of the three forms that ``kind`` names.

    ``ref`` is the data engine's name for DATA. ``inline`` holds the bytes for INLINE, when they were asked for. PARTS are
    fetched with ``MetadataEngine.list_content_parts``.
    """

    kind: ContentKind
    ref: str = ""
    inline: bytes | None = None


NOTHING = Content(MARKER)


class Version(NamedTuple):
    """One version of one key, or a delete marker (``content.kind`` NOTHING)."""

    bucket_id: int
    key: str
    version_id: str  # NULL_VERSION or an opaque id
    sequence: int  # orders the versions of a key: a later one is greater
    is_latest: bool
    size: int
    etag: str
    modified_us: int
    owner_id: str
    storage_class: str
    headers: Mapping[str, str]  # as GET answers them: Content-Type, Cache-Control, ..., x-amz-meta-*
    checksum: Checksum | None
    parts_count: int  # 0 for an object that was not a multipart upload
    content: Content
    tags: Mapping[str, str]
    lock: Lock
    extra: Mapping[str, str]  # facts of later layers (encryption, restore state): opaque to the engine

    @property
    def is_marker(self) -> bool:
        """Whether this is a delete marker."""
        return self.content.kind is MARKER


class NewVersion(NamedTuple):
    """What a write hands to the metadata engine; the engine adds version id and sequence."""

    key: str
    size: int
    etag: str
    modified_us: int
    owner_id: str
    content: Content  # INLINE with its bytes, or DATA with a durable ref
    headers: Mapping[str, str] = {}
    storage_class: str = "STANDARD"
    checksum: Checksum | None = None
    tags: Mapping[str, str] = {}
    lock: Lock = NO_LOCK
    extra: Mapping[str, str] = {}


class WriteCondition(NamedTuple):
    """What must hold, inside the transaction, for a write or a delete to happen (AWS: "Conditional requests").

    ``if_match`` is an ETag without quotes, or ``*`` (the key exists). ``if_none_match`` means the key must not exist,
    ``if_none_match_etag`` that it must not exist with that ETag.
    ``size`` and ``modified_us`` (whole seconds) are DeleteObject's further conditions.
    """

    if_match: str | None = None
    if_none_match: bool = False
    size: int | None = None
    modified_us: int | None = None
    if_none_match_etag: str | None = None


UNCONDITIONAL = WriteCondition()


class Deleted(NamedTuple):
    """What a DELETE did: AWS's x-amz-version-id and x-amz-delete-marker."""

    version_id: str | None  # of the marker made, or of the version removed; None on an unversioned bucket
    is_marker: bool  # a marker was made, or the version removed was one


class ListQuery(NamedTuple):
    """A page of keys. ``after`` is exclusive; ``limit`` counts keys and common prefixes together, 0 to 1,000."""

    prefix: str = ""
    delimiter: str = ""
    after: str = ""  # the last key or common prefix already seen
    limit: int = 1000


class Listed(NamedTuple):
    """What a listing shows of a current object."""

    bucket_id: int
    key: str
    sequence: int
    size: int
    etag: str
    modified_us: int
    owner_id: str
    storage_class: str | None  # None: STANDARD, as it is stored
    checksum_algorithm: str | None
    checksum_type: str | None


ListedRow = tuple[int, str, int, int, str, int, str, str | None, str | None, str | None]


class ListPage(NamedTuple):
    """Keys and common prefixes in UTF-8 byte order; ``next_after`` is None on the last page."""

    rows: Sequence[ListedRow]  # PERF: plain tuples as SQL gives them, in the order of Listed's fields
    common_prefixes: Sequence[str]
    next_after: str | None

    @property
    def versions(self) -> Sequence[Listed]:
        """The rows, with names for their columns."""
        return [Listed(*row) for row in self.rows]


class VersionsQuery(NamedTuple):
    """A page of all versions. With ``version_id_after`` the page starts inside ``after``'s versions, behind that one."""

    prefix: str = ""
    delimiter: str = ""
    after: str = ""
    version_id_after: str = ""
    limit: int = 1000


class VersionsPage(NamedTuple):
    """Versions and markers by key, newest first; next markers are None on the last page."""

    versions: Sequence[Version]
    common_prefixes: Sequence[str]
    next_key: str | None
    next_version_id: str | None


class Upload(NamedTuple):
    """A multipart upload in progress."""

    bucket_id: int
    key: str
    upload_id: str
    initiated_us: int
    owner_id: str  # the account that owns the object to be
    initiator: str  # ARN of who began it
    storage_class: str
    headers: Mapping[str, str]
    checksum_algorithm: str  # "" when none was asked for
    checksum_type: str  # "" | FULL_OBJECT | COMPOSITE
    tags: Mapping[str, str]
    lock: Lock
    extra: Mapping[str, str]


class Part(NamedTuple):
    """A part: of an upload in progress, or of a completed object (then ``offset`` says where its first byte stands)."""

    number: int
    size: int
    etag: str
    modified_us: int
    checksum: Checksum | None  # of this part alone
    content: Content
    offset: int = 0
    extra: Mapping[str, str] = {}


class UploadsQuery(NamedTuple):
    """A page of uploads in progress, by key and then by time of initiation."""

    prefix: str = ""
    delimiter: str = ""
    key_after: str = ""
    upload_id_after: str = ""
    limit: int = 1000


class UploadsPage(NamedTuple):
    """Uploads and common prefixes; next markers are None on the last page."""

    uploads: Sequence[Upload]
    common_prefixes: Sequence[str]
    next_key: str | None
    next_upload_id: str | None


class Garbage(NamedTuple):
    """Data that no version refers to any more."""

    id: int
    ref: str
    queued_us: int


class SessionKind(enum.StrEnum):
    """How a session began (AWS: "Compare AWS STS credentials")."""

    ROLE = "role"  # AssumeRole, AssumeRoleWithWebIdentity
    USER = "user"  # GetSessionToken: it acts as the user or root that asked
    FEDERATED = "federated"  # GetFederationToken


class SessionFacts(NamedTuple):
    """What a session's principal carries beside its names and condition keys.

    ``policies``: the session policies, None where none narrow what its identity may do. ``transitive_tags`` and
    ``source_identity`` go on to the sessions that are begun from this one.
    """

    kind: SessionKind
    policies: Sequence[Policy] | None = None
    transitive_tags: Mapping[str, str] = {}
    source_identity: str = ""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: an account's root, an IAM user, a role's session, a service of this store, or nobody (anonymous).

    ``arn`` is that of the root, the user or the session. ``session`` holds what a session was begun with, by condition
    key (``aws:tokenissuetime``, ``aws:principaltag/team``): names in lower-case but for those of tags.
    """

    account_id: str = ""
    canonical_id: str = ""
    arn: str = ""
    user_name: str | None = None
    access_key: str = ""
    is_admin: bool = False
    session: Mapping[str, str] = field(default_factory=dict)
    user_id: str = ""  # aws:userid: AIDA... of a user, AROA...:session of a session; empty for a root
    role_arn: str = ""  # of a role's session; of a federated user's, the ARN of who began it
    service: str = ""  # "logging.s3.amazonaws.com": this store's own, acting for a bucket's owner
    begun: SessionFacts | None = None  # of a session: None for who signs with a key of its own
    is_root: bool = field(init=False, repr=False, compare=False)  # whether it is an account's root

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_root", self.arn.endswith(":root"))  # PERF: every request asks

    @property
    def is_anonymous(self) -> bool:
        """Whether the request was not signed."""
        return not self.account_id and not self.service


ANONYMOUS = Principal()
