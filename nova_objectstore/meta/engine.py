"""THE METADATA ENGINE, the port: what a store of accounts, buckets, versions and uploads can do.

Laws, for every engine (``tests/nova_objectstore/meta`` runs one conformance suite on each):

- A verb is one whole transaction: it happened and is durable when the verb returns, or nothing of it happened.
  No connection, cursor or transaction crosses this port.
- Conditions (``WriteCondition``, object lock) are checked inside the transaction that writes.
- Verbs that take ``announce`` write its events in the same transaction, when they changed something (delivery/ports.py).
- What a write replaces or removes is queued as garbage in the same transaction; inline bytes go at once.
- Keys sort as the bytes of their UTF-8. A listing costs what it returns, not what the bucket holds.
- Driver errors are translated at the engine's edge into ``errors.EngineError`` kinds. After one from a verb that writes, the
  outcome is unknown: nothing of it is seen, but a machine that dies right then may find it done. Keep its data till asked.
- Verbs are called from greenthreads and wait without blocking the hub; reads of one row may run on the hub's thread.
- ``now_us`` comes from the caller: an engine has no clock. ``sequence`` never goes backwards even when the clock does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from nova_objectstore.delivery.ports import Announcement
from nova_objectstore.types import (
    UNCONDITIONAL,
    AccessKey,
    Account,
    Bucket,
    Checksum,
    Content,
    Deleted,
    Garbage,
    ListPage,
    ListQuery,
    Lock,
    NewVersion,
    Part,
    Upload,
    UploadsPage,
    UploadsQuery,
    Version,
    Versioning,
    VersionsPage,
    VersionsQuery,
    WriteCondition,
)


class Assembly(NamedTuple):
    """What CompleteMultipartUpload asks of the engine, checked by the domain before and by the engine inside.

    ``parts``: the chosen parts, ascending, with the ``etag`` each must still have. ``version`` carries everything but
    its content: the engine moves the chosen parts under it and queues the rest of the upload's parts as garbage.
    """

    upload_id: str
    parts: Sequence[Part]
    version: NewVersion


class MetadataEngine(Protocol):
    """The verbs. Each is one transaction."""

    # -- life -------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, migrate the schema forward if it is older, start what runs beside. Raises SchemaTooNew."""

    def close(self) -> None:
        """Finish what is queued, then disconnect. Idempotent."""

    def epoch(self) -> int:
        """A number that grows with every committed change to accounts, keys, buckets or documents, by any process.

        Cheap enough for every request (it is what caches of such rows are trusted by); writes of objects leave it alone.
        """

    # -- accounts and keys --------------------------------------------------------------------------------------------

    def create_account(self, account: Account, root_key: AccessKey | None) -> None:
        """Add an account and, at once, its root key. Raises AccountExists (same id, canonical id or name), AccessKeyExists."""

    def find_account(self, account_id: str) -> Account:
        """The account of that 12-digit id. Raises NoSuchAccount."""

    def find_account_by(self, *, name: str | None = None, canonical_id: str | None = None) -> Account:
        """The account of that name, or of that canonical id. Raises NoSuchAccount."""

    def list_accounts(self) -> Sequence[Account]:
        """All accounts by name."""

    def delete_account(self, account_id: str) -> None:
        """Remove the account, its keys, and its users, groups, roles and policies.

        Raises NoSuchAccount, AccountNotEmpty while it owns buckets.
        """

    def create_access_key(self, key: AccessKey) -> None:
        """Add a key pair. Raises NoSuchAccount, AccessKeyExists."""

    def find_access_key(self, access_key: str) -> AccessKey:
        """The key pair of that id. Raises NoSuchAccessKey."""

    def list_access_keys(self, account_id: str) -> Sequence[AccessKey]:
        """An account's key pairs, oldest first."""

    def set_access_key_active(self, access_key: str, active: bool) -> None:
        """Switch a key pair on or off. Raises NoSuchAccessKey."""

    def delete_access_key(self, access_key: str) -> None:
        """Remove a key pair. Raises NoSuchAccessKey."""

    # -- buckets -------------------------------------------------------------------------------------------------------

    def create_bucket(
        self,
        name: str,
        *,
        owner_id: str,
        region: str,
        now_us: int,
        object_lock: bool = False,
        documents: Mapping[str, bytes] = {},
    ) -> Bucket:
        """Add a bucket with its first documents; object lock turns versioning on.

        Raises BucketAlreadyOwnedByYou, BucketAlreadyExists, TooManyBuckets.
        """

    def find_bucket(self, name: str) -> Bucket:
        """The bucket of that name. Raises NoSuchBucket."""

    def bucket_of_id(self, bucket_id: int) -> Bucket:
        """The bucket of that number. Raises NoSuchBucket."""

    def list_buckets(
        self, owner_id: str, *, prefix: str = "", after: str = "", limit: int = 10_000
    ) -> Sequence[Bucket]:
        """An account's buckets by name, behind ``after``, at most ``limit``."""

    def delete_bucket(self, bucket_id: int, *, now_us: int = 0) -> None:
        """Remove an empty bucket, its documents and its uploads in progress.

        Their parts become garbage queued at ``now_us``; 0: collectable at once, since nobody reads parts in progress.

        Raises NoSuchBucket, BucketNotEmpty while a version or a delete marker is there.
        """

    def set_versioning(self, bucket_id: int, versioning: Versioning) -> None:
        """Change the versioning state. Raises NoSuchBucket, InvalidBucketState (suspending under object lock, or OFF)."""

    def set_object_lock(self, bucket_id: int) -> None:
        """Turn object lock on for good. Raises NoSuchBucket, InvalidBucketState when versioning is not enabled."""

    # -- documents: configurations stored per bucket -------------------------------------------------------------------

    def get_document(self, bucket_id: int, name: str) -> bytes:
        """A stored configuration. Raises NoSuchDocument."""

    def get_documents(self, bucket_id: int) -> Mapping[str, bytes]:
        """All of a bucket's configurations, by name."""

    def put_document(self, bucket_id: int, name: str, body: bytes) -> None:
        """Store or replace a configuration; the bucket's revision grows. Raises NoSuchBucket."""

    def delete_document(self, bucket_id: int, name: str) -> None:
        """Remove a configuration; nothing when there is none. Raises NoSuchBucket."""

    # -- versions ------------------------------------------------------------------------------------------------------

    def put_version(
        self,
        bucket: Bucket,
        new: NewVersion,
        condition: WriteCondition = UNCONDITIONAL,
        *,
        announce: Announcement | None = None,
    ) -> Version:
        """Make ``new`` the current object of its key, by the bucket's versioning state *in the database*.

        Enabled: older versions stay. Suspended: the null version is replaced. Off: the object is replaced.
        Raises NoSuchBucket (deleted meanwhile), PreconditionFailed, NoSuchKey (If-Match on an absent key),
        ObjectLocked (a locked null version would be replaced).
        """

    def get_version(self, bucket_id: int, key: str, version_id: str | None = None, *, inline: bool = True) -> Version:
        """The current version, or the one named, one indexed read; with its inline bytes when ``inline``.

        Raises NoSuchKey (with delete_marker=True and version_id when a marker hides it), NoSuchVersion. A named delete
        marker is returned as a Version.
        """

    def delete_object(
        self,
        bucket: Bucket,
        key: str,
        *,
        owner_id: str,
        now_us: int,
        condition: WriteCondition = UNCONDITIONAL,
        announce: Announcement | None = None,
    ) -> Deleted:
        """DELETE without a version id: remove the object (Off), or hide the key under a delete marker.

        Deleting what is not there succeeds, as S3's does; under a condition it does nothing then. A delete marker that is the
        key's newest version is judged as one without an ETag or a size. Raises PreconditionFailed.
        """

    def delete_version(
        self,
        bucket: Bucket,
        key: str,
        version_id: str,
        *,
        now_us: int,
        bypass_governance: bool = False,
        condition: WriteCondition = UNCONDITIONAL,
        announce: Announcement | None = None,
    ) -> Deleted:
        """DELETE with a version id: remove that version or marker for good; the next newest becomes current.

        A version that is not there is no error, as S3's is not. Raises ObjectLocked, PreconditionFailed.
        """

    def delete_objects(
        self,
        bucket: Bucket,
        deletes: Sequence[tuple[str, str | None, WriteCondition]],
        *,
        owner_id: str,
        now_us: int,
        bypass_governance: bool = False,
        announce: Announcement | None = None,
    ) -> Sequence[Deleted | Exception]:
        """DeleteObjects: each (key, version id or None, condition) on its own, all in one transaction; errors as values."""

    def rename_object(
        self,
        bucket: Bucket,
        source: str,
        target: str,
        *,
        now_us: int,
        source_condition: WriteCondition = UNCONDITIONAL,
        condition: WriteCondition = UNCONDITIONAL,
        announce: Announcement | None = None,
    ) -> Version:
        """RenameObject, atomically: the current object of ``source`` becomes that of ``target``; its bytes do not move.

        On a versioned bucket the target gets a new version and the source a delete marker.
        Raises NoSuchKey, PreconditionFailed, ObjectLocked.
        """

    def set_tags(
        self,
        bucket_id: int,
        key: str,
        version_id: str | None,
        tags: Mapping[str, str],
        *,
        announce: Announcement | None = None,
    ) -> Version:
        """Replace the tags of the current version or the one named. Raises NoSuchKey, NoSuchVersion."""

    def set_extra(
        self,
        bucket_id: int,
        key: str,
        version_id: str | None,
        extra: Mapping[str, str],
        *,
        announce: Announcement | None = None,
    ) -> Version:
        """Set those facts of later layers (ACL, encryption, restore) that are named, and leave the others as they are.

        An empty value removes one. Raises NoSuchKey, NoSuchVersion.
        """

    def set_retention(
        self,
        bucket_id: int,
        key: str,
        version_id: str | None,
        *,
        mode: str,
        retain_until_us: int,
        now_us: int,
        bypass_governance: bool = False,
    ) -> Version:
        """Set a retention. Raises ObjectLocked when it would shorten or weaken one in force (AWS: "Object Lock")."""

    def set_legal_hold(self, bucket_id: int, key: str, version_id: str | None, *, on: bool) -> Version:
        """Set or lift a legal hold. Raises NoSuchKey, NoSuchVersion."""

    def list_content_parts(
        self, version: Version, *, first_byte: int = 0, last_byte: int | None = None
    ) -> Sequence[Part]:
        """The parts that a PARTS version's byte range touches, ascending, with offsets (inline bytes included)."""

    def get_content_part(self, version: Version, number: int) -> Part | None:
        """One part of a completed multipart object by its number; None when there is none."""

    # -- listings ------------------------------------------------------------------------------------------------------

    def list_objects(self, bucket_id: int, query: ListQuery) -> ListPage:
        """Current objects (delete-marked keys are not walked through), grouped under the delimiter by seeking past groups."""

    def list_versions(self, bucket_id: int, query: VersionsQuery) -> VersionsPage:
        """All versions and markers, by key ascending and newest first within a key."""

    # -- multipart uploads ---------------------------------------------------------------------------------------------

    def begin_upload(self, bucket: Bucket, upload: Upload) -> None:
        """Record an upload. Raises NoSuchBucket."""

    def get_upload(self, bucket_id: int, key: str, upload_id: str) -> Upload:
        """An upload in progress. Raises NoSuchUpload (another key's or bucket's upload too)."""

    def put_part(self, bucket_id: int, key: str, upload_id: str, part: Part) -> None:
        """Add or replace a part; the replaced one becomes garbage. Raises NoSuchUpload."""

    def list_parts(
        self, bucket_id: int, key: str, upload_id: str, *, after: int = 0, limit: int = 1000
    ) -> Sequence[Part]:
        """Parts with numbers above ``after``, ascending. Raises NoSuchUpload."""

    def complete_upload(
        self,
        bucket: Bucket,
        assembly: Assembly,
        condition: WriteCondition = UNCONDITIONAL,
        *,
        announce: Announcement | None = None,
    ) -> Version:
        """Turn chosen parts into the key's current object and end the upload, as put_version does for one body.

        Idempotent: completing an upload again with the same ETag as the version it produced answers that version, as
        long as it is there (AWS documents a retried complete as successful). Raises NoSuchUpload, InvalidPart (a part
        changed meanwhile), PreconditionFailed, NoSuchKey, ObjectLocked.
        """

    def abort_upload(self, bucket_id: int, key: str, upload_id: str, *, now_us: int = 0) -> None:
        """End the upload; its parts become garbage queued at ``now_us`` (see delete_bucket). Raises NoSuchUpload."""

    def list_uploads(self, bucket_id: int, query: UploadsQuery) -> UploadsPage:
        """Uploads in progress by key, then by initiation."""

    # -- garbage -------------------------------------------------------------------------------------------------------

    def list_garbage(self, *, queued_before_us: int, limit: int = 1000) -> Sequence[Garbage]:
        """Refs queued before that time, oldest first."""

    def forget_garbage(self, ids: Sequence[int]) -> None:
        """Drop rows whose data has been deleted."""

    def queue_unnamed(self, refs: Sequence[str], *, now_us: int) -> None:
        """Queue those of ``refs`` as garbage that neither a version, a part, an image nor the queue names."""

    def known_refs(self, refs: Sequence[str]) -> Sequence[str]:
        """Those of ``refs`` that a version, a part or the garbage queue names: the others are orphans."""

    def make_room(self) -> bool:
        """Give back some of the space that is kept for a full disk; whether there was any."""

    def tidy(self) -> None:
        """Put right what the engine keeps for bad times. Called now and then, and cheap."""

    def usage(self, bucket_id: int) -> tuple[int, int]:
        """Objects and bytes of a bucket, all versions; kept as counters by the writes themselves."""


__all__ = ["Assembly", "Checksum", "Content", "Lock", "MetadataEngine"]
