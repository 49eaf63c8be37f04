"""Versions: a bucket's versioning state, and the listing of everything it keeps."""

from __future__ import annotations

from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.identities import Identities
from nova_objectstore.domain.objects import Objects
from nova_objectstore.domain.restores import Restores
from nova_objectstore.errors import InvalidArgument, MalformedXML, NotOffered
from nova_objectstore.limits import LIST_KEYS_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.listing_documents import ListingStyle, render_versions
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.operations.listings import owner_elements, read_encoding
from nova_objectstore.s3.render import render_versioning
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.restore_status import restore_elements
from nova_objectstore.types import Versioning, VersionsQuery


class VersioningController(Controller):
    """Versions of a bucket's objects."""

    def __init__(self, buckets: Buckets, objects: Objects, identities: Identities, restores: Restores) -> None:
        self._restores = restores
        self._buckets = buckets
        self._objects = objects
        self._identities = identities

    @operation("GetBucketVersioning", "GET /{bucket}?versioning", action="s3:GetBucketVersioning")
    def get_bucket_versioning(self, req: S3Request) -> str:
        """Answer the state; a bucket that never was versioned has no Status."""
        return render_versioning(req.bucket.versioning)

    @operation("PutBucketVersioning", "PUT /{bucket}?versioning", action="s3:PutBucketVersioning", body=XML)
    def put_bucket_versioning(self, req: S3Request) -> None:
        """Enable or suspend; it is never off again."""
        root = xml.parse(req.body, "VersioningConfiguration")
        if xml.text(root, "MfaDelete", "Disabled") != "Disabled":
            raise NotOffered(header="MfaDelete")
        try:
            state = Versioning(xml.text(root, "Status", ""))
        except ValueError:
            raise MalformedXML(reason="Status") from None
        if state is Versioning.OFF:
            raise MalformedXML(reason="Status")
        self._buckets.set_versioning(req.bucket, state)

    @operation("ListObjectVersions", "GET /{bucket}?versions", action="s3:ListBucketVersions")
    def list_object_versions(self, req: S3Request) -> str:
        """Answer versions and delete markers by key, the newest of a key first."""
        encoding = read_encoding(req)
        query = VersionsQuery(
            prefix=req.query.get("prefix", ""),
            delimiter=req.query.get("delimiter", ""),
            after=req.query.get("key-marker", ""),
            version_id_after=req.query.get("version-id-marker", ""),
            limit=req.query_int("max-keys", LIST_KEYS_MAX, low=0, high=LIST_KEYS_MAX),
        )
        if query.version_id_after and not query.after:
            raise InvalidArgument(
                "A version-id marker cannot be specified without a key marker.",
                argument_name="version-id-marker",
                argument_value=query.version_id_after,
            )
        page = self._objects.list_versions(req.bucket, query)
        owner = owner_elements(self._identities, req)
        restored = restore_elements(req, self._restores, lambda: page.versions)
        return render_versions(req.bucket_name, query, page, ListingStyle(*encoding, owner, restored))
