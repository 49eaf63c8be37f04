"""Which policies are public (AWS: "The meaning of public")."""

from typing import Any

import pytest
from support.policies import ACCOUNT, bucket_policy, statement

from nova_objectstore.domain.policy.public import is_public

KMS_KEY = "s3:x-amz-server-side-encryption-aws-kms-key-id"


@pytest.mark.parametrize(
    ("elements", "public"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": ["*", ACCOUNT]}}, True),
        ({"Principal": {"AWS": ACCOUNT}}, False),
        ({"Principal": {"Service": "logging.s3.amazonaws.com"}}, False),
        ({"Effect": "Deny"}, False),
        ({"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}}, False),
        ({"Condition": {"StringLike": {"aws:SourceVpc": "vpc-91237329"}}}, False),
        ({"Condition": {"StringLike": {"aws:SourceVpc": "vpc-*"}}}, True),
        ({"Condition": {"StringEquals": {"aws:SourceVpc": ["vpc-1", "${aws:username}"]}}}, True),
        ({"Condition": {"StringNotEquals": {"aws:SourceVpc": "vpc-91237329"}}}, True),
        ({"Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-91237329"}}}, True),
        ({"Condition": {"ForAllValues:StringEquals": {"aws:SourceVpc": "vpc-91237329"}}}, True),
        ({"Condition": {"ForAnyValue:StringEquals": {"aws:SourceVpc": "vpc-91237329"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/32"}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "2001:db8::/32"]}}}, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.0/8", "0.0.0.0/0"]}}}, True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "2000::/3"}}}, True),
        ({"Condition": {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, True),
        ({"Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::videos"}}}, False),
        ({"Condition": {"ArnLike": {"aws:SourceArn": "arn:aws:s3:::v*"}}}, True),
        ({"Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}}}, False),
        ({"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}, False),
        ({"Condition": {"StringLike": {"aws:userid": "AROAEXAMPLE:*"}}}, True),
        ({"Condition": {"StringEquals": {"aws:userid": "AIDAEXAMPLE"}}}, False),
        ({"Condition": {"StringEquals": {KMS_KEY: "k"}}}, False),
        ({"Condition": {"ArnLike": {"s3:DataAccessPointArn": f"arn:aws:s3:us-east-1:{ACCOUNT}:accesspoint/*"}}}, False),
        ({"Condition": {"ArnLike": {"s3:DataAccessPointArn": "arn:aws:s3:us-east-1:*:accesspoint/a"}}}, True),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, True),
        ({"Condition": {"StringEquals": {"aws:Referer": "http://example.com"}}}, True),
        ({"Condition": {"Null": {"aws:SourceVpc": "false"}}}, True),
    ],
)
def test_a_policy_is_public_unless_it_is_for_callers_that_it_fixes(elements: dict[str, Any], public: bool) -> None:
    assert is_public(bucket_policy(statement(**elements))) is public


def test_one_public_statement_is_enough() -> None:
    assert is_public(bucket_policy(statement(Principal={"AWS": ACCOUNT}), statement()))
    assert not is_public(bucket_policy(statement(Principal={"AWS": ACCOUNT}), statement(Effect="Deny")))
