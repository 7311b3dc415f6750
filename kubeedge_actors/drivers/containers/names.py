"""Names at the door of a driver: whatever the cloud says, none of them leads out of a folder or means something to an engine."""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.drivers.containers.base import ContainerSpec, PodName
from kubeedge_actors.errors import ContainerConfigError
from kubeedge_actors.kubernetes.names import is_dns_label, is_dns_subdomain, is_uid


def check_pod_name(pod: PodName) -> None:
    """Errors: ContainerConfigError for a name, namespace or uid that no pod of an API server can have."""
    _check("name of a pod", pod.name, is_dns_subdomain)
    _check("namespace", pod.namespace, is_dns_label)
    check_pod_uid(pod.uid)


def check_pod_uid(uid: str) -> None:
    """Errors: ContainerConfigError for a uid that no pod can have."""
    _check("uid of a pod", uid, is_uid)


def check_volume_name(name: str) -> None:
    """Errors: ContainerConfigError for a name that no volume can have."""
    _check("name of a volume", name, is_dns_label)


def check_container_names(spec: ContainerSpec) -> None:
    """All names of a container. Errors: ContainerConfigError."""
    check_pod_name(spec.pod)
    _check("name of a container", spec.name, is_dns_label)
    for mount in spec.mounts:
        check_volume_name(mount.name)
        if not mount.target.startswith("/") or "\0" in mount.target:
            raise ContainerConfigError(f"{mount.target!r} can not be the path of a mount")


def _check(what: str, name: str, may_be: Callable[[str], bool]) -> None:
    if not may_be(name):
        raise ContainerConfigError(f"{name!r} can not be the {what}")
