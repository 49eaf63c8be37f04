"""Access logs and event notifications put together over a store: what records, and the jobs that deliver."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nova_objectstore.assembly import Settings, Store, now_us
from nova_objectstore.delivery.endpoints import Networks
from nova_objectstore.delivery.limits import PENDING_KEPT_S
from nova_objectstore.delivery.ports import DeliveryStore
from nova_objectstore.delivery.sending import Sender
from nova_objectstore.delivery.spool import Spool
from nova_objectstore.jobs.deliver_logs import LogDelivery
from nova_objectstore.jobs.lifecycle_records import LifecycleRecords
from nova_objectstore.jobs.notify import Notifier
from nova_objectstore.s3.access_records import AccessRecords
from nova_wsgi.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DeliveryJobs:
    """The jobs of a worker, and what they hold."""

    logs: LogDelivery
    notifier: Notifier
    sender: Sender
    store: DeliveryStore
    clock_us: Callable[[], int]

    def forget_pending(self) -> int:
        """Remove subscriptions that were never confirmed; answer how many."""
        return self.store.forget_pending(before_us=self.clock_us() - PENDING_KEPT_S * 1_000_000)

    def close(self) -> None:
        """Let what is being sent end, and close connections. Idempotent."""
        self.notifier.wait()
        self.sender.close()


def build_records(
    store: Store, settings: Settings, *, clock_s: Callable[[], float] = time.time, clock_us: Callable[[], int] = now_us
) -> AccessRecords:
    """What records requests for access logs, in the process that serves them."""
    spool = Spool(settings.state_path, now_us=clock_us)
    return AccessRecords(spool, store.access, store.identities, host_id=settings.region, clock_s=clock_s)


def build_lifecycle_records(
    store: Store, settings: Settings, *, clock_us: Callable[[], int] = now_us
) -> LifecycleRecords:
    """What records the lifecycle's work for access logs."""
    return LifecycleRecords(Spool(settings.state_path, now_us=clock_us), store.access, store.identities)


def build_log_delivery(
    store: Store, settings: Settings, *, delivery_s: float, clock_us: Callable[[], int] = now_us
) -> LogDelivery:
    """The job that stores access logs; a record becomes no older than ``delivery_s`` before."""
    return LogDelivery(
        Spool(settings.state_path, now_us=clock_us),
        store.buckets,
        store.objects,
        store.access,
        store.identities,
        delivery_s=delivery_s,
        now_us=clock_us,
    )


def build_delivery_jobs(
    store: Store,
    settings: Settings,
    *,
    logging_delivery_s: float,
    networks: Sequence[str],
    goes_on: Callable[[], bool],
    clock_us: Callable[[], int] = now_us,
) -> DeliveryJobs:
    """The jobs of a worker. ``networks``: those that notifications may reach, by CIDR. Raises ConfigError."""
    try:
        sender = Sender(Networks.parse(networks))
    except ValueError as error:
        raise ConfigError(f"notification_networks: {error}") from None
    return DeliveryJobs(
        build_log_delivery(store, settings, delivery_s=logging_delivery_s, clock_us=clock_us),
        Notifier(store.topics.store, sender, now_us=clock_us, goes_on=goes_on),
        sender,
        store.topics.store,
        clock_us,
    )
