"""Environment and command line of a container with the process runtime."""

from __future__ import annotations

import os
import re

from kubeedge_actors.drivers.containers.base import ContainerSpec
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


def command_line(spec: ContainerSpec) -> tuple[str, ...]:
    """Command and arguments, run as `spec.user` where one is given. ContainerError when we may not."""
    command = spec.command + spec.args
    uid, _, gid = spec.user.partition(":")
    options = ["--no-new-privs"] if spec.no_new_privileges else []
    if uid and (int(uid) != os.geteuid() or (gid and int(gid) != os.getegid())):
        if os.geteuid() != 0:
            raise ContainerError(f"runAsUser {spec.user} needs root")
        options += [f"--reuid={uid}", f"--regid={gid or uid}", "--clear-groups"]
    if not options:
        return command
    import shutil  # late: it brings three compressions along, 0.5 MB

    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ContainerError("the user or the privileges of a process can not be changed: there is no program setpriv")
    return (setpriv, *options, "--", *command)
