"""Requests for the ConfigMaps, Secrets and tokens of a pod, and their responses (kubelet: configmap, secret and token
managers). Pure.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.edged.pod.pod_state import PodState
from kubeedge_actors.actors.edged.runtime.pod_config_references import ConfigReference, config_references
from kubeedge_actors.actors.edged.status.node_status_manager import parse_object_resp, parse_query_response
from kubeedge_actors.wire.constants import SERVICEACCOUNTTOKEN
from kubeedge_actors.wire.messages import LinkMessage, QueryObject, RequestToken


def fetch_requests(record: PodState) -> list[LinkMessage]:
    """The requests for everything that the pod refers to, known objects included: they may have changed."""
    record.pending_config_requests.clear()
    asked = [_fetch_request(record, reference) for reference in config_references(record.view)]
    record.pending_config_requests = {message.msg_id: reference for message, reference in asked}
    return [message for message, _ in asked]


def _fetch_request(record: PodState, reference: ConfigReference) -> tuple[LinkMessage, ConfigReference]:
    namespace = record.view.name.namespace
    if reference.type == SERVICEACCOUNTTOKEN:
        request = reference.token_request(record.view)
        return RequestToken(namespace=namespace, name=reference.name, object=request), reference
    return QueryObject(type=reference.type, namespace=namespace, name=reference.name), reference


def on_response(record: PodState, parent: str, content: Any) -> bool:
    """Store a response; True when it was the last one. An object that is not found is missing from now on."""
    reference = record.pending_config_requests.pop(parent, None)
    if reference is None:
        return False
    _, error = parse_object_resp(content)
    found = content if isinstance(content, dict) and "status" in content else parse_query_response(content)
    if error is not None:
        if error.get("reason") == "NotFound":
            record.objects.pop(reference, None)
    elif found is not None:
        record.objects[reference] = found
    return not record.pending_config_requests


def on_error(record: PodState, parent: str) -> bool:
    """A request failed; True when it was the last one. Objects known already stay valid."""
    return record.pending_config_requests.pop(parent, None) is not None and not record.pending_config_requests
