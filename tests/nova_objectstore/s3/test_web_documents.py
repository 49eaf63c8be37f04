"""The documents of ?cors and ?website: what is taken, what is refused and in which words, and what is answered."""

import pytest

from nova_objectstore.domain.cors import CorsRule
from nova_objectstore.domain.website import Redirect, RoutingRule, Website
from nova_objectstore.errors import MalformedXML, RequestFault
from nova_objectstore.s3.errors import find_row
from nova_objectstore.s3.operations.cors import parse_cors, render_cors
from nova_objectstore.s3.operations.website import parse_website, render_website
from nova_objectstore.s3.website.pages import Fault, render_page


def cors(*rules: str) -> bytes:
    content = "".join(f"<CORSRule>{rule}</CORSRule>" for rule in rules)
    return f'<CORSConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{content}</CORSConfiguration>'.encode()


RULE = "<AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"


def test_rules_come_back_as_they_were_put() -> None:
    body = cors(
        "<ID>one</ID><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>"
        "<AllowedOrigin>http://*.test:80</AllowedOrigin><AllowedOrigin></AllowedOrigin><AllowedHeader>X-aMz-*</AllowedHeader>"
        "<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds>",
        RULE,
    )
    rules = parse_cors(body)
    assert rules == [
        CorsRule(["http://*.test:80", ""], ["GET", "PUT"], ["X-aMz-*"], ["ETag"], 3000, "one"),
        CorsRule(["*"], ["GET"], [], [], None, None),
    ]
    assert parse_cors(render_cors(rules).encode()) == rules


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (cors(), "MalformedXML", ""),
        (cors(""), "MalformedXML", ""),
        (cors("<AllowedOrigin>*</AllowedOrigin>"), "MalformedXML", ""),
        (cors("<AllowedMethod>GET</AllowedMethod>"), "MalformedXML", ""),
        (cors(RULE + "<MaxAgeSeconds>-1</MaxAgeSeconds>"), "MalformedXML", ""),
        (cors(RULE + "<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>2</MaxAgeSeconds>"), "MalformedXML", ""),
        (cors(RULE + "<ID>a</ID><ID>b</ID>"), "MalformedXML", ""),
        (b"<Other/>", "MalformedXML", ""),
        (cors(RULE) + b" " * 65536, "MalformedXML", ""),
        (cors(*[RULE] * 101), "InvalidRequest", "should not exceed allowed limit of 100 rules"),
        (cors(RULE + "<AllowedMethod>PATCH</AllowedMethod>"), "InvalidRequest", "Unsupported method is PATCH"),
        (cors(RULE + "<AllowedMethod>get</AllowedMethod>"), "InvalidRequest", "Unsupported method is get"),
        (
            cors(RULE + "<AllowedOrigin>*a*</AllowedOrigin>"),
            "InvalidRequest",
            '"*a*" can not have more than one wildcard',
        ),
        (
            cors(RULE + "<AllowedHeader>*-*</AllowedHeader>"),
            "InvalidRequest",
            '"*-*" can not have more than one wildcard',
        ),
        (cors(RULE + "<ExposeHeader>x-*</ExposeHeader>"), "InvalidRequest", "do not support wildcard for ExposeHeader"),
        (cors(RULE + "<ExposeHeader>a&#13;&#10;b</ExposeHeader>"), "InvalidRequest", "no header has"),
        (cors(RULE + f"<ID>{'x' * 256}</ID>"), "InvalidRequest", "longer than 255"),
    ],
)
def test_rules_that_are_none(body: bytes, code: str, words: str) -> None:
    with pytest.raises(RequestFault) as raised:
        parse_cors(body)
    assert find_row(raised.value).code == code
    assert words in raised.value.message


def test_as_many_rules_as_there_may_be() -> None:
    assert len(parse_cors(cors(*[RULE] * 100))) == 100


# -- websites ------------------------------------------------------------------------------------------------------------


def website(content: str) -> bytes:
    return f"<WebsiteConfiguration>{content}</WebsiteConfiguration>".encode()


INDEX = "<IndexDocument><Suffix>index.html</Suffix></IndexDocument>"


def rule(redirect: str, condition: str | None = None) -> str:
    asked = "" if condition is None else f"<Condition>{condition}</Condition>"
    return f"<RoutingRule>{asked}<Redirect>{redirect}</Redirect></RoutingRule>"


def rules(*rows: str) -> bytes:
    return website(f"{INDEX}<RoutingRules>{''.join(rows)}</RoutingRules>")


PREFIX = "<KeyPrefixEquals>docs/</KeyPrefixEquals>"
MISSING = "<HttpErrorCodeReturnedEquals>404</HttpErrorCodeReturnedEquals>"


def test_a_website_comes_back_as_it_was_put() -> None:
    body = website(
        f"{INDEX}<ErrorDocument><Key>errors/404.html</Key></ErrorDocument><RoutingRules>"
        + rule("<ReplaceKeyPrefixWith></ReplaceKeyPrefixWith>", PREFIX)
        + rule(
            "<Protocol>https</Protocol><HostName>a.test</HostName><ReplaceKeyWith>k</ReplaceKeyWith>", PREFIX + MISSING
        )
        + rule("<HttpRedirectCode>302</HttpRedirectCode>", "<KeyPrefixEquals></KeyPrefixEquals>")
        + rule("<HostName>b.test:8080</HostName>")
        + "</RoutingRules>"
    )
    parsed = parse_website(body)
    assert parsed == Website(
        "index.html",
        "errors/404.html",
        [
            RoutingRule(Redirect(key_prefix=""), "docs/", conditional=True),
            RoutingRule(Redirect("a.test", "https", key="k"), "docs/", 404, conditional=True),
            RoutingRule(Redirect(code=302), conditional=True),
            RoutingRule(Redirect("b.test:8080")),
        ],
    )
    assert parse_website(render_website(parsed).encode()) == parsed
    redirect = website("<RedirectAllRequestsTo><HostName>www.a.test</HostName></RedirectAllRequestsTo>")
    assert parse_website(redirect) == Website(redirect_all=Redirect("www.a.test"))
    assert parse_website(render_website(parse_website(redirect)).encode()) == parse_website(redirect)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (website(""), "InvalidArgument", "A value for IndexDocument Suffix must be provided"),
        (website("<ErrorDocument><Key>k</Key></ErrorDocument>"), "InvalidArgument", "IndexDocument Suffix"),
        (website("<IndexDocument/>"), "MalformedXML", ""),
        (website("<IndexDocument><Suffix></Suffix></IndexDocument>"), "InvalidArgument", "not well formed"),
        (website("<IndexDocument><Suffix>a/b</Suffix></IndexDocument>"), "InvalidArgument", "not well formed"),
        (website(INDEX + INDEX), "MalformedXML", ""),
        (website(INDEX + "<ErrorDocument><Key></Key></ErrorDocument>"), "InvalidArgument", "not well formed"),
        (
            website(INDEX + "<RedirectAllRequestsTo><HostName>a</HostName></RedirectAllRequestsTo>"),
            "InvalidRequest",
            "in conjunction",
        ),
        (website("<RedirectAllRequestsTo/>"), "MalformedXML", ""),
        (
            website("<RedirectAllRequestsTo><HostName></HostName></RedirectAllRequestsTo>"),
            "InvalidArgument",
            "HostName",
        ),
        (
            website("<RedirectAllRequestsTo><HostName>a/b</HostName></RedirectAllRequestsTo>"),
            "InvalidArgument",
            "HostName",
        ),
        (
            website("<RedirectAllRequestsTo><HostName>a&#10;b</HostName></RedirectAllRequestsTo>"),
            "InvalidArgument",
            "HostName",
        ),
        (
            website("<RedirectAllRequestsTo><HostName>a</HostName><Protocol>ftp</Protocol></RedirectAllRequestsTo>"),
            "InvalidRequest",
            "Invalid protocol",
        ),
        (rules(), "MalformedXML", ""),
        (rules("<RoutingRule/>"), "MalformedXML", ""),
        (rules(rule("")), "MalformedXML", ""),
        (rules(*[rule("<ReplaceKeyWith>k</ReplaceKeyWith>", PREFIX)] * 51), "InvalidRequest", "is limited to 50"),
        (rules(rule("<ReplaceKeyWith>k</ReplaceKeyWith>", "")), "InvalidRequest", "Condition cannot be empty"),
        (
            rules(rule("<HttpRedirectCode>300</HttpRedirectCode>", PREFIX)),
            "InvalidRequest",
            "Valid codes are 3XX except 300",
        ),
        (rules(rule("<HttpRedirectCode>200</HttpRedirectCode>", PREFIX)), "InvalidRequest", "HTTP redirect code (200)"),
        (
            rules(rule("<ReplaceKeyWith>k</ReplaceKeyWith>", MISSING.replace("404", "302"))),
            "InvalidRequest",
            "Valid codes are 4XX or 5XX",
        ),
        (
            rules(rule("<ReplaceKeyWith>k</ReplaceKeyWith><ReplaceKeyPrefixWith>p</ReplaceKeyPrefixWith>", PREFIX)),
            "InvalidRequest",
            "but not both",
        ),
        (rules(rule("<ReplaceKeyWith>a&#13;b</ReplaceKeyWith>", PREFIX)), "InvalidArgument", "control characters"),
    ],
)
def test_websites_that_are_none(body: bytes, code: str, words: str) -> None:
    with pytest.raises(RequestFault) as raised:
        parse_website(body)
    assert find_row(raised.value).code == code
    assert words in raised.value.message


def test_a_document_beyond_its_size() -> None:
    with pytest.raises(MalformedXML):
        parse_website(website(INDEX) + b" " * 128 * 1024)


def test_a_page_shows_what_a_visitor_asked_for_and_runs_none_of_it() -> None:
    fault = Fault("NoSuchKey", "The specified key does not exist.", {"Key": "<script>\r\nü"})
    answer = render_page(404, fault, request_id="R&D", host_id="here", document_fault=Fault("AccessDenied", "No", {}))
    (body,) = answer.body
    headers = dict(answer.headers)
    assert answer.status == 404
    assert b"<h1>404 Not Found</h1>" in body
    assert b"<li>Key: &lt;script&gt;\r\n\xc3\xbc</li>" in body
    assert b"<li>RequestId: R&amp;D</li>" in body
    assert b"<script>" not in body
    assert b"<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>" in body
    assert headers["x-amz-error-code"] == "NoSuchKey"
    assert headers["x-amz-error-detail-Key"] == "<script>%0D%0A%C3%BC"
    assert headers["Content-Length"] == str(len(body))
