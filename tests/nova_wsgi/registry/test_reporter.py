"""Services that report: heartbeats, the last word, lost databases, what administrators say, leases."""

import logging
import sqlite3
import time
from contextlib import closing

import pytest

from nova_wsgi import config, green, launcher, logs, rpc, service_options
from nova_wsgi.manager import Manager, periodic_task
from nova_wsgi.registry import options
from nova_wsgi.registry.database import open_database
from nova_wsgi.registry.reporter import join
from nova_wsgi.registry.services import Services
from nova_wsgi.rpc.embedded import EmbeddedTransport
from nova_wsgi.service import Service
from nova_wsgi.system_service import SystemService
from nova_wsgi.testing import wait_until

SECTIONS = (service_options.section(), rpc.section(), launcher.section(), logs.section(), *options.sections())


class Working(Manager):
    """Works as long as a test says."""

    runs = 0

    @periodic_task(spacing_s=0.02, run_immediately=True, scope="cluster")
    def sweep(self):
        type(self).runs += 1


class Answering(Manager):
    """Answers messages."""

    @rpc.exposed
    def ping(self):
        return "pong"


class PausableService(Service):
    """Notes when it is paused and resumed."""

    def __init__(self, **names):
        super().__init__(**names)
        self.paused = False

    def pause(self):
        self.paused = True

    def resume(self):
        self.paused = False


@pytest.fixture
def path(tmp_path):
    return tmp_path / "services.sqlite"


@pytest.fixture
def registry(path):
    """What an administrator sees."""
    services = Services(open_database(f"sqlite:///{path}"), down_time_s=60)
    yield services
    services.close()


@pytest.fixture
def start(path):
    """Start services that report; they are stopped when the test ends."""
    started = []

    def start(*argv, host="alpha", kind=Service, manager=Working):
        given = [f"--database-connection=sqlite:///{path}", f"--host={host}", "--report-interval-s=0.1", *argv]
        conf = config.load(SECTIONS, program="nova-thing", argv=given, environ={})
        service = kind.create(conf=conf, binary="nova-thing", topic="thing", manager=manager)
        service.reporter = join(service, version="1.2")
        service.prepare()
        service.start()
        started.append(service)
        return service

    yield start
    for service in started:
        if service.state != "down":
            service.stop(5)


def states(registry):
    return [(entry.host, entry.state) for entry in registry.list()]


def test_a_service_is_up_while_it_runs_and_down_when_it_stopped(start, registry):
    service = start()
    (entry,) = wait_until(registry.list)
    assert (entry.host, entry.binary, entry.topic, entry.version) == ("alpha", "nova-thing", "thing", "1.2")
    assert entry.state == "up"
    service.stop(5)
    (stopped,) = registry.list()
    assert (stopped.state, stopped.started_us) == ("down", entry.started_us)


def test_heartbeats_go_on_and_tell_the_calls_in_flight(start, registry):
    service = start()
    first = wait_until(registry.list)[0].last_seen_us
    with service._own.managers[0].tracked("long"):
        wait_until(lambda: registry.list()[0].in_flight == 1)
    wait_until(lambda: registry.list()[0].in_flight == 0)
    assert registry.list()[0].last_seen_us > first


def test_a_service_that_drains_says_so(start, registry):
    service = start()
    wait_until(registry.list)
    with service._own.managers[0].tracked("long"):
        stopping = green.spawn(service.stop, 5)
        wait_until(lambda: states(registry) == [("alpha", "draining")])
    assert stopping.wait() is True
    assert states(registry) == [("alpha", "down")]


def test_a_service_that_is_killed_says_its_last_word_too(start, registry):
    service = start()
    wait_until(registry.list)
    service.kill()
    assert states(registry) == [("alpha", "down")]


def test_a_lost_database_is_told_once_and_the_service_goes_on(start, registry, path, caplog):
    caplog.set_level(logging.INFO)
    path.mkdir()
    service = start()
    wait_until(lambda: "the services registry is lost" in caplog.text)
    wait_until(lambda: service._heart.calls >= 5)
    assert caplog.text.count("the services registry is lost") == 1
    path.rmdir()
    wait_until(lambda: "the services registry is back" in caplog.text)
    wait_until(lambda: states(registry) == [("alpha", "up")])
    assert service.state == "up"
    service.stop(5)
    assert states(registry) == [("alpha", "down")]


def test_a_database_that_is_lost_at_the_end_delays_it_not_at_all(start, path):
    path.mkdir()
    service = start()
    wait_until(lambda: service.reporter._services.database.is_lost)
    began = time.monotonic()
    assert service.stop(5) is True
    assert time.monotonic() - began < 0.5


def test_a_database_that_hangs_at_the_end_delays_it_a_second(start, registry, path, caplog):
    service = start()
    wait_until(registry.list)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert service.stop(5) is True
        assert time.monotonic() - began < 2.5
        other.execute("ROLLBACK")
    assert "too slow to be told of the end" in caplog.text


def test_a_disabled_service_pauses_and_goes_on_when_it_is_enabled(start, registry, caplog):
    caplog.set_level(logging.INFO)
    service = start(kind=PausableService)
    (entry,) = wait_until(registry.list)
    assert service.reporter.is_enabled()
    registry.disable(entry.id, "the disk is replaced")
    wait_until(lambda: service.paused)
    assert not service.reporter.is_enabled()
    wait_until(lambda: service._heart.calls >= 5)
    assert caplog.text.count("thing is disabled: the disk is replaced") == 1
    registry.enable(entry.id)
    wait_until(lambda: not service.paused)
    assert service.reporter.is_enabled()
    assert "thing is enabled again" in caplog.text


def test_a_service_that_starts_disabled_pauses_with_its_first_heartbeat(start, registry):
    start(kind=PausableService).stop(5)
    registry.disable(registry.list()[0].id)
    service = start("--report-interval-s=60", kind=PausableService)
    wait_until(lambda: service.paused)


def test_a_disabled_system_service_takes_no_messages_until_it_is_enabled(start, registry):
    service = start(kind=SystemService, manager=Answering)
    client = rpc.Client(EmbeddedTransport(), "thing")
    assert client.call("ping") == "pong"
    (entry,) = wait_until(registry.list)
    registry.disable(entry.id)
    wait_until(lambda: service.paused)
    with pytest.raises(rpc.NoConsumer):
        client.call("ping")
    assert states(registry) == [("alpha", "up")]
    registry.enable(entry.id)
    wait_until(lambda: not service.paused)
    assert client.call("ping") == "pong"


def test_a_watcher_that_fails_stops_no_heartbeat(start, registry, caplog):
    service = start()
    service.reporter.watch(lambda enabled: 1 / 0)
    (entry,) = wait_until(registry.list)
    registry.disable(entry.id)
    wait_until(lambda: "could not be paused" in caplog.text)
    seen = registry.list()[0].last_seen_us
    wait_until(lambda: registry.list()[0].last_seen_us > seen)


def test_a_row_that_was_cleared_away_comes_back(start, registry, path):
    start()
    wait_until(registry.list)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DELETE FROM nova_service_processes")
    wait_until(lambda: states(registry) == [("alpha", "up")])


def test_a_cluster_task_runs_on_one_host_and_then_on_the_other(start, path):
    class Alpha(Working):
        runs = 0

    class Beta(Working):
        runs = 0

    Alpha.__qualname__ = Beta.__qualname__ = Alpha.__name__ = Beta.__name__ = "Sweeper"
    alpha = start(manager=Alpha)
    wait_until(lambda: Alpha.runs > 2)
    beta = start(host="beta", manager=Beta)
    seen = Alpha.runs
    wait_until(lambda: Alpha.runs > seen + 5)
    assert Beta.runs == 0
    alpha.stop(5)
    wait_until(lambda: Beta.runs > 2)
    beta.stop(5)
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT count(*) FROM nova_leases").fetchall() == [(0,)]
