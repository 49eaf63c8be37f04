"""Ranges of keys in the order of their UTF-8 bytes, which is the order of their code points.

Every listing asks for ``low < key < high``. Pure: no database.
"""

from __future__ import annotations

from nova_objectstore.limits import KEY_BYTES_MAX

_LAST = "\U0010ffff"
_SURROGATES_FIRST, _SURROGATES_LAST = 0xD800, 0xDFFF  # not characters: UTF-8 has none of them

# Greater than every string that a key can be: no key has as many bytes.
END = _LAST * (KEY_BYTES_MAX // 4 + 1)


def behind_group(group: str) -> str:
    """A low bound that leaves out ``group`` and all keys that begin with it, and nothing that sorts behind them."""
    return group + END


def before_prefix(prefix: str) -> str:
    """The low bound of the keys that begin with ``prefix``: greater than all that sort before them, less than ``prefix``.

    No string lies between ``x`` and ``x + NUL``, so a prefix that ends in NUL begins right behind the rest of it.
    """
    if not prefix:
        return ""
    head, last = prefix[:-1], ord(prefix[-1])
    if last == 0:
        return head
    return head + chr(_SURROGATES_FIRST - 1 if last == _SURROGATES_LAST + 1 else last - 1) + END


def after_prefix(prefix: str) -> str:
    """The high bound of the keys that begin with ``prefix``."""
    head = prefix.rstrip(_LAST)
    if not head:
        return END
    last = ord(head[-1])
    return head[:-1] + chr(_SURROGATES_LAST + 1 if last == _SURROGATES_FIRST - 1 else last + 1)


def group_of(key: str, prefix: str, delimiter: str) -> str | None:
    """The common prefix that ``key`` is rolled up in: up to the first delimiter behind the prefix, which it includes."""
    if not delimiter:
        return None
    found = key.find(delimiter, len(prefix))
    return None if found < 0 else key[: found + len(delimiter)]
