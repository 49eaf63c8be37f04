"""Objects: put, read, copied, renamed, deleted, listed.

``announce``: what is to be told of a change, written with it (see ``domain/notifications.py``).

The order of every write: the data durable under a fresh ref; then the version committed, with what it replaces queued as
garbage; then the answer. A crash at any point leaves the old object or the new one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nova_objectstore.delivery.ports import Announcement
from nova_objectstore.domain.bodies import IncomingBody
from nova_objectstore.domain.bucket_encryption import CustomerKey, Scheme
from nova_objectstore.domain.copying import StoredBody
from nova_objectstore.domain.encryption import Protection
from nova_objectstore.domain.storage_classes import StorageClass
from nova_objectstore.domain.writing import Writing
from nova_objectstore.errors import InvalidRequest, NoSuchKey, PreconditionFailed
from nova_objectstore.types import (
    NO_LOCK,
    UNCONDITIONAL,
    Bucket,
    Checksum,
    Content,
    ContentKind,
    Deleted,
    ListPage,
    ListQuery,
    Lock,
    NewVersion,
    Part,
    Version,
    VersionsPage,
    VersionsQuery,
    WriteCondition,
    new_tuple,
)


class ObjectSpec(NamedTuple):
    """What a write sets beside the bytes. ``headers`` are those that a GET answers, by their canonical spelling.

    ``encryption`` is what the write asks for; None leaves it to the bucket's default.
    """

    key: str
    owner_id: str
    headers: Mapping[str, str] = {}
    storage_class: str = "STANDARD"
    tags: Mapping[str, str] = {}
    lock: Lock = NO_LOCK
    extra: Mapping[str, str] = {}
    encryption: Scheme | None = None


class Delete(NamedTuple):
    """One key, or one version of it, to be deleted."""

    key: str
    version_id: str | None = None
    condition: WriteCondition = UNCONDITIONAL


class _Written(NamedTuple):
    """Bytes that lie durable and unsettled, and what their version says of them."""

    content: Content
    size: int
    etag: str
    checksum: Checksum | None
    extra: Mapping[str, str] = {}


class Objects(Writing):
    """The rules of objects."""

    # -- reading --------------------------------------------------------------------------------------------------------

    def get(self, bucket: Bucket, key: str, version_id: str | None = None, *, inline: bool = False) -> Version:
        """The current version or the one named; with a small object's bytes when ``inline``.

        Raises NoSuchKey, NoSuchVersion. A named delete marker is returned: the front refuses it as AWS does.
        """
        return self._meta.get_version(bucket.id, key, version_id, inline=inline)

    def part(self, version: Version, number: int) -> Part | None:
        """Part ``number`` of a version that was a multipart upload; None where there is none."""
        return self._meta.get_content_part(version, number)

    def parts(self, version: Version, *, after: int, limit: int) -> Sequence[Part]:
        """Parts of a completed multipart object with numbers above ``after``."""
        return [part for part in self._meta.list_content_parts(version) if part.number > after][:limit]

    # -- writing --------------------------------------------------------------------------------------------------------

    def put(
        self,
        bucket: Bucket,
        spec: ObjectSpec,
        body: IncomingBody,
        condition: WriteCondition = UNCONDITIONAL,
        *,
        announce: Announcement | None = None,
    ) -> Version:
        """Store ``body`` as the key's current object. Durable when it returns.

        Raises what the body raises (nothing is kept then), PreconditionFailed, NoSuchKey, NoSuchBucket, StorageFull,
        NoSuchKmsKey, KmsKeyDisabled, AccessDenied (see ``Encryption.protect``), InvalidStorageClass.
        """
        place = self._classes.find(spec.storage_class)
        lock = self._retention.lock_for(bucket, spec.lock)
        if lock is not spec.lock:
            spec = spec._replace(lock=lock)
        if condition is not UNCONDITIONAL:
            self._refuse_early(bucket, spec.key, condition)
        protection = self._encryption.protect(bucket, spec.encryption)
        written = self._store(body, protection, place)
        new = self._new_version(spec, written)
        return self._commits.commit(
            written.content, lambda: self._meta.put_version(bucket, new, condition, announce=announce)
        )

    def _refuse_early(self, bucket: Bucket, key: str, condition: WriteCondition) -> None:
        """Spare the client a long upload that cannot succeed; the transaction decides for good."""
        try:
            current = self._meta.get_version(bucket.id, key, inline=False)
        except NoSuchKey:
            if condition.if_match is not None:
                raise
            return
        if condition.if_none_match or condition.if_none_match_etag == current.etag:
            raise PreconditionFailed(condition="If-None-Match")
        if condition.if_match not in (None, "*", current.etag):
            raise PreconditionFailed(condition="If-Match")

    def _store(self, body: IncomingBody, protection: Protection | None, place: StorageClass) -> _Written:
        key = None if protection is None else protection.key
        content, size = self._ingest.store(
            body, size=body.size, hashers=body.hashers, verify=body.finish, key=key, place=place
        )
        etag, checksum = body.digests()
        if protection is None:
            return new_tuple(_Written, (content, size, etag, checksum, {}))
        return _Written(content, size, protection.etag(etag), checksum, protection.extra)

    def _new_version(self, spec: ObjectSpec, written: _Written) -> NewVersion:
        # PERF: a tuple taken apart at once; a field by its name takes 0.03 us
        key, owner_id, headers, storage_class, tags, lock, extra, _ = spec
        content, size, etag, checksum, more = written
        if more:
            extra = {**extra, **more}
        return new_tuple(
            NewVersion,
            (
                key,
                size,
                etag,
                self._now_us(),
                owner_id,
                content,
                headers,
                storage_class,
                checksum,
                tags,
                lock,
                extra,
            ),
        )

    # -- copying --------------------------------------------------------------------------------------------------------

    def copy(
        self,
        source: Version,
        bucket: Bucket,
        spec: ObjectSpec,
        *,
        algorithm: str = "",
        condition: WriteCondition = UNCONDITIONAL,
        customer: CustomerKey | None = None,
        announce: Announcement | None = None,
    ) -> Version:
        """Make a copy of ``source`` the current object of ``spec.key``; ``algorithm`` asks for another checksum.

        The bytes are shared where the engine can and the encryption stays the same, and read and written otherwise.
        ``customer`` opens a source that was stored with SSE-C; that it fits was checked. Raises what ``put`` does, and
        what opening the source does: InvalidObjectState for one that is archived.
        """
        place = self._classes.find(spec.storage_class)
        source = self._egress.find_readable(source)
        spec = spec._replace(lock=self._retention.lock_for(bucket, spec.lock))
        scheme = self._encryption.buckets.choose(bucket, spec.encryption)
        written = self._copy_content(source, algorithm, scheme, customer, place)
        new = self._new_version(spec, written)
        return self._commits.commit(
            written.content, lambda: self._meta.put_version(bucket, new, condition, announce=announce)
        )

    def _copy_content(
        self,
        source: Version,
        algorithm: str,
        scheme: Scheme | None,
        customer: CustomerKey | None,
        place: StorageClass,
    ) -> _Written:
        digest = source.checksum.algorithm if source.checksum else ""
        if place.holds(source.content, source.size) and source.parts_count == 0 and algorithm in ("", digest):
            shared = self._share(source, scheme)
            if shared is not None:
                return shared
        protection = None if scheme is None else self._encryption.begin(scheme)
        body = StoredBody(self._egress, source, algorithm or digest, customer=customer)
        try:
            return self._store(body, protection, place)
        finally:
            body.close()

    def _share(self, source: Version, scheme: Scheme | None) -> _Written | None:
        """A copy that has its source's very bytes; None where they must be read and written."""
        extra = self._encryption.share(source.extra, scheme)
        content = None if extra is None else self._commits.share(source.content)
        if extra is None or content is None:
            return None
        return _Written(content, source.size, source.etag, source.checksum, extra)

    def rename(
        self,
        bucket: Bucket,
        source: str,
        target: str,
        *,
        source_condition: WriteCondition,
        condition: WriteCondition,
        announce: Announcement | None = None,
    ) -> Version:
        """Give the current object of ``source`` the key ``target``, atomically.

        Raises NoSuchKey, PreconditionFailed, InvalidRequest (both keys the same).
        """
        if source == target:
            raise InvalidRequest("The source and the destination of a rename must differ")
        return self._meta.rename_object(
            bucket,
            source,
            target,
            now_us=self._now_us(),
            source_condition=source_condition,
            condition=condition,
            announce=announce,
        )

    # -- deleting ---------------------------------------------------------------------------------------------------------

    def delete(
        self,
        bucket: Bucket,
        delete: Delete,
        *,
        owner_id: str,
        bypass_governance: bool = False,
        announce: Announcement | None = None,
    ) -> Deleted:
        """Delete a key or a version; what is not there is deleted already, as S3 has it.

        Raises PreconditionFailed, NoSuchKey (If-Match on an absent key), ObjectLocked.
        """
        if delete.version_id is None:
            return self._meta.delete_object(
                bucket,
                delete.key,
                owner_id=owner_id,
                now_us=self._now_us(),
                condition=delete.condition,
                announce=announce,
            )
        return self._meta.delete_version(
            bucket,
            delete.key,
            delete.version_id,
            now_us=self._now_us(),
            bypass_governance=bypass_governance,
            condition=delete.condition,
            announce=announce,
        )

    def delete_many(
        self,
        bucket: Bucket,
        deletes: Sequence[Delete],
        *,
        owner_id: str,
        bypass_governance: bool = False,
        announce: Announcement | None = None,
    ) -> Sequence[Deleted | Exception]:
        """Delete each on its own; the outcomes in the same order, errors as values."""
        return self._meta.delete_objects(
            bucket,
            deletes,
            owner_id=owner_id,
            now_us=self._now_us(),
            bypass_governance=bypass_governance,
            announce=announce,
        )

    # -- tags -----------------------------------------------------------------------------------------------------------

    def set_tags(
        self,
        bucket: Bucket,
        key: str,
        version_id: str | None,
        tags: Mapping[str, str],
        *,
        announce: Announcement | None = None,
    ) -> Version:
        """Replace the tags of the current version or the one named. Raises NoSuchKey, NoSuchVersion."""
        return self._meta.set_tags(bucket.id, key, version_id, tags, announce=announce)

    def set_extra(
        self,
        bucket: Bucket,
        key: str,
        version_id: str | None,
        changes: Mapping[str, str],
        *,
        announce: Announcement | None = None,
    ) -> Version:
        """Change facts of later layers; an empty value removes one. Raises NoSuchKey, NoSuchVersion."""
        return self._meta.set_extra(bucket.id, key, version_id, changes, announce=announce)

    # -- listing ------------------------------------------------------------------------------------------------------------

    def list(self, bucket: Bucket, query: ListQuery) -> ListPage:
        """A page of current objects and common prefixes."""
        return self._meta.list_objects(bucket.id, query)

    def list_versions(self, bucket: Bucket, query: VersionsQuery) -> VersionsPage:
        """A page of all versions, delete markers and common prefixes."""
        return self._meta.list_versions(bucket.id, query)


__all__ = ["ContentKind", "Delete", "ObjectSpec", "Objects"]
