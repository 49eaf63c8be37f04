"""A bundle undone: parts in, the image's bytes out. Streamed in bounded memory, and distrustful of every step.

The way of a byte: its part's SHA-1, AES-128-CBC, gzip, the whole tar's SHA-1, tar, ``write``. :class:`Unbundler` is a
push parser without I/O of its own; :func:`unbundle` drives it over parts that somebody opens.

Laws:

- Memory: one piece fed (the caller's), one piece of gzip output (``STREAM_BUFFER``), and what ``tar.py`` holds.
- No more bytes are written than the manifest says the image has, and it may say no more than the limits allow: neither
  a gzip bomb nor a sparse file of nothing but holes fills the disk.
- Everything is checked: each part's digest before the next part, the size of the bundle, of the image, the digest of the
  tar (EC2's ``image/digest`` is of the tar, before gzip). ``finish`` raises unless all is as the manifest says: what was
  written before is to be thrown away.
- A wrong key and damaged parts give one and the same sentence (``cipher.py`` says why).
"""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from collections.abc import Callable, Generator
from typing import NamedTuple

from cryptography.hazmat.primitives import padding

from nova_objectstore.images.cipher import BLOCK_BITS, BundleSecret
from nova_objectstore.images.errors import InvalidBundle
from nova_objectstore.images.limits import (
    IMAGE_EXPANSION_FREE,
    IMAGE_EXPANSION_MAX,
    IMAGE_SIZE_MAX,
    TAR_OVERHEAD_MAX,
)
from nova_objectstore.images.manifest import Manifest, ManifestPart
from nova_objectstore.images.tar import TarFile, TarReader, Write
from nova_objectstore.limits import STREAM_BUFFER

_GZIP_WINDOW = 31  # zlib: a gzip header and the largest window
_GZIP_MAGIC = b"\x1f\x8b"
_UNDECRYPTED = "The bundle could not be decrypted with the cloud's key: it was made for another cloud, or is damaged."

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes there are in all."""


class UnbundleLimits(NamedTuple):
    """How large an image may become, in bytes, and how many times its bundle beyond ``expansion_free`` bytes."""

    size_max: int = IMAGE_SIZE_MAX
    expansion_free: int = IMAGE_EXPANSION_FREE
    expansion_max: int = IMAGE_EXPANSION_MAX


DEFAULT_LIMITS = UnbundleLimits()


def check_sizes(manifest: Manifest, limits: UnbundleLimits = DEFAULT_LIMITS) -> None:
    """Refuse an image that is too large by its manifest's own account. Raises InvalidBundle."""
    if manifest.size > limits.size_max:
        raise InvalidBundle(f"The image has {manifest.size} bytes; it may have {limits.size_max}.")
    if manifest.size > max(limits.expansion_free, limits.expansion_max * manifest.bundled_size):
        raise InvalidBundle(
            f"The image is more than {limits.expansion_max} times the size of its bundle, which no real image is."
        )


class Unbundler:
    """Feed it each part's bytes between ``begin_part`` and ``end_part``, then ``finish``.

    ``write`` gets the image's bytes in order. Everything raises InvalidBundle, and what ``write`` raises. ``feed`` computes
    for milliseconds, and may write up to a thousand times what it was fed: it belongs in a native thread.
    """

    def __init__(
        self, manifest: Manifest, secret: BundleSecret, write: Write, *, limits: UnbundleLimits = DEFAULT_LIMITS
    ) -> None:
        check_sizes(manifest, limits)
        self._manifest = manifest
        self._decryptor = secret.cipher().decryptor()
        self._unpadder = padding.PKCS7(BLOCK_BITS).unpadder()
        self._gunzip = zlib.decompressobj(_GZIP_WINDOW)
        self._between_members = b""  # what came behind a gzip member, as long as it is too short to judge
        self._tar = TarReader(write, size_max=manifest.size)
        self._tar_digest = hashlib.sha1(usedforsecurity=False)
        self._tar_size = 0
        self._bundled = 0  # bytes of parts taken
        self._part: ManifestPart | None = None
        self._part_digest = hashlib.sha1(usedforsecurity=False)

    @property
    def bundled(self) -> int:
        """Bytes of parts taken so far."""
        return self._bundled

    @property
    def has_file(self) -> bool:
        """Whether the tar's file has been reached."""
        return self._tar.file is not None

    def begin_part(self, part: ManifestPart) -> None:
        """The next bytes are ``part``'s."""
        assert self._part is None, "one part at a time"
        self._part = part
        self._part_digest = hashlib.sha1(usedforsecurity=False)

    def feed(self, data: bytes | memoryview) -> None:
        """Take a piece of the part. Blocking as ``write`` is, and computes."""
        self._bundled += len(data)
        if self._bundled > self._manifest.bundled_size:
            raise InvalidBundle("The parts have more bytes than the manifest says.")
        self._part_digest.update(data)
        self._inflate(self._unpadder.update(self._decryptor.update(data)))

    def end_part(self) -> None:
        """The part has ended: its digest must be the manifest's."""
        assert self._part is not None, "a part was begun"
        if self._part_digest.hexdigest() != self._part.digest:
            raise InvalidBundle(f"Part {self._part.number} ({self._part.filename}) does not have its digest.")
        self._part = None

    def finish(self) -> TarFile:
        """All parts were taken: check what is left to check, and tell which file it was."""
        manifest = self._manifest
        if self._bundled != manifest.bundled_size:
            raise InvalidBundle("The parts have fewer bytes than the manifest says.")
        self._end_cipher()
        if not self._gunzip.eof or self._between_members.strip(b"\0"):
            raise InvalidBundle("The bundle's gzip is truncated, or goes on with something else.")
        file = self._tar.finish()
        if file.size != manifest.size:
            raise InvalidBundle(f"The image has {file.size} bytes; its manifest says {manifest.size}.")
        if self._tar_digest.hexdigest() != manifest.digest:
            raise InvalidBundle("The image does not have the digest that its manifest says.")
        return file

    # -- the way of the bytes ----------------------------------------------------------------------------------------

    def _end_cipher(self) -> None:
        try:
            last = self._unpadder.update(self._decryptor.finalize()) + self._unpadder.finalize()
        except ValueError:
            raise InvalidBundle(_UNDECRYPTED) from None
        self._inflate(last)

    def _inflate(self, data: bytes) -> None:
        """Gunzip, a piece at a time: however much a piece holds, no more than STREAM_BUFFER bytes of it are in memory."""
        while data:
            if self._gunzip.eof:
                data = self._next_member(data)
                continue
            try:
                piece = self._gunzip.decompress(data, STREAM_BUFFER)
            except zlib.error:
                raise InvalidBundle(_UNDECRYPTED) from None
            self._take(piece)
            data = self._gunzip.unconsumed_tail or self._gunzip.unused_data

    def _next_member(self, data: bytes) -> bytes:
        """Behind a member another may come (RFC 1952 section 2.2); zeros are padding, as gzip takes them."""
        data = self._between_members + data
        if len(data) < len(_GZIP_MAGIC) or not data.strip(b"\0"):
            self._between_members = data[-1:]
            return b""
        if not data.startswith(_GZIP_MAGIC):
            raise InvalidBundle("The bundle's gzip is followed by something else.")
        self._between_members = b""
        self._gunzip = zlib.decompressobj(_GZIP_WINDOW)
        return data

    def _take(self, piece: bytes) -> None:
        self._tar_size += len(piece)
        if self._tar_size > self._manifest.size + TAR_OVERHEAD_MAX:
            raise InvalidBundle("The bundle unpacks to more than the image that its manifest tells of.")
        self._tar_digest.update(piece)
        self._tar.feed(piece)


# -- driven ----------------------------------------------------------------------------------------------------------


def call(step: Callable[..., None], *args: object) -> None:
    """Run a step where the caller is: the ``run`` of a command line."""
    step(*args)


def unbundle(
    manifest: Manifest,
    secret: BundleSecret,
    open_part: Callable[[ManifestPart], Generator[bytes, None, None]],
    write: Write,
    *,
    limits: UnbundleLimits = DEFAULT_LIMITS,
    run: Callable[..., None] = call,
    progress: Progress | None = None,
    on_file: Callable[[], object] | None = None,
) -> TarFile:
    """Undo a whole bundle.

    ``open_part`` gives a part's bytes in pieces, and is closed; the caller's greenthread reads them, and
    ``run(step, piece)`` runs each step of computing and writing (``green.run_native``). ``on_file`` is called once, behind
    the step that reached the image itself. Raises InvalidBundle, and what the callables raise.
    """
    unbundler = Unbundler(manifest, secret, write, limits=limits)
    for part in manifest.parts:
        unbundler.begin_part(part)
        with contextlib.closing(open_part(part)) as pieces:
            for piece in pieces:
                run(unbundler.feed, piece)
                if on_file is not None and unbundler.has_file:
                    on_file()
                    on_file = None
                if progress is not None:
                    progress(unbundler.bundled, manifest.bundled_size)
        unbundler.end_part()
    return _finish(unbundler, run)


def _finish(unbundler: Unbundler, run: Callable[..., None]) -> TarFile:
    found: list[TarFile] = []
    run(lambda: found.append(unbundler.finish()))
    return found[0]
