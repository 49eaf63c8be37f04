"""The schema's history, as alembic's migrations.

A change of ``schema.py`` needs a file in ``versions/`` (next number of four digits), ``revisions.HEAD`` set to it, and
``python -m nova_objectstore.meta.sql.compiler`` run. The tests compare a database made anew with one that was migrated.
"""
