"""What a session is, and the form in which its token carries it. Pure: no clock, no storage.

Strategy: a list of JSON in a fixed order, deflated: policies and tags shrink to a half or a third of their text. Nothing
secret is in it, so that its size tells nothing; it is bounded where it is made (``packed_size``), not where it is read:
what is read was sealed by this store.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from nova_objectstore.errors import InvalidToken
from nova_objectstore.types import SessionKind

PACKED_SIZE_MAX = (
    4096  # bytes of policies and tags, deflated: what AWS calls the packed size; two inline policies of noise
)
_TEXT_BYTES_MAX = 256 * 1024  # before it is deflated: 50 tags of 384 characters are 77 KB at most
_RAW_DEFLATE = -15


class Session(NamedTuple):
    """A session. Times are in seconds since 1970.

    ``owner`` and ``owner_id``: the role's name and its id (AROA...); of the other kinds the access key that it was begun
    with, and the id of its user (empty: the root). ``policies`` are texts, ``policy_arns`` managed policies. ``keys``:
    further condition keys of its requests.
    """

    kind: SessionKind
    account_id: str
    owner: str
    owner_id: str
    name: str
    issued_s: int
    expires_s: int
    policies: Sequence[str] = ()
    policy_arns: Sequence[str] = ()
    tags: Mapping[str, str] = {}
    transitive: Sequence[str] = ()
    source_identity: str = ""
    keys: Mapping[str, str] = {}

    @property
    def is_limited(self) -> bool:
        """Whether session policies were given when it began."""
        return bool(self.policies or self.policy_arns)

    @property
    def transitive_tags(self) -> Mapping[str, str]:
        """The tags that sessions which are begun from this one have as well (AWS: "Role chaining with session tags")."""
        folded = {name.lower() for name in self.transitive}
        return {name: value for name, value in self.tags.items() if name.lower() in folded}


def packed_size(session: Session) -> int:
    """Bytes that policies and tags take up (AWS: PackedPolicySize, as a part of PACKED_SIZE_MAX)."""
    if not (session.is_limited or session.tags):
        return 0
    return len(_deflate([list(session.policies), list(session.policy_arns), dict(session.tags)]))


def encode_session(session: Session) -> bytes:
    """The payload of a session's token."""
    return _deflate([session.kind.value, *session[1:]])


def decode_session(payload: bytes) -> Session:
    """The session of a token's payload. Raises InvalidToken for one that another release made and this one cannot read."""
    try:
        content = zlib.decompressobj(_RAW_DEFLATE).decompress(payload, _TEXT_BYTES_MAX)
        kind, *rest = json.loads(content)
        return Session(SessionKind(kind), *rest)
    except (ValueError, TypeError, zlib.error):
        raise InvalidToken from None


def _deflate(value: object) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(text) <= _TEXT_BYTES_MAX, "what requests can say is bounded"
    compressor = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    return compressor.compress(text) + compressor.flush()
