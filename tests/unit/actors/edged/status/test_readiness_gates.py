"""Readiness gates of pods: Ready follows conditions that somebody else writes (source: kubelet status.GeneratePodReadyCondition)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.env.edged import EdgedEnv, pod

Json = dict[str, Any]
GATE = "example.com/load-balancer"
GATES = [{"conditionType": GATE}]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path).start()
    yield made
    made.harness.stop()


def condition(bench: EdgedEnv, kind: str = "Ready") -> tuple[str, str, str]:
    """Status, reason and message of a condition as the cloud has it."""
    gate = {shown_condition["type"]: shown_condition for shown_condition in bench.status("u-1")["conditions"]}[kind]
    return gate["status"], gate.get("reason", ""), gate.get("message", "")


def decide(bench: EdgedEnv, status: str) -> None:
    """A controller of the cluster writes its condition into the pod's status."""
    shown = bench.cloud.pods["u-1"]
    others = [shown_condition for shown_condition in shown["status"]["conditions"] if shown_condition["type"] != GATE]
    conditions = [*others, {"type": GATE, "status": status}]
    bench.apply({**shown, "status": {**shown["status"], "conditions": conditions}}, "update")
    bench.harness.advance(5.0)


def test_a_pod_with_a_gate_is_ready_when_its_containers_are_and_the_gate_is_open(bench: EdgedEnv) -> None:
    bench.apply(pod(readinessGates=GATES))
    bench.until(lambda: condition(bench, "ContainersReady")[0] == "True")
    status, reason, message = condition(bench)
    assert (status, reason) == ("False", "ReadinessGatesNotReady")
    assert message == f'corresponding condition of pod readiness gate "{GATE}" does not exist.'
    decide(bench, "False")
    assert condition(bench)[2] == f'the status of pod readiness gate "{GATE}" is not "True", but False'
    decide(bench, "True")
    assert condition(bench) == ("True", "", "")
    decide(bench, "False")
    assert condition(bench)[0] == "False"


def test_the_condition_of_the_gate_stays_as_it_was_written(bench: EdgedEnv) -> None:
    bench.apply(pod(readinessGates=GATES))
    bench.until(lambda: condition(bench, "ContainersReady")[0] == "True")
    decide(bench, "True")
    assert [
        shown_condition["status"]
        for shown_condition in bench.status("u-1")["conditions"]
        if shown_condition["type"] == GATE
    ] == ["True"]


def test_all_gates_that_are_closed_are_named(bench: EdgedEnv) -> None:
    bench.apply(pod(readinessGates=[*GATES, {"conditionType": "example.com/other"}]))
    bench.until(lambda: condition(bench, "ContainersReady")[0] == "True")
    assert condition(bench)[2].count("does not exist.") == 2
    decide(bench, "True")
    assert condition(bench)[2] == 'corresponding condition of pod readiness gate "example.com/other" does not exist.'


def test_containers_that_are_not_ready_come_before_the_gates(bench: EdgedEnv) -> None:
    bench.engine.unstartable["main"] = "no"
    bench.apply(pod(readinessGates=GATES))
    bench.harness.advance(5.0)
    assert condition(bench)[:2] == ("False", "ContainersNotReady")
