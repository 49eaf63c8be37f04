"""Topics, subscriptions and events: what the port promises, for every engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.metadata import OTHER, OWNER, START_US, Metadata, new_part, new_version

from nova_objectstore.delivery.errors import (
    DeliveryChanged,
    InvalidSubscriptionToken,
    NoSuchSubscription,
    NoSuchTopic,
)
from nova_objectstore.delivery.limits import SUBSCRIPTIONS_PER_TOPIC_MAX
from nova_objectstore.delivery.ports import Change, Effect, Event, EventKind, Outcome, Subscription, Topic
from nova_objectstore.errors import NoSuchKey, ObjectLocked, PreconditionFailed
from nova_objectstore.meta.engine import Assembly
from nova_objectstore.types import Lock, Versioning, WriteCondition

ARN = f"arn:aws:sns:us-east-1:{OWNER}:news"


class Announce:
    """Tells a topic everything."""

    def __init__(self, arn: str = ARN, *, waiting_max: int = 100) -> None:
        self._arn = arn
        self._waiting_max = waiting_max

    def events(self, change: Change) -> list[Event]:
        body = json.dumps([change.effect.value, change.key, change.version_id, change.size, change.etag])
        return [Event(self._arn, change.key, "s3:Test", body, START_US, waiting_max=self._waiting_max)]


def subscription(name: str = "one", arn: str = ARN, **facts: Any) -> Subscription:
    values = {"token": "", "attributes": {}, **facts}
    return Subscription(f"{arn}:{name}", arn, OWNER, "https", f"https://{name}.example.org/", START_US, **values)


@pytest.fixture
def topic(meta: Metadata) -> Topic:
    made = Topic(ARN, OWNER, "news", START_US, {"DisplayName": "News"}, {"team": "a"})
    return meta.engine.create_topic(made, None)


@pytest.fixture
def receiver(meta: Metadata, topic: Topic) -> str:
    """The ARN of a subscription that is confirmed."""
    return meta.engine.create_subscription(subscription(), None).arn


def told(meta: Metadata, arn: str) -> list[list[Any]]:
    """What waits for a subscription."""
    return [json.loads(waiting.body) for waiting in meta.engine.list_waiting(arn)]


# -- topics and subscriptions --------------------------------------------------------------------------------------------


def test_a_topic_is_made_once_and_goes_with_all_that_is_its(meta: Metadata, topic: Topic, receiver: str) -> None:
    again = meta.engine.create_topic(topic._replace(attributes={}), None)
    assert again == topic == meta.engine.get_topic(ARN)
    meta.engine.publish_event(Announce().events(Change(Effect.WRITTEN, "k", None))[0])

    meta.engine.delete_topic(ARN)
    meta.engine.delete_topic(ARN)

    with pytest.raises(NoSuchTopic):
        meta.engine.get_topic(ARN)
    assert [meta.rows(table) for table in ("topics", "subscriptions", "events", "deliveries")] == [[], [], [], []]


def test_topics_and_subscriptions_come_in_pages_and_to_their_owners_alone(meta: Metadata) -> None:
    names = [f"arn:aws:sns:us-east-1:{OWNER}:t{number}" for number in range(5)]
    for arn in names:
        meta.engine.create_topic(Topic(arn, OWNER, arn[-2:], START_US), None)
        meta.engine.create_subscription(subscription("s", arn), None)
    meta.engine.create_topic(Topic("arn:other", OTHER, "x", START_US), None)

    assert [found.arn for found in meta.engine.list_topics(OWNER, limit=3)] == names[:3]
    assert [found.arn for found in meta.engine.list_topics(OWNER, after=names[2])] == names[3:]
    assert [found.topic_arn for found in meta.engine.list_subscriptions(OWNER, after=f"{names[1]}:s")] == names[2:]
    assert [found.topic_arn for found in meta.engine.list_subscriptions_of(names[4])] == names[4:]
    assert meta.engine.list_subscriptions(OTHER) == []


def test_the_push_endpoint_is_a_subscription_that_follows_its_topic(meta: Metadata) -> None:
    push = subscription("push-endpoint")
    made = meta.engine.create_topic(Topic(ARN, OWNER, "news", START_US), push)
    meta.engine.publish_event(Announce().events(Change(Effect.WRITTEN, "k", None))[0])

    meta.engine.update_topic(
        ARN, attributes=made.attributes, tags={}, push=push._replace(endpoint="https://other.example.org/")
    )
    assert meta.engine.get_queue(push.arn).subscription.endpoint == "https://other.example.org/"
    assert meta.engine.get_queue(push.arn).waiting == 1

    meta.engine.update_topic(ARN, attributes={}, tags={}, push=None)
    assert meta.rows("subscriptions") == meta.rows("events") == []


def test_an_endpoint_subscribes_once_and_is_confirmed_by_its_token(meta: Metadata, topic: Topic) -> None:
    confirmation = Event(ARN, "confirmation", "sns:Confirmation", "{}", START_US, EventKind.CONFIRMATION)
    first = meta.engine.create_subscription(subscription(token="secret"), confirmation)
    again = meta.engine.create_subscription(subscription("two")._replace(endpoint=first.endpoint), confirmation)
    assert again == first
    assert [waiting.kind for waiting in meta.engine.list_waiting(first.arn)] == [EventKind.CONFIRMATION]

    meta.engine.publish_event(Announce().events(Change(Effect.WRITTEN, "k", None))[0])
    for arn, token in ((ARN, "wrong"), (ARN, ""), (f"{ARN}x", "secret")):
        with pytest.raises(InvalidSubscriptionToken):
            meta.engine.confirm_subscription(arn, token)
    assert meta.engine.confirm_subscription(ARN, "secret").token == ""
    meta.engine.publish_event(Announce().events(Change(Effect.WRITTEN, "k", None))[0])

    assert len(meta.engine.list_waiting(first.arn)) == 2, "its confirmation, and what came after it"


def test_subscriptions_that_nobody_confirms_are_forgotten(meta: Metadata, topic: Topic, receiver: str) -> None:
    meta.engine.create_subscription(subscription("two", token="secret"), None)

    assert meta.engine.forget_pending(before_us=START_US) == 0
    assert meta.engine.forget_pending(before_us=START_US + 1) == 1
    assert [found.arn for found in meta.engine.list_subscriptions_of(ARN)] == [receiver]


def test_what_is_not_there(meta: Metadata, topic: Topic) -> None:
    engine = meta.engine
    engine.delete_subscription("arn:none")
    for verb in (engine.get_subscription, engine.get_queue, engine.retry_delivery, engine.drop_waiting):
        with pytest.raises(NoSuchSubscription):
            verb("arn:none")
    with pytest.raises(NoSuchTopic):
        engine.create_subscription(subscription(arn="arn:none"), None)
    with pytest.raises(NoSuchTopic):
        engine.update_topic("arn:none", attributes={}, tags={}, push=None)
    assert engine.publish_event(Announce("arn:none").events(Change(Effect.WRITTEN, "k", None))[0]) == 0


def test_a_topic_has_no_more_subscriptions_than_it_may(meta: Metadata, topic: Topic) -> None:
    for number in range(SUBSCRIPTIONS_PER_TOPIC_MAX):
        meta.engine.create_subscription(subscription(f"s{number}"), None)
    with pytest.raises(Exception, match="topic_arn"):
        meta.engine.create_subscription(subscription("more"), None)


# -- events with their changes -------------------------------------------------------------------------------------------


def test_a_change_and_its_event_are_one(meta: Metadata, receiver: str) -> None:
    bucket = meta.bucket()
    put = meta.engine.put_version(bucket, new_version("k", b"12345"), announce=Announce())
    assert told(meta, receiver) == [["written", "k", "null", 5, put.etag]]

    for change, refusal in (
        (lambda: meta.engine.put_version(
            bucket, new_version("k"), WriteCondition(if_none_match=True), announce=Announce()), PreconditionFailed),
        (lambda: meta.engine.set_tags(bucket.id, "none", None, {}, announce=Announce()), NoSuchKey),
    ):  # fmt: skip
        with pytest.raises(refusal):
            change()
    assert len(told(meta, receiver)) == 1, "what was refused has not happened"


@pytest.mark.parametrize("versioning", list(Versioning))
def test_deletes_tell_what_they_did(meta: Metadata, receiver: str, versioning: Versioning) -> None:
    bucket = meta.bucket(versioning=versioning)
    put = meta.put(bucket, "k")

    deleted = meta.delete(bucket, "k", announce=Announce())
    meta.erase(bucket, "k", put.version_id, announce=Announce())
    meta.erase(bucket, "k", "nothing", announce=Announce())

    if versioning is Versioning.OFF:
        assert told(meta, receiver) == [["removed", "k", None, None, ""]]
        meta.delete(bucket, "k", announce=Announce())
        assert len(told(meta, receiver)) == 1, "deleting what is not there is no event"
    else:
        assert told(meta, receiver)[0] == ["hidden", "k", deleted.version_id, None, ""]
        gone = {"removed" for event in told(meta, receiver)[1:] if event[0] == "removed"}
        assert gone == {"removed"}


def test_each_key_of_a_multi_delete_tells_for_itself(meta: Metadata, receiver: str) -> None:
    bucket = meta.bucket(object_lock=True)
    kept = meta.put(bucket, "kept", lock=Lock(legal_hold=True))
    meta.put(bucket, "a")
    deletes = [
        ("a", None, WriteCondition()),
        ("kept", kept.version_id, WriteCondition()),
        ("b", None, WriteCondition()),
    ]

    outcomes = meta.engine.delete_objects(bucket, deletes, owner_id=OWNER, now_us=meta.tick(), announce=Announce())

    assert [type(outcome).__name__ for outcome in outcomes] == ["Deleted", "ObjectLocked", "Deleted"]
    assert isinstance(outcomes[1], ObjectLocked)
    assert [event[:2] for event in told(meta, receiver)] == [["hidden", "a"], ["hidden", "b"]]


@pytest.mark.parametrize(("versioning", "effect"), [(Versioning.OFF, "removed"), (Versioning.ENABLED, "hidden")])
def test_a_rename_tells_of_both_keys(meta: Metadata, receiver: str, versioning: Versioning, effect: str) -> None:
    bucket = meta.bucket(versioning=versioning)
    meta.put(bucket, "old")
    meta.engine.rename_object(bucket, "old", "new", now_us=meta.tick(), announce=Announce())
    meta.engine.rename_object(bucket, "new", "new", now_us=meta.tick(), announce=Announce())
    assert [event[:2] for event in told(meta, receiver)] == [[effect, "old"], ["written", "new"]]


def test_a_completed_upload_tells_once(meta: Metadata, receiver: str) -> None:
    bucket = meta.bucket()
    meta.begin(bucket, "k", "up")
    part = new_part(1, 10)
    meta.engine.put_part(bucket.id, "k", "up", part)
    assembly = Assembly("up", [part], new_version("k", now_us=meta.tick()))

    meta.engine.complete_upload(bucket, assembly, announce=Announce())
    meta.engine.complete_upload(bucket, assembly, announce=Announce())

    assert [event[:4] for event in told(meta, receiver)] == [["written", "k", "null", 10]]


def test_tags_and_facts_tell_of_their_version(meta: Metadata, receiver: str) -> None:
    bucket = meta.bucket()
    meta.put(bucket, "k")
    meta.engine.set_tags(bucket.id, "k", None, {"a": "b"}, announce=Announce())
    meta.engine.set_extra(bucket.id, "k", None, {"acl": "x"}, announce=Announce())
    assert [event[:2] for event in told(meta, receiver)] == [["changed", "k"]] * 2


def test_a_full_queue_takes_no_more_and_the_others_go_on(meta: Metadata, receiver: str) -> None:
    bucket = meta.bucket()
    for key in ("a", "b", "c"):
        meta.engine.put_version(bucket, new_version(key), announce=Announce(waiting_max=2))
    other = meta.engine.create_subscription(subscription("two"), None).arn
    meta.engine.put_version(bucket, new_version("d"), announce=Announce(waiting_max=2))

    full, free = meta.engine.get_queue(receiver), meta.engine.get_queue(other)

    assert [event[1] for event in told(meta, receiver)] == ["a", "b"]
    assert (full.waiting, full.dropped, free.waiting, free.dropped) == (2, 2, 1, 0)
    assert meta.engine.get_version(bucket.id, "d").key == "d", "the change itself is made"


# -- deliveries ----------------------------------------------------------------------------------------------------------


def claim(meta: Metadata, lease: str = "me", now_us: int = START_US) -> Any:
    return meta.engine.claim_delivery(lease, now_us=now_us, until_us=now_us + 1000)


def publish(meta: Metadata, *keys: str) -> list[int]:
    return [meta.engine.publish_event(Announce().events(Change(Effect.WRITTEN, key, None))[0]) for key in keys]


def test_a_lease_from_before_the_clock_was_set_back_is_anothers(meta: Metadata, receiver: str) -> None:
    publish(meta, "a")
    assert claim(meta, "first", START_US + 3_600_000_000).queue.subscription.arn == receiver
    assert claim(meta, "second", START_US + 3_500_000_000) is None
    assert meta.engine.is_delivery_due(now_us=START_US)
    assert claim(meta, "second") is not None
    with pytest.raises(DeliveryChanged):
        meta.engine.record_outcome(receiver, "first", Outcome([]), now_us=START_US, until_us=0)


def test_one_worker_at_a_time_delivers_for_a_subscription(meta: Metadata, receiver: str) -> None:
    assert not meta.engine.is_delivery_due(now_us=START_US)
    assert claim(meta) is None
    ids = publish(meta, "a", "b")
    assert meta.engine.is_delivery_due(now_us=START_US)
    assert claim(meta).queue.subscription.arn == receiver
    assert not meta.engine.is_delivery_due(now_us=START_US)
    assert claim(meta, "other") is None

    taken = claim(meta, "other", START_US + 1001)
    assert taken is not None, "a lease that ran out is anybody's"
    with pytest.raises(DeliveryChanged):
        meta.engine.record_outcome(receiver, "me", Outcome(ids), now_us=START_US, until_us=0)
    meta.engine.record_outcome(receiver, "other", Outcome(ids[:1]), now_us=START_US + 5, until_us=0)

    queue = meta.engine.get_queue(receiver)
    assert (queue.waiting, queue.delivered, queue.last_delivered_us) == (1, 1, START_US + 5)
    assert [waiting.event_id for waiting in meta.engine.list_waiting(receiver)] == ids[1:]


def test_who_was_served_last_is_served_last(meta: Metadata, receiver: str) -> None:
    meta.engine.create_subscription(subscription("two"), None)
    publish(meta, "a", "b")
    served = []
    for turn in range(4):
        taken = claim(meta, now_us=START_US + turn)
        served.append(taken.queue.subscription.arn[-3:])
        meta.engine.record_outcome(taken.queue.subscription.arn, "me", Outcome(), now_us=START_US + turn, until_us=0)
    assert served == ["one", "two", "one", "two"]


def test_a_failure_pauses_and_a_success_ends_it(meta: Metadata, receiver: str) -> None:
    (event_id,) = publish(meta, "a")
    claim(meta)
    outcome = Outcome(error="refused", retry_at_us=START_US + 500)
    meta.engine.record_outcome(receiver, "me", outcome, now_us=START_US, until_us=0)

    queue = meta.engine.get_queue(receiver)
    assert (queue.failures, queue.last_error, queue.last_error_us) == (1, "refused", START_US)
    assert claim(meta, now_us=START_US + 499) is None
    meta.engine.retry_delivery(receiver)
    assert claim(meta, now_us=START_US + 499) is not None
    meta.engine.record_outcome(receiver, "me", Outcome([event_id]), now_us=START_US + 501, until_us=0)
    assert meta.engine.get_queue(receiver).failures == 0


def test_an_event_goes_with_the_last_that_had_it(meta: Metadata, receiver: str) -> None:
    other = meta.engine.create_subscription(subscription("two"), None).arn
    (event_id,) = publish(meta, "a")
    for arn in (receiver, other):
        assert len(meta.rows("events")) == 1
        taken = claim(meta)
        assert taken.queue.subscription.arn == arn
        meta.engine.record_outcome(arn, "me", Outcome(given_up=[event_id]), now_us=START_US, until_us=0)
    assert meta.rows("events") == meta.rows("deliveries") == []
    assert meta.engine.get_queue(receiver).dropped == 1


def test_dropping_what_waits(meta: Metadata, receiver: str) -> None:
    publish(meta, "a", "b")
    assert meta.engine.drop_waiting(receiver) == 2
    queue = meta.engine.get_queue(receiver)
    assert (queue.waiting, queue.dropped) == (0, 2)
    assert [found.subscription.arn for found in meta.engine.list_queues()] == [receiver]


def test_numbers_of_events_never_come_back(meta: Metadata, receiver: str) -> None:
    first = publish(meta, "a", "b")
    meta.engine.drop_waiting(receiver)
    assert publish(meta, "c")[0] > max(first)
