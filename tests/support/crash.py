"""The crash harness: clients at work on a real store, which is killed at random moments; then everything is looked at.

Each client has keys of its own, so that what must be there is known. A client stops at the first request without an
answer; that one may have happened or not. After each kill the store must hold exactly what was acknowledged.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
from botocore.exceptions import BotoCoreError, ClientError
from support.crash_model import Change, Object, Plan, Versions, etag_of, multipart_etag, tagged
from support.store import Store, root_environ, store_command

from nova_objectstore import assembly
from nova_objectstore.assembly import Settings, build_store, integrity_store
from nova_objectstore.assembly_integrity import build_checker, build_scrubber
from nova_wsgi import green
from nova_wsgi.testing import LiveServer, free_port, wait_until, workers

CLIENTS = 4
KEYS = 4  # of each client, in its bucket
SENT_MAX = 40  # requests that are sent before a kill
END_S = 20.0  # how long the children of a killed parent may live
BUCKETS = ("plain", "versioned")
KILLS = ("parent", "worker", "everything")


class Lost(AssertionError):
    """The store does not hold what it acknowledged, or holds something else."""


@dataclass
class Result:
    """What a run came to."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    open_changes: Counter[str] = field(default_factory=Counter)  # without an answer, by what became of them
    checks: int = 0
    seconds: float = 0.0

    def table(self) -> str:
        """For people."""
        rows = [("seed", self.seed), *((f"kills of {kind}", self.kills[kind]) for kind in KILLS)]
        rows += [(f"acknowledged: {what}", count) for what, count in sorted(self.acknowledged.items())]
        rows += [(f"unanswered: {what}", count) for what, count in sorted(self.open_changes.items())]
        rows += [("keys checked", self.checks), ("seconds", round(self.seconds, 1)), ("lost", 0)]
        return "\n".join(f"{name:<28}{value:>12,}" for name, value in rows)


class Worker:
    """One client, with what it knows of its keys. Any error but a refusal ends its round."""

    def __init__(self, harness: Harness, number: int, seed: int) -> None:
        self.harness = harness
        self.bucket = BUCKETS[number % len(BUCKETS)]
        self.plan = Plan(seed, is_versioned=self.bucket == "versioned")
        self.keys = {f"client{number}/key{index}": () for index in range(KEYS)}  # type: dict[str, Versions]
        self.open: dict[str, Change] = {}
        self.touched: set[str] = set(self.keys)
        self.error: BaseException | None = None

    def work(self) -> None:
        """Until the round is over, or an answer does not come."""
        try:
            while self.harness.goes_on and not self.open:
                self.step()
        except (BotoCoreError, OSError):
            pass  # no answer
        except ClientError as error:
            if status_of(error) < 500:
                self.error = error
        except BaseException as error:  # noqa: BLE001  told to whoever started the round, a failed assertion too
            self.error = error
        finally:
            self.harness.at_work -= 1

    def step(self) -> None:
        key = self.plan.rng.choice(list(self.keys))
        verb = self.plan.verb(self.keys[key])
        self.touched.add(key)
        getattr(self, verb)(key, self.keys[key])
        self.harness.result.acknowledged[verb] += 1
        self.harness.answered += 1

    @contextmanager
    def change(self, key: str, what: str, after: Versions) -> Iterator[dict[str, Any]]:
        """Sends a request; when its answer came, ``after`` is what there is, with the version id that was told."""
        self.open[key] = Change(what, self.keys[key], after)
        self.harness.sent += 1
        told: dict[str, Any] = {}
        yield told
        del self.open[key]
        version_id = told.get("VersionId")
        if version_id and after and not after[0].version_id:
            after = (replace(after[0], version_id=version_id), *after[1:])
        self.keys[key] = after

    # -- what it does ------------------------------------------------------------------------------------------------

    def put(self, key: str, versions: Versions) -> None:
        body, metadata, tags = self.plan.body(), self.plan.metadata(), self.plan.tags()
        data = body.read()
        new = Object(etag_of(data), (body,), metadata, tags)
        with self.change(key, "put", self.plan.add(versions, new)) as told:
            told |= self.s3.put_object(
                Bucket=self.bucket, Key=key, Body=data, Metadata=metadata, Tagging=f"colour={tags['colour']}"
            )

    def refused(self, key: str, versions: Versions) -> None:
        """A body that is not the one that was announced: nothing of it may ever be there."""
        data = self.plan.body().read()
        wrong = base64.b64encode(hashlib.md5(data + b"!").digest()).decode()
        with self.change(key, "refused", versions):
            try:
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=data, ContentMD5=wrong)
            except ClientError as error:
                if status_of(error) >= 500:
                    raise
                if error.response["Error"]["Code"] != "BadDigest":
                    raise Lost(f"{key}: {error}") from error
            else:
                raise Lost(f"{key}: a wrong body was taken")

    def delete(self, key: str, versions: Versions) -> None:
        with self.change(key, "delete", self.plan.hide(versions)) as told:
            told |= self.s3.delete_object(Bucket=self.bucket, Key=key)

    def delete_version(self, key: str, versions: Versions) -> None:
        gone = self.plan.rng.randrange(len(versions))
        with self.change(key, "delete_version", (*versions[:gone], *versions[gone + 1 :])):
            self.s3.delete_object(Bucket=self.bucket, Key=key, VersionId=versions[gone].version_id)

    def copy(self, key: str, versions: Versions) -> None:
        target = self.plan.rng.choice([name for name in self.keys if name != key])
        source = versions[0]
        self.touched.add(target)
        copied = replace(source, etag=etag_of(source.read()), version_id="")
        with self.change(target, "copy", self.plan.add(self.keys[target], copied)) as told:
            told |= self.s3.copy_object(Bucket=self.bucket, Key=target, CopySource={"Bucket": self.bucket, "Key": key})

    def tag(self, key: str, versions: Versions) -> None:
        tags = self.plan.tags()
        with self.change(key, "tag", tagged(versions, tags)):
            self.s3.put_object_tagging(
                Bucket=self.bucket, Key=key, Tagging={"TagSet": [{"Key": k, "Value": v} for k, v in tags.items()]}
            )

    def multipart(self, key: str, versions: Versions) -> None:
        pieces, metadata = self.plan.pieces(), self.plan.metadata()
        names = {"Bucket": self.bucket, "Key": key}
        with self.change(key, "upload", versions):
            upload = self.s3.create_multipart_upload(**names, Metadata=metadata)["UploadId"]
            etags = [
                self.s3.upload_part(**names, UploadId=upload, PartNumber=number, Body=piece.read())["ETag"]
                for number, piece in enumerate(pieces, start=1)
            ]
        new = Object(multipart_etag(pieces), pieces, metadata)
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
        with self.change(key, "complete", self.plan.add(versions, new)) as told:
            told |= self.s3.complete_multipart_upload(**names, UploadId=upload, MultipartUpload={"Parts": parts})

    @property
    def s3(self) -> Any:
        return self.harness.s3


def status_of(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


class Harness:
    """A store, its clients, and the one who kills it."""

    def __init__(self, state_path: Path, seed: int) -> None:
        self.state_path = state_path
        self.rng = random.Random(seed)
        self.result = Result(seed)
        self.port = free_port()
        self.goes_on = False
        self.sent = self.answered = self.at_work = 0
        self.server = self.start()
        store = Store(self.server, state_path)
        self.s3 = store.client(retries={"total_max_attempts": 1}, max_pool_connections=CLIENTS)
        self.patient = store.client(retries={"total_max_attempts": 6})
        for bucket in BUCKETS:
            self.patient.create_bucket(Bucket=bucket)
        self.patient.put_bucket_versioning(Bucket="versioned", VersioningConfiguration={"Status": "Enabled"})
        self.workers = [Worker(self, number, self.rng.getrandbits(32)) for number in range(CLIENTS)]

    def start(self) -> LiveServer:
        command = store_command(self.state_path, "--access-log-file", "off", port=self.port)
        return LiveServer(command, environ=root_environ())

    def close(self) -> None:
        self.server.kill()

    def run(self, kills: int, *, tell: Any = lambda _line: None) -> Result:
        """Kill the store so many times, and look at everything after each. Raises Lost."""
        begun_s = time.monotonic()
        for number in range(1, kills + 1):
            kind = self.rng.choice(KILLS)
            self.round(kind)
            self.result.kills[kind] += 1
            self.check_everything()
            tell(f"{number}/{kills} {kind}: {self.answered} acknowledged")
        self.result.seconds = time.monotonic() - begun_s
        return self.result

    # -- a round -----------------------------------------------------------------------------------------------------

    def round(self, kind: str) -> None:
        """Let the clients work, kill at a moment while they do, and have the store run again."""
        self.goes_on = True
        target = self.sent + self.rng.randrange(1, SENT_MAX)
        moment_s = self.rng.random() * 0.02
        self.at_work = len(self.workers)
        running = [green.spawn(worker.work) for worker in self.workers]
        wait_until(lambda: self.sent >= target or self.at_work == 0, END_S, what="requests")
        green.sleep(moment_s)  # nothing is waited for: it is what makes the moment a random one
        self.kill(kind)
        self.goes_on = False
        for greenthread in running:
            greenthread.wait()
        for worker in self.workers:
            if worker.error is not None:
                raise worker.error

    def kill(self, kind: str) -> None:
        children = workers(self.server.pid)
        if kind == "worker":
            os.kill(self.rng.choice(children), signal.SIGKILL)
            return
        if kind == "parent":
            os.kill(self.server.pid, signal.SIGKILL)
            wait_until(lambda: not any(map(psutil.pid_exists, children)), END_S, what="the end of its workers")
        self.server.kill()
        self.server = self.start()

    # -- looking -----------------------------------------------------------------------------------------------------

    def check_everything(self) -> None:
        """What was acknowledged is there, nothing else is, and the two engines agree."""
        for worker in self.workers:
            for key in sorted(worker.touched):
                self.check_key(worker, key)
                self.result.checks += 1
            worker.touched = set()
        self.check_listings()
        self.abort_uploads()
        self.check_engines()

    def check_key(self, worker: Worker, key: str) -> None:
        found = self.read_versions(worker, key)
        change = worker.open.pop(key, None)
        outcomes = [worker.keys[key]] if change is None else change.outcomes
        for wanted in outcomes:
            matched = match(wanted, found)
            # A listing may be the same before and after: tags and metadata do not stand in it.
            if matched is not None and (change is None or self.is_newest(worker, key, wanted)):
                worker.keys[key] = matched
                break
        else:
            raise Lost(f"seed {self.result.seed}: {worker.bucket}/{key} has {found}, not one of {outcomes}")
        if change is not None and change.before != change.after:
            self.result.open_changes["not done" if wanted is change.before else "done"] += 1
        for at, version in enumerate(worker.keys[key]):
            if at == 0 or self.rng.random() < 0.3:
                self.check_object(worker.bucket, key, version, is_newest=at == 0)
        if not worker.keys[key] or worker.keys[key][0].is_marker:
            self.check_absent(worker.bucket, key)

    def is_newest(self, worker: Worker, key: str, wanted: Versions) -> bool:
        """Whether the current object is the newest of ``wanted``, in what a listing does not tell."""
        if not wanted or wanted[0].is_marker:
            return True
        names = {"Bucket": worker.bucket, "Key": key}
        metadata = self.patient.head_object(**names)["Metadata"]
        return metadata == wanted[0].metadata and self.read_tags(**names) == wanted[0].tags

    def read_tags(self, **names: str) -> dict[str, str]:
        return {tag["Key"]: tag["Value"] for tag in self.patient.get_object_tagging(**names)["TagSet"]}

    def read_versions(self, worker: Worker, key: str) -> list[dict[str, Any]]:
        """Newest first."""
        page = self.patient.list_object_versions(Bucket=worker.bucket, Prefix=key)
        assert not page["IsTruncated"]
        found, markers = page.get("Versions", []), page.get("DeleteMarkers", [])
        if found and markers:
            found = self.raw_order(worker.bucket, key)
        else:
            found = [*found, *({**marker, "ETag": ""} for marker in markers)]
        assert [entry["IsLatest"] for entry in found] == [True, *[False] * (len(found) - 1)][: len(found)], found
        return found

    def raw_order(self, bucket: str, key: str) -> list[dict[str, Any]]:
        """boto3 tells versions and markers apart: their common order is that of pages of one entry."""
        entries: list[dict[str, Any]] = []
        marks: dict[str, str] = {}
        while True:
            page = self.patient.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=1, **marks)
            entries += page.get("Versions", ())
            entries += ({**marker, "ETag": ""} for marker in page.get("DeleteMarkers", ()))
            if not page["IsTruncated"]:
                return entries
            marks = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}

    def check_object(self, bucket: str, key: str, wanted: Object, *, is_newest: bool) -> None:
        if wanted.is_marker:
            return
        names = {"Bucket": bucket, "Key": key}
        if not is_newest:
            names["VersionId"] = wanted.version_id
        got, head = self.patient.get_object(**names), self.patient.head_object(**names)
        body = got["Body"].read()
        for answer in (got, head):
            assert answer["ETag"] == f'"{wanted.etag}"', (self.result.seed, key, answer["ETag"], wanted)
            assert answer["Metadata"] == wanted.metadata, (self.result.seed, key)
            assert answer["ContentLength"] == wanted.size, (self.result.seed, key)
        if body != wanted.read():
            raise Lost(f"seed {self.result.seed}: {bucket}/{key}: other bytes")
        assert self.read_tags(**names) == wanted.tags, (self.result.seed, key)

    def check_absent(self, bucket: str, key: str) -> None:
        try:
            self.patient.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise Lost(f"seed {self.result.seed}: {key}: {error}") from error
        else:
            raise Lost(f"seed {self.result.seed}: {bucket}/{key}: deleted, and there")

    def check_listings(self) -> None:
        for bucket in BUCKETS:
            pages = self.patient.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            found = {
                entry["Key"]: (entry["ETag"], entry["Size"]) for page in pages for entry in page.get("Contents", ())
            }
            wanted = {
                key: (f'"{versions[0].etag}"', versions[0].size)
                for worker in self.workers
                if worker.bucket == bucket
                for key, versions in worker.keys.items()
                if versions and not versions[0].is_marker
            }
            assert found == wanted, (self.result.seed, bucket)

    def abort_uploads(self) -> None:
        """What was begun and not completed is given up, as a client would."""
        for bucket in BUCKETS:
            for upload in self.patient.list_multipart_uploads(Bucket=bucket).get("Uploads", ()):
                self.patient.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def check_engines(self) -> None:
        """Beside the running store: collect what is garbage, then metadata and data name the same, and bytes are sound."""
        settings = Settings(state_path=self.state_path, collect_delay_s=-1)
        store = build_store(settings)
        store.open()
        try:
            collect_and_check(store, settings)
        except AssertionError as error:
            raise Lost(f"seed {self.result.seed}: {error}") from error
        finally:
            store.close()


def collect_and_check(store: assembly.Store, settings: Settings) -> None:
    """Collect what is garbage; then metadata and data name the same, and bytes are sound. Raises Lost."""
    store.collector.run()
    problems = list(build_checker(store, settings).run(repair=False, young_s=0))
    if problems:
        raise Lost(str(problems))
    if build_scrubber(store).run_now().damages:
        raise Lost("stored bytes are damaged")
    named = {found.ref for found in store.data.list_settled()}
    if named != set(integrity_store(store.meta).live_refs(sorted(named))):
        raise Lost("collected, and still there")


def match(wanted: Versions, found: list[dict[str, Any]]) -> Versions | None:
    """``wanted`` with the version ids that were found; None when it is not what was found."""
    if len(wanted) != len(found):
        return None
    matched = []
    for version, entry in itertools.zip_longest(wanted, found):
        if version.version_id not in ("", entry["VersionId"]) or version.is_marker != (not entry["ETag"]):
            return None
        if not version.is_marker and (entry["ETag"], entry["Size"]) != (f'"{version.etag}"', version.size):
            return None
        matched.append(replace(version, version_id=entry["VersionId"]))
    return tuple(matched)


def seed_of(environ: Any = os.environ) -> int:
    """CRASH_SEED, or a random one."""
    return int(environ.get("CRASH_SEED") or random.SystemRandom().getrandbits(32))
