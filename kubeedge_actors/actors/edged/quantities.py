"""Quantities of Kubernetes: `250m`, `64Mi`, `1e3`."""

from __future__ import annotations

import re

_DECIMAL = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {f"{letter}i": float(1024**power) for power, letter in enumerate("KMGTPE", start=1)}
_FACTORS = _DECIMAL | _BINARY
_GRAMMAR = re.compile(r"([+-]?[0-9.]+)(?:[eE]([+-]?[0-9]+)|([numkMGTPE]?i?))")


def quantity(text: object) -> float:
    """The number that a quantity means.

    >>> quantity("250m"), quantity("64Mi"), quantity(2), quantity("1e3")
    (0.25, 67108864.0, 2.0, 1000.0)

    Errors: ValueError.
    """
    found = _GRAMMAR.fullmatch(str(text).strip())
    if found is None or (found[3] or "") not in _FACTORS:
        raise ValueError(f"{text!r} is not a quantity")
    number = float(found[1])
    return number * 10 ** int(found[2]) if found[2] else number * _FACTORS[found[3] or ""]


def kibibytes(number: int) -> str:
    """Bytes as a quantity in Ki.

    >>> kibibytes(2048)
    '2Ki'
    """
    return f"{number // 1024}Ki"
