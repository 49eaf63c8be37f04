"""Topics and subscriptions: the rules (AWS SNS).

Laws:

- A topic is its account's. Others need its policy; so does S3, whose events are published by ``s3.amazonaws.com`` with
  aws:SourceArn and aws:SourceAccount of the bucket.
- A topic without a policy of its own has the default one: its account, and the buckets of its account.
- A topic delivers to its subscriptions (http, https), once their endpoint has confirmed that it wants them, and to its
  ``push-endpoint``: a webhook, or an exchange of a broker, that whoever may configure the topic has named (as Ceph has it).
"""

from __future__ import annotations

import json
import re
import secrets
import uuid
from collections.abc import Callable, Mapping
from typing import NamedTuple

from nova_objectstore.delivery.endpoints import BROKERS, WEBHOOKS, read_endpoint
from nova_objectstore.delivery.errors import InvalidTopicParameter, NoSuchTopic
from nova_objectstore.delivery.limits import (
    MESSAGE_BYTES_MAX,
    SUBJECT_CHARS_MAX,
    TOPIC_NAME_CHARS_MAX,
    TOPIC_POLICY_BYTES_MAX,
    TOPIC_TAGS_MAX,
)
from nova_objectstore.delivery.messages import BASE_URL, RAW_DELIVERY
from nova_objectstore.delivery.ports import DeliveryStore, Event, EventKind, Subscription, Topic, push_arn
from nova_objectstore.domain.access import Access
from nova_objectstore.domain.access_context import Context, StoredContext
from nova_objectstore.domain.notifications import render_test_event
from nova_objectstore.domain.policy.document import Kind, Policy, parse_policy
from nova_objectstore.errors import AccessDenied, InvalidArgument, MalformedPolicy, NoSuchKey
from nova_objectstore.limits import TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX
from nova_objectstore.types import Bucket, Principal, Version

EVENTS_SERVICE = Principal(service="s3.amazonaws.com")
PUBLISH_ACTION = "sns:Publish"

PUSH_ENDPOINT, VERIFY_TLS = "push-endpoint", "verify-ssl"
AMQP_EXCHANGE, AMQP_ACK_LEVEL = "amqp-exchange", "amqp-ack-level"
ACK_LEVELS = ("broker", "routable")  # kept by the broker; and taken by a queue
_PUSH_ATTRIBUTES = (PUSH_ENDPOINT, VERIFY_TLS, AMQP_EXCHANGE, AMQP_ACK_LEVEL)
TOPIC_ATTRIBUTES = frozenset(("DisplayName", "Policy", *_PUSH_ATTRIBUTES))
SUBSCRIPTION_ATTRIBUTES = frozenset((RAW_DELIVERY,))

# What a topic's account may do by the default policy, as SNS writes it.
_OWNER_ACTIONS = [
    f"SNS:{name}"
    for name in ("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission", "DeleteTopic",
                 "Subscribe", "ListSubscriptionsByTopic", "Publish")
]  # fmt: skip

_name = re.compile(rf"[A-Za-z0-9_-]{{1,{TOPIC_NAME_CHARS_MAX}}}").fullmatch
_topic_arn = re.compile(r"arn:aws[a-z-]*:sns:[^:]*:[0-9]{12}:[^:]+").fullmatch


class Message(NamedTuple):
    """What is published to a topic by hand."""

    text: str
    subject: str = ""


class Topics:
    """The rules of topics. ``region``: the store's, part of their ARNs."""

    def __init__(self, store: DeliveryStore, access: Access, *, region: str, now_us: Callable[[], int]) -> None:
        self.store = store
        self._access = access
        self._region = region
        self._now_us = now_us

    # -- who may ---------------------------------------------------------------------------------------------------------

    def check(self, principal: Principal, action: str, topic: Topic, *, context: Context) -> None:
        """Return when ``principal`` may do ``action`` on the topic. Raises AccessDenied."""
        self._access.check_resource(
            principal, action, topic.arn, owner_id=topic.owner_id, policy=policy_of(topic), context=context
        )

    def check_account(self, principal: Principal, action: str, arn: str, *, context: Context) -> None:
        """Return when ``principal`` may do ``action`` in its account. Raises AccessDenied."""
        self._access.check_account(principal, action, arn, context=context)

    def check_destination(self, bucket: Bucket, topic_arn: str) -> None:
        """Return when a bucket's events may be published to a topic. Raises InvalidArgument, which says why not."""
        if not _topic_arn(topic_arn):
            raise _refused(topic_arn, "The ARN is not well formed")
        try:
            topic = self.store.get_topic(topic_arn)
        except NoSuchTopic:
            raise _refused(topic_arn, "The destination topic does not exist") from None
        told = {"aws:sourcearn": f"arn:aws:s3:::{bucket.name}", "aws:sourceaccount": bucket.owner_id}
        try:
            self.check(EVENTS_SERVICE, PUBLISH_ACTION, topic, context=StoredContext(_nothing, told=told))
        except AccessDenied:
            raise _refused(topic_arn, "Permissions on the destination topic do not allow S3 to publish") from None

    # -- topics ------------------------------------------------------------------------------------------------------------

    def arn(self, account_id: str, name: str) -> str:
        """The ARN of a topic. Raises InvalidTopicParameter for what is no name."""
        if not _name(name):
            raise InvalidTopicParameter("Invalid parameter: Topic Name")
        return f"arn:aws:sns:{self._region}:{account_id}:{name}"

    def create(self, owner_id: str, name: str, attributes: Mapping[str, str], tags: Mapping[str, str]) -> Topic:
        """Make a topic, or answer the one there is. Raises InvalidTopicParameter, TopicLimitExceeded."""
        arn = self.arn(owner_id, name)
        check_tags(tags)
        made = Topic(arn, owner_id, name, self._now_us(), check_attributes(attributes), tags)
        found = self.store.create_topic(made, self._push(made))
        if attributes and any(found.attributes.get(key) != value for key, value in made.attributes.items()):
            raise InvalidTopicParameter(
                "Invalid parameter: Attributes Reason: Topic already exists with different attributes"
            )
        return found

    def set_attribute(self, topic: Topic, name: str, value: str) -> None:
        """Set one attribute; an empty value removes it. Raises InvalidTopicParameter, NoSuchTopic."""
        attributes = {**topic.attributes, name: value}
        self._update(topic._replace(attributes=check_attributes(attributes)))

    def set_tags(self, topic: Topic, tags: Mapping[str, str]) -> None:
        """Replace the tags. Raises InvalidTopicParameter, NoSuchTopic."""
        check_tags(tags)
        self._update(topic._replace(tags=tags))

    def _update(self, topic: Topic) -> None:
        self.store.update_topic(topic.arn, attributes=topic.attributes, tags=topic.tags, push=self._push(topic))

    def _push(self, topic: Topic) -> Subscription | None:
        """The subscription that a topic's push-endpoint is."""
        url = topic.attributes.get(PUSH_ENDPOINT)
        if not url:
            return None
        attributes = {name: topic.attributes[name] for name in _PUSH_ATTRIBUTES[1:] if name in topic.attributes}
        scheme = url.partition(":")[0]
        return Subscription(
            push_arn(topic.arn), topic.arn, topic.owner_id, scheme, url, topic.created_us, attributes=attributes
        )

    # -- subscriptions -----------------------------------------------------------------------------------------------------

    def subscribe(
        self, topic: Topic, owner_id: str, protocol: str, url: str, attributes: Mapping[str, str], *, base_url: str
    ) -> Subscription:
        """Subscribe an endpoint, which is asked to confirm it. ``base_url``: where it finds this API.

        Raises InvalidTopicParameter, NoSuchTopic, TopicLimitExceeded.
        """
        if protocol not in WEBHOOKS:
            raise InvalidTopicParameter(f"Invalid parameter: Does not support this protocol string: {protocol}")
        read_endpoint(url, schemes=(protocol,))
        subscription = Subscription(
            f"{topic.arn}:{uuid.uuid4()}",
            topic.arn,
            owner_id,
            protocol,
            url,
            self._now_us(),
            token=secrets.token_hex(64),
            attributes={**check_subscription_attributes(attributes), BASE_URL: base_url},
        )
        event = Event(
            topic.arn, "confirmation", "sns:SubscriptionConfirmation", "{}", self._now_us(), EventKind.CONFIRMATION
        )
        return self.store.create_subscription(subscription, event)

    # -- publishing --------------------------------------------------------------------------------------------------------

    def publish(self, topic_arn: str, message: Message) -> int:
        """Publish a message; its number. Raises InvalidTopicParameter."""
        if not message.text or len(message.text.encode()) > MESSAGE_BYTES_MAX:
            raise InvalidTopicParameter("Invalid parameter: Message")
        if len(message.subject) > SUBJECT_CHARS_MAX or not message.subject.isprintable():
            raise InvalidTopicParameter("Invalid parameter: Subject")
        body = json.dumps({"Message": message.text, "Subject": message.subject})
        event = Event(topic_arn, uuid.uuid4().hex, PUBLISH_ACTION, body, self._now_us(), EventKind.MESSAGE)
        return self.store.publish_event(event)

    def publish_test(self, topic_arn: str, bucket: Bucket, *, request_id: str) -> None:
        """Tell a topic that a bucket's events will come."""
        now_us = self._now_us()
        text = render_test_event(bucket, request_id=request_id, host_id=bucket.region, now_us=now_us)
        body = json.dumps({"Message": text, "Subject": "Amazon S3 Notification"})
        self.store.publish_event(Event(topic_arn, f"{bucket.name}/", "s3:TestEvent", body, now_us, EventKind.MESSAGE))


def _nothing() -> Version:
    raise NoSuchKey


def _refused(topic_arn: str, reason: str) -> InvalidArgument:
    return InvalidArgument(
        "Unable to validate the following destination configurations",
        argument_name=topic_arn,
        argument_value=reason,
    )


# -- policies ----------------------------------------------------------------------------------------------------------


def policy_of(topic: Topic) -> Policy:
    """A topic's policy, compiled; it was checked when it was set."""
    return parse_policy(policy_text(topic), Kind.RESOURCE, size_max=TOPIC_POLICY_BYTES_MAX)


def policy_text(topic: Topic) -> str:
    """A topic's policy, the default one where none was set."""
    return topic.attributes.get("Policy") or json.dumps(
        {
            "Version": "2008-10-17",
            "Id": "__default_policy_ID",
            "Statement": [
                {
                    "Sid": "__default_statement_ID",
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{topic.owner_id}:root"},
                    "Action": _OWNER_ACTIONS,
                    "Resource": topic.arn,
                },
                {
                    "Sid": "__default_events_ID",
                    "Effect": "Allow",
                    "Principal": {"Service": EVENTS_SERVICE.service},
                    "Action": "SNS:Publish",
                    "Resource": topic.arn,
                    "Condition": {"StringEquals": {"aws:SourceAccount": topic.owner_id}},
                },
            ],
        }
    )


# -- what may be set ---------------------------------------------------------------------------------------------------


def check_attributes(attributes: Mapping[str, str]) -> Mapping[str, str]:
    """The attributes of a topic without the empty ones. Raises InvalidTopicParameter for what is not offered."""
    kept = {name: value for name, value in attributes.items() if value}
    unknown = kept.keys() - TOPIC_ATTRIBUTES
    if unknown:
        raise InvalidTopicParameter(f"Invalid parameter: AttributeName: {sorted(unknown)[0]} is not offered")
    if len(kept.get("DisplayName", "")) > 100:  # SNS
        raise InvalidTopicParameter("Invalid parameter: DisplayName")
    if "Policy" in kept:
        try:
            parse_policy(kept["Policy"], Kind.RESOURCE, size_max=TOPIC_POLICY_BYTES_MAX)
        except MalformedPolicy as error:
            raise InvalidTopicParameter(f"Invalid parameter: Policy Error: {error.message}") from None
    _check_push(kept)
    return kept


def _check_push(attributes: Mapping[str, str]) -> None:
    url = attributes.get(PUSH_ENDPOINT)
    if url is None:
        return
    endpoint = read_endpoint(url, schemes=(*WEBHOOKS, *BROKERS))
    if endpoint.scheme in BROKERS and not attributes.get(AMQP_EXCHANGE):
        raise InvalidTopicParameter(f"Invalid parameter: {AMQP_EXCHANGE} must be set for a broker")
    if attributes.get(AMQP_ACK_LEVEL, ACK_LEVELS[0]) not in ACK_LEVELS:
        raise InvalidTopicParameter(f"Invalid parameter: {AMQP_ACK_LEVEL} must be {' or '.join(ACK_LEVELS)}")
    if attributes.get(VERIFY_TLS, "true") not in ("true", "false"):
        raise InvalidTopicParameter(f"Invalid parameter: {VERIFY_TLS} must be true or false")


def check_subscription_attributes(attributes: Mapping[str, str]) -> Mapping[str, str]:
    """The attributes of a subscription without the empty ones. Raises InvalidTopicParameter for what is not offered."""
    kept = {name: value for name, value in attributes.items() if value}
    unknown = kept.keys() - SUBSCRIPTION_ATTRIBUTES
    if unknown:
        raise InvalidTopicParameter(f"Invalid parameter: AttributeName: {sorted(unknown)[0]} is not offered")
    if kept.get(RAW_DELIVERY, "true") not in ("true", "false"):
        raise InvalidTopicParameter(f"Invalid parameter: {RAW_DELIVERY} must be true or false")
    return kept


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises InvalidTopicParameter for tags over SNS's limits."""
    if len(tags) > TOPIC_TAGS_MAX or any(
        not 0 < len(key) <= TAG_KEY_CHARS_MAX or len(value) > TAG_VALUE_CHARS_MAX for key, value in tags.items()
    ):
        raise InvalidTopicParameter("Invalid parameter: Tags")
