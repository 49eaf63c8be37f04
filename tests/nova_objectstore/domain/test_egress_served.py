"""Bodies from stored data, sent by the real HTTP server."""

import os

import pytest
from support.raw_http import Client, serving, wait_until
from support.shelf import Shelf, open_files


@pytest.fixture(params=[True, False], ids=["files", "no files"])
def shelf(request, tmp_path):
    shelf = Shelf(tmp_path / "data", files=request.param)
    yield shelf
    shelf.engine.stop()


def test_parts_are_opened_one_by_one_while_the_body_is_sent(shelf):
    contents = [os.urandom(70_000 if number % 3 else 50) for number in range(60)]
    version = shelf.multipart(contents)
    open_part = shelf.engine.open
    open_counts = []

    def counted(ref):
        reader = open_part(ref)
        open_counts.append(open_files())
        return reader

    def app(environ, start_response):
        shelf.engine.open = counted
        start_response("200 OK", [("Content-Length", str(version.size))])
        return shelf.egress.open_body(version)

    with serving(app) as server, Client(server) as client:
        client.get("/warm-up").response()
        open_counts.clear()
        response = client.get().response()
        assert client.get("/again").response().body == response.body == b"".join(contents)

    assert len(open_counts) == 80
    assert max(open_counts) == min(open_counts)


def test_a_client_that_leaves_frees_the_file(shelf):
    version = shelf.multipart([os.urandom(5_000_000) for _ in range(3)])

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(version.size))])
        return shelf.egress.open_body(version)

    with serving(app) as server:
        Client(server).get("/warm-up").response()
        before = open_files()
        with Client(server) as client:
            client.get().take(1000)
        wait_until(lambda: not server.in_flight and open_files() <= before)


def test_a_part_that_is_gone_breaks_the_connection_and_not_the_framing(shelf, caplog):
    version = shelf.multipart([os.urandom(10_000) for _ in range(3)])
    shelf.engine.delete(shelf.rows.parts[2].content.ref)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(version.size))])
        return shelf.egress.open_body(version)

    with serving(app) as server, Client(server) as client:
        before = open_files()
        client.get()
        received = client.receive_to_end()
        wait_until(lambda: open_files() <= before)

    assert received.startswith(b"HTTP/1.1 200 ")
    assert len(received) < version.size
    assert "DataMissing" in caplog.text
