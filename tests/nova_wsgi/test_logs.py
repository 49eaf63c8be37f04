"""Lines: whole, headed, escaped, in the right file; and the access log, which nobody waits for."""

import json
import logging
import os
import re
import time

import pytest

from nova_wsgi import config, green, logs
from nova_wsgi.errors import ConfigError
from nova_wsgi.testing import wait_until

LINE = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (?P<pid>\d+) (?P<level>\w+) (?P<logger>\S+) \[(?P<id>\S+)\] (?P<text>.*)"
)


@pytest.fixture
def setup(tmp_path):
    """Set up logging to a file; put back what was there before."""
    root = logging.getLogger()
    level = root.level

    def setup(*options):
        path = tmp_path / "log"
        logs.setup(config.load([logs.section()], program="x", argv=[f"--log-file={path}", *options], environ={}))
        return path

    yield setup
    root.removeHandler(logs._logs.handler)
    logs._logs = logs._Logs()
    root.setLevel(level)
    logging.captureWarnings(False)


def lines(path):
    return [LINE.fullmatch(line).groupdict() for line in path.read_text().splitlines()]


def test_a_line_says_when_who_where_and_for_which_request(setup):
    path = setup()
    logs.bind_request_id("4f2a")
    try:
        logging.getLogger("nova.test").warning("%d parts", 3)
    finally:
        logs.bind_request_id(logs.NO_REQUEST)
    logging.getLogger("nova.test").info("idle")
    first, second = lines(path)
    assert (first["level"], first["logger"], first["id"], first["text"]) == ("WARNING", "nova.test", "4f2a", "3 parts")
    assert first["pid"] == str(os.getpid())
    assert second["id"] == "-"


def test_a_request_id_belongs_to_its_greenthread(setup):
    path = setup()

    def serve(number):
        logs.bind_request_id(f"id{number}")
        green.sleep(0)
        logging.getLogger("nova.test").info("%d", number)

    for thread in [green.spawn(serve, number) for number in range(3)]:
        thread.wait()
    assert [(line["id"], line["text"]) for line in lines(path)] == [("id0", "0"), ("id1", "1"), ("id2", "2")]
    assert logs.current_request_id() == "-"


def test_every_line_of_a_traceback_has_the_head(setup):
    path = setup()
    logs.bind_request_id("4f2a")
    try:
        raise KeyError("missing")
    except KeyError:
        logging.getLogger("nova.test").exception("failed")
    finally:
        logs.bind_request_id(logs.NO_REQUEST)
    found = lines(path)
    assert len(found) > 3
    assert {line["id"] for line in found} == {"4f2a"}
    assert found[-1]["text"] == "KeyError: 'missing'"


def test_a_client_cannot_forge_a_line(setup):
    path = setup()
    logging.getLogger("nova.test").info("key %s", "a\r\x1b[31m\u2028b\x85\x00")
    logging.getLogger("nova.test").info("key %s", "a\n2026-01-01T00:00:00.000Z 1 INFO root [-] forged")
    found = lines(path)
    assert found[0]["text"] == r"key a\x0d\x1b[31m\u2028b\x85\x00"
    assert found[2]["logger"] == "nova.test", "the second line has our head before the forged one"


def test_json_is_one_object_a_record(setup):
    path = setup("--log-format=json")
    try:
        raise KeyError("missing\n")
    except KeyError:
        logging.getLogger("nova.test").exception("failed\n%s", "é")
    [line] = path.read_text().splitlines()
    record = json.loads(line)
    assert (record["level"], record["logger"], record["request_id"]) == ("ERROR", "nova.test", "-")
    assert record["message"] == "failed\né"
    assert "KeyError" in record["exception"]


def test_levels(setup):
    path = setup("--log-level=error")
    logging.getLogger("nova.test").warning("no")
    assert not logging.getLogger("nova.test").isEnabledFor(logging.WARNING)
    logging.getLogger("nova.test").error("yes")
    assert [line["text"] for line in lines(path)] == ["yes"]


def test_a_level_that_is_off_costs_almost_nothing(setup):
    setup("--log-level=error")
    logger = logging.getLogger("nova.test")
    began = time.process_time()
    for _ in range(10_000):
        logger.debug("%s", "x")
    assert (time.process_time() - began) / 10_000 < 20e-6


def test_reopening_follows_the_name(setup, tmp_path):
    path = setup("--access-log-file", str(tmp_path / "access"))
    logging.getLogger("nova.test").info("old")
    logs.access_log().write("old request")
    path.rename(tmp_path / "log.1")
    (tmp_path / "access").rename(tmp_path / "access.1") if (tmp_path / "access").exists() else None
    logs.reopen()
    logging.getLogger("nova.test").info("new")
    logs.access_log().write("new request")
    logs.flush()
    assert [line["text"] for line in lines(tmp_path / "log.1")] == ["old"]
    assert [line["text"] for line in lines(path)] == ["new"]
    assert (tmp_path / "access.1").read_text() == "old request\n"
    assert (tmp_path / "access").read_text() == "new request\n"


def test_a_file_that_cannot_be_reopened_is_kept(setup, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    setup(f"--log-file={folder / 'log'}")
    (folder / "log").rename(tmp_path / "moved")
    folder.rmdir()
    logs.reopen()
    assert "the old file is kept" in (tmp_path / "moved").read_text()


def test_a_file_that_cannot_be_opened_is_told():
    conf = config.load([logs.section()], program="x", argv=["--log-file=/nowhere/log"], environ={})
    with pytest.raises(ConfigError, match=r"^log_file /nowhere/log: No such file or directory$"):
        logs.setup(conf)


# -- the access log


def test_access_lines_are_written_soon_and_in_order(setup, tmp_path):
    path = tmp_path / "access"
    setup(f"--access-log-file={path}")
    access = logs.access_log()
    for number in range(1000):
        access.write(f"line {number}")
    assert path.read_text() == "", "no request waits for the file"
    wait_until(lambda: path.read_text().count("\n") == 1000, 2)
    assert path.read_text().splitlines() == [f"line {number}" for number in range(1000)]


def test_access_lines_that_come_while_others_are_written_follow(setup, tmp_path):
    path = tmp_path / "access"
    setup(f"--access-log-file={path}")
    access = logs.access_log()
    for number in range(5):
        access.write(f"line {number}")
        wait_until(lambda: f"line {number}\n" in path.read_text(), 2)  # noqa: B023  it is called in this turn


def test_a_flush_waits_for_the_write_that_has_begun(setup, tmp_path):
    path = tmp_path / "access"
    setup(f"--access-log-file={path}")
    access = logs.access_log()
    access.write("first")
    wait_until(lambda: access._writing or "first" in path.read_text(), 2)
    access.write("second")
    logs.flush()
    assert path.read_text() == "first\nsecond\n"


def test_an_access_line_is_one_line(setup, tmp_path):
    path = tmp_path / "access"
    setup(f"--access-log-file={path}")
    logs.access_log().write("GET /a\nforged\x1b")
    logs.flush()
    assert path.read_text() == "GET /a\\x0aforged\\x1b\n"


def test_the_access_log_goes_where_the_log_goes_or_nowhere(setup):
    path = setup()
    logs.access_log().write("a request")
    logs.flush()
    assert path.read_text() == "a request\n"
    setup("--access-log-file=off")
    assert not logs.access_log().enabled


def test_a_disk_that_does_not_answer_costs_lines_and_no_memory(setup, tmp_path):
    path = tmp_path / "access"
    setup(f"--access-log-file={path}")
    access = logs.access_log()
    long_line = "x" * 100_000
    for _ in range(200):
        access.write(long_line)
    assert access.dropped > 100
    logs.flush()
    assert path.stat().st_size <= logs.ACCESS_BUFFER_MAX + 200_000
    assert "access log lines were dropped" in (tmp_path / "log").read_text()


def test_lines_through_a_pipe_stay_whole():
    data = b"".join(b"%d" % number + b"x" * 1000 + b"\n" for number in range(100))
    pieces = list(logs._pieces(data, 4096))
    assert b"".join(pieces) == data
    assert all(piece.endswith(b"\n") and len(piece) <= 4096 for piece in pieces)
    assert list(logs._pieces(b"y" * 9000 + b"\nz\n", 4096)) == [b"y" * 9000 + b"\n", b"z\n"]
