"""NodeRestriction: what a node may write in the embedded API (Kubernetes: plugin/pkg/admission/noderestriction), by the rules of
`kubernetes/node_restriction.py`. Users who are no nodes are none of its business.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.kubernetes import node_restriction as rules

from .auth import User
from .errors import forbidden
from .node_authorizer import DEVICES, STATUSES, StoredPods, device_node, node_of_user
from .registry.builtin import Resource
from .storage.entry import Entry
from .storage.store import Store

Json = dict[str, Any]


class NodeAdmission:
    """Admits what nodes write, or raises 403 with Kubernetes' words."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, user: User, resource: Resource, namespace: str, new: Json) -> None:
        """An object is to be created."""
        node = node_of_user(user)
        if node is None:
            return
        name = str((new.get("metadata") or {}).get("name") or "")
        _raise(resource, name, self._create_rejection(node, resource.key, namespace, name, new))

    def update(self, user: User, resource: Resource, subresource: str, new: Json, old: Json) -> None:
        """An object is to become `new`."""
        node = node_of_user(user)
        if node is None:
            return
        name = str(old["metadata"]["name"])
        _raise(resource, name, self._update_rejection(node, resource.key, subresource, new, old))

    def delete(self, user: User, resource: Resource, entry: Entry, *, eviction: bool = False) -> None:
        """An object is to go."""
        node = node_of_user(user)
        if node is None or resource.key != "pods":
            return
        rule = rules.pod_eviction_rejection if eviction else rules.pod_delete_rejection
        _raise(resource, entry.name, rule(node, entry.fields.get("spec.nodeName", "")))

    def token(self, user: User, resource: Resource, account: Entry, request: Json) -> None:
        """A token of a service account is to be made."""
        node = node_of_user(user)
        if node is not None:
            pods = StoredPods(self._store, node)
            reason = rules.token_rejection(node, account.namespace, account.name, request, pods)
            _raise(resource, account.name, reason)

    def _create_rejection(self, node: str, key: str, namespace: str, name: str, new: Json) -> str:
        if key == "pods":
            owner = self._store.get("nodes", "", node)
            return rules.pod_create_rejection(node, new, owner.uid if owner is not None else "")
        if key == "nodes":
            return rules.node_name_rejection(node, name) or rules.node_create_rejection(node, new)
        if key == "events":
            reason = rules.event_rejection(node, new, StoredPods(self._store, node))
            return f'node "{node}" may not {reason}' if reason else ""
        if key == STATUSES:
            bound = device_node(self._store, namespace, name) == node
            return "" if bound else f'node "{node}" can only report of devices that are bound to itself'
        if key == "coordination.k8s.io/leases" and name != node:
            return "can only access node lease with the same name as the requesting node"
        return ""

    def _update_rejection(self, node: str, key: str, subresource: str, new: Json, old: Json) -> str:
        if key == "pods":
            return rules.pod_status_rejection(node, new, old)
        if key == "nodes":
            return rules.node_name_rejection(node, old["metadata"]["name"]) or rules.node_update_rejection(
                node, new, old
            )
        if key == "persistentvolumeclaims":
            return rules.claim_status_rejection(node, new, old)
        if key == "events":
            pods = StoredPods(self._store, node)
            reason = rules.event_change_rejection(node, old) or rules.event_rejection(node, new, pods)
            return f'node "{node}" may not {reason}' if reason else ""
        if key == DEVICES and (new.get("spec") != old.get("spec") or _labels(new) != _labels(old)):
            return f'node "{node}" can only update the status of a device'
        return ""


def _labels(object: Json) -> object:
    return object["metadata"].get("labels") or {}


def _raise(resource: Resource, name: str, reason: str) -> None:
    if reason:
        raise forbidden(resource.group, resource.plural, name, reason)
