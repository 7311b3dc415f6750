"""What is held against one input: no error but the declared ones, and calls and memory in proportion to its size. No clock."""

from __future__ import annotations

import random
import sys
import tracemalloc
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.security.fuzz.targets import Target

FREE_STEPS = 60_000
FREE_MEMORY = 4_000_000
"""What any input may cost."""
INTERESTING = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\r\n",
    b"#",
    b"+",
    b"/",
    b"$",
    b'"',
    b"\\",
    b"{",
    b"[",
    b"&a",
    b"*a",
    b"-1",
    b"\xb2",
    b"e9",
)


class TooMuch(BaseException):
    """It costs more than it may: no error that somebody catches."""


def judged(target: Target, data: bytes, *, memory: bool = True) -> None:
    """Run one input. Errors: TooMuch; whatever is not declared."""
    if memory:
        tracemalloc.start()
    try:
        _counted(target, data)
        if memory and (peak := tracemalloc.get_traced_memory()[1]) > FREE_MEMORY + target.memory * len(data):
            raise TooMuch(f"{peak} bytes of memory for {len(data)}")
    finally:
        if memory:
            tracemalloc.stop()


def _counted(target: Target, data: bytes) -> None:
    most, steps = FREE_STEPS + target.steps * len(data), 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal steps
        steps += 1
        if steps > most:
            sys.setprofile(None)
            raise TooMuch(f"more than {most} calls for {len(data)} bytes")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        target.run(data)
    except target.errors:
        return
    finally:
        sys.setprofile(before)


def mutated(choices: random.Random, pool: Sequence[bytes]) -> bytes:
    """One of the inputs, with a few changes."""
    data = bytearray(choices.choice(pool))
    for _ in range(choices.randint(1, 6)):
        at = choices.randrange(len(data) + 1)
        match choices.randrange(6):
            case 0:
                data[at : at + 1] = bytes((choices.randrange(256),))
            case 1:
                data[at:at] = choices.choice(INTERESTING) * choices.choice((1, 1, 2, 50))
            case 2:
                del data[at : at + choices.randint(1, 8)]
            case 3:
                other = choices.choice(pool)
                data[at:] = other[choices.randrange(len(other) + 1) :]
            case 4:
                piece = data[at : at + choices.randint(1, 30)]
                data[at:at] = piece * choices.choice((1, 2, 40))
            case _:
                data[at : at + 1] = bytes((data[at] ^ 1 << choices.randrange(8),)) if at < len(data) else b"\x01"
    return bytes(data[:20_000])
