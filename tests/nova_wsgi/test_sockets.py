"""Listening sockets: bound, inherited, retired; and TLS contexts from files."""

import os
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from nova_wsgi import sockets
from nova_wsgi.errors import ConfigError
from nova_wsgi.sockets import TlsFiles

ACTIVATE = Path(__file__).parent / "programs" / "socket_activate.py"


@pytest.fixture
def bind():
    made = []

    def bind(*arguments, **settings):
        made.append(sockets.bind("web", *arguments, **settings))
        return made[-1]

    yield bind
    for listener in made:
        listener.release()


def connects(address, family=socket.AF_INET):
    with socket.socket(family) as client:
        try:
            client.connect(address)
        except OSError:
            return False
        return True


def port_of(listener):
    return listener.socket.getsockname()[1]


def test_ipv4_with_a_free_port(bind):
    listener = bind("127.0.0.1", 0)
    assert listener.url == f"http://127.0.0.1:{port_of(listener)}"
    assert connects(("127.0.0.1", port_of(listener)))
    listener.release()
    assert not connects(("127.0.0.1", int(listener.url.rpartition(":")[2])))


@pytest.mark.parametrize("address", ["::1", "[::1]"])
def test_ipv6(bind, address):
    listener = bind(address, 0)
    assert listener.url == f"http://[::1]:{port_of(listener)}"
    assert connects(("::1", port_of(listener)), socket.AF_INET6)


def test_every_address_of_ipv6_takes_ipv4_too(bind):
    assert connects(("127.0.0.1", port_of(bind("::", 0))))


def test_names_are_looked_up(bind):
    assert bind("localhost", 0).socket.family in (socket.AF_INET, socket.AF_INET6)
    with pytest.raises(ConfigError, match=r"^cannot listen on nowhere\.invalid: "):
        bind("nowhere.invalid", 0)


def test_a_port_in_use_is_told(bind):
    taken = bind("127.0.0.1", 0)
    with pytest.raises(
        ConfigError, match=r"^cannot listen on 127\.0\.0\.1:\d+: the address is in use by another process$"
    ):
        bind("127.0.0.1", port_of(taken))


def test_an_address_of_another_machine_is_told(bind):
    with pytest.raises(
        ConfigError, match=r"^cannot listen on \[2001:db8::1\]:0: this machine does not have that address$"
    ):
        bind("2001:db8::1", 0)


def test_a_unix_socket_has_its_mode_and_goes_when_released(bind, tmp_path):
    path = tmp_path / "web.sock"
    listener = bind(f"unix:{path}", 0, unix_mode=0o600)
    assert listener.url == f"unix:{path}"
    assert path.stat().st_mode & 0o777 == 0o600
    assert connects(str(path), socket.AF_UNIX)
    listener.release()
    assert not path.exists()
    listener.release()


def test_a_stale_socket_file_is_replaced(bind, tmp_path):
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert connects(bind(f"unix:{path}", 0).socket.getsockname(), socket.AF_UNIX)


def test_a_socket_that_is_listened_on_is_left_alone(bind, tmp_path):
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()
        with pytest.raises(ConfigError, match="another process listens there"):
            bind(f"unix:{path}", 0)
        assert connects(str(path), socket.AF_UNIX)


def test_a_file_that_is_no_socket_is_left_alone(bind, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(ConfigError, match="a file that is no socket is in the way"):
        bind(f"unix:{path}", 0)
    assert path.read_text() == "data"


def test_a_unix_path_that_cannot_be(bind, tmp_path):
    with pytest.raises(ConfigError, match="No such file or directory"):
        bind(f"unix:{tmp_path}/no/web.sock", 0)
    with pytest.raises(ConfigError, match="too long"):
        bind(f"unix:{tmp_path}/{'x' * 120}", 0)


# -- LISTEN_FDS

INHERIT = """
import os, sys
from nova_wsgi import green; green.patch()
from nova_wsgi import errors, sockets
try:
    found = sockets.inherit(sys.argv[1].split(","), os.environ)
except errors.ConfigError as error:
    print("error", error)
else:
    for name, listener in found.items():
        print(name, listener.url.rpartition(":")[2], listener.inherited, os.get_inheritable(listener.socket.fileno()))
print("left", *[name for name in os.environ if name.startswith("LISTEN_")])
"""


def inherit(given, wanted):
    command = [sys.executable, str(ACTIVATE), given, sys.executable, "-c", INHERIT, wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    first, *lines, last = done.stdout.splitlines()
    assert last == "left", "no child must take them for its own"
    return first.split()[1:], [line.split(" ", 1) for line in lines]


def test_sockets_are_matched_by_name():
    [metrics, s3], found = inherit("metrics,s3", "s3,metrics")
    assert dict(found) == {"s3": f"{s3} True False", "metrics": f"{metrics} True False"}


def test_sockets_without_a_name_we_know_are_taken_in_order():
    [first, s3, second], found = inherit("nova.socket,s3,nova.socket", "s3,iam,metrics")
    assert {name: port.split()[0] for name, port in found} == {"s3": s3, "iam": first, "metrics": second}
    [first, second], found = inherit(",", "s3,metrics")
    assert {name: port.split()[0] for name, port in found} == {"s3": first, "metrics": second}


def test_a_socket_nobody_wants_is_told():
    _, [[word, text]] = inherit("s3,other", "s3")
    assert (word, text) == ("error", "LISTEN_FDS: 2 sockets were passed for s3")


def test_sockets_for_another_process_are_not_taken():
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1"}
    assert sockets.inherit(["s3"], environ) == {}
    assert environ == {}
    assert sockets.inherit(["s3"], {}) == {}
    with pytest.raises(ConfigError, match="'many' is not a number of sockets"):
        sockets.inherit(["s3"], {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "many"})


# -- TLS


def handshake(context, client):
    """(version, the client's certificate or None) of a TLS connection in memory; raises what it fails with."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        context.wrap_bio(to_server, to_client, server_side=True),
    ]
    done = set()
    for end in ends * 5:  # as often as a handshake has flights
        try:
            if end not in done:
                end.do_handshake()
                done.add(end)
        except ssl.SSLWantReadError:
            pass
    return ends[1].version(), ends[1].getpeercert()


def test_a_context_is_made_of_files(authority):
    pem = str(authority.issue(COMMON_NAME="localhost"))
    version, certificate = handshake(TlsFiles(pem).context(), authority.client_context())
    assert version == "TLSv1.3"
    assert not certificate


def test_nothing_older_than_tls_1_2(authority):
    context = TlsFiles(str(authority.issue(COMMON_NAME="localhost"))).context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_client_certificates(authority):
    pem, ca = str(authority.issue(COMMON_NAME="localhost")), str(authority.path)
    mine = authority.issue(COMMON_NAME="client")
    for mode in ("optional", "required"):
        context = TlsFiles(pem, None, ca, mode).context()
        _, certificate = handshake(context, authority.client_context(mine))
        assert certificate["subject"] == ((("commonName", "client"),),)
    assert handshake(TlsFiles(pem, None, ca, "optional").context(), authority.client_context())
    with pytest.raises(ssl.SSLError):
        handshake(TlsFiles(pem, None, ca, "required").context(), authority.client_context())


def test_files_that_are_wrong_are_told(authority, tmp_path):
    pem = str(authority.issue(COMMON_NAME="localhost"))
    nonsense = tmp_path / "nonsense.pem"
    nonsense.touch(mode=0o600)
    nonsense.write_text("nonsense")
    loose = authority.issue(COMMON_NAME="loose")
    loose.chmod(0o644)
    for files, told in [
        (TlsFiles(str(loose)), "^TLS key .*loose.pem: others than its owner may read or write it; run: chmod 600 "),
        (TlsFiles(pem, str(loose)), "^TLS key .*loose.pem: others than its owner"),
        (TlsFiles("/nowhere.pem"), "^/nowhere.pem: No such file or directory$"),
        (TlsFiles(str(nonsense)), "nonsense.pem: not a certificate with its key"),
        (TlsFiles(pem, str(nonsense)), "localhost.pem and .*nonsense.pem: not a certificate with its key"),
        (TlsFiles(pem, None, str(nonsense), "required"), "nonsense.pem: not a CA certificate"),
        (TlsFiles(pem, None, None, "required"), "no CA file says whose are taken"),
    ]:
        with pytest.raises(ConfigError, match=told):
            files.context()
