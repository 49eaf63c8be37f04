"""What a question of access knows beside who asks: of its request, of the object, of the principal and of the bucket."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from nova_objectstore.domain.policy.patterns import Facts
from nova_objectstore.errors import MissingError, NoSuchKey
from nova_objectstore.types import Bucket, Principal, SessionKind, Version


class Context(Facts, Protocol):
    """What a request knows of itself, computed when it is asked for."""

    def version(self) -> Version | None:
        """The version that the request is about, read once and kept; None when there is none."""
        ...

    def missing(self) -> MissingError | None:
        """Why ``version`` answered None."""
        ...

    def initiator(self) -> str | None:
        """The ARN of who began the upload that the request names; None when it names none."""
        ...

    def pays(self) -> bool:
        """Whether the request says that who asks will pay (AWS: x-amz-request-payer)."""
        ...

    def listing(self, prefix: str) -> Context:
        """What a listing of ``prefix`` by the same request would know."""
        ...


class StoredContext:
    """The context of what no S3 request asks for: it knows the object, and nothing of a client.

    ``find`` reads the version, and raises MissingError when there is none. ``told``: values of condition keys, in
    lower-case (``aws:sourcearn`` and ``aws:sourceaccount``, where a service acts for a bucket).
    """

    __slots__ = ("_find", "_is_read", "_missing", "_told", "_version")

    def __init__(self, find: Callable[[], Version], *, told: Mapping[str, str] | None = None) -> None:
        self._find = find
        self._told = told or {}
        self._is_read = False
        self._version: Version | None = None
        self._missing: MissingError | None = None

    def values(self, key: str) -> Sequence[str] | None:
        """The value that was told, or of a tag of the object; there are no other keys."""
        if key in self._told:
            return (self._told[key],)
        name, _, tag = key.partition("/")
        version = self.version() if name == "s3:existingobjecttag" else None
        return (version.tags[tag],) if version is not None and tag in version.tags else None

    def version(self) -> Version | None:
        """The version that is to be read, None when there is none."""
        if not self._is_read:
            self._is_read = True
            try:
                self._version = self._find()
            except MissingError as error:
                self._missing = error.anew()
        return self._version

    def missing(self) -> MissingError | None:
        """Why ``version`` answered None."""
        self.version()
        return self._missing.anew() if self._missing is not None else None

    def initiator(self) -> str | None:
        """There is no upload."""
        return None

    def pays(self) -> bool:
        """Nobody agreed to."""
        return False

    def listing(self, prefix: str) -> StoredContext:
        """Nothing more is known of a listing."""
        return self


def _nothing() -> Version:
    raise NoSuchKey


NO_CONTEXT = StoredContext(_nothing)


# -- what every principal and every bucket tell -----------------------------------------------------------------------


def _is_federated(principal: Principal) -> bool:
    return principal.begun is not None and principal.begun.kind is SessionKind.FEDERATED


def _principal_type(principal: Principal) -> str | None:
    if principal.service:
        return None
    if principal.is_anonymous:
        return "Anonymous"
    if principal.is_root:
        return "Account"
    if _is_federated(principal):
        return "FederatedUser"
    return "AssumedRole" if principal.role_arn else "User"


_PRINCIPAL_KEYS: Mapping[str, Callable[[Principal], str | None]] = {
    "aws:principalaccount": lambda principal: principal.account_id,
    "aws:principalarn": lambda principal: (
        principal.arn if _is_federated(principal) else principal.role_arn or principal.arn
    ),
    "aws:principaltype": _principal_type,
    "aws:principalisawsservice": lambda principal: "true" if principal.service else "false",
    "aws:principalservicename": lambda principal: principal.service,
    "aws:userid": lambda principal: (
        principal.user_id or principal.account_id or ("anonymous" if principal.is_anonymous else "")
    ),
    "aws:username": lambda principal: None if _is_federated(principal) else principal.user_name,
}
_BUCKET_KEYS = frozenset(("aws:resourceaccount", "s3:resourceaccount"))


class QuestionFacts:
    """The facts of a question: the principal's and the bucket's, which no request can say otherwise, then its own."""

    __slots__ = ("_bucket", "_context", "_principal")

    def __init__(self, principal: Principal, bucket: Bucket | None, context: Context) -> None:
        self._principal = principal
        self._bucket = bucket
        self._context = context

    def values(self, key: str) -> Sequence[str] | None:
        """The values of a condition key."""
        told = _PRINCIPAL_KEYS.get(key)
        if told is not None:
            value = told(self._principal)
            return (value,) if value else None
        if key in self._principal.session:
            return (self._principal.session[key],)
        if self._bucket is not None and key in _BUCKET_KEYS:
            return (self._bucket.owner_id,)
        return self._context.values(key)
