"""Object lock: who may remove a version, and how a retention may change (AWS: "How S3 Object Lock works")."""

from __future__ import annotations

from nova_objectstore.errors import ObjectLocked
from nova_objectstore.meta.sql.rows import AnyRow, VersionRow, decode_lock
from nova_objectstore.types import Lock

GOVERNANCE = "GOVERNANCE"
COMPLIANCE = "COMPLIANCE"


def check_removable(found: AnyRow, *, now_us: int, bypass_governance: bool = False) -> None:
    """Raise ObjectLocked unless the version may be removed for good."""
    if found.lock_mode is None:
        return
    lock = decode_lock(found.lock_mode, found.retain_until_us, found.legal_hold)
    if lock.legal_hold or _in_force(lock, now_us, bypass_governance):
        raise ObjectLocked(key=found.key, version_id=found.version_id)


def check_retention_change(
    found: VersionRow, *, mode: str, retain_until_us: int, now_us: int, bypass_governance: bool
) -> None:
    """Raise ObjectLocked when the new retention would shorten or weaken one in force; extending it is always allowed."""
    lock = found.lock
    extends = mode == lock.mode and retain_until_us >= lock.retain_until_us
    if not extends and _in_force(lock, now_us, bypass_governance):
        raise ObjectLocked(key=found.key, version_id=found.version_id)


def _in_force(lock: Lock, now_us: int, bypass_governance: bool) -> bool:
    if not lock.mode or lock.retain_until_us <= now_us:
        return False
    return not (lock.mode == GOVERNANCE and bypass_governance)
