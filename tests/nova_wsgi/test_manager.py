"""Managers: how they are found and made, their periodic tasks, and the calls they track."""

import time

import pytest

from nova_wsgi import config, green
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Calls, Manager, composing, load_manager_class, periodic_task

CONF = config.load([], program="x", argv=[], environ={})


class Base(Manager):
    @periodic_task(spacing_s=60)
    def collect(self):
        return "base"

    @periodic_task(spacing_s=60)
    def dropped(self):
        pass


class Derived(Base):
    def __init__(self, *, colour="red", **given):
        super().__init__(**given)
        self.colour = colour

    @periodic_task(spacing_s=1, run_immediately=True, scope="cluster")
    def scrub(self):
        return "derived"

    @periodic_task(spacing_s=5, scope="host")
    def collect(self):
        return "derived"

    def dropped(self):
        """Overridden without the mark: no task any more."""


def test_periodic_tasks_are_found_along_the_classes():
    tasks = {task.name: task for task in Derived(conf=CONF, host="h").periodic_tasks()}
    assert set(tasks) == {"collect", "scrub"}
    assert (tasks["collect"].spacing_s, tasks["collect"].scope, tasks["collect"].run_immediately) == (5, "host", False)
    assert (tasks["scrub"].spacing_s, tasks["scrub"].scope, tasks["scrub"].run_immediately) == (1, "cluster", True)
    assert tasks["collect"].call() == "derived"


@pytest.mark.parametrize("wrong", [{"spacing_s": 0}, {"spacing_s": 1, "scope": "planet"}])
def test_a_periodic_task_is_declared_with_sense(wrong):
    with pytest.raises(ValueError, match="is"):
        periodic_task(**wrong)


def test_paste_makes_managers_inside_composing():
    with composing(conf=CONF, host="here") as managers:
        made = Derived.factory({"here": "/etc"}, colour="blue")
    assert managers == [made]
    assert (made.conf, made.host, made.colour) == (CONF, "here", "blue")
    with pytest.raises(ConfigError, match=r"Derived is composed by a WsgiService"):
        Derived.factory({})


def test_tracked_calls_are_told_and_waited_for():
    manager = Manager(conf=CONF, host="h")
    began = time.monotonic()

    def call():
        with manager.tracked("register_image"):
            green.sleep(0.1)

    thread = green.spawn(call)
    green.sleep(0)
    [(name, since)] = manager.in_flight()
    assert name == "register_image"
    assert since == pytest.approx(began, abs=0.05)
    assert not manager.calls.wait_idle(0.01)
    assert manager.calls.wait_idle(1)
    assert manager.in_flight() == []
    thread.wait()


def test_a_tracked_call_that_fails_has_ended():
    manager = Manager(conf=CONF, host="h")
    with pytest.raises(KeyError), manager.tracked("x"):
        raise KeyError
    assert len(manager.calls) == 0


def test_requests_are_named_by_operation_or_line():
    calls = Calls()
    environ = {"REQUEST_METHOD": "GET", "RAW_PATH_INFO": "/b/k%20", "PATH_INFO": "/b/k "}
    token = calls.begin(environ)
    assert [name for name, _ in calls.list()] == ["GET /b/k%20"]
    environ["nova.operation"] = "GetObject"
    assert [name for name, _ in calls.list()] == ["GetObject (GET /b/k%20)"]
    calls.end(token)
    calls.end(token)
    assert calls.wait_idle(0)


def test_several_may_wait_for_idleness():
    calls = Calls()
    token = calls.begin("x")
    waiters = [green.spawn(calls.wait_idle, 5) for _ in range(3)]
    green.sleep(0)
    calls.end(token)
    assert [waiter.wait() for waiter in waiters] == [True] * 3


def test_a_manager_that_is_not_for_the_web_says_so():
    with pytest.raises(NotImplementedError, match="Derived is not a Web Manager"):
        Derived(conf=CONF, host="h")({}, None)


def test_classes_are_loaded_by_name():
    assert load_manager_class("nova_wsgi.manager:Manager", option="x_manager") is Manager
    assert load_manager_class("nova_wsgi.manager.Manager", option="x_manager") is Manager


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nova_wsgi.nothing:Manager", "x_manager = nova_wsgi.nothing:Manager: No module named 'nova_wsgi.nothing'"),
        ("nova_wsgi.manager:Nothing", "x_manager = nova_wsgi.manager:Nothing: nova_wsgi.manager has no Nothing"),
        ("nova_wsgi.manager:Calls", "x_manager = nova_wsgi.manager:Calls: not a Manager class"),
        ("Manager", "x_manager = Manager: Empty module name"),
    ],
)
def test_a_class_that_cannot_be_loaded_is_one_line(name, told):
    with pytest.raises(ConfigError) as caught:
        load_manager_class(name, option="x_manager")
    assert str(caught.value) == told
