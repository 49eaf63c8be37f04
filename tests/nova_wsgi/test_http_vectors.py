"""Every raw request of tests/vectors/http, sent to a real server."""

import pytest
from support import http_vectors
from support.raw_http import Client, echo, serving


@pytest.fixture(scope="module")
def server():
    with serving(echo) as server:
        yield server


@pytest.mark.parametrize("vector", http_vectors.read_all(), ids=str)
def test_vector(server, vector):
    with Client(server) as client:
        client.send(vector.request)
        answers = [client.response() for _ in vector.statuses]

        assert [answer.status for answer in answers] == vector.statuses
        for key, expected in vector.environ.items():
            assert answers[0].json["environ"].get(key) == expected
        for key, expected in vector.others.items():
            assert answers[0].json[key] == expected
        assert (answers[-1].header("Connection") == "close") is not vector.stays_open
        assert client.is_open() if vector.stays_open else client.is_closed()


@pytest.mark.parametrize("vector", [v for v in http_vectors.read_all() if len(v.request) < 400], ids=str)
def test_vector_byte_by_byte(server, vector):
    """The network may cut anywhere."""
    with Client(server) as client:
        try:
            for index in range(len(vector.request)):
                client.send(vector.request[index : index + 1])
        except ConnectionError:
            assert not vector.stays_open  # refused before the end
        else:
            assert [client.response().status for _ in vector.statuses] == vector.statuses
            assert client.is_open() if vector.stays_open else client.is_closed()
