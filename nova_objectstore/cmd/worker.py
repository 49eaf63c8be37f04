"""nova-objectstore-worker: the background jobs of the object store, as a System service."""

from __future__ import annotations

from nova_wsgi import green

green.patch()  # before anything that makes locks or keeps references to blocking calls

import sys  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from nova_objectstore.cmd.services import launch_worker  # noqa: E402
from nova_objectstore.config import worker_sections  # noqa: E402
from nova_objectstore.version import VERSION  # noqa: E402
from nova_wsgi.cmd.run import run_program  # noqa: E402

if TYPE_CHECKING:
    from nova_wsgi.config import Config
    from nova_wsgi.launcher import Launcher


def build(conf: Config, launcher: Launcher) -> None:
    """Launch the worker."""
    launch_worker(conf, launcher, processes=max(1, conf.worker_processes))


def main() -> None:
    """Run the program and exit with its status."""
    sys.exit(
        run_program(
            "nova-objectstore-worker",
            worker_sections(),
            build,
            version=VERSION,
            description="The background jobs of the object store: collecting data that was deleted, finishing registered images.",
        )
    )


if __name__ == "__main__":
    main()
