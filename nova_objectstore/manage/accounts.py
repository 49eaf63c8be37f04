"""``nova-manage account``: accounts and their root key pairs."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from nova_objectstore.manage.command import KEY_PAIR_ARGUMENTS, Argument, Command, Context, given_pair
from nova_objectstore.manage.report import Column, Kind, Report
from nova_objectstore.types import Account

_COLUMNS = (
    Column("account_id", title="Account ID"),
    Column("name"),
    Column("email"),
    Column("canonical_id", title="Canonical ID"),
    Column("created", Kind.TIME),
)
_ACCOUNT = Argument("account", {"metavar": "NAME|ID", "help": "The account's name or 12-digit id."})


def _facts(account: Account) -> list[tuple[Column, Any]]:
    values = (account.id, account.name, account.email, account.canonical_id, account.created_us)
    return list(zip(_COLUMNS, values, strict=True))


def _create(context: Context, arguments: Namespace) -> Report:
    account, key = context.accounts.create(
        arguments.name,
        email=arguments.email,
        account_id=arguments.account_id,
        canonical_id=arguments.canonical_id,
        pair=given_pair(arguments),
    )
    return Report.of_one(
        [*_facts(account), (Column("access_key"), key.access_key), (Column("secret_key"), key.secret_key)]
    )


def _list(context: Context, _: Namespace) -> Report:
    return Report(_COLUMNS, [[value for _, value in _facts(account)] for account in context.accounts.list()])


def _show(context: Context, arguments: Namespace) -> Report:
    account = context.accounts.find(arguments.account)
    keys = [key.access_key for key in context.accounts.list_keys(account.id)]
    buckets = context.meta.list_buckets(account.id)
    return Report.of_one(
        [*_facts(account), (Column("access_keys", Kind.LIST), keys), (Column("buckets", Kind.NUMBER), len(buckets))]
    )


def _delete(context: Context, arguments: Namespace) -> Report:
    account = context.accounts.delete(arguments.account)
    return Report.of_one([*_facts(account), (Column("deleted", Kind.FLAG), True)])


COMMANDS = (
    Command(
        "account",
        "create",
        "Make an account with its root key pair; this is the only time that its secret is shown.",
        _create,
        (
            Argument("name", {"metavar": "NAME", "help": "Its name: 1 to 64 letters, digits, spaces and _+=,.@-"}),
            Argument("--email", {"metavar": "E", "default": "", "help": "An address to reach its owner."}),
            Argument("--account-id", {"metavar": "ID", "help": "Its 12 digits; random unless given."}),
            Argument("--canonical-id", {"metavar": "HEX", "help": "Its 64 hexadecimal digits; random unless given."}),
            *KEY_PAIR_ARGUMENTS,
        ),
        may_create=True,
    ),
    Command("account", "list", "List all accounts by name.", _list),
    Command("account", "show", "Show an account, its access keys and how many buckets it has.", _show, (_ACCOUNT,)),
    Command(
        "account",
        "delete",
        "Delete an account that owns no buckets, and its keys, users and policies.",
        _delete,
        (_ACCOUNT,),
    ),
)
