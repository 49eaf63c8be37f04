"""``nova-manage image``: bundles made and stored, and the images that they are registered as."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from nova_objectstore.images.bundle import BundleKeys, BundleSpec, bundle_image
from nova_objectstore.images.keys import load_private_key, load_public_key
from nova_objectstore.images.limits import LIST_BATCH, PART_SIZE
from nova_objectstore.images.manifest import Manifest, read_manifest
from nova_objectstore.images.ports import Image, ImageType
from nova_objectstore.images.registry import Registration
from nova_objectstore.images.source import Location
from nova_objectstore.images.upload import StoredPut, upload_bundle
from nova_objectstore.limits import MiB
from nova_objectstore.manage.command import Argument, Command, Context, OpenImages, UsageError
from nova_objectstore.manage.report import Column, Kind, Report
from nova_objectstore.types import Principal

ADMINISTRATOR = Principal(is_admin=True)  # whoever can read the state directory

_COLUMNS = (
    Column("image", title="Image ID"),
    Column("account_id", title="Account ID"),
    Column("state"),
    Column("type"),
    Column("architecture"),
    Column("public", Kind.FLAG),
    Column("bytes", Kind.BYTES, "Size"),
    Column("name"),
    Column("location"),
    Column("created", Kind.TIME),
    Column("reason"),
)


def _values(image: Image) -> list[Any]:
    return [
        image.image_id,
        image.owner_id,
        image.state.value,
        image.image_type.value,
        image.architecture,
        image.is_public,
        image.size,
        image.name,
        image.location,
        image.created_us,
        image.reason,
    ]


def _report(image: Image, *more: tuple[Column, Any]) -> Report:
    return Report.of_one([*zip(_COLUMNS, _values(image), strict=True), *more])


# -- bundles -----------------------------------------------------------------------------------------------------------


def _bundle(context: Context, arguments: Namespace) -> Report:
    image = Path(arguments.file)
    if arguments.type != ImageType.MACHINE and (arguments.kernel or arguments.ramdisk):
        raise UsageError("only machine images have --kernel and --ramdisk")
    spec = BundleSpec(
        arguments.name or image.name,
        user=arguments.user,
        image_type=ImageType(arguments.type),
        architecture=arguments.architecture,
        kernel_id=arguments.kernel,
        ramdisk_id=arguments.ramdisk,
    )
    keys = BundleKeys(
        load_public_key(Path(arguments.cloud_cert)) if arguments.cloud_cert else context.open_keys().public_key,
        load_public_key(Path(arguments.user_cert)) if arguments.user_cert else None,
        load_private_key(Path(arguments.sign_key)) if arguments.sign_key else None,
    )
    with context.progress(f"Bundling {image.name}") as tell:
        path = bundle_image(
            image,
            Path(arguments.directory),
            spec=spec,
            keys=keys,
            part_size=arguments.part_size * MiB,
            progress=tell,
        )
    return _of_manifest(read_manifest(path.read_bytes()), (Column("manifest"), str(path)))


def _upload(context: Context, arguments: Namespace) -> Report:
    path = Path(arguments.manifest)
    with context.open_images() as opened, context.progress(f"Uploading {path.name}") as tell:
        owner_id = opened.buckets.find(arguments.bucket).owner_id
        put = StoredPut(
            opened.buckets, opened.objects, bucket=arguments.bucket, owner_id=owner_id, prefix=arguments.prefix
        )
        manifest = upload_bundle(path, put, progress=tell)
    return _of_manifest(manifest, (Column("location"), put.location(path)))


def _of_manifest(manifest: Manifest, place: tuple[Column, Any]) -> Report:
    return Report.of_one(
        [
            place,
            (Column("name"), manifest.name),
            (Column("type"), manifest.image_type.value),
            (Column("architecture"), manifest.architecture),
            (Column("bytes", Kind.BYTES, "Size"), manifest.size),
            (Column("bundled_bytes", Kind.BYTES, "Size of the parts"), manifest.bundled_size),
            (Column("parts", Kind.NUMBER), len(manifest.parts)),
        ]
    )


# -- images ------------------------------------------------------------------------------------------------------------


def _register(context: Context, arguments: Namespace) -> Report:
    location = Location.parse(arguments.location)
    registration = Registration(
        arguments.location,
        image_id=arguments.id,
        name=arguments.name,
        description=arguments.description,
        architecture=arguments.architecture,
        kernel_id=arguments.kernel,
        ramdisk_id=arguments.ramdisk,
    )
    with context.open_images() as opened:
        if arguments.account is None:
            owner_id = opened.buckets.find(location.bucket).owner_id
        else:
            owner_id = context.accounts.find(arguments.account).id
        owner = opened.principal(owner_id)
        image = opened.images.register(owner, registration)
        if arguments.public:
            image = opened.images.set_public(owner, image.image_id, True)
    return _report(image)


def _list(context: Context, arguments: Namespace) -> Report:
    owner_ids = () if arguments.account is None else (context.accounts.find(arguments.account).id,)
    with context.open_images() as opened:
        return Report(_COLUMNS, [_values(image) for image in _all(opened, owner_ids)])


def _all(opened: OpenImages, owner_ids: tuple[str, ...]) -> Iterator[Image]:
    after: str | None = ""
    while after is not None:
        page = opened.images.page(ADMINISTRATOR, owner_ids=owner_ids, after=after, limit=LIST_BATCH)
        yield from page.images
        after = page.next_after


def _deregister(context: Context, arguments: Namespace) -> Report:
    with context.open_images() as opened:
        image = opened.images.find(ADMINISTRATOR, arguments.image)
        opened.images.deregister(ADMINISTRATOR, arguments.image)
        return _report(opened.images.find(ADMINISTRATOR, image.image_id), (Column("deregistered", Kind.FLAG), True))


# -- the table ---------------------------------------------------------------------------------------------------------


def _part_size(text: str) -> int:
    size = 0
    with suppress(ValueError):
        size = int(text)
    if size < 1:
        raise UsageError(f"--part-size: {text!r} is not a number of MiB")
    return size


def _text(name: str, metavar: str, help: str, default: str | None = "") -> Argument:
    return Argument(name, {"metavar": metavar, "default": default, "help": help})


_FROM_MANIFEST = "the manifest's unless given."

COMMANDS = (
    Command(
        "image",
        "bundle",
        "Make a bundle of an image file: encrypted parts and a manifest.",
        _bundle,
        (
            Argument("file", {"metavar": "FILE", "help": "The image: a disk, a kernel or a ramdisk."}),
            _text("--directory", "DIR", "Where the bundle goes; the current directory unless given.", "."),
            _text("--name", "NAME", "Name of the bundle; the file's unless given."),
            Argument(
                "--type",
                {
                    "choices": [kind.value for kind in ImageType],
                    "default": ImageType.MACHINE.value,
                    "help": "What the image is; machine unless given.",
                },
            ),
            _text("--architecture", "A", "Of the machine that it runs on; x86_64 unless given.", "x86_64"),
            _text("--kernel", "ID", "The kernel's image id, aki-..."),
            _text("--ramdisk", "ID", "The ramdisk's image id, ari-..."),
            _text("--user", "ACCOUNT", "The account's 12-digit id, as the manifest tells it."),
            _text("--cloud-cert", "PEM", "Whom it is encrypted for; this store unless given."),
            _text("--user-cert", "PEM", "Also encrypt it for the holder of this certificate."),
            _text("--sign-key", "PEM", "Sign the manifest with this private key."),
            Argument(
                "--part-size",
                {
                    "metavar": "MIB",
                    "type": _part_size,
                    "default": PART_SIZE // MiB,
                    "help": "Size of a part in MiB; 10 unless given.",
                },
            ),
        ),
        needs_store=False,
    ),
    Command(
        "image",
        "upload",
        "Check a bundle and store its parts and its manifest in a bucket, as the bucket's owner.",
        _upload,
        (
            Argument("manifest", {"metavar": "MANIFEST", "help": "The manifest; its parts lie beside it."}),
            Argument("--bucket", {"metavar": "BUCKET", "required": True, "help": "The bucket, which must exist."}),
            _text("--prefix", "PREFIX", "What the keys begin with, before the names of the files."),
        ),
    ),
    Command(
        "image",
        "register",
        "Register a stored bundle as an image; the worker makes it available.",
        _register,
        (
            Argument("location", {"metavar": "LOCATION", "help": "The manifest in the store: BUCKET/KEY."}),
            _text("--account", "ACCOUNT", "Name or id of the image's owner; the bucket's unless given.", None),
            _text("--id", "ID", "The image's id; random unless given."),
            _text("--name", "NAME", "Its name, once per account."),
            _text("--description", "TEXT", "What people read of it."),
            _text("--architecture", "A", f"Of the machine that it runs on; {_FROM_MANIFEST}"),
            _text("--kernel", "ID", f"The kernel's image id; {_FROM_MANIFEST}"),
            _text("--ramdisk", "ID", f"The ramdisk's image id; {_FROM_MANIFEST}"),
            Argument("--public", {"action": "store_true", "help": "Let every account read it."}),
        ),
    ),
    Command(
        "image",
        "list",
        "List the images of an account, or of all accounts.",
        _list,
        (Argument("account", {"metavar": "ACCOUNT", "nargs": "?", "help": "The account's name or 12-digit id."}),),
    ),
    Command(
        "image",
        "deregister",
        "Remove an image and its bytes; its bundle stays in its bucket.",
        _deregister,
        (Argument("image", {"metavar": "IMAGE", "help": "The image's id."}),),
    ),
)
