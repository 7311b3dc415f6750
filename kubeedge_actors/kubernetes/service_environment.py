"""The variables by which a pod finds Services (source: kubelet envvars.FromServices, getServiceEnvVarMap), and what of them a node
needs for that. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

Json = dict[str, Any]

API_SERVICE: Final = "kubernetes"
API_NAMESPACE: Final = "default"
LIST_NAME: Final = "services"
"""The name under which a node asks for the Services of a namespace."""


def service_list(namespace: str, services: Iterable[Json]) -> Json:
    """What a node is told of the Services (v1.Service) of a namespace and of the API's own: names, addresses, ports."""
    return {"metadata": {"name": LIST_NAME, "namespace": namespace}, "items": [_outline(each) for each in services]}


def _outline(service: Json) -> Json:
    spec, metadata = service.get("spec") or {}, service["metadata"]
    ports = [
        {key: port[key] for key in ("name", "port", "protocol") if key in port} for port in spec.get("ports") or ()
    ]
    return {
        "metadata": {"name": metadata["name"], "namespace": metadata.get("namespace", "")},
        "spec": {"clusterIP": spec.get("clusterIP") or "", "ports": ports},
    }


def service_variables(namespace: str, services: Iterable[Json], *, links: bool) -> dict[str, str]:
    """The variables of a pod in this namespace. `links`: of all Services there, else of the API's own only.

    >>> service = {"metadata": {"name": "a-b", "namespace": "x"}, "spec": {"clusterIP": "192.0.2.1", "ports": [{"port": 80}]}}
    >>> service_variables("x", [service], links=True)["A_B_PORT_80_TCP_ADDR"]
    '192.0.2.1'
    """
    chosen: dict[str, Json] = {}
    for service in services:
        name, home = str(service["metadata"]["name"]), service["metadata"].get("namespace", "")
        of_api = (home, name) == (API_NAMESPACE, API_SERVICE)
        if home == namespace and (links or of_api):
            chosen[name] = service  # of two of one name that of the pod's namespace counts
        elif of_api:
            chosen.setdefault(name, service)
    return {key: value for service in chosen.values() for key, value in _variables(service)}


def api_variables(address: str, port: int) -> dict[str, str]:
    """The variables that lead a client in a pod to this API."""
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    return dict(_variables({"metadata": {"name": API_SERVICE}, "spec": {"clusterIP": address, "ports": ports}}))


def _variables(service: Json) -> Iterator[tuple[str, str]]:
    spec = service.get("spec") or {}
    address, ports = str(spec.get("clusterIP") or ""), spec.get("ports") or ()
    if address in ("", "None") or not ports:
        return
    prefix, host = _word(service["metadata"]["name"]), f"[{address}]" if ":" in address else address
    yield f"{prefix}_SERVICE_HOST", address
    yield f"{prefix}_SERVICE_PORT", str(ports[0]["port"])
    for port in ports:
        if port.get("name"):
            yield f"{prefix}_SERVICE_PORT_{_word(port['name'])}", str(port["port"])
    for index, port in enumerate(ports):
        protocol, number = str(port.get("protocol") or "TCP"), str(port["port"])
        url = f"{protocol.lower()}://{host}:{number}"
        if index == 0:
            yield f"{prefix}_PORT", url
        port_prefix = f"{prefix}_PORT_{number}_{protocol.upper()}"
        yield port_prefix, url
        yield f"{port_prefix}_PROTO", protocol.lower()
        yield f"{port_prefix}_PORT", number
        yield f"{port_prefix}_ADDR", address


def _word(name: str) -> str:
    return name.upper().replace("-", "_")
