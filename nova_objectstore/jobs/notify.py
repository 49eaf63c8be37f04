"""Deliver events: what waits for subscriptions is sent to their endpoints, until they have taken it.

Strategy: a subscription for which something waits is leased, and given a turn in a greenthread of its own; so endpoints do
not wait for one another. In a turn its events are sent lane by lane (a lane is a key): the next event of a key when the
one before was taken, several keys at once. What failed is tried again after a pause that doubles while nothing gets through.

Laws:

- At least once: an event leaves the queue after its endpoint has taken it. A worker that dies in between repeats it; its
  message has the same id then.
- In order per key, whatever fails and however many workers there are: one turn at a time, and a lane that failed waits.
- What waits longer than ``EVENT_KEPT_S`` is given up, and counted.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol

from nova_objectstore.delivery.errors import DeliveryChanged, DeliveryFailed
from nova_objectstore.delivery.limits import (
    BATCH_EVENTS,
    EVENT_KEPT_S,
    LANES,
    LEASE_S,
    RETRY_MAX_S,
    RETRY_MIN_S,
    TARGETS_AT_ONCE,
    TURN_S,
)
from nova_objectstore.delivery.ports import DeliveryClaim, DeliveryStore, Outcome, Subscription, Waiting
from nova_objectstore.errors import EngineError
from nova_wsgi import green

LOG = logging.getLogger(__name__)

_S = 1_000_000


class Send(Protocol):
    """Sends one message of one subscription; returns when the endpoint has taken it. Raises DeliveryFailed."""

    def __call__(self, subscription: Subscription, waiting: Waiting, /) -> None:
        """Send."""
        ...


class Notifier:
    """Delivers. One a worker; any number of workers and hosts may run theirs over one engine."""

    def __init__(
        self,
        store: DeliveryStore,
        send: Send,
        *,
        now_us: Callable[[], int],
        goes_on: Callable[[], bool] = lambda: True,
        retry_min_s: float = RETRY_MIN_S,
    ) -> None:
        self._store = store
        self._send = send
        self._now_us = now_us
        self._goes_on = goes_on
        self._retry_min_s = retry_min_s
        self._turns = green.GreenPool(TARGETS_AT_ONCE)

    def poll(self) -> int:
        """Begin a turn for each subscription that is due, as far as there is room; answer how many. Raises EngineError."""
        begun = 0
        while self._goes_on() and self._turns.free() > 0:
            now_us = self._now_us()
            if not self._store.is_delivery_due(now_us=now_us):
                break
            until_us = now_us + int(LEASE_S * _S)
            claim = self._store.claim_delivery(secrets.token_hex(16), now_us=now_us, until_us=until_us)
            if claim is None:
                break
            self._turns.spawn(self._turn, claim)
            begun += 1
        return begun

    def wait(self) -> None:
        """Wait until the turns that have begun are over."""
        self._turns.waitall()

    def _turn(self, claim: DeliveryClaim) -> None:
        arn = claim.queue.subscription.arn
        try:
            _Turn(self._store, self._send, claim, self._now_us, self._goes_on, self._retry_min_s).run()
        except DeliveryChanged:
            LOG.info("%s was removed, or is another worker's now", arn)
        except EngineError as error:
            LOG.warning("%s: deliveries go on when the database does: %s", arn, error)
        except Exception:  # a fault of ours: the lease runs out, and others must not wait for it
            LOG.exception("%s: delivering failed", arn)


class _Turn:
    """One turn of one subscription."""

    def __init__(
        self,
        store: DeliveryStore,
        send: Send,
        claim: DeliveryClaim,
        now_us: Callable[[], int],
        goes_on: Callable[[], bool],
        retry_min_s: float,
    ) -> None:
        self._store = store
        self._send = send
        self._subscription = claim.queue.subscription
        self._failures = claim.queue.failures
        self._lease = claim.lease
        self._now_us = now_us
        self._goes_on = goes_on
        self._retry_min_s = retry_min_s
        self._ends_us = now_us() + int(TURN_S * _S)
        self._blocked: set[str] = set()  # lanes whose first event failed
        self._delivered: list[int] = []
        self._given_up: list[int] = []
        self._has_delivered = False
        self._error = ""

    def run(self) -> None:
        """Deliver until nothing is left, nothing gets through, or the turn is over. Raises DeliveryChanged, EngineError."""
        after = 0
        while True:
            batch = self._store.list_waiting(self._subscription.arn, after=after, limit=BATCH_EVENTS)
            self._deliver(batch)
            is_over = (
                len(batch) < BATCH_EVENTS or self._is_dead() or self._now_us() >= self._ends_us or not self._goes_on()
            )
            self._record(ends=is_over)
            if is_over:
                return
            after = batch[-1].event_id

    def _deliver(self, batch: Sequence[Waiting]) -> None:
        lanes: dict[str, list[Waiting]] = {}
        for waiting in batch:
            lanes.setdefault(waiting.lane, []).append(waiting)
        pool = green.GreenPool(LANES)
        for name, lane in lanes.items():
            if name not in self._blocked and not self._is_dead():
                pool.spawn(self._deliver_lane, lane)
        pool.waitall()

    def _deliver_lane(self, lane: Sequence[Waiting]) -> None:
        for waiting in lane:
            if self._is_dead() or self._now_us() >= self._ends_us or not self._goes_on():
                self._blocked.add(waiting.lane)  # the rest of this turn must not overtake it
                return
            if waiting.created_us < self._now_us() - EVENT_KEPT_S * _S:
                self._given_up.append(waiting.event_id)
                continue
            try:
                self._send(self._subscription, waiting)
            except DeliveryFailed as error:
                self._error = error.message
                self._blocked.add(waiting.lane)
                return
            self._delivered.append(waiting.event_id)
            self._has_delivered = True

    def _is_dead(self) -> bool:
        """Whether as many keys as are tried at once have failed, and nothing got through."""
        return not self._has_delivered and bool(self._error) and len(self._blocked) >= LANES

    def _record(self, *, ends: bool) -> None:
        now_us = self._now_us()
        delivered, given_up = self._delivered, self._given_up
        self._delivered, self._given_up = [], []
        error = self._error if ends else ""
        if error:
            LOG.warning("%s: %s", self._subscription.arn, error)
        if given_up:
            LOG.warning("%s: %d events were given up", self._subscription.arn, len(given_up))
        outcome = Outcome(delivered, given_up, error, now_us + self._pause_us() if error else 0)
        until_us = 0 if ends else now_us + int(LEASE_S * _S)
        self._store.record_outcome(self._subscription.arn, self._lease, outcome, now_us=now_us, until_us=until_us)

    def _pause_us(self) -> int:
        failures = 0 if self._has_delivered else min(self._failures, 20)
        return int(min(RETRY_MAX_S, self._retry_min_s * 2**failures) * _S)
