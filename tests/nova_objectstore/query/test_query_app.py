"""The query protocol with a small service of its own, signed by botocore's signers, spoken to in process."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

import pytest
from botocore.auth import SigV2Auth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from support.images import ALICE, principal

from nova_objectstore.errors import AccessDenied, ExpiredToken, InvalidToken, MissingError, StorageFailed
from nova_objectstore.query.action import action, bind_actions
from nova_objectstore.query.app import QueryApp
from nova_objectstore.query.documents import element, entries, flag, members, texts
from nova_objectstore.query.faults import ErrorRow, QueryFault
from nova_objectstore.query.request import is_query_call
from nova_objectstore.query.service import Service
from nova_objectstore.query.signatures import Credentials
from nova_objectstore.types import SessionFacts, SessionKind
from nova_wsgi.testing import Client

NAMESPACE = "https://music.amazonaws.com/doc/2020-01-02/"
VERSION = "2020-01-02"
KEYS = {"AKIAALICE": Credentials("alice's secret/+=", replace(principal(ALICE), access_key="AKIAALICE"))}
SESSION = Credentials("session's", replace(principal(ALICE), begun=SessionFacts(SessionKind.USER)))


class NoSuchSong(MissingError):
    """``name``: there is none."""


class TooLoud(QueryFault):
    """It is."""

    code = "TooLoud"
    status = 409


class Player:
    """What a service's controller is like."""

    words = {"Kind": "Song"}

    @action("Play{Kind}")
    def play(self, req):
        return [element("Played", req.parameters.required("Name")), element("By", req.principal.account_id)]

    @action("StopSong")
    def stop(self, req):
        return None

    @action("HearSong", signed=False)
    def hear(self, req):
        return [flag("IsAnonymous", req.principal.is_anonymous)]

    @action("FailSong")
    def fail(self, req):
        raise FAULTS[req.parameters.text("How")]

    @action("EchoSong")
    def echo(self, req):
        parameters = req.parameters
        tags = [element("Key", key) + element("Value", value) for key, value in parameters.tags()]
        return [
            texts("Names", parameters.members("Names")),
            members("Tags", tags),
            entries("Attributes", parameters.entries("Attributes")),
        ]

    @action("KnowSong")
    def know(self, req):
        key = req.parameters.text("Key")
        return [texts("Values", req.context.telling({"music:told": ("x",)}).values(key) or ())]


FAULTS = {
    "fault": TooLoud("At eleven"),
    "fact": NoSuchSong(name="Hey & Jude"),
    "denied": AccessDenied("not you"),
    "engine": StorageFailed("/secret/path"),
    "bug": ZeroDivisionError("/secret/path"),
}


def find(access_key: str, token: str | None) -> Credentials | None:
    if token == "expired":
        raise ExpiredToken
    if token == "session":
        return SESSION if access_key == "ASIASESSION" else None
    if token:
        raise InvalidToken
    return KEYS.get(access_key)


class House:
    def __init__(self, **settings) -> None:
        rows = {NoSuchSong: ErrorRow("SongNotFound", 404, "There is no song {name} of {artist}")}
        music = Service("music", VERSION, NAMESPACE, bind_actions(Player()), rows, **settings)
        other = Service("other", "2001-01-01", "urn:other", {})
        self.used: list[tuple[str, str, str]] = []
        self.now_s = time.time()
        app = QueryApp(
            [music, other],
            find,
            region="eu-west-9",
            clock_s=lambda: self.now_s,
            note_use=lambda *use: self.used.append(use[:3]),
        )
        self.client = Client(app, environ={"nova.request_id": "req-1"})

    def send(self, request: AWSRequest):
        prepared = request.prepare()
        answer = self.client.request(
            prepared.method,
            prepared.url.removeprefix("http://localhost"),
            headers={name: v.decode() if isinstance(v, bytes) else v for name, v in prepared.headers.items()},
            body=prepared.body.encode() if isinstance(prepared.body, str) else prepared.body or b"",
        )
        assert answer.header("Content-Type") == "text/xml"
        assert answer.header("x-amzn-requestid") == "req-1"
        return answer.status, ElementTree.fromstring(answer.body)

    def ask(self, name: str, **parameters: str):
        return self.send(signed({"Action": name, "Version": VERSION, **parameters}))

    def result(self, name: str, **parameters: str):
        """The children of the result, without their namespace."""
        status, root = self.ask(name, **parameters)
        assert status == 200, ElementTree.tostring(root)
        assert root.tag == f"{{{NAMESPACE}}}{name}Response"
        assert root.findtext(f"{{{NAMESPACE}}}ResponseMetadata/{{{NAMESPACE}}}RequestId") == "req-1"
        return root.find(f"{{{NAMESPACE}}}{name}Result")

    def texts(self, *arguments: str, **parameters: str) -> list[str]:
        return [text.strip() for text in self.result(*arguments, **parameters).itertext()]


def refusal(status, root, namespace: str = NAMESPACE) -> tuple[int, str, str, str]:
    """Status, code, type and message of an error's document."""
    assert root.tag == f"{{{namespace}}}ErrorResponse"
    assert root.findtext(f"{{{namespace}}}RequestId") == "req-1"
    code, kind, message = (
        root.findtext(f"{{{namespace}}}Error/{{{namespace}}}{n}") for n in ("Code", "Type", "Message")
    )
    return status, code, kind, message


def code(answer) -> str:
    return refusal(*answer)[1]


def credentials(access_key: str = "AKIAALICE", secret: str = "alice's secret/+=", token: str | None = None):
    return BotoCredentials(access_key, secret, token)


def signed(parameters: dict[str, str], who=None, *, service: str = "music", region: str = "eu-west-9") -> AWSRequest:
    request = AWSRequest("POST", "http://localhost/", data=urlencode(parameters).encode())
    request.headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    request.headers["Host"] = "localhost"
    SigV4Auth(who or credentials(), service, region).add_auth(request)
    return request


PLAY = {"Action": "PlaySong", "Version": VERSION, "Name": "Ü & 1"}


@pytest.fixture
def house() -> House:
    return House()


# -- documents ---------------------------------------------------------------------------------------------------------


def test_an_answer_has_a_result_and_a_request_id(house):
    assert house.texts("PlaySong", Name="Ü & 1") == ["Ü & 1", ALICE]


def test_an_action_without_a_result(house):
    assert house.result("StopSong") is None


def test_lists_structures_and_maps(house):
    found = house.texts(
        "EchoSong",
        **{
            "Names.member.2": "b", "Names.member.1": "a", "Names.member.10": "j",
            "Tags.member.1.Key": "k", "Tags.member.1.Value": "v", "Tags.member.2.Key": "empty",
            "Attributes.entry.1.key": "x", "Attributes.entry.1.value": "1",
        },
    )  # fmt: skip
    assert found == ["a", "b", "j", "k", "v", "empty", "x", "1"]


def test_an_empty_list_may_be_said(house):
    assert house.texts("EchoSong", Names="") == []


def test_a_map_has_a_key_once(house):
    twice = {f"Attributes.entry.{number}.{part}": "x" for number in (1, 2) for part in ("key", "value")}
    assert code(house.ask("EchoSong", **twice)) == "MalformedQueryString"


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("fault", (409, "TooLoud", "Sender", "At eleven")),
        ("fact", (404, "SongNotFound", "Sender", "There is no song Hey & Jude of -")),
        ("denied", (403, "AccessDenied", "Sender", "not you")),
        ("engine", (503, "ServiceUnavailable", "Receiver", None)),
        ("bug", (500, "InternalFailure", "Receiver", None)),
    ],
)
def test_errors_in_the_protocols_words(house, how, expected):
    found = refusal(*house.ask("FailSong", How=how))

    assert found[:3] == expected[:3]
    assert "/secret" not in found[3]
    assert expected[3] is None or found[3] == expected[3]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"Version": VERSION}, "MissingAction"),
        ({"Action": "Dance", "Version": VERSION}, "InvalidAction"),
        ({"Action": "PlaySong", "Version": "1999-01-01"}, "InvalidAction"),
        ({"Action": "PlaySong", "Version": "2001-01-01"}, "InvalidAction"),
        ({"Action": "PlaySong"}, "InvalidAction"),
    ],
)
def test_what_no_service_has(house, parameters, expected):
    status, root = house.send(signed(parameters))

    assert refusal(status, root, root.tag[1:].partition("}")[0])[:2] == (400, expected)


def test_a_parameter_that_is_missing(house):
    assert code(house.ask("PlaySong")) == "MissingParameter"


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"Action": "PlaySong"}', "MalformedQueryString"),
        ("application/x-www-form-urlencoded", b"Action=PlaySong&Action=StopSong", "MalformedQueryString"),
        ("application/x-www-form-urlencoded", b"Action=%ff", "MalformedQueryString"),
        ("application/x-www-form-urlencoded", b"a=" + b"b" * 300_000, "MalformedInput"),
        ("application/x-www-form-urlencoded", b"a&" * 2001, "MalformedQueryString"),
    ],
)
def test_a_body_that_is_no_form(house, content_type, body, expected):
    answer = house.client.post("/", headers={"Content-Type": content_type}, body=body)

    assert answer.status in (400, 413)
    assert f"<Code>{expected}</Code>" in answer.text


# -- who ---------------------------------------------------------------------------------------------------------------


def test_a_key_that_was_used_is_noted(house):
    house.send(signed(PLAY))

    assert house.used == [("AKIAALICE", "music", "eu-west-9")]


def sign_query(parameters: dict[str, str], **more) -> AWSRequest:
    request = AWSRequest("GET", "http://localhost/", params=parameters)
    SigV4QueryAuth(credentials(**more), "music", "eu-west-9", expires=60).add_auth(request)
    return request


def sign_v2(parameters: dict[str, str], method: str = "POST", **more) -> AWSRequest:
    request = AWSRequest(method, "http://localhost/")
    setattr(request, "data" if method == "POST" else "params", dict(parameters))
    SigV2Auth(credentials(**more)).add_auth(request)
    if method == "POST":
        request.data = urlencode(request.data)
        request.headers["Content-Type"] = "application/x-www-form-urlencoded"
    return request


@pytest.mark.parametrize("make", [signed, sign_query, sign_v2, lambda it: sign_v2(it, "GET")])
def test_every_way_to_sign(house, make):
    status, root = house.send(make(PLAY))

    assert (status, root.findtext(f".//{{{NAMESPACE}}}By")) == (200, ALICE)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: signed(PLAY, credentials("AKIANOBODY")), (403, "InvalidClientTokenId")),
        (lambda: signed(PLAY, credentials(secret="wrong")), (403, "SignatureDoesNotMatch")),
        (lambda: signed(PLAY, credentials(token="forged")), (403, "InvalidClientTokenId")),
        (lambda: signed(PLAY, credentials(token="expired")), (403, "ExpiredToken")),
        (lambda: signed(PLAY, service="s3"), (403, "SignatureDoesNotMatch")),
        (lambda: signed(PLAY, service="other"), (403, "SignatureDoesNotMatch")),
        (lambda: signed(PLAY, region="us-east-1"), (403, "SignatureDoesNotMatch")),
        (lambda: sign_query(PLAY, secret="wrong"), (403, "SignatureDoesNotMatch")),
        (lambda: sign_v2(PLAY, secret="wrong"), (403, "SignatureDoesNotMatch")),
        (lambda: sign_v2(PLAY, access_key="AKIANOBODY"), (403, "InvalidClientTokenId")),
        (lambda: AWSRequest("GET", "http://localhost/", params=PLAY), (403, "MissingAuthenticationToken")),
        (
            lambda: AWSRequest("GET", "http://localhost/", params=PLAY, headers={"Authorization": "Basic eDp5"}),
            (400, "IncompleteSignature"),
        ),
        (
            lambda: AWSRequest(
                "GET", "http://localhost/", params=PLAY, headers={"Authorization": "AWS4-HMAC-SHA256 x"}
            ),
            (400, "IncompleteSignature"),
        ),
    ],
)
def test_what_is_not_somebodys_signature(house, make, expected):
    assert refusal(*house.send(make()))[:2] == expected
    assert house.used == []


@pytest.mark.parametrize("make", [signed, sign_v2])
@pytest.mark.parametrize("off_s", [-1000, 1000])
def test_a_clock_that_is_wrong(house, make, off_s):
    request = make(PLAY)
    house.now_s += off_s

    assert refusal(*house.send(request))[:2] == (400, "RequestExpired")


def test_the_body_is_what_was_signed(house):
    request = signed(PLAY)
    request.data = urlencode({**PLAY, "Name": "Another"}).encode()
    assert code(house.send(request)) == "SignatureDoesNotMatch"

    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    SigV4Auth(credentials(), "music", "eu-west-9").add_auth(request)
    assert code(house.send(request)) == "SignatureDoesNotMatch"


def moved_to_the_header(escape: str) -> AWSRequest:
    """A presigned request whose signature stands in a header, the names of its parameters escaped or not."""
    url = urlsplit(sign_query(PLAY).url)
    given = dict(parse_qsl(url.query))
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={given['X-Amz-Credential']}, SignedHeaders={given['X-Amz-SignedHeaders']}, "
        f"Signature={given['X-Amz-Signature']}"
    )
    moment = datetime.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    headers = {"Authorization": authorization, "Date": moment.strftime("%a, %d %b %Y %H:%M:%S GMT")}
    query = "&".join(pair for pair in url.query.split("&") if not pair.startswith("X-Amz-Signature="))
    return AWSRequest("GET", f"http://localhost/?{query.replace('X-Amz-', escape)}", headers=headers)


@pytest.mark.parametrize("escape", ["X-Amz-", "X%2DAmz-", "%58-Amz-"])
def test_a_url_s_signature_is_no_header_s(house, escape):
    request = moved_to_the_header(escape)
    house.now_s += 120  # the URL is good for 60 seconds

    assert refusal(*house.send(request))[:2] == (400, "IncompleteSignature")


@pytest.mark.parametrize("make", [sign_query, lambda it: sign_v2(it, "GET")], ids=["v4", "v2"])
def test_every_parameter_of_a_signed_query_is_signed(house, make):
    def refused(change) -> bool:
        request = make(PLAY)
        prepared = request.prepare()
        url, _, query = prepared.url.partition("?")
        sent = AWSRequest("GET", f"{url}?{'&'.join(change(query.split('&')))}")
        status, root = house.send(sent)
        return status in (400, 403) and root.tag.endswith("ErrorResponse")

    assert not refused(lambda pairs: pairs)
    assert not refused(lambda pairs: pairs[::-1])
    count = len(make(PLAY).prepare().url.split("&"))
    for place in range(count):
        assert refused(lambda pairs, place=place: pairs[:place] + pairs[place + 1 :]), place
        assert refused(lambda pairs, place=place: [*pairs, pairs[place]]), place
        assert refused(lambda pairs, place=place: [*pairs[:place], pairs[place] + "0", *pairs[place + 1 :]]), place
    for more in ("Name=Another", "Loud=true", "AWSAccessKeyId=AKIABOB", "X-Amz-Security-Token=session"):
        assert refused(lambda pairs, more=more: [*pairs, more]), more
        assert refused(lambda pairs, more=more: [more, *pairs]), more


def test_a_session_signs_with_its_token_and_is_not_noted(house):
    status, _ = house.send(signed(PLAY, credentials("ASIASESSION", "session's", "session")))

    assert (status, house.used) == (200, [])


def test_a_global_service_is_signed_for_us_east_1_too():
    house = House(is_global=True)

    assert [house.send(signed(PLAY, region=region))[0] for region in ("us-east-1", "eu-west-9", "", "us-west-2")] == [
        200, 200, 200, 403
    ]  # fmt: skip


def test_an_action_for_who_did_not_sign(house):
    unsigned = {"Action": "HearSong", "Version": VERSION}
    for request in (AWSRequest("GET", "http://localhost/", params=unsigned), signed(unsigned)):
        status, root = house.send(request)
        assert status == 200
        is_anonymous = root.findtext(f".//{{{NAMESPACE}}}IsAnonymous")
        assert is_anonymous == ("false" if "authorization" in request.headers else "true")


# -- what policies may ask ---------------------------------------------------------------------------------------------


def test_condition_keys_of_a_request(house):
    house.client = Client(
        house.client.app,
        environ={"nova.request_id": "req-1", "REMOTE_ADDR": "10.1.2.3%eth0", "wsgi.url_scheme": "https"},
    )
    now = datetime.fromtimestamp(int(house.now_s), UTC)
    expected = {
        "aws:sourceip": ["10.1.2.3"],
        "aws:securetransport": ["true"],
        "aws:currenttime": [now.strftime("%Y-%m-%dT%H:%M:%SZ")],
        "aws:epochtime": [str(int(house.now_s))],
        "aws:requestedregion": ["eu-west-9"],
        "aws:viaawsservice": ["false"],
        "music:told": ["x"],
        "s3:prefix": [],
    }

    assert {key: house.texts("KnowSong", Key=key) for key in expected} == expected


# -- beside S3 ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8"}, True),
        ({"REQUEST_METHOD": "POST", "CONTENT_TYPE": "Application/X-WWW-Form-Urlencoded"}, True),
        ({"REQUEST_METHOD": "POST", "CONTENT_TYPE": "multipart/form-data; boundary=x"}, False),
        ({"REQUEST_METHOD": "POST"}, False),
        ({"REQUEST_METHOD": "GET", "QUERY_STRING": "Action=GetCallerIdentity&Version=2011-06-15"}, True),
        ({"REQUEST_METHOD": "GET", "QUERY_STRING": "Version=2011-06-15&Action=GetCallerIdentity"}, True),
        ({"REQUEST_METHOD": "GET", "QUERY_STRING": "prefix=Action=x"}, False),
        ({"REQUEST_METHOD": "GET", "QUERY_STRING": ""}, False),
        ({"REQUEST_METHOD": "PUT", "CONTENT_TYPE": "application/x-www-form-urlencoded"}, False),
    ],
)
def test_which_requests_to_the_s3_endpoint_are_calls(environ, expected):
    assert is_query_call(environ) is expected
