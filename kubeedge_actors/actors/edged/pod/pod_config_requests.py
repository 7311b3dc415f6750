"""Requests for the ConfigMaps, Secrets, tokens and volumes of a pod, and their responses (kubelet: configmap, secret and token
managers). Pure.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.edged.pod.pod_state import PodState
from kubeedge_actors.actors.edged.runtime.pod_config_references import (
    SERVICES,
    ConfigReference,
    config_references,
    volume_references,
)
from kubeedge_actors.actors.edged.status.node_status_manager import parse_object_resp, parse_query_response
from kubeedge_actors.wire.constants import CLUSTER_SCOPE, PERSISTENTVOLUME, SERVICEACCOUNTTOKEN
from kubeedge_actors.wire.messages import LinkMessage, QueryObject, RequestToken


def fetch_requests(pod_state: PodState, *, services: bool) -> list[LinkMessage]:
    """The requests for everything that the pod refers to, known objects included: they may have changed. `services`: the cloud
    is asked for those of its namespace, once.
    """
    pod_state.pending_config_requests.clear()
    pod_state.volumes_requested = False
    references = config_references(pod_state.view)
    if services and SERVICES not in pod_state.objects:
        references.append(SERVICES)
    requests = [_fetch_request(pod_state, reference) for reference in references]
    pod_state.pending_config_requests = {message.msg_id: reference for message, reference in requests}
    return [message for message, _ in requests]


def volume_requests(pod_state: PodState) -> list[LinkMessage]:
    """Once the claims are known: the requests for the volumes to which they are bound. None the second time."""
    if pod_state.volumes_requested:
        return []
    pod_state.volumes_requested = True
    requests = [_fetch_request(pod_state, reference) for reference in volume_references(pod_state.objects)]
    pod_state.pending_config_requests = {message.msg_id: reference for message, reference in requests}
    return [message for message, _ in requests]


def _fetch_request(pod_state: PodState, reference: ConfigReference) -> tuple[LinkMessage, ConfigReference]:
    namespace = pod_state.view.name.namespace
    if reference.type == SERVICEACCOUNTTOKEN:
        request = reference.token_request(pod_state.view)
        return RequestToken(namespace=namespace, name=reference.name, object=request), reference
    scope = CLUSTER_SCOPE if reference.type == PERSISTENTVOLUME else namespace
    return QueryObject(type=reference.type, namespace=scope, name=reference.name), reference


def on_response(pod_state: PodState, parent: str, content: Any) -> bool:
    """Store a response; True when it was the last one. An object that is not found is missing from now on."""
    reference = pod_state.pending_config_requests.pop(parent, None)
    if reference is None:
        return False
    _, error = parse_object_resp(content)
    object = content if isinstance(content, dict) and "status" in content else parse_query_response(content)
    if error is not None:
        if error.get("reason") == "NotFound":
            pod_state.objects.pop(reference, None)
    elif object is not None:
        pod_state.objects[reference] = object
    return not pod_state.pending_config_requests


def on_error(pod_state: PodState, parent: str) -> bool:
    """A request failed; True when it was the last one. Objects known already stay valid."""
    return pod_state.pending_config_requests.pop(parent, None) is not None and not pod_state.pending_config_requests
