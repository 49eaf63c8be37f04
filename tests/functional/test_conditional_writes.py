"""Conditions on writes hold between processes: of many clients that race over two workers, the right ones win."""

import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from support.raw_http import Response
from support.raw_store import Load, Wire, clients, connect_to_each_worker, read_error_code, sign
from support.store import Store
from support.store_state import check_files

from nova_objectstore.limits import KiB, MiB

INCREMENTS = 25
SMALL, LARGE = 10, 40 * KiB  # in the metadata row, and in a file of its own


@pytest.fixture(scope="module", autouse=True)
def bucket(store: Store) -> None:
    store.client().create_bucket(Bucket="race")


@pytest.fixture(scope="module")
def wires(store: Store) -> Iterator[list[Wire]]:
    """32 connections; the even ones lead to one worker, the odd ones to the other."""
    with connect_to_each_worker(store, 16) as connected:
        yield connected


def ask(wire: Wire, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    head = sign(method, target, given, unsigned={"Content-Length": str(len(body))}).head
    return wire.send(head + body).response(method=method)


def race(wires: list[Wire], step: Callable[[Wire, int], Response]) -> list[Response]:
    """What each got; all ask at once."""
    answers: dict[int, Response] = {}

    def work(index: int, load: Load) -> None:
        answers[index] = step(wires[index], index)

    with clients(len(wires), work):
        pass
    return [answers[index] for index in range(len(wires))]


def statuses(answers: list[Response]) -> dict[int, int]:
    return dict(Counter(answer.status for answer in answers))


@pytest.mark.parametrize("size", [SMALL, LARGE])
@pytest.mark.parametrize("attempt", range(5))
def test_of_32_who_create_a_key_one_wins(wires: list[Wire], attempt: int, size: int) -> None:
    target = f"/race/create-{size}-{attempt}"
    answers = race(
        wires, lambda wire, index: ask(wire, "PUT", target, (b"%02d" % index).ljust(size), If_None_Match="*")
    )
    assert statuses(answers) == {200: 1, 412: 31}
    winner = next(index for index, answer in enumerate(answers) if answer.status == 200)
    assert ask(wires[0], "GET", target).body == (b"%02d" % winner).ljust(size)
    assert {read_error_code(answer.body) for answer in answers if answer.status == 412} == {"PreconditionFailed"}


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_counter_that_is_compared_and_swapped_loses_nothing(wires: list[Wire], size: int) -> None:
    target = f"/race/counter-{size}"
    assert ask(wires[0], "PUT", target, b"0".ljust(size)).status == 200
    lost = []

    def increment(index: int, load: Load) -> None:
        wire, done = wires[index], 0
        while done < INCREMENTS:
            got = ask(wire, "GET", target)
            value = b"%d" % (int(got.body) + 1)
            answer = ask(wire, "PUT", target, value.ljust(size), If_Match=got.header("ETag") or "")
            assert answer.status in (200, 412), answer
            done += answer.status == 200
            lost.append(answer.status == 412)

    with clients(8, increment):
        pass
    assert int(ask(wires[0], "GET", target).body) == 8 * INCREMENTS
    assert any(lost)  # there was a race


def test_of_those_who_delete_what_they_have_seen_one_wins(store: Store, wires: list[Wire]) -> None:
    """The delete marker of the first one is what the others find."""
    store.client().create_bucket(Bucket="race-versions")
    store.client().put_bucket_versioning(Bucket="race-versions", VersioningConfiguration={"Status": "Enabled"})
    etag = ask(wires[0], "PUT", "/race-versions/deleted", b"x").header("ETag") or ""
    answers = race(wires, lambda wire, _: ask(wire, "DELETE", "/race-versions/deleted", If_Match=etag))
    assert statuses(answers) == {204: 1, 412: 31}


def test_deleting_what_is_gone_succeeds_whatever_the_condition(wires: list[Wire]) -> None:
    etag = ask(wires[0], "PUT", "/race/deleted", b"x").header("ETag") or ""
    assert ask(wires[0], "DELETE", "/race/deleted", If_Match='"other"').status == 412
    answers = race(wires, lambda wire, _: ask(wire, "DELETE", "/race/deleted", If_Match=etag))
    assert statuses(answers) == {204: 32}


# -- multipart uploads ----------------------------------------------------------------------------------------------------


def begin(wire: Wire, key: str) -> str:
    document = ask(wire, "POST", f"/race/{key}?uploads").body.decode()
    return re.search("<UploadId>(.+)</UploadId>", document)[1]  # type: ignore[index]


def upload_part(wire: Wire, key: str, upload: str, number: int, content: bytes) -> str:
    answer = ask(wire, "PUT", f"/race/{key}?partNumber={number}&uploadId={upload}", content)
    assert answer.status == 200, answer
    return answer.header("ETag") or ""


def complete(wire: Wire, key: str, upload: str, etags: list[str], **headers: str) -> Response:
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in enumerate(etags, 1)
    )
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    return ask(wire, "POST", f"/race/{key}?uploadId={upload}", body, **headers)


def test_an_upload_that_is_completed_many_times_at_once_is_one_object(wires: list[Wire]) -> None:
    upload = begin(wires[0], "once")
    etags = [upload_part(wires[0], "once", upload, 1, b"a" * 5 * MiB), upload_part(wires[1], "once", upload, 2, b"b")]
    answers = race(wires, lambda wire, _: complete(wire, "once", upload, etags))
    found = statuses(answers)
    assert found.pop(200) >= 1
    assert set(found) <= {404}  # the upload was there no more
    assert len({re.search(b"<ETag>.+</ETag>", answer.body)[0] for answer in answers if answer.status == 200}) == 1  # type: ignore[index]
    assert ask(wires[0], "GET", "/race/once").body == b"a" * 5 * MiB + b"b"


def test_of_uploads_that_must_be_the_first_one_is_completed(wires: list[Wire]) -> None:
    uploads = [begin(wire, "first") for wire in wires]
    etags = [upload_part(wire, "first", uploads[index], 1, b"%02d" % index) for index, wire in enumerate(wires)]
    answers = race(wires, lambda wire, i: complete(wire, "first", uploads[i], [etags[i]], If_None_Match="*"))
    assert statuses(answers) == {200: 1, 412: 31}
    winner = next(index for index, answer in enumerate(answers) if answer.status == 200)
    assert ask(wires[0], "GET", "/race/first").body == b"%02d" % winner
    left = [upload for index, upload in enumerate(uploads) if index != winner]
    aborted = race(wires[:31], lambda wire, i: ask(wire, "DELETE", f"/race/first?uploadId={left[i]}"))
    assert statuses(aborted) == {204: 31}


@pytest.mark.parametrize("attempt", range(8))
def test_an_upload_is_either_completed_or_aborted(wires: list[Wire], attempt: int) -> None:
    key = f"either-{attempt}"
    upload = begin(wires[0], key)
    etag = upload_part(wires[0], key, upload, 1, b"content")

    def step(wire: Wire, index: int) -> Response:
        if index == attempt % 2:
            return ask(wire, "DELETE", f"/race/{key}?uploadId={upload}")
        return complete(wire, key, upload, [etag])

    aborted, completed = race(wires[:2], step)[:: 1 if attempt % 2 == 0 else -1]
    there = ask(wires[2], "GET", f"/race/{key}").status == 200
    assert there == (completed.status == 200)
    assert not there or aborted.status in (204, 404)
    assert there or (aborted.status, completed.status) == (204, 404)


# -- renames --------------------------------------------------------------------------------------------------------------


def rename(wire: Wire, source: str, key: str, **headers: str) -> Response:
    return ask(wire, "PUT", f"/race/{key}?renameObject", x_amz_rename_source=f"/race/{source}", **headers)


def list_keys(wire: Wire, prefix: str) -> list[str]:
    return re.findall("<Key>(.+?)</Key>", ask(wire, "GET", f"/race?list-type=2&prefix={prefix}").body.decode())


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_an_object_is_renamed_once(wires: list[Wire], size: int) -> None:
    assert ask(wires[0], "PUT", f"/race/old-{size}", b"r" * size).status == 200
    answers = race(wires, lambda wire, index: rename(wire, f"old-{size}", f"renamed-{size}-{index:02}"))
    assert statuses(answers) == {200: 1, 404: 31}
    winner = next(index for index, answer in enumerate(answers) if answer.status == 200)
    assert list_keys(wires[0], f"renamed-{size}") == [f"renamed-{size}-{winner:02}"]
    assert list_keys(wires[0], f"old-{size}") == []
    assert ask(wires[0], "GET", f"/race/renamed-{size}-{winner:02}").body == b"r" * size


def test_of_objects_renamed_to_a_name_that_must_be_free_one_gets_it(wires: list[Wire]) -> None:
    for index, wire in enumerate(wires):
        assert ask(wire, "PUT", f"/race/from-{index:02}", b"%02d" % index).status == 200
    answers = race(wires, lambda wire, index: rename(wire, f"from-{index:02}", "to", If_None_Match="*"))
    assert statuses(answers) == {200: 1, 412: 31}
    winner = next(index for index, answer in enumerate(answers) if answer.status == 200)
    assert ask(wires[0], "GET", "/race/to").body == b"%02d" % winner
    assert list_keys(wires[0], "from-") == [f"from-{index:02}" for index in range(32) if index != winner]


def test_an_object_that_is_passed_round_is_neither_lost_nor_doubled(wires: list[Wire]) -> None:
    assert ask(wires[0], "PUT", "/race/ring-0", b"the one").status == 200
    passed = []

    def push(index: int, load: Load) -> None:
        for _ in range(10):
            answer = rename(wires[index], f"ring-{index}", f"ring-{(index + 1) % 8}", If_None_Match="*")
            assert answer.status in (200, 404, 412), answer
            passed.append(answer.status == 200)

    with clients(8, push):
        pass
    assert any(passed)
    [key] = list_keys(wires[0], "ring-")
    assert ask(wires[0], "GET", f"/race/{key}").body == b"the one"


def test_the_state_is_whole_after_all_that(store: Store) -> None:
    check_files(store.state_path)
    assert not re.search(" ERROR |Traceback", store.server.output())
