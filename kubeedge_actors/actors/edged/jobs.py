"""What is done about pods in worker threads: the only place where Edged waits for an engine, a file or a socket.

A job takes a snapshot of what it needs, and ends with one `Done`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from kubeedge_actors.actors.edged import images, probing
from kubeedge_actors.actors.edged.downward import Surroundings
from kubeedge_actors.actors.edged.environment import environment
from kubeedge_actors.actors.edged.launch import container_spec, network, pod_network
from kubeedge_actors.actors.edged.plan import Operation
from kubeedge_actors.actors.edged.podspec import ContainerView, Json, PodView
from kubeedge_actors.actors.edged.references import Missing, Objects, pull_secrets
from kubeedge_actors.actors.edged.volumes import group_of, volumes
from kubeedge_actors.drivers.containers.base import Container, ContainerRuntime, Folders, Probe, Prober
from kubeedge_actors.errors import ContainerError, RuntimeUnavailable

log = logging.getLogger(__name__)

CONFIG_ERROR, CREATE_ERROR = "CreateContainerConfigError", "CreateContainerError"
PULL_ERROR, NEVER_PULL_ERROR = "ErrImagePull", "ErrImageNeverPull"
CREATING = "ContainerCreating"
HOOK_SECONDS = 30.0


class Snapshot(msgspec.Struct, frozen=True):
    """What a job may know of its pod."""

    pod: PodView
    objects: Objects
    paths: dict[str, str]
    containers: tuple[Container, ...]
    around: Surroundings


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an operation.

    `reason` and `message`: why it failed, as a container's waiting state says it. `pull`: the image has to be fetched
    first, which is for the lane of slow jobs; `pulled`: it was, or was looked for. `missing`: something that the pod refers to is not there. `good`: what a
    probe found. `unavailable`: no engine answers. `opened`: the pod has a network now.
    """

    uid: str
    operation: Operation
    epoch: str = ""
    reason: str = ""
    message: str = ""
    pull: bool = False
    missing: bool = False
    good: bool = True
    unavailable: bool = False
    opened: bool = False
    pulled: bool = False
    paths: dict[str, str] = {}


class Failed(Exception):
    """An operation failed in a way that the pod's status shows."""

    def __init__(self, reason: str, message: object, *, missing: bool = False) -> None:
        super().__init__(str(message))
        self.reason, self.missing = reason, missing


class Jobs:
    """Does operations with the drivers."""

    def __init__(self, runtime: ContainerRuntime, folders: Folders, prober: Prober) -> None:
        self._runtime, self._folders, self._prober = runtime, folders, prober

    def do(self, operation: Operation, shot: Snapshot, *, pull: bool = False) -> Done:
        """Do it; errors of drivers become part of the outcome. `pull`: an image may be fetched."""
        done = Done(uid=shot.pod.name.uid, operation=operation)
        try:
            if operation.verb == "launch":
                return self._launch(operation, shot, done, pull)
            if operation.verb == "prepare":
                return msgspec.structs.replace(done, paths=self._prepare(shot))
            if operation.verb == "probe":
                return self._probe(operation, shot, done)
            self._simple(operation, shot)
        except Failed as error:
            return msgspec.structs.replace(
                done, reason=error.reason, message=str(error), missing=error.missing, good=False
            )
        except RuntimeUnavailable as error:
            return msgspec.structs.replace(done, unavailable=True, message=str(error), good=False)
        except ContainerError as error:
            return msgspec.structs.replace(done, reason=CREATE_ERROR, message=str(error), good=False)
        except Exception as error:  # a defect: the pod shows it and the operation is tried again, not awaited for ever
            log.exception("%s of pod %s failed", operation.verb, shot.pod.name.name)
            text = f"a defect: {type(error).__name__}: {error}"
            return msgspec.structs.replace(done, reason=CREATE_ERROR, message=text, good=False)
        return done

    def _simple(self, operation: Operation, shot: Snapshot) -> None:
        one, uid = operation.container_id, shot.pod.name.uid
        actions: dict[str, Callable[[], None]] = {
            "stop": lambda: self._stop(operation, shot),
            "kill": lambda: self._runtime.kill(one),
            "discard": lambda: self._runtime.remove(one),
            "release": lambda: self._runtime.close_pod(uid),
            "forget": lambda: self._folders.remove(uid),
        }
        actions[operation.verb]()

    # --- beginning --------------------------------------------------------------------------------------------------

    def _prepare(self, shot: Snapshot) -> dict[str, str]:
        """Make the pod's volumes; their paths by name."""
        uid, paths = shot.pod.name.uid, {}
        try:
            for volume in volumes(shot.pod, shot.objects, shot.around):
                if volume.kind == "path":
                    paths[volume.name] = self._folders.host_path(volume.path, volume.type)
                elif volume.kind == "files":
                    paths[volume.name] = self._folders.write(uid, volume.name, volume.files, group_of(shot.pod))
                else:
                    paths[volume.name] = self._folders.volume(uid, volume.name)
        except (Missing, ContainerError) as error:
            raise Failed(CREATING, error, missing=isinstance(error, Missing)) from error
        return paths

    def _launch(self, operation: Operation, shot: Snapshot, done: Done, pull: bool) -> Done:
        view = shot.pod.container(operation.name)
        if view is None:
            return done  # the pod has changed meanwhile
        self._check_supported(view)
        if not self._image(view, shot, pull):
            return msgspec.structs.replace(done, pull=True)
        shared, address = network(shot.pod) == "pod", ""
        if shared:
            address = self._runtime.open_pod(pod_network(shot.pod))
        try:
            around = msgspec.structs.replace(shot.around, pod_ip=address or shot.around.host_ip)
            env = environment(shot.pod, view, shot.objects, around)
            spec = container_spec(shot.pod, view, operation.restart_count, env, shot.paths, self._folders.within)
        except (Missing, ContainerError) as error:
            raise Failed(CONFIG_ERROR, error, missing=isinstance(error, Missing)) from error
        one, why = self._runtime.create(spec), ""
        try:
            one = self._runtime.start(one.id)
        except ContainerError as error:
            why = str(error)  # it is listed as ended, with this text
        else:
            self._after_start(view, one, shot)
        return msgspec.structs.replace(done, opened=shared, pulled=pull, message=why)

    def _check_supported(self, view: ContainerView) -> None:
        actions = [view.probe(kind) for kind in ("startup", "liveness", "readiness")]
        actions += [view.hook("postStart"), view.hook("preStop")]
        for action in actions:
            if action:
                self._described(action, view, "")

    @staticmethod
    def _described(action: Json, view: ContainerView, address: str) -> Probe:
        try:
            return probing.described(action, probing.ports_of(view.raw), address)
        except ValueError as error:
            raise Failed(CONFIG_ERROR, error) from error

    def _image(self, view: ContainerView, shot: Snapshot, pull: bool) -> bool:
        """Have the image; False when it has to be fetched and this is not the place for it."""
        policy = images.policy(view.raw)
        present = policy != images.ALWAYS and bool(self._runtime.image_id(view.image))
        if present:
            return True
        if policy == images.NEVER:
            text = f'Container image "{view.image}" is not present with pull policy of Never'
            raise Failed(NEVER_PULL_ERROR, text)
        if not pull:
            return False
        secrets = [shot.objects[each] for each in pull_secrets(shot.pod) if each in shot.objects]
        try:
            self._runtime.pull(view.image, images.credentials(view.image, secrets))
        except ContainerError as error:
            raise Failed(PULL_ERROR, error) from error
        return True

    def _after_start(self, view: ContainerView, one: Container, shot: Snapshot) -> None:
        hook = view.hook("postStart")
        if hook is None:
            return
        why = self._ask(self._described(hook, view, one.ip or shot.around.host_ip), one.id, HOOK_SECONDS)
        if why:
            log.warning("the postStart hook of %s in pod %s failed: %s", view.name, shot.pod.name.name, why)
            self._runtime.kill(one.id)

    # --- while it runs, and ending ----------------------------------------------------------------------------------

    def _ask(self, probe: Probe, container_id: str, timeout: float) -> str:
        """Empty when the answer is good, else why not."""
        if not probe.command:
            return self._prober.ask(probe, timeout)
        try:
            result = self._runtime.execute(container_id, probe.command, timeout)
        except ContainerError as error:
            return str(error)
        if result.exit_code is None:
            return f'command "{" ".join(probe.command)}" timed out'
        return "" if result.exit_code == 0 else result.output.decode("utf-8", "replace")[:1024].strip() or "it failed"

    def _probe(self, operation: Operation, shot: Snapshot, done: Done) -> Done:
        view = shot.pod.container(operation.name)
        probe = view.probe(operation.probe) if view is not None else None
        if view is None or probe is None:
            return done
        ip = next((one.ip for one in shot.containers if one.id == operation.container_id and one.ip), "")
        asked = self._described(probe, view, ip or shot.around.host_ip)
        why = self._ask(asked, operation.container_id, probing.timeout(probe))
        return msgspec.structs.replace(done, good=not why, message=why)

    def _stop(self, operation: Operation, shot: Snapshot) -> None:
        """The preStop hook, for as long as there is time, then the stop signal."""
        view = shot.pod.container(operation.name)
        hook = view.hook("preStop") if view is not None else None
        if view is not None and hook is not None:
            ip = next((one.ip for one in shot.containers if one.id == operation.container_id and one.ip), "")
            asked = self._described(hook, view, ip or shot.around.host_ip)
            why = self._ask(asked, operation.container_id, operation.grace)
            if why:
                log.warning("the preStop hook of %s in pod %s failed: %s", view.name, shot.pod.name.name, why)
        self._runtime.stop(operation.container_id)
