"""SystemService: a Manager whose methods are run by messages, and its life, in this process."""

import os

import pytest
from oslo_config import cfg
from support.queues import Recorder

from nova_wsgi import config, green, rpc, service_options
from nova_wsgi.config import Section
from nova_wsgi.errors import ConfigError
from nova_wsgi.loopingcall import FixedInterval, LoopingCall
from nova_wsgi.manager import Manager, periodic_task
from nova_wsgi.rpc.embedded import EmbeddedTransport
from nova_wsgi.system_service import SystemService
from nova_wsgi.testing import wait_until


class WorkerManager(Recorder):
    """A Recorder that tells of its life; made as a service makes it."""

    def __init__(self, *, conf, host):
        super().__init__(host)
        self.conf = conf
        self.life = []
        self.ticks = 0

    def init_host(self):
        self.life.append("init")
        self.found_at_init = _outcome(rpc.Client(EmbeddedTransport(), "test-worker").call, "where")

    def cleanup_host(self):
        self.life.append("cleanup")

    def reload(self):
        self.life.append("reload")

    @periodic_task(spacing_s=0.01)
    def tick(self):
        self.ticks += 1


class BrokenManager(WorkerManager):
    def init_host(self):
        super().init_host()
        raise ConfigError("it cannot start")


def _outcome(call, *arguments, **settings):
    try:
        return call(*arguments, **settings)
    except rpc.QueueError as error:
        return type(error)


def load(*argv):
    sections = [
        service_options.section(),
        rpc.section(),
        Section("Worker", [cfg.StrOpt("test_worker_manager", default=f"{__name__}:WorkerManager")]),
    ]
    return config.load(sections, program="nova-test-worker", argv=["--host=host-1", *argv], environ={})


@pytest.fixture
def start():
    services = []

    def start(*argv, **names):
        service = SystemService.create(conf=load(*argv), **({"binary": "nova-test-worker"} | names))
        services.append(service)
        service.prepare()
        service.start()
        return service

    yield start
    for service in services:
        service.kill()


@pytest.fixture
def client():
    return rpc.Client(EmbeddedTransport(), "test-worker", timeout_s=10)


def manager_of(service):
    (manager,) = service._own.managers
    return manager


def test_its_names_come_from_the_program_and_the_manager_from_its_option(start, client):
    service = start()
    assert (service.binary, service.topic, service.host) == ("nova-test-worker", "test-worker", "host-1")
    assert type(manager_of(service)).__name__ == "WorkerManager"
    assert client.call("where") == "host-1"
    assert client.call("where", host="host-1") == "host-1"


def test_no_message_is_taken_before_init_host_has_returned(start):
    service = start()
    assert manager_of(service).found_at_init is rpc.NoConsumer
    assert service.state == "up"


def test_messages_are_counted_and_told_while_they_run(start, client):
    service = start()
    client.call("where")
    client.cast("wait")
    wait_until(service.in_flight)
    assert [name for name, _ in service.in_flight()] == ["wait"]
    assert service.requests_total() == 2
    manager_of(service).open_gate = True
    wait_until(lambda: service.in_flight() == [])


def test_a_soft_stop_ends_what_goes_on_and_begins_nothing(start, client):
    service = start()
    manager = manager_of(service)
    wait_until(lambda: manager.ticks)
    call = green.spawn(client.call, "wait", {"what": "taken"})
    wait_until(service.in_flight)
    stop = green.spawn(service.stop, 10)
    wait_until(lambda: service.state == "draining")
    ticks = manager.ticks
    beside = LoopingCall(lambda: None, FixedInterval(0.01), name="beside").start()
    wait_until(lambda: beside.calls >= 10)
    beside.kill()
    assert manager.ticks <= ticks + 1, "no periodic task begins while the last call ends"
    assert _outcome(client.cast, "note", {"what": "new"}) is rpc.NoConsumer
    assert manager.life == ["init"]
    manager.open_gate = True
    assert call.wait() == "waited"
    assert stop.wait() is True
    assert manager.seen == ["taken"]
    assert manager.life == ["init", "cleanup"]
    assert service.state == "down"
    service.wait()


def test_at_the_deadline_what_still_goes_on_is_ended(start, client):
    service = start()
    manager = manager_of(service)
    call = green.spawn(_outcome, client.call, "wait")
    wait_until(service.in_flight)
    assert service.stop(0.05) is False
    assert call.wait() is rpc.ConsumerLost
    assert manager.waiting == 0
    assert manager.life == ["init", "cleanup"]


def test_killed_it_waits_for_nothing(start, client):
    service = start()
    manager = manager_of(service)
    call = green.spawn(_outcome, client.call, "wait")
    wait_until(service.in_flight)
    service.kill()
    assert call.wait() is rpc.ConsumerLost
    assert manager.life == ["init"]
    assert _outcome(client.call, "where") is rpc.NoConsumer


def test_paused_it_takes_no_messages_until_it_is_resumed(start, client):
    service = start()
    manager = manager_of(service)
    call = green.spawn(client.call, "wait", {"what": "taken"})
    wait_until(service.in_flight)
    for _ in range(2):
        service.pause()
        assert service.paused
        assert _outcome(client.call, "where") is rpc.NoConsumer
    service.resume()
    service.resume()
    assert not service.paused
    assert client.call("where") == "host-1"
    service.pause()
    manager.open_gate = True
    assert call.wait() == "waited"
    assert service.stop(5) is True
    assert not service.paused
    assert manager.seen == ["taken"]


def test_a_reload_reaches_the_manager(start):
    service = start()
    service.reload()
    assert manager_of(service).life == ["init", "reload"]


def test_several_services_of_a_process_reach_one_another(start):
    start()
    other = start(topic="other", manager=f"{__name__}:WorkerManager", host="host-2")
    assert rpc.Client(EmbeddedTransport(), "other").call("where") == "host-2"
    assert rpc.Client(EmbeddedTransport(), "test-worker").call("where") == "host-1"
    assert other.requests_total() == 1


def test_a_manager_that_cannot_start_takes_no_messages(start, client):
    with pytest.raises(ConfigError, match="it cannot start"):
        start(manager=BrokenManager)
    assert _outcome(client.call, "where") is rpc.NoConsumer


def test_a_queue_that_cannot_be_used_keeps_it_from_starting(start, tmp_path):
    os.chmod(tmp_path, 0o755)
    with pytest.raises(ConfigError, match="the queue cannot use"):
        start(f"--rpc-url=embedded:{tmp_path}")


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ({"topic": "no-such"}, "no_such_manager: a service of the queue needs a Manager class"),
        ({"topic": "a.b", "manager": Manager}, "not the name of a topic: 'a.b'"),
        ({"host": "a/b"}, "not the name of a host: 'a/b'"),
        ({"manager": "no.such:Class"}, "test_worker_manager = no.such:Class"),
    ],
)
def test_names_that_make_no_service_are_told(names, told):
    with pytest.raises(ConfigError, match=told):
        SystemService.create(conf=load(), **({"binary": "nova-test-worker"} | names))
