"""The store's facts in an administrator's words: one line each."""

from __future__ import annotations

from nova_objectstore import errors
from nova_objectstore.delivery import errors as delivery
from nova_objectstore.iam import errors as iam
from nova_objectstore.images import errors as images

_WORDS: dict[type[errors.StoreError], str] = {
    errors.NoSuchAccount: "no such account",
    errors.NoSuchAccessKey: "no such access key",
    errors.NoSuchBucket: "no such bucket",
    errors.NoSuchKmsKey: "no such key",
    errors.KmsKeyExists: "there is a key of that id already",
    errors.AccountExists: "an account of that name or id exists already",
    errors.AccessKeyExists: "that access key is somebody's already",
    errors.AccountNotEmpty: "the account still owns buckets",
    errors.NoSuchKey: "no such object",
    iam.NoSuchEntity: "not there",
    iam.EntityAlreadyExists: "there is one of that name already",
    iam.DeleteConflict: "not yet",
    iam.LimitExceeded: "there may be no more",
    images.NoSuchImage: "no such image",
    images.ImageExists: "there is an image of that id already",
    images.ImageNameTaken: "another image of the account has that name",
    images.InvalidImageId: "not the id of an image",
    images.InvalidLocation: "not the place of a manifest, BUCKET/KEY",
    delivery.NoSuchSubscription: "no such subscription",
    errors.SchemaTooNew: "the database was written by a later release",
    errors.StorageFull: "no space left on the disk",
    errors.StorageFailed: "the disk or the database failed",
}


def describe(error: errors.StoreError) -> str:
    """One line: the error's own message, or words for its class with its facts; what the system said behind it."""
    text = error.message or _describe_facts(error)
    cause = error.__cause__ if isinstance(error, errors.EngineError) else None
    return " ".join(f"{text}: {cause}".split() if cause else text.split())


def _describe_facts(error: errors.StoreError) -> str:
    words = next((_WORDS[kind] for kind in type(error).__mro__ if kind in _WORDS), type(error).__name__)
    facts = ", ".join(str(value) for value in error.facts.values())
    return f"{words}: {facts}" if facts else words
