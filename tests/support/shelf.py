"""Stored versions of all kinds, without a metadata engine: what bodies on their way out are made from."""

from __future__ import annotations

import os

from nova_objectstore.crypto.keyring import Keyring
from nova_objectstore.crypto.master import MasterKeyPlace
from nova_objectstore.data.files import FilesEngine
from nova_objectstore.domain.bucket_encryption import BucketEncryptions
from nova_objectstore.domain.egress import Egress
from nova_objectstore.domain.encryption import Encryption
from nova_objectstore.limits import KiB
from nova_objectstore.types import NO_LOCK, Content, ContentKind, Part, Version
from nova_wsgi import green

PARTS = ContentKind.PARTS


def open_files() -> int:
    """Descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


class NoFiles:
    """A data engine whose readers have no descriptor, as one over a network."""

    def __init__(self, engine) -> None:
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def open(self, ref):
        return NoFileReader(self._engine.open(ref))


class NoFileReader:
    def __init__(self, reader) -> None:
        self._reader = reader
        self.size = reader.size
        self.digest = reader.digest

    def fileno(self):
        return None

    def read(self, offset, size):
        assert not green.on_hub_thread()
        return self._reader.read(offset, size)

    def close(self) -> None:
        self._reader.close()


class Rows:
    """The two reads of the metadata that bodies need."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.versions: dict[str, Version] = {}

    def list_content_parts(self, version, *, first_byte=0, last_byte=None):
        assert version.content.kind is PARTS
        return [p for p in self.parts if p.offset + p.size > first_byte and p.offset <= last_byte]

    def get_version(self, bucket_id, key, version_id=None, *, inline=True):
        assert inline
        return self.versions[key]


class Shelf:
    """Versions of all kinds over one engine."""

    def __init__(self, root, *, files: bool, verifies: bool = False) -> None:
        self.engine = FilesEngine(root, sync="never")
        self.engine.start()
        self.rows = Rows()
        keyring = Keyring(root, MasterKeyPlace.of(root, environ={}), now_us=lambda: 0)
        encryption = Encryption(keyring, BucketEncryptions(self.rows, always=False), region="us-east-1")
        data = self.engine if files else NoFiles(self.engine)
        self.egress = Egress(self.rows, data, encryption, verifies=verifies, buffer=4 * KiB)

    def data(self, content: bytes) -> Content:
        writer = self.engine.create()
        writer.write(content)
        ref = writer.commit()
        self.engine.settle([ref])
        return Content(ContentKind.DATA, ref)

    def version(self, content: Content, size: int, *, parts_count: int = 0) -> Version:
        return Version(
            1, "key", "null", 7, True, size, "etag", 0, "1", "STANDARD", {}, None, parts_count, content, {}, NO_LOCK, {}
        )  # fmt: skip

    def multipart(self, contents: list[bytes]) -> Version:
        offset = 0
        self.rows.parts = []
        for number, content in enumerate(contents, start=1):
            kind = Content(ContentKind.INLINE, inline=content) if len(content) < 100 else self.data(content)
            self.rows.parts.append(Part(number, len(content), "etag", 0, None, kind, offset))
            offset += len(content)
        return self.version(Content(PARTS), offset, parts_count=len(contents))
