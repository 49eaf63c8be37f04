"""What policies say together: AWS's "Policy evaluation logic", line by line."""

from collections.abc import Sequence
from typing import Any

import pytest
from support.policies import (
    ACCOUNT,
    BUCKET,
    OTHER_ACCOUNT,
    Known,
    bucket_policy,
    canonical,
    identity_policy,
    root_of,
    session_of,
    statement,
    user_of,
)

from nova_objectstore.domain.policy.evaluate import (
    NOTHING,
    ROOT,
    SILENCE,
    PrincipalPolicies,
    Question,
    combine,
    judge,
    judge_identity,
)
from nova_objectstore.domain.policy.principals import Grip, names_of
from nova_objectstore.types import ANONYMOUS, Principal

ARN = f"arn:aws:s3:::{BUCKET}/k"
ALLOW, DENY = statement(), statement(Effect="Deny")
USER, SESSION = user_of(ACCOUNT), session_of(ACCOUNT)
THEIR_USER = user_of(OTHER_ACCOUNT)
SERVICE = Principal(service="logging.s3.amazonaws.com")


def grip(principal: Principal, **elements: Any) -> Grip:
    """How one statement of a bucket's policy names a principal."""
    question = Question.of(names_of(principal), "s3:GetObject", ARN, Known())
    return judge(bucket_policy(statement(**elements)), question).grip


# -- principals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("element", "principal", "expected"),
    [
        ("*", ANONYMOUS, Grip.DIRECT),
        ("*", root_of(OTHER_ACCOUNT), Grip.DIRECT),
        ("*", USER, Grip.DIRECT),
        ("*", SESSION, Grip.ROLE),
        ({"AWS": "*"}, ANONYMOUS, Grip.DIRECT),
        ({"AWS": ACCOUNT}, root_of(ACCOUNT), Grip.ACCOUNT),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, USER, Grip.ACCOUNT),
        ({"CanonicalUser": canonical(ACCOUNT)}, root_of(ACCOUNT), Grip.ACCOUNT),
        ({"AWS": ACCOUNT}, THEIR_USER, Grip.NONE),
        ({"AWS": ACCOUNT}, ANONYMOUS, Grip.NONE),
        ({"AWS": USER.arn}, USER, Grip.DIRECT),
        ({"AWS": USER.arn}, root_of(ACCOUNT), Grip.NONE),
        ({"AWS": USER.arn}, user_of(ACCOUNT, "bob"), Grip.NONE),
        ({"AWS": SESSION.role_arn}, SESSION, Grip.ROLE),
        ({"AWS": SESSION.arn}, SESSION, Grip.DIRECT),
        ({"AWS": [ACCOUNT, SESSION.role_arn]}, SESSION, Grip.ROLE),
        ({"AWS": SESSION.role_arn}, session_of(ACCOUNT, "other"), Grip.NONE),
        ({"Service": SERVICE.service}, SERVICE, Grip.DIRECT),
        ({"Service": SERVICE.service}, root_of(ACCOUNT), Grip.NONE),
    ],
)
def test_a_principal_is_named_by_its_account_its_role_or_itself(
    element: Any, principal: Principal, expected: Grip
) -> None:
    assert grip(principal, Principal=element) is expected


@pytest.mark.parametrize(
    ("listed", "principal", "denied"),
    [
        ([ACCOUNT], root_of(ACCOUNT), False),
        ([ACCOUNT], USER, True),  # the account alone spares its root, not its users
        ([ACCOUNT, USER.arn], USER, False),
        ([USER.arn], USER, True),  # AWS: the account must be named too
        ([ACCOUNT, USER.arn], user_of(ACCOUNT, "bob"), True),
        ([ACCOUNT, SESSION.role_arn], SESSION, True),
        ([ACCOUNT, SESSION.role_arn, SESSION.arn], SESSION, False),
        ([ACCOUNT, USER.arn], ANONYMOUS, True),
        ([ACCOUNT], root_of(OTHER_ACCOUNT), True),
        (["*"], ANONYMOUS, False),
    ],
)
def test_not_principal_spares_who_has_all_of_its_names_listed(
    listed: Sequence[str], principal: Principal, denied: bool
) -> None:
    policy = bucket_policy(statement(Effect="Deny", NotPrincipal={"AWS": listed}))
    assert judge(policy, Question.of(names_of(principal), "s3:GetObject", ARN, Known())).denies is denied


# -- statements --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "action", "key", "allowed"),
    [
        ({"Action": "s3:GetObject"}, "s3:GetObject", "k", True),
        ({"Action": "s3:getobject"}, "s3:GetObject", "k", True),
        ({"Action": "s3:GetObject"}, "s3:GetObjectVersion", "k", False),
        ({"Action": "s3:GetObject*"}, "s3:GetObjectVersion", "k", True),
        ({"NotAction": "s3:Get*"}, "s3:GetObject", "k", False),
        ({"NotAction": "s3:Get*"}, "s3:PutObject", "k", True),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/a/*"}, "s3:GetObject", "a/b", True),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/a/*"}, "s3:GetObject", "b/a/", False),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/A"}, "s3:GetObject", "a", False),
        ({"Resource": f"arn:aws:s3:::{BUCKET}"}, "s3:GetObject", "k", False),
        ({"Resource": "*"}, "s3:GetObject", "k", True),
        ({"NotResource": f"arn:aws:s3:::{BUCKET}/a/*"}, "s3:GetObject", "a/b", False),
        ({"NotResource": f"arn:aws:s3:::{BUCKET}/a/*"}, "s3:GetObject", "b", True),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/${{aws:username}}/*"}, "s3:GetObject", "alice/x", True),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/${{aws:username}}/*"}, "s3:GetObject", "bob/x", False),
        ({"Resource": f"arn:aws:s3:::{BUCKET}/${{aws:PrincipalTag/team}}*"}, "s3:GetObject", "x", False),
    ],
)
def test_a_statement_speaks_of_actions_and_resources(
    elements: dict[str, Any], action: str, key: str, allowed: bool
) -> None:
    question = Question.of(
        names_of(USER), action, f"arn:aws:s3:::{BUCKET}/{key}", Known({"aws:username": "alice"})
    )  # fmt: skip
    assert bool(judge(bucket_policy(statement(**elements)), question).grip) is allowed


def test_a_deny_wins_wherever_it_stands() -> None:
    question = Question.of(names_of(USER), "s3:GetObject", ARN, Known())
    for statements in ((ALLOW, DENY), (DENY, ALLOW), (ALLOW, DENY, ALLOW)):
        assert judge(bucket_policy(*statements), question).denies


# -- together ----------------------------------------------------------------------------------------------------------

GIVES, REFUSES = identity_policy(ALLOW), identity_policy(DENY)
ELSEWHERE = identity_policy(statement(Resource="arn:aws:s3:::videos/*"))


def allowed(principal: Principal, policies: PrincipalPolicies, *statements: Any) -> bool:
    """Whether a principal may read from a bucket of ACCOUNT with a policy of these statements."""
    question = Question.of(names_of(principal), "s3:GetObject", ARN, Known())
    resource = judge(bucket_policy(*statements), question) if statements else SILENCE
    return combine(
        judge_identity(policies, question),
        resource,
        same_account=principal.account_id == ACCOUNT,
        has_identity=bool(principal.account_id),
    )


TO_USER = statement(Principal={"AWS": USER.arn})
TO_ACCOUNT = statement(Principal={"AWS": ACCOUNT})
TO_THEM = statement(Principal={"AWS": OTHER_ACCOUNT})
TO_ROLE = statement(Principal={"AWS": SESSION.role_arn})
TO_SESSION = statement(Principal={"AWS": SESSION.arn})
NARROW = {"boundary": ELSEWHERE}


@pytest.mark.parametrize(
    ("principal", "policies", "statements", "expected"),
    [
        # within the account either is enough
        (USER, NOTHING, (), False),
        (USER, PrincipalPolicies((GIVES,)), (), True),
        (USER, NOTHING, (TO_USER,), True),
        (USER, NOTHING, (ALLOW,), True),
        (USER, NOTHING, (TO_ACCOUNT,), False),  # naming the account leaves it to the account
        (USER, PrincipalPolicies((GIVES,)), (DENY,), False),
        (USER, PrincipalPolicies((GIVES, REFUSES)), (TO_USER,), False),
        (root_of(ACCOUNT), ROOT, (), True),
        (root_of(ACCOUNT), ROOT, (DENY,), False),
        # from another account both must
        (root_of(OTHER_ACCOUNT), ROOT, (), False),
        (root_of(OTHER_ACCOUNT), ROOT, (TO_THEM,), True),
        (root_of(OTHER_ACCOUNT), ROOT, (TO_THEM, DENY), False),
        (THEIR_USER, NOTHING, (TO_THEM,), False),
        (THEIR_USER, NOTHING, (ALLOW,), False),
        (THEIR_USER, PrincipalPolicies((GIVES,)), (), False),
        (THEIR_USER, PrincipalPolicies((GIVES,)), (TO_THEM,), True),
        (THEIR_USER, PrincipalPolicies((GIVES,)), (ALLOW,), True),
        (THEIR_USER, PrincipalPolicies((GIVES, REFUSES)), (TO_THEM,), False),
        # who did not sign
        (ANONYMOUS, NOTHING, (), False),
        (ANONYMOUS, NOTHING, (ALLOW,), True),
        (ANONYMOUS, NOTHING, (TO_THEM,), False),
        (ANONYMOUS, NOTHING, (ALLOW, DENY), False),
        # a boundary narrows identity policies, and not what is given to the user itself
        (USER, PrincipalPolicies((GIVES,), **NARROW), (), False),
        (USER, PrincipalPolicies((GIVES,), boundary=GIVES), (), True),
        (USER, PrincipalPolicies((), boundary=GIVES), (), False),
        (USER, PrincipalPolicies((), **NARROW), (TO_USER,), True),
        (USER, PrincipalPolicies((GIVES,), boundary=REFUSES), (TO_USER,), False),
        (THEIR_USER, PrincipalPolicies((GIVES,), **NARROW), (TO_THEM,), False),
        # session policies too; and what is given to a role is narrowed, what is given to the session is not
        (SESSION, PrincipalPolicies((GIVES,)), (), True),
        (SESSION, PrincipalPolicies((GIVES,), session=(ELSEWHERE,)), (), False),
        (SESSION, PrincipalPolicies((GIVES,), session=(ELSEWHERE, GIVES)), (), True),
        (SESSION, PrincipalPolicies((GIVES,), session=()), (), False),
        (SESSION, NOTHING, (TO_ROLE,), True),
        (SESSION, PrincipalPolicies((), session=(ELSEWHERE,)), (TO_ROLE,), False),
        (SESSION, PrincipalPolicies((), **NARROW), (TO_ROLE,), False),
        (SESSION, PrincipalPolicies((), session=(ELSEWHERE,), **NARROW), (TO_SESSION,), True),
        (SESSION, PrincipalPolicies((), session=(REFUSES,)), (TO_SESSION,), False),
        (SESSION, PrincipalPolicies((), session=(ELSEWHERE,)), (ALLOW,), False),
        # this store's own services have the bucket's policy alone
        (SERVICE, NOTHING, (), False),
        (SERVICE, NOTHING, (statement(Principal={"Service": SERVICE.service}),), True),
        (SERVICE, NOTHING, (statement(Principal={"Service": SERVICE.service}), DENY), False),
        (SERVICE, NOTHING, (statement(Principal="*"),), False),
        (SERVICE, NOTHING, (statement(Principal={"Service": "another.amazonaws.com"}),), False),
    ],
)
def test_policies_together(
    principal: Principal, policies: PrincipalPolicies, statements: Sequence[Any], expected: bool
) -> None:
    assert allowed(principal, policies, *statements) is expected
