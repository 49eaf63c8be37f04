"""Policies: any text, and made-up policies against their slow twin.

Properties: MalformedPolicy is all that a text can come to; what was taken can be asked anything. The evaluator says of a
made-up policy what ``naive_policy`` says.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from support import naive_policy
from support.fuzz_mutations import damage_json
from support.fuzzing import Target
from support.policies import ACCOUNT, BUCKET, OTHER_ACCOUNT, Known, root_of, session_of, user_of

from nova_objectstore.domain.policy.document import Kind, parse_policy
from nova_objectstore.domain.policy.evaluate import Question, judge
from nova_objectstore.domain.policy.principals import names_of
from nova_objectstore.domain.policy.public import is_public
from nova_objectstore.errors import MalformedPolicy
from nova_objectstore.types import ANONYMOUS, Principal

VECTORS = Path(__file__).parent.parent / "vectors" / "policy"
PRINCIPALS = (root_of(ACCOUNT), user_of(ACCOUNT), session_of(ACCOUNT), root_of(OTHER_ACCOUNT), ANONYMOUS)
ACTIONS = ("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket")
KEYS = ("", "a", "a/b", "b*", "home/alice/x", "é", "a" * 40)
FACTS: Mapping[str, Sequence[Sequence[str]]] = {
    "aws:Referer": (["a"], ["A*"], [""]),
    "s3:prefix": (["a"], ["ab"], ["*"]),
    "s3:ExistingObjectTag/team": (["a"], ["é"]),
    "s3:RequestObjectTagKeys": ([], ["a"], ["a", "b"]),
    "s3:max-keys": (["10"], ["9"], ["many"]),
    "aws:CurrentTime": (["2024-06-01T00:00:00Z"], ["2023-11-14T22:13:20Z"]),
    "aws:SourceIp": (["10.1.2.3"], ["192.0.2.1"], ["2001:db8::1"], ["nowhere"]),
    "aws:SourceArn": (["arn:aws:s3:::alice"], ["arn:aws:iam::1:user/x"], ["x"]),
    "aws:SecureTransport": (["true"], ["false"]),
    "aws:username": (["alice"], ["b*"]),
    "aws:userid": (["AROA:night"], ["a"]),
    "aws:PrincipalTag/team": (["a"], ["b", "c"]),
}
ALL_FACTS = Known({name: values[0] for name, values in FACTS.items()})

# -- any text ----------------------------------------------------------------------------------------------------------


def check_text(data: bytes) -> str:
    """As a policy of every kind; what is taken is asked for everybody."""
    text = data.decode("utf-8", "surrogatepass") if _is_utf8(data) else data.decode("latin-1")
    told = []
    for kind in Kind:
        try:
            policy = parse_policy(text, kind, bucket=BUCKET)
        except MalformedPolicy as error:
            told.append(error.message[:30])
            continue
        told.append("taken")
        is_public(policy)
        for principal in PRINCIPALS:
            for action in ("s3:GetObject", "sts:AssumeRole"):
                judge(policy, Question.of(names_of(principal), action, _arn("a/b"), ALL_FACTS))
    return " ".join(told)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


# -- the twin ----------------------------------------------------------------------------------------------------------


def check_case(data: bytes) -> str:
    """A policy and a question, as JSON."""
    case = json.loads(data)
    principal = PRINCIPALS[case["principal"]]
    arn = _arn(case["key"])
    said = naive_policy.says(case["policy"], _names(principal), case["action"], arn, case["facts"])
    compiled = parse_policy(json.dumps(case["policy"]), Kind.BUCKET, bucket=BUCKET)
    verdict = judge(compiled, Question.of(names_of(principal), case["action"], arn, Known(case["facts"])))
    ours = "Deny" if verdict.denies else "Allow" if verdict.grip else ""
    assert ours == said, f"the twin says {said or 'nothing'}, and the evaluator {ours or 'nothing'}"
    return f"{ours or 'nothing'} {is_public(compiled)}"


def _arn(key: str) -> str:
    return f"arn:aws:s3:::{BUCKET}/{key}" if key else f"arn:aws:s3:::{BUCKET}"


def _names(principal: Principal) -> list[str]:
    own = [] if principal.is_root else [principal.role_arn, principal.arn]
    return [name for name in (principal.account_id, *own) if name]


# -- the grammar -------------------------------------------------------------------------------------------------------

_ARNS = sorted({name for one in PRINCIPALS for name in (one.arn, one.role_arn) if name})
_PATTERNS = (
    "*",
    "s3:*",
    "s3:Get*",
    "s3:GetObject",
    "s3:getobject",
    "s3:?utObject",
    "s3:ListBucket",
    "s3:*Object*",
    "s3:**",
)
_RESOURCES = tuple(
    f"arn:aws:s3:::{name}"
    for name in (
        BUCKET, f"{BUCKET}/*", f"{BUCKET}/a*", f"{BUCKET}/a?b", "*", "*/b${*}", f"{BUCKET}/home/${{aws:username}}/*",
        f"{BUCKET}/${{aws:PrincipalTag/team, 'a'}}", f"{BUCKET}/${{aws:userid}}", f"{BUCKET}/*a*a*", f"{BUCKET}/**?",
    )
)  # fmt: skip
_TEXTS = ("", "a", "A", "ab", "a*", "*", "?", "??", "**", "${aws:username}", "alice", "10", "é", "${*}", "*a*", "${$}")
_CONDITIONS: Sequence[tuple[Sequence[str], Sequence[Any], Sequence[str]]] = (
    (("StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringLike", "StringNotLike",
        "StringNotEqualsIgnoreCase"), _TEXTS,
     ("aws:Referer", "s3:prefix", "s3:ExistingObjectTag/team", "s3:RequestObjectTagKeys", "aws:username")),
    (("NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericGreaterThanEquals", "NumericLessThanEquals"),
        ("1", "10", "10.5", 9),
     ("s3:max-keys",)),
    (("DateLessThan", "DateGreaterThanEquals", "DateNotEquals", "DateEquals"), ("2024-01-01T00:00:00Z", "2030",
        "1700000000"),
     ("aws:CurrentTime",)),
    (("IpAddress", "NotIpAddress"), ("10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "2001:db8::/32"), ("aws:SourceIp",)),
    (("ArnLike", "ArnNotEquals", "ArnEquals", "ArnNotLike"), ("*", "arn:aws:s3:::a*", "arn:aws:s3:::${aws:username}",
        "arn:aws:iam::*:user/*"),
     ("aws:SourceArn",)),
    (("Bool",), ("true", False, "TRUE"), ("aws:SecureTransport",)),
    (("Null",), ("true", "false"), ("aws:Referer", "aws:SourceIp")),
)  # fmt: skip


def _either(rng: random.Random, values: Sequence[Any]) -> Any:
    """A value, or a list of some."""
    return rng.choice(values) if rng.random() < 0.6 else [rng.choice(values) for _ in range(rng.randrange(1, 4))]


def _make_conditions(rng: random.Random) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for _ in range(rng.choice((0, 0, 1, 1, 2))):
        operators, values, keys = rng.choice(_CONDITIONS)
        name = rng.choice(operators)
        if name != "Null":
            name = rng.choice(("", "", "ForAllValues:", "ForAnyValue:")) + name + rng.choice(("", "", "IfExists"))
        made.setdefault(name, {})[rng.choice(keys)] = _either(rng, values)
    return made


def _make_statement(rng: random.Random) -> dict[str, Any]:
    effect = rng.choice(("Allow", "Deny"))
    who = "NotPrincipal" if effect == "Deny" and rng.random() < 0.4 else "Principal"
    made: dict[str, Any] = {
        "Effect": effect,
        who: "*" if rng.random() < 0.3 else {"AWS": _either(rng, ["*", ACCOUNT, OTHER_ACCOUNT, *_ARNS])},
        rng.choice(("Action", "Action", "NotAction")): _either(rng, _PATTERNS),
        "Resource": _either(rng, ("*", *_RESOURCES)),
    }
    condition = _make_conditions(rng)
    if condition:
        made["Condition"] = condition
    return made


def make_policy(rng: random.Random) -> dict[str, Any]:
    statements = [_make_statement(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    return {"Version": rng.choice(("2012-10-17", "2012-10-17", "2008-10-17")), "Statement": statements}


def make_text(rng: random.Random) -> bytes:
    """A policy, of a kind or with parts that are none of a policy's."""
    made: object = make_policy(rng)
    for _ in range(rng.randrange(4)):
        made = damage_json(rng, made)
    return json.dumps(made).encode()


def make_case(rng: random.Random) -> bytes:
    facts = {name: rng.choice(values) for name, values in FACTS.items() if rng.random() < 0.6}
    return json.dumps({
        "policy": make_policy(rng), "principal": rng.randrange(len(PRINCIPALS)), "action": rng.choice(ACTIONS),
        "key": rng.choice(KEYS), "facts": facts,
    }).encode()  # fmt: skip


def _one(condition: str, resource: str = "*") -> bytes:
    return (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*",'
        f'"Resource":"arn:aws:s3:::{BUCKET}/{resource}","Condition":{condition}}}}}'
    ).encode()


def _targets() -> Sequence[Target]:
    rows = json.loads((VECTORS / "malformed.json").read_text())
    malformed = [row["text"].encode("utf-8", "surrogatepass") for row in rows if "text" in row]
    words = [name.encode() for operators, _, keys in _CONDITIONS for name in (*operators, *keys)]
    words += [
        b'"Condition":{',
        b'"NotResource":',
        b"ForAllValues:",
        b"IfExists",
        b"${",
        b"}",
        b'"',
        b"arn:aws:iam::",
        b"\\ud801",
        b"[[",
        b"{}",
    ]
    growths: dict[str, Callable[[int], bytes]] = {
        "stars": lambda n: _one('{"StringLike":{"aws:Referer":"' + "*a" * n + 'b"}}'),
        "stars of a resource": lambda n: _one("{}", "*a" * n + "b"),
        "variables": lambda n: _one('{"StringLike":{"aws:Referer":"' + "${aws:username}" * n + '"}}'),
        "openings": lambda n: _one("{}", "${" * n),
        "lists": lambda n: b'{"Statement":' + b"[" * n + b"]" * n + b"}",
        "values": lambda n: _one('{"StringLike":{"aws:Referer":[' + ",".join(['"*a"'] * n) + "]}}"),
    }
    return (
        Target("policy_texts", check_text, make_text, seeds=malformed, words=words, growths=growths,
               short=1000),
        Target("policy_twin", check_case, make_case, mutates=False, short=1000),
    )  # fmt: skip


TARGETS = _targets()
