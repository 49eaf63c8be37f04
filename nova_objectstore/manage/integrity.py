"""``nova-manage scrub``, ``check``, ``backup`` and ``restore``: is all there, and will it be."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nova_objectstore.domain.verification import Pace
from nova_objectstore.jobs.backup import Backup
from nova_objectstore.jobs.check import Checker, Problem, list_buckets
from nova_objectstore.jobs.restore_backup import BackupRestore
from nova_objectstore.jobs.scrub import Scrubber
from nova_objectstore.limits import MiB
from nova_objectstore.manage.command import Argument, Command, Context, UsageError
from nova_objectstore.manage.report import Column, Kind, Report
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.integrity_port import Damage, IntegrityStore

FOUND = 1  # the exit status of a command that found something wrong

YOUNG_S = 600.0  # files that are younger are left alone by a check


@dataclass(frozen=True, slots=True)
class OpenIntegrity:
    """What watches over a store that is open."""

    meta: MetadataEngine
    store: IntegrityStore
    scrubber: Scrubber
    checker: Checker
    backup: Backup


@dataclass(frozen=True, slots=True)
class Integrity:
    """The two ways in: over a store that is open while a block runs, and into a place where there is none yet."""

    open_store: Callable[[], AbstractContextManager[OpenIntegrity]]
    restore: BackupRestore


_DAMAGES = (
    Column("id", Kind.NUMBER, "ID"),
    Column("reason"),
    Column("bucket"),
    Column("key"),
    Column("version_id", title="Version"),
    Column("part", Kind.NUMBER),
    Column("bytes", Kind.BYTES, "Size"),
    Column("found", Kind.TIME),
    Column("data", title="Data file"),
)
_PROBLEMS = (
    Column("problem"),
    Column("bucket"),
    Column("key"),
    Column("version_id", title="Version"),
    Column("part", Kind.NUMBER),
    Column("bytes", Kind.BYTES, "Size"),
    Column("repaired", Kind.FLAG),
    Column("data", title="Data file"),
    Column("facts"),
)


def _damage_row(damage: Damage) -> list[Any]:
    return [
        damage.id,
        damage.reason,
        damage.bucket_name or None,
        damage.key,
        damage.version_id,
        damage.part or None,
        damage.size,
        damage.found_us,
        damage.ref or None,
    ]


def _total(opened: OpenIntegrity, bucket: str | None) -> int:
    """The bytes that there are, by the counters."""
    if bucket is not None:
        return opened.meta.usage(opened.meta.find_bucket(bucket).id)[1]
    return sum(opened.meta.usage(found.id)[1] for found in list_buckets(opened.meta))


def _scrub(context: Context, arguments: Namespace) -> Report:
    with context.integrity.open_store() as opened:
        bucket_id = None if arguments.bucket is None else opened.meta.find_bucket(arguments.bucket).id
        total = _total(opened, arguments.bucket)
        with context.progress("scrub") as tell:
            summed = opened.scrubber.run_now(
                bucket_id=bucket_id,
                pace=Pace(int(arguments.rate * MiB)),
                progress=lambda done: tell(done, max(done, total)),
            )
        known = [damage for damage in opened.store.list_damages() if bucket_id in (None, damage.bucket_id)]
    facts = [
        (Column("contents", Kind.NUMBER, "Contents read"), summed.items),
        (Column("bytes", Kind.BYTES, "Bytes"), summed.bytes),
        (Column("found", Kind.NUMBER, "Found damaged now"), summed.damages),
        (Column("damaged", Kind.NUMBER, "Damaged in all (see scrub list)"), len(known)),
    ]
    return Report.of_one(facts, status=FOUND if known else 0)


def _list(context: Context, arguments: Namespace) -> Report:
    with context.integrity.open_store() as opened:
        opened.scrubber.forget_what_is_gone()
        return Report(_DAMAGES, [_damage_row(damage) for damage in opened.store.list_damages()])


def _release(context: Context, arguments: Namespace) -> Report:
    with context.integrity.open_store() as opened:
        found = [damage for damage in opened.store.list_damages() if damage.id == arguments.id]
        if not found:
            raise UsageError(f"scrub release: nothing in quarantine has the ID {arguments.id}")
        opened.scrubber.release(found[0])
    return Report(_DAMAGES, [_damage_row(found[0])])


def _check(context: Context, arguments: Namespace) -> Report:
    with context.integrity.open_store() as opened:
        total = _total(opened, None)
        with context.progress("check") as tell:
            problems = list(
                opened.checker.run(
                    repair=arguments.repair,
                    young_s=arguments.young_s,
                    progress=lambda done: tell(done, max(done, total)),
                )
            )
        names = {bucket.id: bucket.name for bucket in list_buckets(opened.meta)}
    rows = [_problem_row(problem, names) for problem in problems]
    return Report(_PROBLEMS, rows, status=0 if all(problem.is_repaired for problem in problems) else FOUND)


def _problem_row(problem: Problem, names: dict[int, str]) -> list[Any]:
    return [
        problem.kind,
        names.get(problem.bucket_id),
        problem.key or None,
        problem.version_id or None,
        problem.part or None,
        problem.size,
        problem.is_repaired,
        problem.ref or None,
        problem.facts or None,
    ]


def _backup(context: Context, arguments: Namespace) -> Report:
    with context.integrity.open_store() as opened:
        total = _total(opened, None)
        with context.progress("backup") as tell:
            saved = opened.backup.run(
                Path(arguments.directory),
                link=not arguments.copy,
                progress=lambda done: tell(done, max(done, total)),
            )
    manifest = saved.manifest
    facts = [
        (Column("generation"), manifest.generation),
        (Column("created", Kind.TIME), manifest.created_us),
        (Column("data_files", Kind.NUMBER), manifest.data_files),
        (Column("data_bytes", Kind.BYTES), manifest.data_bytes),
        (Column("new_files", Kind.NUMBER), saved.copied_files),
        (Column("new_bytes", Kind.BYTES), saved.copied_bytes),
        (Column("left_out", Kind.LIST, "Left out: damaged or missing"), manifest.damaged),
    ]
    return Report.of_one(facts, status=FOUND if manifest.damaged else 0)


def _restore(context: Context, arguments: Namespace) -> Report:
    directory = Path(arguments.directory)
    with context.progress("restore") as tell:
        restored = context.integrity.restore.run(directory, link=arguments.link, progress=tell)
    facts = [
        (Column("generation"), restored.manifest.generation),
        (Column("created", Kind.TIME), restored.manifest.created_us),
        (Column("data_files", Kind.NUMBER), restored.data_files),
        (Column("data_bytes", Kind.BYTES), restored.data_bytes),
        (Column("left_out", Kind.LIST, "Not in the backup: damaged or missing"), restored.manifest.damaged),
    ]
    return Report.of_one(facts)


def _read_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < 1_000_000:
        raise UsageError(f"--rate: {text!r} is not a number of MiB a second")
    return rate


def _read_seconds(text: str) -> float:
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"--young-s: {text!r} is not a number of seconds")
    return float(text)


def _read_id(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"{text!r} is not an ID of scrub list")
    return int(text)


_DIRECTORY = Argument("directory", {"metavar": "DIR", "help": "The backup's directory."})

COMMANDS = (
    Command(
        "scrub",
        "",
        "Read all that is stored and compare it with what was written; exit code 1 when something is damaged.",
        _scrub,
        (
            Argument("--bucket", {"metavar": "BUCKET", "help": "Of this bucket alone."}),
            Argument(
                "--rate",
                {"metavar": "MIB", "type": _read_rate, "default": 0.0, "help": "MiB to read a second; 0: no limit."},
            ),
        ),
        is_open=False,
    ),
    Command("scrub", "list", "List what was found damaged, and is in quarantine.", _list, is_open=False),
    Command(
        "scrub",
        "release",
        "Let damaged data be read again, as they are, and forget the finding.",
        _release,
        (Argument("id", {"metavar": "ID", "type": _read_id, "help": "Its ID in scrub list."}),),
        is_open=False,
    ),
    Command(
        "check",
        "",
        "Compare metadata and data both ways, and the counters of buckets; exit code 1 when something is not right.",
        _check,
        (
            Argument(
                "--repair",
                {
                    "action": "store_true",
                    "help": "Remove data that nothing names, rewrite counters, record what is missing.",
                },
            ),
            Argument(
                "--young-s",
                {
                    "metavar": "S",
                    "type": _read_seconds,
                    "default": YOUNG_S,
                    "help": "Leave data files alone that are younger than so many seconds; 600 unless given.",
                },
            ),
        ),
        is_open=False,
    ),
    Command(
        "backup",
        "",
        "Make a backup of the whole store, or renew the one that is there, while the store is in use.",
        _backup,
        (
            _DIRECTORY,
            Argument(
                "--copy",
                {"action": "store_true", "help": "Copy data files where they could be linked; a disk of its own does."},
            ),
        ),
        is_open=False,
    ),
    Command(
        "restore",
        "",
        "Make a store of a backup, in a state path that is empty or not there yet, and verify every byte.",
        _restore,
        (
            _DIRECTORY,
            Argument("--link", {"action": "store_true", "help": "Link data files where they can be, and read none."}),
        ),
        is_open=False,
        needs_store=False,
    ),
)
