"""nova-api: the APIs beside S3 that ``etc/api-paste.ini`` mounts, each of ``enabled_apis`` on a port of its own."""

from __future__ import annotations

from nova_wsgi import green

green.patch()  # before anything that makes locks or keeps references to blocking calls

import sys  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from nova_objectstore.cmd.services import launch_api  # noqa: E402
from nova_objectstore.config import api_sections  # noqa: E402
from nova_objectstore.version import VERSION  # noqa: E402
from nova_wsgi.cmd.run import run_program  # noqa: E402

if TYPE_CHECKING:
    from nova_wsgi.config import Config
    from nova_wsgi.launcher import Launcher


def build(conf: Config, launcher: Launcher) -> None:
    """Launch the APIs."""
    launch_api(conf, launcher)


def main() -> None:
    """Run the program and exit with its status."""
    sys.exit(
        run_program(
            "nova-api",
            api_sections(),
            build,
            version=VERSION,
            description=(
                "The APIs beside S3: which services there are and how they are, health, metrics, registered images, "
                "IAM with STS and SNS."
            ),
        )
    )


if __name__ == "__main__":
    main()
