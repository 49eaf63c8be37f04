"""``nova-manage bucket``: buckets and what they hold."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from typing import Any

from nova_objectstore.limits import LIST_BUCKETS_MAX
from nova_objectstore.manage.command import Argument, Command, Context
from nova_objectstore.manage.report import Column, Kind, Report
from nova_objectstore.types import Account, Bucket

_COLUMNS = (
    Column("bucket"),
    Column("account"),
    Column("account_id", title="Account ID"),
    Column("region"),
    Column("versioning"),
    Column("object_lock", Kind.FLAG),
    Column("created", Kind.TIME),
)


def _values(bucket: Bucket, account: Account) -> list[Any]:
    return [
        bucket.name,
        account.name,
        account.id,
        bucket.region,
        str(bucket.versioning) or "Off",
        bucket.object_lock,
        bucket.created_us,
    ]


def _list(context: Context, arguments: Namespace) -> Report:
    chosen = context.accounts.list() if arguments.account is None else [context.accounts.find(arguments.account)]
    return Report(
        _COLUMNS, [_values(bucket, account) for account in chosen for bucket in _buckets_of(context, account)]
    )


def _buckets_of(context: Context, account: Account) -> Iterator[Bucket]:
    after = ""
    while page := context.meta.list_buckets(account.id, after=after, limit=LIST_BUCKETS_MAX):
        yield from page
        after = page[-1].name


def _stats(context: Context, arguments: Namespace) -> Report:
    bucket = context.meta.find_bucket(arguments.bucket)
    objects, size = context.meta.usage(bucket.id)
    account = context.meta.find_account(bucket.owner_id)
    return Report.of_one(
        [
            *zip(_COLUMNS, _values(bucket, account), strict=True),
            (Column("configurations", Kind.LIST), sorted(context.meta.get_documents(bucket.id))),
            (Column("objects", Kind.NUMBER, "Objects (all versions)"), objects),
            (Column("bytes", Kind.BYTES, "Size (all versions)"), size),
        ]
    )


COMMANDS = (
    Command(
        "bucket",
        "list",
        "List the buckets of an account, or of all accounts.",
        _list,
        (Argument("account", {"metavar": "ACCOUNT", "nargs": "?", "help": "The account's name or 12-digit id."}),),
    ),
    Command(
        "bucket",
        "stats",
        "Show a bucket, its configurations, and how much it holds.",
        _stats,
        (Argument("bucket", {"metavar": "BUCKET", "help": "The bucket's name."}),),
    ),
)
