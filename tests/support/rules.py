"""Rules and RuleEndpoints as people write them."""

from __future__ import annotations

from typing import Any

API_VERSION = "rules.kubeedge.io/v1"


def endpoint(name: str, type: str, **properties: str) -> dict[str, Any]:
    """A RuleEndpoint."""
    spec: dict[str, Any] = {"ruleEndpointType": type} | ({"properties": properties} if properties else {})
    return {
        "apiVersion": API_VERSION,
        "kind": "RuleEndpoint",
        "metadata": {"namespace": "default", "name": name},
        "spec": spec,
    }


def rule(
    name: str,
    source: str,
    source_resource: dict[str, str],
    target: str,
    target_resource: dict[str, str],
    namespace: str = "default",
) -> dict[str, Any]:
    """A Rule."""
    spec = {"source": source, "sourceResource": source_resource, "target": target, "targetResource": target_resource}
    return {
        "apiVersion": API_VERSION,
        "kind": "Rule",
        "metadata": {"namespace": namespace, "name": name},
        "spec": spec,
    }


ENDPOINTS = (
    endpoint("rest", "rest"),
    endpoint("eventbus", "eventbus"),
    endpoint("servicebus", "servicebus", service_port="9000"),
)
"""One of each type, called as its type, in the namespace `default`."""
