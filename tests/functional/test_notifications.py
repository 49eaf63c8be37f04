"""Event notifications, end to end: a store with two workers, real webhooks, a real broker."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import boto3
import kombu
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from support.access_logs import allow, log_to, records
from support.accounts import make_account
from support.rabbitmq import RabbitMQ, started_rabbitmq
from support.store import ACCESS_KEY, BIN, REGION, SECRET_KEY, Store, running_store
from support.webhooks import Webhook, running_webhook

from nova_wsgi.testing import wait_until, workers

LOOPBACK = "--notification-networks=127.0.0.0/8"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("state"), "--sync=never", LOOPBACK) as running:
        yield running


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with running_webhook() as running:
        yield running


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    broker = started_rabbitmq(tmp_path_factory.mktemp("rabbitmq"))
    yield broker
    broker.close()


def sns_client(store: Store, access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY) -> Any:
    """boto3's SNS client, at the S3 endpoint."""
    return boto3.session.Session().client(
        "sns",
        endpoint_url=store.url,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"max_attempts": 1}),
    )


def notify(s3: Any, bucket: str, topic_arn: str, *events: str, **rules: str) -> None:
    """Have a bucket tell a topic."""
    configuration: dict[str, Any] = {"Id": "it", "TopicArn": topic_arn, "Events": list(events)}
    if rules:
        named = [{"Name": name, "Value": value} for name, value in rules.items()]
        configuration["Filter"] = {"Key": {"FilterRules": named}}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"TopicConfigurations": [configuration]}
    )


def make_topic(store: Store, name: str, endpoint: str, **attributes: str) -> str:
    attributes = {"push-endpoint": endpoint, **{key.replace("_", "-"): value for key, value in attributes.items()}}
    return str(sns_client(store).create_topic(Name=name, Attributes=attributes)["TopicArn"])


def names(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(record["eventName"], unquote_plus(record["s3"]["object"]["key"])) for record in records]


def manage(store: Store, *words: str) -> Any:
    command = [BIN / "nova-manage", "--state-path", store.state_path, "--json", *words]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# -- what is told --------------------------------------------------------------------------------------------------------


def test_a_record_tells_what_happened_to_whom_and_by_whom(store: Store, webhook: Webhook) -> None:
    s3 = store.client()
    s3.create_bucket(Bucket="records")
    topic = make_topic(store, "records", f"{webhook.url}/")
    notify(s3, "records", topic, "s3:ObjectCreated:*")
    told = s3.get_bucket_notification_configuration(Bucket="records")["TopicConfigurations"]
    assert told == [{"Id": "it", "TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]

    put = s3.put_object(Bucket="records", Key="a b/ü+.txt", Body=b"12345")
    (record,) = webhook.wait_for(1)

    account = topic.split(":")[4]
    assert record["eventName"] == "ObjectCreated:Put"
    assert (record["eventSource"], record["awsRegion"], record["eventVersion"]) == ("aws:s3", REGION, "2.1")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["eventTime"])
    assert record["userIdentity"] == {"principalId": f"AWS:{account}"}
    assert record["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert record["responseElements"]["x-amz-request-id"] == put["ResponseMetadata"]["RequestId"]
    bucket = {"name": "records", "ownerIdentity": {"principalId": account}, "arn": "arn:aws:s3:::records"}
    assert record["s3"]["bucket"] == bucket
    assert record["s3"]["configurationId"] == "it"
    told = record["s3"]["object"]
    assert told.pop("sequencer") > "0" * 16
    assert told == {"key": "a+b/%C3%BC%2B.txt", "size": 5, "eTag": put["ETag"].strip('"')}
    wait_until(
        lambda: any("Event" in got.json for got in webhook.got), what="the test event"
    )  # it is of no key: no order
    [test_event] = [got.json for got in webhook.got if "Event" in got.json]
    assert (test_event["Event"], test_event["Bucket"]) == ("s3:TestEvent", "records")


def test_every_change_has_its_event(store: Store, webhook: Webhook) -> None:
    s3 = store.client()
    s3.create_bucket(Bucket="changes", ObjectOwnership="ObjectWriter")
    s3.put_bucket_versioning(Bucket="changes", VersioningConfiguration={"Status": "Enabled"})
    topic = make_topic(store, "changes", f"{webhook.url}/")
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put"]
    notify(s3, "changes", topic, *events)

    version = s3.put_object(Bucket="changes", Key="k", Body=b"1")["VersionId"]
    s3.copy_object(Bucket="changes", Key="copy", CopySource="changes/k")
    upload = s3.create_multipart_upload(Bucket="changes", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="changes", Key="parts", UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="changes", Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.put_object_tagging(Bucket="changes", Key="k", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object_tagging(Bucket="changes", Key="k")
    s3.put_object_acl(Bucket="changes", Key="k", ACL="public-read")
    marker = s3.delete_object(Bucket="changes", Key="k")["VersionId"]
    s3.delete_object(Bucket="changes", Key="k", VersionId=version)
    form = s3.generate_presigned_post("changes", "form")
    assert requests.post(form["url"], form["fields"], files={"file": b"body"}, timeout=30).status_code == 204
    s3.delete_objects(Bucket="changes", Delete={"Objects": [{"Key": "copy"}, {"Key": "parts"}]})

    found = webhook.wait_for(11)
    assert sorted(names(found)) == sorted(
        [
            ("ObjectCreated:Put", "k"),
            ("ObjectCreated:Copy", "copy"),
            ("ObjectCreated:CompleteMultipartUpload", "parts"),
            ("ObjectTagging:Put", "k"),
            ("ObjectTagging:Delete", "k"),
            ("ObjectAcl:Put", "k"),
            ("ObjectRemoved:DeleteMarkerCreated", "k"),
            ("ObjectRemoved:Delete", "k"),
            ("ObjectCreated:Post", "form"),
            ("ObjectRemoved:DeleteMarkerCreated", "copy"),
            ("ObjectRemoved:DeleteMarkerCreated", "parts"),
        ]
    )
    of_k = [record for record in found if record["s3"]["object"]["key"] == "k"]
    sequencers = [record["s3"]["object"]["sequencer"] for record in of_k]
    assert sequencers == sorted(sequencers)
    versions = [record["s3"]["object"]["versionId"] for record in of_k]
    assert versions == [version, version, version, version, marker, version]


def test_only_what_was_asked_for_is_told(store: Store, webhook: Webhook) -> None:
    s3 = store.client()
    s3.create_bucket(Bucket="filters")
    topic = make_topic(store, "filters", f"{webhook.url}/")
    notify(s3, "filters", topic, "s3:ObjectCreated:Put", prefix="images/", suffix=".jpg")
    for key in ("images/a.jpg", "images/a.png", "a.jpg", "images/b.jpg"):
        s3.put_object(Bucket="filters", Key=key, Body=b"")
    s3.delete_object(Bucket="filters", Key="images/a.jpg")
    with pytest.raises(ClientError):
        s3.put_object(Bucket="filters", Key="images/b.jpg", Body=b"", IfNoneMatch="*")
    s3.put_object(Bucket="filters", Key="images/end.jpg", Body=b"")

    webhook.wait_for(3)
    wait_until(lambda: not manage_waiting(store, topic), 20, what="an empty queue")
    assert sorted(names(webhook.records())) == [
        ("ObjectCreated:Put", "images/a.jpg"),
        ("ObjectCreated:Put", "images/b.jpg"),
        ("ObjectCreated:Put", "images/end.jpg"),
    ]
    s3.put_bucket_notification_configuration(Bucket="filters", NotificationConfiguration={})
    assert "TopicConfigurations" not in s3.get_bucket_notification_configuration(Bucket="filters")


def manage_waiting(store: Store, topic: str) -> int:
    return sum(row["waiting"] for row in manage(store, "notification", "list") if row["subscription"].startswith(topic))


# -- what is refused -----------------------------------------------------------------------------------------------------


def refusal(call: Any, *args: Any, **kwargs: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(*args, **kwargs)
    error = refused.value.response["Error"]
    return error["Code"], error.get("ArgumentValue", error["Message"])


def test_configurations_that_cannot_be_kept(store: Store, webhook: Webhook) -> None:
    s3 = store.client()
    s3.create_bucket(Bucket="refused")
    topic = make_topic(store, "refused", webhook.url)
    put = s3.put_bucket_notification_configuration

    def configuration(**facts: Any) -> dict[str, Any]:
        return {"TopicArn": topic, "Events": ["s3:ObjectCreated:*"], **facts}

    for documents in (
        {"TopicConfigurations": [configuration(Events=["s3:Nonsense"])]},
        {"TopicConfigurations": [configuration(Events=["s3:Object*"])]},
        {"TopicConfigurations": [configuration(), configuration(Events=["s3:ObjectCreated:Put"])]},
        {"TopicConfigurations": [configuration(Id="x"), configuration(Id="x", Events=["s3:ObjectRemoved:*"])]},
        {"TopicConfigurations": [configuration(TopicArn=f"{topic}x")]},
        {"TopicConfigurations": [configuration(TopicArn="nonsense")]},
        {"QueueConfigurations": [{"QueueArn": "arn:aws:sqs:us-east-1:1:q", "Events": ["s3:ObjectCreated:*"]}]},
    ):
        assert refusal(put, Bucket="refused", NotificationConfiguration=documents)[0] == "InvalidArgument"
    bridge = {"EventBridgeConfiguration": {}}
    assert refusal(put, Bucket="refused", NotificationConfiguration=bridge)[0] == "NotImplemented"
    assert "TopicConfigurations" not in s3.get_bucket_notification_configuration(Bucket="refused")

    apart = [
        configuration(Id=side, Filter={"Key": {"FilterRules": [{"Name": "prefix", "Value": f"{side}/"}]}})
        for side in ("left", "right")
    ]
    put(Bucket="refused", NotificationConfiguration={"TopicConfigurations": apart})


def test_a_topics_policy_says_which_buckets_may_publish(store: Store, webhook: Webhook) -> None:
    other = make_account(store, "publisher")
    theirs = other.client(store)
    theirs.create_bucket(Bucket="publishers")
    sns = sns_client(store)
    topic = make_topic(store, "guarded", webhook.url)
    wanted = {"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]}
    put = theirs.put_bucket_notification_configuration
    assert refusal(put, Bucket="publishers", NotificationConfiguration=wanted)[0] == "InvalidArgument"

    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "SNS:Publish",
            "Resource": topic,
            "Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::publishers"}},
        },
    }
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(policy))
    put(Bucket="publishers", NotificationConfiguration=wanted)
    theirs.put_object(Bucket="publishers", Key="k", Body=b"")
    webhook.wait_for(1)

    s3 = store.client()
    s3.create_bucket(Bucket="not-named")
    put = s3.put_bucket_notification_configuration
    assert refusal(put, Bucket="not-named", NotificationConfiguration=wanted)[0] == "InvalidArgument"
    for call in (
        lambda: sns_client(store, other.access_key, other.secret_key).get_topic_attributes(TopicArn=topic),
        lambda: sns_client(store, other.access_key, other.secret_key).delete_topic(TopicArn=topic),
        lambda: sns_client(store, other.access_key, other.secret_key).publish(TopicArn=topic, Message="x"),
    ):
        assert refusal(call)[0] == "AuthorizationError"


# -- at least once, in order -----------------------------------------------------------------------------------------------


def test_keys_keep_their_order_under_concurrency_and_failures(store: Store, webhook: Webhook) -> None:
    s3 = store.client(max_pool_connections=16)
    s3.create_bucket(Bucket="ordered")
    topic = make_topic(store, "ordered", f"{webhook.url}/")
    notify(s3, "ordered", topic, "s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    webhook.status = 500  # what comes meanwhile must neither get lost nor overtaken

    def work(key: str) -> None:
        for size in range(12):
            s3.put_object(Bucket="ordered", Key=key, Body=b"x" * size)
        s3.delete_object(Bucket="ordered", Key=key)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [f"key-{number}" for number in range(8)]))
    wait_until(lambda: webhook.tried > 0, 20, what="a failed delivery")
    webhook.status = 200

    records = webhook.wait_for(8 * 13, timeout_s=60)
    for number in range(8):
        of_key = [record for record in records if record["s3"]["object"]["key"] == f"key-{number}"]
        first = list({record["s3"]["object"]["sequencer"]: record for record in of_key}.values())
        sequencers = [record["s3"]["object"]["sequencer"] for record in first]
        assert sequencers == sorted(sequencers)
        assert [record["s3"]["object"].get("size") for record in first] == [*range(12), None]


def test_a_dead_endpoint_does_not_hold_up_another(store: Store, webhook: Webhook) -> None:
    s3 = store.client()
    topics = {}
    for side, endpoint in (("dead", "http://127.0.0.1:9/"), ("living", f"{webhook.url}/living")):
        s3.create_bucket(Bucket=f"of-{side}")
        topics[side] = make_topic(store, side, endpoint)
        notify(s3, f"of-{side}", topics[side], "s3:ObjectCreated:*")
    for number in range(5):
        s3.put_object(Bucket="of-dead", Key=f"k{number}", Body=b"")
        s3.put_object(Bucket="of-living", Key=f"k{number}", Body=b"")

    webhook.wait_for(5, "/living")
    arn = f"{topics['dead']}:push-endpoint"
    wait_until(lambda: manage(store, "notification", "show", arn)["state"] == "failing", 20, what="a failure")
    shown = manage(store, "notification", "show", arn)
    assert shown["waiting"] == 6
    assert "ECONNREFUSED" in shown["last_error"]
    assert manage(store, "notification", "retry", arn)["waiting"] == 6
    assert manage(store, "notification", "drop", arn)["dropped"] == 6
    assert manage(store, "notification", "show", arn)["waiting"] == 0


def test_one_key_that_an_endpoint_never_takes_does_not_hold_up_the_others(store: Store, webhook: Webhook) -> None:
    s3 = store.client()
    s3.create_bucket(Bucket="one-bad")
    webhook.refused.add("/bad")
    bad = make_topic(store, "one-bad", f"{webhook.url}/bad")
    good = make_topic(store, "one-good", f"{webhook.url}/good")
    rules = [
        {"TopicArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": {"Key": {"FilterRules": [
            {"Name": "prefix", "Value": prefix}]}}}
        for arn, prefix in ((bad, "bad/"), (good, "good/"))
    ]  # fmt: skip
    s3.put_bucket_notification_configuration(Bucket="one-bad", NotificationConfiguration={"TopicConfigurations": rules})
    s3.put_object(Bucket="one-bad", Key="bad/k", Body=b"")
    s3.put_object(Bucket="one-bad", Key="good/k", Body=b"")
    assert names(webhook.wait_for(1, "/good")) == [("ObjectCreated:Put", "good/k")]
    webhook.refused.clear()
    assert names(webhook.wait_for(1, "/bad")) == [("ObjectCreated:Put", "bad/k")]


def test_what_was_answered_is_told_after_the_store_was_killed(tmp_path: Path) -> None:
    with running_webhook() as webhook:
        webhook.status = 500
        state = tmp_path / "state"
        with running_store(state, LOOPBACK) as store:
            s3 = store.client()
            s3.create_bucket(Bucket="killed")
            topic = make_topic(store, "killed", f"{webhook.url}/")
            notify(s3, "killed", topic, "s3:ObjectCreated:*")
            for number in range(10):
                s3.put_object(Bucket="killed", Key=f"k{number}", Body=b"")
            wait_until(lambda: webhook.tried > 0, 20, what="a delivery under way")
            for pid in [*workers(store.server.pid), store.server.pid]:
                os.kill(pid, signal.SIGKILL)
            store.server.process.wait(10)
        webhook.status = 200
        with running_store(state, LOOPBACK, workers=1) as store:
            found = webhook.wait_for(10, timeout_s=90)
            assert {key for _, key in names(found)} == {f"k{number}" for number in range(10)}


# -- topics --------------------------------------------------------------------------------------------------------------


def test_a_subscription_is_confirmed_by_its_endpoint_and_gets_sns_messages(store: Store, webhook: Webhook) -> None:
    s3, sns = store.client(), sns_client(store)
    s3.create_bucket(Bucket="subscribed")
    topic = sns.create_topic(Name="subscribed", Tags=[{"Key": "team", "Value": "a"}])["TopicArn"]
    assert topic in [found["TopicArn"] for found in sns.list_topics()["Topics"]]
    made = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=f"{webhook.url}/in")
    assert made["SubscriptionArn"] == "pending confirmation"
    wait_until(lambda: bool(webhook.got), 20, what="the confirmation")
    asked = webhook.got[0]
    assert asked.headers["x-amz-sns-message-type"] == asked.json["Type"] == "SubscriptionConfirmation"
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsPending"] == "1"
    sns.publish(TopicArn=topic, Message="too early")

    assert requests.get(asked.json["SubscribeURL"], timeout=10).status_code == 200
    (found,) = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    notify(s3, "subscribed", topic, "s3:ObjectCreated:*")
    s3.put_object(Bucket="subscribed", Key="k", Body=b"")
    sns.publish(TopicArn=topic, Message="by hand", Subject="hello")

    wait_until(lambda: len(webhook.got) == 4, 20, what="three messages")
    by_subject = {got.json.get("Subject"): got.json for got in webhook.got[1:]}
    assert by_subject["hello"]["Message"] == "by hand"
    sent = [json.loads(got.json["Message"]) for got in webhook.got[1:] if got.json["Subject"] != "hello"]
    assert sorted(next(iter(message)) for message in sent) == ["Records", "Service"]
    assert by_subject["hello"]["TopicArn"] == topic

    sns.set_subscription_attributes(
        SubscriptionArn=found["SubscriptionArn"], AttributeName="RawMessageDelivery", AttributeValue="true"
    )
    sns.publish(TopicArn=topic, Message="raw")
    wait_until(lambda: webhook.got[-1].body == b"raw", 20, what="the raw message")
    assert requests.get(by_subject["hello"]["UnsubscribeURL"], timeout=10).status_code == 200
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []

    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "team", "Value": "a"}]
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "b", "Value": "c"}])
    sns.untag_resource(ResourceArn=topic, TagKeys=["team"])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "b", "Value": "c"}]
    sns.delete_topic(TopicArn=topic)
    assert refusal(sns.get_topic_attributes, TopicArn=topic)[0] == "NotFound"


def test_a_user_without_a_policy_may_nothing_with_topics(store: Store) -> None:
    topic = make_topic(store, "not-for-users", "")
    iam = boto3.session.Session().client(
        "iam",
        endpoint_url=store.url,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    iam.create_user(UserName="nobody-much")
    key = iam.create_access_key(UserName="nobody-much")["AccessKey"]
    sns = sns_client(store, key["AccessKeyId"], key["SecretAccessKey"])
    for call in (
        lambda: sns.create_topic(Name="mine"),
        sns.list_topics,
        sns.list_subscriptions,
        lambda: sns.get_topic_attributes(TopicArn=topic),
        lambda: sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="x"),
        lambda: sns.subscribe(TopicArn=topic, Protocol="http", Endpoint="http://example.org/"),
        lambda: sns.publish(TopicArn=topic, Message="x"),
        lambda: sns.list_tags_for_resource(ResourceArn=topic),
        lambda: sns.delete_topic(TopicArn=topic),
        lambda: sns.delete_topic(TopicArn=f"{topic}-not-there"),
    ):
        assert refusal(call)[0] == "AuthorizationError"
    statement = {"Effect": "Allow", "Action": "sns:Publish", "Resource": topic}
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    iam.put_user_policy(UserName="nobody-much", PolicyName="p", PolicyDocument=policy)
    sns.publish(TopicArn=topic, Message="x")
    assert refusal(sns.list_topics)[0] == "AuthorizationError"


def test_topics_that_cannot_be(store: Store) -> None:
    sns = sns_client(store)
    for call in (
        lambda: sns.create_topic(Name="no spaces"),
        lambda: sns.create_topic(Name="fifo", Attributes={"FifoTopic": "true"}),
        lambda: sns.create_topic(Name="x", Attributes={"push-endpoint": "ftp://host/"}),
        lambda: sns.create_topic(Name="x", Attributes={"push-endpoint": "amqp://host/"}),
        lambda: sns.create_topic(Name="x", Attributes={"Policy": "{}"}),
        lambda: sns.subscribe(TopicArn=make_topic(store, "y", ""), Protocol="email", Endpoint="a@b"),
    ):
        assert refusal(call)[0] == "InvalidParameter"


def test_what_no_webhook_may_reach(tmp_path: Path) -> None:
    """Without a word of the administrator's the host's own addresses are not reached."""
    with running_webhook() as webhook, running_store(tmp_path, "--sync=never", workers=1) as store:
        s3 = store.client()
        s3.create_bucket(Bucket="inside")
        topics = [
            make_topic(store, "self", webhook.url),
            make_topic(store, "metadata", "http://169.254.169.254/latest"),
        ]
        for number, topic in enumerate(topics):
            s3.create_bucket(Bucket=f"inside-{number}")
            notify(s3, f"inside-{number}", topic, "s3:ObjectCreated:*")
            shown = lambda arn=f"{topic}:push-endpoint": manage(store, "notification", "show", arn)  # noqa: E731
            wait_until(lambda shown=shown: shown()["state"] == "failing", 20, what="a refusal")
            assert "not in a network" in shown()["last_error"]
        assert webhook.tried == 0


# -- brokers -------------------------------------------------------------------------------------------------------------


def test_events_go_to_an_exchange_and_wait_while_the_broker_is_away(store: Store, rabbitmq: RabbitMQ) -> None:
    s3 = store.client()
    s3.create_bucket(Bucket="amqp")
    exchange = kombu.Exchange("events", "topic", durable=True)
    queue = kombu.Queue("objects", exchange, routing_key="amqp-topic", durable=True)
    with kombu.Connection(rabbitmq.url) as connection:
        queue(connection.default_channel).declare()
    topic = make_topic(store, "amqp-topic", rabbitmq.url, amqp_exchange="events", amqp_ack_level="routable")
    notify(s3, "amqp", topic, "s3:ObjectCreated:*")
    s3.put_object(Bucket="amqp", Key="before", Body=b"")
    wait_until(lambda: not manage_waiting(store, topic), 30, what="an empty queue")

    rabbitmq.stop()
    s3.put_object(Bucket="amqp", Key="while", Body=b"")
    arn = f"{topic}:push-endpoint"
    wait_until(lambda: manage(store, "notification", "show", arn)["state"] == "failing", 60, what="a failure")
    shown = manage(store, "notification", "show", arn)
    assert "guest:guest" not in shown["last_error"] + shown["endpoint"], "no password is shown"
    rabbitmq.start()
    manage(store, "notification", "retry", arn)
    wait_until(lambda: not manage_waiting(store, topic), 60, what="an empty queue")

    with kombu.Connection(rabbitmq.url) as connection:
        taken = []
        bound = queue(connection.default_channel)
        while (message := bound.get(no_ack=True)) is not None:
            taken.append(json.loads(message.body))
    records = [record for message in taken for record in message.get("Records", ())]
    assert list(dict.fromkeys(names(records))) == [("ObjectCreated:Put", "before"), ("ObjectCreated:Put", "while")]


# -- what jobs do ----------------------------------------------------------------------------------------------------------


def test_lifecycle_and_restores_tell_and_are_logged(tmp_path: Path, webhook: Webhook) -> None:
    conf = tmp_path / "nova.conf"
    conf.write_text("[storage_class:GLACIER]\narchive = true\n")
    options = ("--config-file", str(conf), "--sync=never", LOOPBACK, "--lifecycle-day-s=2", "--logging-delivery-s=2")
    with running_store(tmp_path / "state", *options) as store:
        s3 = store.client()
        s3.create_bucket(Bucket="jobs")
        s3.create_bucket(Bucket="jobs-logs")
        allow(s3, "jobs-logs")
        log_to(s3, "jobs", "jobs-logs")
        s3.put_bucket_versioning(Bucket="jobs", VersioningConfiguration={"Status": "Enabled"})
        topic = make_topic(store, "jobs", f"{webhook.url}/")
        notify(s3, "jobs", topic, "s3:LifecycleExpiration:*", "s3:LifecycleTransition", "s3:ObjectRestore:*")
        s3.put_object(Bucket="jobs", Key="cold", Body=b"12345", StorageClass="GLACIER")
        s3.put_object(Bucket="jobs", Key="moves/k", Body=b"1")
        s3.put_object(Bucket="jobs", Key="goes/k", Body=b"1")
        rules = [
            {"ID": "moves", "Filter": {"Prefix": "moves/"}, "Status": "Enabled",
             "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]},
            {"ID": "goes", "Filter": {"Prefix": "goes/"}, "Status": "Enabled", "Expiration": {"Days": 1},
             "NoncurrentVersionExpiration": {"NoncurrentDays": 1}},
        ]  # fmt: skip
        s3.put_bucket_lifecycle_configuration(
            Bucket="jobs",
            LifecycleConfiguration={"Rules": rules},
            TransitionDefaultMinimumObjectSize="varies_by_storage_class",
        )
        s3.restore_object(Bucket="jobs", Key="cold", RestoreRequest={"Days": 1})

        expected = {
            ("ObjectRestore:Post", "cold"),
            ("ObjectRestore:Completed", "cold"),
            ("ObjectRestore:Delete", "cold"),
            ("LifecycleTransition", "moves/k"),
            ("LifecycleExpiration:DeleteMarkerCreated", "goes/k"),
            ("LifecycleExpiration:Delete", "goes/k"),
        }
        wait_until(lambda: expected <= set(names(webhook.records())), 60, what="the jobs' events")
        completed = next(record for record in webhook.records() if record["eventName"] == "ObjectRestore:Completed")
        told = completed["glacierEventData"]["restoreEventData"]
        assert told["lifecycleRestoreStorageClass"] == "GLACIER"
        of_jobs = [record for record in webhook.records() if record["eventName"].startswith("Lifecycle")]
        assert {record["userIdentity"]["principalId"] for record in of_jobs} == {"s3.amazonaws.com"}

        logged = {
            ("S3.CREATE.DELETEMARKER", "goes/k"),
            ("S3.EXPIRE.OBJECT", "goes/k"),
            ("S3.TRANSITION.OBJECT", "moves/k"),
        }

        def found() -> set[tuple[str, str]]:
            return {
                (line["operation"], line["key"]) for line in records(s3, "jobs-logs") if line["requester"] == "AmazonS3"
            }

        wait_until(lambda: logged <= found(), 30, what="the jobs' records")
