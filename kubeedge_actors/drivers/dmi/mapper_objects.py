"""Objects of the Kubernetes API in the shape that mappers get them (source: KubeEdge edge/pkg/devicetwin/dtcommon,
ConvertDevice). Pure.

A mapper reads some fields without looking whether they are there: they always are.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.drivers.dmi.base import MapperMethod

Json = dict[str, Any]


def mapper_request(verb: MapperMethod, object: Json) -> Json:
    """The request that tells a mapper about an object."""
    name, namespace = _names(object)
    if verb is MapperMethod.REMOVE:
        return {"deviceName": name, "deviceNamespace": namespace}
    if verb is MapperMethod.REMOVE_MODEL:
        return {"modelName": name, "modelNamespace": namespace}
    if verb in (MapperMethod.CREATE_MODEL, MapperMethod.UPDATE_MODEL):
        return {"model": mapper_model(object)}
    return {"device": mapper_device(object)}


def mapper_model(object: Json) -> Json:
    """A DeviceModel."""
    name, namespace = _names(object)
    return {"name": name, "namespace": namespace, "spec": object.get("spec") or {}}


def mapper_device(object: Json) -> Json:
    """A Device; how often its state is reported stands in its spec, or where it stood before, in its status."""
    name, namespace = _names(object)
    spec: Json = object.get("spec") or {}
    cycle = spec.get("stateReport") or object.get("status") or {}
    return {
        "name": name,
        "namespace": namespace,
        "spec": {
            "deviceModelReference": (spec.get("deviceModelRef") or {}).get("name") or "",
            "protocol": customized_value(spec.get("protocol")),
            "properties": [_property(prop) for prop in spec.get("properties") or ()],
            "methods": spec.get("methods") or [],
        },
        "status": {key: cycle[key] for key in ("reportToCloud", "reportCycle") if cycle.get(key) is not None},
    }


def customized_value(config: Json | None) -> Json:
    """A protocol or visitor: its free object becomes the data of a customized value."""
    protocol = config or {}
    return {
        "protocolName": protocol.get("protocolName") or "",
        "configData": {"data": protocol.get("configData") or {}},
    }


def _property(object: Json) -> Json:
    shaped = {**object, "desired": object.get("desired") or {}, "visitors": customized_value(object.get("visitors"))}
    push = object.get("pushMethod")
    if push and push.get("anomalyDetection") is not None:
        shaped["pushMethod"] = {**push, "anomalyDetection": {"data": push["anomalyDetection"]}}
    return shaped


def _names(object: Json) -> tuple[str, str]:
    metadata = object.get("metadata") or {}
    return str(metadata.get("name") or ""), str(metadata.get("namespace") or "")
