"""``nova-manage quota``: how much accounts and buckets may hold."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Callable
from typing import Any, NamedTuple

from nova_objectstore.limits import GiB, KiB, MiB, TiB
from nova_objectstore.manage.command import Argument, Command, Context, UsageError
from nova_objectstore.manage.report import Column, Kind, Report
from nova_objectstore.meta.quota_port import NO_QUOTA, KnownQuota, Quota, QuotaUse

NUMBER_MAX = (1 << 63) - 1  # what the databases' integers hold
_UNITS = {"": 1, "KIB": KiB, "MIB": MiB, "GIB": GiB, "TIB": TiB, "PIB": 1024 * TiB}
_SIZE = re.compile(r"(\d+) ?([KMGTP]iB|)", re.IGNORECASE)

_COLUMNS = (
    Column("account"),
    Column("account_id", title="Account ID"),
    Column("bucket"),
    Column("objects", Kind.NUMBER),
    Column("objects_max", Kind.NUMBER, "Objects, at most"),
    Column("bytes", Kind.BYTES, "Size"),
    Column("bytes_max", Kind.BYTES, "Size, at most"),
)
_WHOSE = (
    Argument("--account", {"metavar": "NAME|ID", "help": "Of this account: of all its buckets together."}),
    Argument("--bucket", {"metavar": "BUCKET", "help": "Of this bucket."}),
)


class _Subject(NamedTuple):
    """Whom a command is about, and what it can do with the quota."""

    account_id: str
    bucket_name: str | None
    replace: Callable[[Quota], None]
    read: Callable[[], QuotaUse]


def _find(context: Context, arguments: Namespace) -> _Subject:
    """The account or bucket that is named. Raises UsageError, NoSuchAccount, NoSuchBucket."""
    if (arguments.account is None) == (arguments.bucket is None):
        raise UsageError("give either --account or --bucket")
    quotas = context.quotas
    if arguments.account is not None:
        account_id = context.accounts.find(arguments.account).id
        return _Subject(
            account_id,
            None,
            lambda quota: quotas.set_account_quota(account_id, quota),
            lambda: quotas.get_account_quota(account_id),
        )
    bucket = context.meta.find_bucket(arguments.bucket)
    return _Subject(
        bucket.owner_id,
        bucket.name,
        lambda quota: quotas.set_bucket_quota(bucket.id, quota),
        lambda: quotas.get_bucket_quota(bucket.id),
    )


def _set(context: Context, arguments: Namespace) -> Report:
    if arguments.objects is None and arguments.bytes is None:
        raise UsageError("give --objects, --bytes or both; nova-manage quota clear removes a quota")
    subject = _find(context, arguments)
    subject.replace(Quota(arguments.objects, arguments.bytes))
    return _report_one(context, subject)


def _show(context: Context, arguments: Namespace) -> Report:
    if arguments.account is None and arguments.bucket is None:
        return Report(_COLUMNS, [_values(context, known) for known in context.quotas.list_quotas()])
    return _report_one(context, _find(context, arguments))


def _clear(context: Context, arguments: Namespace) -> Report:
    subject = _find(context, arguments)
    subject.replace(NO_QUOTA)
    return _report_one(context, subject)


def _report_one(context: Context, subject: _Subject) -> Report:
    known = KnownQuota(subject.account_id, subject.bucket_name, subject.read())
    return Report.of_one(list(zip(_COLUMNS, _values(context, known), strict=True)))


def _values(context: Context, known: KnownQuota) -> list[Any]:
    name = context.meta.find_account(known.account_id).name
    quota, objects, size = known.use
    return [name, known.account_id, known.bucket_name, objects, quota.objects_max, size, quota.bytes_max]


def _read_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > NUMBER_MAX:
        raise UsageError(f"--objects: {text!r} is not a number of objects")
    return int(text)


def _read_size(text: str) -> int:
    match = _SIZE.fullmatch(text) if text.isascii() else None
    size = int(match[1]) * _UNITS[match[2].upper()] if match else NUMBER_MAX + 1
    if size > NUMBER_MAX:
        raise UsageError(f"--bytes: {text!r} is not a size: a number of bytes, or with KiB, MiB, GiB, TiB, PiB")
    return size


COMMANDS = (
    Command(
        "quota",
        "set",
        "Set how much an account or a bucket may hold; what is not given is not limited.",
        _set,
        (
            *_WHOSE,
            Argument("--objects", {"metavar": "N", "type": _read_count, "help": "The most objects, all versions."}),
            Argument(
                "--bytes", {"metavar": "SIZE", "type": _read_size, "help": "The most bytes: 5000000, 500MiB, 2TiB."}
            ),
        ),
    ),
    Command("quota", "show", "Show a quota and what is held under it, or every quota there is.", _show, _WHOSE),
    Command("quota", "clear", "Remove the quota of an account or a bucket.", _clear, _WHOSE),
)
