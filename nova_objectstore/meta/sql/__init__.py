"""The port's verbs in SQL, written once for every database.

schema.py       the tables and what holds between their rows
statements/     each statement once, in SQLAlchemy Core
compiler.py     Core -> SQL text with numbered parameters, once per dialect; compiled/ keeps the outcome for fast starts
transaction.py  what a verb may do: one, all, run, insert
rows.py         rows <-> the values of ``nova_objectstore.types``
accounts.py buckets.py versions.py deletions.py renames.py locks.py conditions.py listings.py uploads.py parts.py garbage.py
images.py
                the verbs: functions of (transaction, arguments)
engine.py       the table: which verb of the port is which function, and whether it reads or writes
revisions.py migrations/
                the schema's history
"""
