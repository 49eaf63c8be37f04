"""The metrics app of nova-api: what the requests' filter counted, and what the scrubber knows of the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from oslo_config import cfg
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nova_objectstore.assembly import DATABASE_NAME, integrity_store, open_metadata
from nova_objectstore.errors import EngineError
from nova_objectstore.manager import read_settings
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.meta.integrity_port import IntegrityStore
from nova_wsgi.apps.metrics import MetricsApp

_US = 1_000_000


class ScrubCollector(Collector):
    """The scrubber's numbers, read from the metadata when somebody asks; none while there is no store."""

    def __init__(self, find_store: Callable[[], IntegrityStore | None]) -> None:
        self._find_store = find_store

    def collect(self) -> Iterator[Metric]:
        """Two reads of small tables."""
        try:
            store = self._find_store()
            if store is None:
                return
            scrub, damages = store.get_scrub(), store.list_damages()
        except EngineError:  # the other metrics are worth having, now more than ever
            return
        yield GaugeMetricFamily("nova_scrub_damaged", "Damaged contents on record.", len(damages))
        yield CounterMetricFamily("nova_scrub_found", "Contents that passes found damaged.", scrub.found_total)
        yield CounterMetricFamily("nova_scrub_bytes", "Bytes that passes have read.", scrub.bytes_total)
        yield GaugeMetricFamily("nova_scrub_running", "Whether a pass is under way.", float(bool(scrub.position)))
        yield GaugeMetricFamily(
            "nova_scrub_started_timestamp_seconds", "When the last pass began; 0: never.", scrub.started_us / _US
        )
        yield GaugeMetricFamily(
            "nova_scrub_finished_timestamp_seconds", "When the last pass came to its end.", scrub.finished_us / _US
        )


class StoreMetricsApp(MetricsApp):
    """The metrics, with those of the store of ``state_path``."""

    def __init__(self, *, conf: cfg.ConfigOpts, host: str) -> None:
        super().__init__(conf=conf, host=host)
        self._meta: MetadataEngine | None = None
        self.registry.register(ScrubCollector(self._find_store))

    def _find_store(self) -> IntegrityStore | None:
        """The store's metadata, opened at the first question after there is one."""
        if self._meta is None:
            settings = read_settings(self.conf)
            if not (settings.state_path / DATABASE_NAME).exists():
                return None
            meta = open_metadata(settings)
            meta.open()
            self._meta = meta
        return integrity_store(self._meta)

    def cleanup_host(self) -> None:
        """Let go of the metadata. Idempotent."""
        super().cleanup_host()
        meta, self._meta = self._meta, None
        if meta is not None:
            meta.close()
