"""Another program holds the metadata database: reads go on, writes wait and are then refused, and it heals."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bad_times import DEADLINE_S, locked, processes, refused
from support.locks import STATEMENTS, Readers, put_some, send_put
from support.store import running_store
from support.store_state import check_files

from nova_objectstore.assembly import DATABASE_NAME
from nova_wsgi import green

LOCK_TIMEOUT_S = 1.0


@pytest.mark.parametrize("statement", STATEMENTS)
def test_reads_go_on_and_writes_are_refused_in_time(tmp_path: Path, statement: str) -> None:
    state_path = tmp_path / "state"
    with running_store(state_path, "--lock-timeout-s", str(LOCK_TIMEOUT_S), workers=2) as store:
        pids, s3 = processes(store), store.client()
        put_some(s3)
        with locked(state_path / DATABASE_NAME, statement), Readers(store) as readers:
            refusals = [green.spawn(refused, s3.put_object, Bucket="bucket", Key="more", Body=b"x") for _ in range(4)]
            refusals.append(green.spawn(refused, s3.delete_object, Bucket="bucket", Key="key-0"))
            refusals.append(green.spawn(refused, s3.put_object, Bucket="bucket", Key="more", Body=bytes(300_000)))
            readers.wait_for(100)
            with green.Timeout(DEADLINE_S):
                assert [refusal.wait() for refusal in refusals] == [(503, "ServiceUnavailable")] * len(refusals)
        assert s3.list_objects_v2(Bucket="bucket", Prefix="more")["KeyCount"] == 0

        with locked(state_path / DATABASE_NAME, statement):
            put = send_put(store, b"waited")
        assert put.response().status == 200
        put.close()
        assert s3.get_object(Bucket="bucket", Key="waited")["Body"].read() == b"waited"
        assert processes(store) == pids, "nothing was restarted"
    check_files(state_path)
