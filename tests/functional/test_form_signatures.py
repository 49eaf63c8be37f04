"""Forms that somebody has tampered with: AWS's answer, and nothing is stored. Rows: tests/vectors/signatures/forms.json."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.signed_world import BUCKET, World, running_world
from support.tampering import VECTORS
from support.web import LATER, encode_form, make_policy, post, sign_v2, sign_v4

DOCUMENT = json.loads((VECTORS / "forms.json").read_text("utf-8"))
CONDITIONS = (["starts-with", "$key", "form/"], {"Content-Type": "text/plain"}, ["content-length-range", 1, 100])

Fields = list[tuple[str, str]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("state")) as made:
        made.names["permissive"] = make_policy(BUCKET)
        yield made


def sign(row: Any) -> Fields:
    expiration = row.get("expiration", LATER)
    if row["form"] == "v4":
        signing = sign_v4(BUCKET, *CONDITIONS, expiration=expiration)
    else:
        signing = sign_v2(make_policy(BUCKET, *CONDITIONS, expiration=expiration))
    return [("key", "form/new"), ("Content-Type", "text/plain"), *signing]


def change(fields: Fields, verb: str, name: str, *values: str) -> Fields:
    if verb == "add":
        return [*fields, (name, values[0])]
    (place,) = (place for place, field in enumerate(fields) if field[0] == name)
    old = fields[place][1]
    if verb == "drop":
        return fields[:place] + fields[place + 1 :]
    new = {"set": values[0], "extend": old + values[0], "replace": old.replace(*values) if len(values) == 2 else ""}[
        verb
    ]
    assert new != old
    return [*fields[:place], (name, new), *fields[place + 1 :]]


@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in DOCUMENT["cases"]])
def test_a_form_that_was_tampered_with(world: World, row: Any) -> None:
    assert DOCUMENT["sources"][row["source"]].startswith("https://docs.aws.amazon.com/")
    fields = sign(row)
    for verb, *arguments in row.get("then", ()):
        fields = change(fields, verb, *(argument.format_map(world.names) for argument in arguments))
    host = row.get("host", "").format_map(world.names)
    target = "/" if host else "/" + row.get("bucket", BUCKET).format_map(world.names)
    body = encode_form(fields, file=row.get("file", "a file").encode())

    told = post(world.store, target, body, row.get("headers"), host=host)

    status, _, code = row["expect"].partition(" ")
    found = re.search(rb"<Message>(.*?)</Message>", told.body)
    assert (told.status, told.code) == (int(status), code), found
    assert row.get("message", "") in told.body.decode()
    if told.status == 204:
        assert world.ask(f"/{BUCKET}/form/new?acl", world.administrator).body.count(b"<Grant>") <= 1
        for key in ("form/new", "form/../kept"):
            world.store.client().delete_object(Bucket=BUCKET, Key=key)
    assert world.look() == world.before
