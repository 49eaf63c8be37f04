"""A client that works on single keys as fast as it can, and tells when it asked and what it was told: a program.

    python -m support.register_client < PLAN

The first line of its input is the plan (``register_run.Plan`` as JSON); it connects, says ``ready``, and begins at the next
line; at the end it prints a line of JSON for each operation. It is a process of its own, not cooperative, so that what it
says of time is what happened: ``CLOCK_MONOTONIC`` is one clock for all processes of a machine.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.signing import Request, sign

TIMEOUT_S = 30.0
RECONNECT_EVERY = 40  # operations: connections move between the workers
RANGE = 16  # bytes
METHODS = {"list": "list_key"}  # of verbs that have another name
CONNECT_MAX = 6
BEGIN_MAX = 10  # a worker that was killed refuses two or three times at most

TAGS = "<Tagging><TagSet><Tag><Key>t</Key><Value>%s</Value></Tag></TagSet></Tagging>"
PARTS = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>%s</ETag></Part></CompleteMultipartUpload>"


def body_of(mark: str, size: int) -> bytes:
    """The bytes that belong to a mark: it stands in front."""
    return f"{mark} ".encode().ljust(size, b".")


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Answer:
    """What came back."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def worker(self) -> str:
        """Which process it was: request ids begin with a number of its own."""
        return (self.headers["x-amz-request-id"] or "")[:8]

    @property
    def etag(self) -> str:
        return (self.headers["ETag"] or "").strip('"')

    def find(self, element: str) -> str:
        """The text of an XML element, without quotes; nothing where there is none."""
        found = re.search(f'<{element}>(?:&quot;|")?(.*?)(?:&quot;|")?</{element}>', self.body.decode())
        return found[1] if found else ""


class Client:
    """Two connections, to a worker each where that can be had, and the ETags that it saw last.

    What is written through one and read through the other at once is the hardest that a worker's memory can be asked.
    """

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.plan = plan
        self.host = f"{plan['host']}:{plan['port']}"
        self.wires: list[socket.socket | None] = [None, None]
        self.wire = 0  # the one in use
        self.seen: dict[str, str] = {}  # by key
        self.workers: set[str] = set()

    def connect(self) -> None:
        """Anew. Which worker takes a connection is chance: it is tried a few times."""
        first = self.find_worker(0)
        for _ in range(CONNECT_MAX):
            if self.find_worker(1) != first:
                break

    def find_worker(self, wire: int) -> str:
        """The worker at the other end of a new connection; none that can be told while there is trouble."""
        self.wire = wire
        self.hang_up()
        try:
            return self.ask("HEAD", self.plan["source"]).worker
        except (OSError, http.client.HTTPException):
            self.hang_up()
            return ""

    def hang_up(self) -> None:
        sock, self.wires[self.wire] = self.wires[self.wire], None
        if sock is not None:
            sock.close()

    def open_wire(self) -> socket.socket:
        sock = self.wires[self.wire]
        if sock is None:
            sock = socket.create_connection((self.plan["host"], self.plan["port"]), timeout=TIMEOUT_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.wires[self.wire] = sock
        return sock

    def ask(
        self, method: str, key: str = "", *, body: bytes = b"", query: Mapping[str, str] | None = None, **headers: Any
    ) -> Answer:
        """``headers``: texts, by their names. Raises OSError or HTTPException when no answer came."""
        sock = self.open_wire()
        path = f"/{self.plan['bucket']}" + (f"/{key}" if key else "")
        named = {name.replace("_", "-"): value for name, value in headers.items() if value}
        sock.sendall(sign(Request(method, path, body, query or {}, named), self.host, time.time()))
        response = http.client.HTTPResponse(sock, method=method)
        try:
            response.begin()
            answer = Answer(response)
        finally:
            response.close()
        self.workers.add(answer.worker)
        if response.will_close:
            self.hang_up()
        return answer

    # -- operations: what is recorded of each ------------------------------------------------------------------------

    def put(self, step: Mapping[str, Any], condition: str) -> dict[str, Any]:
        body = body_of(step["mark"], step["size"])
        told = self.ask("PUT", step["key"], body=body, x_amz_meta_mark=step["mark"], **as_headers(condition))
        return self.written(step, told)

    def copy(self, step: Mapping[str, Any], condition: str) -> dict[str, Any]:
        headers: dict[str, Any] = {"x-amz-copy-source": f"/{self.plan['bucket']}/{self.plan['source']}",
                   "x-amz-metadata-directive": "REPLACE", "x-amz-meta-mark": step["mark"]}  # fmt: skip
        return self.written(step, self.ask("PUT", step["key"], **headers, **as_headers(condition)))

    def complete(self, step: Mapping[str, Any], condition: str) -> dict[str, Any]:
        """The last of three requests: the other two do not touch the key."""
        document = (PARTS % md5(body_of(step["mark"], step["size"]))).encode()
        query = {"uploadId": self.upload}
        return self.written(step, self.ask("POST", step["key"], body=document, query=query, **as_headers(condition)))

    def begin_upload(self, step: Mapping[str, Any]) -> None:
        """Until it is begun: nothing of it is seen before it is completed."""
        for _ in range(BEGIN_MAX):
            try:
                return self.try_to_begin_upload(step)
            except (OSError, http.client.HTTPException):
                self.hang_up()
        raise RuntimeError(f"no upload could be begun for {step}")

    def try_to_begin_upload(self, step: Mapping[str, Any]) -> None:
        begun = self.ask("POST", step["key"], query={"uploads": ""}, x_amz_meta_mark=step["mark"])
        self.upload = begun.find("UploadId")
        query = {"uploadId": self.upload, "partNumber": "1"}
        sent = self.ask("PUT", step["key"], body=body_of(step["mark"], step["size"]), query=query)
        if (begun.status, sent.status) != (200, 200):
            raise OSError("not now")

    def written(self, step: Mapping[str, Any], told: Answer) -> dict[str, Any]:
        if told.status == 200:
            self.seen[step["key"]] = step["etag"]
            etag = told.etag or told.find("ETag")
            assert etag == step["etag"], f"wrote {step}, and was told the ETag {etag}"
        return {"status": told.status, "version": told.headers["x-amz-version-id"] or ""}

    def delete(self, step: Mapping[str, Any], condition: str) -> dict[str, Any]:
        return {"status": self.ask("DELETE", step["key"], if_match=condition and f'"{condition}"').status}

    def get(self, step: Mapping[str, Any], condition: str) -> dict[str, Any]:
        told = self.ask("GET", step["key"], if_none_match=condition and f'"{condition}"')
        facts = self.read(step, told)
        if told.status == 200:
            facts["body"] = md5(told.body)
        return facts

    def head(self, step: Mapping[str, Any], condition: str) -> dict[str, Any]:
        return self.read(step, self.ask("HEAD", step["key"], if_none_match=condition and f'"{condition}"'))

    def range(self, step: Mapping[str, Any], _condition: str) -> dict[str, Any]:
        told = self.ask("GET", step["key"], range=f"bytes=0-{RANGE - 1}")
        facts = self.read(step, told)
        if told.status == 206:
            facts["head"] = told.body.decode()
        return facts

    def read(self, step: Mapping[str, Any], told: Answer) -> dict[str, Any]:
        facts: dict[str, Any] = {"status": told.status}
        if told.status in (200, 206, 304):
            self.seen[step["key"]] = told.etag
            facts["etag"] = told.etag
        if told.status in (200, 206):
            facts |= {"mark": told.headers["x-amz-meta-mark"], "version": told.headers["x-amz-version-id"] or ""}
        return facts

    def list_key(self, step: Mapping[str, Any], _condition: str) -> dict[str, Any]:
        told = self.ask("GET", query={"list-type": "2", "prefix": step["key"], "max-keys": "1"})
        return {"status": told.status, "etag": told.find("ETag")}

    def tag(self, step: Mapping[str, Any], _condition: str) -> dict[str, Any]:
        told = self.ask("PUT", step["key"], query={"tagging": ""}, body=(TAGS % step["tags"]).encode())
        return {"status": told.status}

    def get_tags(self, step: Mapping[str, Any], _condition: str) -> dict[str, Any]:
        told = self.ask("GET", step["key"], query={"tagging": ""})
        return {"status": told.status, "tags": told.find("Value")}

    # -- the plan ------------------------------------------------------------------------------------------------------

    def do(self, step: Mapping[str, Any]) -> dict[str, Any]:
        """One operation, as it is recorded; without an answer when none came, or one that says nothing."""
        condition = step["condition"]
        if condition == "seen":
            condition = self.seen.get(step["key"], "")
        answer: dict[str, Any] | None = None
        why = ""
        self.wire = step["wire"]
        if step["verb"] == "complete":
            self.begin_upload(step)
        begun = time.monotonic_ns()
        try:
            answer = getattr(self, METHODS.get(step["verb"], step["verb"]))(step, condition)
        except (OSError, http.client.HTTPException) as error:
            why = f"{type(error).__name__} {error}"
            self.hang_up()
        ended = time.monotonic_ns()
        if answer is not None and answer["status"] >= 500:
            why = f"status {answer['status']}"
            answer = None
        facts = {name: step[name] for name in ("key", "verb", "mark", "etag", "tags") if step.get(name)}
        ended_at = None if answer is None else ended
        facts |= {"condition": condition, "why": why}
        return {**facts, "begun": begun, "ended": ended_at, "answer": answer}

    def run(self) -> list[dict[str, Any]]:
        done = []
        for number, step in enumerate(self.plan["steps"], start=1):
            done.append(self.do(step))
            if number % RECONNECT_EVERY == 0:
                self.connect()
            if number == len(self.plan["steps"]) // 2:
                print("half", flush=True)
        return done


def as_headers(condition: str) -> dict[str, Any]:
    """Of a write."""
    if condition == "*":
        return {"if-none-match": "*"}
    return {"if-match": f'"{condition}"'} if condition else {}


def main() -> None:
    """Wait for the word, and work."""
    client = Client(json.loads(sys.stdin.readline()))
    client.connect()
    print("ready", flush=True)
    sys.stdin.readline()
    done = client.run()
    print(json.dumps({"workers": sorted(client.workers)}))
    for event in done:
        print(json.dumps(event))


if __name__ == "__main__":
    main()
