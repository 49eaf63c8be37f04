"""The strict request: what a client did wrong is a RequestError, and nothing unbounded is read into memory."""

import io

import pytest

from nova_wsgi.errors import BadRequest, BodyTooLarge, ClientDisconnected
from nova_wsgi.request import Request


def request(body=b"", *, length=None, chunked=False, content_type="", **environ):
    """A POST request with a body; ``length`` overrules its Content-Length."""
    base = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_TYPE": content_type,
    }
    if chunked:
        base["wsgi.input_terminated"] = True
    else:
        base["CONTENT_LENGTH"] = str(len(body) if length is None else length)
    return Request({**base, **environ})


def test_the_raw_path_is_what_the_client_sent():
    assert request(PATH_INFO="/a/b", RAW_PATH_INFO="/a%2Fb").raw_path == "/a%2Fb"


def test_under_a_foreign_server_the_raw_path_is_encoded_again():
    assert request(SCRIPT_NAME="/app", PATH_INFO="/\xc3\xa4 b").raw_path == "/app/%C3%A4%20b"


def test_the_path_is_decoded_as_utf_8():
    assert request(PATH_INFO="/\xc3\xa4").path_info == "/ä"


def test_a_path_that_is_not_utf_8_is_a_bad_request():
    with pytest.raises(BadRequest):
        _ = request(PATH_INFO="/\xff").path_info
    with pytest.raises(BadRequest):
        _ = request(PATH_INFO="/\xff").path_url


def test_a_query_that_is_not_utf_8_is_a_bad_request():
    assert request(QUERY_STRING="a=%C3%A4").GET["a"] == "ä"
    with pytest.raises(BadRequest):
        _ = request(QUERY_STRING="a=%FF").GET


def test_ids_variables_and_the_stream_come_from_the_environ():
    req = request(b"abc", **{"nova.request_id": "R1", "wsgiorg.routing_args": ((), {"name": "x"})})
    assert req.request_id == "R1"
    assert req.variables == {"name": "x"}
    assert req.stream.read() == b"abc"
    assert request().request_id == ""
    assert request().variables == {}


def test_the_clients_address_is_never_taken_from_a_header():
    assert request(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="6.6.6.6").client_addr == "10.0.0.1"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_read_whole_and_again(chunked):
    req = request(b"0123456789", chunked=chunked)
    assert req.body == b"0123456789"
    assert req.body == b"0123456789"
    assert req.read_body(10) == b"0123456789"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_above_the_limit_is_refused(chunked):
    req = request(b"0123456789", chunked=chunked)
    req.body_size_max = 9
    with pytest.raises(BodyTooLarge):
        _ = req.body


def test_a_body_that_says_it_is_too_large_is_refused_unread():
    req = request(b"0123456789", length=2**40)
    with pytest.raises(BodyTooLarge):
        _ = req.text
    assert req.stream.tell() == 0


def test_never_more_than_the_declared_length_is_asked_of_the_server():
    req = request(b"0123456789next request", length=10)
    assert req.body == b"0123456789"


def test_a_body_that_ends_early_is_a_disconnect():
    with pytest.raises(ClientDisconnected):
        _ = request(b"01234", length=10).body


def test_no_length_and_no_end_marker_means_no_body():
    req = request(b"garbage of the next request", chunked=True)
    del req.environ["wsgi.input_terminated"]
    assert req.body == b""


def test_a_json_body_is_parsed_and_anything_else_is_a_bad_request():
    assert request(b'{"a": [1]}').json == {"a": [1]}
    for body in (b"", b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(BadRequest):
            _ = request(body).json_body


def test_text_in_its_declared_charset():
    assert request("ä".encode(), content_type="text/plain").text == "ä"
    assert request(b"\xe4", content_type="text/plain; charset=latin-1").text == "ä"
    with pytest.raises(BadRequest):
        _ = request(b"\xe4", content_type="text/plain").text
    with pytest.raises(BadRequest):
        _ = request(b"a", content_type="text/plain; charset=klingon").text


def test_forms_are_parsed_bounded_and_checked():
    form = "application/x-www-form-urlencoded"
    assert request(b"a=1&b=%C3%A4", content_type=form).POST["b"] == "ä"
    multipart = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n'
    assert request(multipart, content_type="multipart/form-data; boundary=x").POST["a"] == "1"
    too_large = request(b"a=" + b"1" * 100, content_type=form)
    too_large.body_size_max = 50
    with pytest.raises(BodyTooLarge):
        _ = too_large.POST
    with pytest.raises(BadRequest):
        _ = request(b"x", content_type="multipart/form-data").POST
    with pytest.raises(BadRequest):
        _ = request(b"a=1", content_type=f"{form}; charset=utf-16").POST
