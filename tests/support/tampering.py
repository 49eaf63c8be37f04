"""Requests that are signed rightly, or wrongly on purpose, and then tampered with, as rows of tests/vectors/signatures say.

A row names a request of its file, how it is to be signed where that is not as it should be, and what is done to it afterwards.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from support.signers import SCHEMES, Message, Signing, moment_of

VECTORS = Path(__file__).parents[1] / "vectors" / "signatures"

Names = Mapping[str, str]
"""What stands in a row for what is known only when it is sent: ``{bucket}``, ``{day}``."""


# -- rows ----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One row: what is tampered with, and AWS's answer. ``code`` is empty where the request must be served."""

    file: str
    name: str
    request: Mapping[str, Any]
    sign: Mapping[str, Any]
    then: Sequence[Sequence[str]]
    status: int
    code: str
    message: str
    source: str

    def __str__(self) -> str:
        return f"{self.file}: {self.name}"


def read_cases(*files: str) -> Iterator[Case]:
    """The rows of tests/vectors/signatures, in their order."""
    for path in sorted(VECTORS.glob("*.json")):
        if path.stem in files:
            yield from _read_file(path)


def _read_file(path: Path) -> Iterator[Case]:
    document = json.loads(path.read_text("utf-8"))
    for row in document["cases"]:
        status, _, code = row["expect"].partition(" ")
        yield Case(
            path.stem,
            row["name"],
            document["requests"][row["request"]],
            row.get("sign", {}),
            row.get("then", []),
            int(status),
            code,
            row.get("message", ""),
            document["sources"][row["source"]],
        )


def sign_case(case: Case, signing: Signing, names: Names) -> tuple[Message, Names]:
    """The request of a row, signed; and the names that its tampering may use."""
    made = case.request
    path, _, query = str(made["target"]).format_map(names).partition("?")
    body = str(made.get("body", "")).encode()
    message = Message(made["method"], path, query.split("&") if query else [], [("Host", names["host"])], body)
    for name, value in made.get("headers", {}).items():
        message.set(name, str(value).format_map(names))
    filled: dict[str, Any] = {
        key: value.format_map(names) if isinstance(value, str) else value for key, value in case.sign.items()
    }
    signing = signing._replace(**filled)
    SCHEMES[made["scheme"]](message, signing)
    timestamp, _ = moment_of(signing)
    return message, {**names, "time": timestamp, "day": timestamp[:8]}


def tamper(message: Message, steps: Sequence[Sequence[str]], names: Names) -> None:
    """Do a row's steps, one after the other."""
    for verb, *arguments in steps:
        _STEPS[verb](message, *(argument.format_map(names) for argument in arguments))


def _replace_in_target(message: Message, old: str, new: str) -> None:
    target = message.target
    assert target.count(old) == 1, f"{old} in {target}"
    message.path, _, query = target.replace(old, new).partition("?")
    message.query = query.split("&") if query else []


def _replace_in_header(message: Message, name: str, old: str, new: str) -> None:
    value = message.header(name)
    assert old in value, f"{old} in {value}"
    message.set(name, value.replace(old, new, 1))


def _drop_parameter(message: Message, name: str) -> None:
    kept = [pair for pair in message.query if pair.partition("=")[0] != name]
    assert len(kept) < len(message.query), f"no {name} to drop"
    message.query = kept


def _set_parameter(message: Message, name: str, value: str) -> None:
    assert any(pair.partition("=")[0] == name for pair in message.query), f"no {name} to set"
    message.query = [f"{name}={value}" if pair.partition("=")[0] == name else pair for pair in message.query]


def _flip_signature(message: Message) -> None:
    """Another last digit of the signature, wherever it stands."""

    def flip(text: str) -> str:
        text = text.removesuffix("%3D").removesuffix("=")
        return text[:-2] + ("AA" if text[-2:] != "AA" else "BB")

    for name, value in message.headers:
        if name == "Authorization":
            message.set(name, flip(value))
            return
    message.query = [flip(pair) if "Signature=" in pair else pair for pair in message.query]


def _turn_into_a_header(message: Message, escape: str) -> None:
    """A presigned URL's signature in a header, its parameters' names escaped or left as they are."""
    given = dict(pair.split("=", 1) for pair in message.query if pair.startswith("X-Amz-"))
    _drop_parameter(message, "X-Amz-Signature")
    message.query = [pair.replace("X-Amz-", escape) for pair in message.query]
    moment = time.strptime(given["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    message.set("Date", time.strftime("%a, %d %b %Y %H:%M:%S GMT", moment))
    message.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD")
    message.set(
        "Authorization",
        f"AWS4-HMAC-SHA256 Credential={unquote(given['X-Amz-Credential'])}, "
        f"SignedHeaders={unquote(given['X-Amz-SignedHeaders'])}, Signature={given['X-Amz-Signature']}",
    )


def _turn_into_a_header_v2(message: Message) -> None:
    """A SigV2 URL's signature in a header."""
    given = dict(pair.split("=", 1) for pair in message.query)
    message.query = [
        pair for pair in message.query if pair.split("=")[0] not in ("AWSAccessKeyId", "Expires", "Signature")
    ]
    message.set("Date", given["Expires"])
    message.set("Authorization", f"AWS {given['AWSAccessKeyId']}:{unquote(given['Signature'])}")


_STEPS: Mapping[str, Any] = {
    "method": lambda message, method: setattr(message, "method", method),
    "target": _replace_in_target,
    "parameter": _set_parameter,
    "add parameter": lambda message, pair: message.query.append(pair),
    "add parameter first": lambda message, pair: message.query.insert(0, pair),
    "drop parameter": _drop_parameter,
    "reverse parameters": lambda message: message.query.reverse(),
    "set": lambda message, name, value: message.set(name, value),
    "add": lambda message, name, value: message.headers.append((name, value)),
    "drop": lambda message, name: message.drop(name),
    "header": _replace_in_header,
    "flip signature": _flip_signature,
    "into a header": _turn_into_a_header,
    "into a header v2": _turn_into_a_header_v2,
    "body": lambda message, text: setattr(message, "body", text.encode()),
}
