"""What the rules of delivery need of a metadata engine: topics, their subscriptions, and events that wait for delivery.

Laws, for every engine (``tests/nova_objectstore/meta/test_meta_delivery.py``):

- Events are written in the transaction of the change that they tell of: both are there, or neither is.
- An event is written once, and waits once for each subscription that its topic has then and that is confirmed. It is gone
  with the last of them.
- Events are numbered in the order in which they are committed for a key; a number never comes back.
- A subscription for which ``waiting_max`` events wait gets no more: they are counted as dropped.
- One worker at a time delivers for a subscription: who holds its lease.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from nova_objectstore.delivery.limits import QUEUE_EVENTS_MAX


class Effect(enum.Enum):
    """What a change did to an object."""

    WRITTEN = "written"  # a new version is current
    REMOVED = "removed"  # a version, or a marker, is gone for good
    HIDDEN = "hidden"  # a delete marker was made
    CHANGED = "changed"  # of a version that stays: its tags, its ACL, where its bytes lie


class Change(NamedTuple):
    """What happened to one key. ``size`` is None where there are no bytes left to tell of."""

    effect: Effect
    key: str
    version_id: str | None
    size: int | None = None
    etag: str = ""


class EventKind(enum.StrEnum):
    """What an event's body is, which says how it is sent."""

    RECORD = "record"  # S3's event record, without its sequencer
    MESSAGE = "message"  # a JSON object of Message and Subject, as published
    CONFIRMATION = "confirmation"  # a JSON object: a subscription is to be confirmed


class Event(NamedTuple):
    """Something to be told to a topic's subscribers. ``lane``: events of the same one are delivered in order."""

    topic_arn: str
    lane: str
    name: str  # s3:ObjectCreated:Put
    body: str
    created_us: int
    kind: EventKind = EventKind.RECORD
    waiting_max: int = QUEUE_EVENTS_MAX


class Announcement(Protocol):
    """What is to be told of a change, if it happens: handed to a verb, asked inside its transaction. It has no effects."""

    def events(self, change: Change) -> Sequence[Event]:
        """The events of a change, none when nobody wants to hear of it."""
        ...


class Topic(NamedTuple):
    """A topic. ``attributes`` are those that were set, by SNS's names."""

    arn: str
    owner_id: str
    name: str
    created_us: int
    attributes: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}


class Subscription(NamedTuple):
    """Where a topic's events go. ``token`` is empty when it was confirmed.

    The endpoint of a topic's ``push-endpoint`` is one too, whose ARN ends in ``:push-endpoint``.
    """

    arn: str
    topic_arn: str
    owner_id: str
    protocol: str  # http | https | amqp | amqps
    endpoint: str
    created_us: int
    token: str = ""
    attributes: Mapping[str, str] = {}


def push_arn(topic_arn: str) -> str:
    """The ARN of the subscription that a topic's push-endpoint is."""
    return f"{topic_arn}:push-endpoint"


class Queue(NamedTuple):
    """A subscription with the state of its deliveries. Counts are of events; times are 0 where nothing happened yet."""

    subscription: Subscription
    waiting: int
    delivered: int
    dropped: int
    failures: int  # in a row
    retry_at_us: int
    last_error: str
    last_error_us: int
    last_delivered_us: int


class Waiting(NamedTuple):
    """An event that waits for one subscription."""

    event_id: int
    lane: str
    name: str
    body: str
    created_us: int
    kind: EventKind


class DeliveryClaim(NamedTuple):
    """A subscription leased to one worker."""

    queue: Queue
    lease: str


class Outcome(NamedTuple):
    """What became of a turn: the events that were delivered, those that were given up, and why it ended, if it failed."""

    delivered: Sequence[int] = ()
    given_up: Sequence[int] = ()
    error: str = ""
    retry_at_us: int = 0


class DeliveryStore(Protocol):
    """The verbs. Each is one transaction."""

    # -- topics --------------------------------------------------------------------------------------------------------

    def create_topic(self, topic: Topic, push: Subscription | None) -> Topic:
        """Add a topic with the subscription of its push-endpoint, or answer the one of that ARN as it is.

        Raises TopicLimitExceeded.
        """
        ...

    def get_topic(self, topic_arn: str) -> Topic:
        """The topic of that ARN. Raises NoSuchTopic."""
        ...

    def list_topics(self, owner_id: str, *, after: str = "", limit: int = 100) -> Sequence[Topic]:
        """An account's topics by ARN, behind ``after``."""
        ...

    def update_topic(
        self, topic_arn: str, *, attributes: Mapping[str, str], tags: Mapping[str, str], push: Subscription | None
    ) -> None:
        """Replace attributes, tags and the subscription of the push-endpoint (None: it has none). Raises NoSuchTopic.

        A push-endpoint that stays as it is keeps its queue.
        """
        ...

    def delete_topic(self, topic_arn: str) -> None:
        """Remove a topic, its subscriptions and what waits for them; nothing when there is none."""
        ...

    # -- subscriptions -------------------------------------------------------------------------------------------------

    def create_subscription(self, subscription: Subscription, confirmation: Event | None) -> Subscription:
        """Add a subscription, or answer the one that the topic has for that protocol and endpoint already.

        ``confirmation`` waits for the new one alone. Raises NoSuchTopic, TopicLimitExceeded.
        """
        ...

    def get_subscription(self, subscription_arn: str) -> Subscription:
        """The subscription of that ARN. Raises NoSuchSubscription."""
        ...

    def list_subscriptions(self, owner_id: str, *, after: str = "", limit: int = 100) -> Sequence[Subscription]:
        """An account's subscriptions by ARN, behind ``after``."""
        ...

    def list_subscriptions_of(self, topic_arn: str, *, after: str = "", limit: int = 100) -> Sequence[Subscription]:
        """A topic's subscriptions by ARN, behind ``after``."""
        ...

    def confirm_subscription(self, topic_arn: str, token: str) -> Subscription:
        """Confirm the subscription that waits for this token. Raises InvalidSubscriptionToken."""
        ...

    def set_subscription_attributes(self, subscription_arn: str, attributes: Mapping[str, str]) -> None:
        """Replace its attributes. Raises NoSuchSubscription."""
        ...

    def delete_subscription(self, subscription_arn: str) -> None:
        """Remove a subscription and what waits for it; nothing when there is none."""
        ...

    # -- events --------------------------------------------------------------------------------------------------------

    def publish_event(self, event: Event) -> int:
        """Queue an event for its topic's subscribers; its number, 0 when there are none."""
        ...

    def is_delivery_due(self, *, now_us: int) -> bool:
        """Whether ``claim_delivery`` would find one: a read."""
        ...

    def claim_delivery(self, lease: str, *, now_us: int, until_us: int) -> DeliveryClaim | None:
        """Lease a subscription for which something waits, whose pause is over and that nobody holds; None without one."""
        ...

    def list_waiting(self, subscription_arn: str, *, after: int = 0, limit: int = 100) -> Sequence[Waiting]:
        """What waits for a subscription, by number, behind ``after``."""
        ...

    def record_outcome(
        self, subscription_arn: str, lease: str, outcome: Outcome, *, now_us: int, until_us: int
    ) -> None:
        """Take what was delivered and given up out of the queue, note how it went, hold the lease until ``until_us``.

        ``until_us`` 0 gives the lease back. Raises DeliveryChanged.
        """
        ...

    # -- the administrator's -------------------------------------------------------------------------------------------

    def list_queues(self, *, after: str = "", limit: int = 100) -> Sequence[Queue]:
        """All subscriptions of all accounts with the state of their deliveries, by ARN, behind ``after``."""
        ...

    def get_queue(self, subscription_arn: str) -> Queue:
        """One of them. Raises NoSuchSubscription."""
        ...

    def retry_delivery(self, subscription_arn: str) -> None:
        """End the pause after a failure. Raises NoSuchSubscription."""
        ...

    def drop_waiting(self, subscription_arn: str) -> int:
        """Drop everything that waits for a subscription; answer how many. Raises NoSuchSubscription."""
        ...

    def forget_pending(self, *, before_us: int) -> int:
        """Remove subscriptions that were made before that time and never confirmed; answer how many."""
        ...
