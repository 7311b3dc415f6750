"""The volume behind a claim: a path of this machine, or why there is none (source: kubelet volumemanager/populator). Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from kubeedge_actors.actors.edged.pod.pod_spec import PodView
from kubeedge_actors.actors.edged.runtime.pod_config_references import ConfigError, ConfigReference, Objects
from kubeedge_actors.wire.constants import PERSISTENTVOLUME

Json = dict[str, Any]
NO_SOURCES = frozenset(
    [
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    ]
)
"""Fields of a v1.PersistentVolumeSpec that say nothing about what it is."""


class ClaimedPath(NamedTuple):
    """The path of a claim's volume, its type as hostPath has it, and whether it is given to the pod's group: one of `hostPath` is not."""

    path: str
    type: str
    of_group: bool


def claimed_path(pod: PodView, reference: ConfigReference, objects: Objects) -> ClaimedPath:
    """Where the claim's volume is. Errors: ConfigError, in a kubelet's words."""
    where = f"error processing PVC {pod.name.namespace}/{reference.name}"
    claim = objects.get(reference)
    if claim is None:
        text = f'failed to fetch PVC from API server: persistentvolumeclaims "{reference.name}" not found'
        raise ConfigError(f"{where}: {text}")
    name = str((claim.get("spec") or {}).get("volumeName") or "")
    if not name:
        raise ConfigError(f"{where}: PVC is not bound")
    volume = objects.get(ConfigReference(PERSISTENTVOLUME, name))
    if volume is None:
        raise ConfigError(f'{where}: failed to fetch PV "{name}" from API server: persistentvolumes "{name}" not found')
    spec = volume.get("spec") or {}
    _check_bound(pod, claim, spec, name)
    if spec.get("volumeMode") == "Block":
        raise ConfigError(f'{where}: PV "{name}" is a block device, which is not supported by this node')
    return _source(spec)


def _check_bound(pod: PodView, claim: Json, spec: Json, name: str) -> None:
    """Both have to say so: else whoever may write claims had any volume."""
    bound, metadata = spec.get("claimRef") or {}, claim.get("metadata") or {}
    if (bound.get("namespace"), bound.get("name")) != (pod.name.namespace, metadata.get("name")):
        raise ConfigError(f'PV "{name}" is not bound to PVC {pod.name.namespace}/{metadata.get("name")}')
    if bound.get("uid") and bound["uid"] != metadata.get("uid"):
        text = f"pv.Spec.ClaimRef.UID {bound['uid']} does not point to expected claim UID {metadata.get('uid')}"
        raise ConfigError(f'found PV object "{name}" but its {text}')


def _source(spec: Json) -> ClaimedPath:
    if spec.get("hostPath"):
        return ClaimedPath(
            str(spec["hostPath"].get("path", "")), str(spec["hostPath"].get("type") or ""), of_group=False
        )
    if spec.get("local"):
        return ClaimedPath(str(spec["local"].get("path", "")), "Directory", of_group=True)
    kind = next((key for key in spec if key not in NO_SOURCES), "none")
    raise ConfigError(f"persistent volumes of the kind {kind} are not supported by this node")
