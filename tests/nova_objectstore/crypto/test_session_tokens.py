"""Session tokens: whole, unchanged, of this store and beside their own access key, or nothing."""

import re
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from nova_objectstore.crypto.keyring import SESSIONS_KEY, Keyring
from nova_objectstore.crypto.master import MasterKeyPlace
from nova_objectstore.crypto.session_tokens import SessionTokens
from nova_objectstore.errors import InvalidToken, KmsKeyDisabled

NOW_US = 1_700_000_000_000_000
PAYLOAD = b"what a session says"


def open_keyring(path: Path) -> Keyring:
    return Keyring(path, MasterKeyPlace.of(path, environ={}), now_us=lambda: NOW_US)


@pytest.fixture
def keyring(tmp_path):
    return open_keyring(tmp_path)


@pytest.fixture
def tokens(keyring):
    return SessionTokens(keyring)


def test_a_session_s_credentials_have_the_form_of_aws_s(tokens):
    made = tokens.make(PAYLOAD)
    assert re.fullmatch(r"ASIA[A-Z2-7]{16}", made.access_key)
    assert re.fullmatch(r"[A-Za-z0-9+/]{40}", made.secret_key)
    opened = tokens.open(made.access_key, made.token)
    assert (opened.payload, opened.secret_key) == (PAYLOAD, made.secret_key)


def test_each_session_has_credentials_of_its_own(tokens):
    one, other = tokens.make(PAYLOAD), tokens.make(PAYLOAD)
    assert not {*one} & {*other}


def test_neither_repr_tells_a_secret(tokens):
    made = tokens.make(PAYLOAD)
    told = f"{made!r} {tokens.open(made.access_key, made.token)!r}"
    assert made.secret_key not in told
    assert made.token not in told


def test_another_process_of_the_store_opens_it(tokens, tmp_path):
    made = tokens.make(PAYLOAD)
    assert SessionTokens(open_keyring(tmp_path)).open(made.access_key, made.token).secret_key == made.secret_key


def test_every_flipped_bit_is_refused(tokens):
    made = tokens.make(PAYLOAD)
    raw = b64decode(made.token)
    for index in range(len(raw)):
        for bit in range(8):
            bent = bytearray(raw)
            bent[index] ^= 1 << bit
            with pytest.raises(InvalidToken):
                tokens.open(made.access_key, b64encode(bent).decode())


def test_every_other_character_is_refused(tokens):
    made = tokens.make(PAYLOAD)
    for index, char in enumerate(made.token):
        for other in {"A", "B", "-", "=", " ", "é"} - {char}:
            with pytest.raises(InvalidToken):
                tokens.open(made.access_key, made.token[:index] + other + made.token[index + 1 :])


def test_every_other_length_is_refused(tokens):
    made = tokens.make(PAYLOAD)
    for size in range(len(made.token)):
        with pytest.raises(InvalidToken):
            tokens.open(made.access_key, made.token[:size])
    for more in ("A", "=", "\n", "AAAA", "A" * 20_000):
        with pytest.raises(InvalidToken):
            tokens.open(made.access_key, made.token + more)


def test_one_session_s_token_does_not_open_beside_another_s_access_key(tokens):
    one, other = tokens.make(PAYLOAD), tokens.make(PAYLOAD)
    for access_key in (other.access_key, "", one.access_key.lower(), one.access_key[:-1], "\udcff"):
        with pytest.raises(InvalidToken):
            tokens.open(access_key, one.token)


def test_another_store_s_token_is_refused(tokens, tmp_path):
    made = tokens.make(PAYLOAD)
    (tmp_path / "other").mkdir()
    other = SessionTokens(open_keyring(tmp_path / "other"))
    with pytest.raises(InvalidToken):
        other.open(made.access_key, made.token)  # before it has a key of its own
    other.make(PAYLOAD)
    with pytest.raises(InvalidToken):
        other.open(made.access_key, made.token)


def test_sessions_outlive_a_rotation_of_the_key_and_end_with_its_disabling(tokens, keyring):
    before = tokens.make(PAYLOAD)
    keyring.rotate(SESSIONS_KEY)
    after = tokens.make(PAYLOAD)
    numbers = [tokens.open(made.access_key, made.token).key_number for made in (before, after)]
    assert numbers == [1, 2]
    keyring.set_enabled(SESSIONS_KEY, False)
    with pytest.raises(InvalidToken):
        tokens.open(after.access_key, after.token)
    with pytest.raises(InvalidToken):
        tokens.check(2)
    with pytest.raises(KmsKeyDisabled):
        tokens.make(PAYLOAD)
    keyring.set_enabled(SESSIONS_KEY, True)
    tokens.check(2)
    assert tokens.open(before.access_key, before.token).payload == PAYLOAD
