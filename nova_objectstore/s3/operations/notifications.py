"""Event notifications of buckets: ``?notification``. Destinations are topics, which know where their events go."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Protocol

from nova_objectstore.delivery.limits import CONFIGURATION_ID_CHARS_MAX, CONFIGURATIONS_MAX
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.notifications import (
    NOTIFICATION,
    Configuration,
    Notifications,
    check_overlap,
    expand_events,
)
from nova_objectstore.errors import InvalidArgument, MalformedXML, NotOffered
from nova_objectstore.limits import KEY_BYTES_MAX
from nova_objectstore.s3 import xml
from nova_objectstore.s3.operation import XML, Controller, operation
from nova_objectstore.s3.request import S3Request
from nova_objectstore.s3.xml import document, element
from nova_objectstore.types import Bucket

_ROOT = "NotificationConfiguration"
SKIP_VALIDATION = "x-amz-skip-destination-validation"


class Destinations(Protocol):
    """Knows topics (``delivery.topics.Topics``)."""

    def check_destination(self, bucket: Bucket, topic_arn: str) -> None:
        """Return when a bucket's events may be published to a topic. Raises InvalidArgument."""
        ...

    def publish_test(self, topic_arn: str, bucket: Bucket, *, request_id: str) -> None:
        """Tell a topic that a bucket's events will come."""
        ...


class NotificationController(Controller):
    """Event notifications."""

    def __init__(self, buckets: Buckets, destinations: Destinations) -> None:
        self._buckets = buckets
        self._destinations = destinations

    @operation("GetBucketNotificationConfiguration", "GET /{bucket}?notification", action="s3:GetBucketNotification")
    def get_bucket_notification_configuration(self, req: S3Request) -> str:
        """Answer the configurations; of a bucket that notifies nobody the document is empty."""
        notifications = req.rules.notifications
        found = notifications.configurations if notifications is not None else ()
        return document(_ROOT, *(_render(configuration) for configuration in found))

    @operation(
        "PutBucketNotificationConfiguration",
        "PUT /{bucket}?notification",
        action="s3:PutBucketNotification",
        body=XML,
    )
    def put_bucket_notification_configuration(self, req: S3Request) -> None:
        """Replace the configurations; each topic is asked whether it takes them, and gets an s3:TestEvent."""
        configurations = parse_notifications(req.body)
        if not configurations:
            self._buckets.delete_document(req.bucket, NOTIFICATION)
            return
        check_overlap(configurations)
        topics = tuple(dict.fromkeys(configuration.topic_arn for configuration in configurations))
        is_checked = req.header(SKIP_VALIDATION).lower() != "true"
        for topic_arn in topics if is_checked else ():
            self._destinations.check_destination(req.bucket, topic_arn)
        self._buckets.put_document(req.bucket, NOTIFICATION, Notifications.of(configurations).encode())
        for topic_arn in topics if is_checked else ():
            self._destinations.publish_test(topic_arn, req.bucket, request_id=req.request_id)


def parse_notifications(body: bytes) -> Sequence[Configuration]:
    """The document of PutBucketNotificationConfiguration. Raises MalformedXML, InvalidArgument, NotOffered."""
    root = xml.parse(body, _ROOT)
    if xml.child(root, "EventBridgeConfiguration") is not None:
        raise NotOffered("Events are not sent to Amazon EventBridge; a topic sends them to webhooks and brokers.")
    for kind, name in (("QueueConfiguration", "Queue"), ("CloudFunctionConfiguration", "CloudFunction")):
        for node in xml.children(root, kind):
            raise InvalidArgument(
                "Unable to validate the following destination configurations",
                argument_name=xml.text(node, name),
                argument_value="The destination does not exist: events are published to topics",
            )
    configurations = [_parse(node) for node in xml.children(root, "TopicConfiguration")]
    if len(configurations) > CONFIGURATIONS_MAX:
        raise InvalidArgument(f"The number of notification configurations should not exceed {CONFIGURATIONS_MAX}.")
    ids = [configuration.id for configuration in configurations]
    if len(set(ids)) < len(ids):
        raise InvalidArgument("Same ID used for multiple configurations. IDs must be unique")
    return configurations


def _parse(node: xml.Node) -> Configuration:
    events = [child.text for child in xml.children(node, "Event")]
    if not events:
        raise MalformedXML(reason="Event is missing")
    tuple(expand_events(events))
    configuration_id = xml.optional_text(node, "Id") or str(uuid.uuid4())
    if len(configuration_id) > CONFIGURATION_ID_CHARS_MAX:
        raise InvalidArgument("The configuration ID is too long", argument_name="Id", argument_value=configuration_id)
    rules = dict(_parse_rules(xml.child(node, "Filter")))
    return Configuration(
        configuration_id, xml.text(node, "Topic"), events, rules.get("prefix", ""), rules.get("suffix", "")
    )


def _parse_rules(node: xml.Node | None) -> Iterator[tuple[str, str]]:
    key = xml.child(node, "S3Key") if node is not None else None
    seen: set[str] = set()
    for rule in xml.children(key, "FilterRule") if key is not None else ():
        name, value = xml.text(rule, "Name").lower(), xml.text(rule, "Value")
        if name not in ("prefix", "suffix"):
            raise InvalidArgument(
                "filter rule name must be either prefix or suffix",
                argument_name="FilterRule.Name",
                argument_value=name,
            )
        if name in seen:
            raise InvalidArgument(f"Cannot specify more than one {name} rule in a filter.")
        if len(value.encode("utf-8", "surrogatepass")) > KEY_BYTES_MAX:
            raise InvalidArgument(f"Size of filter rule value cannot exceed {KEY_BYTES_MAX} bytes in UTF-8")
        seen.add(name)
        yield name, value


def _render(configuration: Configuration) -> str:
    rules = "".join(
        f"<FilterRule>{element('Name', name)}{element('Value', value)}</FilterRule>"
        for name, value in (("Prefix", configuration.prefix), ("Suffix", configuration.suffix))
        if value
    )
    return "".join(
        (
            "<TopicConfiguration>",
            element("Id", configuration.id),
            element("Topic", configuration.topic_arn),
            *(element("Event", event) for event in configuration.events),
            f"<Filter><S3Key>{rules}</S3Key></Filter>" if rules else "",
            "</TopicConfiguration>",
        )
    )
