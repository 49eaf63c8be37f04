"""Reap uploads: abort multipart uploads that nobody went on with.

Law: only uploads begun longer ago than the administrator allows; what S3 itself never does, nobody gets unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from nova_objectstore.errors import NoSuchUpload
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import Bucket, Upload, UploadsQuery

DAY_US = 24 * 3600 * 1_000_000


class UploadReaper:
    """Aborts uploads begun more than ``age_us`` ago; an age of 0 keeps them for ever, as S3 does."""

    def __init__(self, meta: MetadataEngine, *, age_us: int, now_us: Callable[[], int]) -> None:
        self._meta = meta
        self._age_us = age_us
        self._now_us = now_us

    def run(self) -> int:
        """Abort what is too old; answer how many. Repeating it, or being killed in between, does no harm."""
        if not self._age_us:
            return 0
        begun_before_us = self._now_us() - self._age_us
        aborted = 0
        for bucket in self._buckets():
            for upload in list(self._uploads(bucket)):
                if upload.initiated_us < begun_before_us:
                    aborted += self._abort(upload)
        return aborted

    def _abort(self, upload: Upload) -> int:
        try:
            self._meta.abort_upload(upload.bucket_id, upload.key, upload.upload_id)
        except NoSuchUpload:  # completed or aborted meanwhile
            return 0
        return 1

    def _buckets(self) -> Iterator[Bucket]:
        for account in self._meta.list_accounts():
            after = ""
            while page := self._meta.list_buckets(account.id, after=after, limit=1000):
                yield from page
                after = page[-1].name

    def _uploads(self, bucket: Bucket) -> Iterator[Upload]:
        query = UploadsQuery()
        while True:
            page = self._meta.list_uploads(bucket.id, query)
            yield from page.uploads
            if page.next_key is None:
                return
            query = UploadsQuery(key_after=page.next_key, upload_id_after=page.next_upload_id or "")
