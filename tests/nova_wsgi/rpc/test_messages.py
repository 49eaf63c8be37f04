"""Messages and replies as JSON: there and back, and what is none."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nova_wsgi import rpc
from nova_wsgi.rpc.messages import Fault, decode_message, decode_reply, encode_message, encode_reply

SIZE_MAX = 1 << 20
some = settings(max_examples=50, deadline=None)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)
GOOD = {
    "id": "id", "method": "note", "arguments": {}, "request_id": "-", "account": None, "timeout_s": 1, "reply_to": None,
}  # fmt: skip


@some
@given(
    method=TEXT,
    arguments=st.dictionaries(TEXT, JSON),
    request_id=TEXT,
    account=st.none() | TEXT,
    timeout_s=st.none() | st.floats(min_value=0, max_value=1e6),
    reply_to=st.none() | TEXT,
)
def test_a_message_arrives_as_it_was_sent(method, arguments, request_id, account, timeout_s, reply_to):
    message = rpc.Message(method, arguments, rpc.Context(request_id, account), "id", timeout_s, reply_to)
    assert decode_message(encode_message(message, size_max=SIZE_MAX)) == message


@some
@given(result=JSON, fault=st.none() | st.builds(Fault, TEXT, TEXT))
def test_a_reply_arrives_as_it_was_sent(result, fault):
    reply = rpc.Reply("id", result, fault)
    assert decode_reply(encode_reply(reply, size_max=SIZE_MAX)) == reply


@some
@given(st.binary())
def test_bytes_are_a_message_or_none(data):
    for decode in (decode_message, decode_reply):
        with pytest.raises(rpc.BadMessage):
            decode(data)


@pytest.mark.parametrize(
    "changed",
    [
        {"id": None}, {"id": 1}, {"id": ""}, {"id": "x" * 201}, {"id": "ä"}, {"method": None}, {"method": []},
        {"arguments": []}, {"arguments": None}, {"request_id": None}, {"account": 1}, {"timeout_s": "1"},
        {"timeout_s": True}, {"reply_to": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_field_that_is_not_of_its_type_is_refused(changed):
    assert decode_message(json.dumps(GOOD).encode()).timeout_s == 1.0
    with pytest.raises(rpc.BadMessage):
        decode_message(json.dumps(GOOD | changed).encode())


@pytest.mark.parametrize("missing", GOOD)
def test_a_field_that_is_missing_is_refused_unless_it_may_be_null(missing):
    data = json.dumps({name: value for name, value in GOOD.items() if name != missing}).encode()
    if missing in ("account", "timeout_s", "reply_to"):
        assert decode_message(data)
    else:
        with pytest.raises(rpc.BadMessage, match=missing):
            decode_message(data)


@pytest.mark.parametrize("fault", ["text", [], ["kind"], ["kind", 1], ["kind", "text", "more"], {}])
def test_a_fault_is_a_kind_and_a_message(fault):
    with pytest.raises(rpc.BadMessage):
        decode_reply(json.dumps({"id": "id", "result": None, "fault": fault}).encode())


def test_deep_nesting_is_refused_and_not_a_crash():
    data = json.dumps(GOOD).replace("{}", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}").encode()
    with pytest.raises(rpc.BadMessage):
        decode_message(data)


def test_an_address_says_where_a_message_goes():
    assert str(rpc.Address("topic")) == "topic"
    assert str(rpc.Address("topic", "host.example.org")) == "topic.host.example.org"
    assert str(rpc.Address("topic", fanout=True)) == "every topic"
