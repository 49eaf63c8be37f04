"""What a store does by itself while its engines fail: the jobs of the worker, as steps (see ``fault_steps``)."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError
from support.access_logs import allow
from support.bundles import bundle, rsa_key
from support.fault_steps import LARGE, MISSING, SMALL, Seen, Step, Steps, expect
from support.faulty_store import OWNER, FaultyStore

from nova_objectstore.assembly import (
    build_lifecycle_job,
    build_reaper,
    build_restore_job,
    delivery_store,
    integrity_store,
)
from nova_objectstore.assembly_delivery import build_log_delivery
from nova_objectstore.assembly_images import build_images, image_bundles, image_store
from nova_objectstore.assembly_integrity import build_scrubber
from nova_objectstore.delivery.ports import Event, Subscription, Topic, Waiting
from nova_objectstore.delivery.spool import Group, Spool
from nova_objectstore.domain.access_logging import LogTarget, Source
from nova_objectstore.images.job import ImageJob
from nova_objectstore.images.ports import ImageState
from nova_objectstore.images.registry import Registration
from nova_objectstore.jobs.notify import Notifier
from nova_objectstore.types import Principal

S = 1_000_000
DAY_US = 24 * 3600 * S
TOPIC = f"arn:aws:sns:us-east-1:{OWNER}:news"
WAITING = "waiting"
IMAGE = LARGE * 3


class Jobs(Steps):
    """Makes steps of jobs. Each run lets the clock go on, so that what was put off is due."""

    def __init__(self, store: FaultyStore) -> None:
        super().__init__(store)
        self.principal = Principal(account_id=OWNER, arn=f"arn:aws:iam::{OWNER}:root")
        self.taken: list[str] = []
        self.bundle_keys = self._store_bundle()
        allow(self.s3, "logs")
        topics = delivery_store(store.store.meta)
        topics.create_topic(Topic(TOPIC, OWNER, "news", store.clock_us()), None)
        topics.create_subscription(
            Subscription(f"{TOPIC}:one", TOPIC, OWNER, "http", "http://x/", store.clock_us()), None
        )

    def _store_bundle(self) -> str:
        made = bundle(IMAGE)
        for name, part in made.parts.items():
            self.s3.put_object(Bucket="bundles", Key=name, Body=part)
        self.s3.put_object(Bucket="bundles", Key="disk.img.manifest.xml", Body=made.document)
        return "bundles/disk.img.manifest.xml"

    def _later(self, job: Callable[[], object], us: int = 600 * S) -> Callable[[], None]:
        def run() -> None:
            self.store.ahead_us += us
            job()

        return run

    # -- data that nobody names --------------------------------------------------------------------------------------

    def collect(self, name: str) -> Step:
        self.s3.put_object(Bucket="plain", Key=name, Body=LARGE)
        self.s3.put_object(Bucket="plain", Key=f"{name}-kept", Body=LARGE)
        self.s3.delete_object(Bucket="plain", Key=name)

        def look() -> Seen:
            queued = self.store.store.meta.list_garbage(queued_before_us=1 << 62)
            return bool(queued), self.see("plain", f"{name}-kept")

        return Step(self._later(self.store.store.collector.run), look, (False, (LARGE, {}, {})), is_job=True)

    def reap(self, name: str) -> Step:
        upload = self._begin(name)
        self.s3.upload_part(**upload, PartNumber=1, Body=LARGE)
        reaper = build_reaper(self.store.store, age_days=1, clock_us=self.store.clock_us)
        return Step(self._later(reaper.run, 2 * DAY_US), lambda: self.parts(**upload), MISSING, is_job=True)

    # -- rules -------------------------------------------------------------------------------------------------------

    def _rule(self, name: str, **action: object) -> None:
        self.s3.create_bucket(Bucket=name)
        rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, **action}
        self.s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
        for key, body in (("large", LARGE), ("small", SMALL)):
            self.s3.put_object(Bucket=name, Key=key, Body=body)

    def _lifecycle(self, name: str, look: Callable[[], Seen], after: Seen, between: tuple[Seen, ...]) -> Step:
        job = build_lifecycle_job(self.store.store, clock_us=self.store.clock_us)
        return Step(
            self._later(job.run, 2 * DAY_US), look, after, is_job=True, between=between, finish=lambda: self.drop(name)
        )

    def move(self, name: str) -> Step:
        self._rule(name, Transitions=[{"Days": 1, "StorageClass": "COLD"}])

        def look() -> Seen:
            heads = [self.s3.head_object(Bucket=name, Key=key) for key in ("large", "small")]
            assert [self.see(name, key)[0] for key in ("large", "small")] == [LARGE, SMALL]
            return [head.get("StorageClass", "STANDARD") for head in heads]

        half = (["COLD", "STANDARD"], ["STANDARD", "COLD"])
        return self._lifecycle(name, look, ["COLD", "COLD"], half)

    def expire(self, name: str) -> Step:
        self._rule(name, Expiration={"Days": 1})
        half = ((MISSING, (SMALL, {}, {})), ((LARGE, {}, {}), MISSING))
        look = lambda: tuple(self.see(name, key) for key in ("large", "small"))  # noqa: E731
        return self._lifecycle(name, look, (MISSING, MISSING), half)

    def restore(self, name: str) -> Step:
        self.s3.put_object(Bucket="plain", Key=name, Body=LARGE, StorageClass="GLACIER")
        self.s3.restore_object(Bucket="plain", Key=name, RestoreRequest={"Days": 9000})
        job = build_restore_job(self.store.store, clock_us=self.store.clock_us)

        def look() -> Seen:
            try:
                return self.s3.get_object(Bucket="plain", Key=name)["Body"].read()
            except ClientError as error:
                expect(error, "InvalidObjectState")
                return WAITING

        return Step(self._later(job.run), look, LARGE, is_job=True)

    # -- bytes -------------------------------------------------------------------------------------------------------

    def scrub(self, name: str) -> Step:
        self.s3.create_bucket(Bucket=name)
        for key, body in (("large", LARGE), ("small", SMALL)):
            self.s3.put_object(Bucket=name, Key=key, Body=body)
        bucket = self.store.store.buckets.find(name)
        scrubber = build_scrubber(self.store.store, clock_us=self.store.clock_us)

        def look() -> Seen:
            damages = integrity_store(self.store.store.meta).list_damages()
            return [damage.reason for damage in damages], self.see(name, "large")

        after = [], (LARGE, {}, {})
        unreadable = ["unreadable"], (LARGE, {}, {})
        act = self._later(lambda: scrubber.run_now(bucket_id=bucket.id))
        return Step(act, look, after, is_job=True, between=(unreadable,), finish=lambda: self.drop(name))

    def register_image(self, name: str) -> Step:
        bundles, store = image_bundles(self.store.store), image_store(self.store.store)
        images = build_images(self.store.store, clock_us=self.store.clock_us)
        image = images.register(self.principal, Registration(self.bundle_keys, name=name))
        job = ImageJob(store, bundles, self.store.store.data, rsa_key(), now_us=self.store.clock_us)

        def look() -> Seen:
            found = store.get_image(image.image_id)
            if found.state is not ImageState.AVAILABLE:
                return found.reason or WAITING
            reader = self.store.store.data.open(found.ref)
            try:
                return reader.read(0, reader.size) == IMAGE
            finally:
                reader.close()

        def run() -> None:
            self.store.ahead_us += 3600 * S
            if look() == "There is not enough space left for the image.":  # which is told, and for its owner to answer
                images.deregister(self.principal, image.image_id)
                images.register(self.principal, Registration(self.bundle_keys, image_id=image.image_id, name=name))
            job.run()

        full = "There is not enough space left for the image."
        return Step(run, look, True, is_job=True, between=(full,))

    # -- what leaves -------------------------------------------------------------------------------------------------

    def deliver_logs(self, name: str) -> Step:
        group = Group.of(LogTarget("logs", f"{name}/"), Source("plain", OWNER, (OWNER,)), "us-east-1", 0)
        spool = Spool(self.store.state_path, now_us=self.store.clock_us)
        spool.write(group, Source("plain", OWNER, (OWNER,)), f"record of {name}")
        spool.close()
        job = build_log_delivery(self.store.store, self.store.settings, delivery_s=0, clock_us=self.store.clock_us)

        def look() -> Seen:
            keys = [key for key, _, _ in self.listed("logs", f"{name}/")]
            return [self.s3.get_object(Bucket="logs", Key=key)["Body"].read() for key in keys]

        return Step(self._later(job.run), look, [f"record of {name}\n".encode()], is_job=True)

    def notify(self, name: str) -> Step:
        topics = delivery_store(self.store.store.meta)
        topics.publish_event(Event(TOPIC, name, "s3:Test", name, self.store.clock_us()))

        def take(_subscription: Subscription, waiting: Waiting, /) -> None:
            self.taken.append(waiting.body)

        notifier = Notifier(topics, take, now_us=self.store.clock_us)

        def run() -> None:
            notifier.poll()
            notifier.wait()

        def look() -> Seen:
            return name in self.taken, topics.get_queue(f"{TOPIC}:one").waiting

        return Step(self._later(run), look, (True, 0), is_job=True, between=((True, 1),))


JOBS = (
    "collect", "reap", "move", "expire", "restore", "scrub", "register_image", "deliver_logs", "notify",
)  # fmt: skip
