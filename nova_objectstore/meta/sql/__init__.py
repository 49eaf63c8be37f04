"""The port's verbs in SQL, written once for every database.

schema.py       the tables and what holds between their rows
statement.py    Statement: one SQL statement by name; core.py imports SQLAlchemy only when one must be compiled
statements/     each statement once, in SQLAlchemy Core, by topic
compiler.py     Core -> SQL text with numbered parameters, once per dialect; compiled/ keeps the outcome for fast starts
transaction.py  what a verb may do: one, all, run, insert
rows.py         rows <-> the values of ``nova_objectstore.types``
engine.py       the table: which verb of the port is which function, and whether it reads or writes
revisions.py    the schema's history, which migrations/ holds

The verbs are functions of (transaction, arguments): accounts.py buckets.py versions.py deletions.py renames.py listings.py
uploads.py parts.py garbage.py images.py. What several of them need: bucket_states.py conditions.py locks.py contents.py, and the
pure keyrange.py (bounds of prefixes) and version_ids.py.
"""
