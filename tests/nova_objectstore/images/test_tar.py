"""One file out of a tar: what tars of the world hold, and what hostile ones do."""

import contextlib
import io
import subprocess
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tars import END, entry, gnu_sparse, header, padded, python_tar, record

from nova_objectstore.images.errors import InvalidBundle
from nova_objectstore.images.limits import TAR_SPARSE_ENTRIES_MAX
from nova_objectstore.images.tar import TarReader
from nova_objectstore.limits import GiB, MiB


def read(archive: bytes, *, step: int = 10_000, size_max: int = 10 * MiB) -> tuple[str, bytes]:
    """Name and content of the archive's file, the archive fed in steps."""
    output = io.BytesIO()
    reader = TarReader(output.write, size_max=size_max)
    for position in range(0, len(archive), step):
        reader.feed(archive[position : position + step])
    file = reader.finish()
    assert file.size == len(output.getvalue())
    return file.name, output.getvalue()


def refusal(archive: bytes, **settings: int) -> str:
    with pytest.raises(InvalidBundle) as caught:
        read(archive, **settings)
    return caught.value.message


# -- what tars hold ----------------------------------------------------------------------------------------------------


@given(
    st.binary(max_size=3000),
    st.integers(1, 1500),
    st.sampled_from((tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)),
)
def test_every_format_in_steps_of_any_size(data, step, form):
    assert read(python_tar(data, form=form), step=step) == ("disk.img", data)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names(form):
    name = "d/" * 90 + "ü.img"
    assert read(python_tar(b"data", name=name, form=form)) == (name, b"data")


def test_a_prefix_and_a_leading_dot():
    assert read(entry(b"x", tail=bytes(80) + b"images/lucid") + END)[0] == "images/lucid/disk.img"
    assert read(entry(b"x", name=b"./disk.img") + END)[0] == "./disk.img"


def test_a_tar_without_its_end():
    assert read(entry(b"x" * 512))[1] == b"x" * 512


def test_sizes_in_base_256():
    size = b"\x80" + (3).to_bytes(11, "big")
    assert read(header(size=size) + padded(b"abc") + END)[1] == b"abc"


def test_old_types_and_a_pax_size():
    assert read(entry(b"x", kind=b"\0") + END)[1] == b"x"
    assert read(entry(b"x", kind=b"7") + END)[1] == b"x"
    assert read(entry(record(b"size", b"5"), kind=b"x") + header(size=0) + padded(b"01234") + END)[1] == b"01234"
    assert read(entry(record(b"comment", b"all"), kind=b"g") + entry(b"x") + END)[1] == b"x"


# -- sparse files ------------------------------------------------------------------------------------------------------

runs = st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=600)), max_size=40)


@given(runs, st.integers(0, 3000), st.integers(1, 2000))
def test_holes_are_zeros(gaps, tail, step):
    content, extents = bytearray(), []
    for gap, data in gaps:
        content += bytes(gap)
        extents.append((len(content), data))
        content += data
    content += bytes(tail)
    archive = gnu_sparse([*extents, (len(content), b"")], len(content)) + END
    assert read(archive, step=step)[1] == bytes(content)


@pytest.mark.parametrize("form", ["gnu", "posix", "oldgnu"])
def test_sparse_files_of_gnu_tar(tmp_path, form):
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        for number in range(60):
            file.seek(number * 200_000)
            file.write(b"data %d" % number)
        file.truncate(12_500_000)
    done = subprocess.run(
        ["tar", "-c", "-S", f"--format={form}", "-C", str(tmp_path), "disk.img"], capture_output=True, check=True
    )
    assert len(done.stdout) < 2_000_000, "tar found the holes"
    name, data = read(done.stdout, step=1000, size_max=20 * MiB)
    assert data == path.read_bytes()
    assert name == "disk.img"


def test_a_file_of_one_hole():
    assert read(gnu_sparse([(5000, b"")], 5000) + END)[1] == bytes(5000)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (b"1", "hard link"),
        (b"2", "symbolic link"),
        (b"3", "device"),
        (b"4", "device"),
        (b"5", "directory"),
        (b"6", "named pipe"),
        (b"K", "link"),
        (b"V", "unknown kind"),
        (b"M", "unknown kind"),
        (b"\xff", "unknown kind"),
    ],
)
def test_only_regular_files(kind, what):
    assert what in refusal(entry(b"", kind=kind) + END)
    assert "more than one" in refusal(entry(b"x") + entry(b"", kind=kind) + END)


@pytest.mark.parametrize("name", [b"/etc/passwd", b"../disk.img", b"a/../../b", b"..", b"a/.."])
def test_names_that_leave_the_directory(name):
    assert "leaves its directory" in refusal(entry(b"x", name=name) + END)
    long_name = entry(name + b"\0", kind=b"L", name=b"././@LongLink")
    assert "leaves its directory" in refusal(long_name + entry(b"x") + END)
    assert "leaves its directory" in refusal(entry(record(b"path", name), kind=b"x") + entry(b"x") + END)


def test_no_name_and_directories_of_version_7():
    assert "no name" in refusal(entry(b"x", name=b"") + END)
    assert "directory" in refusal(entry(b"", name=b"dir/", kind=b"\0") + END)


@pytest.mark.parametrize("archive", [b"", END, END + entry(b"x"), entry(record(b"a", b"b"), kind=b"x")])
def test_no_file(archive):
    with pytest.raises(InvalidBundle):
        read(archive)


def test_something_behind_the_end():
    assert "behind its end" in refusal(entry(b"x") + END + entry(b"y"))
    assert "within a block" in refusal(entry(b"x") + END + b"y")


@pytest.mark.parametrize("count", [1, 511, 512, 513, 900, 1023])
def test_truncated(count):
    with pytest.raises(InvalidBundle):
        read(entry(b"x" * 600)[:count])


@pytest.mark.parametrize(
    "field", [b"99999999999\0", b"-0000000001\0", b"+0000000001\0", b"1_0\0", b"\xff" * 12, b"0x10\0", b"\xb2\0"]
)
def test_sizes_that_are_none(field):
    with pytest.raises(InvalidBundle):
        read(header(size=field) + END)


def test_a_size_beyond_the_limit():
    assert "larger than" in refusal(header(size=11 * MiB) + END)
    assert "larger than" in refusal(header(size=b"\x80" + (2**80).to_bytes(11, "big")) + END)
    assert "larger than" in refusal(entry(record(b"size", b"9" * 20), kind=b"x") + header(size=0) + END)
    assert "number that is none" in refusal(entry(record(b"size", b"9" * 21), kind=b"x") + header(size=0) + END)


def test_a_damaged_header():
    block = bytearray(entry(b"x"))
    block[0] ^= 1
    assert "damaged" in refusal(bytes(block) + END)
    assert "not in a tar" in refusal(b"\x7fELF" + bytes(2000))


def test_headers_are_counted_and_bounded():
    assert "too many headers" in refusal(entry(record(b"a", b"b"), kind=b"g") * 17 + entry(b"x") + END)
    assert "unreasonable" in refusal(header(size=10 * GiB, kind=b"x") + END)
    assert "unreasonable" in refusal(header(size=70_000, kind=b"L") + END)
    assert "unreasonable" in refusal(header(size=0, kind=b"x") + END)


@pytest.mark.parametrize(
    "body", [b"x", b"4 a\n", b"99 a=b\n", b"0 a=b\n", b"6 a=bc", b"6 abcd", b"7 abcd\n", b"-6 a=b\n"]
)
def test_malformed_pax_headers(body):
    with pytest.raises(InvalidBundle):
        read(entry(body, kind=b"x") + entry(b"x") + END)


@pytest.mark.parametrize(
    ("extents", "size", "reason"),
    [
        ([(100, b"aa"), (50, b"bb")], 200, "out of order"),
        ([(0, b"aa"), (1, b"bb")], 200, "out of order"),
        ([(100, b"aa")], 101, "beyond the file"),
        ([(0, b"aa")], 2**40, "larger than"),
        ([(2**32, b"aa")], 200, "beyond the file"),
    ],
)
def test_hostile_sparse_maps(extents, size, reason):
    assert reason in refusal(gnu_sparse(extents, min(size, 8**11 - 1)) + END)


def test_a_sparse_map_that_is_not_its_data():
    archive = bytearray(gnu_sparse([(0, b"a" * 600)], 600))
    fixed = header(size=599, kind=b"S", tail=bytes(archive[265:512]), magic=b"ustar  \0") + bytes(archive[512:])
    assert "not that of its data" in refusal(fixed + END)


def test_a_sparse_file_that_is_described_in_two_ways():
    records = record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", b"0")
    archive = entry(records, kind=b"x") + gnu_sparse([(0, b"a" * 600)], 600) + END
    assert "in two ways" in refusal(archive)


def test_an_endless_sparse_map():
    head = gnu_sparse([(number * 2, b"a") for number in range(5)], 100)[:512]
    more = b"".join(b"%011o\0%011o\0" % (100 + number, 1) for number in range(21)) + b"\1" + bytes(7)
    with pytest.raises(InvalidBundle):
        read(head + more * (TAR_SPARSE_ENTRIES_MAX // 21 + 2))


def pax_sparse(data: bytes, *, minor: bytes = b"0", size: bytes = b"100") -> bytes:
    records = record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.minor", minor)
    records += record(b"GNU.sparse.realsize", size) + record(b"GNU.sparse.name", b"disk.img")
    return entry(records, kind=b"x") + entry(data) + END


def test_pax_sparse_maps():
    assert read(pax_sparse(padded(b"1\n10\n3\n") + b"abc"))[1] == bytes(10) + b"abc" + bytes(87)
    assert read(pax_sparse(padded(b"0\n")))[1] == bytes(100)


@pytest.mark.parametrize(
    "data",
    [
        padded(b"x\n"),
        padded(b"-1\n"),
        padded(b"1\n10\n"),
        padded(b"1" * 100),
        padded(b"999999999\n"),
        padded(b"1\n10\n300\n") + b"abc",
        padded(b"1\n10\n2\n") + b"abc",
        padded(b"\xb2\n"),
    ],
)
def test_malformed_pax_sparse_maps(data):
    with pytest.raises(InvalidBundle):
        read(pax_sparse(data))


def test_other_sparse_versions_are_refused():
    assert "version" in refusal(pax_sparse(b"", minor=b"1"))
    old = entry(record(b"GNU.sparse.map", b"0,3"), kind=b"x")
    assert "version" in refusal(old + entry(b"abc") + END)


@given(st.binary(max_size=1500))
def test_garbage_is_refused_and_nothing_else(garbage):
    with pytest.raises(InvalidBundle):
        read(garbage.ljust(512, b"\1"))


@given(st.data())
def test_a_changed_byte_is_no_crash(data):
    archive = bytearray(gnu_sparse([(0, b"ab"), (600, b"cd"), (1200, b"ef")], 2000) + END)
    for _ in range(data.draw(st.integers(1, 4))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    block = bytearray(archive[:512])
    block[148:156] = b" " * 8
    archive[148:156] = b"%06o\0 " % sum(block)
    with contextlib.suppress(InvalidBundle):
        read(bytes(archive))
