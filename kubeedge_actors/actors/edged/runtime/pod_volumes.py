"""The volumes of a pod as folders, paths and files (source: kubelet's configmap, secret, downwardapi and projected
volumes).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from kubeedge_actors.actors.edged.fields.checks import volume_refusal
from kubeedge_actors.actors.edged.pod.pod_spec import PodView
from kubeedge_actors.actors.edged.runtime.container_spec import (
    NodeContext,
    binary_data,
    field_ref_value,
    resource_field_ref_value,
)
from kubeedge_actors.actors.edged.runtime.pod_config_references import (
    ConfigError,
    ConfigReference,
    Objects,
    claim_reference,
    token_reference,
)
from kubeedge_actors.actors.edged.runtime.storage_limits import memory_volume_bytes
from kubeedge_actors.actors.edged.runtime.volume_claims import claimed_path
from kubeedge_actors.drivers.machine.base import VolumeFile
from kubeedge_actors.kubernetes.objects import service_account_name
from kubeedge_actors.wire.constants import CONFIGMAP, SECRET

Json = dict[str, Any]
Files = dict[str, VolumeFile]

DEFAULT_MODE, SECRET_MODE = 0o644, 0o600


class Volume(msgspec.Struct, frozen=True):
    """One volume: an empty folder, a path of the machine with its type, or files.

    `memory`: the bytes of a folder that is in memory, 0 for one on disk; `of_group`: what is at the path is given to the pod's
    group.
    """

    name: str
    kind: Literal["folder", "path", "files"]
    path: str = ""
    type: str = ""
    files: Files = {}
    memory: int = 0
    of_group: bool = False


def pod_volumes(pod: PodView, objects: Objects, node: NodeContext) -> list[Volume]:
    """All volumes of the pod. Errors: ConfigError, with the words of a kubelet's FailedMount."""
    volumes = []
    for volume in pod.spec.get("volumes") or ():
        try:
            volumes.append(_volume(pod, volume, objects, node))
        except ConfigError as error:
            raise ConfigError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}') from error
    return volumes


def _volume(pod: PodView, volume: Json, objects: Objects, around: NodeContext) -> Volume:
    name = volume["name"]
    if refusal := volume_refusal(volume):
        raise ConfigError(refusal)
    if volume.get("hostPath"):
        return Volume(name, "path", str(volume["hostPath"].get("path", "")), str(volume["hostPath"].get("type") or ""))
    for source in ("configMap", "secret", "downwardAPI"):
        if volume.get(source):
            secret = {"name": volume[source].get("secretName")} if source == "secret" else {}
            mode = _mode(volume[source].get("defaultMode"), pod, secret=source == "secret")
            return Volume(name, "files", files=_source(pod, {source: volume[source] | secret}, objects, around, mode))
    if volume.get("projected"):
        return Volume(name, "files", files=_projected(pod, volume["projected"], objects, around))
    if reference := claim_reference(pod, volume):
        path, type, of_group = claimed_path(pod, reference, objects)
        return Volume(name, "path", path, type, of_group=of_group)
    in_memory = (volume.get("emptyDir") or {}).get("medium") == "Memory"
    return Volume(name, "folder", memory=memory_volume_bytes(pod, volume, around.memory) if in_memory else 0)


def _projected(pod: PodView, projected: Json, objects: Objects, around: NodeContext) -> Files:
    files: Files = {}
    for source in projected.get("sources") or ():
        private = "secret" in source or "serviceAccountToken" in source
        files |= _source(pod, source, objects, around, _mode(projected.get("defaultMode"), pod, secret=private))
    return files


def _mode(mode: int | None, pod: PodView, *, secret: bool) -> int:
    """The mode of files; the default is 0600 for secrets as long as only root reads them, else what Kubernetes does."""
    if secret and mode in (None, DEFAULT_MODE) and not _read_by_others(pod):
        return SECRET_MODE
    return DEFAULT_MODE if mode is None else mode


def _read_by_others(pod: PodView) -> bool:
    contexts = [pod.spec.get("securityContext"), *(view.raw.get("securityContext") for view in pod.containers)]
    keys = ("runAsUser", "runAsNonRoot", "fsGroup")
    return any((context or {}).get(key) for context in contexts for key in keys)


def fs_group(pod: PodView) -> int | None:
    """The group that owns the pod's volumes."""
    group: int | None = (pod.spec.get("securityContext") or {}).get("fsGroup")
    return group


def keeps_matching_groups(pod: PodView) -> bool:
    """Whether a volume whose folder is the group's already is left as it is (fsGroupChangePolicy)."""
    return (pod.spec.get("securityContext") or {}).get("fsGroupChangePolicy") == "OnRootMismatch"


def _source(pod: PodView, source: Json, objects: Objects, around: NodeContext, mode: int) -> Files:
    if source.get("configMap"):
        return _of_object(CONFIGMAP, source["configMap"], objects, mode)
    if source.get("secret"):
        return _of_object(SECRET, source["secret"], objects, mode)
    if source.get("serviceAccountToken"):
        return _of_token(pod, source["serviceAccountToken"], objects, mode)
    if source.get("downwardAPI"):
        return _of_fields(pod, source["downwardAPI"], around, mode)
    raise ConfigError(f"sources of the kind {next(iter(source), 'nothing')} are not supported by this node")


def _of_object(type: str, reference: Json, objects: Objects, mode: int) -> Files:
    name, optional = reference.get("name", ""), reference.get("optional")
    object = objects.get(ConfigReference(type, name))
    if object is None:
        if optional:
            return {}
        raise ConfigError(f'{type} "{name}" not found')
    data = binary_data(object, type)
    if not reference.get("items"):
        return {key: VolumeFile(data=value, mode=mode) for key, value in data.items()}
    files: Files = {}
    for item in reference["items"]:
        if item["key"] in data:
            files[item["path"]] = VolumeFile(data=data[item["key"]], mode=item.get("mode") or mode)
        elif not optional:
            raise ConfigError(f"references non-existent {type} key: {item['key']}")
    return files


def _of_token(pod: PodView, source: Json, objects: Objects, mode: int) -> Files:
    object = objects.get(token_reference(source, service_account_name(pod.spec)))
    text = ((object or {}).get("status") or {}).get("token")
    if not text:
        raise ConfigError(f'failed to fetch token: serviceaccounts "{service_account_name(pod.spec)}" not found')
    return {source["path"]: VolumeFile(data=str(text).encode(), mode=mode)}


def _of_fields(pod: PodView, source: Json, around: NodeContext, mode: int) -> Files:
    files: Files = {}
    for item in source.get("items") or ():
        if item.get("fieldRef"):
            text = field_ref_value(pod, item["fieldRef"].get("fieldPath", ""), around)
        else:
            text = resource_field_ref_value(pod, "", item.get("resourceFieldRef") or {}, around)
        files[item["path"]] = VolumeFile(data=text.encode(), mode=item.get("mode") or mode)
    return files
