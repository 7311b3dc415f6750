"""Which pod, container or device is meant. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeedge_actors.errors import UsageError

Json = dict[str, Any]
DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
"""The annotation by which a pod says which of its containers is meant when none is named."""


def pod_name(text: str) -> str:
    """The name in `web` or `pod/web`. UsageError for another kind.

    >>> pod_name("pod/web"), pod_name("web")
    ('web', 'web')
    """
    kind, slash, name = text.rpartition("/")
    if slash and kind not in ("pod", "pods", "po"):
        raise UsageError(f"{text}: a node knows pods only")
    return name


def named(pods: Sequence[Json], names: Sequence[str], namespace: str) -> list[Json]:
    """Those of these names, in that order. UsageError, in kubectl's words, when there is none of a name."""
    found: list[Json] = []
    for text in names:
        found += _of_name(pods, pod_name(text), "pods", namespace)
    return found


def named_devices(devices: Sequence[Json], names: Sequence[str], namespace: str) -> list[Json]:
    """The same of devices."""
    return [each for name in names for each in _of_name(devices, name, "devices", namespace)]


def _of_name(objects: Sequence[Json], name: str, plural: str, namespace: str) -> list[Json]:
    matching = [each for each in objects if each["metadata"]["name"] == name]
    if not matching:
        raise UsageError(f'{plural} "{name}" not found in namespace {namespace} of this node')
    return matching


def containers(pod: Json) -> list[str]:
    """The names of all containers of a pod, in the order in which they start."""
    spec = pod.get("spec") or {}
    fields = ("initContainers", "containers", "ephemeralContainers")
    return [str(each["name"]) for field in fields for each in spec.get(field) or ()]


def chosen_container(pod: Json, wanted: str) -> tuple[str, str]:
    """The container that is meant, and a sentence about the choice if there was one to make. UsageError."""
    name, mains = pod["metadata"]["name"], [str(each["name"]) for each in pod["spec"].get("containers") or ()]
    if wanted:
        if wanted not in containers(pod):
            raise UsageError(f"container {wanted} not found in pod {name}; there are {', '.join(containers(pod))}")
        return wanted, ""
    preferred = (pod["metadata"].get("annotations") or {}).get(DEFAULT_CONTAINER, "")
    if preferred in mains:
        return preferred, ""
    others = "" if len(containers(pod)) == 1 else f'Defaulted container "{mains[0]}" out of: {", ".join(mains)}'
    return mains[0], others
