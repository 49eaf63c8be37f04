"""The operation table against botocore's model of S3, and against the documentation."""

import re
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from nova_objectstore.s3.operation import GUARDS, Operation, Scope, row
from nova_objectstore.s3.operations import CONTROLLERS
from nova_objectstore.s3.operations.not_offered import NOT_OFFERED

ROOT = Path(__file__).parents[3]
MODEL = botocore.session.get_session().get_service_model("s3")

# Two names of one request in AWS's model: the older one of each has no row of its own.
OLDER_NAMES = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}
# Served by hosts of their own at AWS, on a request line that means something else here.
OTHER_HOSTS = {"WriteGetObjectResponse", "ListDirectoryBuckets"}

# S3 answers 204, as its page's example does; the model says nothing.
ANSWERED_OTHERWISE = {"PutBucketPolicy": 204}

# AWS answers these with another status than its model has.
ANSWERED_OTHERWISE = {"PutBucketPolicy": 204}

OFFERED = {made.name: made for controller in CONTROLLERS for made, _ in controller.rows()}
LISTED = {made.name: made for made in NOT_OFFERED}
ROWS = {**LISTED, **OFFERED}
MODELLED = sorted(set(ROWS) & set(MODEL.operation_names))


class Table:
    """The table as it is, without a store behind it."""

    def __init__(self) -> None:
        from nova_objectstore.s3.operation import OperationTable

        self.table = OperationTable((), tuple(ROWS.values()))

    def find(self, made: Operation) -> str:
        query = dict.fromkeys(made.markers | made.guards, "1") | dict(made.marker_values)
        headers = {made.header: "x"} if made.header else {}
        return self.table.find(made.scope, made.method, query, headers).operation.name


TABLE = Table()


def test_every_operation_of_the_model_is_offered_or_listed_as_not_offered() -> None:
    named = set(ROWS) | set(OLDER_NAMES) | OTHER_HOSTS
    # An older or newer botocore than the one the rows were written with knows fewer or more operations.
    assert set(MODEL.operation_names) - named == set()
    assert not set(OFFERED) & set(LISTED)


@pytest.mark.parametrize("name", MODELLED)
def test_a_row_has_the_model_s_request_line(name: str) -> None:
    model = MODEL.operation_model(name)
    made = ROWS[name]
    uri = model.http["requestUri"].replace("{Bucket}", "{bucket}").replace("{Key+}", "{key}")
    in_model = row(name, f"{model.http['method']} {uri}", action="-")
    assert (made.method, made.scope, made.markers) == (in_model.method, in_model.scope, in_model.markers)
    assert made.marker_values == in_model.marker_values
    assert made.guards == in_model.guards | _required(model, "querystring")
    if made.header:
        assert made.header in _required(model, "header")


def _required(model: Any, location: str) -> set[str]:
    shape = model.input_shape
    members = [shape.members[name].serialization for name in shape.required_members] if shape else []
    return {member["name"] for member in members if member.get("location") == location} & (
        GUARDS if location == "querystring" else {member["name"] for member in members if "name" in member}
    )


@pytest.mark.parametrize("name", sorted(set(ROWS) - OTHER_HOSTS))
def test_a_row_routes_to_itself(name: str) -> None:
    assert TABLE.find(ROWS[name]) == name


@pytest.mark.parametrize("name", sorted(OFFERED))
def test_an_offered_row_answers_the_model_s_status(name: str) -> None:
    if name in MODELLED:
        modelled = MODEL.operation_model(name).http.get("responseCode") or 200
        assert OFFERED[name].status == ANSWERED_OTHERWISE.get(name, modelled)


def test_every_action_is_one_of_aws_s() -> None:
    lines = (ROOT / "tests/vectors/iam/s3_actions.txt").read_text().splitlines()
    known = {f"s3:{line}" for line in lines if not line.startswith("#")}
    known |= {"s3express:CreateSession", "s3express:ListAllMyDirectoryBuckets"}
    # DeleteObjects asks for each key; nothing is asked for the request as a whole.
    assert {made.action for made in ROWS.values() if made.name != "DeleteObjects"} <= known


def test_every_row_has_its_line_in_the_documentation() -> None:
    text = (ROOT / "docs/operations.md").read_text()
    told = dict(re.findall(r"^\| (\w+) \| `[^`]+` \| (offered|not offered)", text, re.MULTILINE))
    assert told == {name: "offered" if name in OFFERED else "not offered" for name in ROWS} | dict.fromkeys(
        (*OLDER_NAMES, "WriteGetObjectResponse"), "not offered"
    )


@pytest.mark.parametrize(
    ("scope", "method", "query"),
    [
        (Scope.BUCKET, "DELETE", {"versions": ""}),  # must never delete the bucket
        (Scope.BUCKET, "GET", {"acl": "", "tagging": ""}),
        (Scope.BUCKET, "GET", {"list-type": "3"}),
        (Scope.OBJECT, "DELETE", {"acl": ""}),
        (Scope.OBJECT, "PUT", {"uploads": ""}),
        (Scope.SERVICE, "PUT", {}),
        (Scope.SERVICE, "DELETE", {}),
        (Scope.BUCKET, "PATCH", {}),
        (Scope.OBJECT, "POST", {}),
    ],
)
def test_an_undeclared_combination_is_never_the_plain_operation(
    scope: Scope, method: str, query: dict[str, str]
) -> None:
    from nova_objectstore.errors import StoreError

    with pytest.raises(StoreError):
        TABLE.table.find(scope, method, query, {})


def test_part_number_is_a_guard_and_x_id_is_noise() -> None:
    table = TABLE.table
    assert table.find(Scope.OBJECT, "GET", {"partNumber": "2"}, {}).operation.name == "GetObject"
    assert table.find(Scope.OBJECT, "GET", {"x-id": "GetObject"}, {}).operation.name == "GetObject"
    assert table.find(Scope.OBJECT, "PUT", {"partNumber": "1", "uploadId": "u"}, {}).operation.name == "UploadPart"
