"""Seals what an earlier release left in the database as it was: secret keys."""

from __future__ import annotations

import sqlite3

from nova_objectstore.meta.secrets_port import SecretSeal

_PLAIN = "SELECT access_key, secret_key FROM access_keys WHERE instr(secret_key, ' ') = 0"  # sealed ones have blanks
_SEAL = "UPDATE access_keys SET secret_key = ?2 WHERE access_key = ?1"


def seal_secret_keys(connection: sqlite3.Connection, secrets: SecretSeal) -> int:
    """Seal the secret keys that are not; answer how many. The caller keeps other processes out.

    One transaction. What lay there is overwritten, in the database and in its WAL, as far as SQLite can know of it: not
    in pages that were freed before, nor in backups.
    """
    plain = connection.execute(_PLAIN).fetchall()
    sealed = [
        (access_key, text) for access_key, secret in plain if (text := secrets.seal(access_key, secret)) != secret
    ]
    if not sealed:
        return 0
    connection.execute("PRAGMA secure_delete = ON")  # FAST leaves what was freed in pages that are not written
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany(_SEAL, sealed)
        connection.execute("COMMIT")
    except BaseException:  # an interrupt too: no transaction may stay open
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return len(sealed)
