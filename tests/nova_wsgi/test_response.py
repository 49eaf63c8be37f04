"""What an application answers: file bodies, responses, and the house's own error documents."""

import errno
import gzip
import io
import json
import os
import tempfile

import pytest

from nova_wsgi.errors import BodyTooLarge
from nova_wsgi.response import (
    FILE_CHUNK_SIZE,
    FileBody,
    FileSegment,
    Response,
    close_body,
    error_response,
    file_wrapper,
    preferred_type,
    request_error_response,
)


def open_file(tmp_path, content: bytes, name: str = "file") -> int:
    path = tmp_path / name
    path.write_bytes(content)
    return os.open(path, os.O_RDONLY)


def start(response, environ=None):
    """Call a WSGI application; return status line, headers and the body iterable."""
    started = []
    body = response(environ or {"REQUEST_METHOD": "GET"}, lambda status, headers: started.append((status, headers)))
    return (*started[0], body)


# -- file bodies ----------------------------------------------------------------------------------------------------


def test_a_file_body_reads_its_segments_in_order_whatever_the_descriptors_position(tmp_path):
    fd = open_file(tmp_path, b"0123456789")
    os.lseek(fd, 5, os.SEEK_SET)
    body = FileBody([FileSegment(fd, 6, 4), FileSegment(fd, 0, 2)], lambda: os.close(fd))
    assert body.length == 6
    assert b"".join(body) == b"678901"
    assert os.lseek(fd, 0, os.SEEK_CUR) == 5
    body.close()


def test_a_large_file_body_comes_in_chunks(tmp_path):
    content = os.urandom(3 * FILE_CHUNK_SIZE + 1)
    body = FileBody.of_descriptor(open_file(tmp_path, content))
    chunks = list(body)
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) == FILE_CHUNK_SIZE
    body.close()


def test_a_file_body_of_a_descriptor_takes_a_range_and_owns_the_descriptor(tmp_path):
    fd = open_file(tmp_path, b"0123456789")
    body = FileBody.of_descriptor(fd, offset=2, count=3)
    assert b"".join(body) == b"234"
    body.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_file_body_may_mix_files_and_bytes(tmp_path):
    fd = open_file(tmp_path, b"0123456789")
    body = FileBody([b"<", FileSegment(fd, 2, 3), b">"], lambda: os.close(fd))
    assert body.length == 5
    assert b"".join(body) == b"<234>"
    body.close()


def test_a_file_body_of_known_length_opens_its_files_one_by_one(tmp_path):
    opened = []

    def segments():
        for name in ("a", "b"):
            fd = open_file(tmp_path, name.encode() * 3, name)
            opened.append(name)
            yield FileSegment(fd, 0, 3)
            os.close(fd)

    body = FileBody(segments(), length=6)
    assert (body.length, opened) == (6, [])
    chunks = iter(body)
    assert (next(chunks), opened) == (b"aaa", ["a"])
    assert (b"".join(chunks), opened) == (b"bbb", ["a", "b"])


def test_closing_a_file_body_twice_closes_its_files_once():
    closings = []
    body = FileBody([], lambda: closings.append(1))
    body.close()
    body.close()
    assert closings == [1]


def test_a_file_that_is_shorter_than_promised_is_an_error_not_a_short_answer(tmp_path):
    fd = open_file(tmp_path, b"01234")
    body = FileBody([FileSegment(fd, 0, 10)], lambda: os.close(fd))
    with pytest.raises(OSError, match="5 bytes short") as caught:
        list(body)
    assert caught.value.errno == errno.EIO
    body.close()


# -- wsgi.file_wrapper ------------------------------------------------------------------------------------------------


def test_the_file_wrapper_turns_a_regular_file_into_a_file_body_from_its_position(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    file = path.open("rb")
    file.read(4)
    body = file_wrapper(file)
    assert isinstance(body, FileBody)
    assert b"".join(body) == b"456789"
    body.close()
    assert file.closed


def test_the_file_wrapper_takes_the_standard_temporary_files(tmp_path):
    with tempfile.TemporaryFile() as file:
        file.write(b"0123456789")
        file.seek(0)
        body = file_wrapper(file)
        assert b"".join(body) == b"0123456789"


@pytest.mark.parametrize("kind", ["bytes", "gzip", "empty", "pipe"])
def test_the_file_wrapper_reads_everything_else_in_blocks(tmp_path, kind):
    content = b"" if kind == "empty" else b"0123456789"
    if kind == "bytes":
        file = io.BytesIO(content)
    elif kind == "gzip":
        (tmp_path / "file.gz").write_bytes(gzip.compress(content))
        file = gzip.GzipFile(tmp_path / "file.gz")
    elif kind == "empty":
        (tmp_path / "file").touch()
        file = (tmp_path / "file").open("rb")
    else:
        reading, writing = os.pipe()
        os.write(writing, content)
        os.close(writing)
        file = os.fdopen(reading, "rb")
    body = file_wrapper(file, 4)
    assert not isinstance(body, FileBody)
    assert b"".join(body) == content
    body.close()
    assert file.closed


# -- responses ------------------------------------------------------------------------------------------------------


def test_a_response_sends_its_headers_as_given_and_the_length():
    status, headers, body = start(Response(b"abc", headers=[("x-amz-ID", "1"), ("x-amz-ID", "2")]))
    assert status == "200 OK"
    assert headers == [("x-amz-ID", "1"), ("x-amz-ID", "2"), ("Content-Length", "3")]
    assert list(body) == [b"abc"]


def test_a_response_keeps_a_content_length_that_is_set():
    _, headers, _ = start(Response(b"", headers=[("content-length", "12345")]))
    assert headers == [("content-length", "12345")]


def test_a_response_of_unknown_length_says_none():
    _, headers, body = start(Response(iter([b"a", b"b"])))
    assert headers == []
    assert list(body) == [b"a", b"b"]


def test_a_response_may_be_a_file_and_hands_it_over_untouched(tmp_path):
    file_body = FileBody.of_descriptor(open_file(tmp_path, b"0123456789"))
    _, headers, body = start(Response(file_body, content_type="text/plain"))
    assert headers == [("Content-Type", "text/plain"), ("Content-Length", "10")]
    assert body is file_body
    close_body(body)


@pytest.mark.parametrize("status", [204, 205, 304])
def test_a_status_without_content_closes_its_body_and_has_no_length(status):
    closings = []
    response = Response(FileBody([], lambda: closings.append(1)), status=status)
    _, headers, body = start(response)
    assert headers == []
    assert list(body) == []
    assert closings == [1]


def test_changing_the_started_headers_leaves_the_response_alone():
    response = Response.of_text("hello")
    _, headers, _ = start(response)
    headers.clear()
    assert response.headers == [("Content-Type", "text/plain; charset=utf-8")]


def test_headers_are_read_and_set_without_case():
    response = Response(headers=[("ETag", "1"), ("etag", "2")])
    assert response.header("ETAG") == "1"
    response.set_header("eTag", "3")
    assert response.headers == [("eTag", "3")]
    assert response.header("absent") is None


def test_json_and_text_declare_themselves():
    assert Response.of_json({"a": 1}, status=201).status_line == "201 Created"
    assert Response.of_json({"a": 1}).headers == [("Content-Type", "application/json")]
    assert Response.of_text("ä").body == b"\xc3\xa4"


def test_an_unknown_status_still_has_a_status_line():
    assert Response(status=599).status_line == "599 Unknown"


# -- negotiation and error documents --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("application/json", "application/json"),
        ("Application/JSON;q=0.5", "application/json"),
        ("application/json;q=0.1, */*;q=0.9", "text/plain"),
        ("application/*, text/plain;q=0.3", "application/json"),
        ("text/*;q=0, */*", "application/json"),
        ("image/png", "text/plain"),
        ("application/json;q=nonsense, text/plain;q=0.1", "text/plain"),
        (",;,", "text/plain"),
    ],
)
def test_the_media_type_follows_the_accept_header(accept, chosen):
    assert preferred_type(accept, ("text/plain", "application/json")) == chosen


def test_an_error_is_text_with_the_hint_and_the_request_id():
    response = error_response({"nova.request_id": "ABC123"}, 404, "no such thing", headers=[("X-A", "1")])
    assert response.body == b"404 Not Found\nno such thing\nRequest id: ABC123\n"
    assert response.header("x-a") == "1"


def test_an_error_is_json_for_who_prefers_it():
    error = BodyTooLarge("at most 10 bytes")
    response = request_error_response({"HTTP_ACCEPT": "application/json", "nova.request_id": "ABC123"}, error)
    assert response.status == 413
    assert json.loads(response.body) == {
        "error": {
            "status": 413,
            "reason": "Content Too Large",
            "hint": "at most 10 bytes",
            "request_id": "ABC123",
        }
    }
