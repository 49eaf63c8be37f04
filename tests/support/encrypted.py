"""A store on real engines whose objects are encrypted in every way."""

import hashlib

from nova_objectstore.assembly import Settings, build_store, open_keyring
from nova_objectstore.crypto.frames import FRAME_SIZE
from nova_objectstore.domain.accounts import Accounts
from nova_objectstore.domain.bodies import Digests
from nova_objectstore.domain.bucket_encryption import SSE_C, SSE_KMS, SSE_S3, CustomerKey, Scheme
from nova_objectstore.domain.objects import ObjectSpec
from nova_objectstore.domain.uploads import ChosenPart
from nova_objectstore.limits import INLINE_SIZE_MAX, MiB
from nova_objectstore.types import Version
from nova_wsgi import green
from nova_wsgi.response import FileBody

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
WAYS = [None, *SCHEMES]
WAY_IDS = ["none", *IDS]


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
