"""Metrics of requests, summed over the workers: counts, latencies, bytes, and requests in flight.

Strategy: the counters lie in memory that is made before the workers are forked and shared by them. Each process writes
an area of its own, without locks; whoever is asked for the metrics adds the areas up. (prometheus-client's own
multiprocess mode keeps a file per process and metric, grows with every restart, and costs several times as much.)

Laws:

- :func:`shared_counters` is called in the launching process before the first fork.
- An area has one writer at a time; a worker that follows a dead one goes on in its area. So totals never go down.
- Labels come from the application and from a fixed list of methods, never from what a client sends.
"""

from __future__ import annotations

import os
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Self

from nova_wsgi.calling import entry_of
from nova_wsgi.middleware.finish import HOOKS, call_with_hooks, observe
from nova_wsgi.shared_places import SharedPlaces

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from nova_wsgi.http import Finished

# Seconds: from a cached small object to the upload of a large part, each about twice the one before.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

METHODS = {name: name for name in ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH")}
STATUS_CLASSES = tuple(f"{digit}xx" for digit in range(10))

# A row's numbers.
DURATION_S, RECEIVED, SENT, BUCKETS = 0, 1, 2, 3
WIDTH = BUCKETS + len(BUCKETS_S) + 1  # one more bucket for what is slower than the last bound

WORKERS_MAX = 64  # areas; processes beyond share one more, where an update may be lost now and then
ROWS_MAX = 1000  # label sets an area holds: S3's operations by status classes, four times over; later ones are "other"

CELL = 8  # bytes of a number, a C double: exact for whole numbers up to 2**53
KEY_SIZE = 96  # bytes of a row's key; longer ones are cut
KEY_CELLS = KEY_SIZE // CELL
HEADER_CELLS = 8  # a cache line: the number of rows, and the requests in flight
ROW_COUNT, IN_FLIGHT = 0, 1


class Labels(NamedTuple):
    """What a row counts: an API's name, an operation of it, and a class of status codes ("2xx")."""

    api: str
    operation: str
    status_class: str


OTHER = Labels("other", "other", "other")


class SharedCounters:
    """Rows of ``WIDTH`` numbers by labels, in memory that this process's later children share.

    A process takes a free area at its first row, and has it as long as it lives (shared_places). ``cells`` are all
    numbers; writers add to them in place.
    """

    def __init__(self, workers_max: int = WORKERS_MAX, *, rows_max: int = ROWS_MAX) -> None:
        self._workers_max = workers_max
        self._rows_max = rows_max
        self._row_cells = KEY_CELLS + WIDTH
        self._area_cells = HEADER_CELLS + rows_max * self._row_cells
        size = (workers_max + 1) * self._area_cells * CELL  # untouched pages cost nothing
        self._places = SharedPlaces("nova-metrics", places=workers_max, size=size)
        self._bytes = self._places.memory
        self.cells = memoryview(self._bytes).cast("d")
        self._area: int | None = None
        self._in_flight = -1  # the index of this process's cell for it; -1 until an area was taken
        self._rows: dict[Labels, int] = {}
        _every.add(self)

    def row(self, labels: Labels) -> int:
        """The index in ``cells`` of the labels' first number, in this process's area."""
        return self._rows.get(labels) or self._add_row(labels)

    def begin(self) -> None:
        """Count a request in flight."""
        if self._in_flight < 0:
            self._header()
        self.cells[self._in_flight] += 1

    def end(self) -> None:
        """Count it off."""
        if self._in_flight < 0:
            self._header()
        self.cells[self._in_flight] -= 1

    def totals(self) -> dict[Labels, list[float]]:
        """Every row, summed over the areas."""
        totals: dict[Labels, list[float]] = {}
        for area in range(self._workers_max + 1):
            for labels, start in self._rows_of(area):
                numbers = list(map(float, self.cells[start : start + WIDTH]))
                known = totals.get(labels)
                totals[labels] = numbers if known is None else [a + b for a, b in zip(known, numbers, strict=True)]
        return totals

    def in_flight(self) -> int:
        """Requests in flight in the processes that live."""
        areas = [*self._living(), self._workers_max]
        return int(sum(self.cells[area * self._area_cells + IN_FLIGHT] for area in areas))

    def workers(self) -> int:
        """Processes that have an area and live."""
        return len(self._living())

    # -- areas

    def _header(self) -> int:
        """The index of this process's area; takes one when it has none."""
        if self._area is None:
            self._attach()
        return self._area * self._area_cells  # type: ignore[operator]  # _attach has set it

    def _attach(self) -> None:
        free = self._places.take_first()
        self._area = self._workers_max if free is None else free
        if free is not None:
            self.cells[free * self._area_cells + IN_FLIGHT] = 0  # its last owner died with requests in flight
        self._in_flight = self._area * self._area_cells + IN_FLIGHT
        self._rows = dict(self._rows_of(self._area))

    def _living(self) -> list[int]:
        return [area for area in range(self._workers_max) if area == self._area or self._places.is_taken(area)]

    def detach(self) -> None:
        """In a forked child: the area is the parent's (its locks are, too)."""
        self._area = None
        self._in_flight = -1
        self._rows = {}

    # -- rows

    def _add_row(self, labels: Labels) -> int:
        header = self._header()
        known = self._rows.get(labels)  # attaching may have found it
        if known is not None:
            return known
        count = int(self.cells[header + ROW_COUNT])
        if count >= self._rows_max - 1 and labels != OTHER:
            return self.row(OTHER)
        start = header + HEADER_CELLS + count * self._row_cells
        key = "\x1f".join(labels).encode()[:KEY_SIZE]
        self._bytes[start * CELL : start * CELL + KEY_SIZE] = key.ljust(KEY_SIZE, b"\0")
        self.cells[header + ROW_COUNT] = count + 1  # after the key: a reader sees whole rows only
        self._rows[labels] = start + KEY_CELLS
        return start + KEY_CELLS

    def _rows_of(self, area: int) -> Iterator[tuple[Labels, int]]:
        header = area * self._area_cells
        for index in range(int(self.cells[header + ROW_COUNT])):
            start = header + HEADER_CELLS + index * self._row_cells
            key = self._bytes[start * CELL : start * CELL + KEY_SIZE].rstrip(b"\0").decode(errors="replace")
            parts = key.split("\x1f")
            yield Labels(*parts) if len(parts) == len(OTHER) else OTHER, start + KEY_CELLS


_every: weakref.WeakSet[SharedCounters] = weakref.WeakSet()
_shared: SharedCounters | None = None


def _detach_all() -> None:
    for counters in list(_every):
        counters.detach()


os.register_at_fork(after_in_child=_detach_all)


def shared_counters() -> SharedCounters:
    """The counters of this process and of the children it forks from here on; made at the first call."""
    global _shared
    if _shared is None:
        _shared = SharedCounters()
    return _shared


class Metrics:
    """Counts every request under its ``nova.operation``, or its method where the application names none.

    ``api`` is the label of this pipeline.
    """

    def __init__(self, app: WSGIApplication, *, api: str, counters: SharedCounters | None = None) -> None:
        self._app = entry_of(app)
        self._api = api
        self._counters = counters or shared_counters()
        observe(self._refused)

    @classmethod
    def filter_factory(cls, global_conf: Mapping[str, str], *, api: str) -> Callable[[WSGIApplication], Self]:
        """Paste options: ``api``, this pipeline's name in the metrics."""
        return lambda app: cls(app, api=api)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Count the request in, hand it on, and count it when it is over."""
        hooks = environ.get(HOOKS)
        if hooks is None:
            return call_with_hooks(self, environ, start_response)
        self._counters.begin()
        hooks.append(self._finished)
        return self._app(environ, start_response)

    def _refused(self, environ: WSGIEnvironment, finished: Finished) -> None:
        """Count a request that was refused before it came here."""
        self._counters.begin()
        self._finished(environ, finished)

    def _finished(self, environ: WSGIEnvironment, finished: Finished) -> None:
        counters = self._counters
        operation = environ.get("nova.operation") or METHODS.get(environ["REQUEST_METHOD"], "OTHER")
        # PERF: a tuple equals and hashes as the Labels it stands for, and is made in half the time.
        status, bytes_sent, bytes_received, duration_s, _, _ = finished
        labels = (self._api, operation, STATUS_CLASSES[status // 100])
        row = counters.row(labels)  # type: ignore[arg-type]
        cells = counters.cells
        cells[row] += duration_s  # DURATION_S
        if bytes_received:
            cells[row + RECEIVED] += bytes_received
        cells[row + SENT] += bytes_sent
        cells[row + BUCKETS + bisect_left(BUCKETS_S, duration_s)] += 1
        counters.end()
