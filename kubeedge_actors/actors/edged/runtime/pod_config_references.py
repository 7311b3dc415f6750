"""ConfigMaps, Secrets, service account tokens and volume claims that a pod refers to, and where in the pod."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kubeedge_actors.actors.edged.pod.pod_spec import PodView
from kubeedge_actors.kubernetes.objects import service_account_name
from kubeedge_actors.kubernetes.service_environment import LIST_NAME
from kubeedge_actors.wire.constants import (
    CONFIGMAP,
    PERSISTENTVOLUME,
    PERSISTENTVOLUMECLAIM,
    SECRET,
    SERVICEACCOUNTTOKEN,
    SERVICELIST,
)

Json = dict[str, Any]

DEFAULT_TOKEN_SECONDS = 3607


class ConfigError(Exception):
    """Something that a pod refers to is not there, or can not be used; the text is fit for the pod's status."""


class ConfigReference(msgspec.Struct, frozen=True):
    """One object of the pod's namespace. A token has an audience and a life in seconds; a pull secret may be missing."""

    type: str
    name: str
    audience: str = ""
    seconds: int = 0

    def token_request(self, pod: PodView) -> Json:
        """The TokenRequest that asks for this token, bound to the pod (as a kubelet words it)."""
        bound = {"kind": "Pod", "apiVersion": "v1", "name": pod.name.name, "uid": pod.name.uid}
        audiences = [self.audience] if self.audience else None
        spec = {"audiences": audiences, "expirationSeconds": self.seconds, "boundObjectRef": bound}
        return {
            "metadata": {"creationTimestamp": None},
            "spec": spec,
            "status": {"token": "", "expirationTimestamp": None},
        }


Objects = dict[ConfigReference, Json]
"""What was found of them; what is missing is not in it."""


def token_reference(source: Json, account: str) -> ConfigReference:
    """The token that a projected source asks for."""
    seconds = int(source.get("expirationSeconds") or DEFAULT_TOKEN_SECONDS)
    return ConfigReference(SERVICEACCOUNTTOKEN, account, source.get("audience") or "", seconds)


def config_references(pod: PodView) -> list[ConfigReference]:
    """Everything that the pod refers to, each once."""
    claims = (claim_reference(pod, volume) for volume in pod.spec.get("volumes") or ())
    references = [*_of_volumes(pod), *filter(None, claims), *_of_containers(pod), *pull_secret_references(pod)]
    return list(dict.fromkeys(references))


def claim_reference(pod: PodView, volume: Json) -> ConfigReference | None:
    """The claim of a volume that has one; that of an ephemeral volume is made by a controller, with the names of both."""
    if volume.get("ephemeral"):
        return ConfigReference(PERSISTENTVOLUMECLAIM, f"{pod.name.name}-{volume['name']}")
    name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
    return ConfigReference(PERSISTENTVOLUMECLAIM, str(name)) if name else None


SERVICES = ConfigReference(SERVICELIST, LIST_NAME)
"""The Services of the pod's namespace, which may be missing."""


def volume_references(objects: Objects) -> list[ConfigReference]:
    """The persistent volumes to which the known claims are bound, as the cloud says: a claim that makes no sense is to none."""
    specs = [object.get("spec") for key, object in objects.items() if key.type == PERSISTENTVOLUMECLAIM]
    names = [spec.get("volumeName") for spec in specs if isinstance(spec, dict)]
    return [ConfigReference(PERSISTENTVOLUME, name) for name in names if isinstance(name, str) and name]


def pull_secret_references(pod: PodView) -> list[ConfigReference]:
    """The secrets with credentials for registries."""
    return [
        ConfigReference(SECRET, reference["name"])
        for reference in pod.spec.get("imagePullSecrets") or ()
        if reference.get("name")
    ]


def refers_to(pod: PodView, type: str, name: str) -> bool:
    """Whether the pod refers to this object of its namespace."""
    return any(source.type == type and source.name == name for source in config_references(pod))


def has_config_volumes(pod: PodView) -> bool:
    """Whether a volume shows objects that may change."""
    return any(_of_volumes(pod))


def _of_volumes(pod: PodView) -> Iterator[ConfigReference]:
    for volume in pod.spec.get("volumes") or ():
        yield from _of_sources([{**volume, "secret": _renamed(volume.get("secret"))}], pod)
        yield from _of_sources((volume.get("projected") or {}).get("sources") or (), pod)


def _renamed(secret: Json | None) -> Json | None:
    """A volume names its secret `secretName`, a projected source `name`."""
    return None if secret is None else {**secret, "name": secret.get("secretName", "")}


def _of_sources(sources: Any, pod: PodView) -> Iterator[ConfigReference]:
    for source in sources:
        if source.get("configMap"):
            yield ConfigReference(CONFIGMAP, source["configMap"].get("name", ""))
        if source.get("secret"):
            yield ConfigReference(SECRET, source["secret"].get("name", ""))
        if source.get("serviceAccountToken"):
            yield token_reference(source["serviceAccountToken"], service_account_name(pod.spec))


def _of_containers(pod: PodView) -> Iterator[ConfigReference]:
    for view in pod.containers:
        for entry in view.raw.get("envFrom") or ():
            yield from _named_sources(entry, "configMapRef", "secretRef")
        for entry in view.raw.get("env") or ():
            yield from _named_sources(entry.get("valueFrom") or {}, "configMapKeyRef", "secretKeyRef")


def _named_sources(holder: Json, configmap: str, secret: str) -> Iterator[ConfigReference]:
    for type, key in ((CONFIGMAP, configmap), (SECRET, secret)):
        name = (holder.get(key) or {}).get("name")
        if name:
            yield ConfigReference(type, name)
