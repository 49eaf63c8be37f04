"""Websites: pages of paths, rules, and where redirects lead."""

from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from nova_objectstore.domain.website import (
    Redirect,
    RoutingRule,
    Website,
    locate_all,
    locate_directory,
    locate_rule,
)

SITE = Website(
    "index.html",
    "404.html",
    (
        RoutingRule(Redirect(key_prefix="documents/"), "docs/", conditional=True),
        RoutingRule(Redirect(host="api.test", protocol="https", key_prefix="resize?key="), "img/", 404, True),
        RoutingRule(Redirect(key="gone.html", code=302), error_status=404, conditional=True),
        RoutingRule(Redirect(key="denied.html"), error_status=403, conditional=True),
    ),
)


def test_a_path_like_a_directory_has_its_index_document() -> None:
    for path, page in (
        ("", "index.html"),
        ("a/", "a/index.html"),
        ("a", "a"),
        ("a//", "a//index.html"),
        ("/", "/index.html"),
    ):
        assert SITE.page_of(path) == page  # fmt: skip
    assert SITE.index_below("a/b") == "a/b/index.html"
    assert SITE.index_below("") is None
    assert SITE.index_below("a/") is None


def test_rules_before_and_after() -> None:
    assert SITE.rule_before("docs/a") is SITE.rules[0]
    assert SITE.rule_before("img/a") is None
    assert SITE.rule_after("img/a", 404) is SITE.rules[1]
    assert SITE.rule_after("other", 404) is SITE.rules[2]
    assert SITE.rule_after("img/a", 403) is SITE.rules[3]
    assert SITE.rule_after("img/a", 500) is None


def locate(rule: RoutingRule, path: str) -> str:
    return locate_rule(rule, path, scheme="http", host="site.test:8080")


def test_where_rules_lead() -> None:
    assert locate(SITE.rules[0], "docs/a b/ü?#%") == "/documents/a%20b/%C3%BC%3F%23%25"
    assert locate(SITE.rules[1], "img/300x300/a.jpg") == "https://api.test/resize?key=300x300/a.jpg"
    assert locate(SITE.rules[2], "other") == "/gone.html"
    assert locate(RoutingRule(Redirect(protocol="https")), "a") == "https://site.test:8080/a"
    assert locate(RoutingRule(Redirect(host="other.test")), "a") == "http://other.test/a"


def test_all_requests_keep_path_and_query() -> None:
    redirect = Redirect(host="new.test", protocol="https")
    assert locate_all(redirect, "/a%20b//c", "x=1&y=%2F", scheme="http") == "https://new.test/a%20b//c?x=1&y=%2F"
    assert locate_all(Redirect(host="new.test"), "/", "", scheme="http") == "http://new.test/"
    assert locate_all(redirect, "/\xc3\xbc", "", scheme="http") == "https://new.test/%C3%BC"


@given(st.text(max_size=30))
def test_no_path_leads_to_another_host(path: str) -> None:
    path = path.encode("utf-8", "ignore").decode()
    for location in (
        locate_directory(path),
        locate(RoutingRule(Redirect(code=302)), path),
        locate(RoutingRule(Redirect(key_prefix=""), path[:1]), path),
    ):
        assert location.isascii()
        assert location.isprintable()
        assert location.startswith("/")
        assert not location.startswith(("//", "/\\"))
        assert urlsplit(location).netloc == ""


def test_a_website_is_kept_as_it_is() -> None:
    everything = Website(redirect_all=Redirect("h", "https"))
    for website in (SITE, everything, Website("i")):
        kept = Website.decode(website.encode())
        assert kept == website
        assert kept.encode() == website.encode()
