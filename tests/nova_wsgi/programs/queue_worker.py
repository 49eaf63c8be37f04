"""A System service whose Manager notes in the folder ``QUEUE_FOLDER`` what it was told to do, one file a word."""

import os
import signal
import sys
import time
from pathlib import Path

from nova_wsgi.cmd.run import run_program  # isort: skip  # before all else: it makes the standard library cooperative

from oslo_config import cfg

from nova_wsgi import green, launcher, logs, rpc, service_options
from nova_wsgi.config import Section
from nova_wsgi.manager import Manager
from nova_wsgi.system_service import SystemService


class QueueWorkerManager(Manager):
    def init_host(self):
        self.folder = Path(os.environ["QUEUE_FOLDER"])
        self.say("init", os.getpid())

    def cleanup_host(self):
        self.say("cleanup", os.getpid())

    def say(self, word, what):
        line = os.open(self.folder / word, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(line, f"{what}\n".encode())
        os.close(line)

    @rpc.exposed
    def note(self, what: str) -> int:
        self.say("noted", what)
        return os.getpid()

    @rpc.exposed
    def note_arrival(self, sent_at: float) -> None:
        self.say("arrived", time.monotonic() - sent_at)

    @rpc.exposed
    def hold(self, what: str) -> str:
        """Work until the file ``gate`` is there."""
        self.say("begun", what)
        while not (self.folder / "gate").exists():
            green.sleep(0.01)
        self.say("ended", what)
        return what

    @rpc.exposed
    def die_once(self, what: str) -> None:
        """Take the whole process along, the first time."""
        if not (self.folder / "died").exists():
            self.say("died", what)
            os.kill(os.getpid(), signal.SIGKILL)
        self.say("survived", what)


SECTIONS = (
    service_options.section(),
    rpc.section(),
    Section(
        "Worker",
        (
            service_options.manager_option("queue-worker", "queue_worker:QueueWorkerManager"),
            cfg.IntOpt("worker_processes", default=1, help="Processes that take messages."),
        ),
    ),
    launcher.section(),
    logs.section(),
)


def build(conf, launcher):
    service = SystemService.create(conf=conf, binary="nova-queue-worker")
    launcher.launch_service(service, workers=conf.worker_processes)


if __name__ == "__main__":
    sys.exit(run_program("nova-queue-worker", SECTIONS, build))
