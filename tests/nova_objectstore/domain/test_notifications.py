"""Event notifications of a bucket: which events are meant, and what their records say."""

from __future__ import annotations

import json

import pytest

from nova_objectstore.delivery.ports import Change, Effect
from nova_objectstore.domain.notifications import (
    DELETE,
    EVENTS,
    PUT,
    SERVICE,
    TRANSITION,
    Announcing,
    Cause,
    Configuration,
    Notifications,
    check_overlap,
    expand_events,
    with_sequencer,
)
from nova_objectstore.errors import InvalidArgument
from nova_objectstore.types import Bucket, Versioning

TOPIC = "arn:aws:sns:us-east-1:111122223333:news"
BUCKET = Bucket(1, "photos", "111122223333", "us-east-1", 0, Versioning.ENABLED, False, 1)


def configuration(*events: str, prefix: str = "", suffix: str = "", name: str = "it") -> Configuration:
    return Configuration(name, TOPIC, events or ("s3:ObjectCreated:*",), prefix, suffix)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("s3:ObjectCreated:Put", ["ObjectCreated:Put"]),
        ("s3:ObjectRemoved:*", ["ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated"]),
        ("s3:LifecycleTransition", ["LifecycleTransition"]),
        ("s3:ReducedRedundancyLostObject", ["ReducedRedundancyLostObject"]),
    ],
)
def test_what_patterns_mean(pattern: str, names: list[str]) -> None:
    assert list(expand_events([pattern])) == names


@pytest.mark.parametrize(
    "pattern", ["", "*", "s3:*", "s3:Object*", "s3:ObjectCreated", "s3:ObjectCreated:", "ObjectCreated:Put", "s3:Nothing:*",
                "s3:ObjectCreated:put"],
)  # fmt: skip
def test_what_is_no_event(pattern: str) -> None:
    with pytest.raises(InvalidArgument):
        list(expand_events([pattern]))


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (configuration(), configuration(), True),
        (configuration("s3:ObjectCreated:Put"), configuration("s3:ObjectCreated:*"), True),
        (configuration("s3:ObjectCreated:Put"), configuration("s3:ObjectCreated:Copy"), False),
        (configuration(prefix="a"), configuration(prefix="b"), False),
        (configuration(prefix="a"), configuration(prefix="ab"), True),
        (configuration(prefix="a", suffix=".x"), configuration(prefix="ab", suffix=".y"), False),
        (configuration(suffix=".x"), configuration(suffix="y.x"), True),
        (configuration(prefix="a"), configuration(suffix=".x"), True),
    ],
)
def test_two_configurations_must_not_want_the_same(one: Configuration, other: Configuration, overlap: bool) -> None:
    for pair in ((one, other), (other, one)):
        if overlap:
            with pytest.raises(InvalidArgument, match="overlap"):
                check_overlap(pair)
        else:
            check_overlap(pair)


def announcing(*configurations: Configuration, names=PUT, bucket: Bucket = BUCKET) -> Announcing:
    return Announcing(
        Notifications.of(configurations), bucket, names, Cause("AWS:me", "192.0.2.1", "R", "H"), 1_500_000
    )


def test_a_change_is_told_to_who_wants_it() -> None:
    left = configuration("s3:ObjectCreated:Put", prefix="left/", name="left")
    right = configuration("s3:ObjectCreated:*", prefix="right/", suffix=".jpg", name="right")
    made = announcing(left, right)

    def told(key: str, effect: Effect = Effect.WRITTEN) -> list[str]:
        events = made.events(Change(effect, key, "v", 5, "e"))
        return [json.loads(event.body)["Records"][0]["s3"]["configurationId"] for event in events]

    assert told("left/a") == ["left"]
    assert told("right/a.jpg") == ["right"]
    assert told("right/a.png") == told("a") == []
    assert told("left/a", Effect.REMOVED) == [], "a put removes nothing"


def test_a_record_is_awss() -> None:
    (event,) = announcing(configuration()).events(Change(Effect.WRITTEN, "a b/ü", "v1", 5, "etag"))
    assert (event.topic_arn, event.name, event.lane) == (TOPIC, "s3:ObjectCreated:Put", "photos/a b/ü")
    (record,) = json.loads(with_sequencer(event.body, 255))["Records"]
    assert record["eventTime"] == "1970-01-01T00:00:01.500Z"
    assert record["s3"]["object"] == {
        "key": "a+b/%C3%BC", "size": 5, "eTag": "etag", "versionId": "v1", "sequencer": "00000000000000FF",
    }  # fmt: skip
    assert record["responseElements"] == {"x-amz-request-id": "R", "x-amz-id-2": "H"}


def test_what_a_delete_leaves_has_no_size_and_an_unversioned_bucket_no_version() -> None:
    wanted = configuration("s3:ObjectRemoved:*")
    (event,) = announcing(wanted, names=DELETE).events(Change(Effect.HIDDEN, "k", "m"))
    (record,) = json.loads(event.body)["Records"]
    assert (record["eventName"], record["s3"]["object"]) == (
        "ObjectRemoved:DeleteMarkerCreated", {"key": "k", "versionId": "m"},
    )  # fmt: skip
    plain = BUCKET._replace(versioning=Versioning.OFF)
    (event,) = announcing(wanted, names=DELETE, bucket=plain).events(Change(Effect.REMOVED, "k", "null"))
    assert json.loads(event.body)["Records"][0]["s3"]["object"] == {"key": "k"}


def test_later_kinds_of_events_have_a_later_version() -> None:
    made = announcing(configuration("s3:LifecycleTransition"), names=TRANSITION)._replace(cause=SERVICE)
    (event,) = made.events(Change(Effect.CHANGED, "k", "v", 1, "e"))
    (record,) = json.loads(event.body)["Records"]
    assert (record["eventVersion"], record["userIdentity"]) == ("2.3", {"principalId": "s3.amazonaws.com"})


def test_the_document_comes_back_as_it_was() -> None:
    made = Notifications.of([configuration(*(f"s3:{name}" for name in EVENTS), prefix="p", suffix="s")])
    assert Notifications.decode(made.encode()).by_event.keys() == set(EVENTS)
    assert Notifications.decode(made.encode()).configurations[0].id == "it"
