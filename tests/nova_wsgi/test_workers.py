"""Worker processes under their parent: they die, hang, are replaced, reloaded and stopped; no request is lost."""

import os
import re
import signal
import time
from functools import partial

import psutil
import pytest
from support.launched import INI, begun, get, launch

from nova_wsgi import green
from nova_wsgi.testing import Notified, open_fds, wait_until, workers

TWO = "--web-workers=2"


@pytest.fixture
def ini(tmp_path):
    path = tmp_path / "paste.ini"
    path.write_text(INI.read_text())
    return path


def set_greeting(ini, greeting):
    ini.write_text(INI.read_text() + f"greeting = {greeting}\n")


def all_gone(pids):
    return not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)


def ready_count(server):
    return server.output().count("is ready")


def wait_for_others(server, than, count=2):
    """Wait until ``count`` workers are ready of which none is in ``than``."""

    def others():
        ready = {int(pid) for pid in re.findall(r"\((\d+)\) is ready", server.output())}
        found = [pid for pid in workers(server.pid) if pid in ready and pid not in than]
        return len(found) >= count and found

    return wait_until(others)


def test_workers_serve_and_the_parent_does_not():
    with launch(TWO) as server:
        pids = workers(server.pid)
        assert len(pids) == 2
        assert {int(get(server, "/pid")) for _ in range(20)} <= set(pids)
        assert server.stop() == 0
        assert all_gone(pids)


def test_a_soft_stop_lets_every_worker_finish():
    with launch(TWO) as server:
        requests = [begun(server, "/greet?after=0.5") for _ in range(4)]
        server.send_signal(signal.SIGTERM)
        assert [request.answer() for request in requests] == ["hello"] * 4
        assert server.wait() == 0


def test_a_supervisor_that_signals_the_whole_group_stops_it_as_softly():
    with launch(TWO) as server:
        request = begun(server, "/greet?after=0.5")
        os.killpg(server.pid, signal.SIGTERM)
        assert request.answer() == "hello"
        assert server.wait() == 0


def test_an_interrupt_from_the_terminal_is_the_parents_to_judge():
    with launch(TWO, environ={"LAUNCHED_INTERRUPT_IS_SOFT": "1"}) as server:
        request = begun(server, "/greet?after=0.5")
        os.killpg(server.pid, signal.SIGINT)
        assert request.answer() == "hello"
        assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_hard_stop_ends_every_worker(number):
    with launch(TWO) as server:
        pids = workers(server.pid)
        request = begun(server, "/greet?after=30")
        server.send_signal(number)
        assert server.wait(4) == 128 + number
        assert request.failure() is not None
        assert all_gone(pids)


def test_a_second_sigterm_is_hard():
    with launch(TWO) as server:
        request = begun(server, "/greet?after=30")
        server.send_signal(signal.SIGTERM)
        server.wait_for_output("stopping on SIGTERM within")
        server.send_signal(signal.SIGTERM)
        assert server.wait(4) == 128 + signal.SIGTERM
        assert request.failure() is not None


def test_the_deadline_holds_for_workers():
    with launch(TWO, "--graceful-shutdown-timeout=0.3") as server:
        pids = workers(server.pid)
        request = begun(server, "/greet?after=30")
        server.send_signal(signal.SIGTERM)
        assert server.wait(2) == 1, "the worker keeps the deadline itself"
        assert request.failure() is not None
        assert all_gone(pids)


def test_a_worker_that_cannot_even_see_the_deadline_is_killed():
    with launch(TWO, "--graceful-shutdown-timeout=0.3") as server:
        pids = workers(server.pid)
        begun(server, "/stick?s=60")
        server.send_signal(signal.SIGTERM)
        assert server.wait(5) == 1
        assert "is killed" in server.output()
        assert all_gone(pids)


def test_a_killed_worker_is_replaced_at_once():
    with launch(TWO) as server:
        victim, survivor = workers(server.pid)
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        [successor] = wait_for_others(server, {victim, survivor}, count=1)
        assert time.monotonic() - began < 2
        assert set(workers(server.pid)) == {survivor, successor}
        server.wait_for_output(rf"worker web/0 \({victim}\) ended by itself \(SIGKILL\); the next one starts in 0 s")
        assert get(server) == "hello"


def test_a_worker_that_is_asked_to_stop_ends_softly_and_is_replaced():
    with launch(TWO) as server:
        request = begun(server, "/greet?after=0.5")
        before = workers(server.pid)
        for pid in before:
            os.kill(pid, signal.SIGTERM)
        assert request.answer() == "hello"
        wait_for_others(server, before)
        assert "ended by itself" not in server.output()


@pytest.mark.parametrize("target", ["/stick?s=60", "/spin"])
def test_a_stuck_worker_tells_its_stacks_and_is_replaced(target):
    with launch(TWO, "--worker-timeout-s=0.6") as server:
        before = workers(server.pid)
        begun(server, target)
        line = server.wait_for_output(r"worker web/\d \((\d+)\) is stuck: no heartbeat for \d\.\d s")
        stuck = int(line.group(1))
        assert stuck in before
        server.wait_for_output(r"Fatal Python error: Aborted")
        server.wait_for_output(r"in do_(stick|spin)")
        wait_for_others(server, before, count=1)
        assert stuck not in workers(server.pid)


def test_a_crash_loop_is_slowed_down_and_ends_with_its_cause(tmp_path):
    cause = tmp_path / "crash"
    with launch(TWO, environ={"LAUNCHED_CRASH_FILE": str(cause)}) as server:
        before = workers(server.pid)
        cause.touch()
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        server.wait_for_output("the next one starts in 1 s")
        starts = server.output().count("init hello") - 2
        assert starts <= 2 * 3, "at once, after 0.5 s; after 1 s is to come"
        cause.unlink()
        wait_for_others(server, before)
        assert get(server) == "hello"


def test_a_first_start_that_fails_ends_the_program(tmp_path):
    cause = tmp_path / "crash"
    cause.touch()
    with pytest.raises(
        ChildProcessError, match=r"(?s)ended with 1 before it was ready.*could not start \(exit status 7\)"
    ):
        launch(TWO, environ={"LAUNCHED_CRASH_FILE": str(cause)})


def test_no_worker_outlives_its_parent():
    with launch(TWO) as server:
        pids = workers(server.pid)
        request = begun(server, "/greet?after=0.5")
        server.send_signal(signal.SIGKILL)
        assert request.answer() == "hello", "they stop softly"
        wait_until(lambda: all_gone(pids))
        assert "stopping on the end of the parent process" in server.output()


def test_recycling_replaces_workers_and_loses_no_request():
    with launch(TWO, "--max-requests=5", "--max-requests-jitter=3", "--worker-timeout-s=0.5") as server:
        before = workers(server.pid)
        answers = []

        def client():
            while going:
                answers.append(get(server, "/greet?after=0.01"))

        going = True
        clients = [green.spawn(client) for _ in range(4)]
        wait_for_others(server, before)
        going = False
        for thread in clients:
            thread.wait()
        assert set(answers) == {"hello"}
        assert "ended by itself" not in server.output()
        assert server.stop() == 0


def test_a_reload_reaches_every_worker(ini):
    notified = Notified()
    with launch(TWO, f"--api-paste-config={ini}", ready=notified) as server:
        pids = workers(server.pid)
        request = begun(server, "/greet?after=0.5")
        set_greeting(ini, "bonjour")
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: notified.messages.count("READY=1") == 2)
        assert {get(server) for _ in range(20)} == {"bonjour"}
        assert request.answer() == "hello"
        assert workers(server.pid) == pids
        assert [m.splitlines()[0] for m in notified.messages if "STATUS" not in m] == [
            "READY=1",
            "RELOADING=1",
            "READY=1",
        ]


def test_a_reload_that_fails_is_one_line_for_all_workers(ini):
    with launch(TWO, f"--api-paste-config={ini}") as server:
        set_greeting(ini, "misconfigured")
        server.send_signal(signal.SIGHUP)
        server.wait_for_output("the reload is refused, all stays as it was: greeting: it is misconfigured")
        assert {get(server) for _ in range(10)} == {"hello"}
        assert server.output().count("the reload is refused") == 1


def test_reloads_under_load_lose_no_request_and_leak_nothing(ini):
    with launch(TWO, f"--api-paste-config={ini}") as server:
        answers = []

        def client():
            while going:
                answers.append(get(server, "/greet?after=0.01"))

        def reload(greeting):
            set_greeting(ini, greeting)
            before = server.output().count("reloaded")
            server.send_signal(signal.SIGHUP)
            wait_until(lambda: server.output().count("reloaded") > before)

        def descriptors():
            return [open_fds(pid) for pid in [server.pid, *workers(server.pid)]]

        reload("zero")
        idle = descriptors()
        pids = workers(server.pid)
        going = True
        clients = [green.spawn(client) for _ in range(10)]
        for number in range(10):
            reload(f"number{number}")
        wait_until(partial(answers.__contains__, "number9"))
        going = False
        for thread in clients:
            thread.wait()
        assert set(answers) <= {"zero", *(f"number{number}" for number in range(10))}
        assert workers(server.pid) == pids
        wait_until(lambda: descriptors() <= idle)


def test_services_have_processes_of_their_own():
    with launch("--enabled-apis=web,other", TWO, "--other-workers=1") as server:
        assert len(workers(server.pid)) == 3
        other = server.wait_for_output(r"other listens on (\S+)").group(1)
        web = server.wait_for_output(r"web listens on (\S+)").group(1)
        [alone] = {int(server.request("GET", "/pid", url=other)[2]) for _ in range(5)}
        others = {int(server.request("GET", "/pid", url=web)[2]) for _ in range(20)}
        assert alone not in others
        ports = {c.laddr.port for c in psutil.Process(alone).net_connections() if c.status == psutil.CONN_LISTEN}
        assert ports == {int(other.rpartition(":")[2])}, "it holds no socket of the other service"
        assert server.stop() == 0


def test_a_task_of_the_host_runs_in_one_worker_and_moves_when_that_dies():
    with launch(TWO) as server:

        def tickers():
            return set(map(int, re.findall(r"tick (\d+)", server.output())))

        [first] = wait_until(tickers)
        server.wait_for_output(r"(?s)(tick.*){5}")
        assert tickers() == {first}
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: len(tickers()) == 2)


def test_an_inherited_socket_serves_all_workers():
    with launch(TWO, sockets="web") as server:
        [port] = server.wait_for_output(r"activated (\d+)").groups()
        assert server.port == int(port)
        assert "(inherited)" in server.output()
        assert {int(get(server, "/pid")) for _ in range(20)} <= set(workers(server.pid))
        assert server.stop() == 0


def test_the_supervisor_is_told_and_the_watchdog_fed():
    notified = Notified()
    environ = {"WATCHDOG_USEC": "200000"}
    with launch(TWO, ready=notified, environ=environ) as server:
        wait_until(lambda: notified.messages.count("WATCHDOG=1") >= 3)
        request = begun(server, "/greet?after=1.2")
        wait_until(lambda: "STATUS=2 workers, 1 calls in flight" in notified.messages)
        server.send_signal(signal.SIGTERM)
        assert request.answer() == "hello"
        server.wait()
        assert notified.messages.count("READY=1") == 1
        assert "STOPPING=1" in notified.messages
