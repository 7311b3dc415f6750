"""Which node uses which ConfigMap, Secret and volume claim (KubeEdge: manager.LocationCache). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from kubeedge_actors.kubernetes.objects import service_account_name
from kubeedge_actors.wire import constants

Json = dict[str, Any]

# Names of a secret in volume sources that have their own field for it (source: Kubernetes pkg/api/v1/pod/util.go)
_SECRET_REFS = ("secretRef", "nodePublishSecretRef")
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


class ConfigReference(NamedTuple):
    """One object that a pod uses; `type` as in the resource grammar."""

    type: str
    namespace: str
    name: str


def config_references(pod: Json) -> frozenset[ConfigReference]:
    """The ConfigMaps, Secrets and volume claims that a v1.Pod names."""
    spec = pod.get("spec") or {}
    namespace = str(pod["metadata"].get("namespace", ""))
    references = [*_of_volumes(spec), *_of_containers(spec)]
    references += [(constants.SECRET, secret.get("name")) for secret in spec.get("imagePullSecrets") or ()]
    return frozenset(ConfigReference(type, namespace, str(name)) for type, name in references if name)


def _of_volumes(spec: Json) -> Iterator[tuple[str, Any]]:
    for volume in spec.get("volumes") or ():
        yield from _of_source(volume)
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield constants.CONFIGMAP, (source.get("configMap") or {}).get("name")
            yield constants.SECRET, (source.get("secret") or {}).get("name")
        claim = volume.get("persistentVolumeClaim") or {}
        yield constants.PERSISTENTVOLUMECLAIM, claim.get("claimName")


def _of_source(volume: Json) -> Iterator[tuple[str, Any]]:
    yield constants.CONFIGMAP, (volume.get("configMap") or {}).get("name")
    for source in volume.values():
        if isinstance(source, dict):
            yield constants.SECRET, source.get("secretName")
            for field in _SECRET_REFS:
                yield constants.SECRET, (source.get(field) or {}).get("name")


def _of_containers(spec: Json) -> Iterator[tuple[str, Any]]:
    for container in (container for field in _CONTAINERS for container in spec.get(field) or ()):
        for source in container.get("envFrom") or ():
            yield constants.CONFIGMAP, (source.get("configMapRef") or {}).get("name")
            yield constants.SECRET, (source.get("secretRef") or {}).get("name")
        for variable in container.get("env") or ():
            value = variable.get("valueFrom") or {}
            yield constants.CONFIGMAP, (value.get("configMapKeyRef") or {}).get("name")
            yield constants.SECRET, (value.get("secretKeyRef") or {}).get("name")


class _Bound(NamedTuple):
    node: str
    account: str
    references: frozenset[ConfigReference]


class LocationCache:
    """Which node uses which ConfigMap, Secret and claim, by its pods.

    A node keeps receiving updates of an object until it is deleted, even when no pod uses it any more: the edge caches
    the object and would give a stale copy to the next pod. What a node may *ask* for is only what its pods use now.
    """

    def __init__(self) -> None:
        self._pods: dict[tuple[str, str], _Bound] = {}
        self._users: dict[ConfigReference, dict[str, int]] = {}
        self._holders: dict[ConfigReference, set[str]] = {}

    def put(self, pod: Json) -> None:
        """A v1.Pod was added or changed; one without a node counts as deleted."""
        self.remove(pod)
        node = str((pod.get("spec") or {}).get("nodeName") or "")
        if not node:
            return
        bound = _Bound(node, service_account_name(pod.get("spec") or {}), config_references(pod))
        self._pods[_key(pod)] = bound
        for reference in bound.references:
            users = self._users.setdefault(reference, {})
            users[node] = users.get(node, 0) + 1
            self._holders.setdefault(reference, set()).add(node)

    def remove(self, pod: Json) -> None:
        """The pod is gone."""
        bound = self._pods.pop(_key(pod), None)
        for reference in bound.references if bound is not None else ():
            assert bound is not None
            users = self._users[reference]
            users[bound.node] -= 1
            if not users[bound.node]:
                del users[bound.node]
            if not users:
                del self._users[reference]

    def node_of(self, namespace: str, pod: str) -> str | None:
        """The node of a bound pod; None for a pod that is not known or not bound."""
        bound = self._pods.get((namespace, pod))
        return bound.node if bound is not None else None

    def service_account_of(self, namespace: str, pod: str) -> str | None:
        """The service account of a bound pod."""
        bound = self._pods.get((namespace, pod))
        return bound.account if bound is not None else None

    def node_uses(self, node: str, reference: ConfigReference) -> bool:
        """Whether a pod on this node names this object now."""
        return node in self._users.get(reference, ())

    def nodes_for(self, reference: ConfigReference) -> list[str]:
        """The nodes to which changes of this object are pushed."""
        return sorted(self._holders.get(reference, ()))

    def forget_object(self, reference: ConfigReference) -> None:
        """The object was deleted: nodes without a pod that uses it need no push of its successor."""
        users = set(self._users.get(reference, ()))
        if users:
            self._holders[reference] = users
        else:
            self._holders.pop(reference, None)

    def forget_node(self, node: str) -> None:
        """The node is gone, and its copies with it."""
        for reference in [reference for reference, nodes in self._holders.items() if node in nodes]:
            if not self.node_uses(node, reference):
                self._holders[reference].discard(node)


def _key(pod: Json) -> tuple[str, str]:
    metadata = pod["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])
