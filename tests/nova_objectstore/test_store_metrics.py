"""The scrubber's numbers among the metrics."""

from __future__ import annotations

import os

from prometheus_client import generate_latest
from prometheus_client.registry import CollectorRegistry
from support.watched import Watched

from nova_objectstore.errors import StorageFailed
from nova_objectstore.store_metrics import ScrubCollector


def told(find_store) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(ScrubCollector(find_store))
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.split() for line in lines if not line.startswith("#"))}


def test_what_the_scrubber_found_is_told(tmp_path):
    place = Watched(tmp_path / "state")
    place.add("sound", os.urandom(50_000))
    place.add("damaged", os.urandom(50_000))
    place.flip("damaged")
    place.watch.put_scrub(place.watch.get_scrub()._replace(finished_us=1))
    scrubber = place.scrubber(period_s=1)
    assert scrubber.run() is not None

    numbers = told(lambda: place.watch)

    assert numbers["nova_scrub_damaged"] == 1
    assert numbers["nova_scrub_found_total"] == 1
    assert numbers["nova_scrub_bytes_total"] == 100_000
    assert numbers["nova_scrub_running"] == 0
    assert numbers["nova_scrub_finished_timestamp_seconds"] == place.now_us / 1_000_000
    place.close()


def test_a_store_that_is_not_there_or_fails_has_no_numbers():
    def fail():
        raise StorageFailed

    assert told(lambda: None) == {}
    assert told(fail) == {}
