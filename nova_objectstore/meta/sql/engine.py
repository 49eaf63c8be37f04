"""SqlEngine: the port's verbs as a table: which function each one is, and whether it reads or writes.

    read       one statement
    snapshot   several statements that must see the same state
    write      a transaction of its own, or its part of one shared with others; durable when it returns

An engine for one database says how a function is run in each of these ways.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec, TypeVar

from nova_objectstore.meta.secrets_port import SecretSeal
from nova_objectstore.meta.sql import (
    accounts,
    announced,
    buckets,
    delivery,
    garbage,
    iam,
    iam_policies,
    iam_providers,
    images,
    integrity,
    key_uses,
    lifecycle,
    lifecycle_rules,
    listings,
    parts,
    quotas,
    storage,
    uploads,
    versions,
)
from nova_objectstore.meta.sql.transaction import Transaction
from nova_objectstore.types import AccessKey, Account, Version

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
    """The verbs of ``meta.engine.MetadataEngine``. Each one's documentation stands there.

    ``secrets`` seals secret keys on their way in and opens them on their way out, outside of transactions.
    """

    def __init__(self, secrets: SecretSeal) -> None:
        self._secrets = secrets

    def _sealed(self, key: AccessKey) -> AccessKey:
        return key._replace(secret_key=self._secrets.seal(key.access_key, key.secret_key))

    def _opened(self, key: AccessKey) -> AccessKey:
        return key._replace(secret_key=self._secrets.open(key.access_key, key.secret_key))

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

    def create_account(self, account: Account, root_key: AccessKey | None) -> None:
        """As the port has it."""
        self._write(accounts.create_account, (account, root_key and self._sealed(root_key)), {})

    find_account = read(accounts.find_account)
    find_account_by = read(accounts.find_account_by)
    list_accounts = read(accounts.list_accounts)
    delete_account = write(accounts.delete_account)

    def create_access_key(self, key: AccessKey) -> None:
        """As the port has it."""
        self._write(accounts.create_access_key, (self._sealed(key),), {})

    def find_access_key(self, access_key: str) -> AccessKey:
        """As the port has it."""
        return self._opened(self._read(accounts.find_access_key, (access_key,), {}))

    def list_access_keys(self, account_id: str) -> Sequence[AccessKey]:
        """As the port has it."""
        return [self._opened(key) for key in self._read(accounts.list_access_keys, (account_id,), {})]

    set_access_key_active = write(accounts.set_access_key_active)
    delete_access_key = write(accounts.delete_access_key)

    create_bucket = write(buckets.create_bucket)
    find_bucket = read(buckets.find_bucket)
    bucket_of_id = read(buckets.bucket_of_id)
    list_buckets = read(buckets.list_buckets)
    delete_bucket = write(buckets.delete_bucket)
    set_versioning = write(buckets.set_versioning)
    set_object_lock = write(buckets.set_object_lock)
    usage = read(buckets.usage)

    get_document = read(buckets.get_document)
    get_documents = read(buckets.get_documents)
    put_document = write(buckets.put_document)
    delete_document = write(buckets.delete_document)

    put_version = write(announced.put_version)
    delete_object = write(announced.delete_object)
    delete_version = write(announced.delete_version)
    delete_objects = write(announced.delete_objects)
    rename_object = write(announced.rename_object)
    set_tags = write(announced.set_tags)
    set_extra = write(announced.set_extra)
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
    complete_upload = write(announced.complete_upload)
    abort_upload = write(uploads.abort_upload)
    list_uploads = snapshot(listings.list_uploads)

    list_garbage = read(garbage.list_garbage)
    forget_garbage = write(garbage.forget_garbage)
    queue_unnamed = write(garbage.queue_unnamed)
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

    # meta.storage_port.StorageStore
    move_version = write(storage.move_version)
    request_restore = write(storage.request_restore)
    find_restore = read(storage.find_restore)
    find_restores = snapshot(storage.find_restores)
    claim_restore = write(storage.claim_restore)
    renew_restore = write(storage.renew_restore)
    finish_restore = write(storage.finish_restore)
    release_restore = write(storage.release_restore)
    give_restore_up = write(storage.give_restore_up)
    list_expired_restores = read(storage.list_expired_restores)
    expire_restores = write(storage.expire_restores)
    list_class_places = read(storage.list_class_places)
    record_class_place = write(storage.record_class_place)
    uses_class_place = read(storage.uses_class_place)
    forget_class_place = write(storage.forget_class_place)

    # iam.ports.IamStore
    create_entity = write(iam.create_entity)
    find_entity = read(iam.find_entity)
    list_entities = read(iam.list_entities)
    update_entity = write(iam.update_entity)
    delete_entity = write(iam.delete_entity)
    add_member = write(iam.add_member)
    remove_member = write(iam.remove_member)
    list_members = snapshot(iam.list_members)
    list_groups_of = snapshot(iam.list_groups_of)

    def create_entity_key(self, key: AccessKey, *, keys_max: int) -> None:
        """As the port has it."""
        self._write(iam.create_entity_key, (self._sealed(key),), {"keys_max": keys_max})

    def list_entity_keys(self, account_id: str, user: str | None) -> Sequence[AccessKey]:
        """As the port has it."""
        return [self._opened(key) for key in self._snapshot(iam.list_entity_keys, (account_id, user), {})]

    set_entity_key_active = write(iam.set_entity_key_active)
    delete_entity_key = write(iam.delete_entity_key)
    create_provider = write(iam_providers.create_provider)
    find_provider = read(iam_providers.find_provider)
    list_providers = read(iam_providers.list_providers)
    update_provider = write(iam_providers.update_provider)
    delete_provider = write(iam_providers.delete_provider)
    count_account = snapshot(iam.count_account)
    note_key_uses = write(key_uses.note_key_uses)
    find_key_use = read(key_uses.find_key_use)

    put_inline_policy = write(iam_policies.put_inline_policy)
    find_inline_policy = snapshot(iam_policies.find_inline_policy)
    list_inline_policies = snapshot(iam_policies.list_inline_policies)
    delete_inline_policy = write(iam_policies.delete_inline_policy)
    create_policy = write(iam_policies.create_policy)
    find_policy = read(iam_policies.find_policy)
    list_policies = read(iam_policies.list_policies)
    tag_policy = write(iam_policies.tag_policy)
    delete_policy = write(iam_policies.delete_policy)
    create_policy_version = write(iam_policies.create_policy_version)
    list_policy_versions = snapshot(iam_policies.list_policy_versions)
    set_default_version = write(iam_policies.set_default_version)
    delete_policy_version = write(iam_policies.delete_policy_version)
    attach_policy = write(iam_policies.attach_policy)
    detach_policy = write(iam_policies.detach_policy)
    list_attached_policies = snapshot(iam_policies.list_attached_policies)
    list_policy_entities = read(iam_policies.list_policy_entities)
    count_policy_uses = snapshot(iam_policies.count_policy_uses)
    policies_of = snapshot(iam_policies.policies_of)
    policies_of_role = snapshot(iam_policies.policies_of_role)

    # meta.lifecycle_port.LifecycleStore
    put_lifecycle = write(lifecycle_rules.put_lifecycle)
    delete_lifecycle = write(lifecycle_rules.delete_lifecycle)
    get_lifecycle = snapshot(lifecycle.get_lifecycle)
    put_looks = write(lifecycle.put_looks)
    list_lifecycle_work = read(lifecycle.list_lifecycle_work)
    walk_lifecycle = write(lifecycle.walk_lifecycle)
    list_due = snapshot(lifecycle.list_due)
    apply_decisions = write(lifecycle.apply_decisions)

    # delivery.ports.DeliveryStore
    create_topic = write(delivery.create_topic)
    get_topic = read(delivery.get_topic)
    list_topics = read(delivery.list_topics)
    update_topic = write(delivery.update_topic)
    delete_topic = write(delivery.delete_topic)
    create_subscription = write(delivery.create_subscription)
    get_subscription = read(delivery.get_subscription)
    list_subscriptions = read(delivery.list_subscriptions)
    list_subscriptions_of = read(delivery.list_subscriptions_of)
    confirm_subscription = write(delivery.confirm_subscription)
    set_subscription_attributes = write(delivery.set_subscription_attributes)
    delete_subscription = write(delivery.delete_subscription)
    publish_event = write(delivery.publish_event)
    is_delivery_due = read(delivery.is_delivery_due)
    claim_delivery = write(delivery.claim_delivery)
    list_waiting = read(delivery.list_waiting)
    record_outcome = write(delivery.record_outcome)
    list_queues = read(delivery.list_queues)
    get_queue = read(delivery.get_queue)
    retry_delivery = write(delivery.retry_delivery)
    drop_waiting = write(delivery.drop_waiting)
    forget_pending = write(delivery.forget_pending)

    # meta.integrity_port.IntegrityStore
    list_stored = read(integrity.list_stored)
    list_stored_parts = read(integrity.list_stored_parts)
    live_refs = snapshot(integrity.live_refs)
    record_damage = write(integrity.record_damage)
    list_damages = read(integrity.list_damages)
    forget_damage = write(integrity.forget_damage)
    get_scrub = read(integrity.get_scrub)
    put_scrub = write(integrity.put_scrub)
    compare_usage = snapshot(integrity.compare_usage)
    rewrite_usage = write(integrity.rewrite_usage)
    put_hold = write(integrity.put_hold)
    renew_hold = write(integrity.renew_hold)
    drop_hold = write(integrity.drop_hold)
    is_held = read(integrity.is_held)

    # meta.quota_port.QuotaStore
    set_bucket_quota = write(quotas.set_bucket_quota)
    set_account_quota = write(quotas.set_account_quota)
    get_bucket_quota = snapshot(quotas.get_bucket_quota)
    get_account_quota = snapshot(quotas.get_account_quota)
    list_quotas = snapshot(quotas.list_quotas)
