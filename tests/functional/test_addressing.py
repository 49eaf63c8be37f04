"""Ways to the store: hosts and paths, TLS, IPv6, unix sockets, and proxies that tell who asks."""

import re
import signal
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.certificates import Authority
from support.raw_store import Wire, connect, sign
from support.store import Store, need_program, root_environ, running_store, store_command

from nova_wsgi.testing import LiveServer, wait_until

DOMAIN = "s3.example.test"


# -- hosts and paths ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("state"), f"--s3-domain={DOMAIN},other.test") as running:
        yield running


def virtual_client(store: Store, domain: str = DOMAIN) -> Any:
    """A client that names buckets by host; all names lead to the store, its proxy as far as the client knows."""
    return store.client(
        url=f"http://{domain}:{store.port}",
        signature_version="s3v4",
        s3={"addressing_style": "virtual"},
        proxies={"http": store.url},
    )


def test_hosts_and_paths_name_the_same_buckets_on_one_listener(store: Store) -> None:
    by_host, by_path = virtual_client(store), store.client()
    by_host.create_bucket(Bucket="by-host")
    by_path.create_bucket(Bucket="by-path")
    assert [bucket["Name"] for bucket in by_host.list_buckets()["Buckets"]] == ["by-host", "by-path"]
    for bucket in ("by-host", "by-path"):
        by_host.put_object(Bucket=bucket, Key="by-path/ü key", Body=b"from a host")
        assert by_path.get_object(Bucket=bucket, Key="by-path/ü key")["Body"].read() == b"from a host"
        by_path.put_object(Bucket=bucket, Key="//lead", Body=b"from a path")
        assert by_host.get_object(Bucket=bucket, Key="//lead")["Body"].read() == b"from a path"
        assert [entry["Key"] for entry in by_host.list_objects_v2(Bucket=bucket)["Contents"]] == [
            "//lead",
            "by-path/ü key",
        ]
        assert len(by_host.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "//lead"}]})["Deleted"]) == 1
    with pytest.raises(ClientError, match="NoSuchBucket"):
        by_host.list_objects_v2(Bucket="nobody-s")


def test_a_bucket_with_dots_and_a_second_domain(store: Store) -> None:
    client = virtual_client(store, "other.test")
    client.create_bucket(Bucket="with.dots")
    client.put_object(Bucket="with.dots", Key="k", Body=b"dots")
    assert virtual_client(store).get_object(Bucket="with.dots", Key="k")["Body"].read() == b"dots"


def test_curl_with_a_presigned_host(store: Store) -> None:
    curl = need_program("curl")
    client = virtual_client(store)
    client.create_bucket(Bucket="presigned")
    resolve = f"--resolve=presigned.{DOMAIN}:{store.port}:127.0.0.1".split("=")
    put = client.generate_presigned_url("put_object", Params={"Bucket": "presigned", "Key": "a b"})
    assert put.startswith(f"http://presigned.{DOMAIN}:{store.port}/a%20b?")
    store.run(curl, "-sS", "--fail-with-body", *resolve, "-X", "PUT", "--data-binary", "hello", put)
    get = client.generate_presigned_url("get_object", Params={"Bucket": "presigned", "Key": "a b"})
    assert store.run(curl, "-sS", *resolve, get) == "hello"
    other = get.replace("presigned.", "by-host.", 1)
    assert "<Code>SignatureDoesNotMatch" in store.run(
        curl, "-sS", "-H", f"Host: by-host.{DOMAIN}:{store.port}", *resolve, get
    )
    assert (
        "Could not resolve" in subprocess.run([curl, "-sS", other], capture_output=True, text=True, check=False).stderr
    )


def test_other_hosts_are_just_hosts(store: Store) -> None:
    with connect(store) as wire:
        for host in ("box.elsewhere.test", f"evil{DOMAIN}", "127.0.0.1", DOMAIN, f"{DOMAIN}.", f"{DOMAIN.upper()}:80"):
            answer = wire.send(sign("GET", "/", host=host).head).response()
            assert b"<ListAllMyBucketsResult" in answer.body


# -- TLS ------------------------------------------------------------------------------------------------------------------


def open_tls(store: Store, context: ssl.SSLContext) -> ssl.SSLSocket:
    sock = socket.create_connection(("127.0.0.1", store.port), timeout=10)
    return context.wrap_socket(sock, server_hostname="localhost")


def peer_name(store: Store, authority: Authority) -> str:
    with open_tls(store, authority.client_context()) as tls:
        certificate = tls.getpeercert()
    assert certificate is not None
    return str(dict(pair for name in certificate["subject"] for pair in name)["commonName"])


def test_a_certificate_is_renewed_by_a_reload(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    path = tmp_path / "live.pem"
    path.touch(mode=0o600)
    path.write_bytes(authority.issue(COMMON_NAME="first").read_bytes())
    with running_store(tmp_path / "state", f"--s3-cert-file={path}") as store:
        assert store.url.startswith("https://")
        s3 = store.client(url=f"https://localhost:{store.port}", verify=str(authority.path))
        s3.create_bucket(Bucket="tls")
        s3.put_object(Bucket="tls", Key="large", Body=b"tls" * 1_000_000)
        assert peer_name(store, authority) == "first"
        reload(store, path, authority.issue(COMMON_NAME="second").read_bytes(), " reloaded\n")
        assert peer_name(store, authority) == "second"
        reload(store, path, b"no certificate", "the reload is refused")
        assert peer_name(store, authority) == "second"
        assert s3.get_object(Bucket="tls", Key="large")["Body"].read() == b"tls" * 1_000_000
        s3.close()
        with connect(store) as plain:
            plain.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert not plain.receive_to_end().startswith(b"HTTP/1.1 2")
        assert "Traceback" not in store.server.output()


def reload(store: Store, path: Path, certificate: bytes, told: str) -> None:
    before = store.server.output().count(told)
    path.write_bytes(certificate)
    store.server.send_signal(signal.SIGHUP)
    wait_until(lambda: store.server.output().count(told) > before, what=f"{told!r} in the log")


def test_clients_may_have_to_show_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    own = authority.issue(COMMON_NAME="localhost")
    arguments = f"--s3-cert-file={own}", f"--s3-client-ca-file={authority.path}", "--s3-client-certs=required"
    with running_store(tmp_path / "state", *arguments) as store:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            ask_over_tls(store, authority.client_context())
        assert ask_over_tls(store, authority.client_context(authority.issue(COMMON_NAME="alice"))) == 200


def ask_over_tls(store: Store, context: ssl.SSLContext) -> int:
    with open_tls(store, context) as tls:
        tls.sendall(sign("GET", "/").head)
        first = tls.recv(12)
    if not first:
        raise ConnectionError
    return int(first[9:12])


# -- other sockets --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not socket.has_ipv6, reason="this Python has no IPv6")
def test_ipv6(tmp_path: Path) -> None:
    with running_store(tmp_path, "--s3-listen=::1") as store:
        assert store.url.startswith("http://[::1]:")
        s3 = store.client()
        s3.create_bucket(Bucket="six")
        s3.put_object(Bucket="six", Key="k", Body=b"6")
        assert s3.get_object(Bucket="six", Key="k")["Body"].read() == b"6"
        store.server.wait_for_output(r"(?m)^::1 - .*GetObject")


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s3.sock"
    command = store_command(tmp_path / "state", f"--s3-listen=unix:{path}")
    with LiveServer(command, environ=root_environ()) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(path))
            wire = Wire(sock=sock)
            assert wire.send(sign("PUT", "/local", unsigned={"Content-Length": "0"}).head).response().status == 200
            assert b"<Name>local</Name>" in wire.send(sign("GET", "/").head).response().body
        again = subprocess.run([*command], env=root_environ(), capture_output=True, text=True, timeout=10, check=False)
        assert (again.returncode, "another process listens there" in again.stderr) == (2, True)
        assert server.stop() == 0
        assert not path.exists()


def test_a_proxy_that_is_trusted_tells_who_asks(tmp_path: Path) -> None:
    with running_store(tmp_path, "--proxy-protocol-networks=127.0.0.0/8") as store:
        first = b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 443\r\n"
        second = b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c" + bytes((203, 0, 113, 10, 192, 0, 2, 1)) + b"\x9c\x40\x01\xbb"
        for header in (first, second):
            with connect(store) as wire:
                assert wire.send(header + sign("GET", "/").head).response().status == 200
        for address in ("203.0.113.9", "203.0.113.10"):
            store.server.wait_for_output(rf"(?m)^{re.escape(address)} - .*ListBuckets")
        with connect(store) as wire:
            wire.send(sign("GET", "/").head)
            assert not wire.receive_to_end().startswith(b"HTTP/1.1 2")
