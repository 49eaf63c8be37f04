"""Storage classes: their names, where each one's bytes lie, and which must be restored before they are read.

STANDARD is always there, in the default data engine. Others are configured, each with an engine of its own or in the
default one too. The names of AWS's that are not configured are taken and answered all the same, as labels: their
objects lie in the default engine and are read as those of STANDARD, GLACIER's too.

``mover.Mover`` gives a version another class; ``restores.Restores`` is what makes archived ones readable for a while.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from nova_objectstore.data.engine import DataEngine
from nova_objectstore.domain.data_engines import DEFAULT, DataEngines, name_of
from nova_objectstore.errors import InvalidStorageClass
from nova_objectstore.types import Content, ContentKind

STANDARD = "STANDARD"

# AWS: PutObject, x-amz-storage-class, less those of other services' buckets (Outposts, Snow, directory buckets, FSx).
AWS_CLASSES = (
    STANDARD,
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
)

_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,62}")


def is_class_name(name: str) -> bool:
    """Whether a storage class can have that name."""
    return _NAME.fullmatch(name) is not None


class StorageClassSettings(NamedTuple):
    """A configured class. Without a ``data_url`` its bytes lie in the default engine."""

    name: str
    data_url: str = ""
    is_archive: bool = False
    inline_size_max: int | None = None  # None: as STANDARD has it


class StorageClass(NamedTuple):
    """A class as writes need it."""

    name: str
    engine: str  # the data engine's name; empty for the default one
    data: DataEngine
    inline_size_max: int  # objects up to this many bytes lie in the metadata
    is_archive: bool = False

    def holds(self, content: Content, size: int) -> bool:
        """Whether ``size`` bytes that lie where ``content`` says lie where this class has them. PARTS: ask for each."""
        if content.kind is ContentKind.DATA:
            return name_of(content.ref) == self.engine
        return content.kind is ContentKind.INLINE and size <= self.inline_size_max


class StorageClasses:
    """Every class of this store."""

    def __init__(
        self, engines: DataEngines, configured: Sequence[StorageClassSettings] = (), *, inline_size_max: int
    ) -> None:
        self._classes = {
            name: StorageClass(name, DEFAULT, engines.at(DEFAULT), inline_size_max) for name in AWS_CLASSES
        }
        for made in configured:
            engine = made.name if made.data_url else DEFAULT
            size_max = inline_size_max if made.inline_size_max is None else made.inline_size_max
            self._classes[made.name] = StorageClass(made.name, engine, engines.at(engine), size_max, made.is_archive)
        self.configured: tuple[str, ...] = (STANDARD, *(made.name for made in configured))
        self.names: tuple[str, ...] = tuple(self._classes)  # all that are taken
        self.transitions = frozenset(self.names) - {STANDARD, "REDUCED_REDUNDANCY"}  # what lifecycle rules may lead to
        self.archives = frozenset(made.name for made in configured if made.is_archive)

    def find(self, name: str) -> StorageClass:
        """The class of that name. Raises InvalidStorageClass."""
        try:
            return self._classes[name]
        except KeyError:
            raise InvalidStorageClass(storage_class_requested=name) from None
