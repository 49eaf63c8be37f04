"""``nova-manage user``, ``group`` and ``role``: who there is in an account, and what each may do."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from nova_objectstore.iam.limits import SESSION_DEFAULT_S
from nova_objectstore.iam.ports import GROUP, ROLE, USER, Entity, EntityKind
from nova_objectstore.manage.command import Argument, Command, Context
from nova_objectstore.manage.policies import read_document, resolve_policy
from nova_objectstore.manage.report import Column, Kind, Report

_ACCOUNT = Argument("account", {"metavar": "ACCOUNT", "help": "The account's name or 12-digit id."})
_NAME = Argument("name", {"metavar": "NAME", "help": "Its name; case does not matter."})
_POLICY = Argument("policy", {"metavar": "POLICY", "help": "A managed policy: its ARN, or its name (AWS's too)."})
_INLINE = Argument("policy", {"metavar": "POLICY", "help": "The name of the policy."})
_FILE = Argument("file", {"metavar": "FILE", "help": "A file with the document, JSON; - reads it from standard input."})
_PATH = Argument("--path", {"metavar": "P", "default": "/", "help": "Its path, like /engineering/."})

Run = Callable[[EntityKind, Context, Namespace], Report]


# -- reports -----------------------------------------------------------------------------------------------------------


def _columns(kind: EntityKind) -> tuple[Column, ...]:
    return (
        Column("name"),
        Column("arn", title="ARN"),
        Column("id", title="ID"),
        *((Column("boundary"),) if kind is not GROUP else ()),
        Column("created", Kind.TIME),
    )


def _values(entity: Entity) -> list[Any]:
    boundary = [entity.boundary] if entity.kind is not GROUP else []
    return [entity.name, entity.arn, entity.id, *boundary, entity.created_us]


def _report(entity: Entity, *more: tuple[Column, Any]) -> Report:
    return Report.of_one([*zip(_columns(entity.kind), _values(entity), strict=True), *more])


def _belongings(context: Context, entity: Entity) -> list[tuple[Column, Any]]:
    """What a user, group or role has."""
    iam, of = context.directory.iam, (entity.account_id, entity.kind, entity.name)
    found: list[tuple[Column, Any]] = [
        (Column("inline_policies", Kind.LIST), iam.list_inline_policies(*of)),
        (Column("attached_policies", Kind.LIST), iam.list_attached_policies(*of)),
    ]
    if entity.kind is USER:
        groups = iam.list_groups_of(entity.account_id, entity.name)
        keys = iam.list_entity_keys(entity.account_id, entity.name)
        found.append((Column("groups", Kind.LIST), [group.name for group in groups]))
        found.append((Column("access_keys", Kind.LIST), [key.access_key for key in keys]))
    elif entity.kind is GROUP:
        users = iam.list_members(entity.account_id, entity.name)
        found.append((Column("users", Kind.LIST), [user.name for user in users]))
    else:
        found.append((Column("description"), entity.description))
        found.append((Column("session_max_s", Kind.NUMBER, "Longest session, s"), entity.max_session_s))
        found.append((Column("trust_policy"), " ".join(entity.trust.split())))
    return found


def _find(kind: EntityKind, context: Context, arguments: Namespace) -> Entity:
    account = context.accounts.find(arguments.account)
    return context.directory.iam.find_entity(account.id, kind, arguments.name)


# -- commands ----------------------------------------------------------------------------------------------------------


def _create_user(context: Context, arguments: Namespace) -> Report:
    account = context.accounts.find(arguments.account)
    boundary = resolve_policy(account.id, arguments.boundary) if arguments.boundary else ""
    user = context.directory.create_user(account.id, arguments.name, path=arguments.path, boundary=boundary)
    return _report(user)


def _create_group(context: Context, arguments: Namespace) -> Report:
    account = context.accounts.find(arguments.account)
    return _report(context.directory.create_group(account.id, arguments.name, path=arguments.path))


def _create_role(context: Context, arguments: Namespace) -> Report:
    account = context.accounts.find(arguments.account)
    boundary = resolve_policy(account.id, arguments.boundary) if arguments.boundary else ""
    role = context.directory.create_role(
        account.id,
        arguments.name,
        trust=read_document(arguments.file),
        path=arguments.path,
        description=arguments.description,
        max_session_s=arguments.session_max_s,
        boundary=boundary,
    )
    return _report(role)


def _list(kind: EntityKind, context: Context, arguments: Namespace) -> Report:
    account = context.accounts.find(arguments.account)
    found: list[Entity] = []
    while page := context.directory.iam.list_entities(
        account.id, kind, path_prefix=arguments.path, after=found[-1].name if found else ""
    ):
        found += page
    return Report(_columns(kind), [_values(entity) for entity in found])


def _show(kind: EntityKind, context: Context, arguments: Namespace) -> Report:
    entity = _find(kind, context, arguments)
    return _report(entity, *_belongings(context, entity))


def _delete(kind: EntityKind, context: Context, arguments: Namespace) -> Report:
    entity = _find(kind, context, arguments)
    context.directory.iam.delete_entity(entity.account_id, kind, entity.name)
    return _report(entity, (Column("deleted", Kind.FLAG), True))


def _attach(kind: EntityKind, context: Context, arguments: Namespace) -> Report:
    entity = _find(kind, context, arguments)
    arn = resolve_policy(entity.account_id, arguments.policy)
    context.policies.attach(entity.account_id, kind, entity.name, arn)
    return _show(kind, context, arguments)


def _detach(kind: EntityKind, context: Context, arguments: Namespace) -> Report:
    entity = _find(kind, context, arguments)
    arn = resolve_policy(entity.account_id, arguments.policy)
    context.policies.detach(entity.account_id, kind, entity.name, arn)
    return _show(kind, context, arguments)


def _put_policy(kind: EntityKind, context: Context, arguments: Namespace) -> Report:
    entity = _find(kind, context, arguments)
    document = read_document(arguments.file)
    context.policies.put_inline(entity.account_id, kind, entity.name, arguments.policy, document)
    return _show(kind, context, arguments)


def _show_policy(kind: EntityKind, context: Context, arguments: Namespace) -> Report:
    entity = _find(kind, context, arguments)
    document = context.directory.iam.find_inline_policy(entity.account_id, kind, entity.name, arguments.policy)
    facts = [(Column("name"), entity.name), (Column("policy"), arguments.policy), (Column("document"), document)]
    return Report([column for column, _ in facts], [[value for _, value in facts]], is_single=True, text=document)


def _delete_policy(kind: EntityKind, context: Context, arguments: Namespace) -> Report:
    entity = _find(kind, context, arguments)
    context.directory.iam.delete_inline_policy(entity.account_id, kind, entity.name, arguments.policy)
    return _show(kind, context, arguments)


def _set_boundary(kind: EntityKind, context: Context, arguments: Namespace) -> Report:
    entity = _find(kind, context, arguments)
    if arguments.policy == "none":
        return _report(context.directory.remove_boundary(entity.account_id, kind, entity.name))
    arn = resolve_policy(entity.account_id, arguments.policy)
    return _report(context.directory.set_boundary(entity.account_id, kind, entity.name, arn))


def _set_trust(context: Context, arguments: Namespace) -> Report:
    role = _find(ROLE, context, arguments)
    context.directory.set_trust(role.account_id, role.name, read_document(arguments.file))
    return _show(ROLE, context, arguments)


def _add_user(context: Context, arguments: Namespace) -> Report:
    group = _find(GROUP, context, arguments)
    context.directory.iam.add_member(group.account_id, group.name, arguments.user)
    return _show(GROUP, context, arguments)


def _remove_user(context: Context, arguments: Namespace) -> Report:
    group = _find(GROUP, context, arguments)
    context.directory.iam.remove_member(group.account_id, group.name, arguments.user)
    return _show(GROUP, context, arguments)


# -- the table ---------------------------------------------------------------------------------------------------------

_PATH_PREFIX = Argument("--path", {"metavar": "P", "default": "/", "help": "Only those whose path begins with this."})
_BOUNDARY = Argument("--boundary", {"metavar": "POLICY", "default": "", "help": "Its permissions boundary."})
_USER = Argument("user", {"metavar": "USER", "help": "The user's name."})


def _create_command(kind: EntityKind) -> Command:
    if kind is USER:
        arguments: Sequence[Argument] = (_ACCOUNT, _NAME, _PATH, _BOUNDARY)
        summary = "Add a user that may do nothing yet; key create --user gives it a key pair."
        return Command("user", "create", summary, _create_user, arguments)
    if kind is GROUP:
        return Command("group", "create", "Add a group.", _create_group, (_ACCOUNT, _NAME, _PATH))
    arguments = (
        _ACCOUNT,
        _NAME,
        Argument("file", {"metavar": "FILE", "help": "Its trust policy: who may assume it; - reads standard input."}),
        _PATH,
        _BOUNDARY,
        Argument("--description", {"metavar": "TEXT", "default": "", "help": "What it is for."}),
        Argument(
            "--session-max-s",
            {"metavar": "S", "type": int, "default": SESSION_DEFAULT_S, "help": "Its longest session, in seconds."},
        ),
    )
    return Command("role", "create", "Add a role that those may assume whom FILE names.", _create_role, arguments)


def _common(kind: EntityKind) -> Sequence[Command]:
    of_one = (_ACCOUNT, _NAME)

    def command(verb: str, summary: str, run: Run, *arguments: Argument) -> Command:
        return Command(str(kind), verb, summary, partial(run, kind), arguments)

    boundary = command(
        "set-boundary",
        f"Bound what a {kind} may be allowed by a managed policy; none takes the boundary away.",
        _set_boundary,
        *of_one,
        _POLICY,
    )
    return (
        _create_command(kind),
        command("list", f"List an account's {kind}s by name.", _list, _ACCOUNT, _PATH_PREFIX),
        command("show", f"Show a {kind} and what it has.", _show, *of_one),
        command("delete", f"Delete a {kind} that has nothing any more.", _delete, *of_one),
        command("attach", f"Attach a managed policy to a {kind}; it counts at once.", _attach, *of_one, _POLICY),
        command("detach", f"Detach a managed policy from a {kind}.", _detach, *of_one, _POLICY),
        command("put-policy", f"Give a {kind} a policy of its own, from a file.", _put_policy, *of_one, _INLINE, _FILE),
        command("show-policy", f"Show a policy that is a {kind}'s own.", _show_policy, *of_one, _INLINE),
        command("delete-policy", f"Delete a policy that is a {kind}'s own.", _delete_policy, *of_one, _INLINE),
        *((boundary,) if kind is not GROUP else ()),
    )


COMMANDS = (
    *_common(USER),
    *_common(GROUP),
    Command("group", "add-user", "Put a user into a group.", _add_user, (_ACCOUNT, _NAME, _USER)),
    Command("group", "remove-user", "Take a user out of a group.", _remove_user, (_ACCOUNT, _NAME, _USER)),
    *_common(ROLE),
    Command("role", "set-trust", "Replace who may assume a role.", _set_trust, (_ACCOUNT, _NAME, _FILE)),
)
