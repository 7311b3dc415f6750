"""resource.Quantity: `250m`, `64Mi`, `1e3`."""

from __future__ import annotations

import re

CPU = "cpu"
LARGEST = 2**63 - 1

_FACTORS: dict[str, tuple[int, int]] = (
    {suffix: (10 ** (3 * power), 1) for power, suffix in enumerate(("", "k", "M", "G", "T", "P", "E"))}
    | {f"{letter}i": (1024**power, 1) for power, letter in enumerate("KMGTPE", start=1)}
    | {suffix: (1, 1000**power) for power, suffix in enumerate(("m", "u", "n"), start=1)}
)
_QUANTITY = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,3})|([numkKMGTPE]?i?))", re.ASCII)


def parse_quantity(text: object) -> float:
    """The number that a quantity means; a number as JSON has it will do. ValueError when it is none.

    >>> parse_quantity("250m"), parse_quantity("64Mi"), parse_quantity(2), parse_quantity("1e3")
    (0.25, 67108864.0, 2.0, 1000.0)
    """
    numerator, denominator = _ratio(text)
    try:
        return numerator / denominator
    except OverflowError:
        raise ValueError(f"{text!r} is too large") from None


def rounded_up_quantity(resource: str, text: object) -> int:
    """A quantity of a resource as a whole number (thousandths of a CPU, bytes, pieces), rounded up, at least 0.

    ValueError when it is none.

    >>> rounded_up_quantity("cpu", "250m"), rounded_up_quantity("memory", "64Mi"), rounded_up_quantity("cpu", 2), rounded_up_quantity("memory", "1e3")
    (250, 67108864, 2000, 1000)
    """
    numerator, denominator = _ratio(text)
    rounded_up = -(-numerator * (1000 if resource == CPU else 1) // denominator)
    return max(0, min(LARGEST, rounded_up))


def _ratio(text: object) -> tuple[int, int]:
    match = _QUANTITY.fullmatch(str(text).strip())
    if match is None or (match[4] or "") not in _FACTORS:
        raise ValueError(f"{text!r} is not a quantity")
    sign, number, exponent, suffix = match.groups()
    whole, _, fraction = number.partition(".")
    factor, divisor = _FACTORS[suffix or ""] if exponent is None else _power_of_ten(int(exponent))
    value = int(whole + fraction) * factor
    return (-value if sign == "-" else value), 10 ** len(fraction) * divisor


def _power_of_ten(exponent: int) -> tuple[int, int]:
    return (10**exponent, 1) if exponent >= 0 else (1, 10**-exponent)


def format_kibibytes(number: int) -> str:
    """Bytes as a quantity in Ki.

    >>> format_kibibytes(2048)
    '2Ki'
    """
    return f"{number // 1024}Ki"
