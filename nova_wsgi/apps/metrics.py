"""The metrics app: what the metrics filter counted, in Prometheus' text format or OpenMetrics.

It answers GET of any path it is mounted at. Mount it where clients cannot reach it: on a listener of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from oslo_config import cfg
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from nova_wsgi.manager import Manager
from nova_wsgi.middleware.metrics import BUCKETS, BUCKETS_S, DURATION_S, RECEIVED, SENT, SharedCounters, shared_counters
from nova_wsgi.response import Response, error_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

LABELS = ("api", "operation", "status")
BOUNDS = [*(str(bound) for bound in BUCKETS_S), "+Inf"]


class RequestCollector(Collector):
    """The shared counters as Prometheus' metric families."""

    def __init__(self, counters: SharedCounters) -> None:
        self._counters = counters

    def collect(self) -> Iterator[Metric]:
        """Sum the workers' counters up."""
        requests = CounterMetricFamily("nova_http_requests", "Requests answered.", labels=LABELS)
        seconds = HistogramMetricFamily(
            "nova_http_request_duration_seconds", "From the request's first byte to the response's last.", labels=LABELS
        )
        received = CounterMetricFamily("nova_http_received_bytes", "Bytes of request bodies.", labels=LABELS)
        sent = CounterMetricFamily("nova_http_sent_bytes", "Bytes of response bodies.", labels=LABELS)
        for labels, numbers in sorted(self._counters.totals().items()):
            counts = list(accumulate(numbers[BUCKETS:]))
            requests.add_metric(labels, counts[-1])
            seconds.add_metric(labels, list(zip(BOUNDS, counts, strict=True)), numbers[DURATION_S])
            received.add_metric(labels, numbers[RECEIVED])
            sent.add_metric(labels, numbers[SENT])
        yield from (requests, seconds, received, sent)
        yield GaugeMetricFamily("nova_http_requests_in_flight", "Requests in flight.", self._counters.in_flight())
        yield GaugeMetricFamily("nova_http_workers", "Processes that have served requests.", self._counters.workers())


class MetricsApp(Manager):
    """Answers with all collectors of ``registry``; a service's own may be registered there beside the requests'."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str, counters: SharedCounters | None = None) -> None:
        super().__init__(conf=conf, host=host)
        self.registry = CollectorRegistry()
        self.registry.register(RequestCollector(counters or shared_counters()))

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer GET and HEAD with the metrics."""
        environ["nova.operation"] = "Metrics"
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return error_response(environ, 405, headers=[("Allow", "GET, HEAD")])(environ, start_response)
        encode, content_type = choose_encoder(environ.get("HTTP_ACCEPT", ""))
        return Response(encode(self.registry), content_type=content_type)(environ, start_response)
