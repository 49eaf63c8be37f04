"""The S3 application, in process, over a real store: every operation.

Properties: no answer is a 5xx but 501 and 503 as they are meant; what was logged as an error is a finding; the answer is one
that WSGI allows. The requests are signed, so that they get to what is behind.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fuzz import forms, policies, xml_documents
from support.bad_requests import md5
from support.fuzz_answers import Caught, judge
from support.fuzz_mutations import mutate
from support.fuzz_requests import BUCKETS, UPLOAD, Case, RequestMaker
from support.fuzzing import Target
from support.sts import ALICE, BOB, REGION, House

from nova_objectstore.s3.operations import CONTROLLERS
from nova_objectstore.s3.operations.not_offered import NOT_OFFERED
from nova_wsgi.errors import RequestError

MEND_EVERY = 25  # requests


class Place:
    """A store with two buckets, an object in each; two accounts."""

    house: House
    caught: Caught
    _checked = 0

    @contextmanager
    def open(self) -> Iterator[None]:
        with (
            tempfile.TemporaryDirectory(prefix="nova-fuzz-") as directory,
            Caught.of("nova_objectstore") as self.caught,
        ):
            self.house = House(Path(directory), sync="never")
            try:
                self._fill()
                yield
            finally:
                self.house.close()

    def _fill(self) -> None:
        root = self.house.roots[ALICE]
        for bucket, headers in (("plain", {}), ("versioned", {"x-amz-bucket-object-lock-enabled": "true"})):
            assert self.house.s3(root, "PUT", f"/{bucket}", headers=headers)[0] == 200
            assert self.house.s3(root, "PUT", f"/{bucket}/key", b"content")[0] == 200

    def check_s3(self, data: bytes) -> str:
        """One request."""
        self._checked += 1
        if self._checked % MEND_EVERY == 0:
            self._mend()
        case = self._with_ids(Case.decode(data))
        headers = {**case.headers, "host": "localhost"}
        if case.who:
            keys = self.house.roots[case.who]
            headers = case.sign(keys.access_key, keys.secret_key, region=REGION, host="localhost")
        try:
            answer = self.house.front.request(case.method, case.target, headers=headers, body=case.body)
        except RequestError as error:
            return f"refused by the server: {error.status}"
        return judge(answer, self.caught)

    def _mend(self) -> None:
        """Take back what lets nobody in any more."""
        for bucket in BUCKETS[:2]:
            for name in ("policy", "publicAccessBlock", "requestPayment"):
                self.house.s3(self.house.roots[ALICE], "DELETE", f"/{bucket}?{name}")
            self.house.s3(self.house.roots[ALICE], "PUT", f"/{bucket}/key", b"content")

    def _with_ids(self, case: Case) -> Case:
        """An upload that is there, where the case asks for one."""
        if UPLOAD not in case.target:
            return case
        keys = self.house.roots[ALICE]
        begin = Case(ALICE, "POST", f"{case.target.partition('?')[0]}?uploads", {}, b"")
        headers = begin.sign(keys.access_key, keys.secret_key, region=REGION, host="localhost")
        told = self.house.front.request("POST", begin.target, headers=headers).text
        return case._replace(target=case.target.replace(UPLOAD, told.partition("<UploadId>")[2].partition("<")[0]))


# -- S3 ------------------------------------------------------------------------------------------------------------------


def _request_lines() -> Sequence[str]:
    """Of all operations; those that are not offered a few times only."""
    offered = sorted(row.request_line for controller in CONTROLLERS for row, _ in controller.rows())
    return (*offered * 3, *sorted(row.request_line for row in NOT_OFFERED))


_BODIES = (
    *xml_documents.SEEDS, b"content", b"x" * 20_000, b"", b"<",
    b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>",
    b"<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls></PublicAccessBlockConfiguration>",
    b"<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
    b"<LegalHold><Status>ON</Status></LegalHold>",
    b"<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>",
    b"<CreateBucketConfiguration><LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>",
    b'{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::plain/*"}}',
    b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n0\r\n\r\n",
)  # fmt: skip


class Requests:
    """Makes requests to S3: made up, and with bodies that are damaged."""

    def __init__(self, names: Sequence[str]) -> None:
        self._maker = RequestMaker(_request_lines(), _BODIES, names)

    def make(self, rng: random.Random) -> bytes:
        case = self._maker.make(rng)
        if case.method == "DELETE" and case.target.strip("/") in BUCKETS[:2]:
            case = case._replace(target="/missing")  # the others would have nothing to ask for
        if case.body and case.method in ("PUT", "POST"):
            case = self._fit_body(rng, case)
        return case.encode()

    def _fit_body(self, rng: random.Random, case: Case) -> Case:
        """A body of the operation's own kind, mostly, now and then damaged."""
        kind = rng.random()
        body, headers = case.body, dict(case.headers)
        wanted = [seed for seed in _BODIES if _is_for(seed, case.target)]
        if wanted and kind < 0.8:
            body = rng.choice(wanted)
        if "policy" in case.target and kind < 0.7:
            body = policies.make_text(rng)
        if case.method == "POST" and "?" not in case.target and kind < 0.9:
            content_type, _, body = forms.make_form(rng).partition(b"\n")
            headers["content-type"] = content_type.decode()
            case = case._replace(who="")
        if rng.random() < 0.3:
            body = mutate(rng, body, _BODIES, ())
        if "content-md5" in headers:
            headers["content-md5"] = md5(body)
        return case._replace(body=body, headers=headers)


_ROOTS = {
    "delete": b"<Delete", "lifecycle": b"<Lifecycle", "cors": b"<CORS", "tagging": b"<Tagging",
    "website": b"<Website", "acl": b"<Access",
    "notification": b"<Notif", "logging": b"<BucketLogging", "object-lock": b"<ObjectLock", "retention": b"<Retention",
    "legal-hold": b"<Legal", "encryption": b"<ServerSide", "restore": b"<Restore", "versioning": b"<Versioning",
    "uploadId": b"<Complete",
    "ownershipControls": b"<Ownership", "publicAccessBlock": b"<PublicAccess", "requestPayment": b"<RequestPayment",
    "policy": b"{",
}  # fmt: skip


def _is_for(body: bytes, target: str) -> bool:
    names = {pair.partition("=")[0] for pair in target.partition("?")[2].split("&")}
    return any(name in names and body.startswith(root) for name, root in _ROOTS.items())


def _targets() -> Sequence[Target]:
    place = Place()
    requests = Requests((*[ALICE] * 8, BOB, ""))
    return (Target("s3_operations", place.check_s3, requests.make, mutates=False, open=place.open, short=400),)


TARGETS = _targets()
