"""Collect: delete data that no version refers to, and what processes that died left half-way.

Laws:

- A ref is deleted only while the metadata does not name it, and only ``delay_us`` after it ceased to, so that readers who
  began before can end. Running twice, or being killed in between, does no harm.
- Nothing is deleted while somebody holds it (``meta/integrity_port.py``). The holds are looked at after the garbage was
  listed: what was garbage before a hold stood is in no snapshot that was taken under it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from nova_objectstore.data.engine import DataEngine
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.integrity_port import IntegrityStore
from nova_wsgi import green

BATCH = 500  # refs per transaction: short enough to let writers in between


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

    def run(self) -> int:
        """Delete what was queued long enough ago; answer how many refs."""
        deleted = 0
        while garbage := self._meta.list_garbage(queued_before_us=self._now_us() - self._delay_us, limit=BATCH):
            if self._holds is not None and self._holds.is_held(now_us=self._now_us()):
                break
            for item in garbage:
                green.run_native(self._data.delete, item.ref)
            self._meta.forget_garbage([item.id for item in garbage])
            deleted += len(garbage)
        return deleted
