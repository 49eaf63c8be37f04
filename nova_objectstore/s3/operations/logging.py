"""Server access logging of buckets: ``?logging``."""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.domain.access import Access
from nova_objectstore.domain.access_logging import LOGGING, KeyFormat, LogTarget, Source, check_delivery
from nova_objectstore.domain.acl import GRANTS_MAX, Grant, Permission
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.identities import Identities
from nova_objectstore.errors import MalformedXML, NoSuchBucket
from nova_objectstore.limits import KEY_BYTES_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.acls import AclReader
from nova_objectstore.s3.faults import AccessControlListNotSupported, InvalidTargetBucketForLogging
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import document, element

_ROOT = "BucketLoggingStatus"
_GRANTABLE = (Permission.FULL_CONTROL, Permission.READ, Permission.WRITE)  # S3: BucketLogsPermission
_KEY_CHARS = 200  # of a log object's key behind its prefix, at most


class LoggingController(Controller):
    """Access logging."""

    def __init__(self, buckets: Buckets, access: Access, identities: Identities) -> None:
        self._buckets = buckets
        self._access = access
        self._identities = identities
        self._acls = AclReader(identities)

    @operation("GetBucketLogging", "GET /{bucket}?logging", action="s3:GetBucketLogging")
    def get_bucket_logging(self, req: S3Request) -> str:
        """Answer where the log goes; of a bucket that logs nothing the document is empty."""
        target = req.rules.log_target
        return document(_ROOT, self._render(target)) if target is not None else document(_ROOT)

    @operation("PutBucketLogging", "PUT /{bucket}?logging", action="s3:PutBucketLogging", body=XML)
    def put_bucket_logging(self, req: S3Request) -> None:
        """Log requests from now on, or, without LoggingEnabled, no more. The target is asked whether it takes logs."""
        target = self._parse(req.body)
        if target is None:
            self._buckets.delete_document(req.bucket, LOGGING)
            return
        self._check(req, target)
        self._buckets.put_document(req.bucket, LOGGING, target.encode())

    # -- the target ----------------------------------------------------------------------------------------------------

    def _check(self, req: S3Request, target: LogTarget) -> None:
        """Raises InvalidTargetBucketForLogging, AccessDenied, AccessControlListNotSupported."""
        try:
            bucket = self._buckets.find(target.bucket)
        except NoSuchBucket:
            raise InvalidTargetBucketForLogging(
                "The target bucket for logging does not exist", target_bucket=target.bucket
            ) from None
        rules = self._access.rules(bucket)
        owner = self._identities.owner(req.bucket.owner_id)
        source = Source(req.bucket.name, req.bucket.owner_id, (req.bucket.owner_id, owner.canonical_id))
        check_delivery(self._access, bucket, source, prefix=target.prefix, key=f"{target.prefix}-")
        if rules.requester_pays:
            raise InvalidTargetBucketForLogging(
                "The target bucket for logging has requester pays enabled", target_bucket=target.bucket
            )
        if target.grants and rules.enforced:
            raise AccessControlListNotSupported

    # -- the document --------------------------------------------------------------------------------------------------

    def _parse(self, body: bytes) -> LogTarget | None:
        """Raises MalformedXML, InvalidArgument, UnresolvableGrantByEmailAddress."""
        enabled = xml.child(xml.parse(body, _ROOT), "LoggingEnabled")
        if enabled is None:
            return None
        prefix = xml.text(enabled, "TargetPrefix")
        if len(prefix.encode("utf-8", "surrogatepass")) > KEY_BYTES_MAX - _KEY_CHARS:
            raise MalformedXML(reason="TargetPrefix is too long")
        return LogTarget(
            xml.text(enabled, "TargetBucket"),
            prefix,
            _parse_format(xml.child(enabled, "TargetObjectKeyFormat")),
            self._parse_grants(xml.child(enabled, "TargetGrants")),
        )

    def _parse_grants(self, node: xml.Node | None) -> Sequence[Grant]:
        grants = [self._acls.read_grant(grant) for grant in xml.children(node, "Grant")] if node is not None else []
        if len(grants) > GRANTS_MAX or any(grant.permission not in _GRANTABLE for grant in grants):
            raise MalformedXML(reason="TargetGrants")
        return tuple(grants)

    def _render(self, target: LogTarget) -> str:
        grants = "".join(self._acls.render_grant(grant) for grant in target.grants)
        return "".join(
            (
                "<LoggingEnabled>",
                element("TargetBucket", target.bucket),
                element("TargetPrefix", target.prefix),
                f"<TargetGrants>{grants}</TargetGrants>" if grants else "",
                _render_format(target.key_format),
                "</LoggingEnabled>",
            )
        )


def _parse_format(node: xml.Node | None) -> KeyFormat:
    if node is None:
        return KeyFormat.DEFAULT
    simple, partitioned = xml.child(node, "SimplePrefix"), xml.child(node, "PartitionedPrefix")
    if (simple is None) is (partitioned is None):
        raise MalformedXML(reason="TargetObjectKeyFormat: one of SimplePrefix and PartitionedPrefix")
    if partitioned is None:
        return KeyFormat.SIMPLE
    source = xml.optional_text(partitioned, "PartitionDateSource") or KeyFormat.BY_DELIVERY_TIME
    if source not in (KeyFormat.BY_EVENT_TIME, KeyFormat.BY_DELIVERY_TIME):
        raise MalformedXML(reason="PartitionDateSource")
    return KeyFormat(source)


def _render_format(key_format: KeyFormat) -> str:
    if key_format is KeyFormat.DEFAULT:
        return ""
    if key_format is KeyFormat.SIMPLE:
        inner = "<SimplePrefix></SimplePrefix>"
    else:
        inner = f"<PartitionedPrefix>{element('PartitionDateSource', key_format)}</PartitionedPrefix>"
    return f"<TargetObjectKeyFormat>{inner}</TargetObjectKeyFormat>"
