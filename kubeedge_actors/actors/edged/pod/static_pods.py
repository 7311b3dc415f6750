"""Static pods: the pod of a manifest, and its mirror pod (source: kubelet config/common.go, pod/mirror_client.go)."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from kubeedge_actors.actors.edged.pod.pod_spec import HASH_ANNOTATION
from kubeedge_actors.kubernetes.objects import MIRROR_ANNOTATION, owner_reference
from kubeedge_actors.kubernetes.time import format_time

Json = dict[str, Any]

SOURCE_ANNOTATION, SEEN_ANNOTATION = "kubernetes.io/config.source", "kubernetes.io/config.seen"
ALL_TAINTS = {"operator": "Exists", "effect": "NoExecute"}


def static_pod(manifest: Json, path: str, node_name: str, now: float) -> Json:
    """The v1.Pod of a manifest, with a name and uid of this node only. A changed manifest is another pod.

    Errors: KeyError, TypeError or ValueError when it has no name or no containers.
    """
    metadata, spec = dict(manifest["metadata"]), dict(manifest["spec"])
    if not metadata["name"] or not spec["containers"]:
        raise ValueError("it has no name or no containers")
    text = msgspec.json.encode([manifest, path, node_name], order="sorted")
    uid = hashlib.md5(text, usedforsecurity=False).hexdigest()
    annotations = {HASH_ANNOTATION: uid, SEEN_ANNOTATION: format_time(now), SOURCE_ANNOTATION: "file"}
    metadata |= {
        "name": f"{metadata['name']}-{node_name}",
        "namespace": metadata.get("namespace") or "default",
        "uid": uid,
        "annotations": {**(metadata.get("annotations") or {}), **annotations},
    }
    spec |= {"nodeName": node_name, "tolerations": [*(spec.get("tolerations") or ()), ALL_TAINTS]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def make_mirror_pod(pod: Json, node_uid: str) -> Json:
    """The mirror v1.Pod of a static pod. `node_uid`: of the Node that owns it."""
    metadata = {key: value for key, value in pod["metadata"].items() if key != "uid"}
    metadata["annotations"] = {**metadata["annotations"], MIRROR_ANNOTATION: pod["metadata"]["uid"]}
    owner = owner_reference("v1", "Node", pod["spec"]["nodeName"], node_uid, controller=True)
    metadata["ownerReferences"] = [owner]
    return {**pod, "metadata": metadata}


def static_pod_uid(mirror: Json) -> str:
    """The uid of the static pod behind a mirror v1.Pod."""
    return str(((mirror.get("metadata") or {}).get("annotations") or {}).get(MIRROR_ANNOTATION, ""))
