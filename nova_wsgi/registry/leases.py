"""ClusterLeases: which host, and which of its processes, runs a periodic task of the whole cluster.

Laws:

- A task of scope ``cluster`` is begun by one process of the cluster at a time: the one that holds the row of the task's
  name. It renews its rows while it lives, the task's run included, however long that takes.
- A holder that dies, hangs, or cannot reach the database loses the row ``lease_time_s`` after its last renewal, and
  another takes over at its next tick; one that stops in peace gives its rows back at once.
- One clock counts, the database's: the hosts' clocks do not matter. A holder that stands still (a suspended machine)
  for longer than the lease and then goes on in the middle of a run may overlap with its successor until the run ends;
  so may one that has lost the database. Tasks of scope ``cluster`` must bear that.
- A database that cannot be reached means "not held": better late than twice.
"""

from __future__ import annotations

import contextlib
import logging
import uuid

from nova_wsgi.loopingcall import FixedInterval, LoopingCall
from nova_wsgi.manager import Scope
from nova_wsgi.periodic import Leases
from nova_wsgi.registry.database import Database, RegistryLost, Transaction

log = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3  # so that one that fails does not lose the lease


class ClusterLeases:
    """Leases in the registry's database, behind those of the host: of each host one process asks the database.

    ``host`` is what the rows tell people; ``lease_time_s`` how long a row outlives its holder.
    """

    def __init__(self, database: Database, host_leases: Leases, *, host: str, lease_time_s: float) -> None:
        self._database = database
        self._host_leases = host_leases
        self._host = host
        self._lease_time_s = lease_time_s
        self._holder = ""
        self._held: set[str] = set()
        self._renewing: LoopingCall | None = None

    def hold(self, name: str, scope: Scope) -> bool:
        """Take the lease ``name``, or keep it; False when another process has it, or the database is lost."""
        if scope != "cluster":
            return self._host_leases.hold(name, scope)
        if not self._host_leases.hold(name, "host"):
            return False
        self._begin_renewing()
        held = self._take(name)
        if held:
            self._held.add(name)
        else:
            self._held.discard(name)
        return held

    def release(self) -> None:
        """Give back every lease that this process took; a database that is lost lets them expire."""
        if self._renewing is not None:
            self._renewing.kill()
            self._renewing = None
        if self._held and not self._database.is_lost:
            self._held.clear()
            with contextlib.suppress(RegistryLost):  # they expire then
                self._database.write(_release, self._holder)

    def _begin_renewing(self) -> None:
        if self._renewing is None:
            self._holder = uuid.uuid4().hex  # here, because it is another in each process
            interval_s = self._lease_time_s / RENEWALS_PER_LEASE
            self._renewing = LoopingCall(
                self._renew, FixedInterval(interval_s), name="leases", initial_delay_s=interval_s
            ).start()

    def _renew(self) -> None:
        for name in list(self._held):
            if not self._take(name) and not self._database.is_lost:
                self._held.discard(name)
                log.warning("the lease of %s went to another host while this one held it", name)

    def _take(self, name: str) -> bool:
        duration_us = int(self._lease_time_s * 1_000_000)
        try:
            return self._database.write(_take, name, self._holder, self._host, duration_us)
        except RegistryLost:
            return False  # the database tells of its loss itself


def _take(transaction: Transaction, name: str, holder: str, host: str, duration_us: int) -> bool:
    if transaction.run("take_lease", lease_name=name, by=holder, at=host, duration_us=duration_us):
        return True
    if transaction.one("find_lease", lease_name=name) is not None:
        return False
    transaction.run("insert_lease", name=name, holder=holder, host=host, duration_us=duration_us)
    return True


def _release(transaction: Transaction, holder: str) -> None:
    transaction.run("release_leases", by=holder)
