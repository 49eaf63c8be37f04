"""Cut the power in a recording, and look at what is left: the loop, and what it comes to."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from support.crash import BUCKETS, Lost, collect_and_check
from support.power import Recording
from support.power_check import ClientReader, StoreReader, check
from support.power_disk import FIXED, Disk, Fate, torn
from support.power_trace import Synced
from support.store import ACCESS_KEY, BIN, SECRET_KEY, running_store

from nova_objectstore.assembly import Settings, Store, build_store, integrity_store
from nova_objectstore.assembly_integrity import build_checker, build_scrubber
from nova_objectstore.errors import StoreError
from nova_objectstore.jobs.check import Problem
from nova_objectstore.manager import prepare_state
from nova_objectstore.meta.integrity_port import Damage
from nova_wsgi.errors import NovaError

Tell = Callable[[int, int], None]
Look = Callable[[Recording, int, Path], int]


@dataclass
class Result:
    """What cutting came to."""

    cuts: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    versions: int = 0
    losses: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def table(self, seed: int) -> str:
        """For people."""
        rows = [("seed", seed), ("cuts", self.cuts), *((f"left: {way}", count) for way, count in self.ways.items())]
        rows += [("states looked at", self.ways.total()), ("versions compared", self.versions)]
        rows += [("seconds", round(self.seconds, 1)), ("lost", len(self.losses))]
        return "\n".join(f"{name:<44}{value:>12,}" for name, value in rows)


class Cutter:
    """Plays a recording, and lays out what each cut leaves. ``forget`` names syncs that are not to count."""

    def __init__(
        self,
        recording: Recording,
        directory: Path,
        *,
        seed: int,
        look: Look | None = None,
        forget: Callable[[str], bool] = lambda _path: False,
    ) -> None:
        self._recording = recording
        self._directory = directory
        self._look = look or look_at
        self._forget = forget
        self._rng = random.Random(seed)
        self.result = Result()

    def run(self, cuts: Sequence[int], *, ways_each: int, losses_max: int = 1, tell: Tell = lambda *_: None) -> Result:
        """Cut at each of ``cuts``, and look at what is left in so many ways; ends early at ``losses_max`` losses."""
        begun_s = time.monotonic()
        for done, (cut, disk) in enumerate(self._play(cuts)):
            for fate in self._fates(ways_each):
                self._cut(cut, disk, fate)
            self.result.cuts += 1
            tell(done + 1, len(cuts))
            if len(self.result.losses) >= losses_max:
                break
        self.result.seconds = time.monotonic() - begun_s
        return self.result

    def _play(self, cuts: Sequence[int]) -> Iterator[tuple[int, Disk]]:
        disk, left = Disk(self._recording.journal.root), iter(sorted(cuts))
        cut = next(left)
        for index, operation in enumerate([*self._recording.journal.operations, None]):
            while index == cut:
                yield cut, disk
                cut = next(left, -1)
            if operation is None or (isinstance(operation, Synced) and self._forget(operation.path)):
                continue
            disk.apply(index, operation)

    def _fates(self, count: int) -> list[Fate]:
        """The worst one, then the others in turn, every second one torn."""
        fates = [FIXED[0]]
        while len(fates) < count:
            fates.append(torn(self._rng.getrandbits(32)) if len(fates) % 2 else self._rng.choice(FIXED[1:]))
        return fates

    def _cut(self, cut: int, disk: Disk, fate: Fate) -> None:
        self.result.ways[fate.kind] += 1
        state_path = self._directory / "state"
        disk.lay_out(state_path, fate)
        try:
            self.result.versions += self._look(self._recording, cut, state_path)
        except Lost as lost:
            self.result.losses.append(f"cut at {cut}, {fate}: {lost}")
        finally:
            shutil.rmtree(state_path, ignore_errors=True)


def look_at(recording: Recording, cut: int, state_path: Path) -> int:
    """Start a store in this process over what is left, and look at everything. Raises Lost."""
    with opened(recording, cut, state_path) as (store, settings):
        checked = check(recording, cut, StoreReader(store))
        collect_and_check(store, settings)
    return checked


def look_by_processes(recording: Recording, cut: int, state_path: Path) -> int:
    """Start a real server over what is left, and look at everything by S3, then with ``nova-manage``. Raises Lost."""
    try:
        with running_store(state_path) as store:
            checked = check(recording, cut, ClientReader(store.client()))
            for verb in ("check", "scrub"):
                store.run(BIN / "nova-manage", "--state-path", state_path, verb)
    except (AssertionError, ChildProcessError, TimeoutError) as error:  # it does not start, or a program complains
        raise Lost(str(error)) from error
    return checked


def look_for_the_untold(recording: Recording, cut: int, state_path: Path) -> int:
    """Of a store that syncs nothing: it starts, its database is whole, and what can't be read is told. Raises Lost.

    Answers how many versions were told.
    """
    with opened(recording, cut, state_path) as (store, settings):
        unreadable = _unreadable(store)
        told = {(found.bucket_id, found.key, found.version_id) for found in _told(store, settings)}
        if not unreadable <= told:
            raise Lost(f"nobody tells that {unreadable - told} can't be read")
    return len(told)


def _unreadable(store: Store) -> set[tuple[int, str, str]]:
    """Versions whose bytes are not there, or are others: bucket, key, version id."""
    reader = StoreReader(store)
    found = set()
    for name in filter(lambda name: reader.versioning(name) is not None, BUCKETS):
        for key, entries in reader.versions(name).items():
            for entry in entries:
                try:
                    if entry["ETag"]:
                        reader.read(name, key, entry["VersionId"])
                except Lost:
                    found.add((store.meta.find_bucket(name).id, key, entry["VersionId"]))
    return found


def _told(store: Store, settings: Settings) -> Iterable[Problem | Damage]:
    """What ``nova-manage check`` and ``scrub`` have to say."""
    yield from build_checker(store, settings).run(repair=False, young_s=0)
    build_scrubber(store).run_now()
    yield from integrity_store(store.meta).list_damages()


@contextmanager
def opened(recording: Recording, cut: int, state_path: Path) -> Iterator[tuple[Store, Settings]]:
    """A store as the server opens it at its start. Raises Lost where it does not start."""
    settings = Settings(state_path=state_path, collect_delay_s=-1, sync="never")
    try:
        pair = prepare_state(settings).pair
        store = build_store(settings)
        store.open()
    except NovaError as error:
        raise Lost(f"does not start: {error}") from error
    try:
        is_made = recording.is_answered(recording.setup.calls[0].request_id, cut)
        if is_made and pair != (ACCESS_KEY, SECRET_KEY):
            raise Lost("another administrator's key pair")
        yield store, settings
    except StoreError as error:
        raise Lost(f"fails: {type(error).__name__} {error}") from error
    finally:
        store.close()
