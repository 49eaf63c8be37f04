"""The arithmetic of the benchmark, its tables, and its table of contents. Nothing is timed."""

import json
from pathlib import Path

import pytest

from benchmarks import flame, instructions, plot, report, where, workloads
from benchmarks.generator import read_requests, write_requests
from benchmarks.placement import load_cores
from benchmarks.report import Result
from benchmarks.row import OURS
from benchmarks.small import MIX
from benchmarks.stats import MEASURES, Sample, at_least, at_most, median, middle, percentile, ratio


def samples(*cpu_us: float) -> list[Sample]:
    return [Sample(10, 1000 / cost, 50.0, 200.0, cost) for cost in cpu_us]


def example() -> Result:
    bounds = [at_most(0.6, "cpu", of="hello world"), at_most(100, "cpu"), at_least(2, "rate", of="absent")]
    taken = {OURS: samples(90, 120, 110), "hello world": samples(200, 230, 210)}
    return Result("get-4k", "GET 4 KiB", "cpu", bounds, taken)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.01, 1), (0.5, 50), (0.501, 51), (0.99, 99), (0.991, 100), (1.0, 100)]
)
def test_a_percentile_is_the_value_at_its_rank(share, expected):
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_percentiles_of_little():
    assert percentile([], 0.99) == 0
    assert percentile([7], 0.5) == percentile([7], 0.99) == 7


def test_medians_and_ratios():
    ours, theirs = samples(90, 120, 110), samples(200, 230, 210)
    assert median(ours, "cpu") == 110
    assert median(ours, "tail") == 4
    assert ratio(ours, theirs, "cpu") == pytest.approx(110 / 210)
    assert ratio(ours, [], "cpu") is None
    assert ratio(ours, theirs, "bytes") is None  # nobody measured bytes
    assert middle([Sample(1, errors=2), Sample(3, errors=1), Sample(5)]).errors == 3  # errors are never smoothed away


def test_a_bound_is_held_up_to_its_limit():
    assert at_most(0.6, "cpu").holds(0.6)
    assert not at_most(0.6, "cpu").holds(0.61)
    assert at_least(10, "rate").holds(10)
    assert not at_least(10, "rate").holds(9.9)


def test_the_tables_say_what_was_measured():
    result = example()
    first, second = report.result_lines([result])
    assert first[:2] == ("get-4k: GET 4 KiB", OURS)
    assert second[:2] == ("", "hello world")
    assert second[-1] == "0.52 CPU us/request"
    assert report.bound_lines([result]) == [
        ("get-4k", "CPU us/request <= 0.60 times hello world", "0.52", "yes"),
        ("get-4k", "CPU us/request <= 100", "110", "NO"),
        ("get-4k", "requests/s >= 2.00 times absent", "", "not measured"),
    ]
    assert report.missed([result]) == ["get-4k"]


def test_failures_and_errors_are_told():
    failed = Result("list-1k", "a listing", "p50", failure="LoadFailed: it ended\nwith a reason")
    erring = Result("put-4k", "PUT", "cpu", samples={OURS: [Sample(10, 1.0, errors=3)]})
    lines = report.result_lines([failed, erring])
    assert lines[0][1] == "failed: with a reason"
    assert lines[1][1] == f"{OURS} (3 errors)"
    assert report.missed([failed, erring]) == ["list-1k", "put-4k"]


def test_markdown_and_json():
    result = example()
    head, first, second = report.markdown([result]).strip().split("\n\n")
    assert "cores" in head
    assert all(line.count("|") == len(report.HEADINGS) + 1 for line in first.splitlines())
    assert len(second.splitlines()) == 2 + len(result.bounds)
    (told,) = json.loads(json.dumps(report.as_json([result])))["results"]
    assert len(told["samples"][OURS]) == 3
    assert told["ratios"]["hello world"].keys() == MEASURES.keys()
    assert [bound["holds"] for bound in told["bounds"]] == [True, False, None]


def test_the_picture_shows_every_bound_and_every_yardstick():
    assert [(round(value, 2), held) for _, value, held in plot.bound_bars([example()])] == [(0.87, True), (1.1, False)]
    assert [better for _, _, better in plot.subject_bars([example()])] == [True]


def test_the_table_of_contents():
    names = [row.name for row in workloads.ROWS]
    assert len(names) == len(set(names))
    assert all(
        row.shows in MEASURES and all(bound.measure in MEASURES for bound in row.bounds) for row in workloads.ROWS
    )
    assert report.UNITS.keys() == MEASURES.keys()
    assert {row.name for row in workloads.choose(["list-1m", "start*"])} == {"list-1m", "start", "start-fresh"}
    assert len(workloads.choose([], everything=True)) == len(names)
    assert 0 < len(workloads.choose([])) < len(names)
    with pytest.raises(workloads.UnknownRow):
        workloads.choose(["get", "lst"])


def test_the_mix_is_as_it_is_called():
    assert {method: MIX.count(method) * 100 // len(MIX) for method in MIX} == {
        "GET": 45, "HEAD": 30, "PUT": 15, "DELETE": 10,
    }  # fmt: skip


def test_requests_go_through_a_file_unharmed(tmp_path):
    requests = [b"GET / HTTP/1.1\r\n\r\n", b"PUT /a HTTP/1.1\r\n\r\n\n12\n\x00", b""]
    write_requests(tmp_path / "requests", requests)
    assert read_requests(tmp_path / "requests") == requests


def test_loads_have_cores_of_their_own_where_there_are_many():
    assert load_cores([0, 1]) == ()
    assert load_cores([0, 1, 2, 3]) == [3]
    assert load_cores(list(range(8))) == [6, 7]


STACKS = [
    "eventlet/greenthread.py:main;nova_wsgi/http.py:serve;nova_objectstore/s3/auth/sigv4.py:verify;hmac.py:digest 30",
    "eventlet/greenthread.py:main;nova_wsgi/http.py:serve 10",
    "eventlet/hubs/hub.py:run 5",
]


def test_time_is_charged_to_the_innermost_function_of_ours():
    layers, functions = where.count_layers(STACKS)
    assert layers == {
        "S3: signatures": 30,
        where.LAYERS["nova_wsgi/"]: 10,
        where.NOBODY: 5,
    }
    assert functions["nova_objectstore/s3/auth/sigv4.py:verify"] == 30


def test_every_layer_is_a_module_or_a_package_that_is_there():
    root = Path(where.__file__).parent.parent
    assert [beginning for beginning in where.LAYERS if not (root / beginning).exists()] == []


def test_a_flame_graph_is_as_wide_as_its_stacks():
    boxes = list(flame.boxes(flame.grow(STACKS)))
    assert boxes[0] == ("all", 0, 45, 0)
    assert ("nova_wsgi/http.py:serve", 0, 40, 2) in boxes
    assert ("eventlet/hubs/hub.py:run", 40, 5, 1) in boxes


def test_callgrind_s_total_is_that_of_all_its_parts():
    assert instructions.read_total("events: Ir\ntotals: 40\n\npart: 2\ntotals: 2\nnototals: 5\n") == 42
    assert instructions.read_total("") == 0
