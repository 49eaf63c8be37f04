"""Every condition operator, from vectors, on the store's evaluator and on its twin."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import naive_policy
from support.policies import Known

from nova_objectstore.domain.policy.conditions import OPERATORS, parse_conditions
from nova_objectstore.errors import MalformedPolicy

GROUPS = json.loads((Path(__file__).parents[4] / "tests/vectors/policy/conditions.json").read_text())
ROWS = [(group["of"], *row) for group in GROUPS for row in group["rows"]]


@pytest.mark.parametrize(("group", "condition", "values", "holds"), ROWS)
def test_a_condition_holds_or_not(group: str, condition: dict[str, Any], values: dict[str, Any], holds: Any) -> None:
    if holds == "malformed":
        with pytest.raises(MalformedPolicy):
            parse_conditions(condition, variables=True)
        return
    compiled = parse_conditions(condition, variables=True)
    facts = Known(values)
    assert all(one.holds(facts) for one in compiled) is holds
    listed = {key: [value] if isinstance(value, str) else value for key, value in values.items()}
    assert holds is all(
        naive_policy.condition_holds(name, key, wanted, listed, "2012-10-17")
        for name, keys in condition.items()
        for key, wanted in keys.items()
    )


def test_the_vectors_have_every_operator() -> None:
    used = {name for _, condition, *_ in ROWS for name in condition}
    assert {name.removesuffix("IfExists").rpartition(":")[2] for name in used} == {*OPERATORS, "Null"}
