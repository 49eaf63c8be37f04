"""``nova-manage key``: access keys of accounts and of their users."""

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
_USER = Argument("--user", {"metavar": "NAME", "help": "Of this IAM user of the account."})
_KEY = Argument("key", {"metavar": "KEY", "help": "The access key."})


def _values(key: AccessKey) -> list[Any]:
    return [key.access_key, key.account_id, key.user_name or "", key.active, key.created_us]


def _report(key: AccessKey, *more: tuple[Column, Any]) -> Report:
    return Report.of_one([*zip(_COLUMNS, _values(key), strict=True), *more])


def _create(context: Context, arguments: Namespace) -> Report:
    pair = given_pair(arguments)
    if arguments.user is None:
        key = context.accounts.create_key(arguments.account, pair)
    else:
        account = context.accounts.find(arguments.account)
        key = context.directory.create_key(account.id, arguments.user, pair)
    return _report(key, (Column("secret_key"), key.secret_key))


def _list(context: Context, arguments: Namespace) -> Report:
    keys = context.accounts.list_keys(arguments.account)
    if arguments.user is not None:
        keys = context.directory.iam.list_entity_keys(context.accounts.find(arguments.account).id, arguments.user)
    return Report(_COLUMNS, [_values(key) for key in keys])


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
        "Add a key pair to an account's root, or to a user; this is the only time that its secret is shown.",
        _create,
        (_ACCOUNT, _USER, *KEY_PAIR_ARGUMENTS),
    ),
    Command("key", "list", "List an account's access keys, oldest first.", _list, (_ACCOUNT, _USER)),
    Command("key", "delete", "Delete an access key; what it signs is refused at once.", _delete, (_KEY,)),
    Command("key", "activate", "Switch an access key on again.", _activate, (_KEY,)),
    Command("key", "deactivate", "Switch an access key off without deleting it.", _deactivate, (_KEY,)),
)
