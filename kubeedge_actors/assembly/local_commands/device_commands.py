"""What a person at the node may ask of its devices through the control socket: what the cloud wants of them, and what they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from kubeedge_actors.actors.devicetwin.device_objects import is_well_formed
from kubeedge_actors.control.streams import MoreCommands
from kubeedge_actors.drivers.cluster.selectors import Selector
from kubeedge_actors.drivers.store.base import DeviceRow, MetaStore, TwinRow, TwinStore
from kubeedge_actors.errors import ClusterError, UsageError
from kubeedge_actors.kubernetes.object_types import DEVICE_KIND
from kubeedge_actors.kubernetes.time import format_time
from kubeedge_actors.wire import constants

Json = dict[str, Any]
API_VERSION = f"{DEVICE_KIND.group}/{DEVICE_KIND.version}"


def device_commands(meta: MetaStore, twins: TwinStore) -> MoreCommands:
    """The commands about the devices of an edge node, answered from its database."""
    return MoreCommands({"devices": lambda request: list_devices(meta, twins, request)}, {})


def list_devices(meta: MetaStore, twins: TwinStore, request: Json) -> list[Json]:
    """The Devices ordered by name, with the state and the twins that they have here as their status; of one `namespace`, and those that a label
    `selector` matches, if these are given. A device that only programs of the node know has metadata and status. UsageError.
    """
    try:
        selector = Selector(str(request.get("selector") or ""))
    except ClusterError as error:
        raise UsageError(str(error)) from error
    namespace = request.get("namespace")
    found = {_id(device): device for device in _objects(meta)}
    members, properties = {row.id: row for row in twins.devices()}, _by_device(twins.twins())
    for id in members.keys() - found.keys():
        found[id] = _without_object(id)
    shown = [(id, each) for id, each in sorted(found.items()) if namespace in (None, "", id.partition("/")[0])]
    return [
        each | {"status": _status(members.get(id), properties.get(id, ()))}
        for id, each in shown
        if selector.matches(each)
    ]


def _objects(meta: MetaStore) -> Iterable[Json]:
    for row in meta.of_type(constants.DEVICE):
        device: Json = msgspec.json.decode(row.value)
        if not is_well_formed(device) or not device["metadata"].get("name"):
            continue  # DeviceTwin passes it over as well, and says so
        yield {"apiVersion": API_VERSION, "kind": DEVICE_KIND.kind} | device


def _id(device: Json) -> str:
    metadata = device["metadata"]
    return f"{metadata.get('namespace') or constants.DEFAULT_NAMESPACE}/{metadata['name']}"


def _without_object(id: str) -> Json:
    namespace, _, name = id.rpartition("/")
    metadata = {"name": name, "namespace": namespace or constants.DEFAULT_NAMESPACE}
    return {"apiVersion": API_VERSION, "kind": DEVICE_KIND.kind, "metadata": metadata}


def _by_device(rows: Iterable[TwinRow]) -> dict[str, list[TwinRow]]:
    found: dict[str, list[TwinRow]] = {}
    for row in rows:
        found.setdefault(row.device, []).append(row)
    return found


def _status(member: DeviceRow | None, rows: Iterable[TwinRow]) -> Json:
    """As KubeEdge's DeviceStatus has it."""
    status: Json = {"twins": [_twin(row) for row in sorted(rows, key=lambda row: row.name)]}
    if member is not None and member.state:
        status["state"] = member.state
    if member is not None and member.last_online:
        status["lastOnlineTime"] = member.last_online
    return status


def _twin(row: TwinRow) -> Json:
    twin: Json = {"propertyName": row.name}
    sides = ("observedDesired", row.expected, row.expected_meta), ("reported", row.actual, row.actual_meta)
    for side, value, meta in sides:
        if value is not None:
            metadata = {"type": row.attr_type} | _moment(meta)
            twin[side] = {"value": value, "metadata": metadata}
    return twin


def _moment(meta: str) -> dict[str, str]:
    """When a value was set, of the milliseconds of a twin's metadata."""
    milliseconds = msgspec.json.decode(meta).get("timestamp") if meta else None
    return {"timestamp": format_time(milliseconds / 1000)} if milliseconds else {}
