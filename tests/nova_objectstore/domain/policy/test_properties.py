"""Properties of the evaluator, over policies and requests made up by hypothesis; and its slow, obvious twin."""

import copy
import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support import naive_policy
from support.policies import ACCOUNT, BUCKET, OTHER_ACCOUNT, Known, root_of, session_of, user_of

from nova_objectstore.domain.policy.document import Kind, parse_policy
from nova_objectstore.domain.policy.evaluate import Question, Verdict, judge
from nova_objectstore.domain.policy.principals import names_of
from nova_objectstore.errors import MalformedPolicy
from nova_objectstore.types import ANONYMOUS, Principal

PRINCIPALS = [root_of(ACCOUNT), user_of(ACCOUNT), session_of(ACCOUNT), root_of(OTHER_ACCOUNT), ANONYMOUS]
ARN_NAMES = sorted({name for one in PRINCIPALS for name in (one.arn, one.role_arn) if name})
ACTIONS = ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket"]
KEYS = ["", "a", "a/b", "b*", "home/alice/x"]


def _either(values: Any, size: int = 3) -> Any:
    """A value, or a list of them."""
    return st.one_of(values, st.lists(values, min_size=1, max_size=size))


actions = st.sampled_from(["*", "s3:*", "s3:Get*", "s3:GetObject", "s3:getobject", "s3:?utObject", "s3:ListBucket"])
resources = st.sampled_from(
    ["*", *(f"arn:aws:s3:::{name}" for name in
            (BUCKET, f"{BUCKET}/*", f"{BUCKET}/a*", f"{BUCKET}/a?b", "*", "*/b${*}", f"{BUCKET}/home/${{aws:username}}/*",
             f"{BUCKET}/${{aws:PrincipalTag/team, 'a'}}", f"{BUCKET}/${{aws:userid}}"))]
)  # fmt: skip
principals = st.one_of(
    st.just("*"), st.fixed_dictionaries({"AWS": _either(st.sampled_from(["*", ACCOUNT, OTHER_ACCOUNT, *ARN_NAMES]), 4)})
)
texts = st.sampled_from(["", "a", "A", "ab", "a*", "*", "?", "${aws:username}", "alice", "10"])
numbers = st.sampled_from(["1", "10", "10.5", 9])
networks = st.sampled_from(["10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32"])
dates = st.sampled_from(["2024-01-01T00:00:00Z", "2030", "1700000000"])
arns = st.sampled_from(["*", "arn:aws:s3:::a*", "arn:aws:s3:::${aws:username}", "arn:aws:iam::*:user/*"])

VALUES = {
    "String": (texts, ["aws:Referer", "s3:prefix", "s3:ExistingObjectTag/team", "s3:RequestObjectTagKeys"]),
    "Numeric": (numbers, ["s3:max-keys"]),
    "Date": (dates, ["aws:CurrentTime"]),
    "Ip": (networks, ["aws:SourceIp"]),
    "Arn": (arns, ["aws:SourceArn"]),
    "Bool": (st.sampled_from(["true", False, "TRUE"]), ["aws:SecureTransport"]),
    "Null": (st.sampled_from(["true", "false"]), ["aws:Referer", "aws:SourceIp"]),
}
OPERATORS = {
    "String": ["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringLike", "StringNotLike"],
    "Numeric": ["NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals"],
    "Date": ["DateLessThan", "DateGreaterThanEquals", "DateNotEquals"],
    "Ip": ["IpAddress", "NotIpAddress"],
    "Arn": ["ArnLike", "ArnNotEquals"],
    "Bool": ["Bool"],
    "Null": ["Null"],
}


@st.composite
def conditions(draw: Any) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(draw(st.integers(0, 2))):
        kind = draw(st.sampled_from(sorted(OPERATORS)))
        values, keys = VALUES[kind]
        name = draw(st.sampled_from(OPERATORS[kind]))
        if kind != "Null":
            name = draw(st.sampled_from(["", "", "ForAllValues:", "ForAnyValue:"])) + name
            name += draw(st.sampled_from(["", "", "IfExists"]))
        made.setdefault(name, {})[draw(st.sampled_from(keys))] = draw(_either(values))
    return made


@st.composite
def statements(draw: Any) -> dict[str, Any]:
    effect = draw(st.sampled_from(["Allow", "Deny"]))
    who = "NotPrincipal" if effect == "Deny" and draw(st.booleans()) else "Principal"
    made = {
        "Effect": effect,
        who: draw(principals),
        draw(st.sampled_from(["Action", "Action", "NotAction"])): draw(_either(actions)),
        "Resource": draw(_either(resources)),
    }
    condition = draw(conditions())
    if condition:
        made["Condition"] = condition
    return made


policies = st.fixed_dictionaries(
    {
        "Version": st.sampled_from(["2012-10-17", "2012-10-17", "2008-10-17"]),
        "Statement": st.lists(statements(), min_size=1, max_size=4),
    }
)
facts = st.fixed_dictionaries(
    {},
    optional={
        "aws:Referer": texts.map(lambda value: [value]),
        "s3:prefix": texts.map(lambda value: [value]),
        "s3:ExistingObjectTag/team": texts.map(lambda value: [value]),
        "s3:RequestObjectTagKeys": st.lists(texts, max_size=3),
        "s3:max-keys": st.sampled_from([["10"], ["9"], ["many"]]),
        "aws:CurrentTime": st.sampled_from([["2024-06-01T00:00:00Z"], ["2023-11-14T22:13:20Z"]]),
        "aws:SourceIp": st.sampled_from([["10.1.2.3"], ["192.0.2.1"], ["2001:db8::1"], ["nowhere"]]),
        "aws:SourceArn": st.sampled_from([["arn:aws:s3:::alice"], ["arn:aws:iam::1:user/x"], ["x"]]),
        "aws:SecureTransport": st.sampled_from([["true"], ["false"]]),
        "aws:username": st.sampled_from([["alice"], ["b*"]]),
        "aws:userid": st.sampled_from([["AROA:night"], ["a"]]),
        "aws:PrincipalTag/team": st.sampled_from([["a"], ["b", "c"]]),
    },
)


def ask(policy: dict[str, Any], principal: Principal, action: str, key: str, known: Any) -> Verdict:
    compiled = parse_policy(json.dumps(policy), Kind.BUCKET, bucket=BUCKET)
    return judge(compiled, Question.of(names_of(principal), action, arn_of(key), Known(known)))


def arn_of(key: str) -> str:
    return f"arn:aws:s3:::{BUCKET}/{key}" if key else f"arn:aws:s3:::{BUCKET}"


def names(principal: Principal) -> list[str]:
    own = [] if principal.is_root else [principal.role_arn, principal.arn]
    return [name for name in (principal.account_id, *own) if name]


request = st.tuples(st.sampled_from(PRINCIPALS), st.sampled_from(ACTIONS), st.sampled_from(KEYS), facts)


@settings(max_examples=600, deadline=None)
@given(policy=policies, asked=request)
def test_the_evaluator_says_what_its_twin_says(policy: dict[str, Any], asked: Any) -> None:
    principal, action, key, known = asked
    verdict = ask(policy, principal, action, key, known)
    said = naive_policy.says(policy, names(principal), action, arn_of(key), known)
    assert said == ("Deny" if verdict.denies else "Allow" if verdict.grip else "")


@settings(max_examples=150, deadline=None)
@given(policy=policies, asked=request, place=st.integers(0, 4))
def test_an_explicit_deny_wins(policy: dict[str, Any], asked: Any, place: int) -> None:
    principal, action, key, known = asked
    deny = {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": arn_of(key)}
    policy["Statement"].insert(place, deny)
    assert ask(policy, principal, action, key, known).denies


@settings(max_examples=150, deadline=None)
@given(policy=policies, asked=request)
def test_the_order_of_statements_does_not_matter(policy: dict[str, Any], asked: Any) -> None:
    turned = {**policy, "Statement": policy["Statement"][::-1]}
    assert ask(policy, *asked) == ask(turned, *asked)


@settings(max_examples=150, deadline=None)
@given(policy=policies, asked=request)
def test_without_an_allow_nothing_is_allowed(policy: dict[str, Any], asked: Any) -> None:
    denies = [one for one in policy["Statement"] if one["Effect"] == "Deny"]
    assume(denies)
    assert not ask({**policy, "Statement": denies}, *asked).grip


WORDS = ["Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"]


@settings(max_examples=400, deadline=None)
@given(policy=policies, asked=request, data=st.data())
def test_no_policy_widens_by_a_typing_error(policy: dict[str, Any], asked: Any, data: Any) -> None:
    """One letter of one word of the language is wrong: the policy is refused, or it says no more than before."""
    mistyped = copy.deepcopy(policy)
    statement = data.draw(st.sampled_from(mistyped["Statement"]))
    place = data.draw(st.sampled_from(["field", "effect", "action", "operator", "key"]))
    if place == "field":
        field = data.draw(st.sampled_from(sorted(set(WORDS) & statement.keys())))
        statement[_mistype(data, field)] = statement.pop(field)
    elif place == "effect":
        statement["Effect"] = _mistype(data, statement["Effect"])
    elif place == "action":
        field = "Action" if "Action" in statement else "NotAction"
        listed = naive_policy.as_list(statement[field])
        assume("*" not in "".join(listed))
        statement[field] = [_mistype(data, listed[0].lower()), *listed[1:]]
    else:
        assume("Condition" in statement)
        name = data.draw(st.sampled_from(sorted(statement["Condition"])))
        if place == "operator":
            statement["Condition"][_mistype(data, name)] = statement["Condition"].pop(name)
        else:
            keys = statement["Condition"][name]
            key = data.draw(st.sampled_from(sorted(keys)))
            assume("/" not in key)
            keys[_mistype(data, key.lower())] = keys.pop(key)
    try:
        verdict = ask(mistyped, *asked)
    except MalformedPolicy:
        return
    before = ask(policy, *asked)
    assert verdict.denies or verdict.grip <= before.grip, (policy, mistyped)


def _mistype(data: Any, word: str) -> str:
    """The word with one letter left out, doubled or changed to one that none of the language's words has."""
    place = data.draw(st.integers(0, len(word) - 1))
    change = data.draw(st.sampled_from(["", word[place] * 2, "~"]))
    return word[:place] + change + word[place + 1 :]
