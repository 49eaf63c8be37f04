"""``nova-manage kms``: the keys of server-side encryption (SSE-KMS), and the store's own (SSE-S3)."""

from __future__ import annotations

import uuid
from argparse import Namespace
from pathlib import Path
from typing import Any

from nova_objectstore.crypto.keyring import StoredKey
from nova_objectstore.crypto.master import MasterKeyPlace
from nova_objectstore.manage.command import Argument, Command, Context
from nova_objectstore.manage.report import Column, Kind, Report

_COLUMNS = (
    Column("key", title="Key ID"),
    Column("enabled", Kind.FLAG),
    Column("version", Kind.NUMBER),
    Column("created", Kind.TIME),
    Column("rotated", Kind.TIME, "Version made"),
)
_KEY = Argument("key", {"metavar": "KEY", "help": "The key's id."})


def _values(key: StoredKey) -> list[Any]:
    return [key.id, key.enabled, key.newest.number, key.created_us, key.newest.created_us]


def _report(key: StoredKey) -> Report:
    return Report.of_one(list(zip(_COLUMNS, _values(key), strict=True)))


def _create(context: Context, arguments: Namespace) -> Report:
    return _report(context.keyring.create(arguments.key or str(uuid.uuid4())))


def _list(context: Context, _: Namespace) -> Report:
    return Report(_COLUMNS, [_values(key) for key in context.keyring.list()])


def _show(context: Context, arguments: Namespace) -> Report:
    """One row a version."""
    key = context.keyring.find(arguments.key)
    columns = (
        Column("key", title="Key ID"),
        Column("version", Kind.NUMBER),
        Column("created", Kind.TIME),
        Column("seals", Kind.FLAG, "Seals new objects"),
        Column("opens", Kind.FLAG, "Opens its objects"),
    )
    rows = [
        [key.id, version.number, version.created_us, key.enabled and version is key.newest, key.enabled]
        for version in key.versions
    ]
    return Report(columns, rows)


def _rotate(context: Context, arguments: Namespace) -> Report:
    return _report(context.keyring.rotate(arguments.key))


def _enable(context: Context, arguments: Namespace) -> Report:
    return _report(context.keyring.set_enabled(arguments.key, True))


def _disable(context: Context, arguments: Namespace) -> Report:
    return _report(context.keyring.set_enabled(arguments.key, False))


def _reseal(context: Context, arguments: Namespace) -> Report:
    master = MasterKeyPlace(Path(arguments.file), is_made=False).obtain()
    context.keyring.reseal(master)
    return Report.of_one([(Column("master_key", title="Master key ID"), master.id)])


COMMANDS = (
    Command(
        "kms",
        "create",
        "Make a key that objects can be encrypted with; aws/s3 is the one that is used when none is named.",
        _create,
        (Argument("key", {"metavar": "KEY", "nargs": "?", "help": "Its id; a random uuid unless given."}),),
        may_create=True,
    ),
    Command("kms", "list", "List all keys by id.", _list, is_open=False),
    Command("kms", "show", "Show the versions of a key.", _show, (_KEY,), is_open=False),
    Command(
        "kms",
        "rotate",
        "Give a key a new version: new objects get it, old ones keep theirs and stay readable.",
        _rotate,
        (_KEY,),
        is_open=False,
    ),
    Command("kms", "enable", "Let a key be used again.", _enable, (_KEY,), is_open=False),
    Command(
        "kms",
        "disable",
        "Refuse a key to reads and writes at once, until it is enabled again.",
        _disable,
        (_KEY,),
        is_open=False,
    ),
    Command(
        "kms",
        "reseal",
        "Seal the keyring under the master key in FILE; give the store that key before it starts again.",
        _reseal,
        (Argument("file", {"metavar": "FILE", "help": "A file like master-key, its owner's alone to read."}),),
        is_open=False,
    ),
)
