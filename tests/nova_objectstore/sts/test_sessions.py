"""Sessions at S3 and STS: every way to sign, their end, and what their policies leave of what they may."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import md5

import pytest
from botocore.auth import S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from support.sts import ALICE, BOB, NS, House, Who, policy, statement, trust, user_arn

from nova_objectstore.crypto.keyring import SESSIONS_KEY
from nova_objectstore.iam.ports import ROLE, USER
from nova_objectstore.sts.session import Session, decode_session, encode_session, packed_size
from nova_objectstore.sts.sessions import KEY_TRUSTED_S
from nova_objectstore.types import SessionKind

WAYS = ["v4", "v4 query", "v2", "v2 query"]
ANY_S3 = statement("s3:*")


@pytest.fixture
def joe(house: House) -> Who:
    return house.user("joe", statement("s3:*"), statement("sts:*"))


@pytest.fixture
def role(house: House, joe: Who):
    return house.role("reader", [trust({"AWS": user_arn("joe")})], ANY_S3)


@pytest.fixture
def bucket(house: House) -> str:
    assert house.s3(house.roots[ALICE], "PUT", "/the-bucket") == (200, "")
    assert house.s3(house.roots[ALICE], "PUT", "/the-bucket/key", b"body") == (200, "")
    return "/the-bucket"


# -- signing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", WAYS)
def test_a_session_signs_in_every_way(house, joe, role, bucket, how):
    session = house.assume(joe, role).who
    other = house.assume(joe, role).who
    assert house.s3(session, "GET", f"{bucket}/key", how=how) == (200, "")
    assert house.s3(session, "GET", f"{bucket}/key", how=how) == (200, "")  # its token is known now
    without = session._replace(token=None)
    assert house.s3(without, "GET", f"{bucket}/key", how=how) == (403, "InvalidAccessKeyId")
    for wrong in (other.token, session.token[:-4] + "AAAA", "x", "Größe"):
        for signer in (session, joe):
            told = house.s3(signer._replace(token=wrong), "GET", f"{bucket}/key", how=how)
            assert told == (400, "InvalidToken"), wrong
    assert house.s3(joe._replace(token=session.token), "GET", f"{bucket}/key", how=how) == (400, "InvalidToken")
    stolen = session._replace(secret_key=other.secret_key)
    assert house.s3(stolen, "GET", f"{bucket}/key", how=how) == (403, "SignatureDoesNotMatch")


def test_a_token_counts_where_its_mechanism_looks_for_it(house, joe, role, bucket):
    session = house.assume(joe, role).who
    without = session._replace(token=None)
    headers = {"x-amz-security-token": session.token}
    assert house.s3(without, "GET", f"{bucket}/key", headers=headers) == (200, "")
    request = AWSRequest("GET", f"http://localhost{bucket}/key")
    assert house.s3(joe, "GET", f"{bucket}/key?X-Amz-Security-Token=x") == (400, "InvalidToken")
    assert house.s3(joe, "GET", f"{bucket}/key?X-Amz-Security-Token=") == (400, "InvalidToken")
    assert house.s3_send(request) == (403, "AccessDenied")  # nobody


def test_a_form_carries_a_token(house, joe, role, bucket):
    session = house.assume(joe, role).who
    assert _post(house, session, bucket) == (204, "")
    assert _post(house, session._replace(token=None), bucket) == (403, "InvalidAccessKeyId")
    assert _post(house, joe._replace(token=session.token), bucket) == (400, "InvalidToken")


def _post(house: House, who: Who, bucket: str) -> tuple[int, str]:
    conditions = [["starts-with", "$key", ""], {"bucket": bucket[1:]}]
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    request = AWSRequest("POST", f"http://localhost{bucket}")
    request.context["s3-presign-post-fields"] = {}
    request.context["s3-presign-post-policy"] = {"expiration": until, "conditions": conditions}
    S3SigV4PostAuth(who.credentials, "s3", "us-east-1").add_auth(request)
    fields = {"key": "posted", **request.context["s3-presign-post-fields"], "file": "body"}
    parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields]
    body = "".join([*parts, "--b--\r\n"]).encode()
    return house.s3_send(
        AWSRequest(
            "POST", f"http://localhost{bucket}", data=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
        )
    )


def test_a_presigned_call_of_sts(house, joe, role):
    session = house.assume(joe, role).who
    told = house.ask("GetCallerIdentity", session, presigned=True)
    assert told.text("Arn") == f"arn:aws:sts::{ALICE}:assumed-role/reader/session"
    assert house.ask("GetCallerIdentity", session._replace(token=None), presigned=True).code == "InvalidClientTokenId"


def test_another_store_s_session_is_nobody_s(house, joe, role, tmp_path):
    (tmp_path / "other").mkdir()
    other = House(tmp_path / "other")
    try:
        user = other.user("joe")
        session = other.assume(user, other.role("reader", [trust({"AWS": user_arn("joe")})])).who
        assert house.s3(session, "GET", "/") == (400, "InvalidToken")
        assert house.ask("GetCallerIdentity", session).code == "InvalidClientTokenId"
        house.assume(joe, role)
        assert house.s3(session, "GET", "/") == (400, "InvalidToken")
    finally:
        other.close()


# -- the end -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", WAYS)
def test_a_session_ends_with_its_time(house, joe, role, bucket, how):
    session = house.assume(joe, role, DurationSeconds=900).who
    house.ahead_s = 890
    assert house.s3(session, "GET", f"{bucket}/key", how=how) == (200, "")
    house.ahead_s = 900
    assert house.s3(session, "GET", f"{bucket}/key", how=how) == (400, "ExpiredToken")
    told = house.ask("GetCallerIdentity", session)
    assert (told.status, told.code) == (403, "ExpiredToken")


def test_the_expiration_is_told(house, joe, role):
    told = house.assume(joe, role, DurationSeconds=1000)
    expires = datetime.fromisoformat(told.text("Credentials/Expiration"))
    assert abs((expires - datetime.now(UTC)).total_seconds() - 1000) < 60


def test_a_role_s_sessions_end_with_it_and_are_not_another_s_of_its_name(house, joe, role):
    session = house.assume(joe, role).who
    assert house.s3(session, "GET", "/") == (200, "")
    house.iam.delete_inline_policy(ALICE, ROLE, "reader", "inline")
    assert house.s3(session, "GET", "/") == (403, "AccessDenied")
    house.iam.delete_entity(ALICE, ROLE, "reader")
    assert house.s3(session, "GET", "/") == (403, "InvalidAccessKeyId")
    house.role("reader", [trust({"AWS": user_arn("joe")})], ANY_S3)
    assert house.s3(session, "GET", "/") == (403, "InvalidAccessKeyId")
    assert house.ask("GetCallerIdentity", session).code == "InvalidClientTokenId"


def test_a_role_s_session_outlives_who_began_it(house, joe, role):
    session = house.assume(joe, role).who
    house.iam.delete_entity_key(ALICE, "joe", joe.access_key)
    house.iam.delete_inline_policy(ALICE, USER, "joe", "inline")
    house.iam.delete_entity(ALICE, USER, "joe")
    assert house.s3(session, "GET", "/") == (200, "")


def test_a_user_s_session_ends_with_the_key_it_was_begun_with(house, joe):
    session = house.ask("GetSessionToken", joe).who
    assert house.s3(session, "GET", "/") == (200, "")
    house.iam.set_entity_key_active(ALICE, "joe", joe.access_key, False)
    assert house.s3(session, "GET", "/") == (403, "InvalidAccessKeyId")
    house.iam.set_entity_key_active(ALICE, "joe", joe.access_key, True)
    assert house.s3(session, "GET", "/") == (200, "")
    house.iam.delete_entity_key(ALICE, "joe", joe.access_key)
    assert house.s3(session, "GET", "/") == (403, "InvalidAccessKeyId")


def test_sessions_end_with_their_account(house):
    user = house.user("bert", account_id=BOB)
    role = house.role("r", [trust({"AWS": user_arn("bert", BOB)})], ANY_S3, account_id=BOB)
    sessions = [house.assume(user, role).who, house.ask("GetSessionToken", user).who]
    house.store.meta.delete_account(BOB)
    for session in sessions:
        assert house.s3(session, "GET", "/") == (403, "InvalidAccessKeyId")


def test_all_sessions_end_while_their_key_is_disabled(house, joe, role):
    session = house.assume(joe, role).who
    assert house.s3(session, "GET", "/") == (200, "")
    keyring = house.store.encryption._keyring
    keyring.set_enabled(SESSIONS_KEY, False)
    house.ahead_s = KEY_TRUSTED_S
    assert house.s3(session, "GET", "/") == (400, "InvalidToken")
    told = house.assume(joe, role)
    assert (told.status, told.code) == (403, "AccessDenied")
    keyring.set_enabled(SESSIONS_KEY, True)
    assert house.s3(session, "GET", "/") == (200, "")


def test_nobody_encrypts_objects_with_the_key_of_sessions(house, joe, role, bucket):
    house.assume(joe, role)
    headers = {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": SESSIONS_KEY,
    }
    assert house.s3(joe, "PUT", f"{bucket}/k", b"x", headers=headers) == (400, "KMS.NotFoundException")


# -- whom a session acts as ----------------------------------------------------------------------------------------------


def test_get_caller_identity(house, joe, role):
    def told(who: Who):
        answer = house.ask("GetCallerIdentity", who)
        return [answer.text(name) for name in ("Account", "Arn", "UserId")]

    root = house.roots[ALICE]
    joe_id = house.iam.find_entity(ALICE, USER, "joe").id
    assert told(root) == [ALICE, f"arn:aws:iam::{ALICE}:root", ALICE]
    assert told(joe) == [ALICE, user_arn("joe"), joe_id]
    assert told(house.assume(joe, role, "me").who) == [
        ALICE,
        f"arn:aws:sts::{ALICE}:assumed-role/reader/me",
        f"{role.id}:me",
    ]
    assert told(house.ask("GetSessionToken", root).who) == told(root)
    assert told(house.ask("GetSessionToken", joe).who) == told(joe)
    assert told(house.ask("GetFederationToken", joe, Name="guest").who) == [
        ALICE,
        f"arn:aws:sts::{ALICE}:federated-user/guest",
        f"{ALICE}:guest",
    ]


def test_an_unsigned_request_is_told_to_sign(house):
    for action in ("GetCallerIdentity", "AssumeRole", "GetSessionToken", "GetFederationToken"):
        assert house.ask(action, None).code == "MissingAuthenticationToken"


def test_a_root_s_session_acts_as_root(house, bucket):
    session = house.ask("GetSessionToken", house.roots[ALICE]).who
    assert house.s3(session, "DELETE", f"{bucket}/key") == (204, "")
    assert house.s3(session, "PUT", "/another-bucket") == (200, "")


def test_a_user_s_session_may_what_the_user_may(house, bucket):
    ann = house.user("ann", statement("s3:GetObject"))
    session = house.ask("GetSessionToken", ann).who
    assert house.s3(session, "GET", f"{bucket}/key") == (200, "")
    assert house.s3(session, "DELETE", f"{bucket}/key") == (403, "AccessDenied")
    house.iam.put_inline_policy(ALICE, USER, "ann", "inline", policy(statement("s3:DeleteObject")))
    assert house.s3(session, "DELETE", f"{bucket}/key") == (204, "")


def test_how_long_sessions_of_users_and_roots_last(house, joe):
    def lasts(who: Who, **parameters):
        told = house.ask("GetSessionToken", who, **parameters)
        if told.code:
            return told.code
        expires = datetime.fromisoformat(told.text("Credentials/Expiration"))
        return round((expires - datetime.now(UTC)).total_seconds() / 100) * 100

    assert lasts(joe) == 43_200
    assert lasts(joe, DurationSeconds=900) == 900
    assert lasts(joe, DurationSeconds=129_600) == 129_600
    assert lasts(house.roots[ALICE]) == 3600
    assert lasts(house.roots[ALICE], DurationSeconds=900) == 900
    assert lasts(house.roots[ALICE], DurationSeconds=129_600) == 3600
    for wrong in (899, 129_601, -1, "x", "", "9" * 20):
        assert lasts(joe, DurationSeconds=wrong) == "ValidationError"


def test_sessions_begin_no_sessions_of_users(house, joe, role):
    sessions = [
        house.assume(joe, role).who,
        house.ask("GetSessionToken", joe).who,
        house.ask("GetFederationToken", joe, Name="guest").who,
    ]
    for session in sessions:
        assert house.ask("GetSessionToken", session).code == "AccessDenied"
        assert house.ask("GetFederationToken", session, Name="guest").code == "AccessDenied"


def test_nobody_has_an_mfa_device(house, joe, role):
    mfa = {"SerialNumber": f"arn:aws:iam::{ALICE}:mfa/joe", "TokenCode": "123456"}
    assert house.ask("GetSessionToken", joe, **mfa).code == "AccessDenied"
    assert house.assume(joe, role, **mfa).code == "AccessDenied"


# -- session policies ----------------------------------------------------------------------------------------------------


def test_a_session_policy_narrows_and_never_widens(house, joe, bucket):
    role = house.role("r", [trust({"AWS": user_arn("joe")})], statement("s3:GetObject", "s3:DeleteObject"))
    inline = policy(statement("s3:GetObject", "s3:PutObject"))
    session = house.assume(joe, role, Policy=inline).who
    assert house.s3(session, "GET", f"{bucket}/key") == (200, "")
    assert house.s3(session, "PUT", f"{bucket}/key", b"x") == (403, "AccessDenied")
    assert house.s3(session, "DELETE", f"{bucket}/key") == (403, "AccessDenied")
    denying = policy(statement("s3:*"), statement("s3:GetObject", effect="Deny"))
    session = house.assume(joe, role, Policy=denying).who
    assert house.s3(session, "GET", f"{bucket}/key") == (403, "AccessDenied")
    assert house.s3(session, "DELETE", f"{bucket}/key") == (204, "")


def test_managed_session_policies_are_those_of_the_moment(house, joe, role, bucket):
    arn = house.managed("readers", statement("s3:GetObject"))
    session = house.assume(joe, role, PolicyArns__member__1__arn=arn).who
    assert house.s3(session, "GET", f"{bucket}/key") == (200, "")
    assert house.s3(session, "PUT", f"{bucket}/key", b"x") == (403, "AccessDenied")
    house.iam.create_policy_version(ALICE, arn, policy(statement("s3:PutObject")), is_default=True, now_us=2)
    assert house.s3(session, "GET", f"{bucket}/key") == (403, "AccessDenied")
    assert house.s3(session, "PUT", f"{bucket}/key", b"x") == (200, "")
    house.iam.delete_policy_version(ALICE, arn, 1)
    house.iam.delete_policy(ALICE, arn)
    assert house.s3(session, "PUT", f"{bucket}/key", b"x") == (403, "AccessDenied")


def test_inline_and_managed_session_policies_add_up(house, joe, role, bucket):
    arn = house.managed("writers", statement("s3:PutObject"))
    session = house.assume(joe, role, PolicyArns__member__1__arn=arn, Policy=policy(statement("s3:GetObject"))).who
    assert house.s3(session, "GET", f"{bucket}/key") == (200, "")
    assert house.s3(session, "PUT", f"{bucket}/key", b"x") == (200, "")
    assert house.s3(session, "DELETE", f"{bucket}/key") == (403, "AccessDenied")


def test_a_boundary_holds_for_a_role_s_sessions(house, joe, bucket):
    arn = house.managed("edge", statement("s3:GetObject"))
    role = house.role("r", [trust({"AWS": user_arn("joe")})], ANY_S3, boundary=arn)
    session = house.assume(joe, role, Policy=policy(statement("s3:*"))).who
    assert house.s3(session, "GET", f"{bucket}/key") == (200, "")
    assert house.s3(session, "PUT", f"{bucket}/key", b"x") == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "ValidationError"),
        ("{}", "MalformedPolicyDocument"),
        ("not json", "MalformedPolicyDocument"),
        (policy(trust("*")), "MalformedPolicyDocument"),
        (policy(statement("s3:GetObject")) + " " * 2048, "ValidationError"),
        (json.dumps(policy(statement("s3:Größe"))), "MalformedPolicyDocument"),
        ("☃", "ValidationError"),
    ],
)
def test_a_session_policy_that_is_none(house, joe, role, text, code):
    assert house.assume(joe, role, Policy=text).code == code


def test_managed_session_policies_are_the_account_s_own_or_aws_s(house, joe, role):
    def told(*arns: str):
        return house.assume(joe, role, **{f"PolicyArns__member__{n}__arn": arn for n, arn in enumerate(arns, 1)}).code

    arn = f"arn:aws:iam::{ALICE}:policy/p"
    assert told(arn.replace(ALICE, BOB)) == "ValidationError"
    assert told("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess") == ""
    assert told("p") == "ValidationError"
    assert told(*[f"{arn}{number}" for number in range(10)]) == ""
    assert told(*[f"{arn}{number}" for number in range(11)]) == "ValidationError"


def test_policies_and_tags_have_room_together(house, joe):
    role = house.role("r", [trust({"AWS": user_arn("joe")}, "sts:AssumeRole", "sts:TagSession")], ANY_S3)

    def tags(count: int, value):
        named = [(f"Tags__member__{n}__Key", f"Tags__member__{n}__Value") for n in range(1, count + 1)]
        return {key: text for n, pair in enumerate(named) for key, text in zip(pair, (f"t{n}", value(n)), strict=True)}

    told = house.assume(joe, role, **tags(50, lambda n: "same"))
    assert 0 < int(told.text("PackedPolicySize")) <= 100
    noise = "".join(chr(0x4E00 + (n * 7919) % 20_000) for n in range(256 * 50))
    told = house.assume(joe, role, **tags(50, lambda n: noise[256 * n : 256 * n + 256]))
    assert (told.status, told.code) == (400, "PackedPolicyTooLarge")
    assert house.assume(joe, role, **tags(50, lambda n: "\U00020000" * 256)).status == 200
    assert house.assume(joe, role, **tags(51, lambda n: "x")).code == "ValidationError"
    many = {f"TransitiveTagKeys__member__{n}": "t0" for n in range(1, 52)}
    assert house.assume(joe, role, **tags(1, lambda n: "x"), **many).code == "ValidationError"
    assert house.assume(joe, role).text("PackedPolicySize") is None


# -- what policies may ask -----------------------------------------------------------------------------------------------


def condition(operator: str, key: str, value):
    return {"Condition": {operator: {key: value}}}


def test_sessions_that_began_before_a_time_are_shut_out(house, joe, role):
    session = house.assume(joe, role).who
    later = (datetime.now(UTC) + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    deny = statement("*", effect="Deny", **condition("DateLessThan", "aws:TokenIssueTime", later))
    house.iam.put_inline_policy(ALICE, ROLE, "reader", "revoke", policy(deny))
    assert house.s3(session, "GET", "/") == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("StringEquals", "aws:PrincipalTag/Team", "red"),
        ("StringEquals", "aws:PrincipalTag/Cost", "role's"),
        ("StringEquals", "aws:SourceIdentity", "joe-himself"),
        ("StringLike", "aws:userid", "AROA*:session"),
        ("ArnEquals", "aws:PrincipalArn", f"arn:aws:iam::{ALICE}:role/tagged"),
        ("StringEquals", "aws:PrincipalType", "AssumedRole"),
        ("StringEquals", "aws:PrincipalAccount", ALICE),
        ("Bool", "aws:MultiFactorAuthPresent", "false"),
        ("Null", "aws:username", "true"),
        ("Null", "sts:ExternalId", "true"),
        ("Null", "aws:FederatedProvider", "true"),
    ],
)
def test_a_role_s_session_tells_policies(house, joe, operator, key, value):
    allowed = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    role = house.role(
        "tagged",
        [trust({"AWS": user_arn("joe")}, *allowed)],
        statement("s3:ListAllMyBuckets", **condition(operator, key, value)),
        tags={"team": "blue", "Cost": "role's"},
    )
    given = {"Tags__member__1__Key": "Team", "Tags__member__1__Value": "red", "SourceIdentity": "joe-himself"}
    told = house.assume(joe, role, ExternalId="ext-1", **given)
    assert told.text("SourceIdentity") == "joe-himself"
    assert house.s3(told.who, "GET", "/") == (200, "")


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("StringEquals", "aws:username", "ann"),
        ("Bool", "aws:MultiFactorAuthPresent", "false"),
        ("StringEquals", "aws:PrincipalTag/team", "red"),
        ("ArnEquals", "aws:PrincipalArn", user_arn("ann")),
        ("StringEquals", "aws:PrincipalType", "User"),
        ("Null", "aws:TokenIssueTime", "false"),
    ],
)
def test_a_user_s_session_tells_policies(house, operator, key, value):
    rule = statement("s3:ListAllMyBuckets", **condition(operator, key, value))
    ann = house.user("ann", rule, tags={"team": "red"})
    assert house.s3(house.ask("GetSessionToken", ann).who, "GET", "/") == (200, "")


def test_who_signs_with_a_key_of_its_own_has_no_keys_of_a_session(house):
    absent = {"Null": {"aws:TokenIssueTime": "true", "aws:MultiFactorAuthPresent": "true"}}
    ann = house.user("ann", statement("s3:ListAllMyBuckets", Condition=absent))
    assert house.s3(ann, "GET", "/") == (200, "")


# -- federated users -----------------------------------------------------------------------------------------------------


def test_a_federated_user_has_what_policy_and_user_both_allow(house, bucket):
    ann = house.user("ann", statement("s3:GetObject", "s3:PutObject"), statement("sts:GetFederationToken"))
    limits = policy(statement("s3:GetObject", "s3:DeleteObject"))
    session = house.ask("GetFederationToken", ann, Name="guest", Policy=limits).who
    assert house.s3(session, "GET", f"{bucket}/key") == (200, "")
    assert house.s3(session, "PUT", f"{bucket}/key", b"x") == (403, "AccessDenied")
    assert house.s3(session, "DELETE", f"{bucket}/key") == (403, "AccessDenied")
    bare = house.ask("GetFederationToken", ann, Name="guest").who
    assert house.s3(bare, "GET", f"{bucket}/key") == (403, "AccessDenied")


def test_a_root_vouches_for_a_federated_user(house, bucket):
    root = house.roots[ALICE]
    session = house.ask("GetFederationToken", root, Name="guest", Policy=policy(statement("s3:GetObject"))).who
    assert house.s3(session, "GET", f"{bucket}/key") == (200, "")
    assert house.s3(session, "DELETE", f"{bucket}/key") == (403, "AccessDenied")
    assert house.s3(session, "GET", f"{bucket}?policy")[0] == 403
    house.store.meta.set_access_key_active(root.access_key, False)
    assert house.s3(session, "GET", f"{bucket}/key") == (403, "InvalidAccessKeyId")


def test_a_bucket_s_policy_names_a_federated_user(house, bucket):
    session = house.ask("GetFederationToken", house.roots[ALICE], Name="guest").who
    rule = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:sts::{ALICE}:federated-user/guest"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket[1:]}/*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": rule}).encode()
    assert house.s3(house.roots[ALICE], "PUT", f"{bucket}?policy", document) == (204, "")
    assert house.s3(session, "GET", f"{bucket}/key") == (200, "")
    # whom everybody is, its session's policies hold
    rule["Principal"] = "*"
    document = json.dumps({"Version": "2012-10-17", "Statement": rule}).encode()
    open_to_all = b'<PublicAccessBlockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"/>'
    digest = {"Content-MD5": b64encode(md5(open_to_all).digest()).decode()}
    root = house.roots[ALICE]
    assert house.s3(root, "PUT", f"{bucket}?publicAccessBlock", open_to_all, headers=digest)[0] == 200
    assert house.s3(root, "PUT", f"{bucket}?policy", document) == (204, "")
    assert house.s3(session, "GET", f"{bucket}/key") == (403, "AccessDenied")


def test_federation_is_allowed_by_policies(house):
    ann = house.user("ann", statement("s3:*"))
    told = house.ask("GetFederationToken", ann, Name="guest")
    assert (told.status, told.code) == (403, "AccessDenied")
    ben = house.user("ben", statement("sts:GetFederationToken", resource=f"arn:aws:sts::{ALICE}:federated-user/guest"))
    assert house.ask("GetFederationToken", ben, Name="guest").status == 200
    assert house.ask("GetFederationToken", ben, Name="ghost").code == "AccessDenied"
    tags = {"Tags__member__1__Key": "team", "Tags__member__1__Value": "red"}
    assert house.ask("GetFederationToken", ben, Name="guest", **tags).code == "AccessDenied"


def test_a_federated_user_s_tags_come_before_the_user_s(house):
    tags = {"team": "red", "level": "high"}
    ann = house.user("ann", statement("s3:*"), statement("sts:*"), tags=tags)
    given = {"Tags__member__1__Key": "Team", "Tags__member__1__Value": "blue"}
    for name, value in (("Team", "blue"), ("level", "high")):
        limits = policy(statement("s3:*", **condition("StringEquals", f"aws:PrincipalTag/{name}", value)))
        session = house.ask("GetFederationToken", ann, Name="guest", Policy=limits, **given).who
        assert house.s3(session, "GET", "/") == (200, "")
    limits = policy(statement("s3:*", **condition("Null", "aws:PrincipalTag/team", "true")))
    session = house.ask("GetFederationToken", ann, Name="guest", Policy=limits, **given).who
    assert house.s3(session, "GET", "/") == (200, "")


@pytest.mark.parametrize("name", ["", "x", "x" * 33, "a b", "a/b", "é2"])
def test_the_name_of_a_federated_user(house, name):
    told = house.ask("GetFederationToken", house.roots[ALICE], Name=name)
    assert told.code in ("ValidationError", "MissingParameter")


# -- the form ------------------------------------------------------------------------------------------------------------


def test_a_session_comes_back_as_it_went():
    session = Session(
        SessionKind.ROLE, ALICE, "role", "AROA1", "me", 5, 10, ("{}",), ("arn",), {"k": "Größe☃"}, ("K",), "src", {"a": "b"}
    )  # fmt: skip
    back = decode_session(encode_session(session))
    assert back == session._replace(policies=["{}"], policy_arns=["arn"], transitive=["K"])
    assert back.transitive_tags == {"k": "Größe☃"}
    assert packed_size(session) > 0
    assert packed_size(Session(SessionKind.USER, ALICE, "AKIA", "", "", 5, 10)) == 0


def test_the_answer_tells_no_secret_twice(house, joe, role):
    told = house.assume(joe, role)
    texts = [element.text for element in told.root.iter() if element.tag != f"{NS}SecretAccessKey"]
    assert told.who.secret_key not in texts
