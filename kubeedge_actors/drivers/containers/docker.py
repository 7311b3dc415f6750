"""Runs containers with a Docker engine, through the library's low-level client. Imported only when Docker is chosen:
it is large.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from kubeedge_actors.drivers.containers import docker_api as forms
from kubeedge_actors.drivers.containers import docker_streams, pause
from kubeedge_actors.drivers.containers.base import (
    DEFAULT_LOG_LIMITS,
    Container,
    ContainerSpec,
    ContainerUsage,
    ExecResult,
    ExecStream,
    LimitSupport,
    LogLimits,
    PodNetwork,
    RegistryAuth,
    Watcher,
)
from kubeedge_actors.drivers.containers.container_record import boot_id
from kubeedge_actors.drivers.containers.docker_events import DockerEvents
from kubeedge_actors.drivers.containers.docker_library import (
    BROKEN,
    check_listening,
    docker,
    hang_up,
    open_answer,
    requests,
    translated,
    urllib3,
)
from kubeedge_actors.drivers.containers.logs.interruptible_log_stream import InterruptibleLogStream
from kubeedge_actors.drivers.containers.names import check_pod_name
from kubeedge_actors.drivers.containers.settings import host_files
from kubeedge_actors.drivers.containers.settings.spec_checks import check_container
from kubeedge_actors.drivers.containers.subpaths import SubpathMounts
from kubeedge_actors.errors import ContainerConfigError, ContainerError, RuntimeUnavailable

log = logging.getLogger(__name__)

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
SECCOMP_PROFILES = Path("/var/lib/kubelet/seccomp")
"""Where a kubelet has them."""
PAUSE_IMAGE = "pause-of-pods:2"
OUTPUT_LIMIT = 64 * 1024
PIECE = 16 * 1024


class DockerRuntime:
    """Containers of one owner in a Docker engine.

    `owner` tells our containers from those of others in the same engine. `pause_image` holds pod networks; by default
    it is made here. Errors: RuntimeUnavailable when no engine answers at `address`.
    """

    def __init__(
        self,
        owner: str,
        address: str = DEFAULT_ADDRESS,
        pause_image: str = "",
        timeout: float = 60.0,
        *,
        subpaths: Path,
        log_limits: LogLimits = DEFAULT_LOG_LIMITS,
        profiles: Path = SECCOMP_PROFILES,
    ) -> None:
        self._owner, self._pause_image, self._log_limits = owner, pause_image, log_limits
        with translated():  # the library's stubs leave the low-level client half untyped
            check_listening(address)
            self._client: Any = docker.APIClient(base_url=address, version="auto", timeout=int(timeout))
        self._boot_id = boot_id()
        self._lock, self._opening = threading.Lock(), threading.Lock()
        self._seen: dict[str, Container] = {}
        self._events = DockerEvents(self._client, address, owner, self._look)
        self._profiles = profiles
        self._subpaths, self._subpath_keys = SubpathMounts(subpaths), dict[str, str]()

    def version(self) -> str:
        """`docker://` and the engine's version."""
        with translated():
            return f"docker://{self._client.version()['Version']}"

    # --- watching ---------------------------------------------------------------------------------------------------

    def limit_support(self) -> LimitSupport:
        """The engine has cgroups."""
        return LimitSupport()

    def watch(self, watcher: Watcher) -> None:
        """Follow the engine's events with one thread."""
        with translated():
            self._events.watch(watcher)

    # --- looking ----------------------------------------------------------------------------------------------------

    def _look(self, container_id: str) -> Container:
        """Inspect one container; what has ended does not change and is remembered, with the address that it had."""
        with translated():
            container = forms.parse_inspection(self._client.inspect_container(container_id))
        with self._lock:
            before = self._seen.get(container.id)
            if before is not None and not container.ip:
                container = msgspec.structs.replace(container, ip=before.ip)
            self._seen[container.id] = container
        return container

    def _rows(self, kind: str, pod_uid: str = "") -> list[dict[str, Any]]:
        labels = [f"{forms.OWNER}={self._owner}", f"{forms.KIND}={kind}"]
        if pod_uid:
            labels.append(f"{forms.POD_UID}={pod_uid}")
        with translated():
            rows: list[dict[str, Any]] = self._client.containers(all=True, filters={"label": labels})
        return rows

    def list(self, pod_uid: str = "") -> list[Container]:
        """One request, and one more for each container that is new or has changed its state."""
        rows = self._rows(forms.CONTAINER, pod_uid)
        with self._lock:
            if not pod_uid:
                self._seen = {row["Id"]: self._seen[row["Id"]] for row in rows if row["Id"] in self._seen}
            cached = dict(self._seen)
        containers = [container for row in rows if (container := self._current(row, cached.get(row["Id"]))) is not None]
        sandboxes = (
            self._running_sandboxes()
            if any(forms.IN_SANDBOX in row["HostConfig"]["NetworkMode"] for row in rows)
            else {}
        )
        addresses = {
            forms.pod_of(row["Labels"]).uid: forms.address_of(row.get("NetworkSettings") or {})
            for row in sandboxes.values()
        }
        lost = forms.lost_sandboxes(rows, sandboxes, self._boot_id)
        return [
            msgspec.structs.replace(
                container,
                ip=container.ip or addresses.get(container.pod.uid, ""),
                sandbox_lost=lost[container.id],
            )
            for container in containers
        ]

    def _current(self, row: dict[str, Any], cached: Container | None) -> Container | None:
        phase = forms.PHASES.get(row["State"], "exited")
        if cached is not None and (cached.phase == phase or cached.phase == "exited"):
            return cached  # the engine's list may lag behind an end that was inspected
        try:
            return self._look(row["Id"])
        except ContainerError:
            return None  # removed meanwhile

    def _running_sandboxes(self) -> dict[str, dict[str, Any]]:
        """The sandboxes that run, by their ids."""
        return {row["Id"]: row for row in self._rows(forms.SANDBOX) if row["State"] == "running"}

    # --- beginning --------------------------------------------------------------------------------------------------

    def create(self, spec: ContainerSpec) -> Container:
        """Make it under its unique name. What its `subpath`s found is kept for it until it is started or removed."""
        check_container(spec)
        key = f"{spec.pod.uid}.{spec.name}" if any(mount.subpath for mount in spec.mounts) else ""
        if spec.apparmor and (refusal := forms.apparmor_refusal(spec, self._info())):
            raise ContainerConfigError(refusal)
        spec = msgspec.structs.replace(spec, resolver=host_files.resolver(spec.resolver))
        profile = host_files.seccomp_profile(self._profiles, spec.seccomp)
        mounted = self._subpaths.mounted(key, spec)
        config = forms.container_config(self._owner, mounted, self._log_limits, self._boot_id, profile)
        try:
            container = self._look(
                self._create_or_find(forms.engine_name(spec.pod, spec.name, spec.restart_count), config)
            )
        except BaseException:
            self._subpaths.release(key)
            raise
        self._subpath_keys[container.id] = key
        return container

    def _info(self) -> dict[str, Any]:
        with translated():
            return dict(self._client.info())

    def _release_subpaths(self, container_id: str) -> None:
        if key := self._subpath_keys.pop(container_id, ""):
            self._subpaths.release(key)

    def _create_or_find(self, name: str, config: dict[str, Any]) -> str:
        with translated():
            try:
                return str(self._client.create_container_from_config(config, name)["Id"])
            except docker.errors.APIError as error:
                if error.status_code != 409:
                    raise
            inspection = self._client.inspect_container(name)
            if (inspection["Config"].get("Labels") or {}).get(forms.OWNER) != self._owner:
                raise ContainerError(f"the engine has a container {name} of another owner")
            if forms.parse_inspection(inspection).phase == "exited":
                raise ContainerError(f"the engine has a container {name} that has ended")
            return str(inspection["Id"])

    def start(self, container_id: str) -> Container:
        """Run it."""
        try:
            with translated():
                self._client.start(container_id)
        except ContainerError:
            with suppress(ContainerError):  # it is not there at all
                self._look(container_id)
            raise
        finally:
            self._release_subpaths(container_id)
        return self._look(container_id)

    # --- ending -----------------------------------------------------------------------------------------------------

    def stop(self, container_id: str) -> None:
        """Send the image's stop signal."""
        with self._unless_gone():
            config = self._client.inspect_container(container_id)["Config"]
            self._client.kill(container_id, config.get("StopSignal") or "SIGTERM")

    def kill(self, container_id: str) -> None:
        """Send SIGKILL."""
        with self._unless_gone():
            self._client.kill(container_id)

    def remove(self, container_id: str) -> None:
        """Remove it with its anonymous volumes."""
        with self._unless_gone():
            self._client.remove_container(container_id, v=True, force=True)
        self._release_subpaths(container_id)
        with self._lock:
            self._seen.pop(container_id, None)

    @contextmanager
    def _unless_gone(self) -> Iterator[None]:
        """404: it is not there; 409: it does not run, or is being removed. Both are what was wanted."""
        with translated():
            try:
                yield
            except docker.errors.APIError as error:
                if error.status_code not in (404, 409):
                    raise

    # --- what is inside ---------------------------------------------------------------------------------------------

    def logs(
        self,
        container_id: str,
        tail: int | None = None,
        since: float | None = None,
        follow: bool = False,
        *,
        timestamps: bool = False,
    ) -> InterruptibleLogStream:
        """Standard output and error, in the order of the engine."""
        params = forms.log_options(tail, since, follow, timestamps)
        with translated():
            tty = bool(self._client.inspect_container(container_id)["Config"].get("Tty"))
            answer = open_answer(self._client, f"/containers/{container_id}/logs", params=params, timeout=None)
        return InterruptibleLogStream(_closing(answer, tty=tty), lambda: hang_up(answer))

    def usage(self, container_ids: Sequence[str]) -> dict[str, ContainerUsage]:
        """One request for each; the engine is not asked to measure twice, which takes it a second."""
        found = {id: docker_streams.usage_of(self._client, id) for id in container_ids}
        return {id: usage for id, usage in found.items() if usage is not None}

    def exec(self, container_id: str, command: tuple[str, ...], *, stdin: bool, tty: bool = False) -> ExecStream:
        """Run `command` inside, behind a socket of the engine."""
        with translated():
            return docker_streams.exec_stream(self._client, container_id, command, stdin=stdin, tty=tty)

    def attach(self, container_id: str, *, stdin: bool) -> ExecStream:
        """Join the container's own input and output, behind a socket of the engine."""
        with translated():
            return docker_streams.attach_stream(self._client, container_id, stdin=stdin)

    def dial(self, pod_uid: str, port: int) -> socket.socket:
        """In the network of the pod where it is of this machine, else to its address."""
        rows = self._rows(forms.SANDBOX, pod_uid) or self._rows(forms.CONTAINER, pod_uid)
        with translated():
            return docker_streams.connect(self._client, rows, port)

    def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> ExecResult:
        """Run `command` inside. When its time is over it is left to itself: the engine can not end it."""
        deadline = time.monotonic() + timeout
        with translated():
            exec_id = self._client.exec_create(container_id, list(command))["Id"]
            output = bytearray()
            try:
                self._collect(exec_id, output, deadline)
            except (urllib3.exceptions.ReadTimeoutError, requests.exceptions.ReadTimeout, TimeoutError):
                return ExecResult(exit_code=None, output=bytes(output))
            return ExecResult(exit_code=self._client.exec_inspect(exec_id)["ExitCode"], output=bytes(output))

    def _collect(self, exec_id: str, output: bytearray, deadline: float) -> None:
        remaining = max(deadline - time.monotonic(), 0.001)
        order = {"Detach": False, "Tty": False}
        with open_answer(self._client, f"/exec/{exec_id}/start", "post", json=order, timeout=remaining) as answer:
            for data in forms.demultiplex_log(answer.raw):
                output += data[: OUTPUT_LIMIT - len(output)]
                if time.monotonic() > deadline:
                    raise TimeoutError

    # --- pods and images --------------------------------------------------------------------------------------------

    def run_pod_sandbox(self, network: PodNetwork) -> str:
        """Start the pause container of the pod, unless it runs. One at a time: containers of a pod start side by side."""
        check_pod_name(network.pod)
        network = msgspec.structs.replace(network, resolver=host_files.resolver(network.resolver))
        name = forms.engine_name(network.pod, forms.SANDBOX_NAME)
        with self._opening, translated():
            image = self._pause_image or self._own_pause_image()
            try:
                inspection = self._client.inspect_container(name)
            except docker.errors.NotFound:
                inspection = None
            if inspection is not None and not inspection["State"]["Running"]:
                self._client.remove_container(name, force=True)
                inspection = None
            if inspection is None:
                self._client.start(self._create_or_find(name, forms.sandbox_config(self._owner, network, image)))
                inspection = self._client.inspect_container(name)
        return forms.address_of(inspection["NetworkSettings"])

    def _own_pause_image(self) -> str:
        if not self.image_id(PAUSE_IMAGE):
            name, _, tag = PAUSE_IMAGE.partition(":")
            with translated():
                self._client.import_image_from_data(
                    pause.image_layer(os.uname().machine),
                    repository=name,
                    tag=tag,
                    changes=[f'ENTRYPOINT ["{pause.PROGRAM}"]'],
                )
        return PAUSE_IMAGE

    def remove_pod_sandbox(self, pod_uid: str) -> None:
        """Remove the pod's pause container."""
        for row in self._rows(forms.SANDBOX, pod_uid):
            self.remove(row["Id"])

    def pod_sandboxes(self) -> set[str]:
        """Pods with a pause container, running or not."""
        return {forms.pod_of(row["Labels"]).uid for row in self._rows(forms.SANDBOX)}

    def image_id(self, image: str) -> str:
        """The engine's id of the image."""
        with translated():
            try:
                return str(self._client.inspect_image(image)["Id"])
            except docker.errors.NotFound:
                return ""

    def disk_usage(self, pod_uid: str) -> dict[str, int]:
        """What they have changed of their images; their logs are bounded by the engine."""
        labels = [f"{forms.OWNER}={self._owner}", f"{forms.KIND}={forms.CONTAINER}", f"{forms.POD_UID}={pod_uid}"]
        with translated():
            rows = self._client.containers(size=True, filters={"label": labels})
        return {row["Labels"].get(forms.NAME, ""): int(row.get("SizeRw") or 0) for row in rows}

    def image_user(self, image: str) -> str:
        """As its configuration says. Error: ContainerError when it is not present."""
        with translated():
            return str((self._client.inspect_image(image).get("Config") or {}).get("User") or "")

    def pull(self, image: str, credentials: RegistryAuth | None = None) -> None:
        """Pull from the image's registry. Error: ContainerError."""
        auth = None if credentials is None else {"username": credentials.username, "password": credentials.password}
        repository, tag = forms.split_image(image)
        with translated():
            for line in self._client.pull(repository, tag=tag, auth_config=auth, stream=True, decode=True):
                if "error" in line:
                    raise ContainerError(str(line["error"]))

    def close(self) -> None:
        """Stop watching; containers go on."""
        self._events.close()
        self._client.close()


def _closing(answer: Any, *, tty: bool) -> Generator[bytes, None, None]:
    """What a log says, which is closed whenever the reader stops. That of a terminal has no frames."""
    with answer:
        try:
            yield from answer.raw.stream(PIECE) if tty else forms.demultiplex_log(answer.raw)
        except BROKEN as error:
            raise RuntimeUnavailable(f"the Docker engine does not answer: {forms.root_cause(error)}") from error
