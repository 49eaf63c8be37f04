"""Leases on rows: a worker holds a row until a time, and renews that while it lives."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa
from nova_objectstore.meta.sql.statement import Core, Param

FAR_US = 600 * 1_000_000  # more than leases, and pauses after a failure, differ


def is_lease_over(until_us: Core, now_us: Param, far_us: Param) -> Core:
    """Whether a lease has run out; one that ends behind ``far_us`` is from before the clock was set back."""
    return sa.or_(until_us <= now_us, until_us > far_us)
