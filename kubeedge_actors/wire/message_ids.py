"""Ids of messages, made many at a time."""

from __future__ import annotations

import os

IDS_AT_ONCE = 256
_fresh_ids: list[str] = []
os.register_at_fork(after_in_child=_fresh_ids.clear)


def new_id() -> str:
    """A fresh message id: UUID version 4 with dashes. `uuid4` would ask the kernel for each, and leave the interpreter to another thread meanwhile."""
    try:
        return _fresh_ids.pop()
    except IndexError:
        first, *others = map(_uuid4, range(IDS_AT_ONCE), [os.urandom(16 * IDS_AT_ONCE)] * IDS_AT_ONCE)
        _fresh_ids.extend(others)
        return first


def _uuid4(number: int, random: bytes) -> str:
    """The `number`th UUID version 4 of these random bytes."""
    digits = random[16 * number : 16 * number + 16].hex()
    variant = "89ab"[int(digits[16], 16) % 4]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
