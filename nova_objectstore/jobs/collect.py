"""Collect: delete data that no version refers to, and what processes that died left half-way.

Laws:

- A ref is deleted only while the metadata does not name it, and only ``delay_us`` after it ceased to, so that readers who
  began before can end. Running twice, or being killed in between, does no harm.
- Nothing is deleted while somebody holds it (``meta/integrity_port.py``). The holds are looked at after the garbage was
  listed: what was garbage before a hold stood is in no snapshot that was taken under it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from itertools import islice

from nova_objectstore.data.engine import DataEngine
from nova_objectstore.errors import EngineError
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.integrity_port import IntegrityStore
from nova_objectstore.types import Garbage
from nova_wsgi import green

LOG = logging.getLogger(__name__)

BATCH = 500  # refs per transaction: short enough to let writers in between
STUCK_MAX = 2000  # refs that could not be deleted: a disk that refuses so many is asked again in the next run


class Collector:
    """Removes garbage from the data engine."""

    def __init__(
        self,
        meta: MetadataEngine,
        data: DataEngine,
        *,
        delay_us: int,
        now_us: Callable[[], int],
        holds: IntegrityStore | None = None,
    ) -> None:
        self._meta = meta
        self._holds = holds
        self._data = data
        self._delay_us = delay_us
        self._now_us = now_us

    def recover(self) -> int:
        """Decide about data that dead processes left unsettled: keep what the metadata names, delete the rest."""
        unsettled = iter(green.run_native(self._list_unsettled))
        deleted = 0
        while refs := list(islice(unsettled, BATCH)):
            known = set(self._meta.known_refs(refs))
            for ref in refs:
                if ref not in known:
                    green.run_native(self._data.delete, ref)
                    deleted += 1
            self._data.settle(refs)
        return deleted

    def _list_unsettled(self) -> list[str]:
        return list(self._data.list_unsettled())

    def decide(self) -> None:
        """Of this process's doubtful data, queue as garbage what the metadata does not name, and settle all. Cheap without.

        By a commit, not by a look: a transaction whose own commit failed cannot come back after it, whatever becomes of the
        machine. Raises EngineError; then it is decided another time.
        """
        doubtful = self._data.list_doubtful()
        for start in range(0, len(doubtful), BATCH):
            refs = doubtful[start : start + BATCH]
            self._meta.queue_unnamed(refs, now_us=self._now_us())
            green.run_native(self._data.settle, refs)

    def run(self) -> int:
        """Delete what was queued long enough ago; answer how many refs. What cannot be deleted keeps nothing else waiting.

        Raises EngineError when the metadata fails.
        """
        deleted = 0
        stuck: dict[int, EngineError] = {}
        while len(stuck) < STUCK_MAX and (garbage := self._list(stuck)):
            if self._holds is not None and self._holds.is_held(now_us=self._now_us()):
                break
            gone = [item.id for item in garbage if self._delete(item, stuck)]
            if gone:
                green.run_native(self._data.sync_deletions)  # else a power failure could bring back what nobody names
            self._meta.forget_garbage(gone)
            deleted += len(gone)
        if stuck:
            LOG.warning("%d data files cannot be deleted, and stay in the queue: %s", len(stuck), stuck.popitem()[1])
        return deleted

    def _list(self, stuck: Mapping[int, EngineError]) -> list[Garbage]:
        """What is due, but for what could not be deleted a moment ago."""
        due = self._meta.list_garbage(queued_before_us=self._now_us() - self._delay_us, limit=BATCH + len(stuck))
        return [item for item in due if item.id not in stuck]

    def _delete(self, item: Garbage, stuck: dict[int, EngineError]) -> bool:
        try:
            green.run_native(self._data.delete, item.ref)
        except EngineError as error:
            stuck[item.id] = error
            return False
        return True
