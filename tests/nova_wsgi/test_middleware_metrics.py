"""Metrics: what is counted, how workers' counters become totals, and what Prometheus is shown."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nova_wsgi.apps.metrics import MetricsApp
from nova_wsgi.middleware.metrics import BUCKETS, RECEIVED, SENT, Labels, Metrics, SharedCounters, shared_counters
from nova_wsgi.response import Response
from nova_wsgi.testing import Client

PROGRAM = Path(__file__).parent / "programs" / "shared_counters.py"


@pytest.fixture
def counters():
    return SharedCounters(workers_max=4)


def app(environ, start_response):
    if environ["PATH_INFO"] == "/named":
        environ["nova.operation"] = "GetObject"
    if environ["PATH_INFO"] == "/missing":
        return Response(status=404)(environ, start_response)
    environ["wsgi.input"].read()
    return Response(b"12345")(environ, start_response)


def count(numbers):
    return sum(numbers[BUCKETS:])


def samples(counters, **headers):
    """The metrics as Prometheus reads them: name -> {labels: value}."""
    answer = Client(MetricsApp(conf=None, host="h", counters=counters)).get("/metrics", headers=headers)
    families = text_string_to_metric_families(answer.text)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value for family in families for sample in family.samples
    }


def test_requests_are_counted_by_operation_and_status_class(counters):
    client = Client(Metrics(app, api="s3", counters=counters))
    client.get("/named")
    client.get("/named")
    client.put("/named", body=b"abc")
    client.get("/other")
    client.get("/missing")
    totals = counters.totals()
    assert {labels: count(numbers) for labels, numbers in totals.items()} == {
        ("s3", "GetObject", "2xx"): 3,
        ("s3", "GET", "2xx"): 1,
        ("s3", "GET", "4xx"): 1,
    }
    named = totals[Labels("s3", "GetObject", "2xx")]
    assert (named[RECEIVED], named[SENT]) == (3, 15)


def test_a_client_cannot_make_labels(counters):
    client = Client(Metrics(app, api="s3", counters=counters))
    for index in range(20):
        client.request(f"BREW{index}", f"/{index}")
    assert [labels.operation for labels in counters.totals()] == ["OTHER"]


def test_a_request_is_in_flight_until_it_is_over(counters):
    seen = []

    def looking(environ, start_response):
        seen.append(counters.in_flight())
        return Response(b"")(environ, start_response)

    Client(Metrics(looking, api="s3", counters=counters)).get("/")
    assert seen == [1]
    assert counters.in_flight() == 0


def test_a_failing_application_is_counted_as_a_failure(counters):
    def broken(environ, start_response):
        raise KeyError("broken")

    with pytest.raises(KeyError):
        Client(Metrics(broken, api="s3", counters=counters)).get("/")
    assert list(counters.totals()) == [("s3", "GET", "5xx")]
    assert counters.in_flight() == 0


def test_more_label_sets_than_fit_are_counted_together():
    counters = SharedCounters(workers_max=1, rows_max=3)
    rows = {counters.row(Labels("s3", f"Operation{index}", "2xx")) for index in range(10)}
    assert len(rows) == 3
    assert set(counters.totals()) == {
        ("s3", "Operation0", "2xx"),
        ("s3", "Operation1", "2xx"),
        ("other", "other", "other"),
    }


def test_a_long_name_is_cut_not_an_error(counters):
    counters.row(Labels("s3", "x" * 500, "2xx"))
    assert len(counters.totals()) == 1


@pytest.mark.parametrize("areas", [8, 1])
def test_totals_over_workers_survive_their_death_and_replacement(areas):
    """With enough areas, and with one, where the other workers share the spare one."""
    run = subprocess.run([sys.executable, PROGRAM, str(areas)], capture_output=True, timeout=20, check=True)
    started, after_kill, replaced, after_all = json.loads(run.stdout)
    assert started[:3] == [300, 150, 3]
    assert after_kill[:2] == [300, 150]
    assert replaced[:2] == [310, 155]
    assert after_all[:2] == [310, 155]
    if areas == 8:
        assert [told[2:] for told in (started, after_kill, replaced, after_all)] == [[3, 3], [2, 2], [3, 3], [0, 0]]


def test_prometheus_is_shown_totals_histogram_and_gauges(counters):
    client = Client(Metrics(app, api="s3", counters=counters))
    client.put("/named", body=b"abc")
    shown = samples(counters)
    labels = (("api", "s3"), ("operation", "GetObject"), ("status", "2xx"))
    assert shown["nova_http_requests_total", *labels] == 1
    assert shown["nova_http_received_bytes_total", *labels] == 3
    assert shown["nova_http_sent_bytes_total", *labels] == 5
    assert shown["nova_http_request_duration_seconds_count", *labels] == 1
    assert 0 < shown["nova_http_request_duration_seconds_sum", *labels] < 60
    assert shown["nova_http_request_duration_seconds_bucket", labels[0], ("le", "+Inf"), *labels[1:]] == 1
    assert shown["nova_http_request_duration_seconds_bucket", labels[0], ("le", "60.0"), *labels[1:]] == 1
    assert shown["nova_http_requests_in_flight",] == 0
    assert shown["nova_http_workers",] == 1


def test_the_metrics_app_speaks_openmetrics_and_only_get(counters):
    client = Client(MetricsApp(conf=None, host="h", counters=counters))
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.text.endswith("# EOF\n")
    assert answer.header("Content-Type").startswith("application/openmetrics-text")
    assert client.post("/metrics").status == 405


def test_the_filter_uses_the_processs_counters_by_default():
    before = {labels: count(numbers) for labels, numbers in shared_counters().totals().items()}
    Client(Metrics.filter_factory({}, api="default-counters")(app)).get("/named")
    after = {labels: count(numbers) for labels, numbers in shared_counters().totals().items()}
    labels = ("default-counters", "GetObject", "2xx")
    assert after[labels] == before.get(labels, 0) + 1


def test_under_a_foreign_server_requests_are_counted_too(counters):
    body = Metrics(Response(b"123"), api="s3", counters=counters)(
        {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *_: None
    )
    assert counters.in_flight() == 1
    assert list(body) == [b"123"]
    body.close()
    assert counters.in_flight() == 0
    assert counters.totals()[Labels("s3", "GET", "2xx")][SENT] == 3
