"""Encrypted objects on real engines: what lies on the disk, what opens it, and what does not."""

import hashlib
import os
import random
import tracemalloc

import pytest

from nova_objectstore.assembly import Settings, build_store, open_keyring
from nova_objectstore.checksums import CRC64NVME
from nova_objectstore.crypto.frames import FRAME_SIZE, STORED_FRAME_SIZE, stored_size
from nova_objectstore.crypto.keyring import KEYRING_NAME, STORE_KEY
from nova_objectstore.domain.accounts import Accounts
from nova_objectstore.domain.bodies import Digests
from nova_objectstore.domain.bucket_encryption import (
    SSE_C,
    SSE_KMS,
    SSE_S3,
    BucketEncryption,
    CustomerKey,
    Scheme,
)
from nova_objectstore.domain.encryption import MANAGED_KEY, describe
from nova_objectstore.domain.objects import Delete, ObjectSpec
from nova_objectstore.domain.uploads import ChosenPart
from nova_objectstore.errors import (
    AccessDenied,
    DataCorrupt,
    InvalidRequest,
    KmsKeyDisabled,
    NoSuchKey,
    NoSuchKmsKey,
)
from nova_objectstore.limits import INLINE_SIZE_MAX, PART_SIZE_MIN, STREAM_BUFFER, KiB, MiB
from nova_objectstore.types import UNCONDITIONAL, ContentKind, Version, Versioning
from nova_wsgi import green
from nova_wsgi.response import FileBody, FileSegment

OWNER = "111122223333"
CUSTOMER, OTHER = CustomerKey(bytes(range(32))), CustomerKey(bytes(range(1, 33)))
SCHEMES = [
    Scheme(SSE_S3),
    Scheme(SSE_KMS, "one"),
    Scheme(SSE_KMS, "one", context='{"a":"b"}', bucket_key=True),
    Scheme(SSE_C, customer=CUSTOMER),
]
IDS = ["SSE-S3", "SSE-KMS", "SSE-KMS with a context", "SSE-C"]
SIZES = [0, 1, INLINE_SIZE_MAX, INLINE_SIZE_MAX + 1, FRAME_SIZE - 1, FRAME_SIZE, FRAME_SIZE + 1, MiB + 17]


class Body:
    """A body as the front hands it in."""

    def __init__(self, content: bytes, *, told: bool = True) -> None:
        self.size = len(content) if told else None
        self._md5 = hashlib.md5()
        self.hashers = [self._md5]
        self._content = memoryview(content)

    def read(self, size, /):
        green.sleep(0)
        data, self._content = self._content[:size], self._content[size:]
        return bytes(data)

    def finish(self):
        pass

    def digests(self):
        return Digests(self._md5.hexdigest(), None)


class Place:
    """A store on real engines, with two keys."""

    def __init__(self, path, **settings) -> None:
        self.path = path
        self.settings = Settings(state_path=path, sync="never", **settings)
        self.store = build_store(self.settings)
        self.store.open()
        account, _ = Accounts(self.store.meta, now_us=lambda: 1).create("owner", account_id=OWNER)
        assert account.id == OWNER
        self.keyring = open_keyring(self.settings)  # another one than the store's: as that of nova-manage
        for key_id in ("one", "two"):
            self.keyring.create(key_id)
        self.bucket = self.store.buckets.create("photos", owner_id=OWNER)

    def put(self, key, content, scheme=None, **options) -> Version:
        return self.store.objects.put(
            self.find_bucket(), ObjectSpec(key, OWNER, encryption=scheme), Body(content, **options)
        )

    def find_bucket(self):
        return self.store.buckets.find("photos")

    def get(self, key) -> Version:
        return self.store.objects.get(self.bucket, key, inline=True)

    def copy(self, source, key, scheme=None, *, customer=None) -> Version:
        spec = ObjectSpec(key, OWNER, encryption=scheme)
        return self.store.objects.copy(self.get(source), self.find_bucket(), spec, customer=customer)

    def read(self, key, first=0, last=None, *, customer=None) -> bytes:
        """The bytes, by both ways out."""
        version = self.get(key)
        body = self.store.egress.open_body(version, first, last, customer=customer)
        try:
            sent = b"".join(body)
        finally:
            if isinstance(body, FileBody):
                body.close()
        assert sent == b"".join(self.store.egress.read(version, first, last, customer=customer))
        return sent

    def multipart(self, key, contents, scheme=None, *, customer=None) -> Version:
        uploads = self.store.uploads
        begun = uploads.begin(self.find_bucket(), ObjectSpec(key, OWNER, encryption=scheme), initiator="")
        upload = uploads.get(self.bucket, key, begun.upload_id)
        parts = [
            uploads.put_part(upload, number, Body(content), customer=customer)
            for number, content in enumerate(contents, start=1)
        ]
        chosen = [ChosenPart(part.number, part.etag) for part in parts]
        return uploads.complete(self.bucket, key, upload.upload_id, chosen, customer=customer)

    def data_file(self, key):
        (found,) = self.path.joinpath("data").glob(f"*/{self.get(key).content.ref}")
        return found

    def disk(self) -> bytes:
        """All that lies in the state directory."""
        return b"".join(file.read_bytes() for file in self.path.rglob("*") if file.is_file())


@pytest.fixture
def place(tmp_path):
    made = Place(tmp_path / "state")
    yield made
    made.store.close()


@pytest.fixture(autouse=True)
def deadline():
    with green.Timeout(60):
        yield


# -- every way of encryption --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@pytest.mark.parametrize("size", SIZES)
def test_an_object_of_any_size_and_any_range_of_it_comes_out_again(place, scheme, size):
    content = os.urandom(size)
    version = place.put("cat", content, scheme, told=size % 2 == 0)

    assert version.size == size
    assert place.read("cat", customer=scheme.customer) == content
    rng = random.Random(size)
    edges = [0, 1, FRAME_SIZE - 1, FRAME_SIZE, FRAME_SIZE + 1, size // 2, size - 2, size - 1]
    for _ in range(20 if size else 0):
        first, last = sorted(max(0, min(edge, size - 1)) for edge in rng.choices(edges, k=2))
        assert place.read("cat", first, last, customer=scheme.customer) == content[first : last + 1]


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@pytest.mark.parametrize("size", [1000, MiB])
def test_what_lies_on_the_disk_is_not_what_was_sent(place, scheme, size):
    content = os.urandom(size)
    place.put("cat", content, scheme)
    place.store.meta.close()  # writes the log back into the database
    disk = place.disk()
    place.store.meta.open()

    assert all(content[at : at + 32] not in disk for at in range(0, size - 32, 997))
    assert CUSTOMER.secret not in disk
    assert CUSTOMER.secret.hex().encode() not in disk
    assert place.read("cat", customer=scheme.customer) == content


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_a_file_takes_up_a_tag_a_frame(place, scheme):
    version = place.put("cat", os.urandom(MiB + 17), scheme)

    assert version.content.kind is ContentKind.DATA
    assert place.data_file("cat").stat().st_size == stored_size(MiB + 17) == MiB + 17 + 17 * 16


def test_what_is_not_encrypted_stays_as_it_was(place):
    content = os.urandom(MiB)
    version = place.put("cat", content)

    assert version.extra == {}
    assert version.etag == hashlib.md5(content).hexdigest()
    assert place.data_file("cat").read_bytes() == content
    body = place.store.egress.open_body(place.get("cat"))
    assert all(isinstance(segment, FileSegment) for segment in body.segments)  # sendfile
    body.close()


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_the_etag_is_the_md5_with_sse_s3_alone(place, scheme):
    md5 = hashlib.md5(b"meow").hexdigest()
    first, second = place.put("cat", b"meow", scheme), place.put("dog", b"meow", scheme)

    assert (first.etag == md5) is (scheme.algorithm == SSE_S3)
    assert (first.etag == second.etag) is (scheme.algorithm == SSE_S3)
    assert len(bytes.fromhex(first.etag)) == 16
    assert place.get("cat").etag == first.etag


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_equal_objects_do_not_look_equal(place, scheme):
    place.put("cat", bytes(MiB), scheme)
    place.put("dog", bytes(MiB), scheme)

    cat, dog = place.data_file("cat").read_bytes(), place.data_file("dog").read_bytes()
    frames = {data[at : at + FRAME_SIZE] for data in (cat, dog) for at in range(0, len(data), STORED_FRAME_SIZE)}
    assert len(frames) == 32


# -- customers' keys -----------------------------------------------------------------------------------------------------


def test_a_customer_s_object_wants_that_customer_s_key(place):
    place.put("cat", b"meow", Scheme(SSE_C, customer=CUSTOMER))
    version = place.get("cat")
    for customer in (None, OTHER):
        with pytest.raises(InvalidRequest):
            place.store.egress.open_body(version, customer=customer)
        with pytest.raises(InvalidRequest):
            place.store.egress.open_body(version, 0, -1, customer=customer)
        with pytest.raises(InvalidRequest):
            next(place.store.egress.read(version, customer=customer))


@pytest.mark.parametrize("scheme", [None, Scheme(SSE_S3), Scheme(SSE_KMS, "one")])
def test_a_customer_s_key_does_not_fit_what_has_none(place, scheme):
    place.put("cat", b"meow", scheme)

    with pytest.raises(InvalidRequest):
        place.read("cat", customer=CUSTOMER)


# -- the keyring ---------------------------------------------------------------------------------------------------------


def test_a_disabled_key_stops_writes_and_reads_at_once(place):
    place.put("cat", b"meow", Scheme(SSE_KMS, "one"))
    place.put("dog", b"bark", Scheme(SSE_KMS, "two"))
    place.keyring.set_enabled("one", False)

    with pytest.raises(KmsKeyDisabled):
        place.read("cat")
    with pytest.raises(KmsKeyDisabled):
        place.put("cow", b"moo", Scheme(SSE_KMS, "one"))
    with pytest.raises(NoSuchKey):
        place.get("cow")
    assert place.read("dog") == b"bark"

    place.keyring.set_enabled("one", True)
    assert place.read("cat") == b"meow"


@pytest.mark.parametrize(
    "name",
    ["three", STORE_KEY, "", "arn:aws:kms:eu-west-1:1:key/one", "arn:aws:kms:us-east-1:1:key/three", "arn:nonsense"],
)
def test_a_key_that_is_not_there_stores_nothing(place, name):
    with pytest.raises(NoSuchKmsKey):
        place.put("cat", b"meow", Scheme(SSE_KMS, name))
    with pytest.raises(NoSuchKey):
        place.get("cat")


@pytest.mark.parametrize(
    "name", ["one", "alias/one", "arn:aws:kms:us-east-1:111122223333:key/one", "arn:aws:kms:us-east-1::alias/one"]
)
def test_a_key_has_the_names_that_aws_s_have_and_is_told_by_the_client_s(place, name):
    version = place.put("cat", b"meow", Scheme(SSE_KMS, name))

    assert describe(version.extra) == (SSE_KMS, name, False)
    assert place.read("cat") == b"meow"


def test_the_managed_key_is_what_serves_when_none_is_named(place):
    place.keyring.create(MANAGED_KEY)
    version = place.put("cat", b"meow", Scheme(SSE_KMS, bucket_key=True))

    assert describe(version.extra) == (SSE_KMS, MANAGED_KEY, True)
    assert place.read("cat") == b"meow"


@pytest.mark.parametrize(("scheme", "key_id"), [(Scheme(SSE_S3), STORE_KEY), (Scheme(SSE_KMS, "one"), "one")])
def test_objects_of_before_and_after_a_rotation_are_readable(place, scheme, key_id):
    place.put("cat", b"meow", scheme)
    place.keyring.rotate(key_id)
    place.put("dog", b"bark", scheme)

    assert [place.get(key).extra["sse-under-version"] for key in ("cat", "dog")] == ["1", "2"]
    assert (place.read("cat"), place.read("dog")) == (b"meow", b"bark")


def test_a_store_s_key_that_was_lost_is_no_fault_of_the_client(place):
    place.put("cat", b"meow", Scheme(SSE_S3))
    (place.path / KEYRING_NAME).unlink()
    with pytest.raises(DataCorrupt):
        place.read("cat")

    place.put("dog", b"bark", Scheme(SSE_S3))  # under a new key, which is not the old one
    with pytest.raises(DataCorrupt):
        place.read("cat")
    assert place.read("dog") == b"bark"


# -- damage --------------------------------------------------------------------------------------------------------------


def flip(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
@pytest.mark.parametrize("at", [0, FRAME_SIZE + 3, STORED_FRAME_SIZE, -1])
def test_a_flipped_bit_is_an_error_before_the_answer_begins(place, scheme, at):
    place.put("cat", os.urandom(2 * FRAME_SIZE + 100), scheme)
    flip(place.data_file("cat"), at)

    with pytest.raises(DataCorrupt):
        place.store.egress.open_body(place.get("cat"), customer=scheme.customer)


def test_a_flipped_bit_far_behind_breaks_the_body_there(place):
    content = os.urandom(2 * MiB)
    place.put("cat", content, Scheme(SSE_S3))
    flip(place.data_file("cat"), -1)
    body = place.store.egress.open_body(place.get("cat"))
    sent = []

    with pytest.raises(DataCorrupt):
        sent.extend(body)
    body.close()
    assert content.startswith(b"".join(sent))
    assert place.read("cat", 0, 2 * MiB - FRAME_SIZE - 1) == content[:-FRAME_SIZE]  # other frames are as good as ever


@pytest.mark.parametrize("cut", [1, 16, STORED_FRAME_SIZE])
def test_a_file_that_was_cut_or_lengthened_is_corrupt(place, cut):
    place.put("cat", os.urandom(3 * FRAME_SIZE), Scheme(SSE_S3))
    path = place.data_file("cat")
    data = path.read_bytes()
    path.chmod(0o600)
    for changed in (data[:-cut], data + data[-cut:]):
        path.write_bytes(changed)
        with pytest.raises(DataCorrupt):
            place.store.egress.open_body(place.get("cat"), 0, 10)


def test_files_that_changed_places_are_corrupt(place):
    for key in ("cat", "dog"):
        place.put(key, os.urandom(100_000), Scheme(SSE_S3))
    cat, dog = place.data_file("cat"), place.data_file("dog")
    held = cat.read_bytes()
    for path in (cat, dog):
        path.chmod(0o600)
    cat.write_bytes(dog.read_bytes())
    dog.write_bytes(held)

    for key in ("cat", "dog"):
        with pytest.raises(DataCorrupt):
            place.store.egress.open_body(place.get(key))


def test_facts_that_were_damaged_are_corrupt(place):
    place.put("cat", b"meow", Scheme(SSE_KMS, "one", context='{"a":"b"}'))
    version = place.get("cat")
    for fact, value in {
        "sse-key": version.extra["sse-key"].swapcase(),
        "sse-context": '{"a":"c"}',
        "sse-under": "two",
    }.items():
        with pytest.raises(DataCorrupt):
            place.store.egress.open_body(version._replace(extra={**version.extra, fact: value}))
    for missing in ("sse-key", "sse-context"):
        rest = {name: value for name, value in version.extra.items() if name != missing}
        with pytest.raises(DataCorrupt):
            place.store.egress.open_body(version._replace(extra=rest))


# -- multipart -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", SCHEMES, ids=IDS)
def test_a_multipart_object_and_any_range_of_it_comes_out_again(place, scheme):
    contents = [os.urandom(PART_SIZE_MIN + 1), os.urandom(PART_SIZE_MIN), os.urandom(100)]
    version = place.multipart("cat", contents, scheme, customer=scheme.customer)
    whole = b"".join(contents)

    assert (version.size, version.parts_count) == (len(whole), 3)
    assert describe(version.extra) == describe(place.get("cat").extra)
    assert place.read("cat", customer=scheme.customer) == whole
    for first, last in [
        (0, 0),
        (PART_SIZE_MIN, PART_SIZE_MIN + 1),
        (PART_SIZE_MIN - 5, 2 * PART_SIZE_MIN + 50),
        (len(whole) - 150, len(whole) - 1),
        (len(whole) - 1, len(whole) - 1),
    ]:
        assert place.read("cat", first, last, customer=scheme.customer) == whole[first : last + 1]


def test_a_part_sent_again_has_its_etag_and_other_bytes_at_rest(place):
    uploads = place.store.uploads
    begun = uploads.begin(place.bucket, ObjectSpec("cat", OWNER, encryption=Scheme(SSE_KMS, "one")), initiator="")
    sent = [uploads.put_part(begun, 1, Body(bytes(100))) for _ in range(2)]

    assert sent[0].etag == sent[1].etag != hashlib.md5(bytes(100)).hexdigest()
    assert sent[0].content.inline != sent[1].content.inline
    assert sent[0].extra != sent[1].extra


def test_every_part_under_a_customer_s_key_wants_it(place):
    uploads = place.store.uploads
    spec = ObjectSpec("cat", OWNER, encryption=Scheme(SSE_C, customer=CUSTOMER))
    upload = uploads.begin(place.bucket, spec, initiator="")
    for customer in (None, OTHER):
        with pytest.raises(InvalidRequest):
            uploads.put_part(upload, 1, Body(b"meow"), customer=customer)
    part = uploads.put_part(upload, 1, Body(b"meow"), customer=CUSTOMER)
    with pytest.raises(InvalidRequest):
        uploads.complete(place.bucket, "cat", upload.upload_id, [ChosenPart(1, part.etag)], customer=OTHER)
    plain = uploads.begin(place.bucket, ObjectSpec("dog", OWNER), initiator="")
    with pytest.raises(InvalidRequest):
        uploads.put_part(plain, 1, Body(b"bark"), customer=CUSTOMER)

    # An older client has no checksums, and completes without the key.
    uploads.complete(place.bucket, "cat", upload.upload_id, [ChosenPart(1, part.etag)])
    assert place.read("cat", customer=CUSTOMER) == b"meow"


def test_a_completion_with_checksums_under_a_customer_s_key_wants_it(place):
    uploads = place.store.uploads
    spec = ObjectSpec("cat", OWNER, encryption=Scheme(SSE_C, customer=CUSTOMER))
    upload = uploads.begin(place.bucket, spec, initiator="", checksum_algorithm=CRC64NVME, checksum_type="FULL_OBJECT")
    part = uploads.put_part(upload, 1, Body(b"meow"), customer=CUSTOMER)

    with pytest.raises(InvalidRequest):
        uploads.complete(place.bucket, "cat", upload.upload_id, [ChosenPart(1, part.etag)])


def test_an_upload_goes_on_over_a_rotation(place):
    uploads = place.store.uploads
    upload = uploads.begin(place.bucket, ObjectSpec("cat", OWNER, encryption=Scheme(SSE_S3)), initiator="")
    parts = [uploads.put_part(upload, 1, Body(bytes(PART_SIZE_MIN)))]
    place.keyring.rotate(STORE_KEY)
    parts.append(uploads.put_part(upload, 2, Body(b"meow")))
    uploads.complete(place.bucket, "cat", upload.upload_id, [ChosenPart(part.number, part.etag) for part in parts])

    assert place.read("cat") == bytes(PART_SIZE_MIN) + b"meow"


# -- copies --------------------------------------------------------------------------------------------------------------

WAYS = [None, *SCHEMES]
WAY_IDS = ["none", *IDS]


@pytest.mark.parametrize("size", [100, 100_000])
@pytest.mark.parametrize("target", WAYS, ids=WAY_IDS)
@pytest.mark.parametrize("source", WAYS, ids=WAY_IDS)
def test_copies_between_all_of_them(place, source, target, size):
    content = os.urandom(size)
    place.put("cat", content, source)
    if target is not None and target.customer is not None:
        target = target._replace(customer=OTHER)
    copied = place.copy("cat", "dog", target, customer=source and source.customer)
    target_key = target and target.customer

    assert place.read("dog", customer=target_key) == content
    told = describe(copied.extra)
    assert (told and told.algorithm) == (target and target.algorithm)
    assert (copied.etag == hashlib.md5(content).hexdigest()) is (target is None or target.algorithm == SSE_S3)
    place.store.objects.delete(place.bucket, Delete("cat"), owner_id=OWNER)
    place.store.collector.run()
    assert place.read("dog", customer=target_key) == content


@pytest.mark.parametrize("scheme", [None, Scheme(SSE_S3), Scheme(SSE_KMS, "one")])
def test_a_copy_under_the_same_key_moves_no_bytes(place, scheme):
    place.put("cat", os.urandom(MiB), scheme)
    place.copy("cat", "dog", scheme)

    assert os.path.samefile(place.data_file("cat"), place.data_file("dog"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Scheme(SSE_KMS, "one"), Scheme(SSE_KMS, "two")),
        (Scheme(SSE_KMS, "one"), Scheme(SSE_KMS, "one", context='{"a":"b"}')),
        (Scheme(SSE_S3), Scheme(SSE_KMS, "one")),
        (Scheme(SSE_C, customer=CUSTOMER), Scheme(SSE_C, customer=CUSTOMER)),
    ],
)
def test_a_copy_under_another_key_has_bytes_of_its_own(place, before, after):
    place.put("cat", os.urandom(MiB), before)
    place.copy("cat", "dog", after, customer=before.customer)

    assert place.data_file("cat").read_bytes()[:100] != place.data_file("dog").read_bytes()[:100]


def test_a_copy_onto_itself_after_a_rotation_is_sealed_anew(place):
    content = os.urandom(MiB)
    place.put("cat", content, Scheme(SSE_S3))
    old = place.data_file("cat")
    place.keyring.rotate(STORE_KEY)
    place.copy("cat", "cat", Scheme(SSE_S3))

    assert place.data_file("cat") != old
    assert place.get("cat").extra["sse-under-version"] == "2"
    assert place.read("cat") == content


@pytest.mark.parametrize("target", SCHEMES, ids=IDS)
@pytest.mark.parametrize("source", SCHEMES, ids=IDS)
def test_parts_copied_between_all_of_them(place, source, target):
    content = os.urandom(300_000)
    place.put("cat", content, source)
    uploads = place.store.uploads
    begun = uploads.begin(place.bucket, ObjectSpec("dog", OWNER, encryption=target), initiator="")
    part = uploads.copy_part(
        begun, 1, place.get("cat"), 5, 250_000, customer=target.customer, source_customer=source.customer
    )
    uploads.complete(place.bucket, "dog", begun.upload_id, [ChosenPart(1, part.etag)], customer=target.customer)

    assert place.read("dog", customer=target.customer) == content[5:250_001]


def test_a_rename_and_other_versions_keep_their_keys(place):
    place.store.buckets.set_versioning(place.bucket, Versioning.ENABLED)
    first = place.put("cat", b"first", Scheme(SSE_S3))
    place.put("cat", b"second", Scheme(SSE_KMS, "one"))
    place.store.objects.rename(
        place.find_bucket(), "cat", "dog", source_condition=UNCONDITIONAL, condition=UNCONDITIONAL
    )

    assert place.read("dog") == b"second"
    old = place.store.objects.get(place.bucket, "cat", first.version_id, inline=True)
    assert place.store.egress.open_body(old) == (b"first",)


# -- defaults ------------------------------------------------------------------------------------------------------------


def test_a_bucket_s_default_holds_for_what_asks_for_nothing(place):
    encryptions = place.store.encryption.buckets
    assert encryptions.get(place.bucket) is None
    place.put("before", b"meow")
    encryptions.put(place.bucket, BucketEncryption(SSE_KMS, "one", bucket_key=True))
    place.put("default", b"meow")
    place.put("asked", b"meow", Scheme(SSE_S3))
    place.put("own", b"meow", Scheme("", bucket_key=False))
    place.multipart("parts", [b"meow"])
    encryptions.delete(place.bucket)
    place.put("after", b"meow")

    assert {key: describe(place.get(key).extra) for key in ("before", "default", "asked", "own", "parts", "after")} == {
        "before": None,
        "default": (SSE_KMS, "one", True),
        "asked": (SSE_S3, STORE_KEY, False),
        "own": (SSE_KMS, "one", False),
        "parts": (SSE_KMS, "one", True),
        "after": None,
    }
    assert {place.read(key) for key in ("before", "default", "asked", "own", "parts", "after")} == {b"meow"}


def test_another_process_s_default_holds_at_once(place):
    other = build_store(place.settings)
    other.open()
    for algorithm in (SSE_S3, ""):
        other.encryption.buckets.put(place.bucket, BucketEncryption(algorithm))
        version = place.put("cat", b"meow")
        assert (describe(version.extra) is not None) is bool(algorithm)
    other.close()


def test_a_bucket_may_refuse_customers_keys(place):
    place.put("cat", b"meow", Scheme(SSE_C, customer=CUSTOMER))
    place.store.encryption.buckets.put(place.bucket, BucketEncryption("", blocks_customer_keys=True))

    for write in (place.put, place.multipart):
        with pytest.raises(AccessDenied):
            write("dog", b"bark", Scheme(SSE_C, customer=CUSTOMER))
    with pytest.raises(AccessDenied):
        place.copy("cat", "dog", Scheme(SSE_C, customer=CUSTOMER), customer=CUSTOMER)
    assert place.read("cat", customer=CUSTOMER) == b"meow"
    assert place.put("dog", b"bark").extra == {}


def test_a_store_may_encrypt_always(tmp_path):
    place = Place(tmp_path / "state", encrypts_always=True)
    encryptions = place.store.encryption.buckets

    assert encryptions.get(place.bucket) == BucketEncryption(SSE_S3)
    assert describe(place.put("cat", b"meow").extra).algorithm == SSE_S3
    encryptions.put(place.bucket, BucketEncryption("", blocks_customer_keys=True))
    assert encryptions.get(place.find_bucket()) == BucketEncryption(SSE_S3, blocks_customer_keys=True)
    assert describe(place.put("cat", b"meow").extra).algorithm == SSE_S3
    place.store.close()


# -- memory --------------------------------------------------------------------------------------------------------------


class Endless:
    """A body that is made while it is read."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.left = size
        self.hashers = []
        self.at_most = 0

    def read(self, size, /):
        count = min(size, self.left)
        self.left -= count
        return bytes(count)

    def finish(self):
        pass

    def digests(self):
        return Digests("0" * 32, None)


@pytest.mark.parametrize("scheme", [None, Scheme(SSE_S3)])
def test_a_large_object_takes_no_more_memory_than_a_plain_one(place, scheme):
    place.put("warm", bytes(2 * MiB), scheme)
    tracemalloc.start()
    try:
        spec = ObjectSpec("cat", OWNER, encryption=scheme)
        place.store.objects.put(place.bucket, spec, Endless(64 * MiB))
        assert sum(len(piece) for piece in place.store.egress.read(place.get("cat"))) == 64 * MiB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # In and out there are two buffers, one of them being worked on; each may stand there as it came, joined, and sealed.
    assert peak < 2 * 2 * 3 * STREAM_BUFFER


def test_a_range_reads_its_frames_and_no_more(place):
    place.put("cat", bytes(4 * MiB), Scheme(SSE_S3))
    body = place.store.egress.open_body(place.get("cat"), 3 * MiB, 3 * MiB + 10 * KiB)

    assert [len(piece) for piece in body] == [10 * KiB + 1]
    body.close()
