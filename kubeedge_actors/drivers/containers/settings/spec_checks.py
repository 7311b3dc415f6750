"""A container's description at the door of a driver: what no API server would have let pass is refused, whoever says it."""

from __future__ import annotations

import re
from typing import Final

from kubeedge_actors.drivers.containers.base import ContainerSpec
from kubeedge_actors.drivers.containers.names import check_container_names
from kubeedge_actors.drivers.containers.settings import capabilities
from kubeedge_actors.errors import ContainerConfigError

MAX_ID: Final = 2**31 - 1
"""The largest uid and gid of Kubernetes. What a kernel makes of -1 and 4294967295 is "stay who you are": root."""

_USER_NAME = re.compile(r"[A-Za-z_][-A-Za-z0-9_.]*")


def check_container(spec: ContainerSpec) -> None:
    """Errors: ContainerConfigError for impossible names, users, groups and capabilities, and for contradictions."""
    check_container_names(spec)
    user, colon, group = spec.user.partition(":")
    ids = [user] if spec.user and not _USER_NAME.fullmatch(user) else []
    for id in ids + ([group] if colon else []) + [str(group) for group in spec.groups]:
        if not (id.isascii() and id.isdigit() and int(id) <= MAX_ID):
            raise ContainerConfigError(
                f"{id!r} can not be a user or group: it must be between 0 and {MAX_ID}, inclusive"
            )
    for name in (*spec.capabilities_added, *spec.capabilities_dropped):
        capabilities.normalized(name)
    if spec.no_new_privileges and spec.privileged:
        raise ContainerConfigError("cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
    if spec.no_new_privileges and "CAP_SYS_ADMIN" in spec.capabilities_added:
        text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        raise ContainerConfigError(text)
