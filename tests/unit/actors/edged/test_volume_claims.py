"""Volume claims: what the cloud is asked for, the path that comes of it, and a kubelet's words where there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.wire.messages import QueryObject, ReportEvent
from tests.support.env.edged import EdgedEnv, pod

Json = dict[str, Any]
CONTAINER = {"name": "main", "image": "app:1", "command": ["/app"]}
MOUNT = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path / "pods")
    yield made
    made.harness.stop()


def run(bench: EdgedEnv, **volume: Any) -> None:
    bench.start().apply(pod(containers=[{**CONTAINER, **MOUNT}], volumes=[{"name": "data", **volume}]))


def bind(bench: EdgedEnv, source: Json, claim: str = "c", bound: Json | None = None) -> None:
    metadata = {"name": claim, "namespace": "default", "uid": "claim-uid"}
    bench.cloud.objects["persistentvolumeclaim", claim] = {"metadata": metadata, "spec": {"volumeName": "pv-1"}}
    reference = {"namespace": "default", "name": claim, "uid": "claim-uid", **(bound or {})}
    spec = {"claimRef": reference, "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}} | source
    bench.cloud.objects["persistentvolume", "pv-1"] = {"metadata": {"name": "pv-1"}, "spec": spec}


def failure(bench: EdgedEnv) -> str:
    assert bench.engine.running() == []
    events = [event.content for event in bench.cloud.of(ReportEvent)]
    return next(str(event["message"]) for event in events if event["reason"] == "FailedMount")


@pytest.mark.parametrize("kind", ["hostPath", "local"])
def test_a_claim_is_the_path_of_the_volume_that_it_is_bound_to(bench: EdgedEnv, tmp_path: Path, kind: str) -> None:
    bind(bench, {kind: {"path": str(tmp_path)}})
    run(bench, persistentVolumeClaim={"claimName": "c"})
    (spec,) = bench.engine.specs.values()
    assert [(mount.source, mount.target, mount.read_only) for mount in spec.mounts] == [(str(tmp_path), "/data", False)]
    queries = [
        (query.type, query.namespace, query.name) for query in bench.cloud.of(QueryObject) if query.type != "node"
    ]
    assert queries == [("persistentvolumeclaim", "default", "c"), ("persistentvolume", "null", "pv-1")]


def test_a_claim_for_reading_is_mounted_so_and_an_ephemeral_volume_is_a_claim(bench: EdgedEnv, tmp_path: Path) -> None:
    bind(bench, {"hostPath": {"path": str(tmp_path)}}, "shop-data")
    run(bench, ephemeral={"volumeClaimTemplate": {"spec": {}}})
    assert [mount.source for spec in bench.engine.specs.values() for mount in spec.mounts] == [str(tmp_path)]
    bind(bench, {"hostPath": {"path": str(tmp_path)}})
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}}
    bench.apply(pod("u-2", "other", containers=[{**CONTAINER, **MOUNT}], volumes=[volume]))
    assert [mount.read_only for spec in bench.engine.specs.values() for mount in spec.mounts] == [False, True]


@pytest.mark.parametrize(("kind", "given"), [("local", True), ("hostPath", False)])
def test_a_local_volume_is_the_pods_groups_and_a_path_of_the_machine_is_not(
    bench: EdgedEnv, tmp_path: Path, kind: str, given: bool
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o700)
    bind(bench, {kind: {"path": str(disk)}})
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}
    context = {"fsGroup": os.getegid(), "fsGroupChangePolicy": "OnRootMismatch"}
    bench.start().apply(pod(containers=[{**CONTAINER, **MOUNT}], volumes=[volume], securityContext=context))
    assert len(bench.engine.running()) == 1
    assert (disk.stat().st_mode & 0o2070 == 0o2070) == given


def test_a_claim_works_offline_once_it_was_read(bench: EdgedEnv, tmp_path: Path) -> None:
    bind(bench, {"hostPath": {"path": str(tmp_path)}})
    bench.start(online=False)
    bench.apply(
        pod(
            containers=[{**CONTAINER, **MOUNT}], volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]
        )
    )
    assert len(bench.engine.running()) == 1


@pytest.mark.parametrize(("bound", "source", "text"), [
    ({}, {"nfs": {"server": "x", "path": "/"}}, "persistent volumes of the kind nfs are not supported by this node"),
    ({}, {"csi": {"driver": "x"}}, "persistent volumes of the kind csi are not supported by this node"),
    ({}, {"local": {"path": "/x"}, "volumeMode": "Block"}, 'PV "pv-1" is a block device'),
    ({"uid": "other"}, {"local": {"path": "/x"}}, "pv.Spec.ClaimRef.UID other does not point to expected claim UID claim-uid"),
    ({"namespace": "theirs"}, {"local": {"path": "/x"}}, 'PV "pv-1" is not bound to PVC default/c'),
])  # fmt: skip
def test_another_volume_is_refused_by_name(bench: EdgedEnv, bound: Json, source: Json, text: str) -> None:
    bind(bench, source, bound=bound)
    run(bench, persistentVolumeClaim={"claimName": "c"})
    assert text in failure(bench)


def test_a_claim_that_is_missing_or_not_bound_is_waited_for(bench: EdgedEnv, tmp_path: Path) -> None:
    run(bench, persistentVolumeClaim={"claimName": "c"})
    missing = (
        'error processing PVC default/c: failed to fetch PVC from API server: persistentvolumeclaims "c" not found'
    )
    assert failure(bench) == f'MountVolume.SetUp failed for volume "data" : {missing}'
    bench.cloud.objects["persistentvolumeclaim", "c"] = {"metadata": {"name": "c"}, "spec": {}}
    unbound = "error processing PVC default/c: PVC is not bound"
    bench.until(lambda: any(unbound in event.content["message"] for event in bench.cloud.of(ReportEvent)))
    bind(bench, {"local": {"path": str(tmp_path)}})
    bench.until(lambda: len(bench.engine.running()) == 1)


@pytest.mark.parametrize("spec", ["x", [], {"volumeName": ["x"]}, {"volumeName": {}}, 5])
def test_a_claim_that_makes_no_sense_harms_nobody(bench: EdgedEnv, spec: Any) -> None:
    bench.cloud.objects["persistentvolumeclaim", "c"] = {"metadata": {"name": "c"}, "spec": spec}
    run(bench, persistentVolumeClaim={"claimName": "c"})
    bench.harness.advance(5.0)
    assert bench.engine.running() == []
    assert bench.harness.crashes == []
