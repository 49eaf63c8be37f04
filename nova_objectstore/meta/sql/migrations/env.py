"""Alembic's entry: runs the migrations on the connection that ``upgrade.py`` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from nova_objectstore.meta.sql.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite changes most things of a table by copying it
    transactional_ddl=True,  # SQLite can, once a transaction has begun
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
