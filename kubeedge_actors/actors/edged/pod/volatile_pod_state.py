"""Volatile runtime state of one pod: back-offs, probes, kill deadlines. Lost in a crash: all of it can be found out
anew.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from kubeedge_actors.actors.edged.pod.pod_spec import PodView
from kubeedge_actors.actors.edged.pod.probe_state import ProbeKind, ProbeState
from kubeedge_actors.drivers.containers.base import Container


class VolatilePodState(msgspec.Struct):
    """Volatile state of one pod; times are seconds since the epoch.

    `is_deleted`: the object is gone, nothing may be left of it. `mounted`: volumes are written. `kill_deadlines`: container id ->
    when it will be killed. `stop_dues`: container id -> when the sleep of its preStop hook is over. `is_rejected`: this node did not admit it. `to_restart`: container id -> why it has to be restarted. `is_cleaned_up`: nothing is left of it.
    `action_failures`: key of an action that failed -> when to try again. `restart_counts`: container name -> the restart count that was
    told last of one that has run.
    """

    started: float
    is_deleted: bool = False
    is_cleaned_up: bool = False
    is_rejected: bool = False
    phase: str = ""
    reason: str = ""
    message: str = ""
    mounted: bool = False
    mount_failure: RetryState | None = None
    backoffs: dict[str, CrashLoopBackoff] = {}
    failures: dict[str, RetryState] = {}
    kill_deadlines: dict[str, float] = {}
    stop_dues: dict[str, float] = {}
    to_restart: dict[str, str] = {}
    probes: dict[tuple[str, ProbeKind], ProbeState] = {}
    has_sandbox: bool = False
    restart_counts: dict[str, int] = {}
    action_failures: dict[str, RetryState] = {}

    def on_rejected(self, reason: str, message: str) -> None:
        """The node does not admit the pod: it has failed."""
        self.is_rejected, self.phase, self.reason, self.message = True, "Failed", reason, message

    def on_start_failed(self, name: str, reason: str, message: str, now: float, pace: tuple[float, float]) -> None:
        """Container `name` could not be started; `pace`: the first and the longest wait before the next try."""
        before = self.failures.get(name)
        count = before.count + 1 if before is not None and before.reason == reason else 1
        self.failures[name] = RetryState(reason, message, now, count, *pace)

    def on_mount_failed(self, reason: str, message: str, now: float) -> None:
        """Mounting failed: something that the pod refers to is missing."""
        before = self.mount_failure
        self.mounted = False
        self.mount_failure = RetryState(reason, message, now, 1 if before is None else before.count + 1)

    def on_action_ended(self, key: str, failure: str, now: float) -> None:
        """An action has ended: no `failure`, or why it is to be tried again later and later."""
        before, of_same = self.action_failures.get(key), f":{key.rpartition(':')[2]}"
        if failure:
            self.action_failures[key] = RetryState("", failure, now, 1 if before is None else before.count + 1)
        else:
            kept = {other: state for other, state in self.action_failures.items() if not other.endswith(of_same)}
            self.action_failures = kept

    def forget_container(self, container_id: str) -> None:
        """It is gone."""
        self.kill_deadlines.pop(container_id, None)
        self.stop_dues.pop(container_id, None)
        self.to_restart.pop(container_id, None)
        self.probes = {key: value for key, value in self.probes.items() if key[0] != container_id}

    def restart_now(self, container_ids: Iterable[str]) -> None:
        """These containers are to be stopped; what waits for its next try does not wait any longer."""
        self.to_restart |= dict.fromkeys(container_ids, "an operator restarts it")
        self.backoffs, self.failures = {}, {}

    def has_started(self, pod: PodView, name: str, container_id: str) -> bool:
        """Whether the container is past its startup probe."""
        view = pod.container(name)
        if view is None or view.probe("startup") is None:
            return True
        probing = self.probes.get((container_id, "startup"))
        return probing is not None and probing.passed is True

    def is_ready(self, pod: PodView, name: str, container_id: str) -> bool:
        """Whether a running container is ready: past its startup probe, its readiness probe, if any, has passed, and it
        is not about to be restarted. An ephemeral one never is: nobody waits for it.
        """
        view = pod.container(name)
        if (
            view is None
            or view.kind == "ephemeral"
            or container_id in self.to_restart
            or not self.has_started(pod, name, container_id)
        ):
            return False
        if view.probe("readiness") is None:
            return True
        probing = self.probes.get((container_id, "readiness"))
        return probing is not None and probing.passed is True


# --- restart policies and crash-loop back-off -------------------------------------------------------------------------
#
# Source: kubelet doBackOff, flowcontrol.Backoff.


BACKOFF_INITIAL, BACKOFF_MAX = 10.0, 300.0
RESET_AFTER = 2 * BACKOFF_MAX
"""Seconds between a restart and the next end after which the back-off begins anew."""
RETRY_INITIAL, RETRY_MAX = 1.0, 60.0


class CrashLoopBackoff(msgspec.Struct, frozen=True):
    """CrashLoopBackOff of one container: 0 s, then 10 s doubled up to 300 s."""

    delay: float = 0.0
    updated: float = 0.0

    def due(self, ended: float) -> float:
        """When it may be restarted."""
        return ended if ended - self.updated > RESET_AFTER else ended + self.delay

    def after_restart(self, ended: float, now: float) -> CrashLoopBackoff:
        """The next back-off, after a restart at `now` of a container that ended at `ended`."""
        fresh = not self.delay or ended - self.updated > RESET_AFTER
        return CrashLoopBackoff(BACKOFF_INITIAL if fresh else min(self.delay * 2, BACKOFF_MAX), now)


class RetryState(msgspec.Struct, frozen=True):
    """Retry state of a failed start or mount. `count` failures in a row, the last one at `at`."""

    reason: str
    message: str
    at: float
    count: int = 1
    initial: float = RETRY_INITIAL
    maximum: float = RETRY_MAX

    @property
    def due(self) -> float:
        """When to retry."""
        return self.at + min(self.initial * 2.0 ** min(self.count - 1, 20), self.maximum)


def should_restart(policy: str, ended: Container) -> bool:
    """Whether a container of this restart policy runs again after such an end."""
    return policy == "Always" or (policy == "OnFailure" and ended.exit_code != 0)
