"""What the banner says where the examples in test_first_use cannot go."""

from pathlib import Path

import pytest

from nova_objectstore.banner import render_banner
from nova_objectstore.bootstrap import Bootstrap
from nova_objectstore.domain.accounts import KeyPair
from nova_objectstore.types import Account

PAIR = KeyPair("AKIA", "hunter2")


def make_root(*, pair: KeyPair | None = PAIR, made: bool = False) -> Bootstrap:
    account = Account(id="1", name="root", canonical_id="c", email="", created_us=0)
    return Bootstrap(account, pair, Path("/my state/root-credentials"), made=made, replaced=False)


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("http://0.0.0.0:3333", "AWS_ENDPOINT_URL=http://127.0.0.1:3333\n"),
        ("http://[::]:3333", "AWS_ENDPOINT_URL=http://[::1]:3333\n"),
        ("https://10.0.0.1:443", "AWS_ENDPOINT_URL=https://10.0.0.1:443\n"),
    ],
)
def test_the_examples_name_an_address_that_can_be_reached(endpoint, shown):
    banner = render_banner(endpoint, "us-east-1", make_root())
    assert shown in banner
    assert banner.startswith(f"S3 endpoint    {endpoint} ")


def test_there_are_no_examples_for_a_unix_socket():
    banner = render_banner("unix:/run/s3.sock", "us-east-1", make_root())
    assert "unix:/run/s3.sock" in banner
    assert "aws s3" not in banner


@pytest.mark.parametrize("made", [True, False])
def test_the_secret_is_never_told_but_where_it_lies(made):
    banner = render_banner("http://a:1", "r", make_root(made=made))
    assert "Secret key     in /my state/root-credentials\n" in banner
    assert PAIR.secret_key not in banner


def test_a_pair_that_is_kept_nowhere_is_told_so():
    assert "`nova-manage --state-path '/my state' key create root`" in render_banner(
        "http://a:1", "r", make_root(pair=None)
    )
