"""Images put together over a store: the registry, the job, ``/_images`` and the EC2 API. The assembly's other half.

It lends the images what the S3 front has and they may not import: the rules of ranges and conditions, and SigV4.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nova_objectstore.assembly import Settings, Store, now_us
from nova_objectstore.domain.access_context import NO_CONTEXT
from nova_objectstore.domain.identities import Identities
from nova_objectstore.errors import InvalidToken, XAmzContentSHA256Mismatch
from nova_objectstore.images.download import Download, Selection
from nova_objectstore.images.ec2.app import Ec2App
from nova_objectstore.images.ec2.request import Ec2Request
from nova_objectstore.images.ec2.signatures import Authenticator as Ec2Authenticator
from nova_objectstore.images.ec2.signatures import Credentials, FindCredentials
from nova_objectstore.images.job import ImageJob
from nova_objectstore.images.keys import CloudKeys, open_cloud_keys
from nova_objectstore.images.legacy import ImportProgress, LegacyImport, ResolveOwner
from nova_objectstore.images.limits import LEASE_S
from nova_objectstore.images.ports import Image, ImageStore
from nova_objectstore.images.registry import Images
from nova_objectstore.images.rest import ImagesApp
from nova_objectstore.images.source import StoredBundles
from nova_objectstore.s3.auth import WireRequest
from nova_objectstore.s3.auth.presigned import verify_presigned
from nova_objectstore.s3.auth.sigv4 import ALGORITHM, CONTENT_SHA256, verify_header
from nova_objectstore.s3.authenticate import Authenticator
from nova_objectstore.s3.conditions import read_conditions
from nova_objectstore.s3.dates import http_date
from nova_objectstore.s3.ranges import parse_range, range_applies
from nova_objectstore.s3.request import S3Request
from nova_objectstore.types import Principal

if TYPE_CHECKING:
    from nova_objectstore.meta.sqlite import SqliteEngine

    _ENGINES: tuple[type[ImageStore], ...] = (SqliteEngine,)  # what image_store() relies on

KEYS_DIRECTORY = "images"
EC2_SERVICE = "ec2"


# -- what the S3 front lends -------------------------------------------------------------------------------------------


class S3ReadRules:
    """:class:`~nova_objectstore.images.download.ReadRules` as S3's GetObject has them. ``clock_s`` gives epoch seconds."""

    def __init__(self, *, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s

    def __call__(self, headers: Mapping[str, str], *, etag: str, modified_us: int, size: int) -> Selection:
        """Judge a read. Raises PreconditionFailed, InvalidRange."""
        modified_s = modified_us // 1_000_000
        if read_conditions(headers).check(etag=etag, modified_s=modified_s, now_s=self._clock_s()):
            return Selection(304)
        bounds = None
        if range_applies(headers.get("if-range"), etag=etag, modified_s=modified_s):
            bounds = parse_range(headers.get("range"), size)
        if bounds is None:
            return Selection(200, 0, size - 1)
        return Selection(206, bounds.first, bounds.last)

    def http_date(self, moment_us: int) -> str:
        """As Last-Modified has it."""
        return http_date(moment_us)


class SigV4:
    """:class:`~nova_objectstore.images.ec2.signatures.VerifyV4` by the S3 front's own functions."""

    def __init__(self, *, region: str) -> None:
        self._region = region

    def __call__(self, request: Ec2Request, find: FindCredentials, *, now_s: float) -> Principal | None:
        """Who signed; None without such a signature. Raises what a bad one raises, XAmzContentSHA256Mismatch too."""
        in_header = request.headers.get("authorization", "").startswith(ALGORITHM)
        if not in_header and "X-Amz-Algorithm" not in request.pairs:
            return None
        token = request.headers.get("x-amz-security-token") or request.pairs.get("X-Amz-Security-Token")
        found: list[Credentials] = []

        def lookup(access_key: str) -> str | None:
            credentials = find(access_key, token)
            if credentials is None:
                return None
            found.append(credentials)
            return credentials.secret_key

        self._verify(request, in_header, lookup, now_s)
        return found[-1].principal

    def _verify(self, request: Ec2Request, in_header: bool, lookup: Callable[[str], str | None], now_s: float) -> None:
        wire = WireRequest(request.method, request.path, request.query, request.headers)
        body_sha256 = request.body_sha256
        if in_header:
            signed = verify_header(
                wire, lookup=lookup, region=self._region, now_s=now_s, service=EC2_SERVICE, body_sha256=body_sha256
            )
        else:
            # Only S3's presigned requests leave the body out: others sign its hash.
            wire = wire._replace(headers={**request.headers, CONTENT_SHA256: body_sha256})
            signed = verify_presigned(wire, lookup=lookup, region=self._region, now_s=now_s, service=EC2_SERVICE)
        if signed.payload_hash != body_sha256:
            raise XAmzContentSHA256Mismatch


def find_credentials(identities: Identities) -> FindCredentials:
    """Credentials by the accounts' own key pairs. A session token is nobody's: none was ever given out."""

    def find(access_key: str, token: str | None) -> Credentials | None:
        if token:
            raise InvalidToken
        identity = identities.find(access_key)
        return Credentials(identity.key.secret_key, identity.principal) if identity else None

    return find


# -- the pieces --------------------------------------------------------------------------------------------------------


def image_store(store: Store) -> ImageStore:
    """The metadata engine as the port of images: every engine has both."""
    return cast("ImageStore", store.meta)


def build_images(
    store: Store, *, announce: Callable[[Image], None] | None = None, clock_us: Callable[[], int] = now_us
) -> Images:
    """The rules of images over a store. ``announce`` tells the workers of an image that waits: a hint."""

    def permit(principal: Principal, action: str) -> None:
        store.access.check_account(principal, action, "*", context=NO_CONTEXT)

    return Images(image_store(store), image_bundles(store), now_us=clock_us, announce=announce, permit=permit)


def build_administrators_images(
    store: Store, *, announce: Callable[[Image], None], clock_us: Callable[[], int] = now_us
) -> Images:
    """The rules for whoever can read the state directory: as the administrator, or as any account's root."""
    return Images(image_store(store), image_bundles(store), now_us=clock_us, announce=announce)


def build_image_job(
    store: Store, keys: CloudKeys, *, lease_s: float = LEASE_S, clock_us: Callable[[], int] = now_us
) -> ImageJob:
    """The job that finishes registrations. A worker that says nothing keeps its image for ``lease_s`` seconds."""
    return ImageJob(
        image_store(store), image_bundles(store), store.data, keys.private_key, now_us=clock_us, lease_s=lease_s
    )


def open_keys(settings: Settings, *, key_file: str = "", certificate_file: str = "") -> CloudKeys:
    """The cloud's key pair: of these files, or of the state directory, made at first use. Raises ConfigError. Blocking."""
    return open_cloud_keys(
        settings.state_path / KEYS_DIRECTORY,
        key_file=Path(key_file) if key_file else None,
        certificate_file=Path(certificate_file) if certificate_file else None,
    )


def build_images_app(
    store: Store, images: Images, settings: Settings, *, clock_s: Callable[[], float] = time.time
) -> ImagesApp:
    """``/_images``, signed as S3's requests are."""
    authenticator = Authenticator(store.identities, region=settings.region, clock_s=clock_s)

    def authenticate(environ: dict[str, Any]) -> Principal:
        return authenticator.authenticate(S3Request(environ))

    return ImagesApp(images, Download(store.egress, S3ReadRules(clock_s=clock_s)), authenticate=authenticate)


def build_ec2(store: Store, images: Images, settings: Settings, *, clock_s: Callable[[], float] = time.time) -> Ec2App:
    """The EC2 API of images."""
    authenticator = Ec2Authenticator(find_credentials(store.identities), SigV4(region=settings.region), clock_s=clock_s)
    return Ec2App(images, authenticator)


def build_legacy_import(
    store: Store,
    settings: Settings,
    *,
    resolve_owner: ResolveOwner,
    progress: Callable[[ImportProgress], None] | None = None,
    clock_us: Callable[[], int] = now_us,
) -> LegacyImport:
    """What takes the directories of the objectstore of 2010 in; by hard links, where the data engine has files."""
    return LegacyImport(
        store.meta,
        image_store(store),
        store.data,
        store.buckets,
        resolve_owner=resolve_owner,
        now_us=clock_us,
        adopt=getattr(store.data, "adopt", None),
        inline_size_max=settings.inline_size_max,
        progress=progress,
    )


def image_bundles(store: Store) -> StoredBundles:
    """Bundles as objects of the store's buckets."""
    return StoredBundles(store.buckets, store.objects, store.egress, store.access, store.identities)
