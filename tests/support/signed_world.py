"""A running store that somebody signs requests to, for others to tamper with; and what it was like before they did."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from support.accounts import make_account
from support.raw_http import Client
from support.raw_store import connect, read_error_code
from support.signers import Message, Signing, sign_v4
from support.store import ACCESS_KEY, BIN, REGION, SECRET_KEY, Store, running_store
from support.store_state import check_files

BUCKET, OTHER, DOMAIN = "signed", "signed-other", "s3.test"
KEPT = b"what was there before"
ADMINISTRATOR = Signing(ACCESS_KEY, SECRET_KEY)
# What nobody who tampers may change, in the bucket that is signed for and in another.
LOOKS = (
    "/", f"/{BUCKET}?versions", f"/{BUCKET}?uploads", f"/{BUCKET}?acl", f"/{BUCKET}/kept?acl", f"/{BUCKET}/kept?tagging",
    f"/{BUCKET}/kept", f"/{OTHER}?versions", f"/{OTHER}/secret?acl",
)  # fmt: skip


class Key(NamedTuple):
    """A key pair, and the token of a session's."""

    access_key: str
    secret_key: str
    token: str = ""


class World:
    """A store, those who sign, and what it looked like before anybody tampered."""

    def __init__(self, store: Store) -> None:
        self.store = store
        s3 = store.client()
        for name in (BUCKET, OTHER):
            s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=OTHER, Key="secret", Body=b"secret")
        self.wire = connect(store)
        session, other = self._begin_session(), self._begin_session()
        inactive, deleted = self._make_key(), self._make_key()
        self._manage("key", "deactivate", inactive.access_key)
        self._manage("key", "delete", deleted.access_key)
        self.names = {
            "bucket": BUCKET,
            "other_bucket": OTHER,
            "domain": DOMAIN,
            "host": "store.test",
            "zeros": "0" * 64,
            "access_key": ACCESS_KEY,
            "lower_access_key": ACCESS_KEY.lower(),
            "other_access_key": make_account(store, "mallory").access_key,
            "inactive_access_key": inactive.access_key,
            "inactive_secret_key": inactive.secret_key,
            "deleted_access_key": deleted.access_key,
            "deleted_secret_key": deleted.secret_key,
            "session_access_key": session.access_key,
            "session_secret_key": session.secret_key,
            "token": session.token,
            "other_token": other.token,
            "md5_of_anything": base64.b64encode(hashlib.md5(b"anything").digest()).decode(),
        }
        self.looks: tuple[str, ...] = LOOKS
        self.targets: dict[str, str] = {}
        self.administrator = ADMINISTRATOR
        self.put_back()

    def put_back(self) -> None:
        """What was there before, for rows that are served and may change it."""
        s3 = self.store.client()
        s3.put_object(Bucket=BUCKET, Key="kept", Body=KEPT)
        self.before = self.look()

    def look(self) -> list[bytes]:
        """All that could have been changed, as the store tells it."""
        return [self.ask(look, ADMINISTRATOR).body for look in self.looks]

    def ask(self, target: str, signing: Signing) -> Any:
        """An honest GET."""
        path, _, query = target.partition("?")
        message = Message("GET", path, query.split("&") if query else [], [("Host", "store.test")])
        sign_v4(message, signing)
        return self.wire.send(message.render()).response()

    def _begin_session(self) -> Key:
        sts = boto3.session.Session().client(
            "sts",
            endpoint_url=self.store.url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
        )
        made = sts.get_session_token()["Credentials"]
        return Key(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    def _make_key(self) -> Key:
        """Another key of the administrator's, which is good for now."""
        told = self._manage("key", "create", "root")
        key = Key(*(re.search(rf"{name}\W+(\S+?)[\",]", told)[1] for name in ("access_key", "secret_key")))  # type: ignore[index]
        assert self.ask(f"/{BUCKET}", Signing(*key[:2])).status == 200
        return key

    def _manage(self, *words: str) -> str:
        return self.store.run(BIN / "nova-manage", "--state-path", self.store.state_path, "--json", *words)


@contextmanager
def running_world(state_path: Path) -> Iterator[World]:
    """A store with a world in it; at the end it has said nothing of errors, and has no file that nobody knows."""
    with running_store(state_path, f"--s3-domain={DOMAIN}") as store:
        made = World(store)
        yield made
        made.wire.close()
        assert store.server.stop() == 0
        assert not re.search(" ERROR |Traceback", store.server.output())
        check_files(state_path)


def send(wire: Client, message: Message) -> tuple[int, str, str]:
    """Status, error code and message of the answer; no code of one to a HEAD."""
    method = "HEAD" if message.method == "HEAD" else "GET"
    answer = wire.send(message.render()).response(method=method)
    if answer.status < 400 or method == "HEAD":
        return answer.status, "", ""
    found = re.search(rb"<Message>(.*?)</Message>", answer.body)
    return answer.status, read_error_code(answer.body), found[1].decode() if found else ""
