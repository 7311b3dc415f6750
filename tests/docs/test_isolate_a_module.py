"""docs/how-to/isolate-a-module.md: the tutorial's module on a thread and in a process, without a changed line."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from examples.alarm import Alarm
from kubeedge_actors import Module, MqttPublish, TwinUpdated, on
from kubeedge_actors.errors import UsageError
from kubeedge_actors.plugins import plugin_specs, spec_of
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec, ThreadsEngine
from tests.support.waiting import PATIENCE


class Heard(Module):
    """Takes what the alarm says."""

    name = "heard"
    emits = (TwinUpdated,)

    def __init__(self, said: queue.SimpleQueue[MqttPublish]) -> None:
        self.said = said

    @on
    def on_mqtt_publish(self, message: MqttPublish) -> None:
        """Keep it."""
        self.said.put(message)


@contextmanager
def running(*specs: Any) -> Iterator[tuple[ActorSystem, queue.SimpleQueue[MqttPublish]]]:
    """A runtime with these modules, and what they publish to MQTT."""
    said: queue.SimpleQueue[MqttPublish] = queue.SimpleQueue()
    system = ActorSystem(ThreadsEngine())
    system.start(SupervisorSpec("root", [Heard.spec(lambda: Heard(said)), *specs]))
    yield system, said
    system.stop()


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_the_tutorials_module_runs_on_a_thread_and_in_a_process(isolation: str) -> None:
    with running(spec_of(f"examples.alarm:Alarm@{isolation}")) as (system, said):
        for value in ("79", "81.5"):
            system.publish(TwinUpdated(device="default/t1", twin={"temperature": {"actual": {"value": value}}}))
        assert said.get(timeout=PATIENCE) == MqttPublish(topic="alarms/default/t1", payload=b"hot")
        node = system.tree()["children"][1]
        assert (node["name"], node["isolation"]) == ("alarm", isolation)
        assert node.get("pid") != os.getpid()
    assert said.empty()
    assert list(system.dead_letters) == []


def test_a_module_given_without_isolation_runs_as_the_engine_does() -> None:
    assert spec_of("examples.alarm:Alarm").isolation == ""
    assert type(spec_of("examples.alarm:Alarm@process").factory()) is Alarm


def test_an_isolation_that_there_is_not_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="@thread or @process, not @host"):
        spec_of("examples.alarm:Alarm@host")


def test_a_module_given_twice_with_and_without_isolation_is_a_sentence() -> None:
    with pytest.raises(UsageError, match="two modules are called 'alarm'"):
        plugin_specs(["examples.alarm:Alarm", "examples.alarm:Alarm@process"])
