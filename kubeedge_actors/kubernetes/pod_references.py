"""What a v1.Pod names: Secrets, ConfigMaps, volume claims, its service account (Kubernetes: pkg/api/v1/pod/util.go). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from kubeedge_actors.kubernetes.object_types import (
    CONFIGMAP_KIND,
    PERSISTENTVOLUMECLAIM_KIND,
    SECRET_KIND,
    SERVICEACCOUNT_KIND,
)
from kubeedge_actors.kubernetes.objects import service_account_name

Json = dict[str, Any]

SECRET: Final = SECRET_KIND.kind.lower()
CONFIGMAP: Final = CONFIGMAP_KIND.kind.lower()
CLAIM: Final = PERSISTENTVOLUMECLAIM_KIND.kind.lower()
ACCOUNT: Final = SERVICEACCOUNT_KIND.kind.lower()

_SECRET_REFS = ("secretRef", "nodePublishSecretRef")
"""Fields of volume sources (flexVolume, csi, cephfs, rbd, iscsi, scaleIO, storageos) that name a Secret by reference."""
_VOLUME_SECRET_REFS = (
    *("secretRef", "nodePublishSecretRef", "nodeStageSecretRef", "controllerPublishSecretRef"),
    *("controllerExpandSecretRef", "nodeExpandSecretRef"),
)
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


class ConfigReference(NamedTuple):
    """One object that a pod uses; `type` as in the resource grammar: the kind in small letters."""

    type: str
    namespace: str
    name: str


def config_references(pod: Json) -> frozenset[ConfigReference]:
    """The ConfigMaps, Secrets and volume claims that a v1.Pod names, each in the pod's namespace."""
    namespace = str(pod["metadata"].get("namespace", ""))
    return frozenset(ConfigReference(type, namespace, str(name)) for type, name in _named(pod) if name)


def account_reference(pod: Json) -> ConfigReference:
    """The service account that a v1.Pod runs as; `default` when it names none."""
    account = service_account_name(pod.get("spec") or {})
    return ConfigReference(ACCOUNT, str(pod["metadata"].get("namespace", "")), account)


def volume_references(volume: Json) -> frozenset[ConfigReference]:
    """The Secrets that a v1.PersistentVolume names, by reference or by the old fields; without a namespace they are its claim's."""
    spec = volume.get("spec") or {}
    home = str((spec.get("claimRef") or {}).get("namespace") or "")
    found: set[ConfigReference] = set()
    for source in spec.values():
        if isinstance(source, dict):
            found |= {ConfigReference(SECRET, namespace or home, name) for namespace, name in _of_volume_source(source)}
    return frozenset(found)


def _of_volume_source(source: Json) -> Iterator[tuple[str, str]]:
    for field in _VOLUME_SECRET_REFS:
        reference = source.get(field) or {}
        if reference.get("name"):
            yield str(reference.get("namespace") or ""), str(reference["name"])
    if source.get("secretName"):
        yield str(source.get("secretNamespace") or ""), str(source["secretName"])


def _named(pod: Json) -> Iterator[tuple[str, Any]]:
    spec = pod.get("spec") or {}
    for volume in spec.get("volumes") or ():
        yield from _of_volume(pod, volume)
    for container in (container for field in _CONTAINERS for container in spec.get(field) or ()):
        yield from _of_container(container)
    for secret in spec.get("imagePullSecrets") or ():
        yield SECRET, secret.get("name")


def _of_volume(pod: Json, volume: Json) -> Iterator[tuple[str, Any]]:
    yield CONFIGMAP, (volume.get("configMap") or {}).get("name")
    for source in volume.values():
        if isinstance(source, dict):
            yield SECRET, source.get("secretName")
            for field in _SECRET_REFS:
                yield SECRET, (source.get(field) or {}).get("name")
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield CONFIGMAP, (source.get("configMap") or {}).get("name")
        yield SECRET, (source.get("secret") or {}).get("name")
    yield CLAIM, (volume.get("persistentVolumeClaim") or {}).get("claimName")
    if volume.get("ephemeral"):  # the claim that is made for it has the names of both
        yield CLAIM, f"{pod['metadata']['name']}-{volume.get('name')}"


def _of_container(container: Json) -> Iterator[tuple[str, Any]]:
    for source in container.get("envFrom") or ():
        yield CONFIGMAP, (source.get("configMapRef") or {}).get("name")
        yield SECRET, (source.get("secretRef") or {}).get("name")
    for variable in container.get("env") or ():
        value = variable.get("valueFrom") or {}
        yield CONFIGMAP, (value.get("configMapKeyRef") or {}).get("name")
        yield SECRET, (value.get("secretKeyRef") or {}).get("name")
