"""Databases that are lost and found, hang, are made at the same time, or cannot be named."""

import logging
import os
import re
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing

import pytest
from support.registry import beat

from nova_wsgi import green
from nova_wsgi.errors import ConfigError
from nova_wsgi.registry.database import RegistryLost, open_database
from nova_wsgi.registry.services import Services
from nova_wsgi.testing import wait_until


@pytest.fixture
def told(caplog):
    """What was said of the database: (level, text) of each line."""
    caplog.set_level(logging.INFO, logger="nova_wsgi.registry.database")
    return lambda: [(record.levelname, record.message) for record in caplog.records]


def answers(services):
    try:
        return [entry.state for entry in services.list()]
    except RegistryLost:
        return None


def test_an_sqlite_file_that_cannot_be_used_is_told_once_and_found_again(tmp_path, told):
    path = tmp_path / "folder" / "services.sqlite"
    path.parent.write_text("a file is in the way")
    with open_database(f"sqlite:///{path}") as database:
        services = Services(database, down_time_s=60)
        for _ in range(3):
            assert answers(services) is None
        assert database.is_lost
        path.parent.unlink()
        services.report(beat())
        assert answers(services) == ["up"]
        assert not database.is_lost
    (lost, back) = told()
    assert lost[0] == "ERROR"
    assert re.fullmatch(rf"the services registry is lost, the work goes on without: {path}: .*\n?", lost[1])
    assert back[0] == "INFO"
    assert re.fullmatch(rf"the services registry is back after \d+ s: {path}", back[1])


def test_an_sqlite_file_that_was_removed_is_made_anew(tmp_path, told):
    path = tmp_path / "services.sqlite"
    with open_database(f"sqlite:///{path}") as database:
        services = Services(database, down_time_s=60)
        services.report(beat())
        for left in tmp_path.iterdir():
            left.unlink()
        services.report(beat())
        assert answers(services) == ["up"]
    assert path.exists()
    assert told() == []


def test_an_sqlite_file_that_was_spoilt_is_told_and_its_replacement_taken(tmp_path, told):
    path = tmp_path / "services.sqlite"
    path.write_bytes(b"this is no database" * 1000)
    with open_database(f"sqlite:///{path}") as database:
        services = Services(database, down_time_s=60)
        assert answers(services) is None
        path.unlink()
        assert answers(services) == []
    assert [level for level, _ in told()] == ["ERROR", "INFO"]


def test_the_sqlite_file_is_its_owners_alone_and_in_a_folder_that_is_made(tmp_path):
    path = tmp_path / "state" / "services.sqlite"
    with open_database(f"sqlite:///{path}") as database:
        Services(database, down_time_s=60).report(beat())
        modes = {found.name: stat.S_IMODE(found.stat().st_mode) for found in path.parent.iterdir()}
        assert set(modes.values()) == {0o600}, modes
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_postgresql_that_restarts_costs_no_heartbeat_and_one_that_stays_away_is_told_once(postgres, told):
    url = postgres.make_schema()
    with open_database(url) as database:
        services = Services(database, down_time_s=60)
        services.report(beat())
        postgres.stop()
        postgres.start()
        services.report(beat())
        assert told() == []
        postgres.stop()
        assert answers(services) is None
        assert answers(services) is None
        postgres.start()
        assert answers(services) == ["up"]
    assert [level for level, _ in told()] == ["ERROR", "INFO"]
    assert "postgres@" not in told()[0][1], "who reads the log need not know the user"


def test_a_database_that_hangs_leaves_the_hub_free(tmp_path):
    path = tmp_path / "services.sqlite"
    with open_database(f"sqlite:///{path}") as database:
        services = Services(database, down_time_s=60)
        services.report(beat())
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = green.spawn(services.report, beat())
            for _ in range(5):
                assert green.spawn(lambda: "ran").wait() == "ran"
            assert not waiting.dead
            other.execute("COMMIT")
        waiting.wait()
    assert answers(services) == ["up"]
    database.close()


def test_a_verb_that_fails_leaves_nothing(database, place, services):
    services.report(beat())

    def fail(transaction):
        transaction.run("delete_processes", service_id=1)
        raise KeyError("changed its mind")

    with pytest.raises(KeyError):
        database.write(fail)
    assert place.rows("nova_service_processes") == 1
    assert answers(services) == ["up"]


def test_processes_that_start_together_make_the_tables_once(place):
    program = (
        "from nova_wsgi import green; green.patch()\n"
        "import logging, sys; logging.basicConfig(level=logging.INFO)\n"
        "from nova_wsgi.registry.database import open_database\n"
        "from nova_wsgi.registry.services import Heartbeat, Services\n"
        "url, name = sys.argv[1:]\n"
        "services = Services(open_database(url), down_time_s=60)\n"
        "sys.stdin.readline()\n"
        "services.report(Heartbeat(process_id=name, host='h', binary='b', topic='t', pid=1, version='1', age_s=0,"
        " in_flight=0, state='up'))\n"
    )
    environ = {**os.environ, "PYTHONPATH": "."}
    started = [
        subprocess.Popen([sys.executable, "-c", program, place.url, str(number)], stdin=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True, env=environ)
        for number in range(4)
    ]  # fmt: skip
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=30)[1] for process in started]
    assert said == [""] * 4
    assert place.rows("nova_services") == 1
    assert place.rows("nova_service_processes") == 4


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "not this"),
        ("postgresql:user:s3cret@host/name", "not this"),
        ("mysql://x/y", "not mysql:"),
        ("sqlite://", "not sqlite:"),
        ("/var/lib/x.sqlite", r"not /var/lib/x\.sqlite:"),
        ("postgresql://user:s3cret@[::1/name", "not a PostgreSQL URL"),
        ("postgresql://host/name?colour=blue", "not a PostgreSQL URL: .*colour"),
        ("postgresql://user:s3cret%zz@host/name", "percent-encoded"),
        ("postgresql://user:s3cret/more@host/name", "percent-encoded"),
        ("postgresql://user:more@s3cret@host/name", "percent-encoded"),
        ("postgresql://user:more/s3cret@host/name", "percent-encoded"),
    ],
)
def test_what_names_no_database_is_a_config_error_without_the_password(url, problem):
    with pytest.raises(ConfigError, match=problem) as caught:
        open_database(url)
    assert "s3cret" not in str(caught.value)


def test_the_url_may_be_sqlalchemys(postgres):
    url = postgres.make_schema().replace("postgresql://", "postgresql+psycopg://")
    with open_database(url) as database:
        assert Services(database, down_time_s=60).list() == []
        assert re.fullmatch(r"postgresql://127\.0\.0\.1/postgres", database.place)


def test_closing_twice_and_using_again_works(database, services):
    services.report(beat())
    database.close()
    database.close()
    assert wait_until(lambda: answers(services)) == ["up"]
