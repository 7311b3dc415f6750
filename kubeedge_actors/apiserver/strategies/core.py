"""Namespaces, nodes, config maps, secrets, events, leases, service accounts."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from ...kubernetes.names import config_key_errors
from ..errors import FieldError, Json, forbidden_field, invalid_value, required, unsupported_value
from .strategy import ErrorList, Strategy

DATA_LIMIT = 1024 * 1024
SERVICE_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
NAME_LABEL = "kubernetes.io/metadata.name"


def prepare_namespace(body: Json) -> None:
    """At creation: the namespace is alive and waits for its emptying when it goes."""
    body["spec"] = {"finalizers": ["kubernetes"]}
    body["status"] = {"phase": "Active"}


def default_namespace(body: Json) -> None:
    """Its own name as a label."""
    if name := body["metadata"].get("name"):
        body["metadata"].setdefault("labels", {})[NAME_LABEL] = name


def default_node(body: Json) -> None:
    """Allocatable is capacity where the node says nothing else."""
    body.setdefault("spec", {})
    status = body.setdefault("status", {})
    if "allocatable" not in status and "capacity" in status:
        status["allocatable"] = dict(status["capacity"])


def default_secret(body: Json) -> None:
    """`stringData` becomes `data`."""
    plain = body.pop("stringData", None)
    if plain:
        data = body.setdefault("data", {})
        data.update({key: base64.b64encode(value.encode()).decode() for key, value in plain.items()})
    body.setdefault("type", "Opaque")


def data_errors(body: Json, fields: tuple[str, ...]) -> Iterator[FieldError]:
    """Complaints about keys and size of a config map's or secret's data."""
    size = 0
    for field in fields:
        for key, value in body.get(field, {}).items():
            size += len(value.encode()) if field == "data" and len(fields) > 1 else len(value) * 3 // 4
            yield from (invalid_value(f"{field}[{key}]", key, reason) for reason in config_key_errors(key))
    if size > DATA_LIMIT:
        field = "" if len(fields) > 1 else fields[0]
        yield FieldError(field, "FieldValueTooLong", f"Too long: may not be more than {DATA_LIMIT} bytes")


def validate_config_map(body: Json) -> ErrorList:
    """Complaints about a config map."""
    return list(data_errors(body, ("data", "binaryData")))


def validate_secret(body: Json) -> ErrorList:
    """Complaints about a secret."""
    return list(data_errors(body, ("data",)))


def immutable_data_errors(new: Json, old: Json) -> ErrorList:
    """What was made immutable stays as it is."""
    if not old.get("immutable"):
        return ()
    errors = (
        [] if new.get("immutable") else [forbidden_field("immutable", "field is immutable when `immutable` is set")]
    )
    changed = [field for field in ("data", "binaryData") if new.get(field) != old.get(field)]
    errors.extend(forbidden_field(field, "field is immutable when `immutable` is set") for field in changed)
    return errors


def secret_update_errors(new: Json, old: Json) -> ErrorList:
    """The type stays as well."""
    errors = list(immutable_data_errors(new, old))
    if new.get("type") != old.get("type"):
        errors.append(invalid_value("type", new.get("type"), "field is immutable"))
    return errors


def default_event(body: Json) -> None:
    """Fields that events always carry, empty or null."""
    body.setdefault("involvedObject", {})
    body.setdefault("source", {})
    for field in ("firstTimestamp", "lastTimestamp", "eventTime"):
        body.setdefault(field, None)
    for field in ("reportingComponent", "reportingInstance"):
        body.setdefault(field, "")


def validate_event(body: Json) -> ErrorList:
    """An event stands in the namespace of what it is about."""
    about, own = body["involvedObject"].get("namespace", ""), body["metadata"].get("namespace", "")
    if about == own or (not about and own == "default"):
        return ()
    return [invalid_value("involvedObject.namespace", about, "does not match event.namespace")]


def default_service(body: Json) -> None:
    """Defaults of a service. It gets no address: nothing here routes to it."""
    spec = body.setdefault("spec", {})
    for field, value in (("type", "ClusterIP"), ("sessionAffinity", "None"), ("internalTrafficPolicy", "Cluster")):
        spec.setdefault(field, value)
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port", 0))


def prepare_service(body: Json) -> None:
    """At creation: no load balancer."""
    body["status"] = {"loadBalancer": {}}


def validate_service(body: Json) -> ErrorList:
    """A service has ports, unless it is a name for something outside; several ports have names."""
    spec = body["spec"]
    ports = spec.get("ports", ())
    errors: list[FieldError] = []
    if not ports and spec["type"] != "ExternalName" and spec.get("clusterIP") != "None":
        errors.append(required("spec.ports"))
    if spec["type"] not in SERVICE_TYPES:
        errors.append(unsupported_value("spec.type", spec["type"], SERVICE_TYPES))
    for index, port in enumerate(ports):
        if not 0 < port.get("port", 0) < 65536:
            reason = "must be between 1 and 65535, inclusive"
            errors.append(invalid_value(f"spec.ports[{index}].port", port.get("port", 0), reason))
        if len(ports) > 1 and not port.get("name"):
            errors.append(required(f"spec.ports[{index}].name"))
    return errors


def validate_lease(body: Json) -> ErrorList:
    """A lease's duration is positive."""
    seconds = body.get("spec", {}).get("leaseDurationSeconds")
    if seconds is None or seconds > 0:
        return ()
    return [invalid_value("spec.leaseDurationSeconds", seconds, "must be greater than 0")]


def validate_taints(body: Json) -> ErrorList:
    """A taint has a key and an effect."""
    errors: list[FieldError] = []
    for index, taint in enumerate(body["spec"].get("taints", ())):
        errors.extend(required(f"spec.taints[{index}].{field}") for field in ("key", "effect") if not taint.get(field))
    return errors


NAMESPACES = Strategy(prepare_namespace, default_namespace)
NODES = Strategy(default=default_node, validate=validate_taints)
CONFIG_MAPS = Strategy(validate=validate_config_map, validate_update=immutable_data_errors)
SECRETS = Strategy(default=default_secret, validate=validate_secret, validate_update=secret_update_errors)
EVENTS = Strategy(default=default_event, validate=validate_event)
SERVICES = Strategy(prepare_service, default_service, validate_service)
LEASES = Strategy(validate=validate_lease)
