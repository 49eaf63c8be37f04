"""Multipart uploads: begun, fed, completed or aborted (AWS: "Uploading and copying objects using multipart upload")."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from nova_objectstore.checksums import CRC64NVME, combine, compose
from nova_objectstore.delivery.ports import Announcement
from nova_objectstore.domain.bodies import IncomingBody
from nova_objectstore.domain.bucket_encryption import CustomerKey
from nova_objectstore.domain.copying import StoredBody
from nova_objectstore.domain.encryption import check_upload_customer
from nova_objectstore.domain.objects import ObjectSpec
from nova_objectstore.domain.writing import Writing
from nova_objectstore.errors import (
    BadDigest,
    EntityTooLarge,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    NoSuchUpload,
)
from nova_objectstore.limits import OBJECT_SIZE_MAX, PART_SIZE_MIN
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.types import (
    NOTHING,
    UNCONDITIONAL,
    Bucket,
    Checksum,
    NewVersion,
    Part,
    Upload,
    UploadsPage,
    UploadsQuery,
    Version,
    WriteCondition,
)

_PARTS_PAGE = 1000


class ChosenPart(NamedTuple):
    """One line of a CompleteMultipartUpload: the part, and what the client says of it."""

    number: int
    etag: str
    checksums: Mapping[str, str] = {}  # algorithm -> base64


class Claim(NamedTuple):
    """What a CompleteMultipartUpload says of the whole object; to be checked, not believed."""

    checksum: tuple[str, str] | None = None  # algorithm, base64
    checksum_type: str = ""
    size: int | None = None


class Uploads(Writing):
    """The rules of multipart uploads."""

    def begin(
        self, bucket: Bucket, spec: ObjectSpec, *, initiator: str, checksum_algorithm: str = "", checksum_type: str = ""
    ) -> Upload:
        """Begin an upload and answer it with its new id; how the object is encrypted is settled here.

        Raises NoSuchBucket, NoSuchKmsKey, KmsKeyDisabled, AccessDenied (see ``Encryption.protect``),
        InvalidStorageClass.
        """
        self._classes.find(spec.storage_class)
        protection = self._encryption.protect(bucket, spec.encryption)
        upload = Upload(
            bucket_id=bucket.id,
            key=spec.key,
            upload_id=secrets.token_urlsafe(48),
            initiated_us=self._now_us(),
            owner_id=spec.owner_id,
            initiator=initiator,
            storage_class=spec.storage_class,
            headers=spec.headers,
            checksum_algorithm=checksum_algorithm,
            checksum_type=checksum_type,
            tags=spec.tags,
            lock=self._retention.lock_for(bucket, spec.lock),
            extra=spec.extra if protection is None else {**spec.extra, **protection.extra},
        )
        self._meta.begin_upload(bucket, upload)
        return upload

    def get(self, bucket: Bucket, key: str, upload_id: str) -> Upload:
        """An upload in progress. Raises NoSuchUpload."""
        return self._meta.get_upload(bucket.id, key, upload_id)

    def put_part(self, upload: Upload, number: int, body: IncomingBody, *, customer: CustomerKey | None = None) -> Part:
        """Store a part, durable when it returns; a part of that number is replaced. ``customer``: the upload's, of SSE-C.

        It lies where the upload's storage class has its data. Raises NoSuchUpload, and what ``Encryption.protect_part``
        does.
        """
        place = self._classes.find(upload.storage_class)
        protection = self._encryption.protect_part(upload, customer)
        key = None if protection is None else protection.key
        stored = self._ingest.store(
            body, size=body.size, hashers=body.hashers, verify=body.finish, key=key, place=place
        )
        digests = body.digests()
        part = Part(number, stored.size, digests.etag, self._now_us(), digests.checksum, stored.content)
        if protection is not None:
            part = part._replace(etag=protection.etag(digests.etag), extra=protection.extra)
        return self._commit_part(upload, part)

    def copy_part(
        self,
        upload: Upload,
        number: int,
        source: Version,
        first: int,
        last: int,
        *,
        customer: CustomerKey | None = None,
        source_customer: CustomerKey | None = None,
    ) -> Part:
        """Store bytes ``first`` to ``last`` (inclusive) of ``source`` as a part. Raises what ``put_part`` does.

        ``customer`` is the upload's key, ``source_customer`` the source's, where they were stored with SSE-C.
        """
        body = StoredBody(
            self._egress, source, upload.checksum_algorithm, first=first, last=last, customer=source_customer
        )
        try:
            return self.put_part(upload, number, body, customer=customer)
        finally:
            body.close()

    def _commit_part(self, upload: Upload, part: Part) -> Part:
        def verb() -> None:
            self._meta.put_part(upload.bucket_id, upload.key, upload.upload_id, part)

        self._commits.commit(part.content, verb)
        return part

    def list_parts(self, upload: Upload, *, after: int, limit: int) -> Sequence[Part]:
        """Parts with numbers above ``after``, ascending. Raises NoSuchUpload."""
        return self._meta.list_parts(upload.bucket_id, upload.key, upload.upload_id, after=after, limit=limit)

    def complete(
        self,
        bucket: Bucket,
        key: str,
        upload_id: str,
        chosen: Sequence[ChosenPart],
        *,
        claim: Claim = Claim(),  # noqa: B008  a NamedTuple: nobody can change it
        condition: WriteCondition = UNCONDITIONAL,
        customer: CustomerKey | None = None,
        announce: Announcement | None = None,
    ) -> Version:
        """Make the chosen parts the key's current object and end the upload.

        A second completion with the same parts answers the version that the first made. Raises NoSuchUpload,
        InvalidPart, InvalidPartOrder, EntityTooSmall, EntityTooLarge, BadDigest, PreconditionFailed, InvalidRequest.
        """
        chosen = _in_order(chosen)
        etag = _multipart_etag(chosen)
        try:
            upload = self._meta.get_upload(bucket.id, key, upload_id)
        except NoSuchUpload:
            done = NewVersion(key, 0, etag, self._now_us(), bucket.owner_id, NOTHING)
            return self._meta.complete_upload(bucket, Assembly(upload_id, (), done), condition)
        parts = self._pick(upload, chosen)
        if customer is not None or _uses_checksums(upload, parts):
            check_upload_customer(upload.extra, customer)
        size = sum(part.size for part in parts)
        _check_sizes(parts, size, claim)
        version = NewVersion(
            key=key,
            size=size,
            etag=etag,
            modified_us=self._now_us(),
            owner_id=upload.owner_id,
            content=NOTHING,
            headers=upload.headers,
            storage_class=upload.storage_class,
            checksum=_object_checksum(upload, parts, claim),
            tags=upload.tags,
            lock=upload.lock,
            extra=upload.extra,
        )
        return self._meta.complete_upload(bucket, Assembly(upload_id, parts, version), condition, announce=announce)

    def _pick(self, upload: Upload, chosen: Sequence[ChosenPart]) -> Sequence[Part]:
        stored = {part.number: part for part in self._all_parts(upload)}
        picked = []
        offset = 0
        for wanted in chosen:
            part = stored.get(wanted.number)
            if part is None or part.etag != wanted.etag or _differs(part, wanted):
                raise InvalidPart(upload_id=upload.upload_id, part_number=wanted.number, etag=wanted.etag)
            picked.append(part._replace(offset=offset))
            offset += part.size
        return picked

    def _all_parts(self, upload: Upload) -> Sequence[Part]:
        parts: list[Part] = []
        while page := self.list_parts(upload, after=parts[-1].number if parts else 0, limit=_PARTS_PAGE):
            parts.extend(page)
        return parts

    def abort(self, bucket: Bucket, key: str, upload_id: str) -> None:
        """End the upload and give its parts up. Raises NoSuchUpload."""
        self._meta.abort_upload(bucket.id, key, upload_id)

    def list(self, bucket: Bucket, query: UploadsQuery) -> UploadsPage:
        """A page of uploads in progress."""
        return self._meta.list_uploads(bucket.id, query)


def _uses_checksums(upload: Upload, parts: Sequence[Part]) -> bool:
    """Whether the client said how to check the object: then a completion under SSE-C needs its key, else it may do
    without, as older clients do (AWS: CompleteMultipartUpload, x-amz-server-side-encryption-customer-key)."""
    return bool(upload.checksum_algorithm) or any(
        part.checksum is not None and part.checksum.algorithm != CRC64NVME for part in parts
    )


def upload_checksum(upload: Upload) -> tuple[str, str]:
    """The algorithm and type of the object to be; none asked means CRC64NVME over the full object."""
    algorithm = upload.checksum_algorithm or CRC64NVME
    return algorithm, upload.checksum_type or ("FULL_OBJECT" if algorithm == CRC64NVME else "COMPOSITE")


def _in_order(chosen: Sequence[ChosenPart]) -> Sequence[ChosenPart]:
    """The parts, ascending; of a number named several times the last counts. Raises InvalidPartOrder."""
    if not chosen:
        raise InvalidRequest("You must specify at least one part")
    if any(later.number < earlier.number for earlier, later in pairwise(chosen)):
        raise InvalidPartOrder()
    return list({part.number: part for part in chosen}.values())


def _check_sizes(parts: Sequence[Part], size: int, claim: Claim) -> None:
    for part in parts[:-1]:
        if part.size < PART_SIZE_MIN:
            raise EntityTooSmall(
                etag=part.etag, min_size_allowed=PART_SIZE_MIN, part_number=part.number, proposed_size=part.size
            )
    if size > OBJECT_SIZE_MAX:
        raise EntityTooLarge(proposed_size=size, max_size_allowed=OBJECT_SIZE_MAX)
    if claim.size is not None and claim.size != size:
        raise InvalidRequest(
            f"The provided 'x-amz-mp-object-size' header value {claim.size} does not match what was computed: {size}"
        )


def _multipart_etag(chosen: Sequence[ChosenPart]) -> str:
    """The MD5 of the parts' MD5s, and how many there are."""
    whole = hashlib.md5(usedforsecurity=False)
    for part in chosen:
        try:
            whole.update(bytes.fromhex(part.etag))
        except ValueError:
            raise InvalidPart(part_number=part.number, etag=part.etag) from None
    return f"{whole.hexdigest()}-{len(chosen)}"


def _differs(part: Part, wanted: ChosenPart) -> bool:
    """Whether the client names another checksum for the part than the stored one."""
    if part.checksum is None:
        return False
    return wanted.checksums.get(part.checksum.algorithm, part.checksum.value) != part.checksum.value


def _object_checksum(upload: Upload, parts: Sequence[Part], claim: Claim) -> Checksum | None:
    algorithm, kind = upload_checksum(upload)
    if claim.checksum_type and claim.checksum_type != kind:
        raise InvalidRequest(
            f"The upload was created using the {kind} checksum mode. "
            "The complete request must use the same checksum mode."
        )
    if any(part.checksum is None or part.checksum.algorithm != algorithm for part in parts):
        return None
    values = [(part.checksum.value, part.size) for part in parts if part.checksum is not None]
    value = combine(algorithm, values) if kind == "FULL_OBJECT" else compose(algorithm, [v for v, _ in values])
    if claim.checksum is not None and claim.checksum[0] == algorithm:
        claimed = claim.checksum[1]
        if claimed not in (value, value.partition("-")[0]):
            raise BadDigest(f"The {algorithm.lower()} you specified did not match the calculated checksum.")
    return Checksum(algorithm, kind, value)
