"""Services as real processes on several hosts: who reports, who holds a lease, what a kill -9 leaves."""

import re
import sys
from pathlib import Path

import pytest

from nova_wsgi.registry.services import Services
from nova_wsgi.testing import Notified, wait_until

PROGRAM = Path(__file__).parents[1] / "programs" / "reported.py"
QUICK = ("--service-down-time=1", "--lease-time-s=1", "--report-interval-s=0.2")


@pytest.fixture
def start(live_server, place, tmp_path):
    """Start the service on a host."""

    def start(host, *argv):
        given = [f"--database-connection={place.url}", f"--host={host}", *QUICK, *argv]
        return live_server([sys.executable, PROGRAM, *given], ready=Notified(""), cwd=tmp_path)

    return start


@pytest.fixture
def services(database):
    return Services(database, down_time_s=1)


def swept(server, since=0):
    """The process of each sweep, after so much output."""
    return re.findall(r"swept \w+ (\d+)", server.output()[since:])


def states(services):
    return {entry.host: (entry.state, entry.processes) for entry in services.list()}


def test_a_task_of_the_cluster_moves_on_when_its_host_dies_and_when_it_stops(start, services):
    alpha = start("alpha", "--processes=2")
    wait_until(lambda: len(swept(alpha)) > 3)
    assert len(set(swept(alpha))) == 1, "one of its processes"
    beta = start("beta", "--processes=2")
    wait_until(lambda: states(services) == {"alpha": ("up", 2), "beta": ("up", 2)})
    since = len(alpha.output())
    wait_until(lambda: len(swept(alpha, since)) > 5)
    assert swept(beta) == []

    alpha.kill()
    wait_until(lambda: len(swept(beta)) > 3)
    wait_until(lambda: states(services) == {"alpha": ("down", 0), "beta": ("up", 2)})

    alpha = start("alpha")
    since = len(beta.output())
    wait_until(lambda: len(swept(beta, since)) > 5)
    assert swept(alpha) == []
    assert beta.stop() == 0
    wait_until(lambda: len(swept(alpha)) > 3)
    assert states(services) == {"alpha": ("up", 1), "beta": ("down", 0)}
    assert alpha.stop() == 0
    assert states(services) == {"alpha": ("down", 0), "beta": ("down", 0)}


def test_a_service_that_cannot_start_is_down_and_leaves_no_socket(start, services, tmp_path):
    with pytest.raises(ChildProcessError, match="this host is broken"):
        start("broken", f"--control-path={tmp_path}/control")
    assert states(services) == {"broken": ("down", 0)}
    assert list((tmp_path / "control").iterdir()) == []
