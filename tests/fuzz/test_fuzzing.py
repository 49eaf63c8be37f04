"""The fuzzer itself: it finds, makes small, keeps, and repeats."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import rfc9112
from support.fuzz_mutations import damage_json, mutate
from support.fuzzing import (
    CPU_GROWTH_MAX,
    Finding,
    Hang,
    Target,
    encode,
    read_vector,
    run,
    slow_growths,
    try_input,
    work_of,
    write_vector,
)
from support.http_vectors import decode

ROOT = Path(__file__).parents[2]


def brittle(data: bytes) -> str:
    """Breaks on two letters next to each other."""
    at = data.find(b"AB")
    if at >= 0:
        raise KeyError(at)
    return "even" if len(data) % 2 == 0 else "odd"


TOY = Target("toy", brittle, seeds=[b"some A text B"])


def test_a_fault_is_found_and_made_small() -> None:
    result = run(TOY, inputs=5000, seed=7)
    assert [finding.data for finding in result.findings] == [b"AB"]
    assert result.findings[0].problem.startswith("KeyError: ")
    assert set(result.outcomes) > {"even", "odd"}


def test_a_seed_repeats_a_run() -> None:
    one, other = (run(TOY, inputs=1000, seed=3) for _ in range(2))
    assert (one.outcomes, one.findings) == (other.outcomes, other.findings)
    assert run(TOY, inputs=1000, seed=4).outcomes != one.outcomes


def test_an_input_that_does_not_end_is_found() -> None:
    def endless(_data: bytes) -> str:
        while True:
            try:
                sum(range(100))
            except Exception:  # noqa: BLE001  as code that is fuzzed may have it
                continue

    outcome, finding = try_input(endless, b"x", cpu_max_s=0.05)
    assert finding is not None
    assert finding.problem.startswith(Hang.__name__)
    assert outcome.startswith("FOUND Hang")


def test_work_is_counted_the_same_every_time() -> None:
    def square(data: bytes) -> str:
        return str(sum(1 for _ in data for _ in data))

    assert work_of(square, b"x" * 20) == work_of(square, b"y" * 20)
    assert work_of(square, b"x" * 40) > 3 * work_of(square, b"x" * 20)


def test_what_grows_too_fast_is_told() -> None:
    def quadratic(data: bytes) -> str:
        return str(sum(data.count(b"b") for _ in range(len(data) // 4)))

    told = slow_growths(Target("toy", quadratic, growths={"a": lambda n: b"a" * n}))
    assert told["a"] > CPU_GROWTH_MAX


@given(st.binary(max_size=200))
def test_vectors_come_back_as_they_were(data: bytes) -> None:
    assert decode(encode(data)) == data


def test_a_finding_is_kept_as_a_file(tmp_path: Path) -> None:
    finding = Finding(b"\0<<a*3>>\r\n\\n\xff", "ValueError: é\nis no number")
    path = write_vector(tmp_path / "toy", finding)
    assert read_vector(path) == finding.data
    assert path.read_text("ascii").startswith("# ValueError: ")


@pytest.mark.parametrize("seed", range(50))
def test_damages_hold_their_bounds(seed: int) -> None:
    rng = random.Random(seed)
    assert len(mutate(rng, b"x" * 5000, [b"y" * 5000, b""], [b"word"])) <= 4096
    damage_json(rng, {"a": [1, {"b": None}], "c": "d"})


def test_the_strict_reader_reads_what_the_rfc_says() -> None:
    head = b"PUT /a HTTP/1.1\r\nHost: x\r\n"
    sized = head + b"Content-Length: 3\r\n\r\nabc"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n"
    read = rfc9112.read(sized + chunked)
    assert [(request.body, request.trailers) for request in read.requests] == [(b"abc", ()), (b"abc", ((b"t", b"1"),))]
    assert read.end == rfc9112.OPEN
    for end in range(1, len(sized)):
        cut = rfc9112.read(sized[:end])
        assert (cut.requests, cut.end) == ((), rfc9112.CUT)
    for bad in (
        head.replace(b"\r", b"") + b"\n", head + b"Host: y\r\n\r\n", head + b" folded\r\n\r\n",
        head + b"Content-Length: +3\r\n\r\nabc",
        head + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        head + b"Transfer-Encoding: x, chunked\r\n\r\n",
        head.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"GET /\r\nHost: x\r\n\r\n",
        b"\r\n\r\n" + sized,
        chunked.replace(b"3;x", b"0x3"), chunked.replace(b"abc\r\n", b"abcd\n"),
    ):  # fmt: skip
        assert rfc9112.read(bad + b"\r\n\r\n").end == rfc9112.REFUSED, bad
    assert rfc9112.read(sized.replace(b"Host", b"Connection: close\r\nHost") + b"GET").end == rfc9112.CLOSED


def test_the_long_form_runs_and_tells(tmp_path: Path) -> None:
    command: list[str | Path] = [
        sys.executable, ROOT / "tools" / "fuzz", "--inputs", "300", "--seed", "5", "--only", "proxy_protocol",
        "addresses", "--json",
        tmp_path / "told.json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith("seed 5\n")
    assert "addresses" in done.stdout
    told = json.loads((tmp_path / "told.json").read_text())
    assert [(row["target"], row["inputs"], row["findings"]) for row in told] == [
        ("proxy_protocol", 300, []),
        ("addresses", 300, []),
    ]
