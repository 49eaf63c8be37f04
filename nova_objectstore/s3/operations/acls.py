"""Access control lists of buckets and objects: ``?acl``."""

from __future__ import annotations

from nova_objectstore.domain.access import object_acl
from nova_objectstore.domain.acl import Acl, encode_acl
from nova_objectstore.domain.bucket_rules import ACL
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.identities import Identities
from nova_objectstore.domain.notifications import PUT_ACL
from nova_objectstore.domain.objects import Objects
from nova_objectstore.errors import AccessDenied, InvalidRequest
from nova_objectstore.s3.acls import ACL_HEADERS, CANNED_HEADER, AclReader, Owners
from nova_objectstore.s3.announcements import announcement
from nova_objectstore.s3.answer import Answer, empty_answer, xml_answer
from nova_objectstore.s3.authorise import check_acl_that_is_off, owner_of
from nova_objectstore.s3.faults import MarkerNotReadable, MissingSecurityHeader
from nova_objectstore.s3.object_headers import shown_version
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request
from nova_objectstore.types import Account, Version


class AclController(Controller):
    """ACLs. Where they are off, the bucket's owner has full control, and nothing else can be said."""

    def __init__(self, buckets: Buckets, objects: Objects, identities: Identities) -> None:
        self._buckets = buckets
        self._objects = objects
        self._identities = identities
        self._acls = AclReader(identities)

    @operation("GetBucketAcl", "GET /{bucket}?acl", action="s3:GetBucketAcl")
    def get_bucket_acl(self, req: S3Request) -> str:
        """Answer who was granted what on the bucket."""
        acl = None if req.rules.enforced else req.rules.acl
        return self._acls.render(acl, self._identities.owner(req.bucket.owner_id))

    @operation("PutBucketAcl", "PUT /{bucket}?acl", action="s3:PutBucketAcl", body=XML)
    def put_bucket_acl(self, req: S3Request) -> None:
        """Replace the bucket's list."""
        owner = self._identities.owner(req.bucket.owner_id)
        acl = self._read(req, owner, of_bucket=True)
        if acl is None:
            self._buckets.delete_document(req.bucket, ACL)
        else:
            self._buckets.put_document(req.bucket, ACL, encode_acl(acl).encode())

    @operation(
        "GetObjectAcl", "GET /{bucket}/{key}?acl", action="s3:GetObjectAcl", version_action="s3:GetObjectVersionAcl"
    )
    def get_object_acl(self, req: S3Request) -> Answer:
        """Answer who was granted what on the object or the version named."""
        version = self._version(req)
        acl = None if req.rules.enforced else object_acl(version)
        return xml_answer(200, self._acls.render(acl, self._owner(req, version)), shown_version(req, version))

    @operation(
        "PutObjectAcl",
        "PUT /{bucket}/{key}?acl",
        action="s3:PutObjectAcl",
        version_action="s3:PutObjectVersionAcl",
        body=XML,
    )
    def put_object_acl(self, req: S3Request) -> Answer:
        """Replace the list of the object or of the version named; its other properties and its date stay."""
        version = self._version(req)
        acl = self._read(req, self._owner(req, version), of_bucket=False)
        text = "" if acl is None else encode_acl(acl)
        announce = announcement(req, PUT_ACL)
        changed = self._objects.set_extra(req.bucket, req.key, req.version_id, {"acl": text}, announce=announce)
        return empty_answer(200, shown_version(req, changed))

    def _version(self, req: S3Request) -> Version:
        version = req.judged or self._objects.get(req.bucket, req.key, req.version_id)
        if version.is_marker:
            raise MarkerNotReadable(version)
        return version

    def _owner(self, req: S3Request, version: Version) -> Account:
        return self._identities.owner(owner_of(req.rules, req.bucket, version.owner_id))

    def _read(self, req: S3Request, owner: Account, *, of_bucket: bool) -> Acl | None:
        """The list that headers or body ask for.

        Raises MissingSecurityHeader (neither), InvalidRequest (both), AccessControlListNotSupported, AccessDenied (a
        public list where those are blocked), and what reading it raises.
        """
        bucket_owner = self._identities.owner(req.bucket.owner_id).canonical_id
        if not ACL_HEADERS.isdisjoint(req.headers):
            if req.body:
                raise InvalidRequest("This request does not support content")
            owners = Owners(owner.canonical_id, bucket_owner)
            acl = self._acls.from_headers(req.headers, owners, of_bucket=of_bucket)
        elif req.body:
            acl = self._acls.from_document(req.body, owner.canonical_id)
        else:
            raise MissingSecurityHeader
        if req.rules.enforced:
            check_acl_that_is_off(req.rules, req.headers.get(CANNED_HEADER), acl, bucket_owner)
            return None
        if acl is not None and acl.is_public and req.rules.restrictions.block_public_acls:
            raise AccessDenied
        return acl
