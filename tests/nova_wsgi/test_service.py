"""A service's life in this process: create, prepare, start, reload, stop, kill."""

import http.client
import socket
import sys
import time

import pytest
from oslo_config import cfg

from nova_wsgi import config, green, launcher, logs, service_options
from nova_wsgi.errors import ConfigError
from nova_wsgi.manager import Manager, periodic_task
from nova_wsgi.service import Service, WsgiService
from nova_wsgi.testing import wait_until

SECTIONS = (
    service_options.section(),
    service_options.http_section(),
    service_options.api_section("web", workers=3),
    service_options.api_section("other", workers=1),
    launcher.section(),
    logs.section(),
    config.Section("Topics", (service_options.manager_option("image-worker", f"{__name__}:Recording"),)),
)


def load(*argv):
    return config.load(SECTIONS, program="nova-test", argv=argv, environ={})


class Recording(Manager):
    """Notes what happens to it."""

    def __init__(self, *, name="manager", fails="", **given):
        super().__init__(**given)
        self.name = name
        self.fails = fails

    def _note(self, event):
        EVENTS.append(f"{self.name} {event}")
        if event == self.fails:
            raise RuntimeError(f"{event} failed")

    def init_host(self):
        self._note("init_host")

    def cleanup_host(self):
        self._note("cleanup_host")

    def reload(self):
        self._note("reload")

    @periodic_task(spacing_s=0.02, run_immediately=True)
    def tick(self):
        if f"{self.name} tick" not in EVENTS:
            self._note("tick")

    def __call__(self, environ, start_response):
        body = self.name.encode()
        green.sleep(float(environ["QUERY_STRING"] or 0))
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


EVENTS = []


@pytest.fixture(autouse=True)
def events():
    EVENTS.clear()
    return EVENTS


# -- names


def test_names_are_derived(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/nova-image-worker"])
    service = Service.create(conf=load())
    assert (service.binary, service.topic, service.host) == ("nova-image-worker", "image-worker", socket.gethostname())
    service.prepare()
    service.start()
    assert EVENTS == ["manager init_host"], "the class that image_worker_manager names"
    service.stop(1)


def test_names_can_be_given():
    service = Service.create(conf=load("--host=me"), binary="b", topic="t")
    assert (service.binary, service.topic, service.host) == ("b", "t", "me")
    assert Service.create(conf=load("--host=me"), host="you", binary="b").host == "you"
    assert Service.create(conf=load(), binary="nova-t").topic == "t"


def test_a_manager_that_cannot_be_loaded_is_told():
    with pytest.raises(ConfigError, match=r"^image_worker_manager = nothing:There: No module named 'nothing'$"):
        Service.create(conf=load("--image-worker-manager=nothing:There"), binary="nova-image-worker")


# -- a service with a Manager of its own


def make(manager=Recording, *argv):
    service = Service.create(conf=load(*argv), binary="nova-test", manager=manager)
    service.prepare()
    return service


def test_a_life_in_order():
    service = make()
    states = []
    service.reporters.append(lambda reporting: states.append(reporting.state))
    service.start()
    wait_until(lambda: "manager tick" in EVENTS)
    service.reload()
    assert service.stop(5)
    service.wait()
    assert EVENTS == ["manager init_host", "manager tick", "manager reload", "manager cleanup_host"]
    assert states == ["starting", "up", "draining", "down"]


def test_heartbeats_go_on_and_a_lost_registry_stops_nothing(caplog):
    service = make(Recording, "--report-interval-s=0.1")
    beats = []

    def report(reporting):
        beats.append(reporting.state)
        raise OSError("the database is away")

    service.reporters.append(report)
    service.start()
    wait_until(lambda: beats.count("up") >= 3)
    assert service.stop(1)
    assert "a heartbeat failed" in caplog.text


def test_stop_waits_for_tracked_calls_and_not_beyond_its_time():
    managers = []

    class Busy(Recording):
        def init_host(self):
            managers.append(self)

    for call_s, timeout_s, clean in [(0.1, 5, True), (5, 0.1, False)]:
        service = make(Busy)
        service.start()
        manager = managers.pop()

        def call(manager=manager, call_s=call_s):
            with manager.tracked("long call"):
                green.sleep(call_s)

        thread = green.spawn(call)
        green.sleep(0)
        assert [name for name, _ in service.in_flight()] == ["long call"]
        began = time.monotonic()
        assert service.stop(timeout_s) is clean
        assert time.monotonic() - began < 1
        thread.kill()


def test_stop_waits_for_a_periodic_task():
    class Slow(Recording):
        @periodic_task(spacing_s=100, run_immediately=True)
        def slow(self):
            self._note("slow begins")
            green.sleep(0.1)
            self._note("slow ends")

    service = make(Slow)
    service.start()
    wait_until(lambda: "manager slow begins" in EVENTS)
    assert service.stop(5)
    assert EVENTS.index("manager slow ends") < EVENTS.index("manager cleanup_host")


def test_kill_cleans_nothing_up():
    service = make()
    service.start()
    service.kill()
    service.wait()
    assert "manager cleanup_host" not in EVENTS
    assert service.state == "down"


def test_a_failure_of_the_main_loop_reaches_who_waits():
    service = make()
    service.start()
    service.fail(OSError("the queue is gone"))
    with pytest.raises(OSError, match="the queue is gone"):
        service.wait()
    service.stop(1)


def test_a_start_that_fails_is_raised():
    class Failing(Recording):
        def __init__(self, **given):
            super().__init__(fails="init_host", **given)

    service = make(Failing)
    with pytest.raises(RuntimeError, match="init_host failed"):
        service.start()
    assert service.state == "down"


# -- a WsgiService


class Web:
    """A started WsgiService over apps made by callables."""

    def __init__(self, *argv, **settings):
        self.names = {"web": "web", "other": "other"}
        self.conf = load(*argv)
        self.fails = ""
        self.service = WsgiService.create(
            conf=self.conf,
            binary="nova-test",
            apps={"web": lambda: self.manager("web"), "other": lambda: self.manager("other")},
            **settings,
        )
        self.service.prepare()

    def manager(self, api):
        fails = self.fails if api == "other" else ""
        return Recording(conf=self.conf, host="h", name=self.names[api], fails=fails)

    def get(self, api, query=""):
        host, _, port = self.service.addresses[api].partition("://")[2].partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=5)
        try:
            connection.request("GET", f"/?{query}")
            return connection.getresponse().read().decode()
        finally:
            connection.close()


@pytest.fixture
def web():
    made = []

    def make(*argv, **settings):
        made.append(Web(*argv, **settings))
        return made[-1]

    yield make
    for one in made:
        one.service.kill()


def test_each_api_has_its_listener_and_its_app(web):
    one = web()
    assert one.service.workers == 3
    one.service.start()
    assert (one.get("web"), one.get("other")) == ("web", "other")
    assert EVENTS[:2] == ["web init_host", "other init_host"]
    wait_until(lambda: one.service.requests_total() == 2)
    assert one.service.stop(5)
    assert sorted(EVENTS[-2:]) == ["other cleanup_host", "web cleanup_host"]
    with pytest.raises(ConnectionRefusedError):
        one.get("web")


def test_requests_are_in_flight_until_their_last_byte(web):
    one = web()
    one.service.start()
    answer = green.spawn(one.get, "web", "0.2")
    wait_until(one.service.in_flight)
    assert [name for name, _ in one.service.in_flight()] == ["GET /"]
    assert one.service.stop(5)
    assert answer.wait() == "web"
    assert one.service.in_flight() == []


def test_a_request_beyond_the_deadline_is_ended(web):
    one = web()
    one.service.start()

    def lose():
        with pytest.raises((OSError, http.client.HTTPException)):
            one.get("web", "30")

    answer = green.spawn(lose)
    wait_until(one.service.in_flight)
    began = time.monotonic()
    assert not one.service.stop(0.1)
    assert time.monotonic() - began < 2
    answer.wait()
    assert "web cleanup_host" in EVENTS


def test_a_reload_moves_over_and_cleans_up_behind_the_last_request(web):
    one = web()
    one.service.start()
    old = green.spawn(one.get, "web", "0.3")
    wait_until(one.service.in_flight)
    one.names["web"] = "fresh"
    one.service.reload()
    assert one.get("web") == "fresh"
    assert len(one.service.in_flight()) == 1, "the old one is still told"
    assert "web cleanup_host" not in EVENTS
    assert old.wait() == "web"
    wait_until(lambda: "web cleanup_host" in EVENTS)
    wait_until(lambda: "fresh tick" in EVENTS)
    assert EVENTS.index("fresh init_host") < EVENTS.index("web cleanup_host")


def test_a_reload_that_fails_cleans_up_what_it_had_begun(web):
    one = web()
    one.service.start()
    EVENTS.clear()
    one.names.update(web="fresh", other="broken")
    one.fails = "init_host"
    with pytest.raises(RuntimeError, match="init_host failed"):
        one.service.reload()
    assert [event for event in EVENTS if "tick" not in event] == [
        "fresh init_host", "broken init_host", "fresh cleanup_host",
    ]  # fmt: skip
    assert (one.get("web"), one.get("other")) == ("web", "other")


def test_a_stop_during_a_reload_cleans_up_both(web):
    one = web()
    one.service.start()
    old = green.spawn(one.get, "web", "0.2")
    wait_until(one.service.in_flight)
    one.names["web"] = "fresh"
    one.service.reload()
    assert one.service.stop(5)
    assert old.wait() == "web"
    assert {"web cleanup_host", "fresh cleanup_host", "other cleanup_host"} <= set(EVENTS)


def test_options_reach_the_http_server(web):
    def render(status, reason, hint, request_id):
        return [("Content-Type", "text/plain")], b"our words"

    one = web("--http-requests-per-connection=1", server_options={"web": {"refusal_renderer": render}})
    one.service.start()
    connection = http.client.HTTPConnection(
        "127.0.0.1", one.service.listeners["web"].socket.getsockname()[1], timeout=5
    )
    connection.request("GET", "/", headers={"Content-Length": "x"})
    assert connection.getresponse().read() == b"our words"
    connection.close()
    connection.request("GET", "/")
    assert connection.getresponse().getheader("Connection") == "close"
    connection.close()


def test_an_api_without_options_is_told():
    with pytest.raises(ConfigError, match=r"^enabled_apis: there is no API 's4' in nova-test$"):
        WsgiService.create(conf=load("--enabled-apis=s4"), binary="nova-test")


def test_sockets_are_let_go_when_one_cannot_be_bound():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        conf = load("--enabled-apis=web,other", f"--other-listen-port={taken.getsockname()[1]}")
        service = WsgiService.create(conf=conf, binary="nova-test")
        with pytest.raises(ConfigError, match="in use"):
            service.prepare()
        assert service.listeners["web"].socket.fileno() == -1


def test_options_that_make_no_sense_together():
    for argv, told in [
        (["--web-key-file=x"], "web_cert_file is needed for TLS, and is not set"),
        (["--web-client-certs=required"], "web_cert_file is needed"),
    ]:
        with pytest.raises(ConfigError, match=told):
            service_options.tls_files(load(*argv), "web")
    with pytest.raises(ConfigError, match=r"^proxy_protocol_networks: 10\.0\.0\.1/8 has host bits set$"):
        service_options.proxy_networks(load("--proxy-protocol-networks=10.0.0.1/8"))
    assert service_options.http_limits(load("--http-keepalive-timeout-s=3")).keepalive_timeout_s == 3


def test_every_option_has_a_sentence():
    for section in SECTIONS:
        for option in section.options:
            assert option.help.endswith("."), option.name
            assert isinstance(option, cfg.Opt)
