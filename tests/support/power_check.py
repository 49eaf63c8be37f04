"""Whether a store holds what it must after a power cut: asked of the store in this process, or of a real one by S3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from botocore.exceptions import ClientError
from support.crash import BUCKETS, Lost, match
from support.crash_model import Object, Versions
from support.power import BURST_BUCKET, Historian, Recording

from nova_objectstore.assembly import Store
from nova_objectstore.errors import NoSuchBucket, StoreError
from nova_objectstore.types import Bucket, UploadsQuery, VersionsQuery

Entry = dict[str, Any]  # of a listing of versions: VersionId, ETag (empty of a delete marker), Size


class Found(NamedTuple):
    """A version as it is read."""

    body: bytes
    etag: str
    metadata: Mapping[str, str]
    tags: Mapping[str, str]


class Reader(Protocol):
    """A way to look at a store."""

    def versioning(self, bucket: str) -> str | None:
        """Its state, None where there is no such bucket."""

    def versions(self, bucket: str) -> Mapping[str, list[Entry]]:
        """By key, newest first."""

    def read(self, bucket: str, key: str, version_id: str) -> Found:
        """A version. Raises Lost where it can't be read."""

    def uploads(self, bucket: str) -> Mapping[str, Mapping[int, str]]:
        """The ETags of the parts of each upload in progress."""


class StoreReader:
    """Below the protocol: the engines and the domain."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def versioning(self, bucket: str) -> str | None:
        try:
            return str(self._find(bucket).versioning.value)
        except NoSuchBucket:
            return None

    def _find(self, bucket: str) -> Bucket:
        return self._store.meta.find_bucket(bucket)

    def versions(self, bucket: str) -> Mapping[str, list[Entry]]:
        page = self._store.meta.list_versions(self._find(bucket).id, VersionsQuery())
        assert page.next_key is None
        found: dict[str, list[Entry]] = {}
        for version in page.versions:
            etag = "" if version.is_marker else f'"{version.etag}"'
            entry = {"VersionId": version.version_id, "ETag": etag, "Size": version.size}
            found.setdefault(version.key, []).append(entry)
        return found

    def read(self, bucket: str, key: str, version_id: str) -> Found:
        try:
            version = self._store.meta.get_version(self._find(bucket).id, key, version_id)
            body = b"".join(self._store.egress.read(version))
        except StoreError as error:
            raise Lost(f"{bucket}/{key} {version_id}: {type(error).__name__} {error}") from error
        metadata = {
            name.removeprefix("x-amz-meta-"): value
            for name, value in version.headers.items()
            if name.startswith("x-amz-meta-")
        }
        return Found(body, version.etag, metadata, version.tags)

    def uploads(self, bucket: str) -> Mapping[str, Mapping[int, str]]:
        found = self._find(bucket)
        page = self._store.meta.list_uploads(found.id, UploadsQuery())
        return {
            upload.upload_id: {
                part.number: part.etag for part in self._store.meta.list_parts(found.id, upload.key, upload.upload_id)
            }
            for upload in page.uploads
        }


class ClientReader:
    """By S3."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def versioning(self, bucket: str) -> str | None:
        try:
            return str(self._client.get_bucket_versioning(Bucket=bucket).get("Status", ""))
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucket":
                raise
            return None

    def versions(self, bucket: str) -> Mapping[str, list[Entry]]:
        """boto3 tells versions and markers apart: where there are both, their common order is that of pages of one entry."""
        page = self._client.list_object_versions(Bucket=bucket)
        assert not page["IsTruncated"]
        pages = self._pages_of_one(bucket) if "DeleteMarkers" in page else [page]
        found: dict[str, list[Entry]] = {}
        for page in pages:
            markers = ({**marker, "ETag": ""} for marker in page.get("DeleteMarkers", ()))
            for entry in (*page.get("Versions", ()), *markers):
                found.setdefault(entry["Key"], []).append(entry)
        return found

    def _pages_of_one(self, bucket: str) -> Iterator[dict[str, Any]]:
        marks: dict[str, str] = {}
        while True:
            page = self._client.list_object_versions(Bucket=bucket, MaxKeys=1, **marks)
            yield page
            if not page["IsTruncated"]:
                return
            marks = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def read(self, bucket: str, key: str, version_id: str) -> Found:
        names = {"Bucket": bucket, "Key": key, "VersionId": version_id}
        try:
            answer = self._client.get_object(**names)
            body = answer["Body"].read()
            tags = self._client.get_object_tagging(**names)["TagSet"]
        except ClientError as error:
            raise Lost(f"{bucket}/{key} {version_id}: {error}") from error
        told = {tag["Key"]: tag["Value"] for tag in tags}
        return Found(body, answer["ETag"].strip('"'), answer["Metadata"], told)

    def uploads(self, bucket: str) -> Mapping[str, Mapping[int, str]]:
        found: dict[str, dict[int, str]] = {}
        for upload in self._client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
            names = {"Bucket": bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}
            parts = self._client.list_parts(**names).get("Parts", ())
            found[upload["UploadId"]] = {part["PartNumber"]: part["ETag"].strip('"') for part in parts}
        return found


def check(recording: Recording, cut: int, reader: Reader) -> int:
    """Everything that was answered by then is there, and nothing else; answers how many versions. Raises Lost."""
    there = {bucket for bucket in BUCKETS if _check_bucket(recording, cut, reader, bucket)}
    checked = 0
    for bucket in sorted(there):
        found, uploads = reader.versions(bucket), dict(reader.uploads(bucket))
        for worker in recording.workers:
            if worker.bucket != bucket:
                continue
            for key in worker.keys:
                checked += _check_key(recording, cut, reader, worker, key, found.get(key, []))
            _check_uploads(recording, cut, worker, found, uploads)
        if bucket == BURST_BUCKET:
            checked += _check_burst(recording, cut, found)
        if uploads:
            raise Lost(f"{bucket}: uploads of nobody: {uploads}")
    return checked


def _check_bucket(recording: Recording, cut: int, reader: Reader, bucket: str) -> bool:
    state = reader.versioning(bucket)
    for call in recording.setup.calls:
        if call.parameters["Bucket"] == bucket and recording.is_answered(call.request_id, cut):
            if state is None:
                raise Lost(f"bucket {bucket} is not there")
            if call.verb == "put_bucket_versioning" and state != "Enabled":
                raise Lost(f"bucket {bucket}: versioning is {state}")
    return state is not None


def _check_key(recording: Recording, cut: int, reader: Reader, worker: Historian, key: str, found: list[Entry]) -> int:
    outcomes = possible(recording, cut, worker, key)
    failed: list[str] = []
    for wanted in outcomes:
        matched = match(wanted, found)
        if matched is None:
            failed.append(f"not {wanted}")
            continue
        problem = next(filter(None, (_compare(reader, worker.bucket, key, version) for version in matched)), None)
        if problem is None:
            return len(matched)
        failed.append(problem)
    raise Lost(f"{worker.bucket}/{key} has {found}: {'; '.join(failed)}")


def _check_burst(recording: Recording, cut: int, found: Mapping[str, list[Entry]]) -> int:
    answered = [call for call in recording.burst.calls if recording.is_answered(call.request_id, cut)]
    for call in answered:
        key = call.parameters["Key"]
        if [entry["ETag"] for entry in found.get(key, ())] != [call.answer["ETag"]]:
            raise Lost(f"{key} has {found.get(key)}")
    return len(answered)


def possible(recording: Recording, cut: int, worker: Historian, key: str) -> list[Versions]:
    """What a key may hold: what was answered last, and what was asked for next."""
    history = worker.history[key]
    last = max(at for at, moment in enumerate(history) if recording.is_answered(moment.request_id, cut))
    return [moment.versions for moment in history[last : last + 2]]


def _compare(reader: Reader, bucket: str, key: str, wanted: Object) -> str | None:
    """What is wrong with a version; None when nothing is."""
    if wanted.is_marker:
        return None
    found = reader.read(bucket, key, wanted.version_id)
    if found.body != wanted.read():
        return f"{wanted.version_id} has other bytes"
    if (found.etag, found.metadata, found.tags) != (wanted.etag, wanted.metadata, wanted.tags):
        return f"{wanted.version_id}: {found.etag} {found.metadata} {found.tags}, not {wanted}"
    return None


def _check_uploads(
    recording: Recording, cut: int, worker: Historian, found: Mapping[str, list[Entry]], uploads: dict[str, Any]
) -> None:
    """Uploads and parts that were answered are there until their end was; ``uploads`` loses those of this client."""
    wanted: dict[str, dict[int, str]] = {}
    for call in worker.recorded.calls:
        upload = call.parameters.get("UploadId") or call.answer.get("UploadId")
        if upload is None:
            continue
        is_answered = recording.is_answered(call.request_id, cut)
        there = uploads.get(upload)
        if call.verb == "complete_multipart_upload":
            parts = wanted.pop(upload, None)
            is_done = any(entry["ETag"] == call.answer["ETag"] for entry in found.get(call.parameters["Key"], ()))
            if is_answered and there is not None:
                raise Lost(f"upload {upload} was completed, and is there")
            if not is_answered and parts is not None and not is_done and not _covers(there, parts):
                raise Lost(f"upload {upload} has {there}, not {parts}")
            uploads.pop(upload, None)
        elif is_answered:
            parts = wanted.setdefault(upload, {})
            if call.verb == "upload_part":
                parts[call.parameters["PartNumber"]] = call.answer["ETag"].strip('"')
    for upload, parts in wanted.items():
        if not _covers(uploads.pop(upload, None), parts):
            raise Lost(f"upload {upload} does not have {parts}")


def _covers(there: Mapping[int, str] | None, parts: Mapping[int, str]) -> bool:
    return there is not None and parts.items() <= there.items()
