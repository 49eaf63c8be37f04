"""Server access logs of a running store: configured, and read back field by field."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any

FIELDS = (
    "bucket_owner", "bucket", "time", "remote_ip", "requester", "request_id", "operation", "key", "request_uri",
    "status", "error_code", "bytes_sent", "object_size", "total_time", "turn_around_time", "referer", "user_agent",
    "version_id", "host_id", "signature_version", "cipher_suite", "authentication_type", "host_header", "tls_version",
    "access_point_arn", "acl_required",
)  # fmt: skip


def allow(s3: Any, target: str, *, prefix: str = "*", **condition: Any) -> None:
    """Let the logging service store logs in a bucket."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{target}/{prefix}",
        **({"Condition": condition} if condition else {}),
    }
    s3.put_bucket_policy(Bucket=target, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def log_to(s3: Any, bucket: str, target: str, prefix: str = "logs/", **facts: Any) -> None:
    s3.put_bucket_logging(
        Bucket=bucket,
        BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": prefix, **facts}},
    )


def parse(line: str) -> dict[str, str]:
    """A record, by AWS's names of its fields."""
    words = shlex.split(re.sub(r"\[([^\]]*)\]", r'"\1"', line, count=1))
    assert len(words) == len(FIELDS), line
    return dict(zip(FIELDS, words, strict=True))


def records(s3: Any, target: str) -> list[dict[str, str]]:
    """All records in a target bucket."""
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=target).get("Contents", ())]
    bodies = [s3.get_object(Bucket=target, Key=key)["Body"].read().decode() for key in keys]
    return [parse(line) for body in bodies for line in body.splitlines()]
