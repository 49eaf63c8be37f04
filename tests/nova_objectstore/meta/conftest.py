"""Every engine there is, one after the other, for the conformance tests."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from support.metadata import ENGINES, Metadata


@pytest.fixture(params=sorted(ENGINES))
def meta(request, tmp_path) -> Iterator[Metadata]:
    """An engine of each kind, empty; its whole state is checked when the test is over."""
    with ENGINES[request.param](tmp_path) as metadata:
        yield metadata
        metadata.check_state()


@pytest.fixture(scope="module", params=sorted(ENGINES))
def shared_meta(request, tmp_path_factory) -> Iterator[Metadata]:
    """One engine for all the examples of a property; it does not wait for the disk."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("shared")
        metadata = stack.enter_context(ENGINES[request.param](directory, sync="never"))
        yield metadata
        metadata.check_state()
