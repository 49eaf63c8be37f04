"""Statements of topics, subscriptions, and events that wait for delivery."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement, statement_of
from nova_objectstore.meta.sql.statements.leases import is_lease_over

TOPIC_COLUMNS = ("arn", "owner_id", "name", "created_us", "attributes", "tags")
SUBSCRIPTION_COLUMNS = (
    "arn", "topic_arn", "owner_id", "protocol", "endpoint", "created_us", "token", "attributes",
)  # fmt: skip
QUEUE_COLUMNS = (
    *SUBSCRIPTION_COLUMNS, "waiting", "delivered", "dropped", "failures", "retry_at_us", "last_error", "last_error_us",
    "last_delivered_us",
)  # fmt: skip


def _topic() -> list[Core]:
    return [t.topics.c[name] for name in TOPIC_COLUMNS]


def _subscription() -> list[Core]:
    return [t.subscriptions.c[name] for name in SUBSCRIPTION_COLUMNS]


def _queue() -> list[Core]:
    return [t.subscriptions.c[name] for name in QUEUE_COLUMNS]


# -- topics ----------------------------------------------------------------------------------------------------------


@statement_of(TOPIC_COLUMNS)
def insert_topic(values: dict[str, Param]) -> Core:
    return sa.insert(t.topics).values(**values)


@statement
def find_topic(arn: Param) -> Core:
    return sa.select(*_topic()).where(t.topics.c.arn == arn)


@statement
def list_topics(owner_id: Param, after: Param, limit: Param) -> Core:
    topics = t.topics.c
    return sa.select(*_topic()).where(topics.owner_id == owner_id, topics.arn > after).order_by(topics.arn).limit(limit)


@statement
def count_topics(owner_id: Param) -> Core:
    return sa.select(sa.func.count()).select_from(t.topics).where(t.topics.c.owner_id == owner_id)


@statement
def set_topic(arn: Param, attributes: Param, tags: Param) -> Core:
    return sa.update(t.topics).where(t.topics.c.arn == arn).values(attributes=attributes, tags=tags)


@statement
def delete_topic_row(arn: Param) -> Core:
    return sa.delete(t.topics).where(t.topics.c.arn == arn)


# -- subscriptions ---------------------------------------------------------------------------------------------------


@statement_of(SUBSCRIPTION_COLUMNS)
def insert_subscription(values: dict[str, Param]) -> Core:
    return sa.insert(t.subscriptions).values(
        **values,
        waiting=0,
        delivered=0,
        dropped=0,
        failures=0,
        retry_at_us=0,
        last_error="",
        last_error_us=0,
        last_delivered_us=0,
        lease="",
        lease_until_us=0,
    )


@statement
def find_subscription(arn: Param) -> Core:
    return sa.select(*_subscription()).where(t.subscriptions.c.arn == arn)


@statement
def find_queue(arn: Param) -> Core:
    return sa.select(*_queue()).where(t.subscriptions.c.arn == arn)


@statement
def list_subscriptions(owner_id: Param, after: Param, limit: Param) -> Core:
    subscriptions = t.subscriptions.c
    return (
        sa.select(*_subscription())
        .where(subscriptions.owner_id == owner_id, subscriptions.arn > after)
        .order_by(subscriptions.arn)
        .limit(limit)
    )


@statement
def list_subscriptions_of(topic_arn: Param, after: Param, limit: Param) -> Core:
    subscriptions = t.subscriptions.c
    return (
        sa.select(*_subscription())
        .where(subscriptions.topic_arn == topic_arn, subscriptions.arn > after)
        .order_by(subscriptions.arn)
        .limit(limit)
    )


@statement
def list_queues(after: Param, limit: Param) -> Core:
    subscriptions = t.subscriptions.c
    return sa.select(*_queue()).where(subscriptions.arn > after).order_by(subscriptions.arn).limit(limit)


@statement
def list_pending_subscriptions(before_us: Param) -> Core:
    subscriptions = t.subscriptions.c
    return sa.select(subscriptions.arn).where(t.SUBSCRIPTION_IS_PENDING, subscriptions.created_us < before_us)


@statement
def set_subscription(arn: Param, protocol: Param, endpoint: Param, attributes: Param) -> Core:
    return (
        sa.update(t.subscriptions)
        .where(t.subscriptions.c.arn == arn)
        .values(protocol=protocol, endpoint=endpoint, attributes=attributes)
    )


@statement
def set_subscription_confirmed(arn: Param) -> Core:
    return sa.update(t.subscriptions).where(t.subscriptions.c.arn == arn).values(token="")


@statement
def delete_subscription_row(arn: Param) -> Core:
    return sa.delete(t.subscriptions).where(t.subscriptions.c.arn == arn)


# -- events ----------------------------------------------------------------------------------------------------------


@statement
def list_receivers(topic_arn: Param) -> Core:
    subscriptions = t.subscriptions.c
    return (
        sa.select(subscriptions.arn, subscriptions.waiting)
        .where(subscriptions.topic_arn == topic_arn, sa.literal_column("token = ''"))
        .order_by(subscriptions.arn)
    )


@statement
def insert_event(lane: Param, name: Param, body: Param, created_us: Param, kind: Param) -> Core:
    return sa.insert(t.events).values(lane=lane, name=name, body=body, created_us=created_us, kind=kind)


@statement
def insert_delivery(subscription_arn: Param, event_id: Param) -> Core:
    return sa.insert(t.deliveries).values(subscription_arn=subscription_arn, event_id=event_id)


@statement
def add_waiting(arn: Param, count: Param) -> Core:
    subscriptions = t.subscriptions
    return sa.update(subscriptions).where(subscriptions.c.arn == arn).values(waiting=subscriptions.c.waiting + count)


@statement
def add_dropped(arn: Param, count: Param) -> Core:
    subscriptions = t.subscriptions
    return sa.update(subscriptions).where(subscriptions.c.arn == arn).values(dropped=subscriptions.c.dropped + count)


@statement
def find_due_subscription(now_us: Param, far_us: Param) -> Core:
    subscriptions = t.subscriptions.c
    is_free = is_lease_over(subscriptions.lease_until_us, now_us, far_us)
    return (
        sa.select(*_queue())
        .where(t.SUBSCRIPTION_IS_DUE, subscriptions.retry_at_us <= now_us, is_free)
        .order_by(subscriptions.retry_at_us, subscriptions.arn)
        .limit(1)
    )


@statement
def lease_subscription(arn: Param, lease: Param, until_us: Param) -> Core:
    return sa.update(t.subscriptions).where(t.subscriptions.c.arn == arn).values(lease=lease, lease_until_us=until_us)


@statement
def read_subscription_lease(arn: Param) -> Core:
    return sa.select(t.subscriptions.c.lease).where(t.subscriptions.c.arn == arn)


@statement
def list_waiting(subscription_arn: Param, after: Param, limit: Param) -> Core:
    deliveries, events = t.deliveries.c, t.events.c
    return (
        sa.select(events.id, events.lane, events.name, events.body, events.created_us, events.kind)
        .select_from(t.deliveries.join(t.events, events.id == deliveries.event_id))
        .where(deliveries.subscription_arn == subscription_arn, deliveries.event_id > after)
        .order_by(deliveries.event_id)
        .limit(limit)
    )


@statement
def list_waiting_ids(subscription_arn: Param, limit: Param) -> Core:
    deliveries = t.deliveries.c
    return (
        sa.select(deliveries.event_id)
        .where(deliveries.subscription_arn == subscription_arn)
        .order_by(deliveries.event_id)
        .limit(limit)
    )


@statement
def delete_delivery(subscription_arn: Param, event_id: Param) -> Core:
    deliveries = t.deliveries
    return sa.delete(deliveries).where(
        deliveries.c.subscription_arn == subscription_arn, deliveries.c.event_id == event_id
    )


@statement
def find_any_delivery_of(event_id: Param) -> Core:
    return sa.select(t.deliveries.c.event_id).where(t.deliveries.c.event_id == event_id).limit(1)


@statement
def delete_event(event_id: Param) -> Core:
    return sa.delete(t.events).where(t.events.c.id == event_id)


@statement
def add_outcome(arn: Param, delivered: Param, dropped: Param, last_delivered_us: Param) -> Core:
    subscriptions = t.subscriptions
    columns = subscriptions.c
    return (
        sa.update(subscriptions)
        .where(columns.arn == arn)
        .values(
            waiting=columns.waiting - delivered - dropped,
            delivered=columns.delivered + delivered,
            dropped=columns.dropped + dropped,
            last_delivered_us=last_delivered_us,
        )
    )


@statement
def set_failed(arn: Param, retry_at_us: Param, last_error: Param, last_error_us: Param) -> Core:
    subscriptions = t.subscriptions
    return (
        sa.update(subscriptions)
        .where(subscriptions.c.arn == arn)
        .values(
            failures=subscriptions.c.failures + 1,
            retry_at_us=retry_at_us,
            last_error=last_error,
            last_error_us=last_error_us,
        )
    )


@statement
def set_recovered(arn: Param, retry_at_us: Param) -> Core:
    return sa.update(t.subscriptions).where(t.subscriptions.c.arn == arn).values(failures=0, retry_at_us=retry_at_us)
