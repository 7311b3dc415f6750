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
    MsgTwin,
    TwinDoc,
    TwinValue,
    TwinVersion,
    TypeMetadata,
    ValueMetadata,
    key_error,
    type_error,
)
from kubeedge_actors.actors.devicetwin.twin import TwinChange, TwinProperty, Twins
from kubeedge_actors.actors.devicetwin.twin_annotations import DEFAULT_SETTINGS, ConflictRule, TwinSettings

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
    values: dict[str, DesiredValue] = {}
    for prop in (device.get("spec") or {}).get("properties") or []:
        name, desired = prop.get("name") or "", prop.get("desired") or {}
        value = desired.get("value")
        if name and isinstance(value, str) and value:
            kind = (desired.get("metadata") or {}).get("type") or types.get(name, "")
            values[name] = DesiredValue(value, str(kind), _time(desired.get("metadata")))
    return values


def _time(metadata: Mapping[str, Any] | None) -> int:
    text = str((metadata or {}).get("timestamp") or "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def apply_desired(
    twins: Twins,
    last: Mapping[str, str],
    values: Mapping[str, DesiredValue],
    now: int,
    settings: TwinSettings = DEFAULT_SETTINGS,
) -> DesiredChanges:
    """Apply the desired values that differ from the `last` ones, as the conflict rule of each property allows."""
    changes = DesiredChanges(
        TwinChange(), {name: NOTHING for name, value in last.items() if value and name not in values}
    )
    for key in changes.desired:
        prop = twins.get(key)
        if prop is not None and (
            settings.conflict_rule(key) is ConflictRule.CLOUD or _expected_already(prop, last[key])
        ):
            _withdraw(changes.change, key, prop)
    for key, desired in values.items():
        prop, rule = twins.get(key), settings.conflict_rule(key)
        if last.get(key) == desired.value and rule is not ConflictRule.CLOUD:
            continue
        kind = _kind(prop, desired)
        if fault := key_error(key) or type_error(kind.type or "", desired.value):
            changes.invalid[key] = fault
            continue
        changes.desired[key] = desired.value
        if prop is not None and _edge_wins(prop, rule, last.get(key), desired, now):
            changes.change.report[key] = prop.with_versions
        elif not _expected_already(prop, desired.value):
            _take(changes.change, key, prop, TwinValue(desired.value, ValueMetadata(now)), kind)
    return changes


def _edge_wins(prop: TwinProperty, rule: ConflictRule, last: str | None, desired: DesiredValue, now: int) -> bool:
    """Whether the value that somebody at the edge gave stands against the cloud's: it is told to the cloud instead."""
    local = prop.shown.expected
    if not prop.is_live or local is None or not local.value or local.value in (last, desired.value):
        return False
    if rule is ConflictRule.LAST:
        changed_at = (local.metadata.timestamp or 0) if local.metadata else 0
        return changed_at > (desired.at or now)
    return rule is ConflictRule.EDGE


def _kind(prop: TwinProperty | None, desired: DesiredValue) -> TypeMetadata:
    if prop is not None and prop.is_live and prop.shown.metadata is not None:
        return prop.shown.metadata
    return TypeMetadata(desired.kind or STRING)


def _expected_already(prop: TwinProperty | None, value: str) -> bool:
    return prop is not None and prop.is_live and prop.shown.expected is not None and prop.shown.expected.value == value


def _take(change: TwinChange, key: str, prop: TwinProperty | None, side: TwinValue, kind: TypeMetadata) -> None:
    before = prop or TwinProperty(MsgTwin(optional=True))
    counted = before.expected_version or TwinVersion()
    version = TwinVersion(counted.cloud + 1, counted.edge)
    shown = MsgTwin(side, before.shown.actual, before.shown.optional, kind)
    change.changed[key] = TwinProperty(shown, version, before.actual_version)
    change.document[key] = TwinDoc(before.shown if prop is not None and prop.is_live else None, shown)
    change.report[key] = MsgTwin(side, None, shown.optional, kind, version)


def _withdraw(change: TwinChange, key: str, prop: TwinProperty) -> None:
    """The cloud wants nothing any more of what nobody else wants: told upwards as an empty object, as in a deletion."""
    if not prop.is_live or prop.shown.expected is None:
        return
    counted = prop.expected_version or TwinVersion()
    version = TwinVersion(counted.cloud + 1, counted.edge)
    shown = MsgTwin(None, prop.shown.actual, prop.shown.optional, prop.shown.metadata)
    change.changed[key] = TwinProperty(shown, version, prop.actual_version)
    change.document[key] = TwinDoc(prop.shown, shown)
    change.report[key] = MsgTwin(TwinValue(), None, shown.optional, shown.metadata, version)
