"""Lifecycle rules of buckets: ``?lifecycle``."""

from __future__ import annotations

from collections.abc import Collection

from nova_objectstore.domain.lifecycle.buckets import BucketLifecycles
from nova_objectstore.domain.lifecycle.configuration import MinimumSize
from nova_objectstore.errors import InvalidArgument
from nova_objectstore.s3.answer import Answer, empty_answer, xml_answer
from nova_objectstore.s3.faults import MissingDigest, NoSuchLifecycle
from nova_objectstore.s3.lifecycle_document import parse_lifecycle, render_lifecycle
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request

MINIMUM_HEADER = "x-amz-transition-default-minimum-object-size"


class LifecycleController(Controller):
    """What becomes of a bucket's objects with time. ``classes``: the storage classes that objects may be moved to."""

    def __init__(self, lifecycles: BucketLifecycles, *, classes: Collection[str]) -> None:
        self._lifecycles = lifecycles
        self._classes = classes

    @operation("GetBucketLifecycleConfiguration", "GET /{bucket}?lifecycle", action="s3:GetLifecycleConfiguration")
    def get_bucket_lifecycle_configuration(self, req: S3Request) -> Answer:
        """Answer the rules as they were put; a bucket without any is NoSuchLifecycleConfiguration."""
        found = self._lifecycles.get(req.bucket)
        if found is None:
            raise NoSuchLifecycle(bucket_name=req.bucket_name)
        return xml_answer(200, render_lifecycle(found), [(MINIMUM_HEADER, found.minimum_size.value)])

    @operation(
        "PutBucketLifecycleConfiguration",
        "PUT /{bucket}?lifecycle",
        action="s3:PutLifecycleConfiguration",
        body=XML,
    )
    def put_bucket_lifecycle_configuration(self, req: S3Request) -> Answer:
        """Replace the rules. They hold at once, for what is there too."""
        if not ("content-md5" in req.headers or any(name.startswith("x-amz-checksum-") for name in req.headers)):
            raise MissingDigest
        minimum = _read_minimum(req)
        self._lifecycles.put(req.bucket, parse_lifecycle(req.body, minimum_size=minimum, classes=self._classes))
        return empty_answer(200, [(MINIMUM_HEADER, minimum.value)])

    @operation("DeleteBucketLifecycle", "DELETE /{bucket}?lifecycle", action="s3:PutLifecycleConfiguration", status=204)
    def delete_bucket_lifecycle(self, req: S3Request) -> None:
        """Remove the rules, if there are any: nothing expires any more."""
        self._lifecycles.delete(req.bucket)


def _read_minimum(req: S3Request) -> MinimumSize:
    word = req.header(MINIMUM_HEADER, MinimumSize.ALL_128K.value)
    try:
        return MinimumSize(word)
    except ValueError:
        raise InvalidArgument(f"Unknown {MINIMUM_HEADER}", argument_name=MINIMUM_HEADER, argument_value=word) from None
