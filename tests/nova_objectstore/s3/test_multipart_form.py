"""multipart/form-data read as it arrives: forms as browsers make them, and what no browser would send."""

import io
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_objectstore.errors import StoreError
from nova_objectstore.limits import FORM_BYTES_MAX
from nova_objectstore.s3.faults import FormTooLarge, MalformedPostRequest
from nova_objectstore.s3.multipart_form import FormReader, parse_head, parse_parameters, read_boundary

BOUNDARY = b"----WebKitFormBoundary7MA4YWxk"
DELIMITER = b"\r\n--" + BOUNDARY


class Trickle:
    """An input that answers no more than ``step`` bytes at once."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data = io.BytesIO(data)
        self._step = step
        self.taken = 0

    def read(self, size: int, /) -> bytes:
        piece = self._data.read(min(size, self._step))
        self.taken += len(piece)
        return piece


def part(name: str, value: bytes, extra: str = "") -> bytes:
    return f'Content-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value


def encode(*parts: bytes, end: bytes = b"--\r\n") -> bytes:
    """A whole body of these parts, heads and all."""
    return b"".join(DELIMITER + b"\r\n" + one for one in parts)[2:] + DELIMITER + end


def read_all(body: bytes, *, step: int = 1 << 20, size: int = 65536) -> tuple[list[tuple[str, bytes]], bytes | None]:
    """The fields before the file, and the file; None without one."""
    reader = FormReader(Trickle(body, step), BOUNDARY)
    fields = []
    while (found := reader.next_field("file")) is not None:
        head, value = found
        if head.name.lower() == "file":
            pieces = []
            while piece := reader.read(size):
                assert len(piece) <= size
                pieces.append(piece)
            assert reader.read(size) == b""
            return fields, b"".join(pieces)
        fields.append((head.name, value))
    return fields, None


FILE = part("file", b"bar", '; filename="a.txt"\r\nContent-Type: text/plain')


def test_fields_and_the_file() -> None:
    body = encode(part("key", b"a/b"), part("Content-Type", b"text/plain"), FILE)
    assert read_all(body) == ([("key", b"a/b"), ("Content-Type", b"text/plain")], b"bar")


@pytest.mark.parametrize("step", [1, 2, 3, 7, 31])
def test_it_does_not_matter_how_the_bytes_arrive(step: int) -> None:
    body = encode(part("key", b""), part("x", b"\r\n--"), part("file", b"\r\n--" + BOUNDARY[:-1] + b"\r\n\r\n"))
    told = ([("key", b""), ("x", b"\r\n--")], b"\r\n--" + BOUNDARY[:-1] + b"\r\n\r\n")
    assert read_all(body, step=step, size=5) == told


def test_an_empty_file_and_none() -> None:
    assert read_all(encode(part("key", b"k"), part("FILE", b""))) == ([("key", b"k")], b"")
    assert read_all(encode(part("key", b"k"))) == ([("key", b"k")], None)


def test_what_is_behind_the_file_is_ignored_and_must_be_well_formed() -> None:
    body = encode(FILE, part("key", b"late"), part("file", b"second"))
    assert read_all(body) == ([], b"bar")
    with pytest.raises(MalformedPostRequest):
        read_all(encode(FILE, b"no head\r\n\r\nx"))
    with pytest.raises(FormTooLarge):
        read_all(encode(FILE, part("late", b"x" * FORM_BYTES_MAX)))
    with pytest.raises(FormTooLarge):
        read_all(encode(FILE, end=b"--\r\n" + b"x" * FORM_BYTES_MAX))


def test_a_nested_form_is_a_file_like_others() -> None:
    inner = b"--inner\r\n" + part("file", b"x") + b"\r\n--inner--\r\n"
    nested = part("file", inner, "\r\nContent-Type: multipart/mixed; boundary=inner")
    assert read_all(encode(nested)) == ([], inner)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--",
        b"--" + BOUNDARY,
        b"--" + BOUNDARY + b"--x"[:-2],
        b"preamble\r\n" + encode(FILE),
        b"--other\r\n" + FILE + b"\r\n--other--",
        encode(FILE, end=b""),  # the closing delimiter was cut off
        encode(FILE, end=b"-"),
        encode(FILE, end=b"x"),  # a longer boundary is another
        encode(FILE, end=b" \r\n"),
        encode(b"no colon\r\n\r\nx", FILE),
        encode(b"\r\nx", FILE),  # no head at all
        encode(b"Content-Disposition: attachment; name=x\r\n\r\nx", FILE),
        encode(b"Content-Disposition: form-data\r\n\r\nx", FILE),
        encode(b'Content-Disposition: form-data; name=""\r\n\r\nx', FILE),
        encode(b'Content-Disposition: form-data; name="x\r\n\r\nx', FILE),
        encode(b'Content-Disposition: form-data; name="x"y\r\n\r\nx', FILE),
        encode(b'Content-Disposition: form-data; name="x"; name="y"\r\n\r\nx', FILE),
        encode(b'Content-Disposition: form-data; name="\xff"\r\n\r\nx', FILE),
        encode(part("x", b"x", "\r\nContent-Disposition: form-data; name=y"), FILE),
        encode(part("x", b"x", "\r\nContent-Transfer-Encoding: base64"), FILE),
        encode(part("x", b"x", "\r\n folded: line"), FILE),
        encode(part("x", b"x", "\r\nbare: \n line"), FILE),
    ],
)
def test_what_no_browser_sends_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedPostRequest):
        read_all(body)


def test_the_fields_are_bounded_in_memory_and_the_file_is_not() -> None:
    with pytest.raises(FormTooLarge):
        read_all(encode(part("x", b"x" * FORM_BYTES_MAX), FILE))
    with pytest.raises(FormTooLarge):
        read_all(encode(*[part(f"x{number}", b"x" * 50) for number in range(400)], FILE))
    endless = Trickle(encode(part("x", b"x" * 10_000_000)), 1 << 20)
    with pytest.raises(FormTooLarge):
        FormReader(endless, BOUNDARY).next_field("file")
    assert endless.taken < 2 * FORM_BYTES_MAX
    large = b"\r\n-" * 1_000_000
    assert read_all(encode(part("file", large))) == ([], large)


class Endless:
    """An input that makes its bytes as they are asked for: a head, ``size`` bytes, an end."""

    def __init__(self, head: bytes, size: int, end: bytes) -> None:
        self._head, self._left, self._end = head, size, end

    def read(self, size: int, /) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
        elif self._left:
            piece = b"\r" * min(size, self._left)
            self._left -= len(piece)
        else:
            piece, self._end = self._end[:size], self._end[size:]
        return piece


def test_a_large_file_takes_no_more_memory_than_a_small_one() -> None:
    head, size = encode(part("file", b""), end=b"")[: -len(DELIMITER)], 64 * 1024 * 1024
    reader = FormReader(Endless(head, size, DELIMITER + b"--\r\n"), BOUNDARY)
    assert reader.next_field("file") is not None
    tracemalloc.start()
    try:
        total = 0
        while piece := reader.read(128 * 1024):
            total += len(piece)
        assert total == size
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_an_error_stays_one() -> None:
    reader = FormReader(Trickle(encode(part("file", b"bar"), end=b""), 100), BOUNDARY)
    assert reader.next_field("file") is not None
    assert reader.read(100) == b"bar"
    for _ in range(2):
        with pytest.raises(MalformedPostRequest):
            reader.read(100)


def test_names_of_files() -> None:
    def name(text: str) -> str | None:
        return parse_head(f'Content-Disposition: form-data; name="file"; {text}'.encode()).filename

    assert name('filename="C:\\dir\\a.txt"') == "C:\\dir\\a.txt"
    assert name('filename="a\\"b\\\\c"') == 'a"b\\c'
    assert name('filename="a%22b;c=d"') == 'a"b;c=d'
    assert name('filename="größe"') == "größe"
    assert name("filename=plain.txt") == "plain.txt"
    assert name("filename*=UTF-8''gr%C3%B6%C3%9Fe") == "größe"
    assert name("x=y") is None
    with pytest.raises(MalformedPostRequest):
        name("filename*=latin-1''x")


def test_boundaries() -> None:
    assert read_boundary("multipart/form-data; boundary=abc") == b"abc"
    assert read_boundary('Multipart/Form-Data; charset=utf-8; Boundary="a b:c"') == b"a b:c"
    assert read_boundary("application/x-www-form-urlencoded") is None
    assert read_boundary("") is None
    for bad in ("", "; boundary=", "; boundary=" + "x" * 71, '; boundary="x "', "; boundary=a\x00b", '; boundary="x'):
        with pytest.raises(MalformedPostRequest):
            read_boundary("multipart/form-data" + bad)


# -- properties ----------------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters='"\\%'), min_size=1)
NOT_FILE = NAMES.filter(lambda name: name.lower() != "file")
# Bytes that look like delimiters as often as not.
BYTES = st.lists(
    st.one_of(st.binary(max_size=8), st.sampled_from([b"\r\n", b"--", DELIMITER[:-1], BOUNDARY, b"\r", b"-"])), max_size=12
).map(b"".join).filter(lambda data: DELIMITER not in data + b"\r")  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(NOT_FILE, BYTES), max_size=5),
    BYTES,
    st.integers(min_value=1, max_value=40),
    st.integers(min_value=1, max_value=40),
)
def test_what_is_encoded_is_read(fields: list[tuple[str, bytes]], file: bytes, step: int, size: int) -> None:
    body = encode(*[part(name, value) for name, value in fields], part("file", file))
    assert read_all(body, step=step, size=size) == (fields, file)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_form_that_was_cut_off_is_never_a_whole_one(data: st.DataObject) -> None:
    body = encode(part("key", b"k"), FILE, end=b"--")
    cut = data.draw(st.integers(min_value=0, max_value=len(body) - 1))
    with pytest.raises(MalformedPostRequest):
        read_all(body[:cut], step=data.draw(st.integers(min_value=1, max_value=50)))


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_damaged_form_is_refused_or_read_and_nothing_else(data: st.DataObject) -> None:
    body = bytearray(encode(part("key", b"k"), part("x", b"y" * 20), FILE))
    for _ in range(data.draw(st.integers(min_value=1, max_value=4))):
        at = data.draw(st.integers(min_value=0, max_value=len(body) - 1))
        how = data.draw(st.sampled_from(["set", "cut", "insert"]))
        if how == "set":
            body[at] = data.draw(st.integers(min_value=0, max_value=255))
        elif how == "cut" and len(body) > 1:
            del body[at]
        else:
            body[at:at] = data.draw(st.sampled_from([b"\r\n", b'"', b"--", b";", b"\\", b"\xff", DELIMITER]))
    try:
        fields, file = read_all(bytes(body))
    except StoreError:
        return
    assert sum(len(value) for _, value in fields) + len(file or b"") <= len(body)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60))
def test_parameters_are_read_or_refused(text: str) -> None:
    try:
        parse_parameters(text)
    except MalformedPostRequest:
        return
