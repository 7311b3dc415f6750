"""Pods that an annotation holds at the node until somebody there releases them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.edged.pod.hold_upgrade import HELD_CONDITION
from kubeedge_actors.kubernetes.objects import HOLD_ANNOTATION, get_condition
from kubeedge_actors.wire.messages import ReleaseHeldPods
from tests.support.env.edged import EdgedEnv, pod

Json = dict[str, Any]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path)
    yield made
    made.harness.stop()


def marked(number: int = 1, mark: str = "true") -> Json:
    """The pod `p<number>` with the annotation."""
    made = pod(f"u-{number}", f"p{number}")
    made["metadata"]["annotations"] = {HOLD_ANNOTATION: mark}
    return made


def running(bench: EdgedEnv) -> list[str]:
    return sorted(container.pod.name for container in bench.engine.running())


def held(bench: EdgedEnv, uid: str = "u-1") -> str:
    return str(get_condition(bench.cloud.pods[uid], HELD_CONDITION).get("status", ""))


def release(bench: EdgedEnv, name: str = "") -> list[str]:
    """What Edged answers."""
    return list(bench.harness.ask("edged", ReleaseHeldPods(namespace="default", name=name)))


def test_a_marked_pod_is_pending_and_says_so_until_it_is_released(bench: EdgedEnv) -> None:
    bench.start().apply(marked())
    bench.apply(marked(2, mark="false"))
    bench.until(lambda: running(bench) == ["p2"] and held(bench) == "True")
    condition = get_condition(bench.cloud.pods["u-1"], HELD_CONDITION)
    assert condition["reason"] == "HoldUpgradeEnabled" and bench.status("u-1")["phase"] == "Pending"
    assert "containerStatuses" not in bench.status("u-1") and held(bench, "u-2") == ""
    bench.harness.advance(600.0)
    assert running(bench) == ["p2"]
    assert release(bench, "p1") == ["default/p1"] and release(bench, "p1") == []
    bench.until(lambda: running(bench) == ["p1", "p2"] and bench.status("u-1")["phase"] == "Running")
    assert held(bench) == "False"


def test_the_whole_node_is_released_at_once(bench: EdgedEnv) -> None:
    bench.start()
    for number in (1, 2, 3):
        bench.apply(marked(number, mark="true" if number < 3 else ""))
    bench.until(lambda: held(bench, "u-2") == "True")
    assert sorted(release(bench)) == ["default/p1", "default/p2"]
    bench.until(lambda: running(bench) == ["p1", "p2", "p3"])


@pytest.mark.parametrize("online", [True, False])
def test_a_held_pod_stays_held_over_restarts_and_a_release_is_kept(bench: EdgedEnv, online: bool) -> None:
    for number in (1, 2):
        bench.cloud.put(marked(number))
    bench.start(online=online)
    bench.harness.advance(60.0)
    bench.engine.refused = {"main": "not yet"}  # so that nothing of it is there after the restart
    assert release(bench, "p2") == ["default/p2"]
    bench.harness.crash("edged")
    bench.engine.refused = {}
    bench.until(lambda: running(bench) == ["p2"])
    bench.harness.advance(60.0)
    assert running(bench) == ["p2"] and release(bench, "p2") == []
    assert release(bench, "p1") == ["default/p1"]


def test_what_has_begun_is_not_held_and_what_is_no_longer_marked_begins(bench: EdgedEnv) -> None:
    bench.start().apply(pod("u-1", "p1"))
    bench.apply(marked(2))
    bench.until(lambda: running(bench) == ["p1"] and held(bench, "u-2") == "True")
    bench.apply(bench.cloud.pods["u-1"] | {"metadata": marked()["metadata"]}, "update")
    bench.apply(bench.cloud.pods["u-2"] | {"metadata": pod("u-2", "p2")["metadata"]}, "update")
    bench.until(lambda: running(bench) == ["p1", "p2"])
    assert held(bench) == ""


def test_a_held_pod_can_be_deleted(bench: EdgedEnv) -> None:
    bench.start().apply(marked())
    bench.until(lambda: held(bench) == "True")
    bench.delete("u-1")
    bench.until(lambda: not bench.cloud.pods)
    assert not running(bench)
