"""Webhooks: what counts as taken, and what does not."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading

import pytest
from support.certificates import Authority
from support.webhooks import running_webhook

from nova_objectstore.delivery.endpoints import Networks, read_endpoint
from nova_objectstore.delivery.errors import DeliveryFailed
from nova_objectstore.delivery.webhooks import Webhooks

LOOPBACK = Networks.parse(["127.0.0.0/8"])


def post(url: str, *, networks: Networks = LOOPBACK, **options: bool) -> None:
    endpoint = read_endpoint(url, schemes=("http", "https"))
    Webhooks(networks).post(endpoint, b"body", {"Content-Type": "text/plain"}, **options)


def test_a_message_arrives_with_its_headers_and_credentials() -> None:
    with running_webhook() as webhook:
        post(webhook.url.replace("127.0.0.1", "me:pass%20word@localhost") + "/path?q=1")
        (got,) = webhook.got
        assert (got.path, got.body) == ("/path?q=1", b"body")
        assert got.headers["host"] == webhook.url.replace("http://127.0.0.1", "localhost")
        assert base64.b64decode(got.headers["authorization"].removeprefix("Basic ")) == b"me:pass word"


@pytest.mark.parametrize("status", [301, 307, 400, 404, 500, 503])
def test_everything_but_success_is_a_failure_and_redirects_are_not_followed(status: int) -> None:
    with running_webhook() as webhook:
        webhook.status = status
        with pytest.raises(DeliveryFailed, match=f"answered {status}"):
            post(webhook.url)
        assert webhook.tried == 1


def test_nobody_there_and_nobody_that_may_be() -> None:
    with pytest.raises(DeliveryFailed, match="ECONNREFUSED"):
        post("http://127.0.0.1:9/")
    with pytest.raises(DeliveryFailed, match="not in a network"):
        post("http://127.0.0.1:9/", networks=Networks())


def test_who_answers_nonsense_or_hangs_up_has_not_taken_it() -> None:
    for words in (b"nonsense\r\n\r\n", b""):
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=_answer, args=(server, words))
            thread.start()
            with pytest.raises(DeliveryFailed):
                post(f"http://127.0.0.1:{server.getsockname()[1]}/")
            thread.join()


def _answer(server: socket.socket, words: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(words)


def test_certificates_are_verified_unless_it_is_said_not_to(tmp_path) -> None:
    context = Authority(tmp_path).server_context(COMMON_NAME="localhost")
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve_tls, args=(server, context))
        thread.start()
        url = f"https://localhost:{server.getsockname()[1]}/"
        with pytest.raises(DeliveryFailed, match="certificate"):
            post(url)
        post(url, verifies_tls=False)
        thread.join()


def test_certificates_are_read_for_the_first_message_over_tls(tmp_path, monkeypatch) -> None:
    authority = Authority(tmp_path)
    context = authority.server_context(COMMON_NAME="localhost")
    webhooks = Webhooks(LOOPBACK)  # at the start of a process that may never send one
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_serve_tls, args=(server, context))
        thread.start()
        endpoint = read_endpoint(f"https://localhost:{server.getsockname()[1]}/", schemes=("https",))
        webhooks.post(endpoint, b"body", {})
        authority.path.unlink()
        webhooks.post(endpoint, b"body", {})  # they are kept
        thread.join()


def _serve_tls(server: socket.socket, context: ssl.SSLContext) -> None:
    for _ in range(2):
        connection, _ = server.accept()
        secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with contextlib.suppress(OSError), secured:  # SSLError too: the client does not trust it
            secured.do_handshake()
            got = b""
            while not got.endswith(b"body"):
                data = secured.recv(65536)
                if not data:
                    break
                got += data
            secured.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
