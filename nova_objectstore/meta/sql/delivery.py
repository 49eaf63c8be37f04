"""Topics, subscriptions and events that wait for delivery: the verbs of ``delivery.ports.DeliveryStore``."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

from nova_objectstore.delivery.errors import (
    DeliveryChanged,
    InvalidSubscriptionToken,
    NoSuchSubscription,
    NoSuchTopic,
    TopicLimitExceeded,
)
from nova_objectstore.delivery.limits import SUBSCRIPTIONS_PER_TOPIC_MAX, TOPICS_PER_ACCOUNT_MAX
from nova_objectstore.delivery.ports import (
    DeliveryClaim,
    Event,
    EventKind,
    Outcome,
    Queue,
    Subscription,
    Topic,
    Waiting,
    push_arn,
)
from nova_objectstore.meta.sql.rows import Row, decode_mapping, encode_mapping
from nova_objectstore.meta.sql.statements import delivery as q
from nova_objectstore.meta.sql.statements.leases import FAR_US
from nova_objectstore.meta.sql.transaction import Transaction

_DROPPED_AT_ONCE = 1000  # rows: a queue may have a hundred thousand

# -- rows --------------------------------------------------------------------------------------------------------------


def _topic(row: Row) -> Topic:
    arn, owner_id, name, created_us, attributes, tags = row
    return Topic(arn, owner_id, name, created_us, decode_mapping(attributes), decode_mapping(tags))


def _subscription(row: Row) -> Subscription:
    arn, topic_arn, owner_id, protocol, endpoint, created_us, token, attributes = row[:8]
    return Subscription(arn, topic_arn, owner_id, protocol, endpoint, created_us, token, decode_mapping(attributes))


def _queue(row: Row) -> Queue:
    return Queue(_subscription(row), *row[8:])


def _insert(tx: Transaction, subscription: Subscription) -> None:
    tx.run(q.insert_subscription, *subscription[:7], encode_mapping(subscription.attributes))


# -- topics ------------------------------------------------------------------------------------------------------------


def create_topic(tx: Transaction, topic: Topic, push: Subscription | None) -> Topic:
    """Add a topic, or answer the one of that ARN as it is."""
    row = tx.one(q.find_topic, topic.arn)
    if row is not None:
        return _topic(row)
    counted = tx.one(q.count_topics, topic.owner_id)
    if counted is not None and counted[0] >= TOPICS_PER_ACCOUNT_MAX:
        raise TopicLimitExceeded(owner_id=topic.owner_id)
    tx.run(q.insert_topic, *topic[:4], encode_mapping(topic.attributes), encode_mapping(topic.tags))
    if push is not None:
        _insert(tx, push)
    return topic


def get_topic(tx: Transaction, topic_arn: str) -> Topic:
    """The topic of that ARN."""
    row = tx.one(q.find_topic, topic_arn)
    if row is None:
        raise NoSuchTopic(topic_arn=topic_arn)
    return _topic(row)


def list_topics(tx: Transaction, owner_id: str, *, after: str = "", limit: int = 100) -> Sequence[Topic]:
    """An account's topics by ARN."""
    return [_topic(row) for row in tx.all(q.list_topics, owner_id, after, limit)]


def update_topic(
    tx: Transaction,
    topic_arn: str,
    *,
    attributes: Mapping[str, str],
    tags: Mapping[str, str],
    push: Subscription | None,
) -> None:
    """Replace what was set of a topic."""
    get_topic(tx, topic_arn)
    tx.run(q.set_topic, topic_arn, encode_mapping(attributes), encode_mapping(tags))
    arn = push_arn(topic_arn)
    row = tx.one(q.find_subscription, arn)
    if push is None:
        if row is not None:
            _remove(tx, arn)
    elif row is None:
        _insert(tx, push)
    else:
        tx.run(q.set_subscription, arn, push.protocol, push.endpoint, encode_mapping(push.attributes))


def delete_topic(tx: Transaction, topic_arn: str) -> None:
    """Remove a topic, its subscriptions and what waits for them."""
    if tx.one(q.find_topic, topic_arn) is None:
        return
    for subscription in list_subscriptions_of(tx, topic_arn, limit=2 * SUBSCRIPTIONS_PER_TOPIC_MAX):
        _remove(tx, subscription.arn)
    tx.run(q.delete_topic_row, topic_arn)


def forget_owner(tx: Transaction, owner_id: str) -> None:
    """The account goes: remove its topics, and its subscriptions to others'."""
    while topics := list_topics(tx, owner_id):
        for topic in topics:
            delete_topic(tx, topic.arn)
    while subscriptions := list_subscriptions(tx, owner_id):
        for subscription in subscriptions:
            _remove(tx, subscription.arn)


# -- subscriptions -------------------------------------------------------------------------------------------------------


def create_subscription(tx: Transaction, subscription: Subscription, confirmation: Event | None) -> Subscription:
    """Add a subscription, or answer the topic's one of that protocol and endpoint."""
    get_topic(tx, subscription.topic_arn)
    others = list_subscriptions_of(tx, subscription.topic_arn, limit=SUBSCRIPTIONS_PER_TOPIC_MAX + 1)
    for other in others:
        if (other.protocol, other.endpoint, other.owner_id) == (
            subscription.protocol,
            subscription.endpoint,
            subscription.owner_id,
        ):
            return other
    if len(others) >= SUBSCRIPTIONS_PER_TOPIC_MAX:
        raise TopicLimitExceeded(topic_arn=subscription.topic_arn)
    _insert(tx, subscription)
    if confirmation is not None:
        _queue_event(tx, confirmation, [subscription.arn])
    return subscription


def get_subscription(tx: Transaction, subscription_arn: str) -> Subscription:
    """The subscription of that ARN."""
    row = tx.one(q.find_subscription, subscription_arn)
    if row is None:
        raise NoSuchSubscription(subscription_arn=subscription_arn)
    return _subscription(row)


def list_subscriptions(tx: Transaction, owner_id: str, *, after: str = "", limit: int = 100) -> Sequence[Subscription]:
    """An account's subscriptions by ARN."""
    return [_subscription(row) for row in tx.all(q.list_subscriptions, owner_id, after, limit)]


def list_subscriptions_of(
    tx: Transaction, topic_arn: str, *, after: str = "", limit: int = 100
) -> Sequence[Subscription]:
    """A topic's subscriptions by ARN."""
    return [_subscription(row) for row in tx.all(q.list_subscriptions_of, topic_arn, after, limit)]


def confirm_subscription(tx: Transaction, topic_arn: str, token: str) -> Subscription:
    """Confirm the subscription that waits for this token."""
    for subscription in list_subscriptions_of(tx, topic_arn, limit=2 * SUBSCRIPTIONS_PER_TOPIC_MAX):
        if token and hmac.compare_digest(subscription.token.encode(), token.encode()):
            tx.run(q.set_subscription_confirmed, subscription.arn)
            return subscription._replace(token="")
    raise InvalidSubscriptionToken("Invalid token")


def set_subscription_attributes(tx: Transaction, subscription_arn: str, attributes: Mapping[str, str]) -> None:
    """Replace its attributes."""
    found = get_subscription(tx, subscription_arn)
    tx.run(q.set_subscription, found.arn, found.protocol, found.endpoint, encode_mapping(attributes))


def delete_subscription(tx: Transaction, subscription_arn: str) -> None:
    """Remove a subscription and what waits for it."""
    if tx.one(q.find_subscription, subscription_arn) is not None:
        _remove(tx, subscription_arn)


def _remove(tx: Transaction, subscription_arn: str) -> None:
    _empty(tx, subscription_arn)
    tx.run(q.delete_subscription_row, subscription_arn)


def _empty(tx: Transaction, subscription_arn: str) -> int:
    """Take everything out of a subscription's queue; how many there were. Its counts are left to the caller."""
    count = 0
    while rows := tx.all(q.list_waiting_ids, subscription_arn, _DROPPED_AT_ONCE):
        for (event_id,) in rows:
            _take(tx, subscription_arn, event_id)
        count += len(rows)
    return count


def forget_pending(tx: Transaction, *, before_us: int) -> int:
    """Remove subscriptions that nobody confirmed."""
    gone = tx.all(q.list_pending_subscriptions, before_us)
    for (arn,) in gone:
        _remove(tx, arn)
    return len(gone)


# -- events ------------------------------------------------------------------------------------------------------------


def publish_event(tx: Transaction, event: Event) -> int:
    """Queue an event for its topic's subscribers; its number, 0 when there are none."""
    receivers = []
    for arn, waiting in tx.all(q.list_receivers, event.topic_arn):
        if waiting >= event.waiting_max:
            tx.run(q.add_dropped, arn, 1)
        else:
            receivers.append(arn)
    return _queue_event(tx, event, receivers) if receivers else 0


def _queue_event(tx: Transaction, event: Event, receivers: Sequence[str]) -> int:
    event_id = tx.insert(q.insert_event, event.lane, event.name, event.body, event.created_us, str(event.kind))
    for arn in receivers:
        tx.run(q.insert_delivery, arn, event_id)
        tx.run(q.add_waiting, arn, 1)
    return event_id


def is_delivery_due(tx: Transaction, *, now_us: int) -> bool:
    """Whether something waits that nobody delivers."""
    return tx.one(q.find_due_subscription, now_us, now_us + FAR_US) is not None


def claim_delivery(tx: Transaction, lease: str, *, now_us: int, until_us: int) -> DeliveryClaim | None:
    """Lease a subscription for which something waits."""
    row = tx.one(q.find_due_subscription, now_us, until_us + FAR_US)
    if row is None:
        return None
    tx.run(q.lease_subscription, row[0], lease, until_us)
    return DeliveryClaim(_queue(row), lease)


def list_waiting(tx: Transaction, subscription_arn: str, *, after: int = 0, limit: int = 100) -> Sequence[Waiting]:
    """What waits for a subscription."""
    rows = tx.all(q.list_waiting, subscription_arn, after, limit)
    return [
        Waiting(event_id, lane, name, body, created_us, EventKind(kind))
        for event_id, lane, name, body, created_us, kind in rows
    ]


def record_outcome(
    tx: Transaction, subscription_arn: str, lease: str, outcome: Outcome, *, now_us: int, until_us: int
) -> None:
    """Take what was delivered and given up out of the queue, and note how it went."""
    row = tx.one(q.read_subscription_lease, subscription_arn)
    if row is None or row[0] != lease:
        raise DeliveryChanged(subscription_arn=subscription_arn)
    # Who dropped what waits meanwhile (the administrator) has counted it.
    delivered = sum(_take(tx, subscription_arn, event_id) for event_id in outcome.delivered)
    given_up = sum(_take(tx, subscription_arn, event_id) for event_id in outcome.given_up)
    if delivered or given_up:
        last_us = now_us if delivered else get_queue(tx, subscription_arn).last_delivered_us
        tx.run(q.add_outcome, subscription_arn, delivered, given_up, last_us)
    if outcome.error:
        tx.run(q.set_failed, subscription_arn, outcome.retry_at_us, outcome.error, now_us)
    else:
        tx.run(q.set_recovered, subscription_arn, now_us)  # who was served last is served last
    tx.run(q.lease_subscription, subscription_arn, lease if until_us else "", until_us)


def _take(tx: Transaction, subscription_arn: str, event_id: int) -> int:
    """One event out of one queue, and away altogether with the last; how many rows that were."""
    taken = tx.run(q.delete_delivery, subscription_arn, event_id)
    if taken and tx.one(q.find_any_delivery_of, event_id) is None:
        tx.run(q.delete_event, event_id)
    return taken


# -- the administrator's -----------------------------------------------------------------------------------------------


def list_queues(tx: Transaction, *, after: str = "", limit: int = 100) -> Sequence[Queue]:
    """All subscriptions with the state of their deliveries."""
    return [_queue(row) for row in tx.all(q.list_queues, after, limit)]


def get_queue(tx: Transaction, subscription_arn: str) -> Queue:
    """One of them."""
    row = tx.one(q.find_queue, subscription_arn)
    if row is None:
        raise NoSuchSubscription(subscription_arn=subscription_arn)
    return _queue(row)


def retry_delivery(tx: Transaction, subscription_arn: str) -> None:
    """End the pause after a failure."""
    get_queue(tx, subscription_arn)
    tx.run(q.set_recovered, subscription_arn, 0)


def drop_waiting(tx: Transaction, subscription_arn: str) -> int:
    """Drop everything that waits for a subscription."""
    last_us = get_queue(tx, subscription_arn).last_delivered_us
    count = _empty(tx, subscription_arn)
    tx.run(q.add_outcome, subscription_arn, 0, count, last_us)
    return count
