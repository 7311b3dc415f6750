"""Requests for the ConfigMaps, Secrets and tokens of a pod, and their responses (kubelet: configmap, secret and token
managers). Pure.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.edged.pod.pod_state import PodState
from kubeedge_actors.actors.edged.runtime.pod_sources import ConfigSource, config_sources
from kubeedge_actors.actors.edged.status.node_status_manager import parse_object_resp, parse_query_response
from kubeedge_actors.wire.constants import SERVICEACCOUNTTOKEN
from kubeedge_actors.wire.messages import LinkMessage, QueryObject, RequestToken


def fetch_requests(record: PodState) -> list[LinkMessage]:
    """The requests for everything that the pod refers to, known objects included: they may have changed."""
    record.pending_sources.clear()
    requests = [_fetch_request(record, reference) for reference in config_sources(record.view)]
    record.pending_sources = {message.msg_id: reference for message, reference in requests}
    return [message for message, _ in requests]


def _fetch_request(record: PodState, reference: ConfigSource) -> tuple[LinkMessage, ConfigSource]:
    namespace = record.view.name.namespace
    if reference.type == SERVICEACCOUNTTOKEN:
        request = reference.token_request(record.view)
        return RequestToken(namespace=namespace, name=reference.name, object=request), reference
    return QueryObject(type=reference.type, namespace=namespace, name=reference.name), reference


def on_response(record: PodState, parent: str, content: Any) -> bool:
    """Store a response; True when it was the last one. An object that is not found is missing from now on."""
    reference = record.pending_sources.pop(parent, None)
    if reference is None:
        return False
    _, error = parse_object_resp(content)
    object = content if isinstance(content, dict) and "status" in content else parse_query_response(content)
    if error is not None:
        if error.get("reason") == "NotFound":
            record.objects.pop(reference, None)
    elif object is not None:
        record.objects[reference] = object
    return not record.pending_sources


def on_error(record: PodState, parent: str) -> bool:
    """A request failed; True when it was the last one. Objects known already stay valid."""
    return record.pending_sources.pop(parent, None) is not None and not record.pending_sources
