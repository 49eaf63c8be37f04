"""Delivering events: order, repetition, pauses, and who dies in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.metadata import OWNER, START_US, Metadata, sqlite_metadata

from nova_objectstore.delivery.errors import DeliveryFailed
from nova_objectstore.delivery.limits import BATCH_EVENTS, EVENT_KEPT_S, LANES
from nova_objectstore.delivery.ports import Event, Subscription, Topic, Waiting
from nova_objectstore.jobs.notify import Notifier
from nova_wsgi import green

ARN = f"arn:aws:sns:us-east-1:{OWNER}:news"


class Endpoint:
    """Takes messages, but for those of lanes that it refuses."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.refused: set[str] = set()
        self.tried = 0
        self.during: Callable[[], None] = lambda: None

    def __call__(self, subscription: Subscription, waiting: Waiting, /) -> None:
        self.tried += 1
        self.during()
        if waiting.lane in self.refused or "*" in self.refused:
            raise DeliveryFailed("no")
        self.taken.append((waiting.lane, waiting.body))


@pytest.fixture
def meta(tmp_path: Path) -> Iterator[Metadata]:
    with sqlite_metadata(tmp_path, sync="never") as made:
        made.engine.create_topic(Topic(ARN, OWNER, "news", START_US), None)
        made.engine.create_subscription(Subscription(f"{ARN}:one", ARN, OWNER, "http", "http://x/", START_US), None)
        yield made
        made.check_state()


def publish(meta: Metadata, *lanes: str) -> None:
    for number, lane in enumerate(lanes):
        meta.engine.publish_event(Event(ARN, lane, "s3:Test", str(number), START_US))


def turn(meta: Metadata, endpoint: Endpoint, now_us: int = START_US, **options: object) -> None:
    notifier = Notifier(meta.engine, endpoint, now_us=lambda: now_us, **options)  # type: ignore[arg-type]
    notifier.poll()
    notifier.wait()


def queue(meta: Metadata):
    return meta.engine.get_queue(f"{ARN}:one")


def test_lanes_keep_their_order(meta: Metadata) -> None:
    endpoint = Endpoint()
    publish(meta, *"abcabcabc" * 30)
    turn(meta, endpoint)
    for lane in "abc":
        numbers = [int(body) for name, body in endpoint.taken if name == lane]
        assert numbers == sorted(numbers)
        assert len(numbers) == 90
    assert (queue(meta).waiting, queue(meta).delivered) == (0, 270)


def test_a_lane_that_fails_waits_and_the_others_go_on(meta: Metadata) -> None:
    endpoint = Endpoint()
    endpoint.refused = {"bad"}
    publish(meta, *["bad"] * BATCH_EVENTS, "good", "bad", "good")
    turn(meta, endpoint)
    assert [lane for lane, _ in endpoint.taken] == ["good", "good"]
    assert queue(meta).waiting == BATCH_EVENTS + 1

    endpoint.refused.clear()
    turn(meta, endpoint, START_US + 10_000_000)
    numbers = [int(body) for lane, body in endpoint.taken if lane == "bad"]
    assert numbers == sorted(numbers)
    assert queue(meta).waiting == 0


def test_a_dead_endpoint_is_left_soon_and_for_longer_each_time(meta: Metadata) -> None:
    endpoint = Endpoint()
    endpoint.refused = {"*"}
    publish(meta, *(f"lane-{number}" for number in range(200)))
    now_us, pauses = START_US, []
    for _ in range(12):
        tried = endpoint.tried
        turn(meta, endpoint, now_us)
        assert endpoint.tried - tried <= 2 * LANES
        pauses.append((queue(meta).retry_at_us - now_us) // 1_000_000)
        now_us = queue(meta).retry_at_us
    assert pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert queue(meta).last_error == "no"
    turn(meta, endpoint, now_us - 1)
    assert queue(meta).failures == 12, "nothing is tried in a pause"

    endpoint.refused.clear()
    turn(meta, endpoint, now_us)
    assert (queue(meta).waiting, queue(meta).failures) == (0, 0)


def test_what_waits_too_long_is_given_up(meta: Metadata) -> None:
    endpoint = Endpoint()
    publish(meta, "a", "b")
    turn(meta, endpoint, START_US + EVENT_KEPT_S * 1_000_000 + 1)
    assert endpoint.taken == []
    assert (queue(meta).waiting, queue(meta).dropped) == (0, 2)


def test_a_worker_that_dies_between_delivery_and_its_record_repeats_it(meta: Metadata) -> None:
    endpoint = Endpoint()
    publish(meta, "a")

    class Store:
        def __getattr__(self, name: str):
            return getattr(meta.engine, name)

        def record_outcome(self, *_: object, **__: object) -> None:
            raise green.GreenletExit

    notifier = Notifier(Store(), endpoint, now_us=lambda: START_US)  # type: ignore[arg-type]
    notifier.poll()
    notifier.wait()
    assert (endpoint.taken, queue(meta).waiting) == ([("a", "0")], 1)

    turn(meta, endpoint, START_US + 1)
    assert len(endpoint.taken) == 1, "its lease holds still"
    turn(meta, endpoint, START_US + 120_000_000)
    assert endpoint.taken == [("a", "0")] * 2
    assert queue(meta).waiting == 0


def test_a_subscription_that_is_removed_meanwhile_is_no_harm(meta: Metadata) -> None:
    endpoint = Endpoint()
    endpoint.during = lambda: meta.engine.delete_topic(ARN)
    publish(meta, "a")
    turn(meta, endpoint)
    assert endpoint.taken == [("a", "0")]
    assert meta.rows("events") == []


def test_a_stop_ends_a_turn_after_the_message_that_is_under_way(meta: Metadata) -> None:
    endpoint = Endpoint()
    going = [True]
    endpoint.during = going.clear
    publish(meta, *["a"] * 10)
    turn(meta, endpoint, goes_on=lambda: bool(going))
    assert (len(endpoint.taken), queue(meta).waiting) == (1, 9)
    assert queue(meta).failures == 0
    turn(meta, Endpoint(), START_US + 1)
    assert queue(meta).waiting == 0
