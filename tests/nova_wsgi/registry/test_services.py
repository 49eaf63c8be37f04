"""The verbs on services, on each database: what is reported, what is read, what administrators change."""

import time

import pytest
from support.registry import beat

from nova_wsgi.registry.services import NoSuchService, ServiceIsUp, Standing


def test_a_service_that_reports_is_listed(services):
    before_us = time.time_ns() // 1000
    assert services.report(beat(in_flight=3, version="2.1", age_s=10)) == Standing(False, None)
    (entry,) = services.list()
    assert (entry.host, entry.binary, entry.topic, entry.version) == ("alpha", "nova-thing", "thing", "2.1")
    assert (entry.state, entry.in_flight, entry.processes, entry.enabled) == ("up", 3, 1, True)
    assert abs(entry.last_seen_us - before_us) < 5_000_000
    assert 9_000_000 < entry.last_seen_us - entry.started_us < 15_000_000
    assert services.get(entry.id) == entry


def test_each_process_tells_of_itself_and_the_service_is_their_sum(services, place):
    services.report(beat("p1", in_flight=2))
    services.report(beat("p2", in_flight=5))
    services.report(beat("p2", in_flight=1))
    services.report(beat("p3", host="beta"))
    alpha, beta = services.list()
    assert (alpha.processes, alpha.in_flight) == (2, 3)
    assert (beta.host, beta.processes, beta.in_flight) == ("beta", 1, 0)
    assert place.rows("nova_service_processes") == 3


def test_the_state_is_that_of_the_liveliest_process(services):
    services.report(beat("p1", state="draining", in_flight=1))
    assert services.list()[0].state == "draining"
    services.report(beat("p2"))
    assert services.list()[0].state == "up"
    services.report(beat("p2", state="down"))
    services.report(beat("p1", state="down"))
    (entry,) = services.list()
    assert (entry.state, entry.processes, entry.in_flight) == ("down", 0, 0)
    assert entry.last_seen_us is not None


def test_a_silent_service_is_down(services, place):
    services.report(beat(in_flight=4))
    place.age(59)
    assert services.list()[0].state == "up"
    place.age(2)
    (entry,) = services.list()
    assert (entry.state, entry.in_flight, entry.processes) == ("down", 0, 0)
    services.report(beat())
    assert services.list()[0].state == "up"


def test_a_new_process_clears_away_those_that_ended(services, place):
    services.report(beat("stopped", state="down"))
    services.report(beat("killed"))
    services.report(beat("elsewhere", host="beta"))
    place.age(61)
    services.report(beat("new"))
    assert place.execute("SELECT id FROM nova_service_processes ORDER BY id") == [("elsewhere",), ("new",)]


def test_filters_by_host_and_binary(services):
    for host, binary in [("alpha", "nova-api"), ("alpha", "nova-thing"), ("beta", "nova-thing")]:
        services.report(beat(f"{host}{binary}", host=host, binary=binary))

    def names(**wanted):
        return [(entry.host, entry.binary) for entry in services.list(**wanted)]

    assert names(host="alpha") == [("alpha", "nova-api"), ("alpha", "nova-thing")]
    assert names(binary="nova-thing") == [("alpha", "nova-thing"), ("beta", "nova-thing")]
    assert names(host="beta", binary="nova-api") == []
    assert services.find("beta", "nova-thing").host == "beta"


def test_a_name_that_is_not_one_service_is_refused(services):
    services.report(beat("p1", topic="one"))
    services.report(beat("p2", topic="two"))
    with pytest.raises(NoSuchService, match="no service nova-other has reported from the host alpha"):
        services.find("alpha", "nova-other")
    with pytest.raises(NoSuchService, match="several services: give one of the topics one, two"):
        services.find("alpha", "nova-thing")
    assert services.find("alpha", "nova-thing", topic="two").topic == "two"


def test_a_disabled_service_hears_it_with_its_next_heartbeat(services):
    services.report(beat("p1"))
    (entry,) = services.list()
    disabled = services.disable(entry.id, "the disk\nis replaced")
    assert (disabled.enabled, disabled.disabled_reason, disabled.state) == (False, "the disk is replaced", "up")
    assert disabled.disabled_us is not None
    assert services.report(beat("p1")) == Standing(True, "the disk is replaced")
    assert services.report(beat("p2")) == Standing(True, "the disk is replaced")
    assert services.enable(entry.id).enabled
    assert services.report(beat("p1")) == Standing(False, None)


def test_a_service_that_is_down_can_be_deleted(services, place):
    services.report(beat("p1"))
    (entry,) = services.list()
    with pytest.raises(ServiceIsUp, match="nova-thing on alpha is up: stop it first"):
        services.delete(entry.id)
    place.age(61)
    assert services.delete(entry.id).id == entry.id
    assert services.list() == []
    assert place.rows("nova_service_processes") == 0


def test_a_service_that_was_deleted_registers_again_under_another_id(services, place):
    services.report(beat("p1"))
    (old,) = services.list()
    place.age(61)
    services.delete(old.id)
    services.report(beat("p1"))
    (new,) = services.list()
    assert new.id != old.id


@pytest.mark.parametrize("change", ["get", "disable", "enable", "delete"])
def test_an_id_that_is_not_there_is_no_such_service(services, change):
    with pytest.raises(NoSuchService, match="no service has the id 99"):
        getattr(services, change)(99)
