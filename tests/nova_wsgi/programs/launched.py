"""A program of one or two services that does on request what a test wants to see survived.

It serves ``--enabled-apis`` (web, other), each API a WsgiService of its own with ``--web-workers`` or
``--other-workers`` processes, composed from ``--api-paste-config``; see ``launched.ini``. ``LAUNCHED_*`` in the
environment make it misbehave; its Managers tell on standard output what happens to them.
"""

import os
import sys
from pathlib import Path
from urllib.parse import parse_qs

from nova_wsgi.cmd.run import run_program  # isort: skip  # before all else: it makes the standard library cooperative

from nova_wsgi import green, launcher, logs, service_options
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager, periodic_task
from nova_wsgi.processes import ProcessPool
from nova_wsgi.service import WsgiService

HERE = Path(__file__).parent


def say(*words):
    os.write(1, (" ".join(map(str, (*words, os.getpid()))) + "\n").encode())


class Knot:
    """Holds itself: nobody but the garbage collector ever finds that it is not wanted."""

    def __init__(self):
        self.end = self

    def __del__(self):
        say("untied")


class LaunchedManager(Manager):
    def __init__(self, *, greeting="hello", **given):
        super().__init__(**given)
        self.greeting = greeting
        self.pool = ProcessPool()
        self.kept = []

    def init_host(self):
        say("init", self.greeting)
        if self.greeting == "misconfigured":
            raise ConfigError("greeting: it is\nmisconfigured")
        if self.greeting == "broken":
            raise RuntimeError("this greeting is broken")
        if Path(os.environ.get("LAUNCHED_CRASH_FILE", "/nowhere")).exists():
            os._exit(7)
        green.sleep(float(os.environ.get("LAUNCHED_INIT_S", "0")))
        say("initialised", self.greeting)

    def cleanup_host(self):
        say("cleanup", self.greeting)

    def __call__(self, environ, start_response):
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        say("begin", environ["PATH_INFO"])
        text = getattr(self, "do_" + environ["PATH_INFO"].strip("/"))(**query)
        body = str(text).encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]

    def do_pid(self):
        return os.getpid()

    def do_greet(self, after="0"):
        green.sleep(float(after))
        return self.greeting

    def do_stick(self, s, after="0"):
        green.sleep(float(after))
        green.original("time").sleep(float(s))  # the hub stands still

    def do_spin(self):
        while True:
            pass

    def do_child(self, s):
        return self.pool.run(["sleep", s]).stdout

    def do_knot(self):
        Knot()
        return "tied"

    def do_scatter(self, size, count):
        """Fill memory and free it again, but for a block here and there; give the size of what was freed."""
        blocks = [bytes(int(size)) for _ in range(int(count))]
        self.kept = blocks[::100]
        return int(size) * (len(blocks) - len(self.kept))

    def do_greenthreads(self):
        return sum(1 for _ in green.suspended())

    @periodic_task(spacing_s=0.1, run_immediately=True, scope="host")
    def tick(self):
        say("tick")


def sections():
    return (
        service_options.section(enabled_apis=["web"], api_paste_config=str(HERE / "launched.ini")),
        service_options.http_section(),
        service_options.api_section("web", workers=1),
        service_options.api_section("other", workers=1),
        launcher.section(),
        logs.section(),
    )


class OneApi(WsgiService):
    """One service an API, so that each has its own processes."""

    def __init__(self, *, api, **given):
        super().__init__(**given)
        self.apis = [api]


def build(conf, launcher):
    for api in conf.enabled_apis:
        service = OneApi.create(conf=conf, binary="nova-launched", topic=api, api=api)
        launcher.launch_service(service, workers=service.workers)


if __name__ == "__main__":
    soft = bool(os.environ.get("LAUNCHED_INTERRUPT_IS_SOFT"))
    sys.exit(run_program("nova-launched", sections(), build, version="1.2.3", interrupt_is_soft=soft))
