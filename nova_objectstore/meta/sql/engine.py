"""SqlEngine: the port's verbs as a table: which function each one is, and whether it reads or writes.

    read       one statement
    snapshot   several statements that must see the same state
    write      a transaction of its own, or its part of one shared with others; durable when it returns

An engine for one database says how a function is run in each of these ways.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from nova_objectstore.meta.sql import (
    accounts,
    buckets,
    deletions,
    garbage,
    images,
    listings,
    parts,
    renames,
    uploads,
    versions,
)
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import Version

P = ParamSpec("P")
R = TypeVar("R")
Verb = Callable[Concatenate[Transaction, P], R]
Method = Callable[Concatenate["SqlEngine", P], R]


def read(verb: Verb[P, R]) -> Method[P, R]:
    """A verb of one reading statement."""

    def method(self: SqlEngine, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._read(verb, args, kwargs)

    return _named_after(verb, method)


def snapshot(verb: Verb[P, R]) -> Method[P, R]:
    """A verb of several reading statements that see one state."""

    def method(self: SqlEngine, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._snapshot(verb, args, kwargs)

    return _named_after(verb, method)


def write(verb: Verb[P, R]) -> Method[P, R]:
    """A verb that changes something."""

    def method(self: SqlEngine, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._write(verb, args, kwargs)

    return _named_after(verb, method)


def _named_after(verb: Verb[P, R], method: Method[P, R]) -> Method[P, R]:
    method.__name__ = verb.__name__
    method.__qualname__ = f"SqlEngine.{verb.__name__}"
    method.__doc__ = verb.__doc__
    return method


class SqlEngine(ABC):
    """The verbs of ``meta.engine.MetadataEngine``. Each one's documentation stands there."""

    @abstractmethod
    def _read(self, verb: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        """Run a verb of one reading statement."""

    @abstractmethod
    def _snapshot(self, verb: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        """Run a verb whose statements must see one state."""

    @abstractmethod
    def _write(self, verb: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
        """Run a verb that writes; return when it is durable."""

    epoch = read(accounts.epoch)

    def get_version(self, bucket_id: int, key: str, version_id: str | None = None, *, inline: bool = True) -> Version:
        """The current version, or the one named."""
        # PERF: one statement finds what most requests ask for; only what it does not find needs a snapshot.
        if version_id is None:
            version = self._read(versions.get_current_version, (bucket_id, key), {"inline": inline})
            if version is not None:
                return version
        return self._snapshot(versions.get_version, (bucket_id, key, version_id), {"inline": inline})

    create_account = write(accounts.create_account)
    find_account = read(accounts.find_account)
    find_account_by = read(accounts.find_account_by)
    list_accounts = read(accounts.list_accounts)
    delete_account = write(accounts.delete_account)
    create_access_key = write(accounts.create_access_key)
    find_access_key = read(accounts.find_access_key)
    list_access_keys = read(accounts.list_access_keys)
    set_access_key_active = write(accounts.set_access_key_active)
    delete_access_key = write(accounts.delete_access_key)

    create_bucket = write(buckets.create_bucket)
    find_bucket = read(buckets.find_bucket)
    list_buckets = read(buckets.list_buckets)
    delete_bucket = write(buckets.delete_bucket)
    set_versioning = write(buckets.set_versioning)
    set_object_lock = write(buckets.set_object_lock)
    usage = read(buckets.usage)

    get_document = read(buckets.get_document)
    get_documents = read(buckets.get_documents)
    put_document = write(buckets.put_document)
    delete_document = write(buckets.delete_document)

    put_version = write(versions.put_version)
    delete_object = write(deletions.delete_object)
    delete_version = write(deletions.delete_version)
    delete_objects = write(deletions.delete_objects)
    rename_object = write(renames.rename_object)
    set_tags = write(versions.set_tags)
    set_extra = write(versions.set_extra)
    set_retention = write(versions.set_retention)
    set_legal_hold = write(versions.set_legal_hold)
    list_content_parts = read(parts.list_content_parts)
    get_content_part = read(parts.get_content_part)

    list_objects = snapshot(listings.list_objects)
    list_versions = snapshot(listings.list_versions)

    begin_upload = write(uploads.begin_upload)
    get_upload = read(uploads.get_upload)
    put_part = write(uploads.put_part)
    list_parts = snapshot(uploads.list_parts)
    complete_upload = write(uploads.complete_upload)
    abort_upload = write(uploads.abort_upload)
    list_uploads = snapshot(listings.list_uploads)

    list_garbage = read(garbage.list_garbage)
    forget_garbage = write(garbage.forget_garbage)
    known_refs = snapshot(garbage.known_refs)

    # images.ports.ImageStore
    create_image = write(images.create_image)
    get_image = snapshot(images.get_image)
    list_images = snapshot(images.list_images)
    update_image = write(images.update_image)
    deregister_image = write(images.deregister_image)
    forget_deregistered = write(images.forget_deregistered)
    claim_pending = write(images.claim_pending)
    renew_lease = write(images.renew_lease)
    release_claim = write(images.release_claim)
