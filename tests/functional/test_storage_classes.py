"""Storage classes of a real store: two of them in places of their own, one an archive; two workers, and a job beside."""

import os
import subprocess
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from support.store import root_environ, running_store, store_command

from nova_objectstore.assembly import Settings, build_store
from nova_objectstore.data.files import STAGING_DIRECTORY
from nova_objectstore.data.places import MARK_NAME
from nova_objectstore.domain.storage_classes import StorageClassSettings
from nova_objectstore.limits import PART_SIZE_MIN
from nova_wsgi.testing import wait_until

BODY = os.urandom(100_000)
DEADLINE_S = 20


class Places:
    """Where the classes of a store have their data."""

    def __init__(self, path: Path) -> None:
        self.state, self.warm, self.cold = path / "state", path / "warm", path / "cold"
        self.conf = path / "nova.conf"
        self.conf.write_text(
            f"[storage_class:WARM]\ndata = {self.warm.as_uri()}\n"
            f"[storage_class:GLACIER]\ndata = {self.cold.as_uri()}\narchive = true\ninline_size_max = 0\n"
        )

    def settings(self) -> Settings:
        """The same as the configuration says."""
        return Settings(
            state_path=self.state,
            sync="never",
            collect_delay_s=0,
            storage_classes=(
                StorageClassSettings("WARM", self.warm.as_uri()),
                StorageClassSettings("GLACIER", self.cold.as_uri(), is_archive=True, inline_size_max=0),
            ),
        )

    def arguments(self, *more: str) -> tuple[str, ...]:
        return ("--config-file", str(self.conf), "--sync", "never", "--collect-delay-s", "0", *more)


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path)


def files(place: Path) -> int:
    """How many bodies lie in a data engine's directory."""
    return sum(
        len(list(folder.iterdir())) for folder in place.iterdir() if folder.name not in (STAGING_DIRECTORY, MARK_NAME)
    )


def refused(call, **arguments) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_each_class_has_its_place(places):
    with running_store(places.state, *places.arguments()) as store:
        s3 = store.client()
        s3.create_bucket(Bucket="photos")
        for storage_class in ("STANDARD", "WARM", "STANDARD_IA"):
            s3.put_object(Bucket="photos", Key=storage_class, Body=BODY, StorageClass=storage_class)
        assert (files(places.state / "data"), files(places.warm), files(places.cold)) == (2, 1, 0)
        s3.put_object(Bucket="photos", Key="GLACIER", Body=b"meow", StorageClass="GLACIER")
        assert files(places.cold) == 1

        listed = {entry["Key"]: entry["StorageClass"] for entry in s3.list_objects_v2(Bucket="photos")["Contents"]}
        assert listed == {name: name for name in ("STANDARD", "WARM", "STANDARD_IA", "GLACIER")}
        for storage_class in ("STANDARD", "WARM", "STANDARD_IA"):
            found = s3.get_object(Bucket="photos", Key=storage_class)
            assert found["Body"].read() == BODY
            assert found.get("StorageClass", "STANDARD") == storage_class
        assert refused(s3.put_object, Bucket="photos", Key="k", StorageClass="CHEAP") == ("InvalidStorageClass", 400)

        # A copy into another class has its bytes there; parts lie where their upload's class does.
        s3.copy_object(Bucket="photos", Key="STANDARD", CopySource="photos/STANDARD", StorageClass="WARM")
        assert files(places.warm) == 2
        upload = s3.create_multipart_upload(Bucket="photos", Key="parts", StorageClass="WARM")["UploadId"]
        named = {"Bucket": "photos", "Key": "parts", "UploadId": upload}
        parts = [
            {"PartNumber": number, "ETag": s3.upload_part(**named, PartNumber=number, Body=body)["ETag"]}
            for number, body in enumerate((bytes(PART_SIZE_MIN), BODY), start=1)
        ]
        s3.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
        assert files(places.warm) == 4
        assert s3.get_object(Bucket="photos", Key="parts")["Body"].read() == bytes(PART_SIZE_MIN) + BODY

        for key in ("STANDARD", "WARM", "STANDARD_IA", "GLACIER", "parts"):
            s3.delete_object(Bucket="photos", Key=key)
    store = build_store(places.settings())
    store.open()
    assert store.collector.run() == 7
    store.close()
    assert (files(places.state / "data"), files(places.warm), files(places.cold)) == (0, 0, 0)


def test_an_archived_object_is_restored_and_archived_again(places):
    with running_store(places.state, *places.arguments("--lifecycle-day-s", "2")) as store:
        s3 = store.client()
        s3.create_bucket(Bucket="photos")
        s3.put_object(Bucket="photos", Key="cat", Body=BODY, StorageClass="GLACIER")
        s3.put_object(Bucket="photos", Key="dog", Body=BODY)
        cat = {"Bucket": "photos", "Key": "cat"}

        assert refused(s3.get_object, **cat) == ("InvalidObjectState", 403)
        assert refused(s3.copy_object, Bucket="photos", Key="twin", CopySource="photos/cat") == (
            "InvalidObjectState",
            403,
        )
        head = s3.head_object(**cat)
        assert (head["StorageClass"], head["ContentLength"], "Restore" in head) == ("GLACIER", len(BODY), False)
        request = {"Days": 3, "GlacierJobParameters": {"Tier": "Expedited"}}
        assert refused(s3.restore_object, Bucket="photos", Key="dog", RestoreRequest=request) == (
            "InvalidObjectState",
            403,
        )
        begun = s3.restore_object(**cat, RestoreRequest=request)
        assert begun["ResponseMetadata"]["HTTPStatusCode"] == 202

        wait_until(
            lambda: 'ongoing-request="false"' in s3.head_object(**cat).get("Restore", ""),
            DEADLINE_S,
            what="it is restored",
        )
        assert s3.get_object(**cat)["Body"].read() == BODY
        assert s3.get_object(**cat, Range="bytes=10-19")["Body"].read() == BODY[10:20]
        s3.copy_object(Bucket="photos", Key="twin", CopySource="photos/cat")
        assert s3.get_object(Bucket="photos", Key="twin")["Body"].read() == BODY
        again = s3.restore_object(**cat, RestoreRequest={"Days": 1})
        assert again["ResponseMetadata"]["HTTPStatusCode"] == 200
        for page in (
            s3.list_objects_v2(Bucket="photos", OptionalObjectAttributes=["RestoreStatus"])["Contents"],
            s3.list_objects(Bucket="photos", OptionalObjectAttributes=["RestoreStatus"])["Contents"],
            s3.list_object_versions(Bucket="photos", OptionalObjectAttributes=["RestoreStatus"])["Versions"],
        ):
            shown = {entry["Key"]: entry.get("RestoreStatus", {}).get("IsRestoreInProgress") for entry in page}
            assert shown == {"cat": False, "dog": None, "twin": None}

        def is_archived_again():
            return "Restore" not in s3.head_object(**cat)

        wait_until(is_archived_again, DEADLINE_S, what="the copy is over")
        assert refused(s3.get_object, **cat) == ("InvalidObjectState", 403)


def test_every_worker_sees_a_move_at_once(places):
    """Another process moves two objects to and fro, and what they leave is collected at once."""
    with running_store(places.state, *places.arguments()) as running:
        s3 = running.client()
        s3.create_bucket(Bucket="photos")
        s3.put_object(Bucket="photos", Key="cat", Body=BODY)
        upload = s3.create_multipart_upload(Bucket="photos", Key="parts")["UploadId"]
        named = {"Bucket": "photos", "Key": "parts", "UploadId": upload}
        part = s3.upload_part(**named, PartNumber=1, Body=BODY)
        s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
        store = build_store(places.settings())
        store.open()
        bucket = store.buckets.find("photos")
        etags = {key: s3.head_object(Bucket="photos", Key=key)["ETag"] for key in ("cat", "parts")}
        for number in range(30):
            for key in etags:
                target = "WARM" if number % 2 == 0 else "STANDARD"
                assert store.mover.move(bucket, store.objects.get(bucket, key), target) is not None
            store.collector.run()
            for key, etag in etags.items():
                found = s3.get_object(Bucket="photos", Key=key)
                assert (found["ETag"], found["Body"].read()) == (etag, BODY)
                assert found.get("StorageClass", "STANDARD") == target
        store.close()


def start_fails(places) -> str:
    """The one line that the store ends with."""
    done = subprocess.run(
        store_command(places.state, *places.arguments()),
        env={**os.environ, **root_environ()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    return line


def test_a_place_that_is_not_the_one_it_was_ends_the_start(places):
    with running_store(places.state, *places.arguments()) as store:
        s3 = store.client()
        s3.create_bucket(Bucket="photos")
        s3.put_object(Bucket="photos", Key="cat", Body=BODY, StorageClass="WARM")
    configured = places.conf.read_text()

    places.warm.rename(places.warm.with_name("elsewhere"))
    assert "is its disk mounted?" in start_fails(places)
    places.warm.rmdir()
    places.warm.with_name("elsewhere").rename(places.warm)

    places.conf.write_text(configured.replace("warm", "cold2").replace("cold\n", "warm\n"))
    assert "storage_class:" in start_fails(places)
    places.conf.write_text("")
    assert "there are objects of this class" in start_fails(places)
    places.conf.write_text("[storage_class:WARM]\ndat = x\n")
    assert "[storage_class:WARM] dat: no such option" in start_fails(places)

    places.conf.write_text(configured)
    with running_store(places.state, *places.arguments()) as store:
        s3 = store.client()
        assert s3.get_object(Bucket="photos", Key="cat")["Body"].read() == BODY
        s3.delete_object(Bucket="photos", Key="cat")


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ("[storage_class:STANDARD]\narchive = true\n", "its objects lie in state_path"),
        ("[storage_class:cold]\n", "not a name"),
        ("[storage_class:]\n", "the section has no name"),
        ("[storage_class:COLD]\ndata = rados://pool\n", "not the URL of a data engine"),
        ("[storage_class:COLD]\ndata = file://elsewhere/path\n", "a directory of this host"),
        ("[storage_class:COLD]\narchive = perhaps\n", "archive"),
        ("[storage_class:COLD]\ninline_size_max = -1\n", "inline_size_max"),
        ("[storage_class:A]\ndata = file:///tmp/x\n[storage_class:B]\ndata = file:///tmp/x/y\n", "the place of"),
        ("[storage_class:COLD]\ndata = file://STATE/data/x\n", "the place of STANDARD"),
    ],
)
def test_a_section_that_makes_no_sense_is_told_in_one_line(places, section, told):
    places.conf.write_text(section.replace("STATE", str(places.state)))
    line = start_fails(places)

    assert told in line
    assert "storage_class" in line
