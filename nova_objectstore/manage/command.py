"""A command as a row, and the command line that is made of the rows.

Dashes and underscores in flags mean the same, ``--json`` may stand anywhere, and a mistake is one line.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from nova_objectstore.crypto.keyring import Keyring
from nova_objectstore.domain.accounts import Accounts, KeyPair
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.objects import Objects
from nova_objectstore.iam.directory import Directory
from nova_objectstore.iam.policies import Policies
from nova_objectstore.images.keys import CloudKeys
from nova_objectstore.images.legacy import ImportProgress, LegacyImport, ResolveOwner
from nova_objectstore.images.registry import Images
from nova_objectstore.manage.progress import Tell
from nova_objectstore.manage.report import Report
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.quota_port import QuotaStore
from nova_objectstore.types import Principal
from nova_wsgi.errors import ConfigError
from nova_wsgi.registry.services import Services

if TYPE_CHECKING:
    from nova_objectstore.manage.integrity import Integrity

NOUNS = {
    "account": "accounts and their root key pairs",
    "key": "access keys of accounts and of their users",
    "user": "users of an account, and what they may do",
    "group": "groups of users",
    "role": "roles, whose sessions others may begin",
    "policy": "managed policies, for users, groups and roles",
    "bucket": "buckets and what they hold",
    "image": "registered images and their bundles",
    "kms": "the keys of server-side encryption",
    "quota": "how much accounts and buckets may hold",
    "notification": "events on their way to webhooks and brokers",
    "scrub": "whether stored bytes are what was written",
    "check": "whether metadata and data fit together",
    "backup": "a copy of the whole store",
    "restore": "a store out of a backup",
    "db": "the metadata database",
    "service": "the services, and what they do",
}

_WORDS_WIDTH = 26  # of a command in the overview; its summary stands behind
_SUMMARY_WIDTH = 80 - _WORDS_WIDTH - 2


class UsageError(ConfigError):
    """A command line that cannot be understood: one line, exit code 2."""


class Argument(NamedTuple):
    """What ``argparse.ArgumentParser.add_argument`` takes."""

    name: str
    options: Mapping[str, Any] = {}


class Schema(NamedTuple):
    """Schema versions: the database's, None before it was made, and the one that this release works with."""

    current: str | None
    latest: str


@dataclass(frozen=True, slots=True)
class OpenImages:
    """The images, and the objects they are made of, in a store that is open. ``principal`` is the root of an account id."""

    images: Images
    buckets: Buckets
    objects: Objects
    principal: Callable[[str], Principal]
    legacy_import: Callable[[ResolveOwner, Callable[[ImportProgress], None]], LegacyImport]


@dataclass(frozen=True, slots=True)
class Context:
    """What commands work on. ``read_schema`` looks without touching anything.

    ``open_services`` opens the services registry; ``control_path``: where services have control sockets, None for nowhere.
    ``open_images`` opens the whole store while a block runs; ``open_keys`` reads the cloud's key pair, and makes it at
    first use. ``progress`` shows how far a block with this title is.
    """

    meta: MetadataEngine
    quotas: QuotaStore
    accounts: Accounts
    directory: Directory
    policies: Policies
    keyring: Keyring
    read_schema: Callable[[], Schema]
    open_services: Callable[[], Services]
    control_path: str | None
    open_images: Callable[[], AbstractContextManager[OpenImages]]
    open_keys: Callable[[], CloudKeys]
    integrity: Integrity
    progress: Callable[[str], AbstractContextManager[Tell]]


class Command(NamedTuple):
    """``nova-manage NOUN VERB ARGUMENTS``; without a verb, where it is empty.

    ``may_create``: it may be the first to touch a new state directory. ``is_open``: it wants the engine opened, which
    also migrates the database. ``needs_store``: it is about the store; without, it touches nothing of it.
    """

    noun: str
    verb: str
    summary: str
    run: Callable[[Context, argparse.Namespace], Report]
    arguments: Sequence[Argument] = ()
    may_create: bool = False
    is_open: bool = True
    needs_store: bool = True


class CommandParser(argparse.ArgumentParser):
    """argparse, whose mistakes are UsageErrors."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print and exit with."""
        raise UsageError(f"{message} (see {self.prog} --help)")


def make_parser(commands: Sequence[Command], *, program: str) -> CommandParser:
    """The parser of the part of the command line that begins with the noun.

    What it parses has ``command`` (a Command) and ``json``. Raises UsageError.
    """
    common = CommandParser(add_help=False)
    common.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="Print JSON.")
    parser = CommandParser(prog=program, allow_abbrev=False, parents=[common])
    nouns = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="noun", prog=program)
    for noun, summary in NOUNS.items():
        about = f"{summary[0].upper()}{summary[1:]}."
        of_noun = nouns.add_parser(noun, help=about, description=about, allow_abbrev=False, parents=[common])
        own = [command for command in commands if command.noun == noun]
        for command in (command for command in own if not command.verb):
            of_noun.description = command.summary
            _add_command(of_noun, command)
        if any(command.verb for command in own):
            required = all(command.verb for command in own)
            verbs = of_noun.add_subparsers(title="commands", metavar="COMMAND", required=required, dest="verb")
            for command in (command for command in own if command.verb):
                of_verb = verbs.add_parser(
                    command.verb,
                    help=command.summary,
                    description=command.summary,
                    allow_abbrev=False,
                    parents=[common],
                )
                _add_command(of_verb, command)
    return parser


def _add_command(parser: argparse.ArgumentParser, command: Command) -> None:
    parser.set_defaults(command=command)
    for argument in command.arguments:
        parser.add_argument(argument.name, **argument.options)


def render_overview(commands: Sequence[Command], *, program: str) -> str:
    """The first part of ``--help``: every command in a line or two."""
    lines = [f"usage: {program} [options] COMMAND ...", "", "Commands (each tells more with --help):"]
    for command in commands:
        words = [command.noun, command.verb] if command.verb else [command.noun]
        words += [_shown(argument) for argument in command.arguments if not argument.name.startswith("-")]
        summary = textwrap.wrap(command.summary, width=_SUMMARY_WIDTH)
        if len(" ".join(words)) >= _WORDS_WIDTH:
            summary.insert(0, "")
        lines += [f"  {' '.join(words):<{_WORDS_WIDTH}}{summary[0]}".rstrip()]
        lines += [" " * (_WORDS_WIDTH + 2) + line for line in summary[1:]]
    return "\n".join(lines)


def _shown(argument: Argument) -> str:
    metavar = str(argument.options["metavar"])
    return f"[{metavar}]" if argument.options.get("nargs") == "?" else metavar


def parse(commands: Sequence[Command], argv: Sequence[str], *, program: str) -> argparse.Namespace:
    """Parse ``NOUN VERB ...``. Raises UsageError; ``--help`` prints and raises SystemExit(0)."""
    spelled = [_with_dashes(argument) for argument in argv]
    return make_parser(commands, program=program).parse_args(spelled, argparse.Namespace(json=False))


def _with_dashes(argument: str) -> str:
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return name.replace("_", "-") + equals + value


# -- key pairs: the same two arguments wherever one is given -----------------------------------------------------------

KEY_PAIR_ARGUMENTS = (
    Argument("--access-key", {"metavar": "K", "help": "The access key; random, like AWS's, unless given."}),
    Argument("--secret-key", {"metavar": "S", "help": "Its secret; - reads it from standard input."}),
)


def given_pair(arguments: argparse.Namespace) -> KeyPair | None:
    """The pair on the command line, None when there is none. Raises UsageError for half a pair."""
    if arguments.access_key is None and arguments.secret_key is None:
        return None
    if arguments.access_key is None or arguments.secret_key is None:
        raise UsageError("--access-key and --secret-key go together")
    pair = KeyPair(arguments.access_key, arguments.secret_key)
    if pair.secret_key == "-":  # noqa: S105  no secret: other users of the host see command lines
        return pair._replace(secret_key=sys.stdin.readline().rstrip("\r\n"))
    return pair
