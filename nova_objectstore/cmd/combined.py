"""nova-combined: every service in one process."""

from __future__ import annotations

from nova_wsgi import green

green.patch()  # before anything that makes locks or keeps references to blocking calls

import sys  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from nova_objectstore.cmd.services import launch_combined  # noqa: E402
from nova_objectstore.config import combined_sections  # noqa: E402
from nova_objectstore.version import VERSION  # noqa: E402
from nova_wsgi.cmd.run import run_program  # noqa: E402

if TYPE_CHECKING:
    from nova_wsgi.config import Config
    from nova_wsgi.launcher import Launcher


def build(conf: Config, launcher: Launcher) -> None:
    """Launch all of them here, without a fork."""
    launch_combined(conf, launcher)


def main() -> None:
    """Run the program and exit with its status."""
    sys.exit(
        run_program(
            "nova-combined",
            combined_sections(),
            build,
            version=VERSION,
            interrupt_is_soft=True,  # one Ctrl-C stops all softly, a second one now
            description="Every service in one process: S3, its background worker, and the APIs beside it.",
        )
    )


if __name__ == "__main__":
    main()
