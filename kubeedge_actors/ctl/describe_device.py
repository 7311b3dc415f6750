"""`describe` of devices: what the cloud wants of a device and what it is, as the node knows it. Pure: objects in, text out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeedge_actors.ctl.describe import labelled
from kubeedge_actors.ctl.tables import or_none
from kubeedge_actors.ctl.tabwriter import align
from kubeedge_actors.kubernetes.durations import age

Json = dict[str, Any]
COLUMNS = ("Name", "Type", "Desired", "Reported", "Age")


def describe_device(device: Json, now: float) -> str:
    """All that is known of a Device; `now` in epoch seconds."""
    return align([*_head(device), *_properties(device, now)])


def _head(device: Json) -> Iterator[str]:
    meta, spec, status = device["metadata"], device.get("spec") or {}, device.get("status") or {}
    yield f"Name:\t{meta['name']}"
    yield f"Namespace:\t{meta.get('namespace', '')}"
    yield from labelled("Labels", meta.get("labels"))
    yield f"Model:\t{or_none((spec.get('deviceModelRef') or {}).get('name'))}"
    yield f"Protocol:\t{or_none((spec.get('protocol') or {}).get('protocolName'))}"
    yield f"State:\t{or_none(status.get('state'))}"
    yield f"Last Online:\t{or_none(status.get('lastOnlineTime'))}"


def _properties(device: Json, now: float) -> Iterator[str]:
    twins = (device.get("status") or {}).get("twins") or ()
    if not twins:
        yield "Properties:\t<none>"
        return
    yield "Properties:"
    yield "  " + "\t".join(COLUMNS)
    yield "  " + "\t".join("-" * len(column) for column in COLUMNS)
    for twin in twins:
        desired, reported = twin.get("observedDesired") or {}, twin.get("reported") or {}
        metadata = (reported or desired).get("metadata") or {}
        since = age(metadata.get("timestamp"), now)
        cells = (twin["propertyName"], or_none(metadata.get("type")), _value(desired), _value(reported), since)
        yield "  " + "\t".join(cells)


def _value(side: Json) -> str:
    return str(side["value"]) if side else "<none>"
