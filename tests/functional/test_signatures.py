"""Requests that somebody has tampered with, over a socket to a running store: AWS's answer, and nothing was done.

The rows are tests/vectors/signatures. Chunks and forms: test_chunk_signatures.py, test_form_signatures.py.
"""

import time
from collections import Counter
from collections.abc import Iterator
from email.utils import formatdate

import pytest
from support.raw_store import connect
from support.signed_world import ADMINISTRATOR, World, running_world, send
from support.tampering import Case, read_cases, sign_case, tamper

DAY_S = 86_400
CASES = list(read_cases("header_v4", "presigned_v4", "header_v2", "query_v2"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running_world(tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest.mark.parametrize("case", CASES, ids=str)
def test_tampering_is_answered_as_aws_does_and_nothing_is_done(world: World, case: Case) -> None:
    message, names = sign_case(case, ADMINISTRATOR, world.names)
    now_s = time.time()
    signed_s = now_s + case.sign.get("at_s", 0)
    now_s = min(now_s, signed_s - signed_s % DAY_S + DAY_S - 1)  # another day would be another mistake
    now = {"now": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s)), "http_now": formatdate(now_s, usegmt=True)}
    tamper(message, case.then, {**names, **now})
    with connect(world.store) as wire:
        status, code, told = send(wire, message)
    assert (status, code) == (case.status, case.code), told
    assert case.message in told
    if status < 300 and message.method != "GET":
        world.put_back()
    assert world.look() == world.before


def test_every_row_says_which_page_of_aws_it_has_its_answer_from() -> None:
    assert all(case.source.startswith("https://docs.aws.amazon.com/") for case in CASES)
    twice = [name for name, count in Counter(map(str, CASES)).items() if count > 1]
    assert twice == []
    assert len(CASES) > 300
