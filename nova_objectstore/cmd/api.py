"""nova-api: the APIs beside S3 that ``etc/api-paste.ini`` mounts, each of ``enabled_apis`` on a port of its own."""

from __future__ import annotations

from nova_wsgi import green

green.patch()  # before anything that makes locks or keeps references to blocking calls

import sys  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from nova_objectstore.config import api_sections  # noqa: E402
from nova_objectstore.manager import read_settings  # noqa: E402
from nova_objectstore.version import VERSION  # noqa: E402
from nova_wsgi import control  # noqa: E402
from nova_wsgi.cmd.run import run_program  # noqa: E402
from nova_wsgi.registry.reporter import join  # noqa: E402
from nova_wsgi.service import WsgiService  # noqa: E402

if TYPE_CHECKING:
    from nova_wsgi.config import Config
    from nova_wsgi.launcher import Launcher


def build(conf: Config, launcher: Launcher) -> None:
    """Launch the APIs."""
    # The token and, by default, the services registry lie there; perhaps no store has been started yet.
    read_settings(conf).state_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    service = WsgiService.create(conf=conf, binary="nova-api", topic="api")
    join(service, version=VERSION)
    control.attach(service)
    launcher.launch_service(service, workers=service.workers)


def main() -> None:
    """Run the program and exit with its status."""
    sys.exit(
        run_program(
            "nova-api",
            api_sections(),
            build,
            version=VERSION,
            description="The APIs beside S3: which services there are and how they are, health, metrics.",
        )
    )


if __name__ == "__main__":
    main()
