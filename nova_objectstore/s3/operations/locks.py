"""Object lock: a bucket's configuration, a version's retention and legal hold."""

from __future__ import annotations

from nova_objectstore.domain.access import Access
from nova_objectstore.domain.retention import COMPLIANCE, GOVERNANCE, DefaultRetention, Retention
from nova_objectstore.errors import MalformedXML
from nova_objectstore.s3 import xml
from nova_objectstore.s3.dates import iso_date
from nova_objectstore.s3.faults import InvalidRetentionPeriod, NoSuchObjectLock, ObjectLockConfigurationNotFound
from nova_objectstore.s3.lock_headers import bypasses_governance, parse_date
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import document, element

RETENTION_DAYS_MAX = 36_500  # S3: 100 years
RETENTION_YEARS_MAX = 100


class LockController(Controller):
    """Locks."""

    def __init__(self, retention: Retention, access: Access) -> None:
        self._retention = retention
        self._access = access

    @operation("GetObjectLockConfiguration", "GET /{bucket}?object-lock", action="s3:GetBucketObjectLockConfiguration")
    def get_object_lock_configuration(self, req: S3Request) -> str:
        """Answer whether the bucket has object lock, and its default retention."""
        if not req.bucket.object_lock:
            raise ObjectLockConfigurationNotFound(bucket_name=req.bucket_name)
        return _render_configuration(self._retention.default(req.bucket))

    @operation(
        "PutObjectLockConfiguration",
        "PUT /{bucket}?object-lock",
        action="s3:PutBucketObjectLockConfiguration",
        body=XML,
    )
    def put_object_lock_configuration(self, req: S3Request) -> None:
        """Turn object lock on and set or drop the default retention."""
        self._retention.configure(req.bucket, _read_configuration(req.body))

    @operation("GetObjectRetention", "GET /{bucket}/{key}?retention", action="s3:GetObjectRetention")
    def get_object_retention(self, req: S3Request) -> str:
        """Answer a version's retention; one without is NoSuchObjectLockConfiguration."""
        lock = self._retention.get(req.bucket, req.key, req.version_id).lock
        if not lock.mode:
            raise NoSuchObjectLock
        return document(
            "Retention", element("Mode", lock.mode), element("RetainUntilDate", iso_date(lock.retain_until_us))
        )

    @operation("PutObjectRetention", "PUT /{bucket}/{key}?retention", action="s3:PutObjectRetention", body=XML)
    def put_object_retention(self, req: S3Request) -> None:
        """Set a version's retention; weakening one in force takes the permission to bypass it."""
        mode, until_us = _read_retention(req.body)
        self._retention.retain(
            req.bucket,
            req.key,
            req.version_id,
            mode=mode,
            until_us=until_us,
            bypass_governance=may_bypass(req, self._access),
        )

    @operation("GetObjectLegalHold", "GET /{bucket}/{key}?legal-hold", action="s3:GetObjectLegalHold")
    def get_object_legal_hold(self, req: S3Request) -> str:
        """Answer a version's legal hold."""
        lock = self._retention.get(req.bucket, req.key, req.version_id).lock
        return document("LegalHold", element("Status", "ON" if lock.legal_hold else "OFF"))

    @operation("PutObjectLegalHold", "PUT /{bucket}/{key}?legal-hold", action="s3:PutObjectLegalHold", body=XML)
    def put_object_legal_hold(self, req: S3Request) -> None:
        """Set or lift a version's legal hold."""
        status = xml.text(xml.parse(req.body, "LegalHold"), "Status")
        if status not in ("ON", "OFF"):
            raise MalformedXML(reason="Status")
        self._retention.hold(req.bucket, req.key, req.version_id, on=status == "ON")


def may_bypass(req: S3Request, access: Access) -> bool:
    """Whether the request asks to bypass governance retention; the permission to is checked. Raises AccessDenied."""
    if not bypasses_governance(req.headers):
        return False
    access.check(req.principal, "s3:BypassGovernanceRetention", req.bucket, req.key, context=req.context)
    return True


def _read_configuration(body: bytes) -> DefaultRetention | None:
    root = xml.parse(body, "ObjectLockConfiguration")
    if xml.text(root, "ObjectLockEnabled") != "Enabled":
        raise MalformedXML(reason="ObjectLockEnabled")
    rule = xml.child(root, "Rule")
    if rule is None:
        return None
    default = xml.child(rule, "DefaultRetention")
    if default is None:
        raise MalformedXML(reason="DefaultRetention")
    mode = _read_mode(default)
    days, years = xml.optional_text(default, "Days"), xml.optional_text(default, "Years")
    if (days is None) == (years is None):
        raise MalformedXML(reason="Days, Years")
    if days is not None:
        return DefaultRetention(mode, days=_period(days, RETENTION_DAYS_MAX))
    return DefaultRetention(mode, years=_period(years or "", RETENTION_YEARS_MAX))


def _period(text: str, longest: int) -> int:
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise MalformedXML(reason="Days, Years")
    period = int(text)
    if not 0 < period <= longest:
        raise InvalidRetentionPeriod(f"Default retention period must be a positive integer value of at most {longest}")
    return period


def _read_mode(node: xml.Node) -> str:
    mode = xml.text(node, "Mode")
    if mode not in (GOVERNANCE, COMPLIANCE):
        raise MalformedXML(reason="Mode")
    return mode


def _read_retention(body: bytes) -> tuple[str, int]:
    """Mode and end of a Retention document; an empty document lifts the retention."""
    root = xml.parse(body, "Retention")
    if not root.children:
        return "", 0
    mode = _read_mode(root)
    try:
        return mode, parse_date(xml.text(root, "RetainUntilDate"))
    except (ValueError, OverflowError):
        raise MalformedXML(reason="RetainUntilDate") from None


def _render_configuration(default: DefaultRetention | None) -> str:
    rule = ""
    if default is not None:
        period = element("Days", str(default.days)) if default.days else element("Years", str(default.years))
        rule = f"<Rule><DefaultRetention>{element('Mode', default.mode)}{period}</DefaultRetention></Rule>"
    return document("ObjectLockConfiguration", element("ObjectLockEnabled", "Enabled"), rule)
