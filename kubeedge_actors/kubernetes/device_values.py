"""Types of the values of devices (devices.kubeedge.io): those of a DeviceModel, and which text is a value of one (KubeEdge:
edge/pkg/devicetwin/dtcommon ValidateValue). Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

STRING = "string"
MODEL_TYPES = {"INT": "int", "FLOAT": "float", "DOUBLE": "float", "BOOLEAN": "boolean"}
"""Types of a DeviceModel as types of a twin; the others are strings."""
_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HEX_FLOAT = re.compile(r"[+-]?0[xX]([0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)[pP][+-]?[0-9]+")
_NO_NUMBER = re.compile(r"([+-]?inf(inity)?|nan)", re.IGNORECASE)


def property_types(model: Mapping[str, Any]) -> dict[str, str]:
    """The type of each property of a DeviceModel object."""
    properties = (model.get("spec") or {}).get("properties") or []
    return {p["name"]: MODEL_TYPES.get(p.get("type") or "", STRING) for p in properties if p.get("name")}


def misfits(device: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, str]:
    """Of the desired values in a Device object those that do not fit, by property, and why. `types`: those of its model."""
    found: dict[str, str] = {}
    for prop in (device.get("spec") or {}).get("properties") or []:
        name, desired = str(prop.get("name") or ""), prop.get("desired") or {}
        kind = str((desired.get("metadata") or {}).get("type") or types.get(name, ""))
        value = desired.get("value")
        if isinstance(value, str) and value and (fault := value_type_error(kind, value)):
            found[name] = fault
    return found


def value_type_error(kind: str, value: str) -> str:
    """Why a text is no value of this type; empty when it is."""
    if kind in ("", STRING):
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
