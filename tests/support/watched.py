"""A store on real engines with what watches over its bytes, and ways to damage them."""

from __future__ import annotations

import os
from pathlib import Path

from support.encrypted import CUSTOMER, SCHEMES, Place

from nova_objectstore.assembly import DATABASE_NAME, integrity_store
from nova_objectstore.assembly_integrity import build_backup, build_checker, build_scrubber
from nova_objectstore.jobs.check import Problem
from nova_objectstore.limits import MiB
from nova_objectstore.meta.integrity_port import Damage

SMALL, LARGE = 1000, 300_000


class Watched(Place):
    """A store with something of every kind in it; ``bodies`` by key."""

    def __init__(self, path: Path, **settings) -> None:
        super().__init__(path, **settings)
        self.now_us = 10**15
        self.watch = integrity_store(self.store.meta)
        self.checker = build_checker(self.store, self.settings, clock_us=self.clock_us)
        self.backup = build_backup(self.store, self.settings)
        self.bodies: dict[str, bytes] = {}

    def clock_us(self) -> int:
        return self.now_us

    def scrubber(self, **options):
        return build_scrubber(self.store, clock_us=self.clock_us, **options)

    def fill(self) -> None:
        """An object of each size under each scheme, and multipart ones."""
        for number, scheme in enumerate([None, *SCHEMES]):
            for size in (0, SMALL, LARGE):
                self.add(f"{number}-{size}", os.urandom(size), scheme)
            pieces = [os.urandom(5 * MiB), os.urandom(SMALL)]
            customer = CUSTOMER if scheme is not None and scheme.customer is not None else None
            self.multipart(f"{number}-parts", pieces, scheme, customer=customer)
            self.bodies[f"{number}-parts"] = b"".join(pieces)

    def add(self, key: str, body: bytes, scheme=None) -> None:
        self.put(key, body, scheme)
        self.bodies[key] = body

    def files(self) -> list[Path]:
        """The data files, those in quarantine too."""
        found = [path for path in (self.path / "data").glob("*/*") if path.is_file()]
        return sorted(path for path in found if path.parent.name != "pending")

    def flip(self, key: str, offset: int = 17) -> Path:
        """Change a bit of an object's data file."""
        path = self.data_file(key)
        flip(path, offset)
        return path

    def damages(self) -> list[tuple[str, str]]:
        """Reason and key of what is recorded."""
        return [(damage.reason, damage.key) for damage in self.watch.list_damages()]

    def damage(self, key: str) -> Damage:
        (found,) = [damage for damage in self.watch.list_damages() if damage.key == key]
        return found

    def check(self, *, repair: bool = False, young_s: float = 0) -> list[Problem]:
        """What a check finds. Files are as young as the real clock says."""
        self.now_us = 10**17
        return list(self.checker.run(repair=repair, young_s=young_s))

    def database(self) -> Path:
        return self.path / DATABASE_NAME

    def close(self) -> None:
        self.store.close()


def flip(path: Path, offset: int = 17) -> None:
    """Change a bit of a file, as a disk may."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))
