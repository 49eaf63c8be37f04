"""Scrub: reads everything that is stored, slowly, and compares it with what was written.

Strategy: a pass walks over all rows; its position is kept in the metadata, so that the next process goes on where one died.
What is found damaged is put into quarantine: the bytes are kept and not served any more, a record says what and where, the
log and the metrics tell of it.

Laws:

- Nothing is ever deleted, and nothing that reads well is touched.
- A file is moved aside before its record is written: after a crash in between the next pass finds it there and records it.
- What was removed or moved while it was looked at is no finding: the metadata are asked again.
- What a disk did not give, or did not have, and then is found sound is no finding any more: its record is dropped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from nova_objectstore.data.engine import DataEngine
from nova_objectstore.domain.verification import (
    DIGEST,
    MISSING,
    QUARANTINED,
    SIZE,
    SOUND,
    UNREADABLE,
    Interrupted,
    Pace,
    Verifier,
)
from nova_objectstore.domain.walk import Found, walk
from nova_objectstore.errors import MissingError
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.integrity_port import Damage, IntegrityStore, Position, Scrub, Stage
from nova_wsgi import green

LOG = logging.getLogger(__name__)

SAVE_INTERVAL_S = 5.0  # what a process that dies has read for nothing, at most


class Sum(NamedTuple):
    """What a walk came to."""

    items: int
    bytes: int
    damages: int  # that were not known before


class Scrubber:
    """Walks, now or as its period asks for."""

    def __init__(
        self,
        meta: MetadataEngine,
        store: IntegrityStore,
        data: DataEngine,
        verifier: Verifier,
        *,
        bytes_per_s: int,
        period_us: int,
        now_us: Callable[[], int],
    ) -> None:
        self._meta = meta
        self._store = store
        self._data = data
        self._verifier = verifier
        self._pace = Pace(bytes_per_s)
        self._period_us = period_us
        self._now_us = now_us
        self._may_heal: dict[str, int] = {}  # ref -> the record of data that were missing or unreadable

    # -- in the background -------------------------------------------------------------------------------------------

    def run(self, goes_on: Callable[[], bool] = lambda: True) -> Scrub | None:
        """Go on with the pass, or begin one when it is time, until its end or until ``goes_on`` says no.

        The pass when it came to its end, else None. Raises EngineError.
        """
        scrub = self._due()
        if scrub is None:
            return None
        saved_s = time.monotonic()
        self._look_at_records()
        for found in walk(self._store, start=Position.decode(scrub.position)):
            try:
                reason = self._verifier.verify(found, self._pace, goes_on=goes_on)
            except Interrupted:
                break
            scrub = _count(scrub, found, self._tell(found, reason))
            if time.monotonic() - saved_s >= SAVE_INTERVAL_S:
                self._store.put_scrub(scrub)
                saved_s = time.monotonic()
            if not goes_on():
                break
        else:
            scrub = scrub._replace(position="", finished_us=self._now_us())
            self.forget_what_is_gone()
        self._store.put_scrub(scrub)
        return None if scrub.position else scrub

    def _due(self) -> Scrub | None:
        """The pass that runs, or a new one; None while it is not time."""
        if not self._period_us:
            return None
        scrub, now_us = self._store.get_scrub(), self._now_us()
        if scrub.position:
            return scrub
        if not scrub.finished_us:  # a new store: what it has was written a moment ago
            self._store.put_scrub(scrub._replace(finished_us=now_us))
            return None
        if now_us < max(scrub.started_us, scrub.finished_us if not scrub.started_us else 0) + self._period_us:
            return None
        return scrub._replace(started_us=now_us, position=Position().encode(), items=0, bytes=0, found=0)

    # -- now ---------------------------------------------------------------------------------------------------------

    def run_now(
        self,
        *,
        bucket_id: int | None = None,
        pace: Pace | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Sum:
        """Walk over one bucket, or over all, from the beginning to the end. ``progress`` is told the bytes so far."""
        items = size = damages = 0
        self._look_at_records()
        for found in walk(self._store, bucket_id=bucket_id):
            reason = self._verifier.verify(found, pace or self._pace)
            damages += self._tell(found, reason)
            items += 1
            size += max(found.size, 0)
            progress(size)
        self.forget_what_is_gone()
        return Sum(items, size, damages)

    # -- what is found -----------------------------------------------------------------------------------------------

    def _look_at_records(self) -> None:
        records = self._store.list_damages()
        self._may_heal = {damage.ref: damage.id for damage in records if damage.reason in (MISSING, UNREADABLE)}

    def _tell(self, found: Found, reason: str) -> bool:
        """Put what is not sound into quarantine; whether it was not known before."""
        if reason == SOUND and found.content.ref in self._may_heal:
            self._store.forget_damage(self._may_heal.pop(found.content.ref))
            LOG.info("data %s are sound again", found.content.ref)
        if reason == SOUND or (reason == MISSING and not self._store.live_refs([found.content.ref])):
            return False
        damage = damage_of(found, DIGEST if reason == QUARANTINED else reason, self._now_us())
        if damage.ref and reason in (DIGEST, SIZE):
            green.run_native(self._data.quarantine, damage.ref)
        is_new = self._store.record_damage(damage)
        if is_new:
            what = f"{damage.key!r}, version {damage.version_id}" + (f", part {damage.part}" if damage.part else "")
            LOG.error("damaged (%s): %s in bucket %d: data %s", damage.reason, what, damage.bucket_id, damage.ref)
        return is_new

    def forget_what_is_gone(self) -> None:
        """Drop the records of what was deleted, or replaced, since it was found."""
        for damage in self._store.list_damages():
            if not self.is_there(damage):
                self._store.forget_damage(damage.id)

    def is_there(self, damage: Damage) -> bool:
        """Whether what was found damaged is still named."""
        if damage.ref:
            return bool(self._store.live_refs([damage.ref]))
        try:
            self._meta.get_version(damage.bucket_id, damage.key, damage.version_id, inline=False)
        except MissingError:
            return damage.stage is Stage.UPLOADS
        return True

    def release(self, damage: Damage) -> None:
        """Let the bytes be read again, whatever they are, and drop the record. Raises EngineError."""
        if damage.ref:
            green.run_native(self._data.release, damage.ref)
        self._store.forget_damage(damage.id)


def damage_of(found: Found, reason: str, now_us: int) -> Damage:
    """The record of a finding."""
    stored = found.stored
    return Damage(
        0,
        found.stage,
        stored.bucket_id,
        "",
        stored.key,
        stored.version_id,
        0 if found.part is None else found.part.number,
        found.content.ref,
        max(found.size, 0),
        reason,
        now_us,
    )


def _count(scrub: Scrub, found: Found, is_new: bool) -> Scrub:
    size = max(found.size, 0)
    return scrub._replace(
        position=found.position.encode(),
        items=scrub.items + 1,
        bytes=scrub.bytes + size,
        found=scrub.found + is_new,
        bytes_total=scrub.bytes_total + size,
        found_total=scrub.found_total + is_new,
    )
