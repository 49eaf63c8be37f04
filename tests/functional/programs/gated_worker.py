"""A worker whose bundles are slow to read: what it reads of them waits at a gate that the test holds.

``nova-objectstore-worker --objectstore-worker-manager=gated_worker:GatedWorkerManager`` is the program with all it has;
only the place where its bundles come from does not answer for as long as the test wants. The gate is a named pipe, at the
path in ``GATE``: a read waits in the kernel until somebody opens the other end. Started by ``support/house.py``.
"""

from __future__ import annotations

import os
from collections.abc import Generator

from nova_objectstore.assembly import now_us
from nova_objectstore.assembly_images import image_bundles, image_store, open_keys
from nova_objectstore.images.job import ImageJob
from nova_objectstore.images.source import BundleSource, StoredObject
from nova_objectstore.types import Principal
from nova_objectstore.worker_manager import ObjectstoreWorkerManager
from nova_wsgi import green

PIECES_BEFORE = (
    2  # that pass while the gate is closed: the manifest, and of the part what brings the image to untarring
)

blocking_open = green.original("os").open


class Gate:
    """What reads wait at, in native threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._passed = 0
        self._is_open = False

    def pass_through(self) -> None:
        """Wait until the gate is open; once it was, it stays so."""
        if self._passed >= PIECES_BEFORE and not self._is_open:
            os.close(blocking_open(self._path, os.O_RDONLY))
            self._is_open = True
        self._passed += 1


class GatedSource:
    """A source of bundles whose pieces come through the gate."""

    def __init__(self, source: BundleSource, gate: Gate) -> None:
        self._source = source
        self._gate = gate

    def owner(self, account_id: str) -> Principal:
        return self._source.owner(account_id)

    def open(self, principal: Principal, bucket: str, key: str) -> StoredObject:
        found = self._source.open(principal, bucket, key)
        return StoredObject(found.size, self._pieces(found))

    def _pieces(self, found: StoredObject) -> Generator[bytes, None, None]:
        try:
            for piece in found.pieces:
                green.run_native(self._gate.pass_through)
                yield piece
        finally:
            found.pieces.close()


class GatedWorkerManager(ObjectstoreWorkerManager):
    """The Manager of the background jobs over gated bundles."""

    def init_host(self) -> None:
        super().init_host()
        store = self._store
        assert store is not None
        self._image_job = ImageJob(
            image_store(store),
            GatedSource(image_bundles(store), Gate(os.environ["GATE"])),
            store.data,
            green.run_native(open_keys, self._settings).private_key,
            now_us=now_us,
            lease_s=self.conf.image_lease_s,
        )
