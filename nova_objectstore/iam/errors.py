"""What can go wrong with IAM's things, as facts; ``iam/service.py`` has AWS's code and status for each."""

from __future__ import annotations

from nova_objectstore.errors import ConflictError, MissingError, RequestFault


class NoSuchEntity(MissingError):
    """``kind``, ``name``: there is no such user, group, role, policy, version, key or provider."""


class EntityAlreadyExists(ConflictError):
    """``kind``, ``name``: another one has that name; case does not matter."""


class DeleteConflict(ConflictError):
    """``reason``: something still belongs to what is to be deleted."""


class LimitExceeded(ConflictError):
    """``quota``, ``limit``: there may be no more of them."""


class MalformedPolicyDocument(RequestFault):
    """A policy document that is none."""


class InvalidInput(RequestFault):
    """A value that does not fit what it is for."""


class ValidationFailed(RequestFault):
    """A value that breaks a constraint of IAM's model: its length, its characters."""


class UnmodifiableEntity(ConflictError):
    """AWS's managed policies are everybody's: nobody changes them."""
