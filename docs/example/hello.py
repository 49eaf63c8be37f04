"""nova-hello: a whole service. Run it with ``python hello.py``, then ask ``curl http://127.0.0.1:8080/hello/you``."""

import sys

from nova_wsgi.cmd.run import run_program  # isort: skip  # before all else: it makes the standard library cooperative

from nova_wsgi import launcher, logs, service_options
from nova_wsgi.manager import Manager
from nova_wsgi.routing import Controller, Router, route
from nova_wsgi.service import WsgiService


class Greetings(Controller):
    @route("GET /hello/{name}")
    def hello(self, req, name):
        return f"Hello, {name}!\n"


class HelloManager(Manager):
    router = Router(Greetings())

    def __call__(self, environ, start_response):
        return self.router(environ, start_response)


SECTIONS = (
    service_options.section(enabled_apis=["hello"], api_paste_config="hello.ini"),
    service_options.http_section(),
    service_options.api_section("hello", port=8080),
    launcher.section(),
    logs.section(),
)


def build(conf, launcher):
    service = WsgiService.create(conf=conf, binary="nova-hello")
    launcher.launch_service(service, workers=service.workers)


if __name__ == "__main__":
    sys.exit(run_program("nova-hello", SECTIONS, build))
