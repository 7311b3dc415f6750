"""Edged with the fake engine: what becomes of pods, and what the cloud is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.drivers.containers.fake import FakeProgram, FakeRuntime
from kubeedge_actors.wire.messages import DeletePod, PatchPod, PodChanged, PodConfigChanged, QueryObject, ReportEvent
from tests.support.env.edged import ADDRESS, EdgedEnv, error, pod


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path)
    yield made
    made.harness.stop()


def test_a_pod_runs_and_is_reported_running(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    (one,) = bench.engine.running()
    assert (one.name, one.image, one.pod.name) == ("main", "app:1", "shop")
    status = bench.status("u-1")
    assert (status["phase"], status["podIP"], status["hostIP"]) == ("Running", ADDRESS, ADDRESS)
    assert status["qosClass"] == "BestEffort"
    assert {condition["type"]: condition["status"] for condition in status["conditions"]} == {
        "PodReadyToStartContainers": "True",
        "Initialized": "True",
        "Ready": "True",
        "ContainersReady": "True",
        "PodScheduled": "True",
    }
    (container,) = status["containerStatuses"]
    assert container["containerID"] == f"fake://{one.id}"
    assert "running" in container["state"]


def test_a_pod_of_another_node_is_left_alone(bench: EdgedEnv) -> None:
    other = pod()
    other["spec"]["nodeName"] = "edge-3"
    bench.start().apply(other)
    assert bench.engine.running() == []


def test_pods_that_are_stored_start_without_a_cloud(bench: EdgedEnv) -> None:
    bench.cloud.put(pod())
    bench.start(online=False)
    assert [container.name for container in bench.engine.running()] == ["main"]
    assert bench.cloud.of(PatchPod) == []
    bench.online()
    assert bench.status("u-1")["phase"] == "Running"


def test_a_deleted_pod_ends_is_reported_and_then_deleted_with_its_uid(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    bench.delete("u-1")
    (deletion,) = bench.cloud.of(DeletePod)
    assert deletion.options == {"gracePeriodSeconds": 0, "preconditions": {"uid": "u-1"}}
    last = msgspec.json.decode(bench.cloud.of(PatchPod)[-1].patch)
    assert last["status"]["phase"] == "Failed"
    assert bench.engine.containers == {}
    assert bench.folders.pod_uids() == set()


def test_the_end_of_a_pod_that_nobody_hears_is_told_when_the_link_is_back(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    bench.offline()
    bench.delete("u-1")
    assert bench.engine.running() == []
    assert bench.cloud.of(DeletePod) == []
    bench.online()
    assert [message.options["preconditions"]["uid"] for message in bench.cloud.of(DeletePod)] == ["u-1"]
    assert bench.engine.containers == {}


def test_a_pod_that_the_cloud_has_forgotten_without_a_word_ends_after_the_next_begin_of_the_link(
    bench: EdgedEnv,
) -> None:
    bench.start().apply(pod())
    bench.offline()
    del bench.cloud.pods["u-1"]
    bench.online(native=True)
    before = len(bench.cloud.of(PatchPod))
    bench.harness.advance(31)
    (naming,) = bench.cloud.of(PatchPod)[before:]
    assert msgspec.json.decode(naming.patch) == {"metadata": {"uid": "u-1"}}
    # EdgeController answers that with a stub, of which MetaManager has nothing left then
    stub = {"metadata": {"name": "shop", "namespace": "default", "uid": "u-1"}, "spec": {"containers": None}}
    bench.harness.tell("edged", PodChanged(operation="delete", object=stub))
    assert bench.engine.containers == {}


def test_to_a_genuine_cloud_nothing_is_said_of_a_pod_of_which_nothing_differs(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    bench.offline()
    bench.online()
    before = len(bench.cloud.of(PatchPod))
    bench.harness.advance(31)
    assert bench.cloud.of(PatchPod)[before:] == []


def test_a_deaf_container_is_killed_after_the_grace_of_the_deletion(bench: EdgedEnv) -> None:
    bench.engine.program = lambda spec: FakeProgram(ignores_stop=True)
    bench.start().apply(pod())
    bench.delete("u-1", grace=3)
    bench.harness.advance(2.9)
    assert len(bench.engine.running()) == 1
    bench.harness.advance(0.2)
    assert bench.engine.running() == []
    assert bench.cloud.of(DeletePod) != []


def test_an_ended_container_is_restarted_at_once_then_backs_off(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    for _ in range(2):
        bench.engine.end_container(bench.engine.running()[0].id, 1)
        bench.harness.run()
    assert bench.engine.running() == []
    waiting = bench.status("u-1")["containerStatuses"][0]
    assert waiting["state"]["waiting"] == {
        "reason": "CrashLoopBackOff",
        "message": "back-off 10s restarting failed container=main pod=shop_default(u-1)",
    }
    assert waiting["lastState"]["terminated"]["exitCode"] == 1
    assert bench.status("u-1")["phase"] == "Running"
    bench.harness.advance(10)
    assert bench.engine.running()[0].restart_count == 2
    assert bench.status("u-1")["containerStatuses"][0]["restartCount"] == 2
    assert len([container for container in bench.engine.containers.values() if container.phase == "exited"]) == 1


def test_containers_are_restarted_without_the_cloud(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    bench.offline()
    bench.engine.end_container(bench.engine.running()[0].id, 1)
    bench.harness.run()
    assert bench.engine.running()[0].restart_count == 1
    bench.online()
    assert bench.status("u-1")["containerStatuses"][0]["restartCount"] == 1


def test_a_job_that_has_done_its_work_has_succeeded_and_stays_so(bench: EdgedEnv) -> None:
    bench.engine.program = lambda spec: FakeProgram(exit_code=0)
    bench.start().apply(pod(restartPolicy="OnFailure"))
    status = bench.status("u-1")
    assert status["phase"] == "Succeeded"
    assert status["containerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"
    assert [condition["reason"] for condition in status["conditions"] if condition["type"] == "Ready"] == [
        "PodCompleted"
    ]
    bench.harness.advance(700)
    assert len(bench.engine.containers) == 1


def test_a_job_that_has_ended_keeps_its_address(bench: EdgedEnv) -> None:
    bench.start().apply(pod(restartPolicy="Never"))
    (one,) = bench.engine.running()
    bench.engine.containers[one.id] = msgspec.structs.replace(one, ip="203.0.113.9")
    bench.cloud.pods["u-1"]["status"] = {"podIPs": [{"ip": "203.0.113.8"}]}  # of which this node has not heard
    bench.engine.end_container(one.id, 0)
    bench.harness.run()
    status = bench.status("u-1")
    assert (status["phase"], status["podIP"], status["podIPs"]) == (
        "Succeeded",
        "203.0.113.9",
        [{"ip": "203.0.113.9"}],
    )


def test_an_edge_that_starts_again_adopts_what_runs(bench: EdgedEnv, tmp_path: Path) -> None:
    bench.start().apply(pod())
    before = bench.engine.running()
    bench.harness.crash("edged")
    bench.harness.advance(5)
    assert bench.engine.running() == before
    assert bench.status("u-1")["phase"] == "Running"
    bench.engine.end_container(before[0].id, 1)
    bench.harness.run()
    assert bench.engine.running()[0].restart_count == 1


def test_what_belongs_to_no_pod_is_removed_once_the_pods_are_known(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    bench.folders.make_volume("u-9", "left")
    bench.cloud.pods.clear()
    bench.harness.crash("edged")
    bench.harness.advance(60)
    assert bench.engine.containers == {}
    assert bench.folders.pod_uids() == set()


def test_a_pod_that_the_cloud_tells_of_late_keeps_its_containers(bench: EdgedEnv) -> None:
    bench.engine.program = lambda spec: FakeProgram(ignores_stop=True)
    bench.start().apply(pod())
    before = bench.engine.running()
    kept = bench.cloud.pods.pop("u-1")
    bench.harness.crash("edged")
    bench.harness.advance(2)
    bench.apply(kept)
    bench.harness.advance(60)
    assert bench.engine.running() == before


def test_a_stub_without_spec_has_the_pods_listed_again(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    bench.apply(pod("u-2", "other"))
    bench.cloud.pods.pop("u-1")
    stub = {"metadata": {"name": "shop", "namespace": "default"}, "spec": {"containers": None}, "status": {}}
    bench.harness.tell("edged", PodChanged(operation="delete", object=stub))
    assert [container.pod.uid for container in bench.engine.running()] == ["u-2"]
    assert {container.pod.uid for container in bench.engine.containers.values()} == {"u-2"}


def test_a_pod_of_the_same_name_replaces_the_one_before(bench: EdgedEnv) -> None:
    bench.start().apply(pod("u-1"))
    bench.cloud.pods.pop("u-1")
    bench.apply(pod("u-2"))
    assert [container.pod.uid for container in bench.engine.running()] == ["u-2"]
    assert {container.pod.uid for container in bench.engine.containers.values()} == {"u-2"}


def test_a_new_image_means_a_new_container(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    changed = pod()
    changed["spec"]["containers"][0]["image"] = "app:2"
    bench.apply(changed, "update")
    (container,) = bench.engine.running()
    assert (container.image, container.restart_count) == ("app:2", 1)


def test_a_container_that_can_not_be_made_says_why(bench: EdgedEnv) -> None:
    bench.engine.refused["main"] = "no command given"
    bench.start().apply(pod())
    waiting = bench.status("u-1")["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerError", "message": "no command given"}
    bench.engine.refused.clear()
    bench.harness.advance(1.1)
    assert bench.status("u-1")["phase"] == "Running"


def test_a_container_that_can_not_be_started_has_ended_with_the_reason(bench: EdgedEnv) -> None:
    bench.engine.unstartable["main"] = "exec format error"
    bench.start().apply(pod(restartPolicy="Never"))
    status = bench.status("u-1")
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (status["phase"], ended["reason"], ended["message"]) == ("Failed", "StartError", "exec format error")


def test_a_missing_config_map_of_a_variable_is_waited_for(bench: EdgedEnv) -> None:
    wants = pod()
    reference = {"configMapKeyRef": {"name": "shop-config", "key": "greeting"}}
    wants["spec"]["containers"][0]["env"] = [{"name": "GREETING", "valueFrom": reference}]
    bench.start().apply(wants)
    waiting = bench.status("u-1")["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": 'configmap "shop-config" not found'}
    config_map = {"metadata": {"name": "shop-config"}, "data": {"greeting": "hello"}}
    bench.cloud.objects["configmap", "shop-config"] = config_map
    bench.until(lambda: bool(bench.engine.running()))
    (spec,) = bench.engine.specs.values()
    assert spec.env == {"GREETING": "hello"}


def test_an_answer_that_is_lost_is_not_waited_for_for_ever(bench: EdgedEnv) -> None:
    wants = pod()
    wants["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "shop-config"}}]
    bench.cloud.objects["configmap", "shop-config"] = {"metadata": {"name": "shop-config"}, "data": {"A": "b"}}
    bench.cloud.deaf = {QueryObject}
    bench.start().apply(wants)
    bench.harness.advance(60)
    assert bench.engine.running() == []
    bench.cloud.deaf = set()
    bench.until(lambda: bool(bench.engine.running()), 150)


def test_an_optional_reference_is_not_waited_for(bench: EdgedEnv) -> None:
    wants = pod()
    wants["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "none", "optional": True}}]
    bench.start().apply(wants)
    assert len(bench.engine.running()) == 1


def test_a_volume_of_a_config_map_follows_it(bench: EdgedEnv) -> None:
    wants = pod(volumes=[{"name": "config", "configMap": {"name": "c"}}])
    wants["spec"]["containers"][0]["volumeMounts"] = [{"name": "config", "mountPath": "/config"}]
    bench.cloud.objects["configmap", "c"] = {"metadata": {"name": "c"}, "data": {"a": "1"}}
    bench.start().apply(wants)
    (spec,) = bench.engine.specs.values()
    (mount,) = spec.mounts
    assert (mount.target, Path(mount.source, "a").read_text(encoding="utf-8")) == ("/config", "1")
    bench.cloud.objects["configmap", "c"] = {"metadata": {"name": "c"}, "data": {"a": "2"}}
    bench.harness.advance(61)
    assert Path(mount.source, "a").read_text(encoding="utf-8") == "2"
    assert bench.engine.running()[0].restart_count == 0


def test_what_a_volume_shows_stays_when_it_can_not_be_asked_for_and_is_said_to_be_missing_only_when_it_is(
    bench: EdgedEnv,
) -> None:
    bench.cloud.objects["configmap", "c"] = {"metadata": {"name": "c"}, "data": {"a": "1"}}
    bench.start().apply(pod(volumes=[{"name": "config", "configMap": {"name": "c"}}]))

    def missing() -> bool:
        return any("FailedMount" in str(report.content) for report in bench.cloud.of(ReportEvent))

    bench.cloud.objects["configmap", "c"] = error("InternalError", 500)
    bench.harness.advance(130)
    assert not missing()
    bench.cloud.objects["configmap", "c"] = error("NotFound")
    bench.until(missing, 130)


def test_a_missing_secret_of_a_volume_holds_all_containers(bench: EdgedEnv) -> None:
    wants = pod(volumes=[{"name": "hidden", "secret": {"secretName": "s"}}])
    bench.start().apply(wants)
    waiting = bench.status("u-1")["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ContainerCreating"
    assert waiting["message"] == 'MountVolume.SetUp failed for volume "hidden" : secret "s" not found'


VOLUME: dict[str, Any] = {"volumes": [{"name": "v", "secret": {"secretName": "late"}}]}
VARIABLE = {"envFrom": [{"secretRef": {"name": "late"}}]}


@pytest.mark.parametrize("waited", [0.5, 300.0])
@pytest.mark.parametrize("where", ["volume", "variable"])
def test_a_pod_that_waits_for_a_late_object_starts_when_it_comes(bench: EdgedEnv, where: str, waited: float) -> None:
    wants = pod(**(VOLUME if where == "volume" else {}))
    wants["spec"]["containers"][0] |= VARIABLE if where == "variable" else {}
    bench.start().apply(wants)
    bench.harness.advance(waited)
    assert bench.engine.running() == []
    bench.cloud.objects["secret", "late"] = {"metadata": {"name": "late"}, "data": {"A": "MQ=="}}
    bench.harness.publish(PodConfigChanged(operation="insert", type="secret", namespace="default", name="late"))
    assert len(bench.engine.running()) == 1, "at once, without waiting for the next try"


def test_an_object_of_another_namespace_or_name_concerns_nobody(bench: EdgedEnv) -> None:
    bench.start().apply(pod(**VOLUME))
    bench.harness.advance(300.0)
    bench.cloud.objects["secret", "late"] = {"metadata": {"name": "late"}, "data": {}}
    for namespace, name in (("other", "late"), ("default", "other")):
        bench.harness.publish(PodConfigChanged(operation="insert", type="secret", namespace=namespace, name=name))
    assert bench.engine.running() == []


def test_a_volume_shows_a_change_as_soon_as_it_is_known(bench: EdgedEnv) -> None:
    wants = pod(volumes=[{"name": "config", "configMap": {"name": "c"}}])
    wants["spec"]["containers"][0]["volumeMounts"] = [{"name": "config", "mountPath": "/config"}]
    bench.cloud.objects["configmap", "c"] = {"metadata": {"name": "c"}, "data": {"a": "1"}}
    bench.start().apply(wants)
    (spec,) = bench.engine.specs.values()
    bench.cloud.objects["configmap", "c"] = {"metadata": {"name": "c"}, "data": {"a": "2"}}
    bench.harness.publish(PodConfigChanged(operation="update", type="configmap", namespace="default", name="c"))
    assert Path(spec.mounts[0].source, "a").read_text(encoding="utf-8") == "2"
    assert bench.engine.running()[0].restart_count == 0


def test_what_is_known_already_is_used_while_the_cloud_is_away(bench: EdgedEnv) -> None:
    wants = pod()
    wants["spec"]["containers"][0]["envFrom"] = [{"configMapRef": {"name": "c"}}]
    bench.cloud.objects["configmap", "c"] = {"metadata": {"name": "c"}, "data": {"A": "1"}}
    bench.start().apply(wants)
    bench.cloud.objects.clear()
    bench.offline()
    bench.engine.end_container(bench.engine.running()[0].id, 1)
    bench.harness.advance(61)
    assert [spec.env for spec in bench.engine.specs.values()] == [{"A": "1"}, {"A": "1"}]


def test_an_image_is_pulled_when_it_is_not_there_and_a_failed_pull_says_so(bench: EdgedEnv) -> None:
    bench.engine.images = set()
    bench.engine.unpullable["app:1"] = "no route to registry"
    bench.start().apply(pod())
    shown = bench.status("u-1")["containerStatuses"][0]["state"]["waiting"]
    assert shown == {"reason": "ErrImagePull", "message": "no route to registry"}
    bench.harness.advance(3)
    shown = bench.status("u-1")["containerStatuses"][0]["state"]["waiting"]
    assert shown["reason"] == "ImagePullBackOff"
    bench.engine.unpullable.clear()
    bench.harness.advance(8)
    assert bench.status("u-1")["phase"] == "Running"
    assert bench.engine.pulled == ["app:1", "app:1"]


def test_an_image_that_must_not_be_pulled_is_not(bench: EdgedEnv) -> None:
    bench.engine.images = set()
    never = pod()
    never["spec"]["containers"][0]["imagePullPolicy"] = "Never"
    bench.start().apply(never)
    waiting = bench.status("u-1")["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "ErrImageNeverPull"
    assert bench.engine.pulled == []


def test_a_readiness_probe_decides_on_ready_and_a_liveness_probe_on_life(bench: EdgedEnv) -> None:
    probed = pod(terminationGracePeriodSeconds=2)
    get = {"httpGet": {"path": "/", "port": 80}, "periodSeconds": 5}
    probed["spec"]["containers"][0] |= {
        "readinessProbe": {**get, "failureThreshold": 1},
        "livenessProbe": {**get, "initialDelaySeconds": 30, "failureThreshold": 2},
    }
    bench.prober.why = "connection refused"
    bench.start().apply(probed)

    def ready() -> str:
        (condition,) = [condition for condition in bench.status("u-1")["conditions"] if condition["type"] == "Ready"]
        return str(condition["status"])

    assert ready() == "False"
    bench.prober.why = ""
    bench.harness.advance(5)
    assert ready() == "True"
    assert bench.prober.asked[0].host == ADDRESS
    bench.harness.advance(20)
    bench.prober.why = "connection refused"
    bench.engine.program = lambda spec: FakeProgram(ignores_stop=True)
    bench.until(lambda: ready() == "False")
    assert bench.engine.running()[0].restart_count == 0
    bench.harness.advance(20)
    assert bench.engine.running()[0].restart_count == 1


def test_a_startup_probe_holds_the_others_back(bench: EdgedEnv) -> None:
    probed = pod()
    probed["spec"]["containers"][0] |= {
        "startupProbe": {"exec": {"command": ["started"]}, "periodSeconds": 2, "failureThreshold": 30},
        "livenessProbe": {"tcpSocket": {"port": 80}, "periodSeconds": 1},
    }
    from kubeedge_actors.drivers.containers.base import ExecResult

    bench.engine.execute = lambda container, command: ExecResult(exit_code=1)
    bench.start().apply(probed)
    bench.harness.advance(10)
    assert bench.prober.asked == []
    assert bench.status("u-1")["containerStatuses"][0]["started"] is False
    bench.engine.execute = lambda container, command: ExecResult(exit_code=0)
    bench.harness.advance(5)
    assert bench.prober.asked != []
    assert bench.status("u-1")["containerStatuses"][0]["started"] is True


def test_a_kind_of_probe_that_this_node_can_not_ask_is_refused_and_said_why(bench: EdgedEnv) -> None:
    probed = pod()
    probed["spec"]["containers"][0]["livenessProbe"] = {"grpc": {"port": 80}}
    bench.prober.unable = "grpc probes need a library"
    bench.start().apply(probed)
    waiting = bench.status("u-1")["containerStatuses"][0]["state"]["waiting"]
    assert waiting == {"reason": "CreateContainerConfigError", "message": "grpc probes need a library"}
    bench.prober.unable = ""
    bench.until(lambda: bench.prober.asked != [])
    assert (bench.prober.asked[0].port, bench.prober.asked[0].grpc) == (80, True)


def test_several_containers_share_a_network_that_goes_with_the_pod(bench: EdgedEnv) -> None:
    two = pod()
    two["spec"]["containers"].append({"name": "second", "image": "app:1", "command": ["/app"]})
    bench.start().apply(two)
    assert {spec.network for spec in bench.engine.specs.values()} == {"pod"}
    assert set(bench.engine.networks) == {"u-1"}
    bench.delete("u-1")
    assert bench.engine.networks == {}


def test_a_pod_goes_on_when_the_engine_is_away_for_a_while(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    bench.engine.disconnect("gone fishing")
    bench.harness.run()
    (ready,) = [condition for condition in bench.cloud.node["status"]["conditions"] if condition["type"] == "Ready"]  # type: ignore[index]
    assert (ready["status"], ready["message"]) == ("False", "container runtime is down: gone fishing")
    bench.apply(pod("u-2", "other"))
    assert {container.pod.uid for container in bench.engine.running()} == {"u-1"}
    bench.engine.reconnect()
    bench.harness.run()
    assert {container.pod.uid for container in bench.engine.running()} == {"u-1", "u-2"}
    (ready,) = [condition for condition in bench.cloud.node["status"]["conditions"] if condition["type"] == "Ready"]  # type: ignore[index]
    assert ready["status"] == "True"


def test_an_engine_whose_driver_has_a_defect_is_asked_again_and_the_node_says_why_it_is_not_ready(
    bench: EdgedEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(FakeRuntime, "list", lambda *_: 1 // 0)
        bench.start().apply(pod())
        bench.harness.advance(30)
        (ready,) = [each for each in bench.cloud.node["status"]["conditions"] if each["type"] == "Ready"]  # type: ignore[index]
        assert ready["status"] == "False"
        assert ready["message"].endswith("a defect: ZeroDivisionError: integer division or modulo by zero")
        assert bench.engine.running() == []
    bench.until(lambda: bool(bench.engine.running()))


def test_an_unchanged_pod_says_nothing(bench: EdgedEnv) -> None:
    bench.start().apply(pod())
    count = len(bench.cloud.of(PatchPod))
    bench.apply(bench.cloud.pods["u-1"], "update")
    bench.harness.advance(120)
    assert len(bench.cloud.of(PatchPod)) == count
    assert [message for message in bench.cloud.of(QueryObject) if message.type != "node"] == []


def test_a_cluster_that_does_not_keep_what_it_is_told_is_not_told_for_ever(bench: EdgedEnv) -> None:
    bench.start()
    stored = bench.cloud.put
    bench.cloud.put = lambda pod: stored({**pod, "status": {"phase": "Pending"}})  # type: ignore[method-assign]
    bench.apply(pod())
    bench.harness.advance(30)
    assert len(bench.cloud.of(PatchPod)) < 10


def test_an_object_that_is_no_pod_does_no_harm(bench: EdgedEnv) -> None:
    bench.start()
    bad = pod("u-3", "bad", containers=[{"image": "without a name"}])
    bench.harness.tell("edged", PodChanged(operation="insert", object=bad))
    bench.apply(pod())
    assert len(bench.engine.running()) == 1


def test_a_node_that_was_deleted_is_back_with_the_next_start_of_the_edge_only(
    bench: EdgedEnv, caplog: pytest.LogCaptureFixture
) -> None:
    bench.start()
    bench.cloud.node = None
    bench.harness.advance(320)
    assert "node edge-2 was deleted in the cluster" in caplog.text
    bench.harness.crash("edged")
    bench.harness.advance(60)
    bench.offline()
    bench.online()
    bench.harness.advance(60)
    assert bench.cloud.node is None
    bench.harness.stop()
    again = EdgedEnv(bench.folder)
    again.start()
    assert again.cloud.node is not None
    again.harness.stop()
