"""Devices and models by node, and the pushes that follow from a change (KubeEdge:
devicecontroller/controller/downstream.go). Pure: the time comes in.

Source: KubeEdge cloud/pkg/devicecontroller/controller/downstream.go. A device whose model is not there yet waits for
it, so that a mapper gets the model first, but not for long.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any
from zlib import crc32

from kubeedge_actors.drivers.cluster.base import object_reference
from kubeedge_actors.kubernetes.device_values import misfits, property_types
from kubeedge_actors.kubernetes.events import event
from kubeedge_actors.kubernetes.object_types import DEVICE_KIND
from kubeedge_actors.kubernetes.objects import differs_beyond_status
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import LinkMessage, MembershipDetail, MembershipUpdate, ObjectPushed

Json = dict[str, Any]

INVALID_DESIRED = "InvalidDesiredValue"
MODEL_WAIT_SECONDS = 10.0
"""Seconds for which a new device waits for its model."""


class DeviceDownstream:
    """All devices and models by node. Each method that changes it returns the messages to send."""

    def __init__(self) -> None:
        self.devices: dict[str, Json] = {}
        self._models: dict[str, Json] = {}
        self._on_node: dict[str, set[str]] = {}
        self._waiting: dict[str, float] = {}  # devices that wait for their model -> until when

    # --- devices ------------------------------------------------------------------------------------------------------

    def add_existing(self, device: Json) -> None:
        """Add a devices.kubeedge.io Device of the first list: no message follows."""
        self._remember(device_id(device), device)

    def is_moved(self, device: Json) -> bool:
        """Whether a devices.kubeedge.io Device belongs to another node than before."""
        old = self.devices.get(device_id(device))
        return old is not None and bool(node_of(old)) and node_of(old) != node_of(device)

    def desired_events(self, devices: Iterable[Json], now: float) -> list[Json]:
        """A v1.Event for each desired value that does not fit the type of its property: no edge takes it."""
        return [
            _desired_event(device, name, fault, now)
            for device in devices
            for name, fault in misfits(device, property_types(self._models.get(model_id(device)) or {})).items()
        ]

    def devices_of(self, model: Json) -> list[Json]:
        """The devices of a DeviceModel."""
        return [device for device in self.devices.values() if model_id(device) == device_id(model)]

    def put_device(self, device: Json, now: float) -> list[LinkMessage]:
        """A devices.kubeedge.io Device was added or changed; returns the messages for its node."""
        id = device_id(device)
        old = self.devices.get(id)
        if old is not None and node_of(old) != node_of(device):
            return [*self.remove_device(old, now), *self.put_device(device, now)]
        self._remember(id, device)
        node = node_of(device)
        if not node or (old is not None and not differs_beyond_status(old, device)):
            return []
        if old is not None:
            return [] if id in self._waiting else [object_push(constants.UPDATE, constants.DEVICE, node, device)]
        return [self._membership(node, now, added=device), *self._introduce(id, device, now)]

    def remove_device(self, device: Json, now: float) -> list[LinkMessage]:
        """A device was deleted or has moved to another node; `device` is its last state (devices.kubeedge.io Device)."""
        id = device_id(device)
        old = self.devices.pop(id, None)
        node = node_of(old or device)
        self._on_node.get(node, set()).discard(id)
        waited = self._waiting.pop(id, None) is not None
        if not node or old is None:
            return []
        messages: list[LinkMessage] = [self._membership(node, now, removed=device)]
        if waited:
            return messages
        model = self._models.get(model_id(old))
        if model is not None and not self._users(model_id(old), node):
            messages.append(object_push(constants.DELETE, constants.DEVICEMODEL, node, model))
        return [*messages, object_push(constants.DELETE, constants.DEVICE, node, device)]

    def membership_detail(self, node: str, now: float) -> MembershipDetail:
        """The MembershipDetail of a node: all its devices."""
        devices = [_member(self.devices[id]) for id in sorted(self._on_node.get(node, ()))]
        content = {"event_id": str(uuid.uuid4()), "timestamp": int(now * 1000), "devices": devices}
        return MembershipDetail(node=node, content=content)

    def release_expired_waits(self, now: float) -> list[LinkMessage]:
        """The messages for devices that have waited long enough for their models."""
        late = [id for id, until in self._waiting.items() if until <= now]
        for id in late:
            del self._waiting[id]
        return [
            object_push(constants.INSERT, constants.DEVICE, node_of(self.devices[id]), self.devices[id]) for id in late
        ]

    def _remember(self, id: str, device: Json) -> None:
        self.devices[id] = device
        if node := node_of(device):
            self._on_node.setdefault(node, set()).add(id)

    def _introduce(self, id: str, device: Json, now: float) -> list[LinkMessage]:
        node, model_ref = node_of(device), model_id(device)
        model = self._models.get(model_ref)
        if model_ref and model is None:
            self._waiting[id] = now + MODEL_WAIT_SECONDS
            return []
        messages: list[LinkMessage] = []
        if model is not None and self._users(model_ref, node) <= {id}:
            messages.append(object_push(constants.INSERT, constants.DEVICEMODEL, node, model))
        return [*messages, object_push(constants.INSERT, constants.DEVICE, node, device)]

    # --- models -------------------------------------------------------------------------------------------------------

    def add_existing_model(self, model: Json) -> None:
        """Add a devices.kubeedge.io DeviceModel of the first list: no message follows."""
        self._models[device_id(model)] = model

    def put_model(self, model: Json) -> list[LinkMessage]:
        """A devices.kubeedge.io DeviceModel was added or changed; returns the pushes for the nodes that use it, and for the devices that waited for it."""
        id = device_id(model)
        old = self._models.get(id)
        self._models[id] = model
        if old is not None and not differs_beyond_status(old, model):
            return []
        operation = constants.INSERT if old is None else constants.UPDATE
        nodes = sorted({node_of(device) for device in self.devices.values() if model_id(device) == id} - {""})
        messages: list[LinkMessage] = [object_push(operation, constants.DEVICEMODEL, node, model) for node in nodes]
        for waiting in [waiting for waiting in self._waiting if model_id(self.devices[waiting]) == id]:
            del self._waiting[waiting]
            device = self.devices[waiting]
            messages.append(object_push(constants.INSERT, constants.DEVICE, node_of(device), device))
        return messages

    def remove_model(self, model: Json) -> None:
        """A model was deleted; SyncController deletes it on the nodes that still have it."""
        self._models.pop(device_id(model), None)

    def _users(self, model: str, node: str) -> set[str]:
        return {id for id in self._on_node.get(node, ()) if model_id(self.devices[id]) == model}

    def _membership(
        self, node: str, now: float, added: Json | None = None, removed: Json | None = None
    ) -> MembershipUpdate:
        content = {
            "event_id": str(uuid.uuid4()),
            "timestamp": int(now * 1000),
            "added_devices": [_member(added)] if added is not None else None,
            "removed_devices": [_member(removed)] if removed is not None else None,
        }
        return MembershipUpdate(node=node, content=content)


def _desired_event(device: Json, name: str, fault: str, now: float) -> Json:
    reference, kind = object_reference(device), DEVICE_KIND
    about = {"kind": kind.kind, "apiVersion": kind.api_version, "namespace": reference.namespace}
    about |= {"name": reference.name, "uid": reference.uid}
    text = f"the desired value of {name} is not taken: {fault}"
    made = event(about, "Warning", INVALID_DESIRED, text, now, constants.DEVICECONTROLLER)
    # of one value once, whichever replica sees it
    made["metadata"]["name"] = (
        f"{reference.name[:200].rstrip('.-')}.{crc32(f'{name}/{reference.uid}/{_value(device, name)}'.encode()):08x}"
    )
    return made


def _value(device: Json, name: str) -> str:
    properties = device["spec"].get("properties") or ()
    return str(next((each.get("desired") for each in properties if each.get("name") == name), ""))


def object_push(operation: str, type: str, node: str, object: Json) -> ObjectPushed:
    """The object as a message to a node; devices with an empty status, as a genuine cloud says them."""
    reference = object_reference(object)
    if type == constants.DEVICE:
        object = {**object, "status": {}}
    return ObjectPushed(
        node=node,
        operation=operation,
        type=type,
        namespace=reference.namespace,
        name=reference.name,
        object=object,
        resource_version=reference.version,
        source=constants.DEVICECONTROLLER,
    )


def device_id(object: Json) -> str:
    """<namespace>/<name>, of a model too."""
    reference = object_reference(object)
    return f"{reference.namespace}/{reference.name}"


def node_of(device: Json) -> str:
    """The node of a devices.kubeedge.io Device; empty for none."""
    return str((device.get("spec") or {}).get("nodeName") or "")


def model_id(device: Json) -> str:
    """The model of a device, in the device's namespace; empty for none."""
    name = ((device.get("spec") or {}).get("deviceModelRef") or {}).get("name")
    return f"{object_reference(device).namespace}/{name}" if name else ""


def property_names(device: Json) -> frozenset[str]:
    """The names in a device's `spec.properties`."""
    return frozenset(str(prop.get("name")) for prop in (device.get("spec") or {}).get("properties") or ())


def _member(device: Json) -> Json:
    reference = object_reference(device)
    description = (device["metadata"].get("labels") or {}).get("description")
    member = {"id": f"{reference.namespace}/{reference.name}", "name": reference.name}
    return {**member, "description": description} if description else member
