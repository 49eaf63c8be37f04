"""Taking in the directories of nova's objectstore of 2010 (the twisted one), as they lie there.

What it kept, in files: ``BUCKETS/<bucket>.json`` with ``ownerId`` (a project's name) beside the directory ``BUCKETS/<bucket>/``,
whose files are the objects, a ``/`` in a key being a directory; and ``IMAGES/<image id>/`` with ``image`` and ``info.json``
(imageId, imageLocation, imageOwnerId, isPublic, architecture, imageType or type, imageState, kernelId, ramdiskId, displayName,
description).

Laws:

- The originals are read and linked, never written, moved or removed. The store that wrote them must be stopped, and stay so:
  it overwrote files in place, and a hard link shares their bytes.
- It can be run again: what was taken in and has not changed costs a look; what changed is taken in anew. An object that
  somebody else put under the key is left alone, and told of.
- One file's trouble is told and does not end the rest. Symbolic links are not followed, nor pipes waited for, even where
  somebody exchanges files while they are taken in: what is read, and linked, is the file that was opened from the root down.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, ParamSpec, Protocol, TypeVar

from nova_objectstore.data.engine import DataEngine
from nova_objectstore.domain.buckets import Buckets
from nova_objectstore.domain.commit import Commits
from nova_objectstore.errors import EngineError, NoSuchAccount, NoSuchBucket, NoSuchKey, StoreError
from nova_objectstore.images.errors import NoSuchImage
from nova_objectstore.images.legacy_scan import (
    Found,
    FoundBucket,
    Problem,
    look,
    scan_buckets,
    scan_images,
    scan_objects,
    stamp_of,
    unreadable,
)
from nova_objectstore.images.local_files import FileFacts, digest_file
from nova_objectstore.images.ports import LIVING, Image, ImageState, ImageStore, ImageType
from nova_objectstore.images.registry import check_image_id, check_text
from nova_objectstore.images.rooted_files import open_below
from nova_objectstore.limits import INLINE_SIZE_MAX, KEY_BYTES_MAX, KiB
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import Bucket, Content, ContentKind, NewVersion, Version, WriteCondition
from nova_wsgi import green

JSON_BYTES_MAX = 64 * KiB  # bucket.json has 30 bytes, info.json some 400
STAMP = "legacy"  # the fact of a version that says which state of which file it was made from
HEADERS = {"Content-Type": "binary/octet-stream"}  # the old store kept no types; this is S3's for none

CHANGED = "It changed while it was read: the old store must be stopped."

_architecture = re.compile(r"[A-Za-z0-9_]{1,16}").fullmatch


class Trouble(Exception):
    """Why one bucket, object or image is not taken in: a sentence."""


class Adopt(Protocol):
    """What a data engine with files can do: take a file of somebody else's in by a hard link (``FilesEngine.adopt``)."""

    def __call__(self, path: Path, /) -> str | None:
        """A durable ref, or None where it cannot be linked. Blocking."""
        ...


ResolveOwner = Callable[[str], str]
"""From a project's name, as the old store has it, to an account's id. Raises StoreErrors."""


class OwnersByName:
    """:data:`ResolveOwner`: what ``mapping`` says, then the account that has the project's name, then ``default``.

    ``mapping`` is from projects to account ids.
    """

    def __init__(self, meta: MetadataEngine, mapping: Mapping[str, str] = {}, *, default: str | None = None) -> None:
        self._meta = meta
        self._mapping = mapping
        self._default = default

    def __call__(self, project: str) -> str:
        """The account's id. Raises NoSuchAccount."""
        if project in self._mapping:
            return self._meta.find_account(self._mapping[project]).id
        try:
            return self._meta.find_account_by(name=project).id
        except NoSuchAccount:
            if self._default is None:
                raise
            return self._default


@dataclass(slots=True)
class ImportReport:
    """What was done. ``linked`` and ``copied`` count files of objects and images."""

    buckets: int = 0
    objects: int = 0
    images: int = 0
    unchanged: int = 0
    linked: int = 0
    copied: int = 0
    size: int = 0
    problems: list[Problem] = field(default_factory=list)


class ImportProgress(NamedTuple):
    """How far it is: files looked at and found, bytes likewise, and the file that comes next."""

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    path: str


F = TypeVar("F", Found, FoundBucket)
P = ParamSpec("P")
R = TypeVar("R")

_NOTHING = ImportProgress(0, 0, 0, 0, "")


class LegacyImport:
    """Takes directories in. ``adopt`` makes hard links; without it, and where they cannot be, bytes are copied."""

    def __init__(
        self,
        meta: MetadataEngine,
        images: ImageStore,
        data: DataEngine,
        buckets: Buckets,
        *,
        resolve_owner: ResolveOwner,
        now_us: Callable[[], int],
        adopt: Adopt | None = None,
        inline_size_max: int = INLINE_SIZE_MAX,
        progress: Callable[[ImportProgress], None] | None = None,
    ) -> None:
        self._meta = meta
        self._images = images
        self._data = data
        self._commits = Commits(data)
        self._buckets = buckets
        self._resolve_owner = resolve_owner
        self._now_us = now_us
        self._adopt = adopt
        self._inline_size_max = inline_size_max
        self._progress = progress
        self._report = ImportReport()
        self._totals = _NOTHING

    def run(self, *, buckets_path: Path | None = None, images_path: Path | None = None) -> ImportReport:
        """Take in what is there. Raises NotADirectoryError for a path that is none, StorageFull, StorageFailed."""
        for path in (buckets_path, images_path):
            if path is not None and not path.is_dir():
                raise NotADirectoryError(f"{path} is not a directory")
        self._report = ImportReport()
        self._totals = _survey(buckets_path, images_path)
        if buckets_path is not None:
            for bucket in self._without_problems(scan_buckets(buckets_path)):
                self._take_bucket(bucket)
        if images_path is not None:
            for image in self._without_problems(scan_images(images_path)):
                self._tell(image)
                self._try(image.path, self._take_image, image)
        self._tell(None)
        return self._report

    def _without_problems(self, scan: Iterator[F | Problem]) -> Iterator[F]:
        for found in scan:
            if isinstance(found, Problem):
                self._report.problems.append(found)
            else:
                yield found

    def _tell(self, found: Found | None) -> None:
        """``found`` comes next; None: nothing does."""
        if self._progress is not None:
            self._progress(self._totals._replace(path="" if found is None else str(found.path)))
        if found is not None:
            totals = self._totals
            self._totals = totals._replace(files_done=totals.files_done + 1, bytes_done=totals.bytes_done + found.size)

    def _try(self, path: Path, step: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
        """Run a step; its own trouble is told (the answer is None then), that of the storage ends all."""
        try:
            return step(*args, **kwargs)
        except EngineError:
            raise
        except Trouble as trouble:
            self._report.problems.append(Problem(str(path), str(trouble)))
        except StoreError as error:
            sentence = error.message or f"It was refused: {type(error).__name__} ({error})."
            self._report.problems.append(Problem(str(path), sentence))
        except OSError as error:
            self._report.problems.append(unreadable(path, error))
        return None

    # -- buckets and objects -----------------------------------------------------------------------------------------

    def _take_bucket(self, found: FoundBucket) -> None:
        bucket = self._try(found.directory, self._open_bucket, found)
        for file in self._without_problems(scan_objects(found.directory)):
            self._tell(file)
            if bucket is not None:
                self._try(file.path, self._take_object, bucket, file)

    def _open_bucket(self, found: FoundBucket) -> Bucket:
        owner_id = self._owner(_read_json(found.description, found.description.parent).get("ownerId"))
        try:
            bucket = self._buckets.find(found.name)
        except NoSuchBucket:
            bucket = self._buckets.create(found.name, owner_id=owner_id)
            self._report.buckets += 1
        if bucket.owner_id != owner_id:
            raise Trouble("There is a bucket of that name, and it is another account's.")
        return bucket

    def _owner(self, name: Any) -> str:
        if not isinstance(name, str) or not name:
            raise Trouble("It does not say who owns it.")
        try:
            return self._resolve_owner(name)
        except EngineError:
            raise
        except StoreError as error:
            raise Trouble(f"Its owner {name!r} has no account: {error}.") from error

    def _take_object(self, bucket: Bucket, found: Found) -> None:
        _check_key(found.name)
        current = self._find_current(bucket, found.name)
        condition = WriteCondition(if_none_match=True)
        if current is not None:
            if current.extra.get(STAMP) == found.stamp:
                self._report.unchanged += 1
                return
            if STAMP not in current.extra:
                raise Trouble("There is an object under its key that did not come from here: it is left alone.")
            condition = WriteCondition(if_match=current.etag)
        content, facts = self._take_file(found, self._inline_size_max)
        new = NewVersion(
            key=found.name,
            size=facts.size,
            etag=facts.etag,
            modified_us=found.modified_us,
            owner_id=bucket.owner_id,
            content=content,
            headers=HEADERS,
            checksum=facts.checksum,
            extra={STAMP: found.stamp},
        )
        self._commits.commit(content, lambda: self._meta.put_version(bucket, new, condition))
        self._report.objects += 1

    def _find_current(self, bucket: Bucket, key: str) -> Version | None:
        try:
            return self._meta.get_version(bucket.id, key, inline=False)
        except NoSuchKey:
            return None

    # -- images ------------------------------------------------------------------------------------------------------

    def _take_image(self, found: Found) -> None:
        info = _read_json(found.path.with_name("info.json"), found.root)
        image = self._read_image(found.name, info)
        with contextlib.suppress(NoSuchImage):
            if self._images.get_image(image.image_id).state in LIVING:
                self._report.unchanged += 1
                return
        content, facts = self._take_file(found, -1)
        image = image._replace(size=facts.size, etag=facts.etag, ref=content.ref)
        self._commits.commit(content, lambda: self._images.create_image(image))
        self._report.images += 1

    def _read_image(self, image_id: str, info: dict[str, Any]) -> Image:
        state = info.get("imageState") or info.get("state") or "available"
        if state != "available":
            raise Trouble(f"It is {state!r}: only what is available can be taken in.")
        kind = info.get("imageType") or info.get("type") or "machine"
        architecture = info.get("architecture") or "x86_64"
        try:
            image_type = ImageType(kind)
            name, description = _text(info, "displayName"), _text(info, "description")
            check_image_id(image_id)
            check_text("name", name)
            check_text("description", description)
        except (ValueError, StoreError) as error:
            raise Trouble(f"Its info.json says what an image cannot be: {error}.") from error
        if not isinstance(architecture, str) or not _architecture(architecture):
            raise Trouble("Its info.json has an architecture that is none.")
        now_us = self._now_us()
        return Image(
            image_id=image_id,
            owner_id=self._owner(info.get("imageOwnerId")),
            location=_text(info, "imageLocation"),
            image_type=image_type,
            architecture=architecture,
            state=ImageState.AVAILABLE,
            created_us=now_us,
            kernel_id=_text(info, "kernelId"),
            ramdisk_id=_text(info, "ramdiskId"),
            name=name,
            description=description,
            is_public=info.get("isPublic") is True,
            changed_us=now_us,
        )

    # -- bytes -------------------------------------------------------------------------------------------------------

    def _take_file(self, file: Found, inline_size_max: int) -> tuple[Content, FileFacts]:
        """The file's bytes in the store, unsettled. Raises Trouble when it changed meanwhile."""
        with _open(file.path, file.root) as opened:
            if stamp_of(os.fstat(opened.fileno())) != file.stamp:
                raise Trouble(CHANGED)
            content, facts = self._take_opened(file, opened, inline_size_max)
        again = look(file.name, file.path, file.root)
        if again != file or facts.size != file.size:
            self._commits.discard(content)
            raise Trouble(CHANGED)
        self._report.size += file.size
        return content, facts

    def _take_opened(self, file: Found, opened: BinaryIO, inline_size_max: int) -> tuple[Content, FileFacts]:
        if file.size <= inline_size_max:
            body = opened.read(file.size + 1)
            self._report.copied += 1
            return Content(ContentKind.INLINE, inline=body), digest_file(io.BytesIO(body))
        ref = green.run_native(self._adopt, file.path) if self._adopt is not None else None
        return self._link(ref, opened) if ref is not None else self._copy(file, opened)

    def _link(self, ref: str, opened: BinaryIO) -> tuple[Content, FileFacts]:
        content = Content(ContentKind.DATA, ref)
        try:
            if not green.run_native(self._is_linked, ref, opened):
                raise Trouble(CHANGED)
            facts = green.run_native(digest_file, opened)
        except (OSError, Trouble, StoreError):
            self._commits.discard(content)
            raise
        self._report.linked += 1
        return content, facts

    def _is_linked(self, ref: str, opened: BinaryIO) -> bool:
        """Whether the link leads to the file that is open: the way to its name may have been exchanged."""
        reader = self._data.open(ref)
        try:
            fd = reader.fileno()
            return fd is not None and os.path.samestat(os.fstat(fd), os.fstat(opened.fileno()))
        finally:
            reader.close()

    def _copy(self, file: Found, opened: BinaryIO) -> tuple[Content, FileFacts]:
        writer = green.run_native(self._data.create, file.size)
        try:
            facts = green.run_native(digest_file, opened, writer)
            ref = green.run_native(writer.commit)
        except BaseException:  # an interrupt too: half a file is of no use
            green.run_native(writer.abort)
            raise
        self._report.copied += 1
        return Content(ContentKind.DATA, ref), facts


def _survey(buckets_path: Path | None, images_path: Path | None) -> ImportProgress:
    """How many files there are, and bytes; their problems are told when it is their turn."""
    count = size = 0
    scans = [scan_images(images_path)] if images_path is not None else []
    if buckets_path is not None:
        buckets = (found for found in scan_buckets(buckets_path) if isinstance(found, FoundBucket))
        scans.extend(scan_objects(found.directory) for found in buckets)
    for scan in scans:
        for found in scan:
            if isinstance(found, Found):
                count += 1
                size += found.size
    return ImportProgress(0, count, 0, size, "")


def _check_key(key: str) -> None:
    try:
        size = len(key.encode("utf-8"))
    except UnicodeEncodeError:
        raise Trouble("Its name is not UTF-8, as keys are.") from None
    if size > KEY_BYTES_MAX:
        raise Trouble(f"Its key would have more than {KEY_BYTES_MAX} bytes.")


def _open(path: Path, root: Path) -> BinaryIO:
    return open_below(root, path.relative_to(root))


def _read_json(path: Path, root: Path) -> dict[str, Any]:
    with _open(path, root) as file:
        body = file.read(JSON_BYTES_MAX + 1)
    try:
        if len(body) > JSON_BYTES_MAX:
            raise ValueError("too large")
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Trouble(f"{path.name} is not a JSON document: {error}.") from error
    if not isinstance(document, dict):
        raise Trouble(f"{path.name} is not a JSON object.")
    return document


def _text(info: dict[str, Any], name: str) -> str:
    value = info.get(name)
    return value if isinstance(value, str) else ""
