"""nova-objectstore: an S3-compatible object store, with its background worker beside it."""

from __future__ import annotations

from nova_wsgi import green

green.patch()  # before anything that makes locks or keeps references to blocking calls

import sys  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from nova_objectstore.cmd.services import launch_s3, launch_worker  # noqa: E402
from nova_objectstore.config import objectstore_sections  # noqa: E402
from nova_objectstore.version import VERSION  # noqa: E402
from nova_wsgi.cmd.run import run_program  # noqa: E402

if TYPE_CHECKING:
    from nova_wsgi.config import Config
    from nova_wsgi.launcher import Launcher


def build(conf: Config, launcher: Launcher) -> None:
    """Launch the S3 service and, unless it is left to another program, the worker."""
    launch_s3(conf, launcher)
    if conf.worker_processes:
        launch_worker(conf, launcher, processes=conf.worker_processes)


def main() -> None:
    """Run the program and exit with its status."""
    sys.exit(
        run_program(
            "nova-objectstore",
            objectstore_sections(),
            build,
            version=VERSION,
            description="An S3-compatible object store: metadata in SQLite, data in files, nothing to install beside it.",
        )
    )


if __name__ == "__main__":
    main()
