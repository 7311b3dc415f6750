"""Which property names and values a twin takes (source: KubeEdge edge/pkg/devicetwin/dtcommon/util.go)."""

from __future__ import annotations

import math
import re
from typing import Final

STRING: Final = "string"
DELETED: Final = "deleted"
"""The type of a tombstone."""

NOT_A_REQUEST: Final = "the request body is wrong"

_LETTERS = r"[a-zA-Z0-9\-_.,:/@#]"
_KEY = re.compile(_LETTERS + r"{1,128}")
_VALUE = re.compile(_LETTERS + r"{1,512}")
_FAULT = (
    "The {0} of twin must only include upper or lowercase letters, number, english, and special letter - _ . , : / @ # "
    "and the length of {0} should be less than {1} bytes"
)
_KEY_FAULT = _FAULT.format("key", 128)
_VALUE_FAULT = _FAULT.format("value", 512)

_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HEX_FLOAT = re.compile(r"[+-]?0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+")
_NO_NUMBER = re.compile(r"([+-]?inf(inity)?|nan)", re.IGNORECASE)


def key_fault(key: str) -> str:
    """What is wrong with the name of a property, or nothing."""
    return "" if _KEY.fullmatch(key) else _KEY_FAULT


def value_fault(value: str) -> str:
    """What is wrong with the letters of a non-empty value, or nothing."""
    return "" if _VALUE.fullmatch(value) else _VALUE_FAULT


def type_fault(kind: str, value: str | None) -> str:
    """What is wrong with a value of a property of this type, or nothing. A side without a value is no request."""
    if value is None:
        return NOT_A_REQUEST
    if kind in ("", STRING, DELETED):
        return ""
    if kind in ("int", "integer"):
        return "" if _is_int(value) else "the value is not int or integer"
    if kind == "float":
        return "" if _is_float(value) else "the value is not float"
    if kind == "boolean":
        return "" if value in ("true", "false") else "the bool value must be true or false"
    return "the value type is not allowed"


def _is_int(value: str) -> bool:
    """True for what Go's ParseInt takes: decimal, 64 bits."""
    return len(value) <= 512 and _INT.fullmatch(value) is not None and -(2**63) <= int(value) < 2**63


def _is_float(value: str) -> bool:
    """True for what Go's ParseFloat takes: decimal or hexadecimal, 64 bits, and the words for no number."""
    if _NO_NUMBER.fullmatch(value):
        return True
    if _FLOAT.fullmatch(value):
        return math.isfinite(float(value))
    if not _HEX_FLOAT.fullmatch(value):
        return False
    try:
        return math.isfinite(float.fromhex(value))
    except OverflowError:
        return False
