"""How each service of the store is launched: the programs choose which of them they are made of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nova_objectstore import checksums
from nova_objectstore.banner import announce
from nova_objectstore.manager import WORKER_TOPIC, prepare_state, read_settings
from nova_objectstore.s3.refusals import render_refusal
from nova_objectstore.state_directory import make_state_directory
from nova_objectstore.version import VERSION
from nova_wsgi import control
from nova_wsgi.registry.reporter import join
from nova_wsgi.service import Service, WsgiService
from nova_wsgi.system_service import SystemService

if TYPE_CHECKING:
    from nova_wsgi.config import Config
    from nova_wsgi.launcher import Launcher


SERVER_OPTIONS = {"s3": {"refusal_renderer": render_refusal}}


def launch_s3(conf: Config, launcher: Launcher) -> None:
    """The S3 service, with as many workers as the options say; it tells where it is."""
    service = WsgiService.create(
        conf=conf, binary="nova-objectstore", topic="objectstore", server_options=SERVER_OPTIONS
    )
    _launch_store(conf, launcher, service, service.workers)


def launch_combined(conf: Config, launcher: Launcher) -> None:
    """Every API and the worker, all in the launching process."""
    service = WsgiService.create(conf=conf, binary="nova-combined", topic="combined", server_options=SERVER_OPTIONS)
    _launch_store(conf, launcher, service, 1)
    launch_worker(conf, launcher)


def _launch_store(conf: Config, launcher: Launcher, service: WsgiService, workers: int) -> None:
    # Before the workers: they find the schema migrated and the administrator there, and share what every one needs soon
    # (a library loaded before the fork is mapped in a worker as far as it is used; loaded there, it would be 4 MB).
    root = prepare_state(read_settings(conf))
    checksums.prepare()
    _launch(service, launcher, workers)
    launcher.when_ready(lambda: announce(service.addresses["s3"], conf.s3_region, root))


def launch_worker(conf: Config, launcher: Launcher, *, processes: int = 1) -> None:
    """The System service of the background jobs."""
    prepare_state(read_settings(conf))
    service = SystemService.create(conf=conf, binary="nova-objectstore-worker", topic=WORKER_TOPIC)
    _launch(service, launcher, processes)


def launch_api(conf: Config, launcher: Launcher) -> None:
    """The APIs beside S3."""
    # The token and, by default, the services registry lie there; perhaps no store has been started yet.
    make_state_directory(Path(conf.state_path))
    service = WsgiService.create(conf=conf, binary="nova-api", topic="api")
    _launch(service, launcher, service.workers)


def _launch(service: Service, launcher: Launcher, workers: int) -> None:
    join(service, version=VERSION)
    control.attach(service)
    launcher.launch_service(service, workers=workers)
