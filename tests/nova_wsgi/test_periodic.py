"""Periodic tasks and their leases."""

from contextlib import ExitStack

import pytest
from support.forks import another_process

from nova_wsgi import config
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager, periodic_task
from nova_wsgi.periodic import HostLeases, PeriodicTasks
from nova_wsgi.testing import wait_until

CONF = config.load([], program="x", argv=[], environ={})


class Counting(Manager):
    def __init__(self):
        super().__init__(conf=CONF, host="h")
        self.ran = []

    @periodic_task(spacing_s=0.02, run_immediately=True)
    def every_process(self):
        self.ran.append("process")

    @periodic_task(spacing_s=0.02, run_immediately=True, scope="cluster")
    def one_host(self):
        self.ran.append("cluster")

    @periodic_task(spacing_s=100)
    def seldom(self):
        self.ran.append("seldom")


class Refuses:
    def hold(self, name, scope):
        assert name.startswith("Counting.")
        return scope == "process"


def test_tasks_run_where_the_lease_is_held():
    manager = Counting()
    tasks = PeriodicTasks([manager], Refuses())
    tasks.start()
    wait_until(lambda: len(manager.ran) >= 3)
    tasks.stop()
    assert tasks.wait(1)
    ran = list(manager.ran)
    assert set(ran) == {"process"}
    assert manager.ran == ran


def holder(leases, name):
    """Another process that takes the lease, if it can: whether it got it."""
    return another_process(lambda: leases.hold(name, "host"))


@pytest.mark.filterwarnings("ignore:Using fork")
@pytest.mark.parametrize("named", [False, True])
def test_a_lease_is_held_by_one_process_and_free_when_that_is_gone(tmp_path, named):
    leases = HostLeases(str(tmp_path / "leases") if named else None)
    with ExitStack() as others:
        with holder(leases, "collect") as first:
            second, other = (others.enter_context(holder(leases, name)) for name in ("collect", "scrub"))
            assert (first, second, other) == (True, False, True)
            assert not leases.hold("collect", "cluster")
            assert leases.hold("collect", "process")
        assert leases.hold("collect", "host")
        assert leases.hold("collect", "host"), "again and again"
    leases.close()


def test_a_place_where_no_lease_can_be_kept_is_told():
    with pytest.raises(ConfigError, match=r"^/nowhere/leases: cannot keep leases there: No such file or directory$"):
        HostLeases("/nowhere/leases")
