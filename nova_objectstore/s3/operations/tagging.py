"""Tag sets of buckets and objects: ``?tagging``."""

from __future__ import annotations

from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.notifications import DELETE_TAGS, PUT_TAGS
from nova_objectstore.domain.objects import Objects
from nova_objectstore.errors import NoSuchDocument
from nova_objectstore.limits import BUCKET_TAGS_MAX, OBJECT_TAGS_MAX
from nova_objectstore.s3.announcements import announcement
from nova_objectstore.s3.answer import Answer, empty_answer, xml_answer
from nova_objectstore.s3.faults import MarkerNotReadable, NoSuchTagSet
from nova_objectstore.s3.object_headers import shown_version
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.tags import parse_tagging, render_tagging

BUCKET_TAGGING = "tagging"  # the document's name


class TaggingController(Controller):
    """Tags."""

    def __init__(self, buckets: Buckets, objects: Objects) -> None:
        self._buckets = buckets
        self._objects = objects

    @operation("GetBucketTagging", "GET /{bucket}?tagging", action="s3:GetBucketTagging")
    def get_bucket_tagging(self, req: S3Request) -> str:
        """Answer the bucket's tag set; a bucket never tagged is NoSuchTagSet."""
        try:
            stored = self._buckets.get_document(req.bucket, BUCKET_TAGGING)
        except NoSuchDocument:
            raise NoSuchTagSet(bucket_name=req.bucket_name) from None
        return render_tagging(parse_tagging(stored, tags_max=BUCKET_TAGS_MAX))

    @operation("PutBucketTagging", "PUT /{bucket}?tagging", action="s3:PutBucketTagging", body=XML)
    def put_bucket_tagging(self, req: S3Request) -> None:
        """Replace the bucket's tag set."""
        tags = parse_tagging(req.body, tags_max=BUCKET_TAGS_MAX)
        self._buckets.put_document(req.bucket, BUCKET_TAGGING, render_tagging(tags).encode())

    @operation("DeleteBucketTagging", "DELETE /{bucket}?tagging", action="s3:PutBucketTagging", status=204)
    def delete_bucket_tagging(self, req: S3Request) -> None:
        """Remove the bucket's tag set."""
        self._buckets.delete_document(req.bucket, BUCKET_TAGGING)

    @operation(
        "GetObjectTagging",
        "GET /{bucket}/{key}?tagging",
        action="s3:GetObjectTagging",
        version_action="s3:GetObjectVersionTagging",
    )
    def get_object_tagging(self, req: S3Request) -> Answer:
        """Answer the tags of the object or of the version named; an object without tags has an empty set."""
        version = self._objects.get(req.bucket, req.key, req.version_id)
        if version.is_marker:
            raise MarkerNotReadable(version)
        return xml_answer(200, render_tagging(version.tags), shown_version(req, version))

    @operation(
        "PutObjectTagging",
        "PUT /{bucket}/{key}?tagging",
        action="s3:PutObjectTagging",
        version_action="s3:PutObjectVersionTagging",
        body=XML,
    )
    def put_object_tagging(self, req: S3Request) -> Answer:
        """Replace the tags of the object or of the version named."""
        tags = parse_tagging(req.body, tags_max=OBJECT_TAGS_MAX)
        announce = announcement(req, PUT_TAGS)
        version = self._objects.set_tags(req.bucket, req.key, req.version_id, tags, announce=announce)
        return empty_answer(200, shown_version(req, version))

    @operation(
        "DeleteObjectTagging",
        "DELETE /{bucket}/{key}?tagging",
        action="s3:DeleteObjectTagging",
        version_action="s3:DeleteObjectVersionTagging",
        status=204,
    )
    def delete_object_tagging(self, req: S3Request) -> Answer:
        """Remove the tags of the object or of the version named."""
        announce = announcement(req, DELETE_TAGS)
        version = self._objects.set_tags(req.bucket, req.key, req.version_id, {}, announce=announce)
        return empty_answer(204, shown_version(req, version))
