"""The phase of a pod, row by row as the kubelet's getPhase has it (source: pkg/kubelet/kubelet_pods.go; the cases are those of
TestPodPhaseWithRestartAlways, ...Never, ...OnFailure, and the ones with init containers and sidecars).

A container is written in one letter: `R` runs, `S` has succeeded, `F` has failed, `w` waits for the first time; two letters are
what was before and what is now, so `Fw` failed and waits for its restart. Init containers stand before the bar; `*` marks a sidecar.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.edged.pod.pod_spec import parse_pod
from kubeedge_actors.actors.edged.pod.pod_sync import compute_actions
from kubeedge_actors.actors.edged.pod.volatile_pod_state import CrashLoopBackoff, VolatilePodState
from kubeedge_actors.actors.edged.status.pod_status import pod_status
from kubeedge_actors.drivers.containers.base import Container, PodName

Json = dict[str, Any]
NOW = 1_000.0
POD = PodName(namespace="default", name="p", uid="u")

ALWAYS, ON_FAILURE, NEVER = "Always", "OnFailure", "Never"
TABLE = [
    # --- restartPolicy Always ---
    (ALWAYS, "", "w w", "Pending"),
    (ALWAYS, "", "R R", "Running"),
    (ALWAYS, "", "Sw Sw", "Running"),
    (ALWAYS, "", "Fw Fw", "Running"),
    (ALWAYS, "", "R Sw", "Running"),
    (ALWAYS, "", "R w", "Pending"),
    (ALWAYS, "", "R Fw", "Running"),
    (ALWAYS, "", "Fw w", "Pending"),
    # --- restartPolicy Never ---
    (NEVER, "", "w w", "Pending"),
    (NEVER, "", "R R", "Running"),
    (NEVER, "", "S S", "Succeeded"),
    (NEVER, "", "F F", "Failed"),
    (NEVER, "", "R S", "Running"),
    (NEVER, "", "R F", "Running"),
    (NEVER, "", "S F", "Failed"),
    (NEVER, "", "R w", "Pending"),
    (NEVER, "", "S w", "Pending"),
    # --- restartPolicy OnFailure ---
    (ON_FAILURE, "", "w w", "Pending"),
    (ON_FAILURE, "", "R R", "Running"),
    (ON_FAILURE, "", "S S", "Succeeded"),
    (ON_FAILURE, "", "Fw Fw", "Running"),
    (ON_FAILURE, "", "R S", "Running"),
    (ON_FAILURE, "", "R Fw", "Running"),
    (ON_FAILURE, "", "S Fw", "Running"),
    (ON_FAILURE, "", "R w", "Pending"),
    # --- init containers ---
    (ALWAYS, "w", "w", "Pending"),
    (ALWAYS, "R", "w", "Pending"),
    (ALWAYS, "S", "w", "Pending"),
    (ALWAYS, "S", "R", "Running"),
    (ALWAYS, "F", "w", "Pending"),
    (ALWAYS, "Fw", "w", "Pending"),
    (NEVER, "F", "w", "Failed"),
    (NEVER, "S F", "w", "Failed"),
    (NEVER, "S R", "w", "Pending"),
    (NEVER, "S S", "S", "Succeeded"),
    (ON_FAILURE, "Fw", "w", "Pending"),
    (ALWAYS, "w", "R", "Running"),  # the record of an init container was removed: main containers tell that it is done
    # --- sidecars ---
    (ALWAYS, "w*", "w", "Pending"),
    (ALWAYS, "R*", "w", "Pending"),
    (ALWAYS, "R*", "R", "Running"),
    (NEVER, "R*", "R", "Running"),
    (NEVER, "F*", "R", "Running"),
    (ALWAYS, "F*", "w", "Pending"),
]


def containers(name: str, letters: str, hash: str) -> list[Container]:
    """What was started of one container, and what became of it."""
    listed = []
    for number, letter in enumerate(letters.replace("w", "")):
        ended = {"S": ("exited", 0, "Completed"), "F": ("exited", 1, "Error"), "R": ("running", 0, "")}[letter]
        phase, code, reason = ended
        listed.append(
            Container(
                id=f"{name}-{number}", pod=POD, name=name, image="i", hash=hash, restart_count=number, phase=phase,  # type: ignore[arg-type]
                started_at=NOW - 20, finished_at=NOW - 10 if phase == "exited" else 0.0, exit_code=code, reason=reason,
            )
        )  # fmt: skip
    return listed


def status(policy: str, inits: str, mains: str) -> Json:
    """The status of a pod whose containers are so; each that waits for a restart is in a back-off."""
    shown = {f"init{number}": letters for number, letters in enumerate(inits.split())}
    shown |= {f"main{number}": letters for number, letters in enumerate(mains.split())}
    spec: Json = {"restartPolicy": policy, "containers": [], "initContainers": []}
    for name, letters in shown.items():
        container = {"name": name, "image": "i"} | ({"restartPolicy": "Always"} if "*" in letters else {})
        spec["initContainers" if name.startswith("init") else "containers"].append(container)
    pod = parse_pod({"metadata": {"name": "p", "namespace": "default", "uid": "u"}, "spec": spec})
    state = VolatilePodState(started=NOW - 100)
    for name, letters in shown.items():
        if letters.strip("*").endswith("w") and len(letters.strip("*")) > 1:
            state.backoffs[name] = CrashLoopBackoff(delay=300.0, updated=NOW - 20)
    hashes = {view.name: view.hash for view in pod.containers}
    started = [each for name, letters in shown.items() for each in containers(name, letters.strip("*"), hashes[name])]
    state.phase = compute_actions(pod, started, state, NOW).phase  # as the pod's worker notes it
    return pod_status(pod, started, state, {}, "192.0.2.1", NOW, "fake")


@pytest.mark.parametrize(("policy", "inits", "mains", "phase"), TABLE)
def test_the_phase_is_the_kubelets(policy: str, inits: str, mains: str, phase: str) -> None:
    assert status(policy, inits, mains)["phase"] == phase


STATES = ("w", "R", "S", "F", "Sw", "Fw", "FR", "SR")


@given(
    st.sampled_from([ALWAYS, ON_FAILURE, NEVER]),
    st.lists(st.sampled_from([*STATES, "w*", "R*", "F*"]), max_size=2),
    st.lists(st.sampled_from(STATES), min_size=1, max_size=3),
)
def test_whatever_is_shown_fits_the_phase(policy: str, inits: list[str], mains: list[str]) -> None:
    shown = status(policy, " ".join(inits), " ".join(mains))
    states = [status["state"] for status in shown["containerStatuses"]]
    ready = {condition["type"]: condition["status"] for condition in shown["conditions"]}
    if shown["phase"] in ("Succeeded", "Failed"):
        assert ready["Ready"] == ready["ContainersReady"] == "False"
    if shown["phase"] == "Succeeded":
        assert all(state["terminated"]["exitCode"] == 0 for state in states)
    if shown["phase"] == "Running":
        assert any(
            "running" in state or "terminated" in state or each["lastState"]
            for state, each in zip(states, shown["containerStatuses"], strict=True)
        )
    assert (ready["Ready"] == "True") <= all("running" in state for state in states)
    assert all(set(state) & {"running", "waiting", "terminated"} for state in states)
