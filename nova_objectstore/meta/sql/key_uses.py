"""When keys were used: verbs of ``iam.ports.IamStore`` that leave the epoch alone, since nothing cached depends on them."""

from __future__ import annotations

from collections.abc import Sequence

from nova_objectstore.iam.ports import KeyUse
from nova_objectstore.meta.sql.statements import iam as q
from nova_objectstore.meta.sql.statements.accounts import find_access_key
from nova_objectstore.meta.sql.transaction import Transaction


def note_key_uses(tx: Transaction, uses: Sequence[KeyUse]) -> None:
    """Keep when keys were used."""
    for use in uses:
        kept = find_key_use(tx, use.access_key)
        if kept is None and tx.one(find_access_key, use.access_key) is not None:
            tx.run(q.insert_key_use, *use)
        elif kept is not None and kept.used_us < use.used_us:
            tx.run(q.update_key_use, *use)


def find_key_use(tx: Transaction, access_key: str) -> KeyUse | None:
    """When a key was last used."""
    row = tx.one(q.find_key_use, access_key)
    return KeyUse(*row) if row is not None else None
