"""The queue's options, and what is made of them."""

import subprocess
import sys

import pytest
from oslo_config import cfg

from nova_wsgi import config, rpc
from nova_wsgi.config import Section
from nova_wsgi.errors import ConfigError
from nova_wsgi.rpc.amqp import AmqpTransport
from nova_wsgi.rpc.embedded import EmbeddedTransport, consumers_here


def load(*argv, url="embedded:"):
    sections = [rpc.section(url=url), Section("State", [cfg.StrOpt("state_path", default="/nowhere")])]
    return config.load(sections, program="nova-test", argv=list(argv), environ={})


def test_by_default_messages_stay_in_the_process():
    transport = rpc.open_transport(load())
    assert isinstance(transport, EmbeddedTransport)
    assert transport.limits == rpc.QueueLimits()


def test_a_program_may_put_its_sockets_below_its_state(tmp_path):
    transport = rpc.open_transport(load(f"--state-path={tmp_path}", url="embedded:$state_path/queue"))
    consumer = transport.listen("topic", "host", lambda message: rpc.Reply(message.id))
    assert len(list((tmp_path / "queue" / "topic" / "host").glob("*.sock"))) == 1
    assert consumers_here(str(tmp_path / "queue")) == [consumer]
    consumer.close()


def test_the_limits_are_options():
    conf = load("--rpc-handlers-max=1", "--rpc-queue-max=2", "--rpc-message-size-max=134217728")
    limits = rpc.open_transport(conf).limits
    assert limits == rpc.QueueLimits(1, 2, queue_size_max=134217728, message_size_max=134217728)


@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
def test_a_broker_is_not_connected_to_before_it_is_needed(scheme):
    transport = rpc.open_transport(load(f"--rpc-url={scheme}://somebody:hush@192.0.2.1//"))
    assert isinstance(transport, AmqpTransport)
    transport.close()


@pytest.mark.parametrize("url", ["", "embedded", "redis://host", "/a/path", "rabbit:hush@host"])
def test_another_url_is_a_mistake_and_not_shown(url):
    with pytest.raises(ConfigError, match=r"\[rpc\] url begins with embedded:, amqp:// or amqps://") as caught:
        rpc.open_transport(load(f"--rpc-url={url}"))
    assert "hush" not in str(caught.value)


def test_without_kombu_rabbitmq_is_a_mistake_that_says_what_to_install():
    script = (
        "from nova_wsgi import green; green.patch()\n"
        "import sys; sys.modules['kombu'] = None\n"
        "from nova_wsgi import config, rpc\n"
        "conf = config.load([rpc.section()], program='x', argv=['--rpc-url=' + sys.argv[1]], environ={})\n"
        "rpc.open_transport(conf)\n"
    )

    def run(url):
        return subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True, timeout=20)

    assert run("embedded:").returncode == 0
    assert "pip install nova-wsgi[amqp]" in run("amqp://127.0.0.1//").stderr.splitlines()[-1]
