"""``nova-manage db``: the metadata database's schema."""

from __future__ import annotations

from argparse import Namespace

from nova_objectstore.manage.command import Command, Context
from nova_objectstore.manage.report import Column, Report


def _version(context: Context, _: Namespace) -> Report:
    schema = context.read_schema()
    return Report.of_one([(Column("version"), schema.current or ""), (Column("latest"), schema.latest)])


def _upgrade(context: Context, _: Namespace) -> Report:
    before = context.read_schema()
    context.meta.open()  # opening is what migrates
    after = context.read_schema()
    return Report.of_one(
        [
            (Column("version"), after.current or ""),
            (Column("latest"), after.latest),
            (Column("version_before"), before.current or ""),
        ]
    )


COMMANDS = (
    Command("db", "version", "Show the schema version of the database and this release's.", _version, is_open=False),
    Command(
        "db",
        "upgrade",
        "Make the database, or bring an older one to this release's schema; the store does it at its start too.",
        _upgrade,
        may_create=True,
        is_open=False,
    ),
)
