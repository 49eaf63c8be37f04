"""AWS managed policies: those that mean something here, by their ARNs. Data.

They say what AWS's say, as far as services of this store go: ReadOnlyAccess, which AWS makes of all its services, reads S3,
IAM, STS, SNS and the images of EC2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from nova_objectstore.iam.ports import AWS_POLICY_PREFIX, ManagedPolicy, PolicyVersion

CREATED_US = 1_423_248_058_000_000  # 2015-02-06, when AWS made the first of them

_S3_READ = ("s3:Get*", "s3:List*", "s3:Describe*", "s3-object-lambda:Get*", "s3-object-lambda:List*")
_IAM_READ = ("iam:GenerateCredentialReport", "iam:GenerateServiceLastAccessedDetails", "iam:Get*", "iam:List*",
             "iam:SimulateCustomPolicy", "iam:SimulatePrincipalPolicy")  # fmt: skip
_SNS_READ = ("sns:GetTopicAttributes", "sns:List*", "sns:CheckIfPhoneNumberIsOptedOut", "sns:GetSubscriptionAttributes")


def _allow(*actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*"}


_STATEMENTS: Mapping[str, tuple[str, str, Sequence[dict[str, Any]]]] = {
    "AdministratorAccess": ("ANPAIWMBCKSKIEE64ZLYK", "Provides full access to services and resources.", [_allow("*")]),
    "PowerUserAccess": (
        "ANPAJYRXTHIB4FOVS3ZXS",
        "Provides full access to services and resources, but does not allow management of users and groups.",
        [
            {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
            _allow("iam:ListRoles"),
        ],
    ),
    "ReadOnlyAccess": (
        "ANPAILL3HVNFSB6DCOWYQ",
        "Provides read-only access to services and resources.",
        [_allow(*_S3_READ, *_IAM_READ, *_SNS_READ, "sts:GetCallerIdentity", "sts:GetSessionToken", "ec2:Describe*")],
    ),
    "AmazonS3FullAccess": (
        "ANPAIFIR6V6BVTRAHWINE",
        "Provides full access to all buckets.",
        [_allow("s3:*", "s3-object-lambda:*")],
    ),
    "AmazonS3ReadOnlyAccess": (
        "ANPAIZTJ4DXE7G6AGAE6M",
        "Provides read only access to all buckets.",
        [_allow(*_S3_READ)],
    ),
    "IAMFullAccess": ("ANPAI7XKCFMBPM3QQRRVQ", "Provides full access to IAM.", [_allow("iam:*")]),
    "IAMReadOnlyAccess": ("ANPAJKSO7NDY4T57MWDSQ", "Provides read only access to IAM.", [_allow(*_IAM_READ)]),
    "IAMUserChangePassword": (
        "ANPAJ4L4MM2A7QIEB56MS",
        "Provides the ability for an IAM user to change their own password.",
        [
            {"Effect": "Allow", "Action": "iam:ChangePassword", "Resource": "arn:aws:iam::*:user/${aws:username}"},
            _allow("iam:GetAccountPasswordPolicy"),
        ],
    ),
    "AmazonSNSFullAccess": ("ANPAJWEKLCXXUNT2SOLSG", "Provides full access to SNS.", [_allow("sns:*")]),
    "AmazonSNSReadOnlyAccess": ("ANPAIZGQCQTFOFPMHSB6W", "Provides read only access to SNS.", [_allow(*_SNS_READ)]),
}

_DOCUMENTS = {
    f"{AWS_POLICY_PREFIX}{name}": json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    for name, (_, _, statements) in _STATEMENTS.items()
}

AWS_POLICIES: Mapping[str, ManagedPolicy] = {
    f"{AWS_POLICY_PREFIX}{name}": ManagedPolicy("aws", name, "/", unique_id, description, CREATED_US, CREATED_US, 1)
    for name, (unique_id, description, _) in sorted(_STATEMENTS.items())
}


def document_of(arn: str) -> str | None:
    """The document of an AWS managed policy; None when there is none of that ARN here."""
    return _DOCUMENTS.get(arn)


def versions_of(arn: str) -> Sequence[PolicyVersion]:
    """The one version of an AWS managed policy."""
    return (PolicyVersion(1, _DOCUMENTS[arn], CREATED_US),)
