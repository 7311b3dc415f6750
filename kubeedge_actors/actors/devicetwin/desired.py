"""What the cloud wants of a device: `spec.properties[].desired` of its Device object becomes the expected value of the
twin.

KubeEdge hands desired values to mappers only (DMI); here they reach every MQTT device as document and delta. A desired
value is taken when it differs from the one the cloud said before, so a push that changes something else does not
overwrite what was expected at the edge meanwhile. It counts as a change by the cloud.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kubeedge_actors.actors.devicetwin.payloads import Document, Entry, Kind, Side, Stamp, Version
from kubeedge_actors.actors.devicetwin.rules import PLAIN, Rule, Settings
from kubeedge_actors.actors.devicetwin.twin import Outcome, Property, Twins
from kubeedge_actors.actors.devicetwin.values import STRING, key_fault, type_fault

MODEL_TYPES = {"INT": "int", "FLOAT": "float", "DOUBLE": "float", "BOOLEAN": "boolean"}
"""Types of a DeviceModel as types of a twin; the others are strings."""

NOTHING = ""
"""Noted for a property that the cloud no longer wants to be anything."""


class Desired(msgspec.Struct, frozen=True):
    """What the cloud wants of one property; `kind` is empty when nobody has said its type, `at` (ms since the epoch) 0 when nobody
    has said when it was given.
    """

    value: str
    kind: str = ""
    at: int = 0


class Wishes(msgspec.Struct):
    """What a Device object changed: twins, what to remember as last desired; and which values do not fit, and why."""

    outcome: Outcome
    desired: dict[str, str] = {}
    unfit: dict[str, str] = {}


def of_device(device: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, Desired]:
    """The desired values in a Device object, by property; an empty value wants nothing.

    `types`: those of its DeviceModel.
    """
    wanted: dict[str, Desired] = {}
    for prop in (device.get("spec") or {}).get("properties") or []:
        name, wish = prop.get("name") or "", prop.get("desired") or {}
        value = wish.get("value")
        if name and isinstance(value, str) and value:
            kind = (wish.get("metadata") or {}).get("type") or types.get(name, "")
            wanted[name] = Desired(value, str(kind), _time(wish.get("metadata")))
    return wanted


def _time(metadata: Mapping[str, Any] | None) -> int:
    text = str((metadata or {}).get("timestamp") or "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def of_model(model: Mapping[str, Any]) -> dict[str, str]:
    """The type of each property of a DeviceModel object."""
    properties = (model.get("spec") or {}).get("properties") or []
    return {p["name"]: MODEL_TYPES.get(p.get("type") or "", STRING) for p in properties if p.get("name")}


def wish(
    twins: Twins, last: Mapping[str, str], wanted: Mapping[str, Desired], now: int, settings: Settings = PLAIN
) -> Wishes:
    """Take over the desired values that differ from the `last` ones, if the rule of their property lets them."""
    wishes = Wishes(Outcome(), {name: NOTHING for name, value in last.items() if value and name not in wanted})
    for key, desired in wanted.items():
        known, rule = twins.get(key), settings.rule(key)
        if last.get(key) == desired.value and rule is not Rule.CLOUD:
            continue
        kind = _kind(known, desired)
        if fault := key_fault(key) or type_fault(kind.type or "", desired.value):
            wishes.unfit[key] = fault
            continue
        wishes.desired[key] = desired.value
        if known is not None and _stands(known, rule, last.get(key), desired, now):
            wishes.outcome.report[key] = known.with_versions
        elif not _expected_already(known, desired.value):
            _take(wishes.outcome, key, known, Side(desired.value, Stamp(now)), kind)
    return wishes


def _stands(known: Property, rule: Rule, last: str | None, desired: Desired, now: int) -> bool:
    """Whether the value that somebody at the edge gave stands against the cloud's: it is told to the cloud instead."""
    local = known.shown.expected
    if not known.live or local is None or not local.value or local.value in (last, desired.value):
        return False
    if rule is Rule.LAST:
        given = (local.metadata.timestamp or 0) if local.metadata else 0
        return given > (desired.at or now)
    return rule is Rule.EDGE


def _kind(known: Property | None, desired: Desired) -> Kind:
    if known is not None and known.live and known.shown.metadata is not None:
        return known.shown.metadata
    return Kind(desired.kind or STRING)


def _expected_already(known: Property | None, value: str) -> bool:
    return known is not None and known.live and known.shown.expected is not None and known.shown.expected.value == value


def _take(outcome: Outcome, key: str, known: Property | None, side: Side, kind: Kind) -> None:
    before = known or Property(Entry(optional=True))
    counted = before.expected_version or Version()
    version = Version(counted.cloud + 1, counted.edge)
    shown = Entry(side, before.shown.actual, before.shown.optional, kind)
    outcome.changed[key] = Property(shown, version, before.actual_version)
    outcome.document[key] = Document(before.shown if known is not None and known.live else None, shown)
    outcome.report[key] = Entry(side, None, shown.optional, kind, version)
