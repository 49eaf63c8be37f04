"""The keys of a filled bucket."""

GROUPS = 10  # what a delimiter finds


def key_of(number: int, count: int) -> str:
    """The ``number``-th of ``count`` keys, in their order."""
    return f"d{number * GROUPS // count}/{number:08}"
