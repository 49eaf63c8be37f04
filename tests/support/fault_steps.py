"""What is done to a store whose engines fail: every kind of request, each with what may be seen before and after it.

A step is prepared without faults; its request is then sent with one; afterwards the store shows ``before`` or ``after``
and nothing else, and the same request, sent again without a fault, leads to ``after``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from support.faulty_store import OWNER, FaultyStore

from nova_objectstore.limits import MiB

SMALL, OTHER, LARGE = b"small", b"another", bytes(range(256)) * 300
PART = bytes(range(256)) * (5 * MiB // 256)
MISSING = "missing"
LIFECYCLE = {
    "Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "none/"}, "Expiration": {"Days": 1}}]
}  # fmt: skip

Seen = Any


def expect(error: ClientError, *codes: str) -> None:
    """Let no other error pass for these."""
    if error.response["Error"]["Code"] not in codes:
        raise error


@dataclass(frozen=True)
class Step:
    """``act`` is the request, ``look`` what there is to see of it. ``done`` are codes that say it has happened already.

    A job may go on another time: it does not say so, and ``between`` is what may be seen meanwhile.
    """

    act: Callable[[], Any]
    look: Callable[[], Seen]
    after: Seen
    done: tuple[str, ...] = ()
    is_job: bool = False
    between: tuple[Seen, ...] = ()
    finish: Callable[[], None] = lambda: None


class Steps:
    """Makes steps on a store; each attempt has names of its own."""

    def __init__(self, store: FaultyStore) -> None:
        self.store = store
        self.s3 = store.s3

    # -- looking -----------------------------------------------------------------------------------------------------

    def see(self, bucket: str, key: str, **version: str) -> Seen:
        """A whole object: bytes, metadata, tags. GET, HEAD and the listing must agree."""
        names = {"Bucket": bucket, "Key": key, **version}
        try:
            got = self.s3.get_object(**names)
        except ClientError as error:
            expect(error, "NoSuchKey", "NoSuchVersion")
            assert version or self.listed(bucket, key) == []
            return MISSING
        body = got["Body"].read()
        head = self.s3.head_object(**names)
        assert (head["ETag"], head["ContentLength"]) == (got["ETag"], len(body))
        if not version:
            assert self.listed(bucket, key) == [(key, got["ETag"], len(body))]
        tags = self.s3.get_object_tagging(**names)["TagSet"]
        return body, got["Metadata"], {tag["Key"]: tag["Value"] for tag in tags}

    def listed(self, bucket: str, key: str) -> list[tuple[str, str, int]]:
        page = self.s3.list_objects_v2(Bucket=bucket, Prefix=key)
        return [(entry["Key"], entry["ETag"], entry["Size"]) for entry in page.get("Contents", ())]

    def versions(self, key: str) -> int:
        """How many versions and markers a key of the versioned bucket has."""
        page = self.s3.list_object_versions(Bucket="versioned", Prefix=key)
        return len(page.get("Versions", ())) + len(page.get("DeleteMarkers", ()))

    def ask(self, verb: str, field: str, **names: Any) -> Seen:
        """What a bucket is configured with; MISSING when it is not, or when there is none."""
        try:
            return getattr(self.s3, verb)(**names).get(field, MISSING)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            return MISSING

    def buckets(self, name: str) -> bool:
        return name in [bucket["Name"] for bucket in self.s3.list_buckets()["Buckets"]]

    def parts(self, **upload: str) -> Seen:
        """Number and size of an upload's parts; MISSING when it is over."""
        try:
            page = self.s3.list_parts(**upload)
        except ClientError as error:
            expect(error, "NoSuchUpload")
            return MISSING
        return [(part["PartNumber"], part["Size"]) for part in page.get("Parts", ())]

    def drop(self, bucket: str) -> None:
        """Remove a bucket and what is in it: jobs are slower for each that stays."""
        for entry in self.s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
            self.s3.delete_object(Bucket=bucket, Key=entry["Key"])
        self.s3.delete_bucket(Bucket=bucket)

    # -- objects -----------------------------------------------------------------------------------------------------

    def put(self, name: str, body: bytes, old: bytes | None = None, **facts: Any) -> Step:
        if old is not None:
            self.s3.put_object(Bucket="plain", Key=name, Body=old)
        return Step(
            lambda: self.s3.put_object(
                Bucket="plain", Key=name, Body=body, Metadata={"a": "b"}, Tagging="c=d", **facts
            ),
            lambda: self.see("plain", name),
            (body, {"a": "b"}, {"c": "d"}),
        )  # fmt: skip

    def put_small(self, name: str) -> Step:
        return self.put(name, SMALL)

    def put_large(self, name: str) -> Step:
        return self.put(name, LARGE)

    def put_sealed(self, name: str) -> Step:
        return self.put(name, LARGE, ServerSideEncryption="AES256")

    def overwrite_small_by_large(self, name: str) -> Step:
        return self.put(name, LARGE, SMALL)

    def overwrite_large_by_small(self, name: str) -> Step:
        return self.put(name, SMALL, LARGE)

    def put_if_absent(self, name: str) -> Step:
        step = self.put(name, LARGE, IfNoneMatch="*")
        return Step(step.act, step.look, step.after, done=("PreconditionFailed",))

    def put_version(self, name: str) -> Step:
        self.s3.put_object(Bucket="versioned", Key=name, Body=LARGE)
        return Step(
            lambda: self.s3.put_object(Bucket="versioned", Key=name, Body=OTHER),
            lambda: self.see("versioned", name),
            (OTHER, {}, {}),
        )

    def copy(self, name: str, body: bytes, **facts: Any) -> Step:
        self.s3.put_object(Bucket="plain", Key=f"{name}-source", Body=body, Metadata={"a": "b"})
        source = {"Bucket": "plain", "Key": f"{name}-source"}
        return Step(
            lambda: self.s3.copy_object(Bucket="plain", Key=f"{name}-copy", CopySource=source, **facts),
            lambda: self.see("plain", f"{name}-copy"),
            (body, {"a": "b"}, {}),
        )

    def copy_small(self, name: str) -> Step:
        return self.copy(name, SMALL)

    def copy_large(self, name: str) -> Step:
        return self.copy(name, LARGE)

    def copy_sealing(self, name: str) -> Step:
        return self.copy(name, LARGE, ServerSideEncryption="AES256")

    def delete(self, name: str) -> Step:
        self.s3.put_object(Bucket="plain", Key=name, Body=LARGE)
        return Step(
            lambda: self.s3.delete_object(Bucket="plain", Key=name), lambda: self.see("plain", name), MISSING
        )  # fmt: skip

    def hide(self, name: str) -> Step:
        self.s3.put_object(Bucket="versioned", Key=name, Body=LARGE)
        return Step(
            lambda: self.s3.delete_object(Bucket="versioned", Key=name), lambda: self.see("versioned", name), MISSING
        )

    def delete_version(self, name: str) -> Step:
        version = self.s3.put_object(Bucket="versioned", Key=name, Body=LARGE)["VersionId"]
        self.s3.put_object(Bucket="versioned", Key=name, Body=OTHER)
        names = {"Bucket": "versioned", "Key": name, "VersionId": version}
        return Step(
            lambda: self.s3.delete_object(**names),
            lambda: (self.see(**{"bucket": "versioned", "key": name}), self.versions(name)),
            ((OTHER, {}, {}), 1),
        )

    def delete_many(self, name: str) -> Step:
        keys = [f"{name}-{number}" for number in range(3)]
        for key in keys:
            self.s3.put_object(Bucket="plain", Key=key, Body=LARGE)
        objects = {"Objects": [{"Key": key} for key in keys]}
        return Step(
            lambda: self.s3.delete_objects(Bucket="plain", Delete=objects),
            lambda: [self.see("plain", key) for key in keys],
            [MISSING] * 3,
        )

    def tag(self, name: str) -> Step:
        self.s3.put_object(Bucket="plain", Key=name, Body=LARGE, Tagging="c=old")
        tags = {"TagSet": [{"Key": "c", "Value": "d"}]}
        return Step(
            lambda: self.s3.put_object_tagging(Bucket="plain", Key=name, Tagging=tags),
            lambda: self.see("plain", name),
            (LARGE, {}, {"c": "d"}),
        )

    def put_acl(self, name: str) -> Step:
        self.s3.put_object(Bucket="acls", Key=name, Body=SMALL)
        return Step(
            lambda: self.s3.put_object_acl(Bucket="acls", Key=name, ACL="public-read"),
            lambda: len(self.s3.get_object_acl(Bucket="acls", Key=name)["Grants"]),
            2,
        )

    # -- reading -----------------------------------------------------------------------------------------------------

    def get(self, name: str, body: bytes) -> Step:
        self.s3.put_object(Bucket="plain", Key=name, Body=body)

        def read() -> None:
            got = self.s3.get_object(Bucket="plain", Key=name)
            assert got["Body"].read() == body, "a reader saw something else"

        def look() -> Seen:
            seen = self.see("plain", name)
            self.s3.put_object(Bucket="plain", Key="written", Body=b"")  # so that no cache knows what is read next
            return seen

        return Step(read, look, (body, {}, {}))

    def get_small(self, name: str) -> Step:
        return self.get(name, SMALL)

    def get_large(self, name: str) -> Step:
        return self.get(name, LARGE)

    def get_sealed(self, name: str) -> Step:
        step = self.get(name, LARGE)
        self.s3.put_object(Bucket="plain", Key=name, Body=LARGE, ServerSideEncryption="AES256")
        return step

    def get_parts(self, name: str) -> Step:
        whole = self.complete(name)
        whole.act()

        def read() -> None:
            got = self.s3.get_object(Bucket="plain", Key=name)
            assert got["Body"].read() == PART + SMALL

        return Step(read, whole.look, whole.after)

    def list(self, name: str) -> Step:
        for number in range(3):
            self.s3.put_object(Bucket="plain", Key=f"{name}/{number}", Body=SMALL)

        def read() -> None:
            page = self.s3.list_objects_v2(Bucket="plain", Prefix=f"{name}/")
            assert [entry["Key"] for entry in page["Contents"]] == [f"{name}/{number}" for number in range(3)]

        return Step(read, lambda: len(self.listed("plain", f"{name}/")), 3)

    # -- uploads -----------------------------------------------------------------------------------------------------

    def _begin(self, name: str) -> dict[str, str]:
        names = {"Bucket": "plain", "Key": name}
        return {**names, "UploadId": self.s3.create_multipart_upload(**names)["UploadId"]}

    def begin_upload(self, name: str) -> Step:
        def uploads() -> bool:
            page = self.s3.list_multipart_uploads(Bucket="plain", Prefix=name)
            return bool(page.get("Uploads"))

        return Step(lambda: self._begin(name), uploads, True)

    def put_part(self, name: str) -> Step:
        upload = self._begin(name)
        return Step(
            lambda: self.s3.upload_part(**upload, PartNumber=1, Body=LARGE),
            lambda: self.parts(**upload),
            [(1, len(LARGE))],
            finish=lambda: self.s3.abort_multipart_upload(**upload),
        )

    def replace_part(self, name: str) -> Step:
        upload = self._begin(name)
        self.s3.upload_part(**upload, PartNumber=1, Body=LARGE + b"old")
        return Step(
            lambda: self.s3.upload_part(**upload, PartNumber=1, Body=LARGE),
            lambda: self.parts(**upload),
            [(1, len(LARGE))],
        )

    def copy_part(self, name: str) -> Step:
        self.s3.put_object(Bucket="plain", Key=f"{name}-source", Body=LARGE)
        upload, source = self._begin(name), {"Bucket": "plain", "Key": f"{name}-source"}
        return Step(
            lambda: self.s3.upload_part_copy(**upload, PartNumber=1, CopySource=source),
            lambda: self.parts(**upload),
            [(1, len(LARGE))],
        )

    def complete(self, name: str) -> Step:
        self.s3.put_object(Bucket="plain", Key=name, Body=LARGE)
        upload = self._begin(name)
        parts = [
            {"PartNumber": number, "ETag": self.s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
            for number, body in enumerate((PART, SMALL), start=1)
        ]
        return Step(
            lambda: self.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts}),
            lambda: self.see("plain", name),
            (PART + SMALL, {}, {}),
        )

    def abort_upload(self, name: str) -> Step:
        upload = self._begin(name)
        self.s3.upload_part(**upload, PartNumber=1, Body=LARGE)
        return Step(
            lambda: self.s3.abort_multipart_upload(**upload),
            lambda: self.parts(**upload),
            MISSING,
            done=("NoSuchUpload",),
        )

    # -- buckets -----------------------------------------------------------------------------------------------------

    def create_bucket(self, name: str) -> Step:
        return Step(
            lambda: self.s3.create_bucket(Bucket=name),
            lambda: self.buckets(name),
            True,
            done=("BucketAlreadyOwnedByYou",),
            finish=lambda: self.drop(name),
        )

    def delete_bucket(self, name: str) -> Step:
        self.s3.create_bucket(Bucket=name)
        return Step(
            lambda: self.s3.delete_bucket(Bucket=name), lambda: self.buckets(name), False, done=("NoSuchBucket",)
        )  # fmt: skip

    def configure(self, name: str, verb: str, field: str, after: Seen, settings: Mapping[str, Any]) -> Step:
        self.s3.create_bucket(Bucket=name)
        return Step(
            lambda: getattr(self.s3, f"put_{verb}")(Bucket=name, **settings),
            lambda: self.ask(f"get_{verb}", field, Bucket=name),
            after,
            finish=lambda: self.drop(name),
        )

    def put_policy(self, name: str) -> Step:
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": OWNER},
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{name}/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        return self.configure(name, "bucket_policy", "Policy", policy, {"Policy": policy})

    def put_versioning(self, name: str) -> Step:
        settings = {"VersioningConfiguration": {"Status": "Enabled"}}
        return self.configure(name, "bucket_versioning", "Status", "Enabled", settings)

    def put_lifecycle(self, name: str) -> Step:
        settings = {"LifecycleConfiguration": LIFECYCLE}
        return self.configure(name, "bucket_lifecycle_configuration", "Rules", LIFECYCLE["Rules"], settings)

    def put_bucket_tags(self, name: str) -> Step:
        tags = [{"Key": "c", "Value": "d"}]
        return self.configure(name, "bucket_tagging", "TagSet", tags, {"Tagging": {"TagSet": tags}})


REQUESTS = (
    "put_small", "put_large", "put_sealed", "overwrite_small_by_large", "overwrite_large_by_small", "put_if_absent",
    "put_version", "copy_small", "copy_large", "copy_sealing", "delete", "hide", "delete_version", "delete_many", "tag",
    "put_acl", "get_small", "get_large", "get_sealed", "get_parts", "list", "begin_upload", "put_part", "replace_part",
    "copy_part", "complete", "abort_upload", "create_bucket", "delete_bucket", "put_policy", "put_versioning",
    "put_lifecycle", "put_bucket_tags",
)  # fmt: skip
