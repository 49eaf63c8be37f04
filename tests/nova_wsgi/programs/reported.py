"""nova-reported: a service of ``--processes`` processes that reports, has a control socket, and sweeps for the cluster."""

import os
import sys

from nova_wsgi.cmd.run import run_program  # isort: skip  # before all else: it makes the standard library cooperative

from oslo_config import cfg

from nova_wsgi import config, control, launcher, logs, service_options
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager, periodic_task
from nova_wsgi.registry import options
from nova_wsgi.registry.reporter import join
from nova_wsgi.service import Service


class Sweeper(Manager):
    def init_host(self):
        if self.host == "broken":
            raise ConfigError("this host is broken")

    @periodic_task(spacing_s=0.05, run_immediately=True, scope="cluster")
    def sweep(self):
        os.write(1, f"swept {self.host} {os.getpid()}\n".encode())


SECTIONS = (
    service_options.section(),
    config.Section("Test", (cfg.IntOpt("processes", default=1),)),
    *options.sections(),
    control.section(),
    launcher.section(),
    logs.section(),
)


def build(conf, launcher):
    service = Service.create(conf=conf, binary="nova-reported", topic="reported", manager=Sweeper)
    join(service, version="1.0")
    control.attach(service)
    launcher.launch_service(service, workers=conf.processes)


if __name__ == "__main__":
    sys.exit(run_program("nova-reported", SECTIONS, build))
