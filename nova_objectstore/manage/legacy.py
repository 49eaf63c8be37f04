"""``nova-manage bucket import-legacy``: what nova's objectstore of 2010 left in its directories, taken in."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from nova_objectstore.images.legacy import ImportProgress, ImportReport, OwnersByName
from nova_objectstore.manage.command import Argument, Command, Context, UsageError
from nova_objectstore.manage.report import Column, Kind, Report


def _import(context: Context, arguments: Namespace) -> Report:
    if arguments.buckets_path is None and arguments.images_path is None:
        raise UsageError("give --buckets-path, --images-path or both")
    owners = OwnersByName(
        context.meta,
        _owners(context, arguments.owner),
        default=None if arguments.default_owner is None else context.accounts.find(arguments.default_owner).id,
    )
    with context.open_images() as opened, context.progress("Taking in") as tell:

        def told(progress: ImportProgress) -> None:
            tell(progress.bytes_done, progress.bytes_total)

        done = opened.legacy_import(owners, told).run(
            buckets_path=_path(arguments.buckets_path), images_path=_path(arguments.images_path)
        )
    return _report(done)


def _owners(context: Context, pairs: Sequence[str]) -> dict[str, str]:
    owners = {}
    for pair in pairs:
        project, equals, account = pair.rpartition("=")
        if not equals or not project:
            raise UsageError(f"--owner: {pair!r} is not PROJECT=ACCOUNT")
        owners[project] = context.accounts.find(account).id
    return owners


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _report(done: ImportReport) -> Report:
    return Report.of_one(
        [
            (Column("buckets", Kind.NUMBER, "Buckets made"), done.buckets),
            (Column("objects", Kind.NUMBER, "Objects taken in"), done.objects),
            (Column("images", Kind.NUMBER, "Images taken in"), done.images),
            (Column("unchanged", Kind.NUMBER, "Here already"), done.unchanged),
            (Column("linked", Kind.NUMBER, "Files linked"), done.linked),
            (Column("copied", Kind.NUMBER, "Files copied"), done.copied),
            (Column("bytes", Kind.BYTES, "Size"), done.size),
            (Column("problems", Kind.LIST), [f"{problem.path}: {problem.sentence}" for problem in done.problems]),
        ]
    )


COMMANDS = (
    Command(
        "bucket",
        "import-legacy",
        "Take in the directories of nova's objectstore of 2010, which must be stopped; originals stay as they are, "
        "files are hard links where they can be, and it can be run again.",
        _import,
        (
            Argument("--buckets-path", {"metavar": "P", "help": "Its directory of buckets."}),
            Argument("--images-path", {"metavar": "Q", "help": "Its directory of images."}),
            Argument(
                "--owner",
                {
                    "metavar": "PROJECT=ACCOUNT",
                    "action": "append",
                    "default": [],
                    "help": "Which account a project becomes; the one of the project's name unless given. Repeatable.",
                },
            ),
            Argument(
                "--default-owner",
                {"metavar": "ACCOUNT", "help": "The account of projects that no account is named like."},
            ),
        ),
    ),
)
