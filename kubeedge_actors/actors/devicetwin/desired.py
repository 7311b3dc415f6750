"""Desired values: `spec.properties[].desired` of a Device becomes the expected value of the twin.

KubeEdge hands desired values to mappers only (DMI); here they reach every MQTT device as document and delta. A desired
value is taken when it differs from the one the cloud said before, so a push that changes something else does not
overwrite what was expected at the edge meanwhile. It counts as a change by the cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kubeedge_actors.actors.devicetwin.dttypes import (
    STRING,
    Document,
    MsgTwin,
    TwinValue,
    TwinVersion,
    TypeMetadata,
    ValueMetadata,
    key_error,
    type_error,
)
from kubeedge_actors.actors.devicetwin.twin import TwinChange, TwinProperty, Twins
from kubeedge_actors.actors.devicetwin.twin_annotations import DEFAULT_SETTINGS, ConflictRule, TwinSettings

MODEL_TYPES = {"INT": "int", "FLOAT": "float", "DOUBLE": "float", "BOOLEAN": "boolean"}
"""Types of a DeviceModel as types of a twin; the others are strings."""

NOTHING = ""
"""Noted for a property that the cloud no longer wants to be anything."""


class DesiredValue(msgspec.Struct, frozen=True):
    """The desired value of one property; `kind` is empty when nobody has said its type, `at` (ms since the epoch) 0 when nobody
    has said when it was given.
    """

    value: str
    kind: str = ""
    at: int = 0


class DesiredChanges(msgspec.Struct):
    """What a Device object changed: twins, what to remember as last desired; and which values do not fit, and why."""

    change: TwinChange
    desired: dict[str, str] = {}
    invalid: dict[str, str] = {}


def desired_values(device: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, DesiredValue]:
    """The desired values in a Device object, by property; an empty value wants nothing.

    `types`: those of its DeviceModel.
    """
    wanted: dict[str, DesiredValue] = {}
    for prop in (device.get("spec") or {}).get("properties") or []:
        name, wish = prop.get("name") or "", prop.get("desired") or {}
        value = wish.get("value")
        if name and isinstance(value, str) and value:
            kind = (wish.get("metadata") or {}).get("type") or types.get(name, "")
            wanted[name] = DesiredValue(value, str(kind), _time(wish.get("metadata")))
    return wanted


def _time(metadata: Mapping[str, Any] | None) -> int:
    text = str((metadata or {}).get("timestamp") or "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def property_types(model: Mapping[str, Any]) -> dict[str, str]:
    """The type of each property of a DeviceModel object."""
    properties = (model.get("spec") or {}).get("properties") or []
    return {p["name"]: MODEL_TYPES.get(p.get("type") or "", STRING) for p in properties if p.get("name")}


def apply_desired(
    twins: Twins,
    last: Mapping[str, str],
    wanted: Mapping[str, DesiredValue],
    now: int,
    settings: TwinSettings = DEFAULT_SETTINGS,
) -> DesiredChanges:
    """Apply the desired values that differ from the `last` ones, as the conflict rule of each property allows."""
    wishes = DesiredChanges(
        TwinChange(), {name: NOTHING for name, value in last.items() if value and name not in wanted}
    )
    for key, desired in wanted.items():
        known, rule = twins.get(key), settings.conflict_rule(key)
        if last.get(key) == desired.value and rule is not ConflictRule.CLOUD:
            continue
        kind = _kind(known, desired)
        if fault := key_error(key) or type_error(kind.type or "", desired.value):
            wishes.invalid[key] = fault
            continue
        wishes.desired[key] = desired.value
        if known is not None and _edge_wins(known, rule, last.get(key), desired, now):
            wishes.change.report[key] = known.with_versions
        elif not _expected_already(known, desired.value):
            _take(wishes.change, key, known, TwinValue(desired.value, ValueMetadata(now)), kind)
    return wishes


def _edge_wins(known: TwinProperty, rule: ConflictRule, last: str | None, desired: DesiredValue, now: int) -> bool:
    """Whether the value that somebody at the edge gave stands against the cloud's: it is told to the cloud instead."""
    local = known.shown.expected
    if not known.is_live or local is None or not local.value or local.value in (last, desired.value):
        return False
    if rule is ConflictRule.LAST:
        given = (local.metadata.timestamp or 0) if local.metadata else 0
        return given > (desired.at or now)
    return rule is ConflictRule.EDGE


def _kind(known: TwinProperty | None, desired: DesiredValue) -> TypeMetadata:
    if known is not None and known.is_live and known.shown.metadata is not None:
        return known.shown.metadata
    return TypeMetadata(desired.kind or STRING)


def _expected_already(known: TwinProperty | None, value: str) -> bool:
    return (
        known is not None and known.is_live and known.shown.expected is not None and known.shown.expected.value == value
    )


def _take(outcome: TwinChange, key: str, known: TwinProperty | None, side: TwinValue, kind: TypeMetadata) -> None:
    before = known or TwinProperty(MsgTwin(optional=True))
    counted = before.expected_version or TwinVersion()
    version = TwinVersion(counted.cloud + 1, counted.edge)
    shown = MsgTwin(side, before.shown.actual, before.shown.optional, kind)
    outcome.changed[key] = TwinProperty(shown, version, before.actual_version)
    outcome.document[key] = Document(before.shown if known is not None and known.is_live else None, shown)
    outcome.report[key] = MsgTwin(side, None, shown.optional, kind, version)
