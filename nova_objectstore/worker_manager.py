"""The System Manager of the background jobs."""

from __future__ import annotations

import logging

from oslo_config import cfg

from nova_objectstore.assembly import build_lifecycle_job, build_reaper, build_restore_job
from nova_objectstore.assembly_delivery import DeliveryJobs, build_delivery_jobs, build_lifecycle_records
from nova_objectstore.assembly_images import build_image_job, open_keys
from nova_objectstore.assembly_integrity import build_scrubber
from nova_objectstore.images.job import ImageJob
from nova_objectstore.jobs.deliver_logs import spacing_of
from nova_objectstore.jobs.lifecycle import LifecycleJob
from nova_objectstore.jobs.reap_uploads import UploadReaper
from nova_objectstore.jobs.restore import RestoreJob
from nova_objectstore.jobs.scrub import Scrubber
from nova_objectstore.manager import StoreManager, told_by_path
from nova_wsgi import green
from nova_wsgi.manager import PeriodicTask, periodic_task
from nova_wsgi.rpc.dispatcher import exposed

LOG = logging.getLogger(__name__)

COLLECT_SPACING_S = 30.0
IMAGES_SPACING_S = 5.0  # how long an image may wait whose worker died, or whose message was lost; one read of an index
NOTIFY_SPACING_S = 0.5  # how long an event waits before it is sent; one read of an index
RESTORE_SPACING_S = 5.0  # how long a restore may wait whose message was lost; two reads of an index
REAP_SPACING_S = 600.0
SCRUB_SPACING_S = 60.0  # how soon after its time a pass begins; one read of a row
LIFECYCLE_SPACING_S = 300.0  # new rules are walked by then; what is due at midnight is gone soon after


def lifecycle_spacing_s(day_s: int) -> float:
    """Seconds between two runs of the lifecycle: ten in a short day, but no more than one a second."""
    return min(max(day_s / 10, 1.0), LIFECYCLE_SPACING_S) if day_s else LIFECYCLE_SPACING_S


class ObjectstoreWorkerManager(StoreManager):
    """The System Manager of the background jobs. Every job is a sweep over rows; messages only say that one is worth it."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._image_job: ImageJob | None = None
        self._reaper: UploadReaper | None = None
        self._lifecycle: LifecycleJob | None = None
        self._restore_job: RestoreJob | None = None
        self._scrubber: Scrubber | None = None
        self._deliveries: DeliveryJobs | None = None

    def init_host(self) -> None:
        """Open the engines and bring what died half-way to a sane state. Raises ConfigError."""
        store = self._open_store()
        with told_by_path(self._settings):
            keys = green.run_native(open_keys, self._settings)
        self._image_job = build_image_job(
            store, keys, size_max=self.conf.image_size_max, lease_s=self.conf.image_lease_s
        )
        aging_us = self._aging_us
        records = build_lifecycle_records(store, self._settings)
        self._reaper = build_reaper(store, age_days=self.conf.upload_age_days_max, clock_us=aging_us)
        self._lifecycle = build_lifecycle_job(store, report=records, clock_us=aging_us)
        self._restore_job = build_restore_job(store, clock_us=aging_us)
        self._scrubber = build_scrubber(
            store, bytes_per_s=self.conf.scrub_bytes_per_s, period_s=self.conf.scrub_period_s
        )
        self._deliveries = build_delivery_jobs(
            store,
            self._settings,
            logging_delivery_s=self.conf.logging_delivery_s,
            networks=self.conf.notification_networks,
            goes_on=lambda: not self.stopping,
        )

    def cleanup_host(self) -> None:
        """End deliveries that are under way; release the engines, and the queue where it is used. Idempotent."""
        if self._deliveries is not None:
            self._deliveries.close()
        super().cleanup_host()

    @exposed
    def register_images(self) -> None:
        """Work on the images that wait, and return when none does; a soft stop waits for one image, not for all."""
        assert self._image_job is not None, "messages come after init_host"
        self._image_job.run(lambda: not self.stopping)

    @exposed
    def restore_objects(self) -> None:
        """Make the copies of archived objects that are waited for; a soft stop waits for one of them."""
        assert self._restore_job is not None, "messages come after init_host"
        self._restore_job.run(lambda: not self.stopping)

    @periodic_task(spacing_s=RESTORE_SPACING_S, run_immediately=True)
    def sweep_restores(self) -> None:
        """Make the copies that a message did not lead to; remove those whose time is over."""
        assert self._restore_job is not None, "periodic tasks come after init_host"
        self._restore_job.run(lambda: not self.stopping)
        removed = self._restore_job.expire()
        if removed:
            LOG.info("removed %d restored copies", removed)

    @exposed
    @periodic_task(spacing_s=COLLECT_SPACING_S, scope="cluster")
    def collect(self) -> None:
        """Delete data that no version refers to any more."""
        assert self._store is not None, "periodic tasks come after init_host"
        deleted = self._store.collector.run()
        if deleted:
            LOG.info("collected %d data files", deleted)

    @periodic_task(spacing_s=IMAGES_SPACING_S, run_immediately=True)
    def sweep_images(self) -> None:
        """Finish registrations that a message did not lead to; forget images that are long gone."""
        assert self._image_job is not None, "periodic tasks come after init_host"
        self._image_job.run(lambda: not self.stopping)
        self._image_job.forget_deregistered()

    @periodic_task(spacing_s=SCRUB_SPACING_S, scope="cluster", run_immediately=True)
    def scrub(self) -> None:
        """Go on reading what is stored; a soft stop waits for one step. The next process goes on where this one stood."""
        assert self._scrubber is not None, "periodic tasks come after init_host"
        done = self._scrubber.run(lambda: not self.stopping)
        if done is not None:
            LOG.info("scrubbed %d contents, %d bytes: %d found damaged", done.items, done.bytes, done.found)

    @periodic_task(spacing_s=REAP_SPACING_S, scope="cluster")
    def reap_uploads(self) -> None:
        """Abort multipart uploads that nobody went on with for longer than ``upload_age_days_max``."""
        assert self._reaper is not None, "periodic tasks come after init_host"
        aborted = self._reaper.run()
        if aborted:
            LOG.info("aborted %d multipart uploads", aborted)

    def periodic_tasks(self) -> list[PeriodicTask]:
        """Those that are marked; the lifecycle, as often as its days ask for; the access logs, in time."""
        spacing_s = lifecycle_spacing_s(self._settings.lifecycle_day_s)
        lifecycle = PeriodicTask("run_lifecycle", self.run_lifecycle, spacing_s, run_immediately=True, scope="cluster")
        log_spacing_s = spacing_of(self.conf.logging_delivery_s)
        logs = PeriodicTask("deliver_logs", self.deliver_logs, log_spacing_s, run_immediately=True, scope="host")
        return [*super().periodic_tasks(), lifecycle, logs]

    def deliver_logs(self) -> None:
        """Store the access logs that are due: of what the processes of this host recorded."""
        assert self._deliveries is not None, "periodic tasks come after init_host"
        self._deliveries.logs.run()

    @periodic_task(spacing_s=NOTIFY_SPACING_S, run_immediately=True)
    def deliver_events(self) -> None:
        """Begin to deliver the events that wait; the deliveries go on beside."""
        assert self._deliveries is not None, "periodic tasks come after init_host"
        self._deliveries.notifier.poll()

    @periodic_task(spacing_s=REAP_SPACING_S, scope="cluster")
    def forget_pending_subscriptions(self) -> None:
        """Remove subscriptions that nobody confirmed."""
        assert self._deliveries is not None, "periodic tasks come after init_host"
        self._deliveries.forget_pending()

    def run_lifecycle(self) -> None:
        """Expire, move and abort what lifecycle rules say; a soft stop waits for one batch."""
        assert self._lifecycle is not None, "periodic tasks come after init_host"
        done = self._lifecycle.run(lambda: not self.stopping)
        if any(done.values()):
            LOG.info("lifecycle: %s", ", ".join(f"{count} {what}" for what, count in done.items() if count))
