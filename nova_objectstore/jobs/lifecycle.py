"""Lifecycle: does to versions and uploads what their buckets' rules say, when it is due.

Laws:

- A run costs what it finds to do: it asks the agenda for what is due (``meta/lifecycle_port.py``) and looks at nothing else.
  Only a change of a bucket's rules makes it go through the bucket, once.
- Nothing is removed that was not judged as it is then: what changed in between is judged again.
- Buckets take turns of one batch each, so that none waits for another's work, and between two turns the run can be
  stopped. Repeating a run, or being killed in it, does no harm: what was not done is due still.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from nova_objectstore.delivery.ports import Announcement
from nova_objectstore.domain.lifecycle.buckets import BucketLifecycles
from nova_objectstore.domain.lifecycle.rules import Deed, Lifecycle
from nova_objectstore.domain.notifications import EXPIRE, TRANSITION, Announcer, announce_nothing
from nova_objectstore.errors import StoreError
from nova_objectstore.meta.lifecycle_port import (
    Decision,
    Due,
    LifecycleStore,
    LookKind,
    Outcome,
    Subject,
    Work,
)
from nova_objectstore.types import Bucket, Deleted, Version

LOG = logging.getLogger(__name__)

BATCH = 100  # subjects a transaction: some milliseconds, so that writers get in between
WALK_BATCH = 500  # versions a step of a walk: as long
BUCKETS_AT_ONCE = 1000
_ALL_US = (1 << 63) - 1


class Mover(Protocol):
    """Gives versions another storage class."""

    def move(
        self, bucket: Bucket, version: Version, storage_class: str, *, announce: Announcement | None = None
    ) -> Version | None:
        """Move a version's bytes and say so in its row, and ``announce`` it; None when it changed meanwhile or is gone."""
        ...


class Happened(NamedTuple):
    """Something that a run did: for who tells others of it.

    ``subject`` is what it was done to, as it was. ``deleted`` tells of the version removed, or of the marker made;
    ``storage_class`` is set for a transition, and neither for an upload that was aborted.
    """

    bucket: Bucket
    rule_id: str
    subject: Subject
    deleted: Deleted | None = None
    storage_class: str = ""


Report = Callable[[Happened], None]


def tell_nobody(_happened: Happened) -> None:
    """Where nobody wants to know."""


@dataclass(slots=True)
class _Turn:
    """Where a run stands in one bucket."""

    work: Work
    walks: bool
    moved: set[tuple[str, int]] = field(default_factory=set)  # in this run: key and number


class LifecycleJob:
    """Runs the lifecycle of all buckets.

    ``announcer`` makes the events that are written with each change. ``report`` is called after each thing that was done,
    at most once, and must not raise.
    """

    def __init__(
        self,
        store: LifecycleStore,
        lifecycles: BucketLifecycles,
        mover: Mover,
        *,
        now_us: Callable[[], int],
        announcer: Announcer = announce_nothing,
        report: Report = tell_nobody,
    ) -> None:
        self._store = store
        self._lifecycles = lifecycles
        self._mover = mover
        self._now_us = now_us
        self._announcer = announcer
        self._report = report
        self._has_seen_all = False

    def run(self, go_on: Callable[[], bool] = lambda: True) -> Mapping[str, int]:
        """Do what is due now; answer how often what was done. Ends early, between two batches, when ``go_on`` says no."""
        now_us = self._now_us()
        if not self._has_seen_all:
            self._see_all()
        done: Counter[str] = Counter()
        turns = deque(_Turn(work, work.walks) for work in self._work(now_us))
        while turns and go_on():
            turn = turns.popleft()
            try:
                if self._take(turn, now_us, done):
                    turns.append(turn)
            except StoreError as error:  # this bucket's trouble: the others go on, and it is due at the next run
                LOG.warning("the lifecycle of bucket %d is put off: %s", turn.work.bucket_id, error)
        return done

    def _see_all(self) -> None:
        """Once in a process: bring agendas up to date that were made when days had another length."""
        for work in self._work(_ALL_US):
            self._lifecycles.refresh(work.bucket_id)
        self._has_seen_all = True

    def _work(self, now_us: int) -> Iterator[Work]:
        after = 0
        while page := self._store.list_lifecycle_work(now_us=now_us, after=after, limit=BUCKETS_AT_ONCE):
            yield from page
            after = page[-1].bucket_id

    # -- one bucket ----------------------------------------------------------------------------------------------------

    def _take(self, turn: _Turn, now_us: int, done: Counter[str]) -> bool:
        """One batch in a bucket; answers whether there may be more."""
        bucket_id = turn.work.bucket_id
        if turn.walks:
            turn.walks = self._store.walk_lifecycle(bucket_id, limit=WALK_BATCH)
            return turn.walks or turn.work.bucket is not None
        due = self._store.list_due(bucket_id, now_us=now_us, limit=BATCH)
        if due is None or not due.subjects or turn.work.bucket is None:
            return False
        lifecycle = self._lifecycles.compiled(bucket_id, due.generation)
        if lifecycle is None:  # the rules changed just now: what is due under the new ones is another run's
            return False
        return self._work_off(turn, turn.work.bucket, lifecycle, due, now_us, done)

    def _work_off(
        self, turn: _Turn, bucket: Bucket, lifecycle: Lifecycle, due: Due, now_us: int, done: Counter[str]
    ) -> bool:
        """Judge and do a batch. Where nothing could be done others are at work: the rest waits for the next run."""
        decisions: list[Decision] = []
        deeds: list[Deed | None] = []
        moves = 0
        for subject in due.subjects:
            deed, next_us = lifecycle.judge(subject, now_us=now_us)
            if deed is not None and deed.storage_class:
                if self._move(turn, bucket, subject, deed):
                    moves += 1  # it is due still: what comes next is judged as it is then
                    continue
                deed, next_us = None, now_us + lifecycle.day.length_us
            decisions.append(Decision(subject, deed is not None, next_us))
            deeds.append(deed)
        if moves:
            done["moved"] += moves
        return self._apply(bucket, due.generation, decisions, deeds, done) or moves > 0

    def _apply(
        self,
        bucket: Bucket,
        generation: int,
        decisions: list[Decision],
        deeds: list[Deed | None],
        done: Counter[str],
    ) -> bool:
        """Do what was decided; answers whether anything was."""
        if not decisions:
            return False
        outcomes = self._store.apply_decisions(
            bucket, generation, decisions, now_us=self._now_us(), announce=self._announcer(bucket, EXPIRE)
        )
        for decision, deed, applied in zip(decisions, deeds, outcomes, strict=True):
            if applied.outcome is Outcome.REMOVED and deed is not None:
                done[_DONE[decision.subject.kind]] += 1
                self._report(Happened(bucket, deed.rule_id, decision.subject, applied.deleted))
        return any(applied.outcome is not Outcome.CHANGED for applied in outcomes)

    def _move(self, turn: _Turn, bucket: Bucket, subject: Subject, deed: Deed) -> bool:
        """Move a version to another class, once in a run: one that is due again did not get there; whether it was done."""
        assert subject.version is not None, "uploads and rows without a version are not moved"
        if (subject.key, subject.number) in turn.moved:
            return False
        turn.moved.add((subject.key, subject.number))
        try:
            announce = self._announcer(bucket, TRANSITION)
            moved = self._mover.move(bucket, subject.version, deed.storage_class, announce=announce)
        except StoreError as error:
            LOG.warning(
                "%r of bucket %s stays in %s: %s", subject.key, bucket.name, subject.version.storage_class, error
            )
            return False
        if moved is not None:
            self._report(Happened(bucket, deed.rule_id, subject, storage_class=deed.storage_class))
        return moved is not None


_DONE = {
    LookKind.CURRENT: "expired",
    LookKind.NONCURRENT: "noncurrent removed",
    LookKind.MARKER: "markers removed",
    LookKind.UPLOAD: "uploads aborted",
}
