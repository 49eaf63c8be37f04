"""Reporter: a service's heartbeats into the registry, and what comes back: whether an administrator has disabled it.

Laws:

- The service never waits for the registry: a heartbeat is written by a greenthread of its own, and when the database is
  slow the next one carries the latest news. Only the last word, "down", is waited for, and not for long.
- An administrator's word arrives with the next heartbeat: within ``report_interval_s``, or with the first one when the
  service starts. While the database is lost the last word stands.
"""

from __future__ import annotations

import logging
import os
import time
import uuid
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from nova_wsgi import green
from nova_wsgi.periodic import host_leases
from nova_wsgi.registry.database import RegistryLost
from nova_wsgi.registry.leases import ClusterLeases
from nova_wsgi.registry.services import DOWN, DRAINING, UP, Heartbeat, Services, open_services
from nova_wsgi.service import Service

log = logging.getLogger(__name__)

LAST_WORD_MAX_S = 1.0  # the process wants to end


@runtime_checkable
class Pausable(Protocol):
    """A service that can stop taking work while it is up."""

    def pause(self) -> None:
        """Take no more work."""

    def resume(self) -> None:
        """Take work again."""


class Reporter:
    """Goes into ``Service.reporters``. ``version`` is what the registry shows."""

    def __init__(self, services: Services, *, version: str = "") -> None:
        self._services = services
        self._version = version
        self._process_id = ""
        self._began = 0.0  # time.monotonic() seconds
        self._latest: Heartbeat | None = None  # to be written
        self._writer: green.GreenThread | None = None
        self._enabled = True
        self._watchers: list[Callable[[bool], None]] = []
        self._last_words: list[Callable[[], None]] = []

    def is_enabled(self) -> bool:
        """Whether the service may take work; what the last heartbeat brought back, at no cost."""
        return self._enabled

    def watch(self, watcher: Callable[[bool], None]) -> None:
        """Have ``watcher(enabled)`` called when an administrator has disabled the service, or enabled it again."""
        self._watchers.append(watcher)

    def at_end(self, call: Callable[[], None]) -> None:
        """Have ``call()`` called when the service has ended, if the registry can be reached."""
        self._last_words.append(call)

    def __call__(self, service: Service) -> None:
        """Take a heartbeat, or a change of state, from the service."""
        if not self._process_id:
            self._process_id = uuid.uuid4().hex  # here, because it is another in each process
            self._began = time.monotonic()
        if service.state == DOWN:
            self._end(self._beat_of(service))
        elif service.state in (UP, DRAINING):
            self._latest = self._beat_of(service)
            if self._writer is None:
                self._writer = green.spawn(self._write)

    def _beat_of(self, service: Service) -> Heartbeat:
        return Heartbeat(
            process_id=self._process_id,
            host=service.host,
            binary=service.binary,
            topic=service.topic,
            pid=os.getpid(),
            version=self._version,
            age_s=time.monotonic() - self._began,
            in_flight=len(service.in_flight()),
            state=service.state,
        )

    def _write(self) -> None:
        try:
            while self._latest is not None:
                beat, self._latest = self._latest, None
                self._report(beat)
        finally:
            self._writer = None

    def _report(self, beat: Heartbeat) -> None:
        try:
            standing = self._services.report(beat)
        except RegistryLost:
            return  # told by the database itself; the next heartbeat tries again
        if standing.disabled == self._enabled:
            self._enabled = not standing.disabled
            self._tell(beat, standing.reason)

    def _tell(self, beat: Heartbeat, reason: str | None) -> None:
        if self._enabled:
            log.info("%s is enabled again", beat.topic)
        else:
            log.warning("%s is disabled: %s", beat.topic, reason or "no reason was given")
        for watcher in self._watchers:
            try:
                watcher(self._enabled)
            except Exception:  # a heartbeat must go on, and the other watchers too
                log.exception("%s: could not be %s", beat.topic, "resumed" if self._enabled else "paused")

    def _end(self, beat: Heartbeat) -> None:
        """Say the last word, as long as it does not keep the process from its end."""
        if self._writer is not None:
            self._writer.kill()
        if self._services.database.is_lost:
            return
        deadline = green.Timeout(LAST_WORD_MAX_S)
        try:
            self._report(beat)
            for call in self._last_words:
                call()
            self._services.close()
        except green.Timeout as expired:
            if expired is not deadline:
                raise
            log.warning("%s: the services registry is too slow to be told of the end", beat.topic)
        finally:
            deadline.cancel()


def join(service: Service, *, version: str = "", services: Services | None = None) -> Reporter:
    """Have a service report, hold its ``cluster`` leases in the registry, and pause while it is disabled, if it can.

    Before it is launched. ``services``: the registry, by default the one of the options. Raises ConfigError.
    """
    conf = service.conf
    services = services or open_services(conf)
    reporter = Reporter(services, version=version)
    service.reporters.append(reporter)
    leases = ClusterLeases(
        services.database,
        service.leases or host_leases(conf, service.topic),
        host=service.host,
        lease_time_s=conf.lease_time_s,
    )
    service.leases = leases
    reporter.at_end(leases.release)
    if isinstance(service, Pausable):
        pausable = service
        reporter.watch(lambda enabled: pausable.resume() if enabled else pausable.pause())
    return reporter
