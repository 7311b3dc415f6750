"""Runtime manager: performs the actions of pods in worker threads (source: kubelet kuberuntime); the only place where
Edged waits for an engine, a file or a socket.

A job takes a snapshot of what it needs, and ends with one `ActionResult`.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import msgspec

from kubeedge_actors.actors.edged.fields.checks import container_refusal, runtime_kind
from kubeedge_actors.actors.edged.pod import probe_state
from kubeedge_actors.actors.edged.pod.pod_spec import ContainerView, Json, PodView
from kubeedge_actors.actors.edged.pod.pod_sync import Action
from kubeedge_actors.actors.edged.runtime import image_pull
from kubeedge_actors.actors.edged.runtime.container_spec import (
    NodeContext,
    container_spec,
    environment,
    for_pod,
    in_running_pod,
    network_mode,
    pod_network,
)
from kubeedge_actors.actors.edged.runtime.pod_config_references import ConfigError, Objects
from kubeedge_actors.actors.edged.runtime.pod_volumes import fs_group, keeps_matching_groups, pod_volumes
from kubeedge_actors.actors.edged.runtime.termination_messages import termination_mount
from kubeedge_actors.drivers.containers.base import Container, ContainerRuntime
from kubeedge_actors.drivers.machine.base import HealthProbe, PodVolumes, Prober
from kubeedge_actors.errors import ContainerConfigError, ContainerError, RuntimeUnavailable

log = logging.getLogger(__name__)

CONFIG_ERROR, CREATE_ERROR = "CreateContainerConfigError", "CreateContainerError"
PULL_ERROR, NEVER_PULL_ERROR = "ErrImagePull", "ErrImageNeverPull"
CREATING = "ContainerCreating"
HOOK_SECONDS = 30.0


class ActionInput(msgspec.Struct, frozen=True):
    """Input of an action: what a worker thread needs of the pod. `runtime`: name and version of what runs containers."""

    pod: PodView
    objects: Objects
    paths: dict[str, str]
    containers: tuple[Container, ...]
    node: NodeContext
    runtime: str = ""


class ActionResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of an action.

    `reason` and `message`: why it failed, as a container's waiting state says it. `needs_pull`: not started; resubmit
    to the slow pool, which may pull. `pulled`: the registry was contacted. `source_missing`: something that the pod
    refers to is not there. `succeeded`: what a probe found. `unavailable`: no engine answers. `sandbox_started`: the
    pod has a network now. `settles_after`: seconds for which a postStart hook sleeps: it is to count after them.
    """

    uid: str
    operation: Action
    incarnation: str = ""
    reason: str = ""
    message: str = ""
    needs_pull: bool = False
    source_missing: bool = False
    succeeded: bool = True
    unavailable: bool = False
    sandbox_started: bool = False
    pulled: bool = False
    settles_after: float = 0.0
    paths: dict[str, str] = {}


class ActionError(Exception):
    """An action failed in a way that the pod's status shows."""

    def __init__(self, reason: str, message: object, *, source_missing: bool = False) -> None:
        super().__init__(str(message))
        self.reason, self.source_missing = reason, source_missing


class RuntimeManager:
    """Performs actions with the drivers, in worker threads."""

    def __init__(self, runtime: ContainerRuntime, folders: PodVolumes, prober: Prober) -> None:
        self._runtime, self._folders, self._prober = runtime, folders, prober

    def execute(self, action: Action, action_input: ActionInput, *, pull: bool = False) -> ActionResult:
        """Perform an action; errors of drivers become part of the result. `pull`: an image may be fetched."""
        result = ActionResult(uid=action_input.pod.name.uid, operation=action)
        try:
            if action.verb == "start":
                return self._start_container(action, action_input, result, pull)
            if action.verb == "mount":
                return msgspec.structs.replace(result, paths=self._mount(action_input))
            if action.verb == "probe":
                return self._probe(action, action_input, result)
            self._simple(action, action_input)
        except ActionError as error:
            return msgspec.structs.replace(
                result, reason=error.reason, message=str(error), source_missing=error.source_missing, succeeded=False
            )
        except RuntimeUnavailable as error:
            return msgspec.structs.replace(result, unavailable=True, message=str(error), succeeded=False)
        except ContainerError as error:
            reason = CONFIG_ERROR if isinstance(error, ContainerConfigError) else CREATE_ERROR
            return msgspec.structs.replace(result, reason=reason, message=str(error), succeeded=False)
        except Exception as error:  # a defect: the pod shows it and the action is tried again, not awaited for ever
            log.exception("%s of pod %s failed", action.verb, action_input.pod.name.name)
            text = f"a defect: {type(error).__name__}: {error}"
            return msgspec.structs.replace(result, reason=CREATE_ERROR, message=text, succeeded=False)
        return result

    def _simple(self, action: Action, action_input: ActionInput) -> None:
        container_id, uid = action.container_id, action_input.pod.name.uid
        actions: dict[str, Callable[[], None]] = {
            "stop": lambda: self._stop(action, action_input),
            "kill": lambda: self._runtime.kill(container_id),
            "remove": lambda: self._runtime.remove(container_id),
            "stop_sandbox": lambda: self._runtime.remove_pod_sandbox(uid),
            "cleanup": lambda: self._folders.remove(uid),
        }
        actions[action.verb]()

    # --- beginning --------------------------------------------------------------------------------------------------

    def _mount(self, action_input: ActionInput) -> dict[str, str]:
        """Make the pod's volumes; their paths by name."""
        uid, paths, group = action_input.pod.name.uid, {}, fs_group(action_input.pod)
        try:
            for volume in pod_volumes(action_input.pod, action_input.objects, action_input.node):
                if volume.kind == "path":
                    paths[volume.name] = self._folders.prepare_host_path(volume.path, volume.type)
                    if group is not None and volume.of_group:
                        kept = keeps_matching_groups(action_input.pod)
                        self._folders.give_to_group(volume.path, group, keep_matching=kept)
                elif volume.kind == "files":
                    paths[volume.name] = self._folders.write(uid, volume.name, volume.files, group)
                else:
                    paths[volume.name] = self._folders.make_volume(uid, volume.name, group, volume.memory)
        except (ConfigError, ContainerError) as error:
            raise ActionError(CREATING, error, source_missing=isinstance(error, ConfigError)) from error
        return paths

    def _start_container(
        self, action: Action, action_input: ActionInput, result: ActionResult, pull: bool
    ) -> ActionResult:
        view = action_input.pod.container(action.name)
        if view is None:
            return result  # the pod has changed meanwhile
        self._check_supported(view, action_input)
        if not self._ensure_image(view, action_input, pull):
            return msgspec.structs.replace(result, needs_pull=True)
        shared, address = network_mode(action_input.pod) == "pod", ""
        if shared:
            address = self._runtime.run_pod_sandbox(pod_network(action_input.pod))
        try:
            engine = runtime_kind(action_input.runtime) != "process"
            context = for_pod(action_input.node, action_input.pod, address, own_network=engine)
            env = environment(action_input.pod, view, action_input.objects, context)
            user = functools.partial(self._runtime.image_user, view.image)
            spec = container_spec(action_input.pod, view, action.restart_count, env, action_input.paths, user)
            spec = in_running_pod(spec, view, action_input.containers)
            last_words = termination_mount(self._folders, action_input.pod.name.uid, view, action.restart_count)
            spec = msgspec.structs.replace(spec, mounts=spec.mounts + last_words)
        except ConfigError as error:
            raise ActionError(CONFIG_ERROR, error, source_missing=True) from error
        container, message = self._runtime.create(spec), ""
        try:
            container = self._runtime.start(container.id)
        except ContainerError as error:
            message = str(error)  # it is listed as ended, with this text
        else:
            result = self._after_start(view, container, action_input, result)
        return msgspec.structs.replace(result, sandbox_started=shared, pulled=pull, message=message)

    def _check_supported(self, view: ContainerView, action_input: ActionInput) -> None:
        if refusal := container_refusal(action_input.pod, view, action_input.runtime):
            raise ActionError(CONFIG_ERROR, refusal)
        actions = [view.probe(kind) for kind in ("startup", "liveness", "readiness")]
        actions += [hook for hook in (view.hook("postStart"), view.hook("preStop")) if "sleep" not in (hook or {})]
        for action in actions:
            if action and (refusal := self._prober.refusal(self._handler(action, view, ""))):
                raise ActionError(CONFIG_ERROR, refusal)

    @staticmethod
    def _handler(action: Json, view: ContainerView, address: str) -> HealthProbe:
        try:
            return probe_state.health_probe(action, probe_state.ports_of(view.raw), address)
        except ValueError as error:
            raise ActionError(CONFIG_ERROR, error) from error

    def _ensure_image(self, view: ContainerView, action_input: ActionInput, pull: bool) -> bool:
        """Have the image; False when it has to be fetched and this is not the place for it."""
        policy = image_pull.pull_policy(view.raw)
        present = policy != image_pull.ALWAYS and bool(self._runtime.image_id(view.image))
        if present:
            return True
        if policy == image_pull.NEVER:
            text = f'Container image "{view.image}" is not present with pull policy of Never'
            raise ActionError(NEVER_PULL_ERROR, text)
        if not pull:
            return False
        try:
            credentials = image_pull.pull_credentials(view.image, action_input.pod, action_input.objects)
            self._runtime.pull(view.image, credentials)
        except ContainerError as error:
            raise ActionError(PULL_ERROR, error) from error
        return True

    def _after_start(
        self, view: ContainerView, container: Container, action_input: ActionInput, result: ActionResult
    ) -> ActionResult:
        hook = view.hook("postStart")
        if hook is None or "sleep" in hook:
            return msgspec.structs.replace(result, settles_after=probe_state.sleep_seconds(hook))
        failure = self._run_probe(
            self._handler(hook, view, container.ip or action_input.node.host_ip), container.id, HOOK_SECONDS
        )
        if failure:
            log.warning("the postStart hook of %s in pod %s failed: %s", view.name, action_input.pod.name.name, failure)
            self._runtime.kill(container.id)
        return result

    # --- while it runs, and ending ----------------------------------------------------------------------------------

    def _run_probe(self, probe: HealthProbe, container_id: str, timeout: float) -> str:
        """Empty when the answer is good, else why not."""
        if not probe.command:
            return self._prober.probe(probe, timeout)
        try:
            result = self._runtime.exec_sync(container_id, probe.command, timeout)
        except ContainerError as error:
            return str(error)
        if result.exit_code is None:
            return f'command "{" ".join(probe.command)}" timed out'
        return "" if result.exit_code == 0 else result.output.decode("utf-8", "replace")[:1024].strip() or "it failed"

    def _probe(self, action: Action, action_input: ActionInput, result: ActionResult) -> ActionResult:
        view = action_input.pod.container(action.name)
        probe = view.probe(action.probe) if view is not None else None
        if view is None or probe is None:
            return result
        ip = next(
            (
                container.ip
                for container in action_input.containers
                if container.id == action.container_id and container.ip
            ),
            "",
        )
        health_probe = self._handler(probe, view, ip or action_input.node.host_ip)
        failure = self._run_probe(health_probe, action.container_id, probe_state.timeout_seconds(probe))
        return msgspec.structs.replace(result, succeeded=not failure, message=failure)

    def _stop(self, action: Action, action_input: ActionInput) -> None:
        """The preStop hook, for as long as there is time, then the stop signal."""
        view = action_input.pod.container(action.name)
        hook = view.hook("preStop") if view is not None else None
        if view is not None and hook is not None and "sleep" not in hook:
            ip = next(
                (
                    container.ip
                    for container in action_input.containers
                    if container.id == action.container_id and container.ip
                ),
                "",
            )
            health_probe = self._handler(hook, view, ip or action_input.node.host_ip)
            failure = self._run_probe(health_probe, action.container_id, action.grace)
            if failure:
                log.warning(
                    "the preStop hook of %s in pod %s failed: %s", view.name, action_input.pod.name.name, failure
                )
        self._runtime.stop(action.container_id)
