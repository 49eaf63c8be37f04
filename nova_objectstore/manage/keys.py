"""``nova-manage key``: access keys of accounts."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from nova_objectstore.manage.command import KEY_PAIR_ARGUMENTS, Argument, Command, Context, given_pair
from nova_objectstore.manage.report import Column, Kind, Report
from nova_objectstore.types import AccessKey

_COLUMNS = (
    Column("access_key"),
    Column("account_id", title="Account ID"),
    Column("user", title="IAM user"),
    Column("active", Kind.FLAG),
    Column("created", Kind.TIME),
)
_ACCOUNT = Argument("account", {"metavar": "ACCOUNT", "help": "The account's name or 12-digit id."})
_KEY = Argument("key", {"metavar": "KEY", "help": "The access key."})


def _values(key: AccessKey) -> list[Any]:
    return [key.access_key, key.account_id, key.user_name or "", key.active, key.created_us]


def _report(key: AccessKey, *more: tuple[Column, Any]) -> Report:
    return Report.of_one([*zip(_COLUMNS, _values(key), strict=True), *more])


def _create(context: Context, arguments: Namespace) -> Report:
    key = context.accounts.create_key(arguments.account, given_pair(arguments))
    return _report(key, (Column("secret_key"), key.secret_key))


def _list(context: Context, arguments: Namespace) -> Report:
    return Report(_COLUMNS, [_values(key) for key in context.accounts.list_keys(arguments.account)])


def _delete(context: Context, arguments: Namespace) -> Report:
    key = context.meta.find_access_key(arguments.key)
    context.accounts.delete_key(key.access_key)
    return _report(key, (Column("deleted", Kind.FLAG), True))


def _activate(context: Context, arguments: Namespace) -> Report:
    return _switch(context, arguments.key, active=True)


def _deactivate(context: Context, arguments: Namespace) -> Report:
    return _switch(context, arguments.key, active=False)


def _switch(context: Context, access_key: str, *, active: bool) -> Report:
    context.accounts.set_key_active(access_key, active)
    return _report(context.meta.find_access_key(access_key))


COMMANDS = (
    Command(
        "key",
        "create",
        "Add a root key pair to an account; this is the only time that its secret is shown.",
        _create,
        (_ACCOUNT, *KEY_PAIR_ARGUMENTS),
    ),
    Command("key", "list", "List an account's access keys, oldest first.", _list, (_ACCOUNT,)),
    Command("key", "delete", "Delete an access key; what it signs is refused at once.", _delete, (_KEY,)),
    Command("key", "activate", "Switch an access key on again.", _activate, (_KEY,)),
    Command("key", "deactivate", "Switch an access key off without deleting it.", _deactivate, (_KEY,)),
)
