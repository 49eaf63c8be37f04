"""Users, groups, roles, policies and keys as the elements of IAM's answers."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from nova_objectstore.iam.ports import Entity, EntityKind, ManagedPolicy, PolicyUse, PolicyVersion
from nova_objectstore.query.documents import element, flag, iso_time, optional, structure, tag_list
from nova_objectstore.types import AccessKey

UNUSED = PolicyUse(0, 0)


def encoded(document: str) -> str:
    """A policy document as answers carry it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


def _facts(entity: Entity) -> Iterator[str]:
    kind = entity.kind.capitalize()
    yield element("Path", entity.path)
    yield element(f"{kind}Name", entity.name)
    yield element(f"{kind}Id", entity.id)
    yield element("Arn", entity.arn)
    yield element("CreateDate", iso_time(entity.created_us))
    if entity.kind is EntityKind.ROLE:
        yield element("AssumeRolePolicyDocument", encoded(entity.trust))


def entity_row(entity: Entity) -> str:
    """As lists have it: without boundary and tags."""
    return "".join((*_facts(entity), *_role_facts(entity)))


def _role_facts(entity: Entity) -> Iterator[str]:
    if entity.kind is EntityKind.ROLE:
        yield optional("Description", entity.description)
        yield element("MaxSessionDuration", str(entity.max_session_s))


def entity_whole(entity: Entity) -> str:
    """All that there is to say of it."""
    return "".join((*_facts(entity), *_role_facts(entity), *_further(entity)))


def entity_detail(entity: Entity) -> str:
    """As GetAccountAuthorizationDetails has it: of a role without what decides nothing."""
    return "".join((*_facts(entity), *_further(entity)))


def _further(entity: Entity) -> Iterator[str]:
    if entity.boundary:
        yield structure(
            "PermissionsBoundary",
            (
                element("PermissionsBoundaryType", "PermissionsBoundaryPolicy"),
                element("PermissionsBoundaryArn", entity.boundary),
            ),
        )
    if entity.tags:
        yield tag_list(entity.tags)


def policy_row(policy: ManagedPolicy, use: PolicyUse = UNUSED) -> str:
    """A managed policy as lists have it."""
    return "".join(
        (
            element("PolicyName", policy.name),
            element("PolicyId", policy.id),
            element("Arn", policy.arn),
            element("Path", policy.path),
            element("DefaultVersionId", f"v{policy.default_number}"),
            element("AttachmentCount", str(use.attached)),
            element("PermissionsBoundaryUsageCount", str(use.boundaries)),
            flag("IsAttachable", True),
            element("CreateDate", iso_time(policy.created_us)),
            element("UpdateDate", iso_time(policy.changed_us)),
        )
    )


def policy_whole(policy: ManagedPolicy, use: PolicyUse = UNUSED) -> str:
    """All that there is to say of a managed policy."""
    tags = tag_list(policy.tags) if policy.tags else ""
    return policy_row(policy, use) + optional("Description", policy.description) + tags


def version_row(version: PolicyVersion, *, default: int, document: bool) -> str:
    """A version of a managed policy, with its document or without."""
    return "".join(
        (
            element("Document", encoded(version.document)) if document else "",
            element("VersionId", f"v{version.number}"),
            flag("IsDefaultVersion", version.number == default),
            element("CreateDate", iso_time(version.created_us)),
        )
    )


def attached_row(arn: str) -> str:
    """A managed policy as a list of what is attached has it."""
    return element("PolicyName", arn.rpartition("/")[2]) + element("PolicyArn", arn)


def key_row(key: AccessKey, *more: str) -> str:
    """A key pair without its secret."""
    return "".join(
        (
            optional("UserName", key.user_name or ""),
            element("AccessKeyId", key.access_key),
            element("Status", "Active" if key.active else "Inactive"),
            *more,
            element("CreateDate", iso_time(key.created_us)),
        )
    )
