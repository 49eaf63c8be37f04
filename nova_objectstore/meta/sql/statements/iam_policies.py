"""Statements of inline and managed policies, and of what is attached to whom."""

from __future__ import annotations

from nova_objectstore.meta.sql.core import sa, t
from nova_objectstore.meta.sql.statement import Core, Param, statement, statement_of
from nova_objectstore.meta.sql.statements.iam import ENTITY

POLICY = (
    "account_id", "name", "path", "id", "description", "created_us", "changed_us", "default_number", "tags",
    "last_number",
)  # fmt: skip

# -- inline ------------------------------------------------------------------------------------------------------------


@statement
def find_inline_policy(entity_id: Param, name: Param) -> Core:
    policies = t.iam_inline_policies.c
    return sa.select(policies.document).where(policies.entity_id == entity_id, policies.name == name)


@statement
def list_inline_policies(entity_id: Param, after: Param, limit: Param) -> Core:
    policies = t.iam_inline_policies.c
    return (
        sa.select(policies.name, policies.document)
        .where(policies.entity_id == entity_id, policies.name > after)
        .order_by(policies.name)
        .limit(limit)
    )


@statement
def insert_inline_policy(entity_id: Param, name: Param, document: Param) -> Core:
    return sa.insert(t.iam_inline_policies).values(entity_id=entity_id, name=name, document=document)


@statement
def delete_inline_policy(entity_id: Param, name: Param) -> Core:
    policies = t.iam_inline_policies.c
    return sa.delete(t.iam_inline_policies).where(policies.entity_id == entity_id, policies.name == name)


@statement
def delete_inline_policies_of(entity_id: Param) -> Core:
    return sa.delete(t.iam_inline_policies).where(t.iam_inline_policies.c.entity_id == entity_id)


# -- managed -----------------------------------------------------------------------------------------------------------


def _policy() -> list[Core]:
    return [t.iam_policies.c[name] for name in POLICY]


@statement_of((*POLICY, "folded"))
def insert_policy(values: dict[str, Param]) -> Core:
    return sa.insert(t.iam_policies).values(**values)


@statement
def find_policy(account_id: Param, folded: Param) -> Core:
    policies = t.iam_policies.c
    return sa.select(*_policy()).where(policies.account_id == account_id, policies.folded == folded)


@statement
def list_policies(account_id: Param, path: Param, after: Param, limit: Param) -> Core:
    policies = t.iam_policies.c
    return (
        sa.select(*_policy())
        .where(
            policies.account_id == account_id,
            policies.folded > after,
            sa.func.substr(policies.path, 1, sa.func.length(path)) == path,
        )
        .order_by(policies.folded)
        .limit(limit)
    )


@statement
def count_policies(account_id: Param) -> Core:
    return sa.select(sa.func.count()).where(t.iam_policies.c.account_id == account_id)


@statement
def update_policy_row(
    default_number: Param, last_number: Param, changed_us: Param, account_id: Param, folded: Param
) -> Core:
    policies = t.iam_policies
    return (
        sa.update(policies)
        .where(policies.c.account_id == account_id, policies.c.folded == folded)
        .values(default_number=default_number, last_number=last_number, changed_us=changed_us)
    )


@statement
def set_policy_tags(tags: Param, account_id: Param, folded: Param) -> Core:
    policies = t.iam_policies
    return sa.update(policies).where(policies.c.account_id == account_id, policies.c.folded == folded).values(tags=tags)


@statement
def delete_policy(account_id: Param, folded: Param) -> Core:
    policies = t.iam_policies.c
    return sa.delete(t.iam_policies).where(policies.account_id == account_id, policies.folded == folded)


@statement
def delete_policies_of(account_id: Param) -> Core:
    return sa.delete(t.iam_policies).where(t.iam_policies.c.account_id == account_id)


# -- versions ----------------------------------------------------------------------------------------------------------


@statement
def insert_policy_version(policy_id: Param, number: Param, document: Param, created_us: Param) -> Core:
    return sa.insert(t.iam_policy_versions).values(
        policy_id=policy_id, number=number, document=document, created_us=created_us
    )


@statement
def list_policy_versions(policy_id: Param) -> Core:
    versions = t.iam_policy_versions.c
    return (
        sa.select(versions.number, versions.document, versions.created_us)
        .where(versions.policy_id == policy_id)
        .order_by(versions.number.desc())
    )


@statement
def find_policy_version(policy_id: Param, number: Param) -> Core:
    versions = t.iam_policy_versions.c
    return sa.select(versions.document).where(versions.policy_id == policy_id, versions.number == number)


@statement
def delete_policy_version(policy_id: Param, number: Param) -> Core:
    versions = t.iam_policy_versions.c
    return sa.delete(t.iam_policy_versions).where(versions.policy_id == policy_id, versions.number == number)


@statement
def delete_policy_versions(policy_id: Param) -> Core:
    return sa.delete(t.iam_policy_versions).where(t.iam_policy_versions.c.policy_id == policy_id)


@statement
def count_policy_versions_of(account_id: Param) -> Core:
    policies, versions = t.iam_policies.c, t.iam_policy_versions.c
    return sa.select(sa.func.count(versions.number)).where(
        policies.account_id == account_id, policies.id == versions.policy_id
    )


@statement
def delete_policy_versions_of(account_id: Param) -> Core:
    policies = t.iam_policies.c
    owned = sa.select(policies.id).where(policies.account_id == account_id)
    return sa.delete(t.iam_policy_versions).where(t.iam_policy_versions.c.policy_id.in_(owned))


# -- attachments -------------------------------------------------------------------------------------------------------


@statement
def find_attachment(entity_id: Param, policy_arn: Param) -> Core:
    attachments = t.iam_attachments.c
    return sa.select(attachments.policy_arn).where(
        attachments.entity_id == entity_id, attachments.policy_arn == policy_arn
    )


@statement
def insert_attachment(entity_id: Param, policy_arn: Param) -> Core:
    return sa.insert(t.iam_attachments).values(entity_id=entity_id, policy_arn=policy_arn)


@statement
def delete_attachment(entity_id: Param, policy_arn: Param) -> Core:
    attachments = t.iam_attachments.c
    return sa.delete(t.iam_attachments).where(attachments.entity_id == entity_id, attachments.policy_arn == policy_arn)


@statement
def delete_attachments_of(entity_id: Param) -> Core:
    return sa.delete(t.iam_attachments).where(t.iam_attachments.c.entity_id == entity_id)


@statement
def list_attachments(entity_id: Param, after: Param, limit: Param) -> Core:
    attachments = t.iam_attachments.c
    return (
        sa.select(attachments.policy_arn)
        .where(attachments.entity_id == entity_id, attachments.policy_arn > after)
        .order_by(attachments.policy_arn)
        .limit(limit)
    )


@statement
def list_attached_entities(account_id: Param, policy_arn: Param) -> Core:
    entities, attachments = t.iam_entities.c, t.iam_attachments.c
    return sa.select(*(entities[name] for name in ENTITY)).where(
        attachments.policy_arn == policy_arn,
        attachments.entity_id == entities.id,
        entities.account_id == account_id,
    )


@statement
def list_bounded_entities(account_id: Param, policy_arn: Param) -> Core:
    entities = t.iam_entities.c
    return (
        sa.select(*(entities[name] for name in ENTITY))
        .where(entities.account_id == account_id, entities.boundary == policy_arn)
        .order_by(entities.kind, entities.folded)
    )


@statement
def list_attachments_in(account_id: Param) -> Core:
    entities, attachments = t.iam_entities.c, t.iam_attachments.c
    return sa.select(attachments.policy_arn).where(
        attachments.entity_id == entities.id, entities.account_id == account_id
    )


@statement
def list_boundaries_in(account_id: Param) -> Core:
    entities = t.iam_entities.c
    return sa.select(entities.boundary).where(
        entities.account_id == account_id, entities.boundary != sa.literal_column("''")
    )
