"""Secrets stay where they belong: a store, nova-api and nova-manage at log level debug, and every error that may tell one.

All is provoked once, with secrets that are known; each test then looks in one kind of place.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import secrets
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from support.certificates import Authority
from support.secrets_sought import Place, Secret, core_limit, files_below, leaks, process_tree, secret, shown_by
from support.store import BIN, REGION
from support.web import BOUNDARY, encode_form

from nova_objectstore.limits import MiB
from nova_wsgi.testing import LiveServer, Notified

ACCESS_KEY = "AKIASECRETSTESTS0001"
SECRET_KEY = "a/known+secret=key&of<an>account0123456789"
MASTER_KEY = secrets.token_hex(32)
BROKER_PASSWORD = "broker-Pa55%2Fw0rd"
DATABASE_PASSWORD = "database-Pa55w0rd"
WEBHOOK_PASSWORD = "webhook-Pa55w0rd"
WEBHOOK_TOKEN = "webhook-t0ken-in-the-query"
CUSTOMER_KEY, WRONG_CUSTOMER_KEY = secrets.token_bytes(32), secrets.token_bytes(32)
MADE_TO_BE_SHOWN = ("CreateAccessKey", "AssumeRole", "nova-manage key create")  # secrets are answered there, once


class World:
    """The programs over one state directory, what was asked of them, and what they said."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.secrets: list[Secret] = []
        self.answers: list[Place] = []
        self.said: list[Place] = []  # by nova-manage
        self._write_files()
        self.manage(
            "account", "create", "acme", "--access-key", ACCESS_KEY, "--secret-key=-", stdin=SECRET_KEY, shows=True
        )
        options = [f"--config-file={folder / 'nova.conf'}"]
        store = [BIN / "nova-objectstore", *options, "--s3-listen-port=0", "--s3-workers=2"]
        api = [
            BIN / "nova-api",
            *options,
            f"--log-file={folder / 'api.log'}",
            f"--access-log-file={folder / 'api-access.log'}",
        ]
        ports = [f"--{name}-listen-port=0" for name in ("osapi", "ec2", "iam")]
        self.store = stack.enter_context(LiveServer(store))
        tls = f"--iam-cert-file={folder / 'localhost.pem'}"
        self.api = stack.enter_context(LiveServer([*api, *ports, tls], ready=Notified("")))
        self._note_files()

    def _write_files(self) -> None:
        Authority(self.folder).issue(COMMON_NAME="localhost")
        _write_private(self.folder / "the-master-key", MASTER_KEY)
        _write_private(
            self.folder / "nova.conf",
            f"""[DEFAULT]
log_level = debug
state_path = {self.state}
control_path = {self.folder}/control
master_key_file = {self.folder}/the-master-key
notification_networks = 127.0.0.0/8
collect_delay_s = 0
inline_size_max = 1000
[rpc]
url = amqp://nova:{BROKER_PASSWORD}@127.0.0.1:1/
[database]
connection = postgresql://nova:{DATABASE_PASSWORD}@127.0.0.1:1/nova
""",
        )
        self.note("the account's secret key", SECRET_KEY)
        self.note("the master key", MASTER_KEY)
        self.note("the master key's bytes", bytes.fromhex(MASTER_KEY))
        self.note("the broker's password", BROKER_PASSWORD)
        self.note("the broker's password, decoded", BROKER_PASSWORD.replace("%2F", "/"))
        self.note("the database's password", DATABASE_PASSWORD)
        self.note("the customer's key", CUSTOMER_KEY)
        self.note("the wrong customer's key", WRONG_CUSTOMER_KEY)

    def _note_files(self) -> None:
        """What the programs have made, each in the one file that may hold it."""
        credentials = (self.state / "root-credentials").read_text()
        found = re.search(r"^aws_secret_access_key = (\S+)$", credentials, re.MULTILINE)
        assert found
        self.note("the root's secret key", found[1], "root-credentials")
        self.note("the administrator's token", (self.state / "api-token").read_text().strip(), "api-token")
        self.note("the TLS key", _a_line_of_the_key(self.folder / "localhost.pem"))
        self.note(
            "the cloud's key", _a_line_of_the_key(self.state / "images" / "cloud-key.pem"), "images/cloud-key.pem"
        )

    def note(self, name: str, value: str | bytes, *holders: str) -> None:
        self.secrets.append(secret(name, value, *holders))

    def manage(
        self, *words: str, stdin: str = "", code: int | None = 0, shows: bool = False, options: tuple[str, ...] = ()
    ) -> str:
        """What nova-manage says; ``shows`` where a secret is what it was asked for."""
        command = [BIN / "nova-manage", f"--config-file={self.folder / 'nova.conf'}", *options, *words]
        done = subprocess.run(
            [str(word) for word in command], input=stdin, capture_output=True, text=True, timeout=60, check=False
        )
        assert code is None or done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        name = f"nova-manage {' '.join(words[:2])}"
        self.said.append(Place("what was to be shown" if shows else name, (done.stdout + done.stderr).encode()))
        return done.stdout

    def client(self, service: str = "s3", keys: tuple[str, ...] = (ACCESS_KEY, SECRET_KEY), **config: Any) -> Any:
        """A boto3 client whose answers are kept."""
        made = boto3.session.Session().client(
            service,
            endpoint_url=self.store.url,
            region_name=REGION,
            aws_access_key_id=keys[0],
            aws_secret_access_key=keys[1],
            aws_session_token=keys[2] if len(keys) > 2 else None,
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}, **config),
        )
        made.meta.events.register("before-parse", self._keep_answer)
        return made

    def _keep_answer(self, operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        body = response_dict["body"] if isinstance(response_dict["body"], bytes) else b""
        self.answers.append(Place(operation_model.name, repr(dict(response_dict["headers"])).encode() + body))

    def ask(self, name: str, method: str, url: str, **settings: Any) -> requests.Response:
        """A request of one's own."""
        answer = requests.request(method, url, timeout=30, verify=str(self.folder / "ca.pem"), **settings)
        self.answers.append(Place(name, repr(answer.headers).encode() + answer.content))
        return answer

    def pids(self) -> list[int]:
        return [pid for server in (self.store, self.api) for pid in process_tree(server.pid)]

    def logs(self) -> list[Place]:
        """All that the programs wrote by themselves."""
        files = [Place(path.name, path.read_bytes()) for path in sorted(self.folder.glob("*.log"))]
        outputs = [("nova-objectstore", self.store), ("nova-api", self.api)]
        return [*files, *(Place(f"the output of {name}", server.output().encode()) for name, server in outputs)]


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _a_line_of_the_key(path: Path) -> str:
    """A line of base64 from the middle of a private key in PEM."""
    found = re.search(r"PRIVATE KEY-----\n(.+?)-----END", path.read_text(), re.DOTALL)
    assert found
    return found[1].split("\n")[1]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as stack:
        made = World(tmp_path_factory.mktemp("secrets"), stack)
        provoke_successes(made)
        provoke_refusals(made)
        provoke_events(made)
        provoke_faults(made)
        provoke_administration(made)
        yield made


# -- what is done ------------------------------------------------------------------------------------------------------


def provoke_successes(world: World) -> None:
    s3 = world.client()
    s3.create_bucket(Bucket="plain")
    s3.put_object(Bucket="plain", Key="small", Body=b"small")
    s3.put_object(Bucket="plain", Key="large", Body=b"x" * MiB)
    customer = customer_arguments(CUSTOMER_KEY)
    for key, size in (("kept", 10), ("kept-large", MiB)):
        s3.put_object(Bucket="plain", Key=key, Body=b"c" * size, **customer)
        assert s3.get_object(Bucket="plain", Key=key, **customer)["Body"].read() == b"c" * size
    s3.put_object(Bucket="plain", Key="sealed", Body=b"s" * MiB, ServerSideEncryption="AES256")
    make_session(world)
    for version in ("s3v4", "s3"):
        url = world.client(signature_version=version).generate_presigned_url(
            "get_object", Params={"Bucket": "plain", "Key": "small"}
        )
        query = parse_qs(urlsplit(url).query)
        world.note(f"a presigned URL's signature ({version})", (query.get("X-Amz-Signature") or query["Signature"])[0])
        assert world.ask("a presigned GET", "GET", url, headers={"Referer": url}).content == b"small"
    post_form(world, "posted")
    post_form(world, "posted", version="s3")


def make_session(world: World) -> None:
    """A user's key and a role's session: secrets that are in one answer, and nowhere else."""
    iam = world.client("iam")
    iam.create_user(UserName="ann")
    made = iam.create_access_key(UserName="ann")["AccessKey"]
    world.note("the user's secret key", made["SecretAccessKey"])
    allow = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
    trust = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"AWS":"*"}}]}'
    )
    iam.put_user_policy(UserName="ann", PolicyName="all", PolicyDocument=allow)
    arn = iam.create_role(RoleName="role", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="role", PolicyName="all", PolicyDocument=allow)
    ann = (made["AccessKeyId"], made["SecretAccessKey"])
    keys = world.client("sts", ann).assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    world.note("the session's secret key", keys["SecretAccessKey"])
    world.note("the session's token", keys["SessionToken"])
    session = (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    s3 = world.client(keys=session)
    assert s3.get_object(Bucket="plain", Key="small")["Body"].read() == b"small"
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "plain", "Key": "small"})
    assert world.ask("a session's presigned GET", "GET", url).status_code == 200
    assert world.ask("a session's presigned GET, broken", "GET", url.replace("small", "other")).status_code == 403


def post_form(world: World, key: str, *, version: str = "s3v4", spoil: bool = False) -> None:
    made = world.client(signature_version=version).generate_presigned_post("plain", key)
    fields = made["fields"]
    world.note(f"the signature of the form of {key}", fields.get("x-amz-signature") or fields["signature"])
    if spoil:
        fields["policy"] = base64.b64encode(b"{}").decode()
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    name = f"a form of {key}"
    answer = world.ask(name, "POST", made["url"], data=encode_form(list(fields.items())), headers=headers)
    assert answer.status_code == (403 if spoil else 204), answer.text


def customer_arguments(key: bytes) -> dict[str, str]:
    return {
        "SSECustomerAlgorithm": "AES256",
        "SSECustomerKey": base64.b64encode(key).decode(),
        "SSECustomerKeyMD5": base64.b64encode(hashlib.md5(key).digest()).decode(),
    }


def provoke_refusals(world: World) -> None:
    """Requests that are signed with something wrong, or bring a wrong key."""
    for keys in (
        (ACCESS_KEY, "another-secret-0123456789"),
        ("AKIANOBODY", SECRET_KEY),
        (ACCESS_KEY, SECRET_KEY, "no-token-at-all"),
    ):
        for service, operation in (("s3", "list_buckets"), ("iam", "list_users"), ("sts", "get_caller_identity")):
            refused(getattr(world.client(service, keys), operation))
    s3 = world.client()
    refused(s3.get_object, Bucket="plain", Key="kept", **customer_arguments(WRONG_CUSTOMER_KEY))
    refused(s3.get_object, Bucket="plain", Key="kept")
    refused(
        s3.put_object,
        Bucket="plain",
        Key="bad",
        **{**customer_arguments(CUSTOMER_KEY), "SSECustomerKeyMD5": "bm9uZQ=="},
    )
    refused(
        s3.put_object,
        Bucket="plain",
        Key="bad",
        **{**customer_arguments(CUSTOMER_KEY), "SSECustomerAlgorithm": "AES128"},
    )
    copy = {f"CopySource{name}": value for name, value in customer_arguments(WRONG_CUSTOMER_KEY).items()}
    refused(s3.copy_object, Bucket="plain", Key="copy", CopySource="plain/kept", **copy)
    query = "X-Amz-Server-Side-Encryption-Customer-Key"
    for value in (base64.b64encode(CUSTOMER_KEY).decode(), base64.b64encode(WRONG_CUSTOMER_KEY).decode()):
        world.ask("a key in the query", "GET", f"{world.store.url}/plain/kept", params={query: value})
    post_form(world, "spoilt", spoil=True)
    headers = {"Authorization": f"Bearer {DATABASE_PASSWORD}", "X-Amz-Date": "20200101T000000Z"}
    world.ask("another scheme", "GET", f"{world.store.url}/plain/small", headers=headers)


def refused(call: Any, **arguments: Any) -> None:
    with pytest.raises(ClientError):
        call(**arguments)


def provoke_events(world: World) -> None:
    """Webhooks and a broker that do not answer, with passwords in their URLs."""
    world.note("the webhook's password", WEBHOOK_PASSWORD, "metadata.sqlite", "metadata.sqlite-wal")
    world.note("the webhook's credentials", base64.b64encode(f"hook:{WEBHOOK_PASSWORD}".encode()))
    world.note("the webhook's token", WEBHOOK_TOKEN, "metadata.sqlite", "metadata.sqlite-wal")
    sns, s3 = world.client("sns"), world.client()
    urls = {
        "hook": {"push-endpoint": f"http://hook:{WEBHOOK_PASSWORD}@127.0.0.1:1/path?token={WEBHOOK_TOKEN}"},
        "broker": {"push-endpoint": f"amqp://hook:{WEBHOOK_PASSWORD}@127.0.0.1:1/", "amqp-exchange": "events"},
    }
    arns = [sns.create_topic(Name=name, Attributes=attributes)["TopicArn"] for name, attributes in urls.items()]
    rules = [
        {
            "Id": str(n),
            "TopicArn": arn,
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": f"{n}"}]}},
        }
        for n, arn in enumerate(arns)
    ]
    s3.put_bucket_notification_configuration(Bucket="plain", NotificationConfiguration={"TopicConfigurations": rules})
    for arn in arns:
        assert "hook:****@127.0.0.1" in sns.get_topic_attributes(TopicArn=arn)["Attributes"]["push-endpoint"]
    subscribed = sns.subscribe(
        TopicArn=arns[0],
        Protocol="http",
        Endpoint=f"http://hook:{WEBHOOK_PASSWORD}@127.0.0.1:1/",
        ReturnSubscriptionArn=True,
    )
    sns.get_subscription_attributes(SubscriptionArn=subscribed["SubscriptionArn"])
    sns.list_subscriptions()
    sns.list_subscriptions_by_topic(TopicArn=arns[0])
    for n, arn in enumerate(arns):
        s3.put_object(Bucket="plain", Key=f"{n}-event", Body=b"")
        world.store.wait_for_output(rf"WARNING .*{arn}", 30)


def provoke_faults(world: World) -> None:
    """Data that is gone, a keyring that is broken: InternalError, with tracebacks in the log."""
    s3 = world.client()
    for path in (world.state / "data").rglob("*"):
        if path.is_file() and path.stat().st_size >= MiB:
            path.write_bytes(b"broken" * 1000)
    for key in ("large", "kept-large", "sealed"):
        with contextlib.suppress(Exception):
            s3.get_object(
                Bucket="plain", Key=key, **(customer_arguments(CUSTOMER_KEY) if key.startswith("kept") else {})
            )["Body"].read()
    keyring = world.state / "keyring"
    content = keyring.read_bytes()
    keyring.write_bytes(content.replace(b'"sealed"', b'"spoilt"'))
    refused(s3.put_object, Bucket="plain", Key="sealed-2", Body=b"s", ServerSideEncryption="AES256")
    keyring.chmod(0o644)
    keyring.write_bytes(content)
    refused(s3.put_object, Bucket="plain", Key="sealed-2", Body=b"s", ServerSideEncryption="AES256")
    keyring.chmod(0o600)
    s3.put_object(Bucket="plain", Key="sealed-2", Body=b"s", ServerSideEncryption="AES256")
    assert "Traceback" in world.store.output(), "that is what faults are provoked for"


def provoke_administration(world: World) -> None:
    osapi = re.search(r"osapi listens on (\S+)", (world.folder / "api.log").read_text())
    assert osapi
    url = osapi[1].rstrip("/")
    token = (world.state / "api-token").read_text().strip()
    for brought in (token, "a-token-that-is-not-the-one"):
        world.ask(
            "PUT /os-services",
            "PUT",
            f"{url}/os-services/enable",
            headers={"X-Auth-Token": brought},
            json={"host": "h", "binary": "b"},
        )
    for path in ("/", "/os-services", "/health/ready", "/metrics"):
        world.ask(path, "GET", url + path, params={"token": token})
    for words in (
        ("account", "show", "acme"), ("key", "list", "acme", "--user", "ann"), ("user", "show", "acme", "ann"), ("kms", "list"),
        ("notification", "list"), ("service", "list"), ("service", "stacks"), ("check",), ("key", "create", "--help"),
    ):  # fmt: skip
        world.manage(*words, code=None)
    made = world.manage("key", "create", "acme", "--json", shows=True)
    found = re.search(r'"secret_key": "([^"]+)"', made)
    assert found
    world.note("a secret key that nova-manage made", found[1])
    mistakes = (
        f"[rpc]\nurl = ampq://nova:{BROKER_PASSWORD}@127.0.0.1/\n",
        f"[rpc]\nurl = amqp://nova:{DATABASE_PASSWORD}/more@127.0.0.1/\n",
        f"[database]\nconnection = postgres:nova:{DATABASE_PASSWORD}@127.0.0.1/\n",
        f"[database]\nconnection = postgresql://nova:{DATABASE_PASSWORD}/x@127.0.0.1/\n",
        f"[database]\nconnection = postgresql://nova:{DATABASE_PASSWORD}%zz@127.0.0.1/\n",
    )
    for number, text in enumerate(mistakes):
        path = world.folder / f"mistake-{number}.conf"
        _write_private(path, text)
        command = [
            BIN / "nova-objectstore",
            f"--config-file={path}",
            f"--state-path={world.folder / 'other'}",
            "--s3-listen-port=0",
            "--s3-workers=1",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert done.stderr.splitlines()[-1].startswith("nova-objectstore: ["), done.stderr
        world.said.append(Place(f"mistake {number}", done.stderr.encode()))
    for program in ("nova-objectstore", "nova-api", "nova-objectstore-worker", "nova-combined"):
        done = subprocess.run(
            [BIN / program, f"--config-file={world.folder / 'nova.conf'}", "--help"],
            capture_output=True,
            timeout=60,
            check=True,
        )
        world.said.append(Place(f"{program} --help", done.stdout + done.stderr))


# -- what is found -----------------------------------------------------------------------------------------------------


def test_no_log_has_a_secret(world: World) -> None:
    logs = world.logs()
    assert {place.name for place in logs if place.content} == {
        "api.log",
        "api-access.log",
        "the output of nova-objectstore",
    }
    assert b"DEBUG" in b"".join(place.content for place in logs)
    assert leaks(world.secrets, logs) == []


def test_no_answer_has_a_secret_but_those_that_were_asked_for(world: World) -> None:
    allowed = {
        "the user's secret key": {"CreateAccessKey"},
        "the session's secret key": {"AssumeRole"},
        "the session's token": {"AssumeRole"},
        "the webhook's token": {"GetTopicAttributes"},  # SNS obscures passwords alone
        "the signature of the form of spoilt": {"a form of spoilt"},  # SignatureProvided, which signs nothing there
    }
    assert len(world.answers) > 50
    assert leaks(world.secrets, world.answers, allowed=allowed) == []


def test_nova_manage_tells_no_secret_but_new_ones(world: World) -> None:
    assert (
        leaks(world.secrets, world.said, allowed={each.name: {"what was to be shown"} for each in world.secrets}) == []
    )


def test_processes_show_no_secret(world: World) -> None:
    pids = world.pids()
    assert len(pids) == 5, "nova-objectstore with two workers of S3 and one of jobs; nova-api"
    assert leaks(world.secrets, [place for pid in pids for place in shown_by(pid)]) == []


def test_no_process_is_dumped(world: World) -> None:
    assert {limit for pid in world.pids() for limit in core_limit(pid)} <= {"0", "1"}


def test_no_file_has_a_secret_but_its_own(world: World) -> None:
    allowed = {each.name: each.holders for each in world.secrets}
    assert leaks(world.secrets, files_below(world.state), allowed=allowed) == []


def test_every_file_is_its_owner_s_alone(world: World) -> None:
    public = {"cloud-cert.pem"}
    loose = [
        str(path.relative_to(world.state))
        for path in world.state.rglob("*")
        if not path.is_symlink() and path.name not in public and path.lstat().st_mode & 0o077
    ]
    assert stat.S_IMODE(world.state.stat().st_mode) == 0o700
    assert [name for name in loose if not (world.state / name).is_dir()] == []
