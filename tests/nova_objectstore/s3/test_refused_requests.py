"""What a refused request leaves behind: nothing that only the garbage collector would find."""

import gc

import pytest
from support.sts import ALICE, House

from nova_wsgi import green


@pytest.fixture
def house(tmp_path):
    with green.Timeout(30):
        made = House(tmp_path)
        yield made
        made.close()


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/box/none", 404),
        ("HEAD", "/box/none", 404),
        ("GET", "/none", 404),
        ("PUT", "/box/key?retention", 400),
        ("PATCH", "/box/key", 405),
        ("GET", "/box?uploads&max-uploads=x", 400),
    ],
)
def test_a_refusal_leaves_no_cycle(house, method, target, status):
    root = house.roots[ALICE]
    assert house.s3(root, "PUT", "/box")[0] == 200
    assert house.s3(root, method, target)[0] == status
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            house.s3(root, method, target)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        errors = [thing for thing in gc.garbage if isinstance(thing, Exception)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not errors, errors[:3]
