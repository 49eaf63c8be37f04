"""nova-manage: the administrator's command line. It works while the store runs, and while it does not.

    nova-manage [--config-file F] [--state-path DIR] [--json] COMMAND ...

Exit codes: 0 done; 1 refused or failed, told in one line on standard error; 2 a mistake in the command or the options.
"""

from __future__ import annotations

from nova_wsgi import green

green.patch()  # before anything that makes locks or keeps references to blocking calls

import argparse  # noqa: E402
import contextlib  # noqa: E402
import io  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from collections.abc import Iterator, Mapping, Sequence  # noqa: E402
from functools import partial  # noqa: E402
from typing import TextIO  # noqa: E402

from oslo_config import cfg  # noqa: E402

from nova_objectstore.assembly import (  # noqa: E402
    DATABASE_NAME,
    Settings,
    build_store,
    iam_store,
    integrity_store,
    now_us,
    open_keyring,
    open_metadata,
    quota_store,
    read_schema,
)
from nova_objectstore.assembly_images import (  # noqa: E402
    build_administrators_images,
    build_legacy_import,
    image_bundles,
    open_keys,
)
from nova_objectstore.assembly_integrity import (  # noqa: E402
    build_backup,
    build_checker,
    build_restore,
    build_scrubber,
)
from nova_objectstore.config import manage_sections  # noqa: E402
from nova_objectstore.domain.accounts import Accounts  # noqa: E402
from nova_objectstore.errors import SchemaTooNew, StoreError  # noqa: E402
from nova_objectstore.iam.directory import Directory  # noqa: E402
from nova_objectstore.iam.policies import Policies  # noqa: E402
from nova_objectstore.images.keys import CloudKeys  # noqa: E402
from nova_objectstore.manage import COMMANDS  # noqa: E402
from nova_objectstore.manage.command import (  # noqa: E402
    Command,
    Context,
    OpenImages,
    Schema,
    UsageError,
    parse,
    render_overview,
)
from nova_objectstore.manage.integrity import Integrity, OpenIntegrity  # noqa: E402
from nova_objectstore.manage.progress import show_progress  # noqa: E402
from nova_objectstore.manage.report import Report, print_report  # noqa: E402
from nova_objectstore.manage.wording import describe  # noqa: E402
from nova_objectstore.manager import WorkerHints, read_settings  # noqa: E402
from nova_objectstore.state_directory import make_state_directory  # noqa: E402
from nova_objectstore.version import VERSION  # noqa: E402
from nova_wsgi import config  # noqa: E402
from nova_wsgi.core_dumps import forbid_core_dumps  # noqa: E402
from nova_wsgi.errors import ConfigError, NovaError  # noqa: E402
from nova_wsgi.registry.services import open_services  # noqa: E402

PROGRAM = "nova-manage"
OUTPUT = config.Section("Output", (cfg.BoolOpt("json", default=False, help="Print JSON instead of tables."),))

EXIT_DONE = 0
EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

HINT_TIMEOUT_S = 2.0  # how long a worker may take to hear of an image; without it, its next sweep finds the image


def run(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str] = os.environ,
    out: TextIO | None = None,
    err: TextIO | None = None,
) -> int:
    """Run one command line, without the program's name; answer the exit code."""
    out, err = out or sys.stdout, err or sys.stderr
    try:
        status = _run(argv, environ, out, err)
        out.flush()
        return status
    except ConfigError as error:
        print(f"{PROGRAM}: {error}", file=err)
        return EXIT_USAGE
    except SchemaTooNew as error:  # as of the services: this release cannot work with this state directory
        print(f"{PROGRAM}: {describe(error)}", file=err)
        return EXIT_USAGE
    except StoreError as error:
        print(f"{PROGRAM}: {describe(error)}", file=err)
        return EXIT_REFUSED
    except NovaError as error:
        print(f"{PROGRAM}: {error}", file=err)
        return EXIT_REFUSED
    except BrokenPipeError:  # the reader has seen enough: nothing is wrong, and nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
    except OSError as error:  # of a file that the command line names
        print(f"{PROGRAM}: {error.filename}: {error.strerror}" if error.filename else f"{PROGRAM}: {error}", file=err)
        return EXIT_REFUSED
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=err)
        return EXIT_INTERRUPTED
    return EXIT_DONE


def _run(argv: Sequence[str], environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    sections = (*manage_sections(), OUTPUT)
    options, words = config.split_command(sections, argv)
    if not words and {"-h", "--help"} & set(options):
        _print_help(sections, out)
        return EXIT_DONE
    conf = config.load(sections, program=PROGRAM, argv=options, environ=environ, version=VERSION)
    if not words:
        raise UsageError(f"which command? (see {PROGRAM} --help)")
    arguments = parse(COMMANDS, words, program=PROGRAM)
    report = _execute(arguments.command, conf, arguments, err)
    print_report(report, out, as_json=conf.json or arguments.json)
    return report.status


def _print_help(sections: Sequence[config.Section], out: TextIO) -> None:
    """The commands, then the options as they are told of every program of the house."""
    told = io.StringIO()
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(told):
        config.load(sections, program=PROGRAM, argv=["--help"], environ={})
    _, _, options = told.getvalue().partition("\n\n")
    print(render_overview(COMMANDS, program=PROGRAM), end="\n\n", file=out)
    print(options, end="", file=out)


def _execute(command: Command, conf: config.Config, arguments: argparse.Namespace, err: TextIO) -> Report:
    settings = read_settings(conf)
    if command.needs_store:
        if not command.may_create and not (settings.state_path / DATABASE_NAME).exists():
            raise ConfigError(f"there is no store in {settings.state_path} (see --state-path)")
        _make_directory(settings)
    meta = open_metadata(settings)
    context = Context(
        meta=meta,
        quotas=quota_store(meta),
        accounts=Accounts(meta, now_us=now_us),
        directory=Directory(iam_store(meta), meta, now_us=now_us),
        policies=Policies(iam_store(meta), now_us=now_us),
        keyring=open_keyring(settings),
        read_schema=lambda: Schema(*read_schema(settings)),
        open_services=lambda: open_services(conf, create=False),
        control_path=conf.control_path,
        open_images=lambda: _open_images(conf, settings),
        open_keys=lambda: _open_keys(settings),
        integrity=Integrity(lambda: _open_integrity(settings), build_restore(settings)),
        progress=partial(show_progress, err),
    )
    try:
        if command.needs_store and command.is_open:
            meta.open()
        return command.run(context, arguments)
    finally:
        meta.close()


@contextlib.contextmanager
def _open_images(conf: config.Config, settings: Settings) -> Iterator[OpenImages]:
    """The whole store, beside a server that runs, or without one; what it registers is told to the worker at the end."""
    store = build_store(settings)
    hints = WorkerHints(conf)
    try:
        store.open()
        yield OpenImages(
            images=build_administrators_images(store, announce=hints.announce),
            buckets=store.buckets,
            objects=store.objects,
            principal=image_bundles(store).owner,
            legacy_import=lambda owner, progress: build_legacy_import(
                store, settings, resolve_owner=owner, progress=progress
            ),
        )
    finally:
        hints.close(HINT_TIMEOUT_S)
        store.close()


@contextlib.contextmanager
def _open_integrity(settings: Settings) -> Iterator[OpenIntegrity]:
    """The whole store, beside a server that runs, or without one."""
    store = build_store(settings)
    try:
        store.open()
        yield OpenIntegrity(
            meta=store.meta,
            store=integrity_store(store.meta),
            scrubber=build_scrubber(store),
            checker=build_checker(store, settings),
            backup=build_backup(store, settings),
        )
    finally:
        store.close()


def _open_keys(settings: Settings) -> CloudKeys:
    if not settings.state_path.is_dir():
        raise ConfigError(f"there is no store in {settings.state_path} (see --state-path)")
    return open_keys(settings)


def _make_directory(settings: Settings) -> None:
    try:
        make_state_directory(settings.state_path)
    except OSError as error:
        raise ConfigError(f"--state-path {settings.state_path}: {error.strerror}") from None


def main() -> None:
    """Run the program and exit with its status."""
    forbid_core_dumps()
    logging.getLogger().addHandler(logging.NullHandler())  # what fails is told by the command, in one line
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
