"""``nova-manage policy``: the managed policies of an account."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from nova_objectstore.iam.limits import POLICIES_MAX, VERSIONS_MAX
from nova_objectstore.iam.managed import AWS_POLICIES
from nova_objectstore.iam.ports import AWS_POLICY_PREFIX, ManagedPolicy, PolicyUse
from nova_objectstore.manage.command import Argument, Command, Context
from nova_objectstore.manage.report import Column, Kind, Report

_COLUMNS = (
    Column("name"),
    Column("arn", title="ARN"),
    Column("default_version"),
    Column("attached", Kind.NUMBER),
    Column("boundaries", Kind.NUMBER, "As boundary"),
    Column("changed", Kind.TIME),
)
_ACCOUNT = Argument("account", {"metavar": "ACCOUNT", "help": "The account's name or 12-digit id."})
_POLICY = Argument("policy", {"metavar": "POLICY", "help": "Its ARN, or its name where its path is /."})
_FILE = Argument("file", {"metavar": "FILE", "help": "A file with the document, JSON; - reads it from standard input."})
_NO_USE = PolicyUse(0, 0)


def resolve_policy(account_id: str, policy: str) -> str:
    """The ARN of a managed policy: as it is, or of a name: AWS's before the account's own."""
    if policy.startswith("arn:"):
        return policy
    aws = AWS_POLICY_PREFIX + policy
    return aws if aws in AWS_POLICIES else f"arn:aws:iam::{account_id}:policy/{policy}"


def read_document(name: str) -> str:
    """The text of a file, or of standard input for -. Raises OSError."""
    return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")


def _values(policy: ManagedPolicy, use: PolicyUse) -> list[Any]:
    version = f"v{policy.default_number}"
    return [policy.name, policy.arn, version, use.attached, use.boundaries, policy.changed_us]


def _report(context: Context, policy: ManagedPolicy, account_id: str, *more: tuple[Column, Any]) -> Report:
    use = context.policies.iam.count_policy_uses(account_id).get(policy.arn, _NO_USE)
    return Report.of_one([*zip(_COLUMNS, _values(policy, use), strict=True), *more])


def _create(context: Context, arguments: Namespace) -> Report:
    account = context.accounts.find(arguments.account)
    policy = context.policies.create(
        account.id,
        arguments.name,
        read_document(arguments.file),
        path=arguments.path,
        description=arguments.description,
    )
    return _report(context, policy, account.id)


def _list(context: Context, arguments: Namespace) -> Report:
    account = context.accounts.find(arguments.account)
    found = list(context.policies.iam.list_policies(account.id, limit=POLICIES_MAX))
    if arguments.aws:
        found += AWS_POLICIES.values()
    uses = context.policies.iam.count_policy_uses(account.id)
    return Report(_COLUMNS, [_values(policy, uses.get(policy.arn, _NO_USE)) for policy in found])


def _show(context: Context, arguments: Namespace) -> Report:
    account = context.accounts.find(arguments.account)
    policy = context.policies.find(account.id, resolve_policy(account.id, arguments.policy))
    versions = context.policies.versions(account.id, policy.arn)
    default = next(version for version in versions if version.number == policy.default_number)
    return _report(
        context,
        policy,
        account.id,
        (Column("description"), policy.description),
        (Column("versions", Kind.LIST), [f"v{version.number}" for version in versions]),
        (Column("document"), " ".join(default.document.split())),
    )


def _update(context: Context, arguments: Namespace) -> Report:
    """The oldest version makes room: an account may have five."""
    account = context.accounts.find(arguments.account)
    policy = context.policies.find_own(account.id, resolve_policy(account.id, arguments.policy))
    versions = context.policies.versions(account.id, policy.arn)
    if len(versions) >= VERSIONS_MAX:
        oldest = [version.number for version in versions if version.number != policy.default_number][-1]
        context.policies.iam.delete_policy_version(account.id, policy.arn, oldest)
    context.policies.create_version(account.id, policy.arn, read_document(arguments.file), is_default=True)
    return _report(context, context.policies.find(account.id, policy.arn), account.id)


def _delete(context: Context, arguments: Namespace) -> Report:
    """With its versions; they go first, so that one which somebody has stays as it was."""
    account = context.accounts.find(arguments.account)
    policy = context.policies.find_own(account.id, resolve_policy(account.id, arguments.policy))
    report = _report(context, policy, account.id, (Column("deleted", Kind.FLAG), True))
    if policy.arn not in context.policies.iam.count_policy_uses(account.id):
        for version in context.policies.versions(account.id, policy.arn):
            if version.number != policy.default_number:
                context.policies.iam.delete_policy_version(account.id, policy.arn, version.number)
    context.policies.iam.delete_policy(account.id, policy.arn)
    return report


COMMANDS = (
    Command(
        "policy",
        "create",
        "Add a managed policy from a file; it does nothing until it is attached.",
        _create,
        (
            _ACCOUNT,
            Argument("name", {"metavar": "NAME", "help": "Its name."}),
            _FILE,
            Argument("--path", {"metavar": "P", "default": "/", "help": "Its path, like /engineering/."}),
            Argument("--description", {"metavar": "TEXT", "default": "", "help": "What it is for."}),
        ),
    ),
    Command(
        "policy",
        "list",
        "List an account's managed policies by name.",
        _list,
        (_ACCOUNT, Argument("--aws", {"action": "store_true", "help": "AWS's managed policies too."})),
    ),
    Command("policy", "show", "Show a managed policy and its document.", _show, (_ACCOUNT, _POLICY)),
    Command(
        "policy",
        "update",
        "Give a managed policy a new document: a version that counts at once for all who have it.",
        _update,
        (_ACCOUNT, _POLICY, _FILE),
    ),
    Command("policy", "delete", "Delete a managed policy that nobody has.", _delete, (_ACCOUNT, _POLICY)),
)
