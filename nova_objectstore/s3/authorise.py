"""What a request needs to be allowed: its actions, those that its headers add, and what its ACL headers mean.

Most operations ask for the one action of their row. A write asks for more when it also tags, locks or grants; a conditional
one also reads (AWS: the permissions on each operation's page).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from nova_objectstore.domain.access import Access
from nova_objectstore.domain.acl import (
    ANONYMOUS_CANONICAL_ID,
    BUCKET_OWNER_FULL_CONTROL,
    PRIVATE,
    Acl,
    encode_acl,
)
from nova_objectstore.domain.bucket_rules import BucketRules
from nova_objectstore.domain.identities import Identities
from nova_objectstore.errors import AccessDenied
from nova_objectstore.s3.acls import ACL_HEADERS, CANNED_HEADER, AclReader, Owners, is_full_control_of
from nova_objectstore.s3.faults import AccessControlListNotSupported
from nova_objectstore.s3.lock_headers import LEGAL_HOLD, MODE, RETAIN_UNTIL
from nova_objectstore.s3.operation import SERVICE, Operation
from nova_objectstore.s3.policy_context import CREATING, RequestContext, Sources
from nova_objectstore.s3.request import S3Request
from nova_objectstore.types import Bucket, new_tuple

# A version named on these is somebody else's, or means nothing.
_WITHOUT_VERSION = CREATING | frozenset(("UploadPart", "UploadPartCopy", "CompleteMultipartUpload", "RenameObject"))


class WrittenAs(NamedTuple):
    """Who will own what a request writes, and what others may do with it."""

    owner_id: str
    extra: Mapping[
        str, str
    ] = {}  # the ACL as it is kept with a version; nothing for the one that gives nobody else anything


class Authoriser:
    """The step of the pipeline that asks ``Access``."""

    def __init__(self, access: Access, identities: Identities, sources: Sources) -> None:
        self._access = access
        self._identities = identities
        self._sources = sources
        self._acls = AclReader(identities)

    def authorise(self, req: S3Request, operation: Operation) -> None:
        """Let the request pass and fill in what it may see of the rules. Raises AccessDenied, NoSuchKey.

        Also what ACL headers raise: they are read here, once the request is known to be allowed.
        """
        if operation.scope is SERVICE or operation.name == "CreateBucket":
            self._authorise_account(req, operation)
            return
        rules, is_unrestricted = self._access.look(req.principal, req.bucket)
        req.rules = rules
        req.make_context = self._make_context
        if is_unrestricted:
            req.may = _may_everything
        else:
            self._check(req, operation)
            req.may = partial(self._may, req)
        if operation.name in CREATING:
            req.written_as = self._read_ownership(req, rules)

    def _make_context(self, req: S3Request) -> RequestContext:
        assert req.operation is not None
        name = req.operation.name
        return RequestContext(
            req,
            self._sources,
            operation=name,
            bucket=req.bucket,
            key=req.key,
            version_id=None if name in _WITHOUT_VERSION else req.query.get("versionId"),
            inline=name == "GetObject",
        )

    def _authorise_account(self, req: S3Request, operation: Operation) -> None:
        """Operations on the service, and the creation of buckets: what an account does with itself."""
        req.context = context = RequestContext(req, self._sources, operation=operation.name)
        if req.principal.is_anonymous:
            raise AccessDenied
        if req.principal.is_root:
            return
        arn = f"arn:aws:s3:::{req.bucket_name or '*'}"
        for action in (operation.action, *_FURTHER_OF_ACCOUNTS.get(operation.name, _nothing)(req)):
            self._access.check_account(req.principal, action, arn, context=context)

    def _check(self, req: S3Request, operation: Operation) -> None:
        action = operation.action_for(req.query)
        key = req.key or None
        if action:
            self._access.check(req.principal, action, req.bucket, key, context=req.context)
        for further in _FURTHER.get(operation.name, _nothing_more)(req):
            further(self._access, req)

    def _may(self, req: S3Request, action: str) -> bool:
        return self._access.may(req.principal, action, req.bucket, req.key or None, context=req.context)

    def hides_what_is_missing(self, req: S3Request) -> bool:
        """Whether who asks may not know that there is no such key."""
        return not self._access.may_list(req.principal, req.bucket, req.key, context=req.context)

    # -- ACL headers ------------------------------------------------------------------------------------------------------

    def _read_ownership(self, req: S3Request, rules: BucketRules) -> WrittenAs:
        """Who will own the object, and its ACL.

        Raises AccessControlListNotSupported, AccessDenied (a public one where that is blocked), InvalidArgument, ...
        """
        # PERF: writes without ACL headers, in a bucket without ACLs
        if ACL_HEADERS.isdisjoint(req.headers):
            return new_tuple(WrittenAs, (rules.object_owner(req.bucket, req.principal, ""), {}))
        owner_id = rules.object_owner(req.bucket, req.principal, req.headers.get(CANNED_HEADER, ""))
        bucket_owner = self._identities.owner(req.bucket.owner_id).canonical_id
        owner = bucket_owner if owner_id == req.bucket.owner_id else req.principal.canonical_id
        owners = Owners(owner or ANONYMOUS_CANONICAL_ID, bucket_owner)
        acl = self._acls.from_headers(req.headers, owners, of_bucket=False)
        if rules.enforced:
            check_acl_that_is_off(rules, req.headers.get(CANNED_HEADER), acl, bucket_owner)
            return WrittenAs(owner_id)
        if acl is not None and acl.is_public and rules.restrictions.block_public_acls:
            raise AccessDenied
        return WrittenAs(owner_id, {} if acl is PRIVATE else {"acl": encode_acl(acl)})


def _may_everything(_action: str) -> bool:
    return True


def check_acl_that_is_off(rules: BucketRules, canned: str | None, acl: Acl | None, bucket_owner: str) -> None:
    """A list for what has none: only that the bucket's owner has full control. Raises AccessControlListNotSupported."""
    if canned not in _OWNER_ALONE[rules.takes_private] or not is_full_control_of(acl, bucket_owner):
        raise AccessControlListNotSupported


# The canned lists that say it (None: by grants), where "private" is taken for it and where it is not.
_OWNER_ALONE = {False: (None, BUCKET_OWNER_FULL_CONTROL), True: (None, BUCKET_OWNER_FULL_CONTROL, "private")}


def owner_of(rules: BucketRules, bucket: Bucket, account_id: str) -> str:
    """The account that owns an object for now: the bucket's, where ACLs are off, whoever wrote it."""
    return bucket.owner_id if rules.enforced else account_id


# -- what a request needs besides ---------------------------------------------------------------------------------------


Check = Callable[[Access, S3Request], None]


def _same_object(action: str) -> Check:
    """On what the request is about."""

    def check(access: Access, req: S3Request) -> None:
        access.check(req.principal, action, req.bucket, req.key, context=req.context)

    return check


def _own_object(action: str, *, must_be_given: bool = False) -> Check:
    """On the object that the request writes, which will be the writer's own."""

    def check(access: Access, req: S3Request) -> None:
        access.check_own_object(
            req.principal, action, req.bucket, req.key, context=req.context, must_be_given=must_be_given
        )

    return check


def _read(access: Access, req: S3Request) -> None:
    """To be told whether an ETag is the object's is to read it; so it is to be told its attributes."""
    version_id = req.context.version_id
    action = "s3:GetObject" if version_id is None else "s3:GetObjectVersion"
    context = req.context.beside(req.bucket, req.key, version_id)
    access.check(req.principal, action, req.bucket, req.key, context=context)


_grant = _own_object("s3:PutObjectAcl")
_tag = _own_object("s3:PutObjectTagging", must_be_given=True)
_retain = _same_object("s3:PutObjectRetention")
_hold = _same_object("s3:PutObjectLegalHold")


def _nothing_more(_req: S3Request) -> Iterator[Check]:
    return iter(())


def _creating(req: S3Request) -> Iterator[Check]:
    headers = req.headers
    if not ACL_HEADERS.isdisjoint(headers):
        yield _grant
    if "x-amz-tagging" in headers:
        yield _tag
    if MODE in headers or RETAIN_UNTIL in headers:
        yield _retain
    if LEGAL_HOLD in headers:
        yield _hold
    yield from _conditional(req)


def _conditional(req: S3Request) -> Iterator[Check]:
    if req.headers.get("if-match", "*").strip() != "*":
        yield _read


def _attributes(_req: S3Request) -> Iterator[Check]:
    yield _read


_FURTHER: Mapping[str, Callable[[S3Request], Iterator[Check]]] = {
    "PutObject": _creating,
    "PostObject": _creating,
    "CopyObject": _creating,
    "CreateMultipartUpload": _creating,
    "CompleteMultipartUpload": _conditional,
    "DeleteObject": _conditional,
    "GetObjectAttributes": _attributes,
}


def _nothing(_req: S3Request) -> Iterator[str]:
    return iter(())


def _creating_bucket(req: S3Request) -> Iterator[str]:
    if not ACL_HEADERS.isdisjoint(req.headers):
        yield "s3:PutBucketAcl"
    if req.header("x-amz-bucket-object-lock-enabled").lower() == "true":
        yield "s3:PutBucketObjectLockConfiguration"
        yield "s3:PutBucketVersioning"


_FURTHER_OF_ACCOUNTS: Mapping[str, Callable[[S3Request], Iterator[str]]] = {"CreateBucket": _creating_bucket}
