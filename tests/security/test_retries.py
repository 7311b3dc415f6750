"""F9: every retry of the product has a pace. Each place that tries again is in the table below; a new one fails here until
it is, with what makes it wait.

A place that tries again is a loop that goes on after an error, or a message to oneself that comes later. That a turn sends
itself a message *without* a wait is no retry but the next step of the same work; the actions of pods, which come back by the
results of actions, are measured by the clock.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import kubeedge_actors
from kubeedge_actors.drivers.containers.fake import FakeRuntime
from kubeedge_actors.drivers.machine.volumes import LocalPodVolumes
from kubeedge_actors.errors import ContainerError, RuntimeUnavailable
from tests.support.env.edged import EdgedEnv, pod

PACKAGE = Path(kubeedge_actors.__file__).parent
LOOPS = {
    "actors/cloudhub/frame_writer.py:send": "no retry: each message is taken from the list once",
    "actors/edgestream/portforward.py:_write": "no retry: waits for what comes next",
    "actors/edged/runtime/worker_pool.py:_work": "no retry: the next job",
    "assembly/followed_log.py:pieces": "backoff_delay: doubled up to RETRY_MAX, with jitter; then NEXT_SECONDS until the node is back",
    "assembly/prerequisites.py:_patiently": "LOOK_EVERY, for at most ANSWER_WITHIN, then SETTLING_SECONDS",
    "control/server.py:_accept": "AGAIN",
    "drivers/broker/admission.py:accepted": "ACCEPT_AGAIN",
    "drivers/broker/external.py:_run": "0.25 s doubled up to 5 s, with jitter",
    "drivers/broker/persistence.py:_run": "AGAIN",
    "drivers/cluster/informer.py:_run": "backoff_delay: doubled up to its maximum, with jitter",
    "drivers/containers/docker_events.py:_follow": "0.5, 1, 2, 5 s in _reconnect",
    "drivers/containers/shim/container_input.py:write": "no retry: waits until the pipe takes more",
    "drivers/containers/docker_events.py:_listen": "QUIET_SECONDS of silence, then asked anew",
    "drivers/containers/shim/program.py:_end_descendants": "RECHECK_MILLISECONDS, and when a child ends",
    "drivers/store/dead_letters.py:_batch": "no retry: takes what waits",
    "supervisors/cell/incarnation.py:_snapshot_of_pending_replies": "no retry: copies again what was changed meanwhile",
    "supervisors/cell/runner.py:_run_system_messages": "no retry: the next message",
    "supervisors/engines/process/launcher.py:_accept_loop": "ACCEPT_AGAIN",
    "supervisors/engines/process/proxy.py:receive_batch": "no retry: the next message",
    "supervisors/engines/process/worker.py:run": "waits for the next message of the parent; ends with it",
    "supervisors/engines/timers.py:_run": "waits for the next timer",
}
"""Loops that go on after an error."""
DELAYED = {
    "actors/cloudhub/credential_rotation.py": "3600 s, 60 s after a failure",
    "actors/cloudhub/hub.py": "CHECK_SECONDS; the delay of acknowledgements",
    "actors/cloudhub/node_outbox.py": "CHECK_SECONDS; TURN_SECONDS between turns of 20 messages",
    "actors/cloudhub/revocation_watch.py": "CHECK_SECONDS",
    "actors/cloudmodules/object_watcher.py": "RETRY_SECONDS",
    "actors/cloudstream/cloud_stream.py": "RETRY_SECONDS, a bounded number of tries",
    "actors/cloudstream/iptables_manager.py": "SYNC_SECONDS",
    "actors/devicecontroller/controller.py": "CHECK_SECONDS; 0.5 s doubled up to 30 s, to AWAY_BACKOFF_MAX while the API is away",
    "actors/devicetwin/device_twin.py": "PRUNE_SECONDS",
    "actors/dmi/dmi.py": "0.5 s doubled up to 30 s",
    "control/metrics_history.py": "no retry: the next measurement, every STEP seconds",
    "actors/edgecontroller/cloudcore_annotation.py": "RETRY_SECONDS, MAX_TRIES",
    "actors/edgecontroller/upstream_worker.py": "0.5 s doubled up to 5 s, with jitter",
    "actors/edged/edged.py": "RELIST_RETRY_SECONDS; HOUSEKEEPING_SECONDS; what NodeStatusManager says, at least 0.01 s",
    "actors/edged/pod/pod_worker.py": "what compute_actions says: RetryState and CrashLoopBackoff; measured below",
    "actors/edgehub/hub.py": "ReconnectBackoff; the heart-beat; the delay of a clean-up",
    "actors/edgestream/edge_stream.py": "doubled up to RETRY_MAX",
    "actors/eventbus.py": "CHECK_SECONDS",
    "actors/taskmanager/edge_task_manager.py": "RETRY_SECONDS, as often as the job says; SECRET_WAITS times for a Secret",
    "actors/taskmanager/task_worker.py": "no retry: the second sample of the processor time",
    "actors/leadership/leader_elector.py": "RETRY_PERIOD",
    "actors/metamanager/manager.py": "no retry: the deadline of a query",
    "actors/metamanager/metaserver/meta_server.py": "no retry: the deadline of a call",
    "actors/nodelifecycle/controller.py": "MONITOR_PERIOD",
    "actors/router/router.py": "WRITE_SECONDS; 0.5 s doubled up to BACKOFF_LONGEST; the deadline of a call",
    "actors/scheduler/scheduler.py": "1 s doubled up to 30 s",
    "actors/servicebus.py": "RETRY_SECONDS; the deadline of an answer",
    "actors/synccontroller/controller.py": "RESYNC_PERIOD, GC_PERIOD, WRITE_RETRY_SECONDS",
    "actors/taskmanager/task_manager.py": "WRITE_SECONDS; CHECK_SECONDS",
    "actors/workloads/controller.py": "GC_PERIOD",
    "apiserver/uvicorn_protocol.py": "no retry: the deadlines of a head and a body",
    "apiserver/handlers/watch.py": "no retry: the deadline of a wait",
    "controller.py": "`back_off`, with jitter; CONFLICT_RETRY; API_BACKOFF_LONGEST, and what a controller says: 30 s for an EdgeApplication, 1 s for a NodeGroup",
    "dashboard/app.py": "no retry: the end of the program",
    "dashboard/background_client.py": "no retry: the next turn of the screen",
    "drivers/bootstrap/server.py": "no retry: a deadline",
    "drivers/broker/connections.py": "no retry: the keep-alive of a client",
    "drivers/kubelet/connection.py": "no retry: deadlines",
    "drivers/link/server_connection.py": "RETRY: looks whether the reader has caught up; deadlines",
    "module.py": "no retry: the methods themselves",
    "osutil/acceptor.py": "RETRY_SECONDS; no retry: the deadlines of a wait and a handshake",
    "osutil/connection_relay.py": "RETRY_SECONDS: looks whether the reader has caught up",
    "osutil/unread_close.py": "no retry: the end of a connection",
    "supervisors/cell/cell.py": "no retry: the method itself; the wait of a restart comes from the strategy",
    "supervisors/cell/drop_report.py": "INTERVAL",
    "supervisors/cell/hung_turns.py": "AGAIN at least",
    "supervisors/cell/incarnation.py": "no retry: the method itself",
    "supervisors/engines/process/context_server.py": "no retry: the methods themselves, for another process",
    "supervisors/future.py": "no retry: a deadline",
    "supervisors/supervisor.py": "the back-off of the restart strategy; a deadline",
    "supervisors/timer.py": "no retry: the timers themselves",
    "testing/faults.py": "no retry: delays that a test asks for",
}
"""Files with messages to oneself that come later."""
LATER = {"after", "every", "call_later"}


def _goes_on(handler: ast.ExceptHandler) -> bool:
    return not isinstance(handler.body[-1], (ast.Raise, ast.Return, ast.Break))


def _survives(node: ast.AST) -> bool:
    if isinstance(node, ast.Try):
        return any(map(_goes_on, node.handlers))
    return isinstance(node, ast.With) and any("suppress" in ast.unparse(item) for item in node.items)


def _functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield str(path.relative_to(PACKAGE)), node


@cache
def retries() -> tuple[set[str], set[str]]:
    """Functions with a `while` that outlives an error within it, and files that have something come later."""
    loops, delayed = set(), set()
    for path, function in _functions():
        for node in ast.walk(function):
            if isinstance(node, ast.While) and any(map(_survives, ast.walk(node))):
                loops.add(f"{path}:{function.name}")
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LATER:
                delayed.add(path)
    return loops, delayed


def test_every_loop_that_outlives_an_error_is_known_with_its_pace() -> None:
    loops, _ = retries()
    assert loops - LOOPS.keys() == set(), "new: give it a back-off, and add it with that"
    assert LOOPS.keys() - loops == set(), "gone"


def test_everything_that_comes_again_later_is_known_with_its_pace() -> None:
    _, delayed = retries()
    assert delayed - DELAYED.keys() == set(), "new: give it a back-off, and add it with that"
    assert DELAYED.keys() - delayed == set(), "gone"


MINUTES = 10
MOST = 24
"""Tries in ten minutes: 1 s doubled up to 60 s makes 15, and some verbs ask for two things."""
VERBS = (
    "create",
    "start",
    "stop",
    "kill",
    "remove",
    "pull",
    "make_volume",
    "run_pod_sandbox",
    "remove_pod_sandbox",
    "folder",
)


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("error", [ContainerError, RuntimeUnavailable])
def test_what_fails_for_a_pod_is_tried_later_and_later(
    verb: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def fail(*_: object, **__: object) -> None:
        tries.append(verb)
        if len(tries) > 10 * MOST:
            pytest.fail("a storm of tries")
        raise error("it is not to be")

    env = EdgedEnv(tmp_path / "pods").start()
    if verb == "pull":
        env.engine.images = set()
    owner = LocalPodVolumes if verb in ("folder", "make_volume") else FakeRuntime
    monkeypatch.setattr(owner, {"folder": "remove"}.get(verb, verb), fail)
    two = [{"name": name, "image": "app:1", "command": ["/app"]} for name in ("main", "beside")]
    env.apply(pod(containers=two, volumes=[{"name": "v", "emptyDir": {}}]))
    env.harness.advance(10.0)
    env.delete("u-1")
    env.harness.advance(10.0)
    if verb in ("remove", "remove_pod_sandbox", "folder"):
        env.cloud.pods.setdefault("u-1", pod())
        env.remove("u-1")
    for _ in range(MINUTES * 60):
        env.harness.advance(1.0)
    assert 0 < len(tries) <= MOST * len(two), f"{len(tries)} tries in {MINUTES} minutes"
