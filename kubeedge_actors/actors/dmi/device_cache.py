"""Cache of the node's devices and models, in the form in which mappers get them (KubeEdge: dmicache). Pure.

A device is told with the configuration of its model under its own (source: KubeEdge
edge/pkg/devicetwin/dmicache/dmicache.go); without its model it is not told at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kubeedge_actors.drivers.dmi.base import MapperMethod
from kubeedge_actors.wire import constants

Json = dict[str, Any]


class DmiCache:
    """All devices and models, by "<namespace>/<name>", and the form in which each device was told last."""

    def __init__(self) -> None:
        self.devices: dict[str, Json] = {}
        self.models: dict[str, Json] = {}
        self._registered: dict[str, Json] = {}

    def put_device(self, object: Json) -> Iterator[tuple[MapperMethod, Json]]:
        """Put a device; returns the calls to its mapper."""
        self.devices[id_of(object)] = object
        yield from self._calls_for(id_of(object))

    def remove_device(self, object: Json) -> Iterator[tuple[MapperMethod, Json]]:
        """A device is gone."""
        id = id_of(object)
        device = self.devices.pop(id, object)
        if self._registered.pop(id, None) is not None:
            yield MapperMethod.REMOVE, device

    def put_model(self, object: Json) -> Iterator[tuple[MapperMethod, Json]]:
        """Put a model; returns the calls for devices that waited for it or use it."""
        id = id_of(object)
        yield (MapperMethod.UPDATE_MODEL if id in self.models else MapperMethod.CREATE_MODEL), object
        self.models[id] = object
        for device in [device_id for device_id, device in self.devices.items() if model_of(device) == id]:
            yield from self._calls_for(device)

    def remove_model(self, object: Json) -> Iterator[tuple[MapperMethod, Json]]:
        """A model is gone."""
        model = self.models.pop(id_of(object), None)
        if model is not None:
            yield MapperMethod.REMOVE_MODEL, model

    def inventory_for_mapper(self, protocol: str) -> tuple[list[Json], list[Json]]:
        """The devices that speak a protocol, merged, and their models. They count as told."""
        devices, models = [], dict[str, Json]()
        for id, device in self.devices.items():
            merged = self._merged(device)
            if protocol_of(device) == protocol and merged is not None:
                devices.append(merged)
                self._registered[id] = merged
                models[model_of(device)] = self.models[model_of(device)]
        return devices, list(models.values())

    def _calls_for(self, id: str) -> Iterator[tuple[MapperMethod, Json]]:
        merged, registered = self._merged(self.devices[id]), self._registered.get(id)
        if merged is None or (registered is not None and registered["spec"] == merged["spec"]):
            return
        self._registered[id] = merged
        if registered is not None and protocol_of(registered) != protocol_of(merged):
            yield MapperMethod.REMOVE, registered
            registered = None
        yield (MapperMethod.REGISTER if registered is None else MapperMethod.UPDATE), merged

    def _merged(self, device: Json) -> Json | None:
        model = self.models.get(model_of(device))
        if model is None:
            return None
        spec, defaults = _spec(device), _spec(model)
        visitors = {prop.get("name"): prop.get("visitors") for prop in defaults.get("properties") or ()}
        return {
            **device,
            "spec": {
                **spec,
                "protocol": _merge_config(spec.get("protocol"), {"configData": defaults.get("protocolConfigData")}),
                "properties": [
                    {**prop, "visitors": _merge_config(prop.get("visitors"), visitors.get(prop.get("name")))}
                    for prop in spec.get("properties") or ()
                ],
            },
        }


def _merge_config(own: Json | None, default: Json | None) -> Json:
    """A protocol or visitor over that of the model: the configuration of both, the device's keys win."""
    device, model = own or {}, default or {}
    config = {**(model.get("configData") or {}), **(device.get("configData") or {})}
    return {"protocolName": model.get("protocolName") or device.get("protocolName") or "", "configData": config}


def id_of(object: Json) -> str:
    """<namespace>/<name>."""
    metadata = object.get("metadata") or {}
    return f"{metadata.get('namespace') or constants.DEFAULT_NAMESPACE}/{metadata.get('name') or ''}"


def model_of(device: Json) -> str:
    """The id of a device's model; empty for none."""
    name = (_spec(device).get("deviceModelRef") or {}).get("name")
    return f"{id_of(device).partition('/')[0]}/{name}" if name else ""


def protocol_of(object: Json) -> str:
    """The protocol of a device or model, which is what a mapper serves."""
    protocol = _spec(object).get("protocol")
    return str((protocol.get("protocolName") if isinstance(protocol, dict) else protocol) or "")


def _spec(object: Json) -> Json:
    return object.get("spec") or {}
