"""Rate limits: buckets that empty and fill, whom they are for, how a refusal looks, how much they keep."""

import pytest

from nova_wsgi import config
from nova_wsgi.compose import load_app
from nova_wsgi.errors import PasteConfigError
from nova_wsgi.manager import composing
from nova_wsgi.middleware.ratelimit import Buckets, RateLimit, TooManyRequests, charge_account
from nova_wsgi.response import Response
from nova_wsgi.testing import Client


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limited(clock):
    """A client of an application behind limits."""

    def make(app=None, **settings):
        return Client(RateLimit(app or Response(b"here"), clock_s=clock, **settings))

    return make


def statuses(client, count, address="192.0.2.1", **environ):
    return [client.get("/", environ={"REMOTE_ADDR": address, **environ}).status for _ in range(count)]


def test_a_burst_passes_and_then_as_many_as_the_rate(limited, clock):
    client = limited(requests_per_s=2, burst=3)
    assert statuses(client, 5) == [200, 200, 200, 429, 429]
    clock.now_s += 0.5
    assert statuses(client, 2) == [200, 429]
    clock.now_s += 3600
    assert statuses(client, 5) == [200, 200, 200, 429, 429]


@pytest.mark.parametrize(("rate", "retry_after"), [(10, "1"), (0.1, "10"), (0.25, "4")])
def test_a_refusal_says_when_to_come_back(limited, clock, rate, retry_after):
    client = limited(requests_per_s=rate, burst=1)
    assert statuses(client, 1) == [200]
    answer = client.get("/", environ={"REMOTE_ADDR": "192.0.2.1"})
    assert (answer.status, answer.reason, answer.header("Retry-After")) == (429, "Too Many Requests", retry_after)
    assert "too many requests from this address" in answer.text
    clock.now_s += int(retry_after)
    assert statuses(client, 1) == [200]


def test_a_refused_request_costs_nothing_more(limited, clock):
    client = limited(requests_per_s=1, burst=1)
    assert statuses(client, 10) == [200] + [429] * 9
    clock.now_s += 1
    assert statuses(client, 1) == [200]


def test_each_address_has_its_own_share(limited):
    client = limited(requests_per_s=1, burst=1)
    assert statuses(client, 2, "192.0.2.1") == [200, 429]
    assert statuses(client, 2, "192.0.2.2") == [200, 429]


def test_an_ipv6_network_shares_one(limited):
    client = limited(requests_per_s=1, burst=1)
    assert statuses(client, 1, "2001:db8::1") == [200]
    assert statuses(client, 1, "2001:db8::ffff:2") == [429]
    assert statuses(client, 1, "2001:db8:0:1::1") == [200]
    assert statuses(client, 1, "fe80::1%eth0") == [200]
    assert statuses(client, 1, "::ffff:192.0.2.1") == [200]
    assert statuses(client, 1, "192.0.2.1") == [429]


def test_a_client_without_an_address_is_not_limited(limited):
    assert statuses(limited(requests_per_s=1, burst=1), 3, "") == [200] * 3


def test_an_account_has_its_own_share_wherever_it_comes_from(limited):
    client = limited(account_requests_per_s=1, account_burst=2)
    assert statuses(client, 2, "192.0.2.1", **{"nova.account": "alice"}) == [200, 200]
    assert statuses(client, 1, "192.0.2.2", **{"nova.account": "alice"}) == [429]
    assert statuses(client, 1, "192.0.2.1", **{"nova.account": "bob"}) == [200]
    assert statuses(client, 3, "192.0.2.1") == [200] * 3


def test_an_application_that_authenticates_charges_the_account_itself(limited):
    def app(environ, start_response):
        charge_account(environ, environ["HTTP_X_WHO"])
        return Response(b"here")(environ, start_response)

    client = limited(app, account_requests_per_s=0.5, account_burst=1)
    assert client.get("/", headers={"X-Who": "alice"}).status == 200
    with pytest.raises(TooManyRequests, match="too many requests of this account") as caught:
        client.get("/", headers={"X-Who": "alice"})
    assert (caught.value.status, caught.value.retry_after_s) == (429, 2)
    assert caught.value.headers == (("Retry-After", "2"),)
    assert client.get("/", headers={"X-Who": "bob"}).status == 200


def test_without_a_limit_charging_does_nothing():
    charge_account({}, "alice")


def test_the_application_may_have_its_own_form_of_refusal(limited):
    def render(status, reason, hint, request_id):
        return [("Content-Type", "text/x")], f"{status} {reason}: {hint}: {request_id}".encode()

    client = limited(requests_per_s=1, burst=1, refusal_renderer=render)
    statuses(client, 1)
    answer = client.get("/", environ={"REMOTE_ADDR": "192.0.2.1", "nova.request_id": "r1"})
    assert answer.text == "429 Too Many Requests: too many requests from this address: r1"
    assert (answer.header("Content-Type"), answer.header("Retry-After")) == ("text/x", "1")


def test_memory_is_bounded_and_the_longest_unused_is_forgotten(clock):
    buckets = Buckets(1, 1, keys_max=100, clock_s=clock)
    for number in range(1000):
        assert buckets.take(str(number)) == 0
    assert len(buckets) == 100
    assert buckets.take("999") > 0
    assert buckets.take("0") == 0


def test_a_clock_that_stands_still_gives_nothing(clock):
    buckets = Buckets(1000, 1, clock_s=clock)
    assert buckets.take("a") == 0
    assert buckets.take("a") == pytest.approx(0.001)


def test_paste_makes_it():
    def compose(**given):
        return RateLimit.filter_factory({}, **given)(Response(b"here"))

    client = Client(compose(requests_per_s="0.001", burst="1", keys_max="5"))
    assert statuses(client, 2) == [200, 429]
    assert statuses(Client(compose()), 3) == [200] * 3
    for bad in ("-1", "inf", "nan", "many"):
        with pytest.raises(ValueError):
            compose(requests_per_s=bad)


def test_a_mistake_in_the_ini_is_told_with_its_section(tmp_path):
    ini = tmp_path / "limited.ini"
    ini.write_text(
        "[pipeline:x]\npipeline = limit y\n"
        "[filter:limit]\npaste.filter_factory = nova_wsgi.middleware.ratelimit:RateLimit.filter_factory\n"
        "requests_per_s = many\n"
        "[app:y]\npaste.app_factory = nova_wsgi.apps.health:Health.factory\n"
    )
    conf = config.load([], program="x", argv=[], environ={})
    with composing(conf=conf, host="alpha"), pytest.raises(PasteConfigError, match=r"\[filter:limit\]: .*'many'"):
        load_app(str(ini), "x")
