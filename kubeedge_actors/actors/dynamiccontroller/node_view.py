"""What a node is shown of an object: of the API server's own EndpointSlice its MetaServer, so that programs there find an API without a cloud. Pure.

Source: KubeEdge cloud/pkg/dynamiccontroller/filter/defaultmaster.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
KIND, NAMESPACE, NAME = "EndpointSlice", "default", "kubernetes"
ADDRESS, PORT, PORT_NAME = "127.0.0.1", 10550, "https"


def shown(content: Json) -> Json:
    """The object, or the list, as a node is shown it; what is given is not changed."""
    items = content.get("items")
    if isinstance(items, list):
        return {**content, "items": [_shown(item) for item in items]}
    return _shown(content)


def _shown(object: Json) -> Json:
    metadata = object.get("metadata") or {}
    if object.get("kind") != KIND or (metadata.get("namespace"), metadata.get("name")) != (NAMESPACE, NAME):
        return object
    endpoints = object.get("endpoints") or []
    if not endpoints:
        return object
    ports = [{**port, "port": PORT} if port.get("name") == PORT_NAME else port for port in object.get("ports") or []]
    return {**object, "endpoints": [{**endpoints[0], "addresses": [ADDRESS]}], "ports": ports}
