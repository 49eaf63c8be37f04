"""A store with storage classes in places of their own, and parts of it that die or fail at the n-th step."""

from __future__ import annotations

from support.encrypted import OWNER, Body

from nova_objectstore.assembly import Settings, build_store, storage_store
from nova_objectstore.data.files import FilesEngine
from nova_objectstore.domain.accounts import Accounts
from nova_objectstore.domain.carrying import Carrier
from nova_objectstore.domain.data_engines import DEFAULT, DataEngines, name_of
from nova_objectstore.domain.lifecycle.day import Day
from nova_objectstore.domain.mover import Mover
from nova_objectstore.domain.objects import ObjectSpec
from nova_objectstore.domain.restores import Restores
from nova_objectstore.domain.storage_classes import StorageClasses, StorageClassSettings
from nova_objectstore.domain.uploads import ChosenPart
from nova_objectstore.jobs.restore import RestoreJob
from nova_objectstore.types import Version
from nova_wsgi.response import FileBody

S = 1_000_000
START_US = 1_700_000_000 * S
INLINE_MAX = 100


class ClassedPlace:
    """A store of STANDARD, COLD (a place of its own), COOL (in the default place) and GLACIER (an archive)."""

    def __init__(self, path) -> None:
        self.path = path
        self.now_us = START_US
        self.settings = Settings(
            state_path=path / "state",
            sync="never",
            collect_delay_s=0,
            inline_size_max=INLINE_MAX,
            storage_classes=(
                StorageClassSettings("COLD", (path / "cold").as_uri(), inline_size_max=0),
                StorageClassSettings("COOL"),
                StorageClassSettings("GLACIER", (path / "ice").as_uri(), is_archive=True),
            ),
        )
        self.store = self.open()
        Accounts(self.store.meta, now_us=self.clock).create("owner", account_id=OWNER)
        self.bucket = self.store.buckets.create("photos", owner_id=OWNER)

    def clock(self) -> int:
        return self.now_us

    def open(self):
        """The store as another process opens it, recovered."""
        store = build_store(self.settings, clock_us=self.clock)
        store.open()
        return store

    def put(self, key: str, content: bytes, storage_class: str = "STANDARD", **facts) -> Version:
        self.now_us += 1
        spec = ObjectSpec(key, OWNER, storage_class=storage_class, **facts)
        return self.store.objects.put(self.find_bucket(), spec, Body(content))

    def multipart(self, key: str, contents, storage_class: str = "STANDARD", **facts) -> Version:
        uploads = self.store.uploads
        spec = ObjectSpec(key, OWNER, storage_class=storage_class, **facts)
        upload = uploads.begin(self.find_bucket(), spec, initiator="")
        parts = [uploads.put_part(upload, number, Body(content)) for number, content in enumerate(contents, start=1)]
        chosen = [ChosenPart(part.number, part.etag) for part in parts]
        return uploads.complete(self.bucket, key, upload.upload_id, chosen)

    def find_bucket(self):
        return self.store.buckets.find("photos")

    def get(self, key: str, version_id: str | None = None) -> Version:
        return self.store.objects.get(self.bucket, key, version_id, inline=True)

    def move(self, version: Version, storage_class: str) -> Version | None:
        return self.store.mover.move(self.find_bucket(), version, storage_class)

    def read(self, version: Version, **options) -> bytes:
        """The bytes, by both ways out."""
        body = self.store.egress.open_body(version, **options)
        try:
            sent = b"".join(body)
        finally:
            if isinstance(body, FileBody):
                body.close()
        assert sent == b"".join(self.store.egress.read(version, **options))
        return sent

    def engines_of(self, version: Version) -> set[str]:
        """The names of the data engines that its bytes lie in; "inline" for the metadata."""
        if version.parts_count:
            contents = [part.content for part in self.store.meta.list_content_parts(version)]
        else:
            contents = [version.content]
        return {name_of(content.ref) if content.ref else "inline" for content in contents}

    def files(self) -> dict[str, list[str]]:
        """The files under final names in each place."""
        places = {"": self.path / "state" / "data", "COLD": self.path / "cold", "GLACIER": self.path / "ice"}
        return {name: sorted(file.name for file in root.glob("??/*")) for name, root in places.items()}

    def check(self) -> None:
        """At rest: every file is named by the metadata, and nothing is staged."""
        self.now_us += 1
        self.store.collector.run()
        refs = [f"{name}:{file}" if name else file for name, files in self.files().items() for file in files]
        assert sorted(self.store.meta.known_refs(refs)) == sorted(refs), "a data file that nobody knows"
        assert list(self.store.data.list_unsettled()) == []

    def request_restore(self, version: Version, days: int = 1, tier: str = "Standard") -> bool:
        return self.store.restores.request(self.find_bucket(), version, days=days, tier=tier)

    def close(self) -> None:
        self.store.close()


class Died(BaseException):
    """The process is gone: whatever it would do afterwards does not happen."""


class Steps:
    """Counts steps; the ``at``-th and all after it raise ``Died``, or just that one ``error``."""

    def __init__(self, at: int, error: Exception | None = None) -> None:
        self._at = at
        self._error = error
        self.names: list[str] = []

    @property
    def struck(self) -> bool:
        return len(self.names) >= self._at

    def take(self, name: str) -> None:
        self.names.append(name)
        if self._error is not None and len(self.names) == self._at:
            raise self._error
        if self._error is None and self.struck:
            raise Died


class Stepping:
    """Something whose named methods are steps, before and after; what they answer may be such a thing too."""

    def __init__(self, inner, steps: Steps, names: frozenset[str], *, before_only: bool = False) -> None:
        self._inner, self._steps, self._names, self._before_only = inner, steps, names, before_only

    def __getattr__(self, name):
        method = getattr(self._inner, name)
        if name not in self._names:
            return method

        def step(*args, **kwargs):
            self._steps.take(name)
            result = method(*args, **kwargs)
            if not self._before_only:
                self._steps.take(f"after {name}")
            if name == "create":
                return Stepping(result, self._steps, frozenset({"write", "commit", "abort"}))
            return result

        return step


DATA = frozenset({"create", "open", "delete", "settle", "copy"})
STORE = frozenset(
    {"move_version", "claim_restore", "renew_restore", "finish_restore", "release_restore", "give_restore_up"}
)


class SteppingProcess:
    """Another process over the same place, that dies or fails at a step."""

    def __init__(self, place: ClassedPlace, steps: Steps) -> None:
        settings = place.settings

        def engine(path):
            return FilesEngine(path, sync="never")

        self._plain = [
            engine(settings.state_path / "data"),
            engine(place.path / "cold"),
            engine(place.path / "ice"),
        ]
        default, cold, ice = (
            Stepping(plain, steps, DATA, before_only=steps._error is not None) for plain in self._plain
        )
        engines = DataEngines(default, {"COLD": cold, "GLACIER": ice})
        for plain in self._plain:
            plain.start()
        meta = place.store.meta
        store = Stepping(storage_store(meta), steps, STORE, before_only=steps._error is not None)
        classes = StorageClasses(engines, settings.storage_classes, inline_size_max=INLINE_MAX)
        carrier = Carrier(engines)
        self.mover = Mover(meta, store, carrier, classes, now_us=place.clock)
        restores = Restores(storage_store(meta), classes, day=Day(), now_us=place.clock)
        self.restores = RestoreJob(meta, store, carrier, engines.at(DEFAULT), restores, now_us=place.clock)

    def end(self) -> None:
        """What the kernel does with a process that is gone: its locks are free."""
        for plain in self._plain:
            plain.stop()
