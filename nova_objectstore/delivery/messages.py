"""What an endpoint gets: S3's record as it is, or SNS's envelope around it (AWS: "HTTP/HTTPS notification JSON format").

Messages are not signed: SNS's signatures are verified with a certificate of AWS's. An endpoint that must know who sends
takes a user and a password in its URL, over https.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from nova_objectstore.delivery.ports import EventKind, Subscription, Waiting, push_arn
from nova_objectstore.domain.notifications import iso_millis, with_sequencer

RAW_DELIVERY = "RawMessageDelivery"
BASE_URL = "nova:base-url"  # an attribute of our own: where the API was when the subscription was made
S3_SUBJECT = "Amazon S3 Notification"
API_VERSION = "2010-03-31"


class Outgoing(NamedTuple):
    """A message as it is sent. ``id`` is the same however often it is."""

    id: str
    body: bytes
    headers: Mapping[str, str]


def is_push(subscription: Subscription) -> bool:
    """Whether it is the topic's own push-endpoint."""
    return subscription.arn == push_arn(subscription.topic_arn)


def compose(subscription: Subscription, waiting: Waiting) -> Outgoing:
    """The message of an event for one subscription."""
    message_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{subscription.arn}/{waiting.event_id}"))
    if waiting.kind is EventKind.CONFIRMATION:
        return _confirmation(subscription, waiting, message_id)
    subject, text = S3_SUBJECT, waiting.body
    if waiting.kind is EventKind.RECORD:
        text = with_sequencer(waiting.body, waiting.event_id)
    else:
        published = json.loads(waiting.body)
        subject, text = published["Subject"], published["Message"]
    if is_push(subscription):
        return Outgoing(message_id, text.encode(), {"Content-Type": "application/json"})
    if subscription.attributes.get(RAW_DELIVERY) == "true":
        headers = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-rawdelivery": "true"}
        return Outgoing(message_id, text.encode(), {**headers, **_headers(subscription, "Notification", message_id)})
    envelope = {
        "Type": "Notification",
        "MessageId": message_id,
        "TopicArn": subscription.topic_arn,
        **({"Subject": subject} if subject else {}),
        "Message": text,
        "Timestamp": iso_millis(waiting.created_us),
    }
    base_url = subscription.attributes.get(BASE_URL)
    if base_url:
        envelope["UnsubscribeURL"] = _url(base_url, Action="Unsubscribe", SubscriptionArn=subscription.arn)
    return _enveloped(subscription, "Notification", message_id, envelope)


def _confirmation(subscription: Subscription, waiting: Waiting, message_id: str) -> Outgoing:
    base_url = subscription.attributes.get(BASE_URL, "")
    token = subscription.token
    envelope = {
        "Type": "SubscriptionConfirmation",
        "MessageId": message_id,
        "Token": token,
        "TopicArn": subscription.topic_arn,
        "Message": f"You have chosen to subscribe to the topic {subscription.topic_arn}.\n"
        "To confirm the subscription, visit the SubscribeURL included in this message.",
        "SubscribeURL": _url(base_url, Action="ConfirmSubscription", TopicArn=subscription.topic_arn, Token=token),
        "Timestamp": iso_millis(waiting.created_us),
    }
    return _enveloped(subscription, "SubscriptionConfirmation", message_id, envelope)


def _enveloped(subscription: Subscription, kind: str, message_id: str, envelope: Mapping[str, str]) -> Outgoing:
    headers = {"Content-Type": "text/plain; charset=UTF-8", **_headers(subscription, kind, message_id)}
    return Outgoing(message_id, json.dumps(envelope).encode(), headers)


def _headers(subscription: Subscription, kind: str, message_id: str) -> Mapping[str, str]:
    return {
        "x-amz-sns-message-type": kind,
        "x-amz-sns-message-id": message_id,
        "x-amz-sns-topic-arn": subscription.topic_arn,
        "x-amz-sns-subscription-arn": subscription.arn,
    }


def _url(base_url: str, **parameters: str) -> str:
    return f"{base_url}/?{urlencode({**parameters, 'Version': API_VERSION})}"
