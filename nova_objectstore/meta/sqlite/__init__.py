"""SQLite, the embedded metadata engine.

engine.py        SqliteEngine: opens, reads on the hub's thread, hands writes to the committer
committer.py     the one greenthread of a process that writes: batches, COMMIT in a native thread, failures undone
checkpointer.py  the log's pages go into the database, beside the writers
turnstile.py     writers of all processes, one at a time and in turn
connection.py    connections, their settings, transactions on them, errors translated
schema.py        an empty database gets its tables, an older one is migrated, a newer one refused
revision.py      the revision of a database that is not open
"""

from nova_objectstore.meta.sqlite.engine import SqliteEngine

__all__ = ["SqliteEngine"]
