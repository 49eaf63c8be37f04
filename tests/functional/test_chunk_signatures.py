"""Bodies in chunks that somebody has tampered with on their way: AWS's answer, and nothing is stored, of object or part.

AWS: "Signature calculations for the Authorization header: Transferring payload in multiple chunks", and its page with
trailing headers. What the decoder does with bytes in every kind of pieces: tests/nova_objectstore/s3/auth/test_chunked.py.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import pytest
from support.raw_store import connect
from support.signed_world import ADMINISTRATOR, BUCKET, World, running_world, send
from support.signers import Chunk, Message, Seal, Signing, sign_chunks, sign_trailers, sign_v4

from nova_objectstore.limits import KiB

PIECES = (b"a" * 64 * KiB, b"b" * 64 * KiB, b"c" * 8 * KiB, b"d" * 100)
DATA = b"".join(PIECES)
SIGNED, WITH_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_CHUNKS, PLAIN = "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD"
CHECKSUM = {"x-amz-checksum-crc32": base64.b64encode(zlib.crc32(DATA).to_bytes(4, "big")).decode()}
OTHER_CHECKSUM = {"x-amz-checksum-crc32": "AAAAAA=="}

MISMATCH, INCOMPLETE = (403, "SignatureDoesNotMatch"), (400, "IncompleteBody")
TRAILER, DIGEST, TAKEN = (400, "MalformedTrailerError"), (400, "BadDigest"), (200, "")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("state")) as made:
        s3 = made.store.client()
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
        s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"a part")
        made.targets = {"object": f"/{BUCKET}/kept", "part": f"/{BUCKET}/parts?partNumber=1&uploadId={upload}"}
        made.looks += (f"/{BUCKET}/parts?uploadId={upload}",)
        made.put_back()
        yield made


class Upload(NamedTuple):
    """An upload that is signed as it should be; ``size`` is the decoded length that it claims."""

    payload: str = SIGNED
    size: int = len(DATA)
    trailers: Mapping[str, str] = {}
    signing: Signing = ADMINISTRATOR

    def sign(self, target: str) -> tuple[Message, Seal]:
        path, _, query = target.partition("?")
        headers = [("Host", "store.test"), ("Content-Encoding", "aws-chunked")]
        message = Message("PUT", path, query.split("&") if query else [], headers)
        message.set("x-amz-decoded-content-length", str(self.size))
        if self.trailers:
            message.set("x-amz-trailer", ",".join(self.trailers))
        return message, sign_v4(message, self.signing._replace(payload=self.payload))


Body = Callable[[Seal], bytes]
Change = Callable[[list[Chunk], Seal], Sequence[Chunk]]


def other_seal(seal: Seal) -> Seal:
    """The seal of another request by the same key at the same time."""
    return seal._replace(signature=hashlib.sha256(b"another").hexdigest())


def chunks(change: Change) -> Body:
    """Signed chunks, changed."""

    def make(seal: Seal) -> bytes:
        made = change(sign_chunks(seal, PIECES), seal)
        return b"".join(chunk.render() for chunk in made) + b"\r\n"

    return make


def at(place: int, **changes: object) -> Change:
    """One chunk changed in its place."""
    return lambda made, _: [chunk.having(**changes) if chunk is made[place] else chunk for chunk in made]


def unsigned_chunks(seal: Seal) -> list[Chunk]:
    return [chunk.having(signature="") for chunk in sign_chunks(seal, PIECES)]


def flip(text: str) -> str:
    return ("0" if text[0] != "0" else "1") + text[1:]


def cut_in_two(made: list[Chunk], seal: Seal) -> list[Chunk]:
    """A chunk as two, the second under a signature that was never made for it."""
    first, *rest = made
    half = len(first.data) // 2
    parts = [
        first.having(data=first.data[:half], size=f"{half:x}"),
        first.having(data=first.data[half:], size=f"{half:x}"),
    ]
    return [*parts, *rest]


def put_together(made: list[Chunk], seal: Seal) -> list[Chunk]:
    """Two chunks as one."""
    first, second, *rest = made
    data = first.data + second.data
    return [second.having(data=data, size=f"{len(data):x}"), *rest]


def by_other_secret(made: list[Chunk], seal: Seal) -> list[Chunk]:
    return sign_chunks(seal._replace(key=b"k" * 32), PIECES)


def of_another_day(made: list[Chunk], seal: Seal) -> list[Chunk]:
    return sign_chunks(seal._replace(timestamp="20130524T000000Z"), PIECES)


def with_trailers(
    sent: Mapping[str, str] = CHECKSUM,
    *,
    signed: Mapping[str, str] = CHECKSUM,
    signature: Callable[[str], str] = str,
    previous: int = -1,
) -> Body:
    """Signed chunks, then trailers; their signature is over ``signed``, ``signature`` may change it."""

    def make(seal: Seal) -> bytes:
        made = sign_chunks(seal, PIECES)
        lines = [*sent.items()]
        right = signature(sign_trailers(seal, signed, made[previous].signature))
        if right:
            lines.append(("x-amz-trailer-signature", right))
        return _close(made, lines)

    return make


def _close(made: Sequence[Chunk], lines: Sequence[tuple[str, str]]) -> bytes:
    return b"".join(chunk.render() for chunk in made) + b"".join(f"{n}:{v}\r\n".encode() for n, v in lines) + b"\r\n"


def unsigned(lines: Sequence[tuple[str, str]] = tuple(CHECKSUM.items()), change: Change = lambda made, _: made) -> Body:
    """Chunks without signatures, and trailers."""
    return lambda seal: _close(change(unsigned_chunks(seal), seal), lines)


IN_SIGNED, IN_TRAILER, IN_UNSIGNED = (
    Upload(),
    Upload(WITH_TRAILER, trailers=CHECKSUM),
    Upload(UNSIGNED_CHUNKS, trailers=CHECKSUM),
)
LAST = "0;chunk-signature="

ROWS: list[tuple[str, Upload, Body, tuple[int, str]]] = [
    # -- signed chunks
    ("nothing", IN_SIGNED, chunks(lambda made, _: made), TAKEN),
    ("a size in upper case with zeros before it", IN_SIGNED, chunks(at(2, size="0002000")), TAKEN),
    ("swapped", IN_SIGNED, chunks(lambda made, _: [made[1], made[0], *made[2:]]), MISMATCH),
    ("their data swapped", IN_SIGNED, chunks(
        lambda made, _: [made[0].having(data=made[1].data), made[1].having(data=made[0].data), *made[2:]]), MISMATCH),
    ("their signatures swapped", IN_SIGNED, chunks(
        lambda made, _: [made[0].having(signature=made[1].signature), made[1].having(signature=made[0].signature), *made[2:]]),
        MISMATCH),
    ("reversed", IN_SIGNED, chunks(lambda made, _: [*made[2::-1], *made[3:]]), MISMATCH),
    ("the first dropped", IN_SIGNED, chunks(lambda made, _: made[1:]), MISMATCH),
    ("one dropped in the middle", IN_SIGNED, chunks(lambda made, _: [made[0], *made[2:]]), MISMATCH),
    ("the last data dropped", IN_SIGNED, chunks(lambda made, _: [*made[:3], made[4]]), INCOMPLETE),
    ("all data dropped", IN_SIGNED, chunks(lambda made, _: made[4:]), INCOMPLETE),
    ("the empty one dropped", IN_SIGNED, chunks(lambda made, _: made[:4]), INCOMPLETE),
    ("the first doubled", IN_SIGNED, chunks(lambda made, _: [made[0], *made]), MISMATCH),
    ("one doubled in the middle", IN_SIGNED, chunks(lambda made, _: [*made[:2], *made[1:]]), INCOMPLETE),
    ("the last data doubled", IN_SIGNED, chunks(lambda made, _: [*made[:4], made[3], made[4]]), INCOMPLETE),
    ("the empty one doubled", IN_SIGNED, chunks(lambda made, _: [*made, made[4]]), TRAILER),
    ("one in place of another", IN_SIGNED, chunks(lambda made, _: [made[0], made[0], *made[2:]]), MISMATCH),
    ("one added", IN_SIGNED, chunks(lambda made, _: [*made[:4], Chunk(b"more", made[3].signature, "4"), made[4]]), INCOMPLETE),
    ("a byte changed at the beginning", IN_SIGNED, chunks(at(0, data=b"x" + PIECES[0][1:])), MISMATCH),
    ("a byte changed at the end", IN_SIGNED, chunks(at(3, data=PIECES[3][:-1] + b"x")), MISMATCH),
    ("a signature changed at the beginning", IN_SIGNED, chunks(
        lambda made, _: [made[0].having(signature=flip(made[0].signature)), *made[1:]]), MISMATCH),
    ("a signature changed in the middle", IN_SIGNED, chunks(
        lambda made, _: [*made[:2], made[2].having(signature=flip(made[2].signature)), *made[3:]]), MISMATCH),
    ("the signature of the empty one changed", IN_SIGNED, chunks(
        lambda made, _: [*made[:4], made[4].having(signature=flip(made[4].signature))]), MISMATCH),
    ("the empty one's signature that of the data before", IN_SIGNED, chunks(
        lambda made, _: [*made[:4], made[4].having(signature=made[3].signature)]), MISMATCH),
    ("a signature in upper case", IN_SIGNED, chunks(
        lambda made, _: [made[0].having(signature=made[0].signature.upper()), *made[1:]]), INCOMPLETE),
    ("a signature cut short", IN_SIGNED, chunks(
        lambda made, _: [made[0].having(signature=made[0].signature[:63]), *made[1:]]), INCOMPLETE),
    ("a signature with something behind", IN_SIGNED, chunks(
        lambda made, _: [made[0].having(signature=made[0].signature + ";x=y"), *made[1:]]), INCOMPLETE),
    ("one without a signature", IN_SIGNED, chunks(at(1, signature="")), INCOMPLETE),
    ("the empty one without a signature", IN_SIGNED, chunks(at(4, signature="")), INCOMPLETE),
    ("none with a signature", IN_SIGNED, chunks(lambda made, seal: unsigned_chunks(seal)), INCOMPLETE),
    ("of another request", IN_SIGNED, chunks(lambda made, seal: sign_chunks(other_seal(seal), PIECES)), MISMATCH),
    ("from the second on of another request", IN_SIGNED, chunks(
        lambda made, seal: [made[0], *sign_chunks(other_seal(seal), PIECES)[1:]]), MISMATCH),
    ("from the seed once more", IN_SIGNED, chunks(
        lambda made, seal: [made[0], *sign_chunks(seal, PIECES[1:])]), MISMATCH),
    ("from a seed of zeros", IN_SIGNED, chunks(lambda made, seal: sign_chunks(seal, PIECES, previous="0" * 64)), MISMATCH),
    ("by another secret", IN_SIGNED, chunks(by_other_secret), MISMATCH),
    ("of another day", IN_SIGNED, chunks(of_another_day), MISMATCH),
    ("of another region", IN_SIGNED, chunks(
        lambda made, seal: sign_chunks(seal._replace(scope=seal.scope.replace("us-east-1", "eu-west-1")), PIECES)), MISMATCH),
    ("a size too large by one", IN_SIGNED, chunks(at(0, size="10001")), INCOMPLETE),
    ("a size too small by one", IN_SIGNED, chunks(at(0, size="ffff")), INCOMPLETE),
    ("a size of nothing", IN_SIGNED, chunks(at(0, size="0")), INCOMPLETE),
    ("a size beyond what was stated", IN_SIGNED, chunks(at(0, size="7fffffffffffffff")), INCOMPLETE),
    ("a size of 17 digits", IN_SIGNED, chunks(at(0, size="00000000000010000")), INCOMPLETE),
    ("a size with a sign", IN_SIGNED, chunks(at(0, size="+10000")), INCOMPLETE),
    ("a size with 0x", IN_SIGNED, chunks(at(0, size="0x10000")), INCOMPLETE),
    ("cut in two", IN_SIGNED, chunks(cut_in_two), MISMATCH),
    ("put together", IN_SIGNED, chunks(put_together), MISMATCH),
    ("a small one before the last", IN_SIGNED, lambda seal: chunks(
        lambda made, _: sign_chunks(seal, (DATA[:100], DATA[100:])))(seal), (403, "InvalidChunkSizeError")),
    ("no chunks but the data", IN_SIGNED, lambda seal: DATA, INCOMPLETE),
    ("nothing at all", IN_SIGNED, lambda seal: b"", INCOMPLETE),
    ("something behind the end", IN_SIGNED, lambda seal: chunks(lambda made, _: made)(seal) + b"x", INCOMPLETE),
    ("a second body behind the end", IN_SIGNED, lambda seal: chunks(lambda made, _: made)(seal) * 2, INCOMPLETE),
    ("a length stated as one less", Upload(size=len(DATA) - 1), chunks(lambda made, _: made), INCOMPLETE),
    ("a length stated as one more", Upload(size=len(DATA) + 1), chunks(lambda made, _: made), INCOMPLETE),
    ("a length stated as nothing", Upload(size=0), chunks(lambda made, _: made), INCOMPLETE),
    ("signed without chunks, then cut into signed ones", Upload(PLAIN), chunks(lambda made, _: made), INCOMPLETE),
    ("signed for unsigned chunks, then signed ones", IN_UNSIGNED, chunks(lambda made, _: made), INCOMPLETE),
    ("trailers where none were announced", IN_SIGNED, with_trailers(), TRAILER),
    # -- with signed trailers
    ("trailers", IN_TRAILER, with_trailers(), TAKEN),
    ("a trailer changed", IN_TRAILER, with_trailers(OTHER_CHECKSUM), MISMATCH),
    ("a trailer signed that is not the data's", IN_TRAILER, with_trailers(OTHER_CHECKSUM, signed=OTHER_CHECKSUM), DIGEST),
    ("a trailer dropped", IN_TRAILER, with_trailers({}), TRAILER),
    ("trailer and signature dropped", IN_TRAILER, with_trailers({}, signature=lambda _: ""), TRAILER),
    ("the trailers' signature dropped", IN_TRAILER, with_trailers(signature=lambda _: ""), TRAILER),
    ("the trailers' signature changed", IN_TRAILER, with_trailers(signature=flip), MISMATCH),
    ("the trailers' signature in upper case", IN_TRAILER, with_trailers(signature=lambda text: text.upper() + "A"[:0]), TRAILER),
    ("the trailers' signature cut short", IN_TRAILER, with_trailers(signature=lambda text: text[:63]), TRAILER),
    ("the trailers' signature from an earlier chunk on", IN_TRAILER, with_trailers(previous=-2), MISMATCH),
    ("a trailer added", IN_TRAILER, with_trailers(
        {**CHECKSUM, "x-amz-meta-evil": "1"}, signed={**CHECKSUM, "x-amz-meta-evil": "1"}), TRAILER),
    ("another trailer in its place", IN_TRAILER, with_trailers({"x-amz-checksum-crc32c": "AAAAAA=="}), TRAILER),
    ("a trailer's data changed", IN_TRAILER, lambda seal: with_trailers()(seal).replace(b"d" * 100, b"x" * 100), MISMATCH),
    ("chunks of another request before good trailers", IN_TRAILER, lambda seal: with_trailers()(other_seal(seal)), MISMATCH),
    # -- unsigned chunks
    ("unsigned", IN_UNSIGNED, unsigned(), TAKEN),
    ("unsigned: a byte changed", IN_UNSIGNED, unsigned(change=at(0, data=b"x" + PIECES[0][1:])), DIGEST),
    ("unsigned: swapped", IN_UNSIGNED, unsigned(change=lambda made, _: [made[1], made[0], *made[2:]]), DIGEST),
    ("unsigned: the checksum changed", IN_UNSIGNED, unsigned(tuple(OTHER_CHECKSUM.items())), DIGEST),
    ("unsigned: the checksum dropped", IN_UNSIGNED, unsigned(()), TRAILER),
    ("unsigned: the checksum given twice", IN_UNSIGNED, unsigned((*CHECKSUM.items(), *CHECKSUM.items())), TRAILER),
    ("unsigned: another trailer", IN_UNSIGNED, unsigned((("x-amz-meta-evil", "1"), *CHECKSUM.items())), TRAILER),
    ("unsigned: one signed", IN_UNSIGNED, unsigned(change=at(0, signature="0" * 64)), INCOMPLETE),
    ("unsigned: one dropped", IN_UNSIGNED, unsigned(change=lambda made, _: [made[0], *made[2:]]), INCOMPLETE),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["object", "part"])
@pytest.mark.parametrize(("upload", "body", "expected"), [pytest.param(*row, id=name) for name, *row in ROWS])
def test_a_body_that_was_tampered_with(
    world: World, kind: str, upload: Upload, body: Body, expected: tuple[int, str]
) -> None:
    message, seal = upload.sign(world.targets[kind])
    message.body = body(seal)
    with connect(world.store) as wire:
        status, code, told = send(wire, message)
    assert (status, code) == expected, told
    if status == 200:
        world.put_back()
    assert world.look() == world.before


HEADERS = [
    ("the decoded length", IN_SIGNED, lambda message: message.set("x-amz-decoded-content-length", "100")),
    ("signed chunks become unsigned ones", IN_SIGNED, lambda message: message.set("x-amz-content-sha256", UNSIGNED_CHUNKS)),
    ("signed chunks become a plain body", IN_SIGNED, lambda message: message.set("x-amz-content-sha256", PLAIN)),
    ("signed chunks get trailers", IN_SIGNED, lambda message: message.set("x-amz-content-sha256", WITH_TRAILER)),
    ("signed trailers are given up", IN_TRAILER, lambda message: message.set("x-amz-content-sha256", SIGNED)),
    ("unsigned chunks become a plain body", IN_UNSIGNED, lambda message: message.set("x-amz-content-sha256", PLAIN)),
    ("a plain body becomes unsigned chunks", Upload(PLAIN), lambda message: message.set("x-amz-content-sha256", UNSIGNED_CHUNKS)),
    ("the names of trailers", IN_TRAILER, lambda message: message.set("x-amz-trailer", "x-amz-checksum-crc32c")),
    ("trailers no longer announced", IN_TRAILER, lambda message: message.drop("x-amz-trailer")),
    ("the encoding", IN_SIGNED, lambda message: message.set("Content-Encoding", "gzip")),
]  # fmt: skip


@pytest.mark.parametrize(("upload", "change"), [pytest.param(*row, id=name) for name, *row in HEADERS])
def test_what_the_headers_say_of_the_body_is_signed(
    world: World, upload: Upload, change: Callable[[Message], None]
) -> None:
    message, seal = upload.sign(world.targets["object"])
    message.body = with_trailers()(seal) if upload.trailers else chunks(lambda made, _: made)(seal)
    change(message)
    with connect(world.store) as wire:
        status, code, told = send(wire, message)
    assert (status, code) == MISMATCH, told
    assert world.look() == world.before


@pytest.mark.parametrize("upload", [IN_SIGNED, IN_TRAILER, IN_UNSIGNED], ids=["signed", "signed trailers", "unsigned"])
def test_without_its_authorization_it_is_nobody_s(world: World, upload: Upload) -> None:
    message, seal = upload.sign(world.targets["object"])
    message.body = with_trailers()(seal) if upload.trailers else chunks(lambda made, _: made)(seal)
    message.drop("Authorization")
    with connect(world.store) as wire:
        assert send(wire, message)[:2] == (403, "AccessDenied")
    assert world.look() == world.before


def test_a_whole_request_s_chunks_behind_another_s_head(world: World) -> None:
    """The same data, key and second: only the seed tells the two apart."""
    first, seal = IN_SIGNED.sign(world.targets["object"])
    second, other = IN_SIGNED.sign(f"/{BUCKET}/another")
    assert seal.signature != other.signature
    second.body = chunks(lambda made, _: made)(seal)
    with connect(world.store) as wire:
        assert send(wire, second)[:2] == MISMATCH
    first.body = chunks(lambda made, _: made)(other)
    with connect(world.store) as wire:
        assert send(wire, first)[:2] == MISMATCH
    assert world.look() == world.before
