"""Environment and privileges of a container with the process runtime."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from kubeedge_actors.drivers.containers.base import ContainerSpec
from kubeedge_actors.drivers.containers.settings import privileges
from kubeedge_actors.drivers.containers.settings.capabilities import dropped
from kubeedge_actors.errors import ContainerError

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(spec: ContainerSpec) -> dict[str, str]:
    """The container's own variables, over PATH, HOME and HOSTNAME of an engine, and MOUNT_<VOLUME> for each volume."""
    env = {
        "PATH": os.environ.get("PATH", DEFAULT_PATH),
        "HOME": os.environ.get("HOME", "/"),
        "HOSTNAME": spec.hostname,
    }
    for mount in reversed(spec.mounts):  # of two mounts of one volume the first gives the path
        env[f"MOUNT_{re.sub('[^A-Z0-9]', '_', mount.name.upper())}"] = mount.source
    return {key: value for key, value in {**env, **spec.env}.items() if key and "=" not in key}


def environment_of(pid: int) -> dict[bytes, bytes]:
    """The environment that a running process was started with. Error: ContainerError when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError as error:
        raise ContainerError("the container does not run") from error
    return dict(line.split(b"=", 1) for line in lines if b"=" in line)


def privileged_command(folder: Path, spec: ContainerSpec) -> tuple[str, ...]:
    """Command and arguments, run with the privileges that the spec leaves them; noted in the container's folder, for `exec`.

    Error: ContainerError.
    """
    try:
        privileges.write(folder, wanted_privileges(spec))
        return privileges.command_in(folder, spec.command + spec.args)
    except OSError as error:
        raise ContainerError(f"the folder of container {spec.name} can not be written: {error}") from error


def folder_sizes(containers: Path) -> dict[str, int]:
    """The bytes of all files below each folder here; what goes meanwhile counts nothing."""
    sizes: dict[str, int] = {}
    for path in containers.glob("*/**/*"):
        with suppress(OSError):
            name = path.relative_to(containers).parts[0]
            sizes[name] = sizes.get(name, 0) + path.lstat().st_blocks * 512
    return sizes


def wanted_privileges(spec: ContainerSpec) -> dict[str, Any]:
    """What `privileges.become` is to make of the process; empty when it stays as the edge is. ContainerError when we may not.

    A user without a group has the group of its own number, never root's.
    """
    uid, _, gid = spec.user.partition(":")
    changes_user = bool(uid) and (int(uid) != os.geteuid() or (bool(gid) and int(gid) != os.getegid()))
    if (changes_user or spec.groups) and os.geteuid() != 0:
        raise ContainerError(f"runAsUser {spec.user}, groups {list(spec.groups)}: that needs an edge that runs as root")
    lost = dropped(spec.capabilities_added, spec.capabilities_dropped)
    if not (changes_user or spec.groups or lost or spec.no_new_privileges):
        return {}
    return {
        "uid": int(uid) if changes_user else None,
        "gid": int(gid or uid) if changes_user else None,
        "groups": list(spec.groups) if changes_user or spec.groups else None,
        "dropped": lost,
        "no_new_privs": spec.no_new_privileges,
    }
