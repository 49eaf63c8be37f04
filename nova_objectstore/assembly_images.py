"""Images put together over a store: the registry, the job, ``/_images`` and the EC2 API. The assembly's other half.

It lends the images what the S3 front has and they may not import: the rules of ranges and conditions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nova_objectstore.assembly import Settings, Store, now_us
from nova_objectstore.assembly_query import find_credentials
from nova_objectstore.domain.access_context import NO_CONTEXT
from nova_objectstore.domain.data_engines import DEFAULT
from nova_objectstore.images.download import Download, Selection
from nova_objectstore.images.ec2.app import Ec2App
from nova_objectstore.images.ec2.signatures import Authenticator as Ec2Authenticator
from nova_objectstore.images.job import ImageJob
from nova_objectstore.images.keys import CloudKeys, open_cloud_keys
from nova_objectstore.images.legacy import ImportProgress, LegacyImport, ResolveOwner
from nova_objectstore.images.limits import IMAGE_SIZE_MAX, LEASE_S
from nova_objectstore.images.ports import Image, ImageStore
from nova_objectstore.images.registry import Images
from nova_objectstore.images.rest import ImagesApp
from nova_objectstore.images.source import StoredBundles
from nova_objectstore.images.unbundle import UnbundleLimits
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
    store: Store,
    keys: CloudKeys,
    *,
    size_max: int = IMAGE_SIZE_MAX,
    lease_s: float = LEASE_S,
    clock_us: Callable[[], int] = now_us,
) -> ImageJob:
    """The job that finishes registrations, of images up to ``size_max`` bytes.

    A worker that says nothing keeps its image for ``lease_s`` seconds.
    """
    return ImageJob(
        image_store(store),
        image_bundles(store),
        store.data,
        keys.private_key,
        now_us=clock_us,
        limits=UnbundleLimits(size_max=size_max),
        lease_s=lease_s,
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
    authenticator = Ec2Authenticator(find_credentials(store.identities), region=settings.region, clock_s=clock_s)
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
        adopt=getattr(store.data.at(DEFAULT), "adopt", None),
        inline_size_max=settings.inline_size_max,
        progress=progress,
    )


def image_bundles(store: Store) -> StoredBundles:
    """Bundles as objects of the store's buckets."""
    return StoredBundles(store.buckets, store.objects, store.egress, store.access, store.identities)
