"""Cross-origin rules: which fits a request, and how they are kept."""

from hypothesis import given
from hypothesis import strategies as st

from nova_objectstore.domain.cors import METHODS, CorsRule, decode_rules, encode_rules, find_rule


def rule(*origins: str, methods: tuple[str, ...] = ("GET",), headers: tuple[str, ...] = ()) -> CorsRule:
    return CorsRule(origins, methods, headers)


def test_patterns_of_origins() -> None:
    def fits(pattern: str, origin: str) -> bool:
        return find_rule([rule(pattern)], origin, "GET") is not None

    assert fits("http://a.test", "http://a.test")
    assert not fits("http://a.test", "http://a.test/")
    assert not fits("http://a.test", "HTTP://a.test")
    assert not fits("http://a.test", "https://a.test")
    assert fits("http://*.test", "http://a.b.test")
    assert fits("start*end", "startend")
    assert not fits("start*tend", "startend")  # the two ends must not overlap
    assert not fits("*suffix", "a.suffix.b")
    assert not fits("prefix*", "a.prefix")
    assert fits("", "")
    assert fits("*", "null")


def test_an_origin_is_told_as_it_came_unless_the_rule_is_for_all() -> None:
    told = find_rule([rule("http://*")], "http://a.test", "GET")
    assert told is not None
    assert told.origin == "http://a.test"
    told = find_rule([rule("*")], "http://a.test", "GET")
    assert told is not None
    assert told.origin == "*"
    told = find_rule([rule("http://a.test", "*")], "http://a.test", "GET")
    assert told is not None
    assert told.origin == "http://a.test"


def test_the_first_rule_that_fits_counts() -> None:
    first, second = rule("*", methods=("GET", "HEAD")), rule("http://a.test", methods=("GET", "PUT"))
    for method, expected in (("GET", first), ("HEAD", first), ("PUT", second), ("DELETE", None), ("get", None)):
        told = find_rule([first, second], "http://a.test", method)
        assert (told and told.rule) is expected


def test_headers_have_no_case_and_must_all_be_allowed() -> None:
    rules = [rule("*", headers=("X-Amz-*", "Content-Type"))]
    assert find_rule(rules, "o", "GET", ["x-amz-date", "content-type"])
    assert not find_rule(rules, "o", "GET", ["x-amz-date", "authorization"])
    assert not find_rule([rule("*")], "o", "GET", ["content-type"])
    assert find_rule([rule("*", headers=("*",))], "o", "GET", ["anything"])


TEXTS = st.lists(st.text(max_size=5), max_size=3).map(tuple)


@given(
    st.lists(
        st.builds(
            CorsRule,
            TEXTS,
            st.lists(st.sampled_from(METHODS), max_size=3).map(tuple),
            TEXTS,
            TEXTS,
            st.none() | st.integers(min_value=0),
            st.none() | st.text(max_size=5),
        )
    )
)
def test_rules_are_kept_as_they_are(rules: list[CorsRule]) -> None:
    kept = decode_rules(encode_rules(rules))
    assert [CorsRule(*map(_frozen, one)) for one in kept] == rules


def _frozen(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value
