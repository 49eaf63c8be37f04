"""AssumeRoleWithWebIdentity: tokens of a real issuer, on loopback, against the trust policies of roles."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.certificates import Authority
from support.oidc import Issuer, SigningKey, running_issuer
from support.sts import ALICE, BOB, House, policy, statement, trust

from nova_objectstore.iam.ports import ROLE, EntityChange, ProviderChange
from nova_objectstore.sts.oidc import SOURCE_IDENTITY_CLAIM, TAGS_CLAIM

WEB = "sts:AssumeRoleWithWebIdentity"
ANY_S3 = statement("s3:*")


@pytest.fixture(scope="module")
def shared_issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


@pytest.fixture
def issuer(shared_issuer: Issuer) -> Issuer:
    shared_issuer.keys = shared_issuer.keys[:1]
    shared_issuer.asked.clear()
    return shared_issuer


@pytest.fixture
def provider(house: House, issuer: Issuer) -> str:
    return house.provider(issuer.url)


@pytest.fixture
def role(house: House, provider: str):
    return house.role("web", [trust({"Federated": provider}, WEB)], ANY_S3)


def assume(house: House, role, token: str, **parameters):
    return house.ask(
        "AssumeRoleWithWebIdentity", None, RoleArn=role.arn, RoleSessionName="me", WebIdentityToken=token, **parameters
    )


def test_a_token_begins_a_session(house, issuer, provider, role):
    told = assume(house, role, issuer.token(sub="user-1"))
    assert told.text("SubjectFromWebIdentityToken") == "user-1"
    assert (told.text("Audience"), told.text("Provider")) == ("app", provider)
    assert told.text("AssumedRoleUser/Arn") == f"arn:aws:sts::{ALICE}:assumed-role/web/me"
    assert house.arn_of(told.who) == told.text("AssumedRoleUser/Arn")
    assert house.s3(told.who, "PUT", "/of-the-web") == (200, "")
    house.ahead_s = 3600
    assert house.s3(told.who, "GET", "/of-the-web") == (400, "ExpiredToken")


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "another"}, "InvalidIdentityToken"),
        ({"azp": "another"}, "InvalidIdentityToken"),
        ({"exp": 1_000_000_000}, "ExpiredTokenException"),
        ({"nbf": 9_000_000_000}, "InvalidIdentityToken"),
        ({"sub": None}, "InvalidIdentityToken"),
        ({"iss": "https://idp.example.com"}, "InvalidIdentityToken"),
    ],
)
def test_a_token_that_is_not_good(house, issuer, role, claims, code):
    told = assume(house, role, issuer.token(**claims))
    assert (told.status, told.code) == (400, code)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "☃", "x" * 30_000])
def test_a_token_that_is_none(house, role, token):
    assert assume(house, role, token).code in ("InvalidIdentityToken", "MissingParameter")


def test_a_forged_token(house, issuer, role):
    claims = issuer.claims()
    for forger in (SigningKey.make("first"), SigningKey.make("mine"), SigningKey.make("first", "ES256")):
        assert assume(house, role, forger.token(claims)).code == "InvalidIdentityToken"
    head, _, signature = issuer.token().split(".")
    _, payload, _ = issuer.token(sub="root").split(".")
    assert assume(house, role, f"{head}.{payload}.{signature}").code == "InvalidIdentityToken"
    assert assume(house, role, f"{head}.{payload}.").code == "InvalidIdentityToken"


def test_the_issuer_must_be_a_provider_of_the_role_s_account(house, issuer):
    house.provider(issuer.url, account_id=BOB)
    arn = f"arn:aws:iam::{ALICE}:oidc-provider/{issuer.url.removeprefix('http://')}"
    role = house.role("web", [trust({"Federated": arn}, WEB)])
    assert assume(house, role, issuer.token()).code == "InvalidIdentityToken"
    assert issuer.asked == []
    bobs = arn.replace(ALICE, BOB)
    role = house.role("bobs", [trust({"Federated": bobs}, WEB)], account_id=BOB)
    assert assume(house, role, issuer.token()).status == 200
    across = house.role("across", [trust({"Federated": bobs}, WEB)])
    assert assume(house, across, issuer.token()).code == "InvalidIdentityToken"


def test_a_provider_s_scheme_is_its_own(house, issuer):
    arn = house.provider(issuer.url.replace("http://", "https://"))
    role = house.role("web", [trust({"Federated": arn}, WEB)])
    assert assume(house, role, issuer.token()).code == "InvalidIdentityToken"
    assert issuer.asked == []


def test_an_issuer_that_ends_with_a_slash(house, issuer):
    url = f"{issuer.url}/"
    issuer.configuration["issuer"] = url
    try:
        arn = house.provider(url)
        only_me = {"StringEquals": {f"{url.removeprefix('http://')}:sub": "me"}}
        role = house.role("web", [trust({"Federated": arn}, WEB, Condition=only_me)])
        assert assume(house, role, issuer.token(iss=url, sub="me")).status == 200
        assert assume(house, role, issuer.token(sub="me")).code == "InvalidIdentityToken"
    finally:
        issuer.configuration["issuer"] = issuer.url


def test_client_ids_are_those_of_the_moment(house, issuer, provider, role):
    house.iam.update_provider(
        provider, ProviderChange(client_ids_added=("other", "third"), client_ids_removed=("app",))
    )
    assert assume(house, role, issuer.token()).code == "InvalidIdentityToken"
    assert assume(house, role, issuer.token(aud=["x", "third"])).text("Audience") == "third"
    house.iam.delete_provider(provider)
    assert assume(house, role, issuer.token(aud="third")).code == "InvalidIdentityToken"


def test_an_issuer_that_is_away(house):
    with running_issuer() as gone:
        token = gone.token()
        role = house.role("web", [trust({"Federated": house.provider(gone.url)}, WEB)])
    told = assume(house, role, token)
    assert (told.status, told.code) == (400, "IDPCommunicationError")


def test_an_issuer_over_tls(tmp_path: Path):
    authority = Authority(tmp_path)
    house = House(tmp_path / "state", oidc_ca_file=str(authority.path))
    try:
        with running_issuer(authority.server_context()) as issuer:
            role = house.role("web", [trust({"Federated": house.provider(issuer.url)}, WEB)])
            assert assume(house, role, issuer.token()).status == 200
    finally:
        house.close()


# -- trust ---------------------------------------------------------------------------------------------------------------


def host(issuer: Issuer) -> str:
    return issuer.url.removeprefix("http://")


@pytest.mark.parametrize(
    ("operator", "name", "value"),
    [
        ("StringEquals", ":sub", "user-1"),
        ("StringLike", ":sub", "user-*"),
        ("StringEquals", ":aud", "app"),
        ("ForAnyValue:StringEquals", ":aud", "app"),
        ("ForAnyValue:StringEquals", ":amr", "otp"),
        ("Null", ":azp", "true"),
        ("Null", ":oaud", "true"),
    ],
)
def test_a_trust_policy_asks_for_claims(house, issuer, provider, operator, name, value):
    for effect, status in (("Allow", 200), ("Deny", 403)):
        rules = [trust({"Federated": provider}, WEB, effect=effect, Condition={operator: {host(issuer) + name: value}})]
        if effect == "Deny":
            rules.append(trust({"Federated": provider}, WEB))
        role = house.role(f"r{effect}", rules)
        told = assume(house, role, issuer.token(sub="user-1", amr=["pwd", "otp"]))
        assert (told.status, told.code) == (status, "AccessDenied" if status == 403 else "")


def test_another_subject_is_not_let_in(house, issuer, provider):
    rule = trust({"Federated": provider}, WEB, Condition={"StringEquals": {f"{host(issuer)}:sub": "user-1"}})
    role = house.role("one", [rule])
    assert assume(house, role, issuer.token(sub="user-1")).status == 200
    assert assume(house, role, issuer.token(sub="user-2")).code == "AccessDenied"
    assert assume(house, role, issuer.token(sub="USER-1")).code == "AccessDenied"


def test_the_party_is_the_audience_where_it_is_told(house, issuer, provider):
    keys = {f"{host(issuer)}:aud": "app", f"{host(issuer)}:azp": "app", f"{host(issuer)}:oaud": "account"}
    role = house.role("party", [trust({"Federated": provider}, WEB, Condition={"StringEquals": keys})])
    assert assume(house, role, issuer.token(aud="account", azp="app")).text("Audience") == "app"
    assert assume(house, role, issuer.token(aud="app")).code == "AccessDenied"


@pytest.mark.parametrize(
    "principal",
    ["*", {"AWS": "*"}, {"AWS": ALICE}, {"Federated": f"arn:aws:iam::{ALICE}:oidc-provider/idp.example.com"}],
)
def test_only_a_role_that_names_the_provider_lets_it_in(house, issuer, provider, principal):
    role = house.role("open", [trust(principal, WEB, "sts:AssumeRole")])
    told = assume(house, role, issuer.token())
    assert (told.status, told.code) == (403, "AccessDenied")


def test_assume_role_is_another_action(house, issuer, provider):
    role = house.role("web", [trust({"Federated": provider}, "sts:AssumeRole")])
    assert assume(house, role, issuer.token()).code == "AccessDenied"
    gone = role._replace(name="none")
    assert assume(house, gone, issuer.token()).code == "AccessDenied"


def test_a_trust_policy_denies(house, issuer, provider, role):
    document = policy(trust({"Federated": provider}, WEB), trust({"Federated": provider}, WEB, effect="Deny"))
    house.iam.update_entity(ALICE, ROLE, "web", EntityChange(trust=document))
    assert assume(house, role, issuer.token()).code == "AccessDenied"


# -- what a session is given ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "name", "value"),
    [
        ("StringEquals", "{host}:sub", "user-1"),
        ("StringEquals", "{host}:aud", "app"),
        ("StringEquals", "aws:FederatedProvider", "{provider}"),
        ("StringEquals", "aws:PrincipalTag/team", "red"),
        ("StringEquals", "aws:SourceIdentity", "me-myself"),
        ("Null", "aws:MultiFactorAuthPresent", "true"),
        ("Null", "aws:TokenIssueTime", "false"),
    ],
)
def test_a_web_identity_s_session_tells_policies(house, issuer, provider, operator, name, value):
    words = {"host": host(issuer), "provider": provider}
    rule = {"Condition": {operator: {name.format(**words): value.format(**words)}}}
    trusted = trust({"Federated": provider}, WEB, "sts:TagSession", "sts:SetSourceIdentity")
    role = house.role("web", [trusted], statement("s3:ListAllMyBuckets", **rule))
    claims = {TAGS_CLAIM: {"principal_tags": {"team": ["red"]}}, SOURCE_IDENTITY_CLAIM: "me-myself"}
    told = assume(house, role, issuer.token(sub="user-1", **claims))
    assert told.text("SourceIdentity") == "me-myself"
    assert house.s3(told.who, "GET", "/") == (200, "")


def test_a_home_by_subject(house, issuer, provider):
    home = "arn:aws:s3:::homes/${" + host(issuer) + ":sub}/*"
    role = house.role("web", [trust({"Federated": provider}, WEB)], statement("s3:PutObject", resource=home))
    assert house.s3(house.roots[ALICE], "PUT", "/homes") == (200, "")
    session = assume(house, role, issuer.token(sub="user-1")).who
    assert house.s3(session, "PUT", "/homes/user-1/x", b"x") == (200, "")
    assert house.s3(session, "PUT", "/homes/user-2/x", b"x") == (403, "AccessDenied")


@pytest.mark.parametrize(
    "claims",
    [{TAGS_CLAIM: {"principal_tags": {"team": ["red"]}}}, {SOURCE_IDENTITY_CLAIM: "me-myself"}],
)
def test_what_a_token_gives_a_session_is_asked_for(house, issuer, role, claims):
    assert assume(house, role, issuer.token()).status == 200
    assert assume(house, role, issuer.token(**claims)).code == "AccessDenied"


@pytest.mark.parametrize("value", ["x", "x" * 65, "a b", "größe"])
def test_a_token_s_source_identity_that_is_none(house, issuer, provider, value):
    role = house.role("web", [trust({"Federated": provider}, WEB, "sts:SetSourceIdentity")])
    assert assume(house, role, issuer.token(**{SOURCE_IDENTITY_CLAIM: value})).code == "ValidationError"


def test_the_largest_session_can_be_used(house, issuer, provider):
    house.iam.update_provider(provider, ProviderChange(client_ids_added=("p" * 255,)))
    role = house.role("web", [trust({"Federated": provider}, WEB, "sts:TagSession")], ANY_S3)
    noise = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(256 * 7))
    tags = {f"t{n}": [noise[256 * n : 256 * n + 256]] for n in range(6)}
    claims = {"sub": noise[:255], "aud": noise[:1000], "azp": "p" * 255, TAGS_CLAIM: {"principal_tags": tags}}
    token = issuer.keys[0].token(json.dumps(issuer.claims(**claims), ensure_ascii=False).encode())
    told = assume(house, role, token, Policy=policy(ANY_S3))
    assert told.code == ""
    assert int(told.text("PackedPolicySize")) > 80
    assert house.s3(told.who, "GET", "/") == (200, "")


def test_a_session_policy_narrows_it(house, issuer, role):
    session = assume(house, role, issuer.token(), Policy=policy(statement("s3:ListAllMyBuckets"))).who
    assert house.s3(session, "GET", "/") == (200, "")
    assert house.s3(session, "PUT", "/of-the-web") == (403, "AccessDenied")


def test_how_long_it_lasts(house, issuer, role):
    assert assume(house, role, issuer.token(), DurationSeconds=900).status == 200
    for wrong in (899, 3601, 43_201):
        assert assume(house, role, issuer.token(), DurationSeconds=wrong).code == "ValidationError"


def test_oauth_2_tokens_are_not_taken(house, issuer, role):
    assert assume(house, role, issuer.token(), ProviderId="www.amazon.com").code == "ValidationError"


def test_a_session_of_a_web_identity_begins_another(house, issuer, provider):
    first = house.role("first", [trust({"Federated": provider}, WEB)], statement("sts:AssumeRole"))
    second = house.role("second", [trust({"AWS": first.arn})])
    session = assume(house, first, issuer.token()).who
    assert house.arn_of(house.assume(session, second, "next").who) == f"arn:aws:sts::{ALICE}:assumed-role/second/next"
