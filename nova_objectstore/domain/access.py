"""Who may do what: one question, asked by the pipeline for every request and by operations for second resources.

Laws:

- The answer to an unknown question is no.
- An account's root may do everything to its account's buckets that their policies do not deny.
- A bucket's rules are compiled when they changed and kept with the bucket as it was found; nothing is parsed per request.
- An object that another account owns is that account's: the bucket's policy may deny access to it and not give it. Where
  that counts, the version that was judged is the one to be answered (``Context.version`` keeps it).
- Who may not list a bucket does not learn which keys it has: what is missing is denied.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from nova_objectstore.domain.access_context import Context, QuestionFacts
from nova_objectstore.domain.acl import (
    BUCKET_PERMISSIONS,
    OBJECT_PERMISSIONS,
    Acl,
    decode_acl,
    grip_of,
)
from nova_objectstore.domain.bucket_rules import BucketRules, read_rules
from nova_objectstore.domain.lifecycle.day import CALENDAR_DAY, Day
from nova_objectstore.domain.policy.document import Policy
from nova_objectstore.domain.policy.evaluate import (
    NOTHING,
    ROOT,
    SILENCE,
    PrincipalPolicies,
    Question,
    Verdict,
    combine,
    judge,
    judge_identity,
)
from nova_objectstore.domain.policy.principals import Grip, names_of
from nova_objectstore.errors import AccessDenied
from nova_objectstore.meta.engine import MetadataEngine
from nova_objectstore.types import Bucket, Principal, Version

RULES_CACHED_MAX = 10_000  # buckets; above it the cache starts anew

LIST_ACTION = "s3:ListBucket"
POLICY_ACTIONS = frozenset(("s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"))
# The bucket's owner and who began an upload may look at it and give it up (AWS: "Multipart upload API and permissions").
UPLOAD_ACTIONS = frozenset(("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"))
# What a reader asks of a key that is not there.
READ_ACTIONS = frozenset(
    ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAcl", "s3:GetObjectVersionAcl", "s3:GetObjectTagging",
     "s3:GetObjectVersionTagging", "s3:GetObjectAttributes", "s3:GetObjectVersionAttributes", "s3:GetObjectRetention",
     "s3:GetObjectLegalHold")
)  # fmt: skip


class IdentityPolicies(Protocol):
    """Knows what is attached to users, groups and roles."""

    def of(self, principal: Principal) -> PrincipalPolicies:
        """The compiled policies of a principal that is no root: its own and its groups', boundary, session."""
        ...


class NoIdentityPolicies:
    """Accounts that have nothing but their roots."""

    def of(self, principal: Principal) -> PrincipalPolicies:
        """Nothing is attached to anybody."""
        return NOTHING


class _Kept(NamedTuple):
    """A bucket as it was found, its rules, and whether they say nothing to its account's root."""

    bucket: Bucket
    rules: BucketRules
    is_plain: bool


class Access:
    """Decides who may do what."""

    def __init__(
        self, meta: MetadataEngine, identities: IdentityPolicies | None = None, *, day: Day = CALENDAR_DAY
    ) -> None:
        self._meta = meta
        self._day = day
        self._identities = identities or NoIdentityPolicies()
        self._kept: dict[int, _Kept] = {}

    def look(self, principal: Principal, bucket: Bucket) -> tuple[BucketRules, bool]:
        """``rules`` and ``is_unrestricted``, which every request asks for, in one."""
        kept = self._kept.get(bucket.id)
        if kept is None or kept.bucket is not bucket:
            kept = self._keep(bucket)
        _, rules, is_plain = kept
        return rules, is_plain and principal.account_id == bucket.owner_id and principal.is_root

    def rules(self, bucket: Bucket) -> BucketRules:
        """A bucket's rules. Law: ``bucket`` was found in this request; what it equals has had no change since."""
        return self._keep(bucket).rules

    def _keep(self, bucket: Bucket) -> _Kept:
        kept = self._kept.get(bucket.id)
        # The same object as long as nothing changed anywhere; equal, revision included, when something else did.
        if kept is not None and (kept.bucket is bucket or kept.bucket == bucket):
            if kept.bucket is bucket:
                return kept
            kept = kept._replace(bucket=bucket)
        else:
            rules = read_rules(bucket, self._meta.get_documents(bucket.id), day=self._day)
            kept = _Kept(bucket, rules, rules.policy is None and rules.enforced)
        if len(self._kept) >= RULES_CACHED_MAX:
            self._kept.clear()
        self._kept[bucket.id] = kept
        return kept

    def is_unrestricted(self, principal: Principal, bucket: Bucket) -> bool:
        """Whether ``check`` would let everything pass: an account's root, in its bucket that has no policy and no ACLs."""
        return self.look(principal, bucket)[1]

    def check(
        self, principal: Principal, action: str, bucket: Bucket, key: str | None = None, *, context: Context
    ) -> None:
        """Return when ``principal`` may do ``action`` on the bucket or key.

        Raises AccessDenied; for a read of what is not there by somebody who may list, what ``context.missing`` says.
        """
        if self.is_unrestricted(principal, bucket) or self._decide(principal, action, bucket, key, context):
            return
        if (
            key is not None
            and action in READ_ACTIONS
            and not self.denies(principal, action, bucket, key, context=context)
            and context.missing() is not None
            and self.may_list(principal, bucket, key, context=context)
        ):
            raise context.missing() or AccessDenied()
        raise AccessDenied

    def may(
        self, principal: Principal, action: str, bucket: Bucket, key: str | None = None, *, context: Context
    ) -> bool:
        """Whether ``principal`` may do ``action``: for what is asked for beside, and left out when it is not allowed."""
        return self.is_unrestricted(principal, bucket) or self._decide(principal, action, bucket, key, context)

    def needs_acls(
        self, principal: Principal, action: str, bucket: Bucket, key: str | None = None, *, context: Context
    ) -> bool:
        """Whether what is allowed is so by an ACL alone, no policy giving it (AWS: access logs, aclRequired)."""
        if self.is_unrestricted(principal, bucket) or self.rules(bucket).enforced:
            return False
        return not self._decide(principal, action, bucket, key, context, listed=False)

    def may_list(self, principal: Principal, bucket: Bucket, key: str, *, context: Context) -> bool:
        """Whether ``principal`` may know that there is no such key (AWS: GetObject, s3:ListBucket)."""
        return self.may(principal, LIST_ACTION, bucket, context=context.listing(key))

    def check_own_object(
        self,
        principal: Principal,
        action: str,
        bucket: Bucket,
        key: str,
        *,
        context: Context,
        must_be_given: bool = False,
    ) -> None:
        """Return when ``principal`` may do ``action`` to the object that it is about to write. Raises AccessDenied.

        The object will be the writer's, whom the bucket already lets write: from another account only that account's
        policies are asked, and whether the bucket's policy denies it. With ``must_be_given`` the bucket must allow
        ``action`` too, by its policy, or by its ACL, which gives it with the permission to write.
        """
        if self.is_unrestricted(principal, bucket):
            return
        if must_be_given:
            given = self._listed(principal, "s3:PutObject", bucket, self.rules(bucket), context)
        else:
            given = Verdict(denies=False, grip=Grip.ACCOUNT if principal.account_id else Grip.DIRECT)
        if not self._decide(principal, action, bucket, key, context, given=given):
            raise AccessDenied

    def check_account(self, principal: Principal, action: str, arn: str, *, context: Context) -> None:
        """Return when ``principal`` may do ``action`` on something of its own account that has no policy.

        Raises AccessDenied.
        """
        if principal.is_root:
            return
        facts = QuestionFacts(principal, None, context)
        policies = self._policies(principal)
        if not judge_identity(policies, Question.of(names_of(principal), action, arn, facts)).allows:
            raise AccessDenied

    def check_resource(
        self, principal: Principal, action: str, arn: str, *, owner_id: str, policy: Policy | None, context: Context
    ) -> None:
        """Return when ``principal`` may do ``action`` on something of the account ``owner_id`` that has a policy of its own.

        Raises AccessDenied.
        """
        question = Question.of(names_of(principal), action, arn, QuestionFacts(principal, None, context))
        allowed = combine(
            judge_identity(self._policies(principal), question),
            judge(policy, question) if policy is not None else SILENCE,
            same_account=principal.account_id == owner_id,
            has_identity=bool(principal.account_id),
        )
        if not allowed:
            raise AccessDenied

    # -- deciding ------------------------------------------------------------------------------------------------------

    def _policies(self, principal: Principal) -> PrincipalPolicies:
        if principal.is_root:
            return ROOT
        return self._identities.of(principal) if principal.account_id else NOTHING

    def _decide(
        self,
        principal: Principal,
        action: str,
        bucket: Bucket,
        key: str | None,
        context: Context,
        *,
        given: Verdict = SILENCE,
        listed: bool = True,
    ) -> bool:
        rules = self.rules(bucket)
        own = principal.account_id == bucket.owner_id
        if own and principal.is_root and action in POLICY_ACTIONS and not rules.policy_binds_root:
            return True  # whatever the policy says: or nobody could repair it (AWS: PutBucketPolicy)
        if own and principal.is_root and rules.policy is None and action not in OBJECT_PERMISSIONS:
            return True  # PERF: its bucket has ACLs, which say nothing to this
        if not own and not principal.service and not self._is_welcome(principal, rules, context):
            return False
        question = Question.of(
            names_of(principal), action, _arn(bucket, key), QuestionFacts(principal, bucket, context)
        )
        verdict = judge(rules.policy, question) if rules.policy is not None else SILENCE
        identity = judge_identity(self._policies(principal), question)
        if verdict.denies or identity.denies:
            return False
        same_account = own
        if not rules.enforced and _object_owner(action, bucket, context) != bucket.owner_id:
            same_account, verdict = False, SILENCE
        if listed:
            verdict = _stronger(verdict, self._listed(principal, action, bucket, rules, context))
        if action in UPLOAD_ACTIONS and principal.arn and context.initiator() == principal.arn:
            verdict = _stronger(verdict, Verdict(denies=False, grip=Grip.DIRECT))
        return combine(
            identity,
            _stronger(verdict, given),
            same_account=same_account,
            has_identity=bool(principal.account_id),
        )

    def _is_welcome(self, principal: Principal, rules: BucketRules, context: Context) -> bool:
        """Whether the bucket lets anybody in from outside its account."""
        if rules.policy_is_public and rules.restrictions.restrict_public_buckets:
            return False
        return not rules.requester_pays or (not principal.is_anonymous and context.pays())

    def denies(
        self, principal: Principal, action: str, bucket: Bucket, key: str | None = None, *, context: Context
    ) -> bool:
        """Whether a policy denies ``action``, rather than that none allows it."""
        question = Question.of(
            names_of(principal), action, _arn(bucket, key), QuestionFacts(principal, bucket, context)
        )
        policy = self.rules(bucket).policy
        denied = policy is not None and judge(policy, question).denies
        return denied or judge_identity(self._policies(principal), question).denies

    def _listed(
        self, principal: Principal, action: str, bucket: Bucket, rules: BucketRules, context: Context
    ) -> Verdict:
        """What the ACLs of bucket and object give."""
        if rules.enforced:
            return SILENCE
        ignore_public = rules.restrictions.ignore_public_acls
        permission = OBJECT_PERMISSIONS.get(action)
        if permission is not None:
            version = context.version()
            if version is None:
                return SILENCE
            acl = object_acl(version)
            grip = grip_of(acl, version.owner_id, permission, principal, ignore_public=ignore_public)
            return Verdict(denies=False, grip=grip)
        permission = BUCKET_PERMISSIONS.get(action)
        if permission is None or (action == "s3:DeleteObject" and not _may_remove(principal, context)):
            return SILENCE
        grip = grip_of(rules.acl, bucket.owner_id, permission, principal, ignore_public=ignore_public)
        return Verdict(denies=False, grip=grip)


def object_acl(version: Version) -> Acl | None:
    """A version's ACL, None for the default one."""
    text = version.extra.get("acl")
    return decode_acl(text) if text else None


def _arn(bucket: Bucket, key: str | None) -> str:
    return f"arn:aws:s3:::{bucket.name}" if key is None else f"arn:aws:s3:::{bucket.name}/{key}"


def _object_owner(action: str, bucket: Bucket, context: Context) -> str:
    """The account whose resource the action is on: of an object, its owner's, where an ACL can speak of it."""
    if action not in OBJECT_PERMISSIONS:
        return bucket.owner_id
    version = context.version()
    return version.owner_id if version is not None else bucket.owner_id


def _may_remove(principal: Principal, context: Context) -> bool:
    """A grant to write reaches what the grantee owns and what is not there (AWS: "What permissions can I grant?")."""
    version = context.version()
    return version is None or (bool(principal.account_id) and version.owner_id == principal.account_id)


def _stronger(one: Verdict, other: Verdict) -> Verdict:
    return one if one.grip >= other.grip else other
