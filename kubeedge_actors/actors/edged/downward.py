"""Facts about a pod that its own containers may see: fieldRef and resourceFieldRef (source: kubelet fieldpath,
resource helpers).
"""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

from kubeedge_actors.actors.edged.podspec import PodView
from kubeedge_actors.actors.edged.references import Missing
from kubeedge_actors.kubernetes.objects import service_account
from kubeedge_actors.kubernetes.quantity import parse_quantity

Json = dict[str, Any]
_ONE_OF = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class Surroundings(msgspec.Struct, frozen=True):
    """Where the pod runs. `cpus` cores and `memory` bytes are what a container without limits may use."""

    node_name: str
    host_ip: str
    pod_ip: str = ""
    cpus: int = 1
    memory: int = 0


def field(pod: PodView, path: str, around: Surroundings) -> str:
    """The value of a fieldRef. Errors: Missing when there is no such field."""
    one = _ONE_OF.fullmatch(path)
    if one:
        return str((pod.metadata.get(one[1]) or {}).get(one[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        pairs = (pod.metadata.get(path.partition(".")[2]) or {}).items()
        return "\n".join(f"{key}={msgspec.json.encode(value).decode()}" for key, value in sorted(pairs))
    values = {
        "metadata.name": pod.name.name,
        "metadata.namespace": pod.name.namespace,
        "metadata.uid": pod.name.uid,
        "spec.nodeName": around.node_name,
        "spec.serviceAccountName": service_account(pod.spec),
        "status.hostIP": around.host_ip,
        "status.hostIPs": around.host_ip,
        "status.podIP": around.pod_ip,
        "status.podIPs": around.pod_ip,
    }
    if path not in values:
        raise Missing(f"unsupported fieldPath: {path}")
    return values[path]


def resource(pod: PodView, container: str, reference: Json, around: Surroundings) -> str:
    """The value of a resourceFieldRef, in units of its divisor, rounded up. Errors: Missing."""
    view = pod.container(reference.get("containerName") or container)
    kind, _, name = str(reference.get("resource", "")).partition(".")
    if view is None or kind not in ("limits", "requests") or not name:
        raise Missing(f"unsupported container resource: {reference.get('resource')}")
    resources = view.raw.get("resources") or {}
    most = {"cpu": around.cpus, "memory": around.memory}
    given = (resources.get(kind) or {}).get(name, most.get(name, 0) if kind == "limits" else 0)
    try:
        divisor = parse_quantity(reference.get("divisor") or 1) or 1.0
        return str(math.ceil(parse_quantity(given) / divisor - 1e-9))
    except ValueError as error:
        raise Missing(str(error)) from error


def uses_pod_address(pod: PodView) -> bool:
    """Whether a container wants to know the pod's address before it starts."""
    refs = (each.get("valueFrom") or {} for view in pod.containers for each in view.raw.get("env") or ())
    return any((ref.get("fieldRef") or {}).get("fieldPath", "").startswith("status.podIP") for ref in refs)
