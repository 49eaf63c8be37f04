"""Services in one process: signals, soft and hard stops, reloads. Real processes, real signals."""

import http.client
import re
import signal
import socket
import time
from functools import partial

import psutil
import pytest
from support.launched import INI, LISTENS, begun, get, launch, refused

from nova_wsgi import green
from nova_wsgi.testing import LogLine, Notified, open_fds, wait_until, workers


@pytest.fixture
def ini(tmp_path):
    path = tmp_path / "paste.ini"
    path.write_text(INI.read_text())
    return path


def set_greeting(ini, greeting):
    ini.write_text(INI.read_text() + f"greeting = {greeting}\n")


def refuses(server):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", server.port)) != 0


def test_it_serves_without_a_fork_and_stops_at_once_when_nothing_goes_on():
    with launch() as server:
        assert get(server, "/pid") == str(server.pid)
        assert workers(server.pid) == []
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 2
        assert "cleanup hello" in server.output()


def test_a_soft_stop_answers_what_goes_on_and_takes_nothing_new():
    with launch() as server:
        request = begun(server, "/greet?after=0.5")
        server.send_signal(signal.SIGTERM)
        wait_until(lambda: refuses(server))
        assert request.answer() == "hello"
        assert server.wait() == 0


def test_a_soft_stop_closes_idle_connections_at_once():
    with launch() as server, socket.create_connection(("127.0.0.1", server.port), timeout=5) as idle:
        idle.sendall(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n")
        idle.recv(1000)
        request = begun(server, "/greet?after=1")
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        assert idle.recv(1000) == b""
        assert time.monotonic() - began < 0.5
        assert request.answer() == "hello"


@pytest.mark.parametrize(
    ("signals", "status"),
    [
        ([signal.SIGTERM, signal.SIGTERM], 128 + signal.SIGTERM),
        ([signal.SIGINT], 128 + signal.SIGINT),
        ([signal.SIGQUIT], 128 + signal.SIGQUIT),
    ],
    ids=["a second SIGTERM", "SIGINT", "SIGQUIT"],
)
def test_a_hard_stop_waits_for_nothing(signals, status):
    with launch() as server:
        request = begun(server, "/greet?after=30")
        for number in signals:
            server.send_signal(number)
            server.wait_for_output(number.name)  # two that wait at once are one
        assert server.wait(3) == status
        assert request.failure() is not None
        assert "cleanup" not in server.output()


def test_the_deadline_ends_what_goes_on_and_is_told_by_the_exit_status():
    with launch("--graceful-shutdown-timeout=0.3") as server:
        request = begun(server, "/greet?after=30")
        server.send_signal(signal.SIGTERM)
        assert server.wait(3) == 1
        assert request.failure() is not None
        assert "cleanup hello" in server.output()


def test_a_stuck_hub_cannot_outlive_the_deadline_by_much():
    with launch("--graceful-shutdown-timeout=0.5") as server:
        request = begun(server, "/stick?after=0.2&s=60")
        server.send_signal(signal.SIGTERM)
        assert server.wait(6) == -signal.SIGALRM
        assert request.failure() is not None


def test_one_interrupt_is_soft_where_the_program_says_so_and_two_are_hard():
    with launch(environ={"LAUNCHED_INTERRUPT_IS_SOFT": "1"}) as server:
        request = begun(server, "/greet?after=0.5")
        server.send_signal(signal.SIGINT)
        assert request.answer() == "hello"
        assert server.wait() == 0
    with launch(environ={"LAUNCHED_INTERRUPT_IS_SOFT": "1"}) as server:
        begun(server, "/greet?after=30")
        server.send_signal(signal.SIGINT)
        server.wait_for_output("stopping on SIGINT")
        server.send_signal(signal.SIGINT)
        assert server.wait(3) == 128 + signal.SIGINT


def test_subprocesses_end_with_their_program():
    with launch() as server:
        begun(server, "/child?s=314.15")
        wait_until(lambda: workers(server.pid))
        [child] = workers(server.pid)
        server.send_signal(signal.SIGQUIT)
        server.wait(3)
        wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE)


def test_no_request_is_answered_before_init_host_returned():
    with launch(environ={"LAUNCHED_INIT_S": "0.5"}) as server:
        get(server)
        assert re.search(r"(?s)initialised hello.*begin /greet", server.output())


@pytest.mark.parametrize("count", [1, 2])
def test_a_stop_during_the_start_is_obeyed_after_it(count):
    options = [f"--web-workers={count}"]
    with launch(*options, environ={"LAUNCHED_INIT_S": "0.5"}, ready=LogLine(LISTENS)) as server:
        server.wait_for_output("init hello")
        assert server.stop() == 0
        assert server.output().count("cleanup hello") == server.output().count("initialised hello") >= 1


def test_a_reload_moves_to_the_new_app_and_lets_the_old_one_finish(ini):
    with launch(f"--api-paste-config={ini}") as server:
        request = begun(server, "/greet?after=0.7")
        set_greeting(ini, "bonjour")
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: get(server) == "bonjour")
        assert "cleanup hello" not in server.output(), "a request goes on there"
        assert request.answer() == "hello"
        server.wait_for_output("cleanup hello")
        assert "cleanup bonjour" not in server.output()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[app:web]\nuse = nothing\n", "[app:web]: it names the app 'nothing'"),
        (f"{INI.read_text()}greeting = misconfigured\n", "greeting: it is misconfigured"),
        (f"{INI.read_text()}greeting = broken\n", "RuntimeError: this greeting is broken"),
        ("nothing", "no section headers"),
    ],
    ids=["a name", "ConfigError in init_host", "a bug in init_host", "no ini"],
)
def test_a_reload_that_fails_is_one_line_and_changes_nothing(ini, content, told):
    with launch(f"--api-paste-config={ini}") as server:
        ini.write_text(content)
        server.send_signal(signal.SIGHUP)
        line = server.wait_for_output(r".*the reload is refused.*").group()
        assert told in line
        assert get(server) == "hello"


def test_a_reload_takes_mutable_options_and_no_bad_ones(tmp_path):
    conf = tmp_path / "nova.conf"
    conf.write_text("[DEFAULT]\nlog_level = info\n")
    with launch(f"--config-file={conf}") as server:
        conf.write_text("[DEFAULT]\nlog_level = loud\n")
        server.send_signal(signal.SIGHUP)
        server.wait_for_output(r"the reload is refused.*nova.conf: \[DEFAULT\] log_level: 'loud' is not valid")
        conf.write_text("[DEFAULT]\nlog_level = debug\n")
        server.send_signal(signal.SIGHUP)
        server.wait_for_output("INFO nova_wsgi.launcher .* reloaded")


def test_a_reload_before_the_start_has_ended_is_obeyed_after_it(ini):
    options = [f"--api-paste-config={ini}"]
    with launch(*options, environ={"LAUNCHED_INIT_S": "0.5"}, ready=LogLine(LISTENS)) as server:
        server.wait_for_output("init hello")
        set_greeting(ini, "early")
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: get(server) == "early")


def test_ten_reloads_leak_nothing(ini):
    with launch(f"--api-paste-config={ini}") as server:

        def reload():
            before = server.output().count("reloaded")
            server.send_signal(signal.SIGHUP)
            wait_until(lambda: server.output().count("reloaded") > before)
            wait_until(lambda: server.output().count("cleanup") > before)

        reload()
        get(server)
        fds, greenthreads = open_fds(server.pid), int(get(server, "/greenthreads"))
        for _ in range(10):
            reload()
        assert open_fds(server.pid) <= fds
        wait_until(lambda: int(get(server, "/greenthreads")) <= greenthreads)


def test_logs_are_opened_again(tmp_path):
    log = tmp_path / "log"
    with launch(f"--log-file={log}", ready=Notified("")) as server:
        moved = log.rename(tmp_path / "moved")
        server.send_signal(signal.SIGUSR1)
        wait_until(log.exists)
        assert server.stop() == 0
    assert "listens on" in moved.read_text()
    assert "stopping on SIGTERM" in log.read_text()


def test_every_stack_is_told():
    with launch() as server:
        begun(server, "/greet?after=30")
        server.send_signal(signal.SIGUSR2)
        server.wait_for_output(r"do_greet")
        server.wait_for_output(r"native thread")
        server.send_signal(signal.SIGQUIT)
        server.wait()


def test_two_services_run_in_one_process():
    with launch("--enabled-apis=web,other") as server:
        other = server.wait_for_output(r"other listens on (\S+)").group(1)
        web = server.wait_for_output(r"web listens on (\S+)").group(1)
        assert server.request("GET", "/greet", url=web)[2] == b"hello"
        assert server.request("GET", "/greet", url=other)[2] == b"other"
        assert server.request("GET", "/pid", url=other)[2] == server.request("GET", "/pid", url=web)[2]
        assert server.stop() == 0
        assert "cleanup hello" in server.output()
        assert "cleanup other" in server.output()


@pytest.mark.parametrize("count", [1, 2])
def test_a_manager_that_is_misconfigured_ends_the_program_with_one_line(ini, count):
    set_greeting(ini, "misconfigured")
    code, lines = refused(f"--api-paste-config={ini}", f"--web-workers={count}", "--log-level=error")
    assert (code, lines) == (2, ["nova-launched: greeting: it is misconfigured"])


def test_a_manager_that_fails_ends_the_program_with_a_traceback(ini):
    set_greeting(ini, "broken")
    code, lines = refused(f"--api-paste-config={ini}", "--log-level=error")
    assert code == 1
    assert any("RuntimeError: this greeting is broken" in line for line in lines)


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--web-listen-prot=1", "--web-listen-prot: no such option; did you mean --web-listen-port? (see --help)"),
        ("--web_listen_port=x", "--web-listen-port: 'x' is not valid: not a whole number"),
        ("--config-file=/nowhere", "--config-file /nowhere: No such file or directory"),
        ("--api-paste-config=/nowhere", "/nowhere: No such file or directory"),
        ("--enabled-apis=web,third", "enabled_apis: there is no API 'third' in nova-launched"),
        ("--web-listen=192.0.2.1", "cannot listen on 192.0.2.1:0: this machine does not have that address"),
        ("--web-cert-file=/nowhere", "/nowhere: No such file or directory"),
        ("--log-file=/nowhere/log", "log_file /nowhere/log: No such file or directory"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(option, told):
    code, lines = refused(option, "--log-level=error")
    assert (code, lines) == (2, [f"nova-launched: {told}"])


def test_a_port_in_use_is_one_line_and_exit_code_2():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, lines = refused(f"--web-listen-port={port}")
    assert code == 2
    assert lines == [f"nova-launched: cannot listen on 127.0.0.1:{port}: the address is in use by another process"]


def test_a_certificate_is_replaced_by_a_reload(authority, tmp_path):
    served = tmp_path / "served.pem"
    served.touch(mode=0o600)
    served.write_bytes(authority.issue(COMMON_NAME="first").read_bytes())
    with launch(f"--web-cert-file={served}") as server:
        assert server.url.startswith("https://")
        assert subject(server, authority) == "first"
        served.write_bytes(authority.issue(COMMON_NAME="second").read_bytes())
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: subject(server, authority) == "second")
        served.write_bytes(b"nonsense")
        server.send_signal(signal.SIGHUP)
        server.wait_for_output("the reload is refused.*served.pem: not a certificate")
        assert subject(server, authority) == "second"


def subject(server, authority):
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as plain,
        authority.client_context().wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        [[[_, name]]] = tls.getpeercert()["subject"]
        return name


def test_a_unix_socket_goes_with_its_program(tmp_path):
    path = tmp_path / "web.sock"
    with launch(f"--web-listen=unix:{path}", "--unix-socket-mode=600") as server:
        assert server.url == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /greet HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().endswith(b"hello")
        server.stop()
        assert not path.exists()


def test_reloads_under_load_lose_no_request(ini):
    with launch(f"--api-paste-config={ini}") as server:
        done = []
        going = True

        def client():
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            while going:
                connection.request("GET", "/greet?after=0.01")
                done.append(connection.getresponse().read().decode())
            connection.close()

        clients = [green.spawn(client) for _ in range(20)]
        for greeting in ("one", "two", "three", "four", "five"):
            set_greeting(ini, greeting)
            server.send_signal(signal.SIGHUP)
            wait_until(partial(done.__contains__, greeting))
        going = False
        for thread in clients:
            thread.wait()
        assert {"one", "five"} <= set(done) <= {"hello", "one", "two", "three", "four", "five"}
