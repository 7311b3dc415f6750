"""Starts a container of the process runtime: its program is looked for, then run below a shim with what the container was given."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from kubeedge_actors.drivers.containers.base import ContainerSpec, LogLimits
from kubeedge_actors.drivers.containers.process_environment import environment, privileged_command
from kubeedge_actors.drivers.containers.shim import launcher
from kubeedge_actors.drivers.containers.shim.leftovers import MARK
from kubeedge_actors.drivers.containers.shim.limits import HeldLimits
from kubeedge_actors.drivers.containers.shim.program import STDIN, STDIN_ONCE, ShimArguments
from kubeedge_actors.errors import ContainerError


def start_container(
    folder: Path, container_id: str, spec: ContainerSpec, log_limits: LogLimits, held: HeldLimits
) -> subprocess.Popen[bytes]:
    """The running shim, whose files are in `folder`. ContainerError says why it can not be run."""
    env = environment(spec)
    # who is somebody else has no way into that folder
    cwd = spec.working_dir or ("/" if spec.user else str(folder))
    _check_program(spec.command[0], env, cwd)
    arguments = ShimArguments(
        folder=str(folder),
        cwd=cwd,
        title=f"kubeedge: {spec.pod.namespace}/{spec.pod.name}/{spec.name}",
        log_max_size=str(log_limits.max_size),
        log_max_files=str(log_limits.max_files),
        cgroup=held.cgroup,
        max_data=str(held.max_data),
        stdin=(STDIN_ONCE if spec.stdin_once else STDIN) if spec.stdin else "",
    )
    return launcher.spawn(arguments, privileged_command(folder, spec), env | {MARK: container_id})


def _check_program(name: str, env: Mapping[str, str], cwd: str) -> None:
    program: str | None = name
    if "/" not in name:
        import shutil  # late: it brings three compressions along, 0.5 MB

        program = shutil.which(name, path=env["PATH"])
    if program is None or not os.access(os.path.join(cwd, program), os.X_OK):
        raise ContainerError(f'exec: "{name}": executable file not found')
    if not os.path.isdir(cwd):
        raise ContainerError(f'workingDir "{cwd}" is not a folder of this machine')
