"""Registering as a job: rows that wait, unbundled out of the store's buckets into the data engine.

Strategy: a row is claimed under a lease, made pending again, and worked on from the beginning; what an earlier attempt left
are data that no row names, which the data engine's law removes (unsettled refs). So a worker that dies at any point costs
time and nothing else, and two that believe to hold the same row cannot both finish it: every change compares the lease.

    pending --manifest read--> decrypting --the tar's file reached--> untarring --data durable--> available
    and from each: failed, with a sentence; deregistered, when the owner was faster

Laws:

- The last change, to ``available``, names the data in the same transaction; before it nobody can read them.
- What the bundle or its owner did wrong is final, and so is a full disk: the image fails, and says why. What a disk or
  a database did is tried again later, and at most ``ATTEMPTS_MAX`` times.
- Computing and writing happen in native threads, a step of at most ``STREAM_BUFFER`` of the bundle at a time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import secrets
from collections.abc import Callable, Generator, Iterator

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from nova_objectstore.data.engine import DataEngine, DataWriter
from nova_objectstore.domain.commit import Commits
from nova_objectstore.errors import AccessError, EngineError, MissingError, RequestFault, StorageFull, StoreError
from nova_objectstore.images.cipher import BundleSecret, decrypt_secret
from nova_objectstore.images.errors import ImageChanged, InvalidBundle, NoSuchImage
from nova_objectstore.images.limits import ATTEMPTS_MAX, DEREGISTERED_KEPT_S, LEASE_S, RETRY_DELAY_S
from nova_objectstore.images.manifest import Manifest, ManifestPart
from nova_objectstore.images.ports import UNFINISHED, Claim, Image, ImageChange, ImageState, ImageStore
from nova_objectstore.images.source import BundleSource, Location, read_source_manifest
from nova_objectstore.images.unbundle import DEFAULT_LIMITS, UnbundleLimits, unbundle
from nova_objectstore.limits import STREAM_BUFFER
from nova_objectstore.types import Content, ContentKind, Principal
from nova_wsgi import green

LOG = logging.getLogger(__name__)

_native_thread = green.original("_thread")

_S = 1_000_000


class ImageJob:
    """Finishes registrations. One a worker; ``run`` may be called by several greenthreads, and by several hosts."""

    def __init__(
        self,
        store: ImageStore,
        source: BundleSource,
        data: DataEngine,
        private_key: RSAPrivateKey,
        *,
        now_us: Callable[[], int],
        limits: UnbundleLimits = DEFAULT_LIMITS,
        lease_s: float = LEASE_S,
        retry_delay_s: float = RETRY_DELAY_S,
    ) -> None:
        self._store = store
        self._source = source
        self._data = data
        self._private_key = private_key
        self._now_us = now_us
        self._limits = limits
        self._lease_us = int(lease_s * _S)
        self._retry_delay_us = int(retry_delay_s * _S)

    def run(self, goes_on: Callable[[], bool] = lambda: True) -> int:
        """Work on images that wait, one after the other, while ``goes_on``; answer how many. Raises EngineError."""
        count = 0
        while goes_on() and self.run_one():
            count += 1
        return count

    def run_one(self) -> bool:
        """Work on the image that has waited longest; False when none waits. Raises EngineError."""
        now_us = self._now_us()
        claim = self._store.claim_pending(secrets.token_hex(16), now_us=now_us, until_us=now_us + self._lease_us)
        if claim is None:
            return False
        _Registering(self, claim).run()
        return True

    def forget_deregistered(self) -> int:
        """Remove rows of images that were deregistered long enough ago; answer how many."""
        return self._store.forget_deregistered(before_us=self._now_us() - int(DEREGISTERED_KEPT_S * _S))


class _Output:
    """Where an image's bytes go: their MD5, and the data engine. Its steps run in native threads and exclude each other.

    A greenthread that is killed while a step runs may leave at once: ``_give_up`` waits for the step, removes what was
    written, a commit too, and later steps do nothing.
    """

    def __init__(self, data: DataEngine, size: int) -> None:
        self._data = data
        self._size = size
        self._lock = _native_thread.allocate_lock()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._writer: DataWriter | None = None
        self._ref = ""
        self._given_up = False

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            green.run_native(self._give_up)

    def run(self, step: Callable[..., None], *args: object) -> None:
        """Run a step that computes and writes; raise what it raises."""
        green.run_native(self._run, step, args)

    def commit(self) -> tuple[Content, str]:
        """Make the bytes durable: their content, unsettled, and their MD5 in hex. Raises StorageFull, StorageFailed."""
        self.run(self._commit)
        return Content(ContentKind.DATA, self._ref), self._md5.hexdigest()

    # -- in native threads -------------------------------------------------------------------------------------------

    def write(self, data: bytes | memoryview) -> None:
        """Append; called by steps."""
        self._md5.update(data)
        self._open().write(data)

    def _open(self) -> DataWriter:
        if self._writer is None:
            self._writer = self._data.create(self._size)
        return self._writer

    def _run(self, step: Callable[..., None], args: tuple[object, ...]) -> None:
        with self._lock:
            if not self._given_up:
                step(*args)

    def _commit(self) -> None:
        self._ref = self._open().commit()

    def _give_up(self) -> None:
        with self._lock:
            self._given_up = True
            if self._ref:
                with contextlib.suppress(StoreError):  # it stays unsettled: the next start finds that nothing names it
                    self._data.delete(self._ref)
            elif self._writer is not None:
                self._writer.abort()


class _Registering:
    """One attempt at one image."""

    def __init__(self, job: ImageJob, claim: Claim) -> None:
        self._job = job
        self._store = job._store
        self._image = claim.image
        self._claim = claim
        self._renew_at_us = job._now_us() + job._lease_us // 3

    def run(self) -> None:
        """The attempt, to whichever end. Raises EngineError when not even the end can be recorded."""
        image_id = self._image.image_id
        if self._claim.attempts > ATTEMPTS_MAX:
            self._fail("The image was given up: the workers that tried it did not come to an end.")
            return
        try:
            self._register()
        except (ImageChanged, NoSuchImage) as error:
            LOG.info("image %s: another was faster: %s", image_id, error)
        except StorageFull:
            self._fail("There is not enough space left for the image.")
        except EngineError as error:
            LOG.warning("image %s: tried again later: %s %s", image_id, type(error).__name__, error)
            self._release()
        except StoreError as error:
            self._fail(_reason(error))
        except Exception:  # a fault of ours: the row must not be tried for ever, and others wait behind it
            LOG.exception("image %s: registering failed", image_id)
            self._fail("An internal error. The service's log tells more.")

    def _fail(self, reason: str) -> None:
        LOG.warning("image %s failed: %s", self._image.image_id, reason)
        try:
            self._update(ImageChange(state=ImageState.FAILED, reason=reason))
        except (ImageChanged, NoSuchImage) as error:
            LOG.info("image %s: another was faster: %s", self._image.image_id, error)

    def _release(self) -> None:
        retry_at_us = self._job._now_us() + self._job._retry_delay_us
        # The change that failed may have happened all the same: then there is nothing to release.
        with contextlib.suppress(ImageChanged, NoSuchImage):
            self._store.release_claim(self._image.image_id, self._claim.lease, retry_at_us=retry_at_us)

    # -- the attempt -------------------------------------------------------------------------------------------------

    def _register(self) -> None:
        location = Location.parse(self._image.location)
        owner = self._job._source.owner(self._image.owner_id)
        manifest = read_source_manifest(self._job._source, owner, location)
        secret = green.run_native(decrypt_secret, manifest.ec2_secret, self._job._private_key)
        self._update(ImageChange(state=ImageState.DECRYPTING, size=manifest.size))
        with _Output(self._job._data, manifest.size) as output:
            self._unbundle(manifest, secret, output, owner, location)
            self._renew()  # making it durable may take long
            content, etag = output.commit()
        available = ImageChange(state=ImageState.AVAILABLE, reason="", size=manifest.size, etag=etag, ref=content.ref)
        Commits(self._job._data).commit(content, lambda: self._update(available))
        LOG.info("image %s is available: %d bytes", self._image.image_id, manifest.size)

    def _unbundle(
        self, manifest: Manifest, secret: BundleSecret, output: _Output, owner: Principal, location: Location
    ) -> None:
        def open_part(part: ManifestPart) -> Generator[bytes, None, None]:
            found = self._job._source.open(owner, location.bucket, location.beside(part.filename))
            try:
                for piece in found.pieces:
                    self._renew_when_due()
                    yield from _steps(piece)
            finally:
                found.pieces.close()

        unbundle(
            manifest,
            secret,
            open_part,
            output.write,
            limits=self._job._limits,
            run=output.run,
            on_file=lambda: self._update(ImageChange(state=ImageState.UNTARRING)),
        )

    # -- the row -----------------------------------------------------------------------------------------------------

    def _update(self, change: ImageChange) -> Image:
        now_us = self._job._now_us()
        return self._store.update_image(
            self._image.image_id, change._replace(changed_us=now_us), states=UNFINISHED, lease=self._claim.lease
        )

    def _renew_when_due(self) -> None:
        if self._job._now_us() >= self._renew_at_us:
            self._renew()

    def _renew(self) -> None:
        now_us = self._job._now_us()
        self._store.renew_lease(self._image.image_id, self._claim.lease, until_us=now_us + self._job._lease_us)
        self._renew_at_us = now_us + self._job._lease_us // 3


def _steps(piece: bytes) -> Iterator[bytes]:
    if len(piece) <= STREAM_BUFFER:
        yield piece
        return
    for position in range(0, len(piece), STREAM_BUFFER):
        yield piece[position : position + STREAM_BUFFER]


def _reason(error: StoreError) -> str:
    """The sentence of an image that cannot be."""
    if isinstance(error, MissingError):
        return f"The manifest or a part of the bundle is not there: {type(error).__name__} ({error})."
    if isinstance(error, AccessError):
        return "The image's owner may not read the manifest or a part of the bundle."
    if isinstance(error, InvalidBundle | RequestFault) and error.message:
        return error.message
    return f"The image cannot be registered: {type(error).__name__} ({error})."
