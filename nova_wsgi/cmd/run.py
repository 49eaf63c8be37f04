"""What every program's ``main`` does: make the library cooperative, read options, set up logs, launch, exit.

    def build(conf: Config, launcher: Launcher) -> None:
        service = WsgiService.create(conf=conf, binary="nova-hello", topic="hello")
        launcher.launch_service(service, workers=service.workers)

    def main() -> None:
        sys.exit(run_program("nova-hello", SECTIONS, build, version="1.0"))

Exit codes: 0 after a soft stop in which everything ended; 1 when something had to be ended, or failed; 2 for a mistake
in the options, the ini or the environment, told in one line on standard error; 128 + n after a hard stop by signal n.
"""

from nova_wsgi import green

green.patch()  # before anything that makes locks is imported

import sys  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from contextlib import contextmanager  # noqa: E402

from nova_wsgi import config, logs, memory  # noqa: E402
from nova_wsgi.core_dumps import forbid_core_dumps  # noqa: E402
from nova_wsgi.errors import ConfigError  # noqa: E402
from nova_wsgi.launcher import Launcher  # noqa: E402

EXIT_CONFIG = 2


def run_program(
    program: str,
    sections: Sequence[config.Section],
    build: Callable[[config.Config, Launcher], None],
    *,
    argv: Sequence[str] | None = None,
    version: str = "",
    description: str = "",
    interrupt_is_soft: bool = False,
    default_config_files: Sequence[str] = (),
) -> int:
    """Run a program of services from its options to its end; give the exit status.

    ``build`` makes the services and hands them to the launcher. ``sections`` must hold those of
    :func:`nova_wsgi.logs.section` and :func:`nova_wsgi.launcher.section`.
    """
    memory.limit_arenas()
    with config_errors_exit(program):
        conf = config.load(
            sections,
            program=program,
            argv=argv,
            version=version,
            description=description,
            default_config_files=default_config_files,
        )
        if not conf.core_dumps:
            forbid_core_dumps()
        logs.setup(conf)
        launcher = Launcher(conf, interrupt_is_soft=interrupt_is_soft)
        try:
            build(conf, launcher)
            return launcher.wait()
        finally:
            launcher.release()


@contextmanager
def config_errors_exit(program: str) -> Iterator[None]:
    """Turn a ConfigError into one line on standard error and exit code 2."""
    try:
        yield
    except ConfigError as error:
        print(f"{program}: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(EXIT_CONFIG) from None
