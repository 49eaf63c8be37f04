"""IAM as a service of the query protocol (AWS: IAM API Reference, version 2010-05-08)."""

from __future__ import annotations

from nova_objectstore import errors as fact
from nova_objectstore.iam import errors
from nova_objectstore.query.action import bind_actions
from nova_objectstore.query.faults import ErrorRow, InvalidParameterValue, MissingParameter, Rows
from nova_objectstore.query.service import Service

VERSION = "2010-05-08"
NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"

ROWS: Rows = {
    errors.NoSuchEntity: ErrorRow("NoSuchEntity", 404, "The {kind} with name {name} cannot be found."),
    errors.EntityAlreadyExists: ErrorRow("EntityAlreadyExists", 409, "The {kind} with name {name} already exists."),
    errors.DeleteConflict: ErrorRow("DeleteConflict", 409, "Cannot delete entity, {reason}"),
    errors.LimitExceeded: ErrorRow("LimitExceeded", 409, "Cannot exceed quota for {quota}: {limit}"),
    errors.MalformedPolicyDocument: ErrorRow("MalformedPolicyDocument", 400, "The policy is not a valid one."),
    errors.InvalidInput: ErrorRow("InvalidInput", 400, "A value is not valid."),
    errors.ValidationFailed: ErrorRow("ValidationError", 400, "A value is not valid."),
    errors.UnmodifiableEntity: ErrorRow("AccessDenied", 403, "AWS managed policies cannot be changed."),
    fact.AccessKeyExists: ErrorRow("EntityAlreadyExists", 409, "The access key exists already."),
    # AWS has one code for all that its model refuses.
    MissingParameter: ErrorRow("ValidationError", 400, ""),
    InvalidParameterValue: ErrorRow("ValidationError", 400, ""),
}


def iam_service(*controllers: object) -> Service:
    """The service of these controllers (``iam.actions.make_controllers``)."""
    return Service(
        "iam", VERSION, NAMESPACE, bind_actions(*controllers), ROWS, is_global=True, refuses_user_sessions=True
    )
