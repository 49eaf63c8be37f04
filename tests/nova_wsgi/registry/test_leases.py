"""Leases of the cluster, on each database: one holder, takeover, renewal, release."""

import logging

import pytest

from nova_wsgi.periodic import HostLeases
from nova_wsgi.registry.database import open_database
from nova_wsgi.registry.leases import ClusterLeases
from nova_wsgi.testing import wait_until


@pytest.fixture
def host(place):
    """Make the leases of one more host."""
    opened = []

    def make(name, *, lease_time_s=30.0):
        leases = ClusterLeases(open_database(place.url), HostLeases(), host=name, lease_time_s=lease_time_s)
        opened.append(leases)
        return leases

    yield make
    for leases in opened:
        leases.release()
        leases._database.close()


def holders(place):
    return place.execute("SELECT name, host FROM nova_leases ORDER BY name")


def test_one_host_holds_a_lease_and_keeps_it(host, place):
    alpha, beta = host("alpha"), host("beta")
    assert alpha.hold("Jobs.sweep", "cluster")
    assert not beta.hold("Jobs.sweep", "cluster")
    assert alpha.hold("Jobs.sweep", "cluster")
    assert beta.hold("Jobs.reap", "cluster")
    assert holders(place) == [("Jobs.reap", "beta"), ("Jobs.sweep", "alpha")]


def test_scopes_below_the_cluster_do_not_ask_the_database(host, place):
    alpha, beta = host("alpha"), host("beta")
    for leases in (alpha, beta):
        assert leases.hold("Jobs.sweep", "process")
        assert leases.hold("Jobs.sweep", "host")
    with open_database(place.url) as untouched:
        untouched.read(lambda transaction: transaction.all("list_services"))
    assert holders(place) == []


def test_a_holder_that_died_is_followed_after_the_lease_time(host, place):
    alpha, beta = host("alpha"), host("beta")
    assert alpha.hold("Jobs.sweep", "cluster")
    place.age(29)
    assert not beta.hold("Jobs.sweep", "cluster")
    place.age(2)
    assert beta.hold("Jobs.sweep", "cluster")
    assert not alpha.hold("Jobs.sweep", "cluster")
    assert holders(place) == [("Jobs.sweep", "beta")]


def test_a_holder_that_stops_gives_its_leases_back_at_once(host, place):
    alpha, beta = host("alpha"), host("beta")
    assert alpha.hold("Jobs.sweep", "cluster")
    assert alpha.hold("Jobs.reap", "cluster")
    alpha.release()
    assert holders(place) == []
    assert beta.hold("Jobs.sweep", "cluster")


def test_a_lease_is_renewed_while_its_holder_is_busy(host, place):
    alpha, beta = host("alpha", lease_time_s=0.3), host("beta")

    def expiry():
        return place.execute("SELECT expires_us FROM nova_leases")[0][0]

    assert alpha.hold("Jobs.sweep", "cluster")
    first = expiry()
    wait_until(lambda: expiry() > first + 1_000_000, what="renewals for longer than the lease lasts")
    assert not beta.hold("Jobs.sweep", "cluster")


def test_a_lease_from_before_the_clock_was_set_back_does_not_last(host, place):
    alpha, beta = host("alpha"), host("beta")
    assert alpha.hold("Jobs.sweep", "cluster")
    place.age(-3600)
    assert beta.hold("Jobs.sweep", "cluster")
    assert not alpha.hold("Jobs.sweep", "cluster")


def test_a_lease_that_was_lost_is_told(host, place, caplog):
    alpha, beta = host("alpha", lease_time_s=0.3), host("beta")
    assert alpha.hold("Jobs.sweep", "cluster")
    place.execute("UPDATE nova_leases SET holder = 'x', expires_us = expires_us + 60000000")
    with caplog.at_level(logging.WARNING):
        wait_until(lambda: "the lease of Jobs.sweep went to another host" in caplog.text)
    assert not beta.hold("Jobs.sweep", "cluster")


def test_of_each_host_one_process_asks(place):
    shared = HostLeases()

    class Asked:
        def hold(self, name, scope):
            assert scope == "host"
            return False

    leases = ClusterLeases(open_database(place.url), Asked(), host="alpha", lease_time_s=30)
    assert not leases.hold("Jobs.sweep", "cluster")
    shared.close()
