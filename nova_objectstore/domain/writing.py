"""What the rules of objects and those of multipart uploads stand on: both make versions."""

from __future__ import annotations

from collections.abc import Callable

from nova_objectstore.data.engine import DataEngine
from nova_objectstore.domain.commit import Commits
from nova_objectstore.domain.egress import Egress
from nova_objectstore.domain.encryption import Encryption
from nova_objectstore.domain.ingest import Ingest
from nova_objectstore.domain.retention import Retention
from nova_objectstore.domain.storage_classes import StorageClasses
from nova_objectstore.meta.engine import MetadataEngine


class Writing:
    """The engines, and the rules that hold for whatever is written. ``now_us``: the clock, microseconds since 1970."""

    def __init__(
        self,
        meta: MetadataEngine,
        data: DataEngine,
        ingest: Ingest,
        egress: Egress,
        encryption: Encryption,
        retention: Retention,
        classes: StorageClasses,
        *,
        now_us: Callable[[], int],
    ) -> None:
        self._meta = meta
        self._data = data
        self._ingest = ingest
        self._egress = egress
        self._encryption = encryption
        self._commits = Commits(data)
        self._retention = retention
        self._classes = classes
        self._now_us = now_us
