"""aws-chunked bodies, signed and unsigned, with trailers and without.

Properties: a body that was encoded for these lengths, trailers and seed is read to its data, in any pieces; any other is
refused with an error of the store, and by the reader's end at the latest. What a signed body says comes from who signed.
"""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256

from support.fuzzing import Target, step_of
from support.signing import encode_chunks, example_signed, read_chunked

from nova_objectstore.errors import StoreError
from nova_objectstore.limits import CHUNK_SIZE_MIN
from nova_objectstore.s3.auth import PayloadForm
from nova_objectstore.s3.auth.chunked import open_chunked

TRAILER = "x-amz-checksum-sha256"
SEED = "f0" * 32


class Pieces:
    """An input that comes in small pieces."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data, self._at, self._step = data, 0, step

    def read(self, size: int, /) -> bytes:
        piece = self._data[self._at : self._at + min(size, self._step)]
        self._at += len(piece)
        return piece


class Case:
    """A form of body, and what is announced of it: as a client would, for 8,200 bytes in two chunks."""

    def __init__(self, form: PayloadForm, *, has_trailer: bool) -> None:
        self.form = form
        self.data = (b"0123456789abcdef" * 513)[: CHUNK_SIZE_MIN + 8]
        self.trailers: Mapping[str, str] = {}
        if has_trailer:
            self.trailers = {TRAILER: b64encode(sha256(self.data).digest()).decode()}
        self.is_signed = form is not PayloadForm.UNSIGNED_CHUNKS_TRAILER
        pieces = [self.data[:CHUNK_SIZE_MIN], self.data[CHUNK_SIZE_MIN:]]
        self.encoded = encode_chunks(pieces, seed=SEED if self.is_signed else None, trailers=self.trailers)

    def check(self, data: bytes) -> str:
        """``data`` stands for an encoded body, less the bytes of its first chunk, which are put back: nobody mutates those."""
        encoded = data.replace(b"<8K>", self.data[:CHUNK_SIZE_MIN])
        outcomes = {self._read(encoded, step) for step in (len(encoded) + 1, step_of(data, 255))}
        assert len(outcomes) == 1, f"the outcome depends on how it comes: {outcomes}"
        return outcomes.pop()

    def _read(self, encoded: bytes, step: int) -> str:
        headers = {"x-amz-decoded-content-length": str(len(self.data))}
        signed = example_signed(self.form, SEED)
        reader = open_chunked(Pieces(encoded, step), headers, signed=signed, trailer_names=tuple(self.trailers))
        try:
            data = b"".join(iter(lambda: reader.read(1 + step * 7), b""))
            trailers = reader.finish()
        except StoreError as error:
            return type(error).__name__
        assert len(data) == len(self.data), "another length than was announced"
        assert set(trailers) == set(self.trailers), "other trailers than were announced"
        if self.is_signed:
            assert data == self.data, "data that nobody signed"
            assert trailers == self.trailers, "trailers that nobody signed"
        return "taken"

    @property
    def seed(self) -> bytes:
        return self.encoded.replace(self.data[:CHUNK_SIZE_MIN], b"<8K>")


def check_any(data: bytes) -> str:
    """A body whose lengths and trailers are made up too: of lines ``size``, ``trailers`` and the body behind them."""
    size, _, rest = data.partition(b"\n")
    names, _, encoded = rest.partition(b"\n")
    headers = {"x-amz-decoded-content-length": size.decode("latin-1")}
    form = _FORMS[step_of(data, len(_FORMS), salt=1) - 1]
    trailer_names = tuple(names.decode("latin-1").split(",")) if names else ()
    try:
        reader = open_chunked(
            Pieces(encoded, step_of(data, 255)), headers, signed=example_signed(form, SEED), trailer_names=trailer_names
        )
        while reader.read(5):
            pass
        reader.finish()
    except StoreError as error:
        return type(error).__name__
    return "taken"


_FORMS = (PayloadForm.SIGNED_CHUNKS, PayloadForm.SIGNED_CHUNKS_TRAILER, PayloadForm.UNSIGNED_CHUNKS_TRAILER)


def _make_any(rng: random.Random) -> bytes:
    size = rng.randrange(40)
    names = rng.choice(("", TRAILER, f"{TRAILER},x-amz-meta-a"))
    trailers = {name: rng.choice(("1", "a b", "")) for name in names.split(",") if name and rng.random() < 0.9}
    body = encode_chunks([b"x" * size] if size else [], seed=rng.choice((None, SEED, "0" * 64)), trailers=trailers)
    return f"{size}\n{names}\n".encode() + body


def _targets() -> Sequence[Target]:
    cases = {
        "chunked_signed": Case(PayloadForm.SIGNED_CHUNKS, has_trailer=False),
        "chunked_signed_trailer": Case(PayloadForm.SIGNED_CHUNKS_TRAILER, has_trailer=True),
        "chunked_unsigned_trailer": Case(PayloadForm.UNSIGNED_CHUNKS_TRAILER, has_trailer=True),
    }
    bodies = [vector.body for vector in read_chunked() if len(vector.body) < 2000]
    words = (
        b";chunk-signature=",
        b"0" * 64,
        b"0\r\n\r\n",
        b"x-amz-trailer-signature:",
        TRAILER.encode() + b":",
        b"\n\r\n",
    )
    growths = {"small chunks": lambda n: b"%d\n\n" % n + b"1\r\nx\r\n" * n + b"0\r\n\r\n"}
    targets = [Target(name, case.check, seeds=[case.seed], words=words, short=300) for name, case in cases.items()]
    seeds = [b"%d\n\n%s" % (len(body), body) for body in bodies]
    return (*targets, Target("chunked_any", check_any, _make_any, seeds=seeds, words=words, growths=growths))


TARGETS = _targets()
