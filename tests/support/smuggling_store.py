"""A store to smuggle into: its log tells in which order requests came, and nobody needs a signature."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.smuggling import BUCKET, AccessLog
from support.store import Store, running_store

from nova_wsgi.testing import wait_until

_POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": "*",
            "Action": ["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
            "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
        }
    ],
}


@contextmanager
def smuggling_store(folder: Path, *arguments: str) -> Iterator[tuple[Store, AccessLog]]:
    """One process with the bucket that is open to all, and its log behind the preparations. It ends without an error."""
    path = folder / "access.log"
    with running_store(folder / "state", f"--access-log-file={path}", *arguments, workers=1) as store:
        client = store.client()
        client.create_bucket(Bucket=BUCKET)
        client.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(_POLICY))
        log = AccessLog(path)
        wait_until(lambda: any("?policy" in entry.target for entry in log.read()), what="the end of the preparations")
        yield store, log
        assert store.server.stop() == 0
        assert not re.search(" ERROR |Traceback", store.server.output())
