"""Object lock on the wire: headers of writes and reads, dates, and the elements of its documents."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from nova_objectstore.domain.retention import COMPLIANCE, GOVERNANCE
from nova_objectstore.errors import InvalidArgument, InvalidRequest
from nova_objectstore.s3.answer import Headers
from nova_objectstore.s3.dates import iso_date
from nova_objectstore.types import NO_LOCK, Lock

MODE = "x-amz-object-lock-mode"
RETAIN_UNTIL = "x-amz-object-lock-retain-until-date"
LEGAL_HOLD = "x-amz-object-lock-legal-hold"
BYPASS = "x-amz-bypass-governance-retention"

_LATEST_YEAR = 9999


def parse_date(text: str) -> int:
    """An ISO 8601 moment in microseconds. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1_000_000)


def read_lock(headers: Mapping[str, str]) -> Lock:
    """The lock that a write asks for, NO_LOCK for none. Raises InvalidArgument, InvalidRequest."""
    mode, until, hold = headers.get(MODE), headers.get(RETAIN_UNTIL), headers.get(LEGAL_HOLD)
    if mode is None and until is None and hold is None:
        return NO_LOCK
    if (mode is None) != (until is None):
        raise InvalidArgument(f"{RETAIN_UNTIL} and {MODE} must both be supplied", argument_name=MODE)
    if mode is not None and mode not in (GOVERNANCE, COMPLIANCE):
        raise InvalidArgument("Unknown wormMode directive.", argument_name=MODE, argument_value=mode)
    if hold is not None and hold not in ("ON", "OFF"):
        raise InvalidArgument(
            "Legal Hold must be either of 'ON' or 'OFF'", argument_name=LEGAL_HOLD, argument_value=hold
        )
    return Lock(mode or "", _read_until(until), hold == "ON")


def _read_until(text: str | None) -> int:
    if text is None:
        return 0
    try:
        return parse_date(text)
    except ValueError:
        raise InvalidArgument(
            "The retain until date must be provided in ISO 8601 format",
            argument_name=RETAIN_UNTIL,
            argument_value=text,
        ) from None


def require_digest(headers: Mapping[str, str], lock: Lock) -> None:
    """A write under a lock must prove its bytes (AWS: PutObject). Raises InvalidRequest."""
    if lock is NO_LOCK or "content-md5" in headers:
        return
    if not any(name.startswith(("x-amz-checksum-", "x-amz-trailer")) for name in headers):
        raise InvalidRequest(
            "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
        )


def lock_headers(lock: Lock) -> Headers:
    """The headers of a read of a locked version."""
    headers: Headers = []
    if lock.mode:
        headers += [(MODE, lock.mode), (RETAIN_UNTIL, iso_date(lock.retain_until_us))]
    if lock.legal_hold:
        headers.append((LEGAL_HOLD, "ON"))
    return headers


def bypasses_governance(headers: Mapping[str, str]) -> bool:
    """``x-amz-bypass-governance-retention: true``."""
    return headers.get(BYPASS, "").lower() == "true"
