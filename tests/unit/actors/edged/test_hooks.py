"""Lifecycle hooks: commands after the start and before the stop, and hooks that only sleep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.drivers.containers.base import Container, ExecResult
from kubeedge_actors.drivers.containers.fake import FakeProgram
from tests.support.env.edged import EdgedEnv, pod


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path)
    yield made
    made.harness.stop()


def test_hooks_run_after_the_start_and_before_the_stop(bench: EdgedEnv) -> None:
    hooked = pod()
    hooked["spec"]["containers"][0]["lifecycle"] = {
        "postStart": {"exec": {"command": ["hello"]}},
        "preStop": {"exec": {"command": ["bye"]}},
    }
    commands: list[tuple[str, ...]] = []

    def execute(container: Container, command: tuple[str, ...]) -> ExecResult:
        commands.append(command)
        return ExecResult(exit_code=0)

    bench.engine.execute = execute
    bench.start().apply(hooked)
    assert commands == [("hello",)]
    bench.delete("u-1")
    assert commands == [("hello",), ("bye",)]


def test_a_hook_that_fails_is_said_and_after_the_start_it_ends_its_container(
    bench: EdgedEnv, caplog: pytest.LogCaptureFixture
) -> None:
    hooked = pod(restartPolicy="Never")
    hooked["spec"]["containers"][0]["lifecycle"] = {"postStart": {"httpGet": {"port": 80}}}
    bench.prober.why = "refused"
    bench.start().apply(hooked)
    assert "the postStart hook of main in pod shop failed: refused" in caplog.text
    assert bench.engine.running() == []
    hooked = pod("u-2", "other")
    hooked["spec"]["containers"][0]["lifecycle"] = {"preStop": {"httpGet": {"port": 80}}}
    bench.apply(hooked)
    assert len(bench.engine.running()) == 1
    bench.delete("u-2")
    assert "the preStop hook of main in pod other failed: refused" in caplog.text
    assert bench.engine.running() == []


def sleeping(hook: str, seconds: int, **container: Any) -> dict[str, Any]:
    """A pod whose main container has a hook that sleeps."""
    made = pod(terminationGracePeriodSeconds=30)
    made["spec"]["containers"][0] |= {"lifecycle": {hook: {"sleep": {"seconds": seconds}}}, **container}
    return made


def test_a_container_is_asked_to_end_when_its_pre_stop_hook_has_slept(bench: EdgedEnv) -> None:
    bench.start().apply(sleeping("preStop", 5))
    bench.delete("u-1", grace=30)
    bench.harness.advance(4)
    assert len(bench.engine.running()) == 1
    bench.harness.advance(1)
    assert bench.engine.running() == []
    bench.until(lambda: "u-1" not in bench.cloud.pods)


def test_a_hook_that_would_sleep_longer_than_there_is_time_is_cut_short(bench: EdgedEnv) -> None:
    bench.engine.program = lambda spec: FakeProgram(ignores_stop=True)
    bench.start().apply(sleeping("preStop", 30))
    bench.delete("u-1", grace=3)
    bench.harness.advance(4)
    assert len(bench.engine.running()) == 1, "it has been asked a second ago"
    bench.harness.advance(1)
    assert bench.engine.running() == [], "a kubelet gives it two more seconds, too"


def test_a_container_that_ends_while_its_hook_sleeps_is_not_waited_for(bench: EdgedEnv) -> None:
    bench.start().apply(sleeping("preStop", 20))
    bench.delete("u-1", grace=30)
    (container,) = bench.engine.running()
    bench.engine.end_container(container.id)
    bench.harness.run()
    assert "u-1" not in bench.cloud.pods


def test_a_container_is_not_probed_until_its_post_start_hook_has_slept(bench: EdgedEnv) -> None:
    bench.start().apply(sleeping("postStart", 5, readinessProbe={"tcpSocket": {"port": 80}}))
    bench.harness.advance(4)
    assert bench.prober.asked == [] and len(bench.engine.running()) == 1
    bench.harness.advance(1)
    assert bench.prober.asked != []
    bench.until(lambda: bench.status("u-1")["phase"] == "Running")
