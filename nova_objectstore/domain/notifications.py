"""Event notifications of a bucket: which changes it tells whom, and the records that tell of them.

Laws (AWS: "Amazon S3 Event Notifications", "Event message structure"):

- A configuration names a topic, the events it wants, and optionally a prefix and a suffix of keys.
- No two configurations of a bucket may want the same event of the same key.
- A record's sequencer is the event's number: of one key's, a later one is greater. It is filled in when the event is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, NamedTuple
from urllib.parse import quote_plus

from nova_objectstore.delivery.limits import QUEUE_EVENTS_MAX
from nova_objectstore.delivery.ports import Change, Effect, Event
from nova_objectstore.errors import InvalidArgument
from nova_objectstore.types import Bucket, Principal, Versioning

NOTIFICATION = "notification"  # the document's name

# Every event that something here makes, without "s3:" (AWS: "Supported event types for SQS, SNS, and Lambda").
EVENTS = (
    "ObjectCreated:Put",
    "ObjectCreated:Post",
    "ObjectCreated:Copy",
    "ObjectCreated:CompleteMultipartUpload",
    "ObjectRemoved:Delete",
    "ObjectRemoved:DeleteMarkerCreated",
    "ObjectRestore:Post",
    "ObjectRestore:Completed",
    "ObjectRestore:Delete",
    "ObjectTagging:Put",
    "ObjectTagging:Delete",
    "ObjectAcl:Put",
    "LifecycleExpiration:Delete",
    "LifecycleExpiration:DeleteMarkerCreated",
    "LifecycleTransition",
)
# AWS's others: what they tell of does not happen here, and a configuration that was carried over may name them.
SILENT_EVENTS = (
    "ReducedRedundancyLostObject",
    "Replication:OperationFailedReplication",
    "Replication:OperationNotTracked",
    "Replication:OperationMissedThreshold",
    "Replication:OperationReplicatedAfterThreshold",
    "IntelligentTiering",
    "TestEvent",
)
_PREFIX = "s3:"
# Of later kinds of events the record's version is higher (AWS: "Event message structure", eventVersion).
_VERSIONS = {"ObjectCreated": "2.1", "ObjectRemoved": "2.1", "ObjectRestore": "2.1"}
_LATER_VERSION = "2.3"


class Configuration(NamedTuple):
    """One configuration. ``events`` are as they were given: ``s3:ObjectCreated:*``."""

    id: str
    topic_arn: str
    events: Sequence[str]
    prefix: str = ""
    suffix: str = ""

    def fits(self, key: str) -> bool:
        """Whether a key is one of those that it is about."""
        return key.startswith(self.prefix) and key.endswith(self.suffix)


class Notifications(NamedTuple):
    """A bucket's notifications, compiled: by the event's name, who wants it."""

    configurations: Sequence[Configuration]
    by_event: Mapping[str, Sequence[Configuration]]

    @classmethod
    def of(cls, configurations: Sequence[Configuration]) -> Notifications:
        """Compile configurations."""
        by_event: dict[str, list[Configuration]] = {}
        for configuration in configurations:
            for name in dict.fromkeys(expand_events(configuration.events)):
                by_event.setdefault(name, []).append(configuration)
        return cls(configurations, by_event)

    @classmethod
    def decode(cls, document: bytes) -> Notifications:
        """From the document that is stored."""
        return cls.of([Configuration(*row) for row in json.loads(document)])

    def encode(self) -> bytes:
        """The document that is stored."""
        return json.dumps(self.configurations).encode()


def expand_events(patterns: Sequence[str]) -> Iterator[str]:
    """The events that patterns name, without their ``s3:``. Raises InvalidArgument for one that is none."""
    known = (*EVENTS, *SILENT_EVENTS)
    for pattern in patterns:
        name = pattern.removeprefix(_PREFIX)
        if pattern.startswith(_PREFIX) and name in known:
            yield name
            continue
        group = name.removesuffix("*")
        found = [event for event in known if event.startswith(group)] if group.endswith(":") else []
        if not (pattern.startswith(_PREFIX) and name.endswith(":*") and found):
            raise InvalidArgument(
                "A specified event is not supported for notifications.",
                argument_name="Event",
                argument_value=pattern,
            )
        yield from found


def check_overlap(configurations: Sequence[Configuration]) -> None:
    """Refuse two configurations that want the same event of the same key. Raises InvalidArgument."""
    for one, other in combinations(configurations, 2):
        if set(expand_events(one.events)).isdisjoint(expand_events(other.events)):
            continue
        prefixes = one.prefix.startswith(other.prefix) or other.prefix.startswith(one.prefix)
        suffixes = one.suffix.endswith(other.suffix) or other.suffix.endswith(one.suffix)
        if prefixes and suffixes:
            raise InvalidArgument(
                "Configurations overlap. Configurations on the same bucket cannot share a common event type.",
                argument_name="NotificationConfiguration",
                argument_value=f"{one.id}, {other.id}",
            )


# -- announcing ------------------------------------------------------------------------------------------------------

Names = Mapping[Effect, str]

PUT: Names = {Effect.WRITTEN: "ObjectCreated:Put"}
POST: Names = {Effect.WRITTEN: "ObjectCreated:Post"}
COPY: Names = {Effect.WRITTEN: "ObjectCreated:Copy"}
COMPLETE: Names = {Effect.WRITTEN: "ObjectCreated:CompleteMultipartUpload"}
DELETE: Names = {Effect.REMOVED: "ObjectRemoved:Delete", Effect.HIDDEN: "ObjectRemoved:DeleteMarkerCreated"}
RENAME: Names = {**COPY, **DELETE}
PUT_TAGS: Names = {Effect.CHANGED: "ObjectTagging:Put"}
DELETE_TAGS: Names = {Effect.CHANGED: "ObjectTagging:Delete"}
PUT_ACL: Names = {Effect.CHANGED: "ObjectAcl:Put"}
RESTORE_BEGUN: Names = {Effect.CHANGED: "ObjectRestore:Post"}
RESTORE_DONE: Names = {Effect.CHANGED: "ObjectRestore:Completed"}
RESTORE_OVER: Names = {Effect.CHANGED: "ObjectRestore:Delete"}
EXPIRE: Names = {Effect.REMOVED: "LifecycleExpiration:Delete", Effect.HIDDEN: "LifecycleExpiration:DeleteMarkerCreated"}
TRANSITION: Names = {Effect.CHANGED: "LifecycleTransition"}


class Cause(NamedTuple):
    """Who made a change, and by which request."""

    principal_id: str
    source_ip: str = ""
    request_id: str = ""
    host_id: str = ""


SERVICE = Cause("s3.amazonaws.com", source_ip="s3.amazonaws.com")  # the service itself (AWS: userIdentity)


class Announcing(NamedTuple):
    """:class:`~nova_objectstore.delivery.ports.Announcement` of a bucket's notifications. Made per change, when there are any."""

    notifications: Notifications
    bucket: Bucket
    names: Names
    cause: Cause
    now_us: int
    restore: Mapping[str, str] | None = None  # of ObjectRestore:Completed: until when, and the storage class
    waiting_max: int = QUEUE_EVENTS_MAX

    def of_restore(self, expires_us: int, storage_class: str) -> Announcing:
        """The same of a restored copy: until when it is there, and the class of what it is of."""
        told = {"lifecycleRestorationExpiryTime": iso_millis(expires_us), "lifecycleRestoreStorageClass": storage_class}
        return self._replace(restore=told)

    def events(self, change: Change) -> Sequence[Event]:
        """The events of a change."""
        name = self.names.get(change.effect)
        wanted = self.notifications.by_event.get(name, ()) if name is not None else ()
        assert name is not None or not wanted
        return [
            Event(
                configuration.topic_arn,
                f"{self.bucket.name}/{change.key}",
                f"{_PREFIX}{name}",
                self._body(name or "", change, configuration),
                self.now_us,
                waiting_max=self.waiting_max,
            )
            for configuration in wanted
            if configuration.fits(change.key)
        ]

    def _body(self, name: str, change: Change, configuration: Configuration) -> str:
        record: dict[str, Any] = {
            "eventVersion": _VERSIONS.get(name.partition(":")[0], _LATER_VERSION),
            "eventSource": "aws:s3",
            "awsRegion": self.bucket.region,
            "eventTime": iso_millis(self.now_us),
            "eventName": name,
            "userIdentity": {"principalId": self.cause.principal_id},
            "requestParameters": {"sourceIPAddress": self.cause.source_ip},
            "responseElements": {"x-amz-request-id": self.cause.request_id, "x-amz-id-2": self.cause.host_id},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": configuration.id,
                "bucket": {
                    "name": self.bucket.name,
                    "ownerIdentity": {"principalId": self.bucket.owner_id},
                    "arn": f"arn:aws:s3:::{self.bucket.name}",
                },
                "object": self._object(change),
            },
        }
        if self.restore is not None:
            record["glacierEventData"] = {"restoreEventData": dict(self.restore)}
        return json.dumps({"Records": [record]}, separators=(",", ":"))

    def _object(self, change: Change) -> dict[str, Any]:
        told: dict[str, Any] = {"key": quote_plus(change.key, safe="/", errors="surrogatepass")}
        if change.size is not None:
            told["size"] = change.size
        if change.etag:
            told["eTag"] = change.etag
        if change.version_id is not None and self.bucket.versioning is not Versioning.OFF:
            told["versionId"] = change.version_id
        return told


Announcer = Callable[[Bucket, Names], Announcing | None]
"""What a job announces of its changes in a bucket, by what they are called; None where nobody wants to hear of them."""


def announce_nothing(_bucket: Bucket, _names: Names) -> None:
    """Where no events are sent."""


def with_sequencer(body: str, event_id: int) -> str:
    """A record as it is sent: its object gets the event's number, sixteen hexadecimal digits."""
    message = json.loads(body)
    for record in message["Records"]:
        record["s3"]["object"]["sequencer"] = f"{event_id:016X}"
    return json.dumps(message, separators=(",", ":"))


def render_test_event(bucket: Bucket, *, request_id: str, host_id: str, now_us: int) -> str:
    """What a destination gets when it is configured (AWS: s3:TestEvent)."""
    return json.dumps(
        {
            "Service": "Amazon S3",
            "Event": "s3:TestEvent",
            "Time": iso_millis(now_us),
            "Bucket": bucket.name,
            "RequestId": request_id,
            "HostId": host_id,
        },
        separators=(",", ":"),
    )


def principal_id(principal: Principal) -> str:
    """A principal as records name it."""
    if principal.is_anonymous:
        return "Anonymous"
    return f"AWS:{principal.user_id or principal.account_id}"


def iso_millis(moment_us: int) -> str:
    """``1970-01-01T00:00:00.000Z``."""
    moment = datetime.fromtimestamp(moment_us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment_us // 1000 % 1000:03}Z"
