"""What a report of a node makes of a DeviceStatus. Pure.

Unlike the original the first report of a property is written with its value, and a twin that was deleted at the edge
disappears.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from kubeedge_actors import depth_limit

Json = dict[str, Any]

REPORTED_SIDES = (("reported", "actual"), ("observedDesired", "expected"))
DELETED = "deleted"
STATE_FIELDS = ("state", "lastOnlineTime")
CLEARED: Json = {"twins": [], **dict.fromkeys(STATE_FIELDS)}


def parse_twin_report(report: Json) -> dict[str, Json] | None:
    """The twins of a report by property; None when it is no report."""
    twins = report.get("twin")
    if not isinstance(twins, dict):
        return None
    return {str(name): entry for name, entry in twins.items() if isinstance(entry, dict)}


def parse_state_report(text: str) -> Json | None:
    """State and last time online of a state report; None when it is no report."""
    try:
        report = msgspec.json.decode(depth_limit.check_depth(text))
    except msgspec.DecodeError:
        return None
    device = report.get("device") if isinstance(report, dict) else None
    if not isinstance(device, dict) or not isinstance(device.get("state"), str):
        return None
    return {field: device[field] for field in STATE_FIELDS if isinstance(device.get(field), str)}


def merge_reports(older: dict[str, Json], newer: dict[str, Json]) -> dict[str, Json]:
    """Merge two reports: the newer value of each property and side wins."""
    return {**older, **{name: {**older.get(name, {}), **entry} for name, entry in newer.items()}}


def apply_report(twins: list[Json], report: dict[str, Json], properties: Collection[str]) -> list[Json]:
    """The `status.twins` that follow from a report; keys that the device does not have are left out."""
    result = {str(twin.get("propertyName")): twin for twin in twins}
    for name, entry in report.items():
        if name not in properties:
            continue
        if _type(entry) == DELETED:
            result.pop(name, None)
        else:
            result[name] = _with(result.get(name) or _empty(name), entry)
    return list(result.values())


def _with(twin: Json, entry: Json) -> Json:
    changed = dict(twin)
    for key, side in REPORTED_SIDES:
        reported = entry.get(side)
        if reported == {} and side == "expected":
            changed[key] = {"value": ""}  # the cloud wants nothing any more
        elif isinstance(reported, dict) and reported.get("value") is not None:
            changed[key] = {"value": str(reported["value"]), "metadata": _metadata(reported, _type(entry))}
    return changed


def _empty(name: str) -> Json:
    return {"propertyName": name, "observedDesired": {"value": ""}, "reported": {"value": ""}}


def _metadata(reported: Json, type: str) -> dict[str, str]:
    metadata = reported.get("metadata")
    timestamp = metadata.get("timestamp") if isinstance(metadata, dict) else None
    fields = {"timestamp": str(timestamp) if timestamp is not None else "", "type": type}
    return {key: value for key, value in fields.items() if value}


def _type(entry: Json) -> str:
    metadata = entry.get("metadata")
    return str(metadata.get("type", "")) if isinstance(metadata, dict) else ""
