"""The work of a request grows with what it brings, and no faster; counted in calls, so that no clock is needed."""

import itertools
import json
import re

import pytest
from support.counting import check_growth, count_calls
from support.policies import Known

from nova_objectstore.domain.policy.conditions import parse_conditions
from nova_objectstore.domain.policy.document import Kind, parse_policy
from nova_objectstore.domain.policy.patterns import GLOB_CACHED_CHARS_MAX, glob
from nova_objectstore.errors import MalformedPolicy, MalformedXML
from nova_objectstore.limits import XML_LARGE_AT_ONCE, XML_LARGE_BYTES, XML_TAG_BYTES_MAX
from nova_objectstore.meta.sql import keyrange
from nova_objectstore.s3 import xml
from nova_objectstore.s3.auth.canonical import canonical_query
from nova_objectstore.s3.large_documents import in_turn
from nova_objectstore.s3.request import parse_query
from nova_wsgi import green

SIZES = (250, 500, 1000)


# -- queries -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameter", ["p%d=v", "same=v", "%%70%d=%%76"])
def test_queries(parameter: str) -> None:
    numbers = itertools.count()

    def work(count: int) -> None:
        query = "&".join(parameter.replace("%d", str(next(numbers))).replace("%%", "%") for _ in range(count))
        parse_query(query)
        canonical_query(query)

    check_growth(work, SIZES)


# -- XML ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [b"<b/>", b"<b>t</b>", b"t<b/>", b"&amp;<b/>", b"<![CDATA[t]]>", b"<!--t-->", b"t"])
def test_xml(piece: bytes) -> None:
    check_growth(lambda count: xml.parse(b"<a>" + piece * count + b"</a>"), SIZES)


def test_text_between_many_elements_is_whole() -> None:
    count = 20_000  # longer than a slice, with more pieces than could be joined one by one
    root = xml.parse(b"<a>" + b"text <b/>" * count + b"end</a>")
    assert root.text == "text " * count + "end"
    assert len(root.children) == count


@pytest.mark.parametrize("tag", [b"<a %b/>", b"<!--%b--><a/>", b"<?p %b?><a/>"])
def test_a_tag_longer_than_any_is_not_waited_for(tag: bytes) -> None:
    long = b" ".join(b'a%d=""' % number for number in range(XML_TAG_BYTES_MAX // 4))
    with pytest.raises(MalformedXML, match="too"):
        xml.parse(tag % long)


def test_others_run_while_a_large_document_is_read() -> None:
    ran = []
    ticking = green.spawn(lambda: [ran.append(green.sleep(0)) for _ in range(1000)])
    xml.parse(b"<a>" + b"<b/>" * 90_000 + b"</a>")
    assert ran
    ticking.kill()


def test_large_documents_take_turns_and_small_ones_do_not_wait() -> None:
    inside: list[int] = []
    most = 0
    done = []

    def read(document: bytes) -> None:
        nonlocal most
        with in_turn(document):
            inside.append(len(document))
            most = max(most, sum(size > XML_LARGE_BYTES for size in inside))
            green.sleep(0)
            inside.remove(len(document))
        done.append(len(document))

    large = bytes(XML_LARGE_BYTES + 1)
    reading = [green.spawn(read, document) for document in (*[large] * 5, b"small")]
    for thread in reading:
        thread.wait()
    assert most == XML_LARGE_AT_ONCE
    assert done.index(len(b"small")) <= XML_LARGE_AT_ONCE


# -- policies ----------------------------------------------------------------------------------------------------------


def policy_of(*resources: str) -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": list(resources)}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize("piece", ["*", "?", "*a", "*?", "**a", "${aws:username}", "${*}", "a:"])
def test_patterns(piece: str) -> None:
    def work(count: int) -> None:
        re.purge()  # what is compiled, is each time
        try:
            parse_policy(policy_of(f"arn:aws:s3:::{piece * count}/x"), Kind.BUCKET, bucket="bucket", size_max=10**6)
        except MalformedPolicy:
            return  # it was looked at all the same

    check_growth(work, SIZES)


def test_statements() -> None:
    one = json.loads(policy_of("arn:aws:s3:::bucket/x"))["Statement"][0]

    def work(count: int) -> None:
        text = json.dumps({"Version": "2012-10-17", "Statement": [one] * count})
        parse_policy(text, Kind.BUCKET, bucket="bucket", size_max=10**6)

    check_growth(work, (25, 50, 100))


def test_a_long_pattern_is_compiled_once_with_its_policy() -> None:
    (condition,) = parse_conditions({"StringLike": {"s3:prefix": "*a" * 500}}, variables=True)
    facts = Known({"s3:prefix": "a" * 500})
    condition.holds(facts)
    assert count_calls(lambda: condition.holds(facts)) < 5000


def test_long_patterns_are_not_kept() -> None:
    long = "v" * (GLOB_CACHED_CHARS_MAX + 1)
    assert glob(long) is not glob(long)
    assert glob("short") is glob("short")


def test_nested_json_is_refused_however_deep() -> None:
    for depth in (100, 9000):
        for text in ('{"Version":' * depth, '{"Version":' + "[" * depth + "]" * depth + "}"):
            with pytest.raises(MalformedPolicy):
                parse_policy(text, Kind.BUCKET, bucket="bucket", size_max=10**6)


# -- prefixes ----------------------------------------------------------------------------------------------------------


def test_common_prefixes_of_deep_keys() -> None:
    def work(depth: int) -> None:
        key = "d/" * depth
        for prefix in ("", key[: len(key) // 2], key):
            keyrange.group_of(key + "x", prefix, "/")
            keyrange.after_prefix(prefix)
            keyrange.before_prefix(prefix)

    check_growth(work, (64, 128, 256, 512))
