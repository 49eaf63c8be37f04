"""A service on two listeners, hello and metrics, whose workers tell who they are; composed by the ini beside it."""

import os
import sys

from nova_wsgi.cmd.run import run_program  # isort: skip  # before all else: it makes the standard library cooperative

from nova_wsgi import launcher, logs, service_options
from nova_wsgi.manager import Manager
from nova_wsgi.routing import Controller, Router, route
from nova_wsgi.service import WsgiService


class Pages(Controller):
    @route("GET /worker")
    def worker(self, req):
        return str(os.getpid())

    @route("PUT /length")
    def length(self, req):
        return str(len(req.read_body(10)))

    @route("GET /broken")
    def broken(self, req):
        raise KeyError("a secret")


class HelloManager(Manager):
    router = Router(Pages())

    def __call__(self, environ, start_response):
        return self.router(environ, start_response)


SECTIONS = (
    service_options.section(enabled_apis=["hello", "metrics"]),
    service_options.http_section(),
    service_options.api_section("hello", workers=2),
    service_options.api_section("metrics", workers=2),
    launcher.section(),
    logs.section(),
)


def build(conf, launcher):
    service = WsgiService.create(conf=conf, binary="nova-counted")
    launcher.launch_service(service, workers=service.workers)


if __name__ == "__main__":
    sys.exit(run_program("nova-counted", SECTIONS, build))
