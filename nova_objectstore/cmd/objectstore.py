"""nova-objectstore: an S3-compatible object store."""

from __future__ import annotations

from nova_wsgi import green

green.patch()  # before anything that makes locks or keeps references to blocking calls

import sys  # noqa: E402
from typing import TYPE_CHECKING  # noqa: E402

from nova_objectstore.banner import announce  # noqa: E402
from nova_objectstore.config import objectstore_sections  # noqa: E402
from nova_objectstore.manager import prepare_state, read_settings  # noqa: E402
from nova_objectstore.s3.refusals import render_refusal  # noqa: E402
from nova_objectstore.version import VERSION  # noqa: E402
from nova_wsgi import control  # noqa: E402
from nova_wsgi.cmd.run import run_program  # noqa: E402
from nova_wsgi.registry.reporter import join  # noqa: E402
from nova_wsgi.service import WsgiService  # noqa: E402

if TYPE_CHECKING:
    from nova_wsgi.config import Config
    from nova_wsgi.launcher import Launcher


def build(conf: Config, launcher: Launcher) -> None:
    """Launch the S3 service with as many workers as the options say."""
    service = WsgiService.create(
        conf=conf,
        binary="nova-objectstore",
        topic="objectstore",
        server_options={"s3": {"refusal_renderer": render_refusal}},
    )
    # Before the workers: they find the schema migrated and the administrator there.
    root = prepare_state(read_settings(conf))
    join(service, version=VERSION)
    control.attach(service)
    launcher.launch_service(service, workers=service.workers)
    launcher.when_ready(lambda: announce(service.addresses["s3"], conf.s3_region, root))


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
