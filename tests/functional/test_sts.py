"""STS through boto3, on a store with two workers: a session is good at each of them, and ends at each of them at once."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from support.accounts import Person, make_account
from support.oidc import Issuer, SigningKey, running_issuer
from support.raw_store import Wire, connect_to_each_worker, read_error_code
from support.store import ACCESS_KEY, BIN, REGION, SECRET_KEY, Store, running_store
from support.sts import policy, statement, trust

Keys = Mapping[str, str]
EXPIRED = "ExpiredTokenException"


@pytest.fixture(scope="module")
def alice(store: Store) -> Person:
    return make_account(store, "alice")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with running_issuer() as running:
        yield running


def client(store: Store, service: str, keys: Keys | Person | None = None, **config: Any) -> Any:
    """A client that signs with a key pair, a session's ``Credentials``, as an account's root, or not at all."""
    if isinstance(keys, Person):
        keys = {"AccessKeyId": keys.access_key, "SecretAccessKey": keys.secret_key}
    named = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    given = zip(named, ("AccessKeyId", "SecretAccessKey", "SessionToken"), strict=True)
    settings = {"retries": {"max_attempts": 0}, **({} if keys else {"signature_version": UNSIGNED}), **config}
    return boto3.session.Session().client(
        service,
        endpoint_url=store.url,
        region_name=REGION,
        config=Config(**settings),
        **({name: keys.get(key) for name, key in given} if keys else {}),
    )


def code(refused: Any) -> str:
    return refused.value.response["Error"]["Code"]


def make_user(iam: Any, name: str, *statements: dict[str, Any]) -> tuple[str, Keys]:
    """A user's ARN, and its key."""
    arn = iam.create_user(UserName=name)["User"]["Arn"]
    if statements:
        iam.put_user_policy(UserName=name, PolicyName="inline", PolicyDocument=policy(*statements))
    return arn, iam.create_access_key(UserName=name)["AccessKey"]


def make_role(iam: Any, name: str, trusted: dict[str, Any], *statements: dict[str, Any]) -> str:
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=policy(trusted))["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="inline", PolicyDocument=policy(*statements))
    return str(arn)


def head_at(wire: Wire, keys: Keys, path: str) -> tuple[int, str]:
    """Status and error code of a GET, signed for a session, on one connection."""
    request = AWSRequest("GET", f"http://store.test{path}", headers={"Host": "store.test"})
    credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys.get("SessionToken"))
    S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
    lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    answer = wire.send(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()).response()
    return answer.status, read_error_code(answer.body) if answer.status >= 400 else ""


# -- a session, and both workers -----------------------------------------------------------------------------------------


def test_a_session_is_good_at_every_worker_and_ends_at_every_worker(store: Store, alice: Person) -> None:
    iam = client(store, "iam", alice)
    joe_arn, joe = make_user(iam, "joe")
    role = make_role(iam, "worker-role", trust({"AWS": joe_arn}), statement("s3:*"))
    sessions = [
        client(store, "sts", joe).assume_role(RoleArn=role, RoleSessionName=f"s{number}")["Credentials"]
        for number in range(4)  # a connection each: both workers begin some
    ]
    with connect_to_each_worker(store, 1) as wires:
        for wire in wires:
            assert [head_at(wire, session, "/") for session in sessions] == [(200, "")] * 4
        iam.delete_role_policy(RoleName="worker-role", PolicyName="inline")
        for wire in wires:
            assert head_at(wire, sessions[0], "/") == (403, "AccessDenied")
        iam.delete_role(RoleName="worker-role")
        for wire in wires:
            assert [head_at(wire, session, "/") for session in sessions] == [(403, "InvalidAccessKeyId")] * 4


def test_all_sessions_end_when_their_key_is_disabled(store: Store, alice: Person) -> None:
    session = client(store, "sts", alice).get_session_token()["Credentials"]
    manage = [BIN / "nova-manage", "--state-path", store.state_path, "kms"]
    with connect_to_each_worker(store, 1) as wires:
        for wire in wires:
            assert head_at(wire, session, "/") == (200, "")
        store.run(*manage, "disable", "nova/sts")
        for wire in wires:
            assert head_at(wire, session, "/") == (400, "InvalidToken")
        store.run(*manage, "enable", "nova/sts")
        for wire in wires:
            assert head_at(wire, session, "/") == (200, "")


def test_objects_under_a_session_with_a_policy(store: Store, alice: Person) -> None:
    iam = client(store, "iam", alice)
    ann_arn, ann = make_user(iam, "ann")
    role = make_role(iam, "narrowed", trust({"AWS": ann_arn}), statement("s3:*"))
    narrow = policy(statement("s3:GetObject", "s3:PutObject", resource="arn:aws:s3:::narrowed/mine/*"))
    alice.client(store).create_bucket(Bucket="narrowed")
    told = client(store, "sts", ann).assume_role(RoleArn=role, RoleSessionName="ann", Policy=narrow)
    assert told["PackedPolicySize"] > 0
    assert told["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{alice.account_id}:assumed-role/narrowed/ann"
    s3 = client(store, "s3", told["Credentials"], signature_version="s3v4")
    s3.put_object(Bucket="narrowed", Key="mine/k", Body=b"x" * 100_000)
    assert len(s3.get_object(Bucket="narrowed", Key="mine/k")["Body"].read()) == 100_000
    for key in ("k", "yours/k"):
        with pytest.raises(ClientError) as refused:
            s3.put_object(Bucket="narrowed", Key=key, Body=b"x")
        assert code(refused) == "AccessDenied"
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "narrowed", "Key": "mine/k"})
    assert "X-Amz-Security-Token" in url
    assert len(_get(url)) == 100_000
    old = client(store, "s3", told["Credentials"], signature_version="s3")
    assert old.head_object(Bucket="narrowed", Key="mine/k")["ContentLength"] == 100_000
    url = old.generate_presigned_url("get_object", Params={"Bucket": "narrowed", "Key": "mine/k"})
    assert "x-amz-security-token" in url
    assert len(_get(url)) == 100_000
    form = s3.generate_presigned_post("narrowed", "mine/posted")
    assert _post(form["url"], form["fields"]) == 204
    assert s3.get_object(Bucket="narrowed", Key="mine/posted")["Body"].read() == b"posted"


def _get(url: str) -> bytes:
    answer = requests.get(url, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.content


def _post(url: str, fields: Mapping[str, str]) -> int:
    return requests.post(url, data=fields, files={"file": b"posted"}, timeout=30).status_code


def test_a_role_of_another_account(store: Store, alice: Person) -> None:
    bob = make_account(store, "bob")
    theirs = client(store, "iam", bob)
    _, bert = make_user(theirs, "bert", statement("sts:AssumeRole"))
    rule = trust({"AWS": bob.account_id}, Condition={"StringEquals": {"sts:ExternalId": "between-us"}})
    role = make_role(client(store, "iam", alice), "for-bob", rule, statement("s3:*"))
    sts = client(store, "sts", bert)
    with pytest.raises(ClientError) as refused:
        sts.assume_role(RoleArn=role, RoleSessionName="bert")
    assert code(refused) == "AccessDenied"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="bert", ExternalId="between-us")["Credentials"]
    assert client(store, "sts", keys).get_caller_identity()["Account"] == alice.account_id
    client(store, "s3", keys).create_bucket(Bucket="by-bert-for-alice")
    assert "by-bert-for-alice" in [b["Name"] for b in alice.client(store).list_buckets()["Buckets"]]


def test_sessions_of_users_cannot_manage_users(store: Store, alice: Person) -> None:
    keys = client(store, "sts", alice).get_session_token()["Credentials"]
    with pytest.raises(ClientError) as refused:
        client(store, "iam", keys).list_users()
    assert code(refused) == "InvalidClientTokenId"
    iam = client(store, "iam", alice)
    eve_arn, eve = make_user(iam, "eve")
    role = make_role(iam, "manager", trust({"AWS": eve_arn}), statement("iam:ListUsers"))
    keys = client(store, "sts", eve).assume_role(RoleArn=role, RoleSessionName="eve")["Credentials"]
    assert client(store, "iam", keys).list_users()["Users"]


# -- web identities ------------------------------------------------------------------------------------------------------


def test_a_web_identity(store: Store, alice: Person, issuer: Issuer) -> None:
    iam = client(store, "iam", alice)
    provider = iam.create_open_id_connect_provider(Url=issuer.url, ClientIDList=["app"], ThumbprintList=["0" * 40])[
        "OpenIDConnectProviderArn"
    ]
    subject = {"StringEquals": {f"{issuer.url.removeprefix('http://')}:sub": "user-1"}}
    rule = trust({"Federated": provider}, "sts:AssumeRoleWithWebIdentity", Condition=subject)
    role = make_role(iam, "web", rule, statement("s3:*"))
    sts = client(store, "sts")
    issuer.keys = [SigningKey.make("rsa"), SigningKey.make("ec", "ES256")]
    for key in issuer.keys:
        token = key.token(issuer.claims(sub="user-1"))
        told = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="web", WebIdentityToken=token)
        assert told["SubjectFromWebIdentityToken"] == "user-1"
        assert client(store, "s3", told["Credentials"]).list_buckets()["ResponseMetadata"]["HTTPStatusCode"] == 200
    for claims, refusal in (
        ({"sub": "user-2"}, "AccessDenied"),
        ({"aud": "x"}, "InvalidIdentityToken"),
        ({"exp": 1}, EXPIRED),
    ):
        with pytest.raises(ClientError) as refused:
            sts.assume_role_with_web_identity(
                RoleArn=role, RoleSessionName="web", WebIdentityToken=issuer.token(**claims)
            )
        assert code(refused) == refusal


def test_the_command_line_assumes_a_role_by_its_profile(store: Store, alice: Person, tmp_path: Path) -> None:
    aws = shutil.which("aws", path=str(BIN)) or pytest.skip("the AWS command line is not installed")
    iam = client(store, "iam", alice)
    cli_arn, cli = make_user(iam, "cli")
    role = make_role(iam, "by-profile", trust({"AWS": cli_arn}), statement("s3:*"))
    config = tmp_path / "config"
    config.write_text(
        f"[profile base]\naws_access_key_id={cli['AccessKeyId']}\naws_secret_access_key={cli['SecretAccessKey']}\n"
        f"[profile role]\nrole_arn={role}\nsource_profile=base\nrole_session_name=cli\n"
    )
    environ = {**store.environ(), "AWS_CONFIG_FILE": str(config), "HOME": str(tmp_path)}
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        del environ[name]
    done = subprocess.run(
        [aws, "--profile", "role", "sts", "get-caller-identity"],
        env=environ,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Arn"] == f"arn:aws:sts::{alice.account_id}:assumed-role/by-profile/cli"


# -- nothing of it is told -----------------------------------------------------------------------------------------------


def test_no_secret_is_logged_or_kept(tmp_path: Path) -> None:
    root = {"AccessKeyId": ACCESS_KEY, "SecretAccessKey": SECRET_KEY}
    with running_store(tmp_path, "--log-level", "debug") as store:
        keys = client(store, "sts", root).get_session_token()["Credentials"]
        client(store, "s3", keys).list_buckets()
        with pytest.raises(ClientError):
            client(store, "s3", {**keys, "SessionToken": keys["SessionToken"][:-4] + "AAAA"}).list_buckets()
        url = client(store, "s3", keys).generate_presigned_url("list_buckets")
        _get(url)
        output = store.server.output()
    told = [output.encode(), *(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())]
    # in a URL a token's other characters are escaped
    pieces = [keys["SecretAccessKey"], *re.findall(r"[A-Za-z0-9]{12,}", keys["SessionToken"])]
    assert len(pieces) > 2
    for piece in pieces:
        assert not [True for content in told if piece.encode() in content]
