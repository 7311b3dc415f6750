"""A pod whose sandbox has ended, after a restart of the machine or by somebody's hand, and one whose containers were removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.drivers.containers.base import ContainerEnded
from kubeedge_actors.drivers.containers.fake import FakeProgram
from kubeedge_actors.wire.messages import ReportEvent
from tests.support.env.edged import EdgedEnv, pod


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path)
    made.engine.program = lambda spec: FakeProgram(exit_code=0 if spec.name == "init" else None)
    yield made
    made.harness.stop()


def with_init(**spec: Any) -> dict[str, Any]:
    """A pod with an init container and two main containers."""
    two = [{"name": name, "image": "app:1", "command": ["/app"]} for name in ("main", "second")]
    return pod(containers=two, initContainers=[{"name": "init", "image": "app:1", "command": ["/init"]}], **spec)


def counts(bench: EdgedEnv) -> dict[str, int]:
    status = bench.status("u-1")
    shown = (*status["initContainerStatuses"], *status["containerStatuses"])
    return {container["name"]: container["restartCount"] for container in shown}


def remove(bench: EdgedEnv) -> None:
    """Remove what runs, as `docker rm -f` does."""
    for container in bench.engine.running():
        bench.engine.end_container(container.id, 137)
        del bench.engine.containers[container.id], bench.engine.specs[container.id]


def test_the_end_of_a_sandbox_has_its_pod_made_anew_at_once(bench: EdgedEnv) -> None:
    bench.start().apply(with_init())
    before = {container.id for container in bench.engine.running()}
    bench.engine.end_sandbox("u-1")
    bench.harness.run()
    running = bench.engine.running()
    assert sorted(container.name for container in running) == ["main", "second"]
    assert not before & {container.id for container in running}
    assert counts(bench) == {"init": 1, "main": 1, "second": 1}
    assert bench.status("u-1")["phase"] == "Running"
    (told,) = [event for event in bench.cloud.of(ReportEvent) if event.content["reason"] == "SandboxChanged"]
    assert told.content["message"] == "Pod sandbox changed, it will be killed and re-created."


def test_after_a_restart_of_the_machine_init_containers_run_again(bench: EdgedEnv) -> None:
    bench.start().apply(with_init())
    for container in bench.engine.running():
        bench.engine.end_container(container.id, 255, "Unknown")
        bench.engine.end_sandbox("u-1")
    bench.harness.crash("edged")
    bench.harness.advance(5)
    assert counts(bench) == {"init": 1, "main": 1, "second": 1}
    assert len(bench.engine.running()) == 2


def test_the_restart_count_of_a_removed_container_does_not_fall(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    for count in (1, 2):
        remove(bench)
        bench.harness.advance(1)
        (shown,) = bench.status("u-1")["containerStatuses"]
        assert shown["restartCount"] == count
    bench.engine.refused["main"] = "no room"
    remove(bench)
    bench.harness.advance(60)
    (shown,) = bench.status("u-1")["containerStatuses"]
    assert (shown["restartCount"], shown["lastState"]["terminated"]["reason"]) == (3, "ContainerStatusUnknown")
    assert bench.status("u-1")["phase"] == "Running"
    bench.engine.refused.clear()
    bench.harness.advance(60)
    assert bench.status("u-1")["containerStatuses"][0]["restartCount"] == 3
    assert "running" in bench.status("u-1")["containerStatuses"][0]["state"]


def test_what_a_machine_has_lost_with_its_disk_is_counted_by_what_the_cluster_was_told(bench: EdgedEnv) -> None:
    bench.start().apply(with_init())
    bench.engine.containers.clear()
    bench.engine.specs.clear()
    bench.harness.crash("edged")
    bench.harness.advance(5)
    assert counts(bench) == {"init": 1, "main": 1, "second": 1}
    bench.engine.emit(ContainerEnded(id="nobody", pod_uid="u-1"))
    bench.harness.advance(5)
    assert counts(bench) == {"init": 1, "main": 1, "second": 1}
