"""Events about pods: what `kubectl describe pod` shows, told seldom enough for a thin link."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.edged.fields.checks import fields_without_effect
from kubeedge_actors.actors.edged.pod.pod_spec import parse_pod
from kubeedge_actors.actors.edged.pod.pod_sync import Action
from kubeedge_actors.actors.edged.runtime.runtime_manager import ActionResult
from kubeedge_actors.actors.edged.status.events import NORMAL, EventRecorder, events_for_result, no_effect_message
from kubeedge_actors.drivers.containers.base import LimitSupport
from kubeedge_actors.drivers.containers.fake import FakeProgram
from kubeedge_actors.wire.messages import ReportEvent
from tests.support.env.edged import NODE, EdgedEnv, pod

Json = dict[str, Any]
NOW = 1_700_000_000.0
MAIN = {"name": "main", "image": "app:1", "command": ["/app"]}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path)
    yield made
    made.harness.stop()


def told(bench: EdgedEnv) -> dict[str, str]:
    """Reason -> the newest text."""
    return {report.content["reason"]: report.content["message"] for report in bench.cloud.of(ReportEvent)}


def test_what_happens_again_is_one_event_with_a_count_told_ever_less_often() -> None:
    recorder, view = EventRecorder(NODE), parse_pod(pod())
    messages = [
        report for at in range(100) for report in recorder.record_event(view, NORMAL, "Killing", "x", NOW + at, "main")
    ]
    assert [report.content["count"] for report in messages] == [1, 2, 4, 8, 16, 32, 64]
    assert [report.operation for report in messages] == ["insert", *["update"] * 6]
    assert len({report.name for report in messages}) == 1
    last = messages[-1].content
    assert (last["firstTimestamp"], last["lastTimestamp"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:14:23Z")
    assert last["involvedObject"]["uid"] == "u-1"
    assert last["involvedObject"]["fieldPath"] == "spec.containers{main}"
    assert last["source"] == {"component": "kubelet", "host": NODE}


def test_what_differs_is_another_event_and_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubeedge_actors.actors.edged.status.events.REMEMBERED", 2)
    recorder, view = EventRecorder(NODE), parse_pod(pod())
    texts = ("a", "b", "c", "c", "a")
    reports = [report for text in texts for report in recorder.record_event(view, NORMAL, "Killing", text, NOW)]
    assert [report.content["count"] for report in reports] == [1, 1, 1, 2, 1], "a was forgotten"


def test_a_pod_that_starts_says_each_step(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    assert told(bench) == {
        "Pulled": 'Container image "app:1" already present on machine',
        "Created": "Created container: main",
        "Started": "Started container main",
    }


def test_an_image_that_is_not_there_says_so(bench: EdgedEnv) -> None:
    bench.engine.images, bench.engine.unpullable = set(), {"none:1": "no such image"}
    bench.start().apply(pod(containers=[{**MAIN, "image": "none:1"}]))
    bench.harness.advance(5)
    messages = told(bench)
    assert messages["Pulling"] == 'Pulling image "none:1"'
    assert messages["Failed"].startswith('Failed to pull image "none:1": ')
    assert messages["BackOff"] == 'Back-off pulling image "none:1"'


def test_images_are_not_spoken_of_where_they_are_only_names() -> None:
    launch, view = Action(verb="start", name="main"), parse_pod(pod())
    outcomes = [
        ActionResult(uid="u-1", operation=launch, needs_pull=True),
        ActionResult(uid="u-1", operation=launch, pulled=True),
    ]

    def reasons(engine: str) -> list[str]:
        return [reason for done in outcomes for _, reason, _, _ in events_for_result(view, launch, done, engine)]

    assert reasons("docker://28.0") == ["Pulling", "Pulled", "Created", "Started"]
    assert reasons("process://6.1") == ["Created", "Started"]


def test_a_container_that_crashes_backs_off(bench: EdgedEnv) -> None:
    bench.engine.program = lambda spec: FakeProgram(exit_code=3)
    bench.start().apply(pod())
    bench.until(lambda: "BackOff" in told(bench))
    assert told(bench)["BackOff"] == "Back-off restarting failed container main in pod shop_default(u-1)"


def test_a_probe_that_fails_says_what_it_heard_and_what_follows(bench: EdgedEnv) -> None:
    probe = {"tcpSocket": {"port": 80}, "periodSeconds": 1, "failureThreshold": 2}
    bench.prober.why = "connection refused"
    bench.start().apply(pod(containers=[{**MAIN, "livenessProbe": probe}]))
    bench.until(lambda: "Killing" in told(bench))
    assert told(bench)["Unhealthy"] == "Liveness probe failed: connection refused"
    assert told(bench)["Killing"] == "Container main failed liveness probe, will be restarted"


def test_a_volume_of_what_is_missing_says_so(bench: EdgedEnv) -> None:
    bench.start().apply(pod(volumes=[{"name": "conf", "configMap": {"name": "none"}}]))
    assert told(bench)["FailedMount"] == 'MountVolume.SetUp failed for volume "conf" : configmap "none" not found'


def test_a_pod_that_is_deleted_says_what_is_stopped(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    bench.delete("u-1")
    assert told(bench)["Killing"] == "Stopping container main"


def test_what_processes_do_not_have_is_said_once() -> None:
    view = parse_pod(pod(containers=[{**MAIN, "volumeMounts": [{"name": "my-data", "mountPath": "/data"}]}]))
    assert no_effect_message(view, ["main.stdin", "spec.subdomain"], "process://6") == (
        "This node runs containers as processes: images are only names (app:1): command and args run on the machine itself; "
        "volumes are not mounted: their paths are in $MOUNT_MY_DATA; no effect on this node: main.stdin, spec.subdomain"
    )


def test_it_is_said_how_a_limit_of_memory_holds_where_processes_have_no_cgroup() -> None:
    view = parse_pod(pod(containers=[{**MAIN, "resources": {"limits": {"cpu": "1", "memory": "1Mi"}}}]))
    without = LimitSupport(cpu="", memory="rlimit")
    unused = fields_without_effect(view, "process://6", without)
    assert unused == ["main.resources.limits.cpu"]
    assert no_effect_message(view, unused, "process://6", without).endswith(
        "; limits of memory hold for each process by itself; no effect on this node: main.resources.limits.cpu"
    )
    assert fields_without_effect(view, "process://6", LimitSupport()) == []
    assert "limits" not in no_effect_message(view, [], "process://6", LimitSupport())


def test_an_engine_names_the_fields_without_effect_and_nothing_else(
    bench: EdgedEnv, caplog: pytest.LogCaptureFixture
) -> None:
    assert no_effect_message(parse_pod(pod()), [], "docker://20.10") == ""
    bench.start().apply(pod(subdomain="db"))
    assert told(bench)["NoEffect"] == "No effect on this node: spec.subdomain"
    assert "pod default/shop: no effect on this node: spec.subdomain" in caplog.text
