"""Whatever a node may ask of the cloud, the rights in deploy/rbac.yaml are enough for it, and none is there in vain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.cloudstream.kubelet_authorization import KubeletAuthorizer
from kubeedge_actors.actors.cloudstream.tunnel_port import TunnelPort
from kubeedge_actors.actors.devicecontroller.upstream import (
    RemoveStatus,
    StatusWriter,
    StatusWriterState,
    WriteStatus,
)
from kubeedge_actors.actors.edgecontroller.duplicate_node import DuplicateNodeReporter
from kubeedge_actors.actors.edgecontroller.location_cache import LocationCache
from kubeedge_actors.actors.edgecontroller.node_lease import NodeLeaseRenewer
from kubeedge_actors.actors.edgecontroller.upstream import QUERYABLE_TYPES, Upstream
from kubeedge_actors.actors.leadership.lease_lock import LeaseLock as ElectionClerk
from kubeedge_actors.actors.leadership.lease_lock import ReleaseLease, TryAcquireOrRenew
from kubeedge_actors.actors.router.messages import WriteRuleStatus
from kubeedge_actors.actors.router.router import child_specs as router_specs
from kubeedge_actors.actors.router.rule_status import RuleCounts
from kubeedge_actors.actors.router.state import RouterConfig, RouterState
from kubeedge_actors.actors.router.status_writer import RuleStatusWriter
from kubeedge_actors.actors.synccontroller.objectsync import ObjectSyncRecord, ObjectSyncWrite
from kubeedge_actors.actors.synccontroller.objectsync_writer import ObjectSyncWriter as SyncClerk
from kubeedge_actors.actors.synccontroller.objectsync_writer import PushAgain, WriteRecords
from kubeedge_actors.actors.taskmanager.action_flow import JOB_TYPES
from kubeedge_actors.assembly.cloud_modules import leader_specs, supervision_tree
from kubeedge_actors.assembly.prerequisites import ensure_prerequisites
from kubeedge_actors.drivers.bootstrap.secret_authority import SecretBackedAuthority
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.drivers.kubelet.base import KubeletRequest
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.store.node_outbox import NodeOutboxDb
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.hubs.access_reviews import Caller
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import NODE_KIND, OBJECT_TYPES
from kubeedge_actors.supervisors import Actor, ActorSystem, ChildSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.testing import inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeletePod,
    InsertPod,
    KeepaliveReceived,
    LeadershipChanged,
    LinkMessage,
    NodeDuplicated,
    PatchNode,
    PatchPod,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    ReportNodeStatus,
    ReportPodStatus,
    RequestCertificate,
    RequestToken,
    UpdateNode,
    WriteLease,
)
from tests.support.api_client import ApiClient
from tests.support.api_objects import mirror_pod
from tests.support.clusters import DEVICE, device
from tests.support.env.application_groups import application, deployment, to_group
from tests.support.env.router import UP, FakeTarget
from tests.support.guarded_api import GuardedApi, guarded_api
from tests.support.rbac import Call
from tests.support.waiting import eventually

N = "edge-1"
WATCHED = {row.kind.plural for row in OBJECT_TYPES if row.is_synced} | {
    "objectsyncs",
    "clusterobjectsyncs",
    "rules",
    "ruleendpoints",
    *(type.kind.plural for type in JOB_TYPES.values()),
    "nodegroups",
    "edgeapplications",
}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[GuardedApi]:
    with guarded_api(tmp_path) as api:
        yield api


def lease() -> dict[str, Any]:
    return {"metadata": {"name": N, "namespace": well_known.LEASE_NAMESPACE}, "spec": {"holderIdentity": N}}


def event(**more: Any) -> dict[str, Any]:
    involved = {"kind": "Pod", "namespace": "default", "name": "p"}
    return {"metadata": {"name": "e", "namespace": "default"}, "involvedObject": involved, **more}


def everything(cluster: KubernetesCluster) -> Iterator[LinkMessage]:
    """All that a node can ask for, in an order in which it makes sense."""
    labels = {well_known.EDGE_LABEL: ""}
    insert, update, change = constants.INSERT, constants.UPDATE, constants.PATCH
    yield RegisterNode(name=N, object={"metadata": {"name": N, "labels": labels}})
    uid = cluster.get(NODE_KIND, "", N)["metadata"]["uid"]
    yield from [
        UpdateNode(name=N, object={"metadata": {"labels": labels}}),
        PatchNode(name=N, patch='{"status":{"phase":"Running"}}'),
        *(ReportNodeStatus(operation=operation, name=N, content={"Status": {}}) for operation in (insert, update)),
        QueryLease(name=N),
        *(WriteLease(operation=operation, name=N, object=lease()) for operation in (insert, update)),
        InsertPod(namespace="default", name="p", object=mirror_pod("p", N, uid)),
        PatchPod(namespace="default", name="p", patch='{"status":{"phase":"Running"}}'),
        ReportPodStatus(namespace="default", name="p", content={"Name": "p", "UID": "", "Status": {}}),
        RequestToken(namespace="default", name="default", object={"spec": {"audiences": ["a"]}}),
        RequestCertificate(name="c", object={"spec": {"request": "x", "signerName": "kubernetes.io/kubelet-serving"}}),
        ReportEvent(operation=insert, namespace="default", name="e", content=event()),
        ReportEvent(operation=update, namespace="default", name="e", content=event(count=2)),
        ReportEvent(operation=change, namespace="default", name="e", content={"event": event(), "patchData": "{}"}),
        *(QueryObject(type=type, namespace="default", name="x") for type in sorted(QUERYABLE_TYPES)),
        QueryObject(type=constants.SERVICELIST, namespace="shop", name="services"),
        DeletePod(namespace="default", name="p", options={"gracePeriodSeconds": 0}),
    ]


def ask(cluster: KubernetesCluster) -> None:
    """What the API thinks of a request does not matter here, only whether the cloud may make it."""
    usage = LocationCache()
    usage.put({"metadata": {"name": "p", "namespace": "default"}, "spec": {"nodeName": N}})
    upstream = Upstream(cluster, usage, "127.0.0.1")
    for request in everything(cluster):
        with contextlib.suppress(ClusterError):
            upstream.perform(msgspec.structs.replace(request, node=N))


def write_down(cluster: KubernetesCluster) -> None:
    """What the cloud writes by itself: records of what nodes have, statuses of devices, the Lease."""
    sync = inline(ChildSpec("clerk", lambda: SyncClerk(cluster), emits=SyncClerk.emits))
    for namespace, type, name in (("default", constants.POD, "p"), ("", constants.NODE, N)):
        for version, known in (("1", False), ("2", True), (None, True)):
            order = WriteRecords([ObjectSyncWrite(N, "uid", type, namespace, name, version, known)])
            assert sync.ask("clerk", order) == order.writes
    for type in (constants.CONFIGMAP, constants.SECRET, constants.DEVICE, constants.DEVICEMODEL):
        sync.tell("clerk", PushAgain(N, ObjectSyncRecord(type, "default", "x", "uid")))
    writer = inline(ChildSpec("writer", lambda: StatusWriter(cluster, StatusWriterState())))
    object = cluster.get(DEVICE, "default", "d")
    twins = {"power": {"actual": {"value": "1"}}}
    for status in (WriteStatus(object, {}, {}), WriteStatus(object, twins, {"state": "online"})):
        assert writer.ask("writer", status) is None
    writer.tell("writer", RemoveStatus(object))
    rules = inline(RuleStatusWriter.spec(lambda: RuleStatusWriter(cluster)))
    assert rules.ask(RuleStatusWriter.name, WriteRuleStatus(rule="default/up", counts=RuleCounts(success=1)))
    inline(NodeLeaseRenewer.spec_for(cluster)).publish(KeepaliveReceived(node=N))
    duplicates = inline(DuplicateNodeReporter.spec(lambda: DuplicateNodeReporter(cluster)))
    for _ in range(2):
        duplicates.publish(NodeDuplicated(node=N, text="two edges have this name"))
    for address in ("192.0.2.1", "192.0.2.2"):
        TunnelPort(cluster, address)()
    reviews = KubeletAuthorizer(cluster)
    asked = KubeletRequest("GET", "/pods", {"authorization": ["Bearer x"]})
    for question in (
        lambda: reviews.authenticate(asked, None),
        lambda: reviews.authorize(Caller("u"), "get", N, "proxy"),
    ):
        with contextlib.suppress(ClusterError):
            question()
    election = inline(ChildSpec("election", lambda: ElectionClerk(cluster, "one")))
    for _ in range(2):
        assert election.ask("election", TryAcquireOrRenew()).acquired
    election.tell("election", ReleaseLease())


def run(cluster: KubernetesCluster, guarded: GuardedApi, admin: ApiClient) -> None:
    """What the tree of a replica that leads watches, and what it makes of groups of nodes and of an application."""
    system = ActorSystem(ThreadsEngine())
    with contextlib.closing(NodeOutboxDb(":memory:")) as outbox:
        router = router_specs(cluster, FakeTarget(), RouterConfig(), RouterState(cluster))
        duties = leader_specs(cluster, is_embedded=False)
        system.start(supervision_tree(ChildSpec("hub", Actor), cluster, outbox, "127.0.0.1", duties, router=router))
        eventually(lambda: {call.resource for call in guarded.calls if call.verb == "watch"} >= WATCHED)
        run_jobs(system, guarded)
        deploy_to_group(admin, guarded)
        system.stop()


def run_jobs(system: ActorSystem, guarded: GuardedApi) -> None:
    """The status of a job of each type is written, and it is let go when it is deleted."""

    def patched() -> set[str]:
        return {call.resource for call in guarded.calls if call.verb == "patch"}

    admin = ApiClient(guarded.server.url)
    kinds = [type.kind for type in JOB_TYPES.values()]
    system.publish(LeadershipChanged(leading=True))
    for type in JOB_TYPES.values():
        metadata = {"name": "j", "finalizers": [f"kubeedge.io/{type.name}-controller"]}
        object = {"apiVersion": type.kind.api_version, "kind": type.kind.kind, "metadata": metadata, "spec": {}}
        admin.post(f"/apis/{type.kind.api_version}/{type.kind.plural}", object)
    eventually(lambda: patched() >= {f"{kind.plural}/status" for kind in kinds})
    for kind in kinds:
        admin.delete(f"/apis/{kind.api_version}/{kind.plural}/j")
    eventually(lambda: patched() >= {kind.plural for kind in kinds})
    admin.close()


def _made(guarded: GuardedApi, calls: set[tuple[str, str]]) -> bool:
    return calls <= {(call.verb, call.resource) for call in guarded.calls}


def deploy_to_group(admin: ApiClient, guarded: GuardedApi) -> None:
    """A group of the one node, and a Deployment and a Service for it: made, changed, taken out of the manifests."""
    meta = {"apiVersion": "apps.kubeedge.io/v1alpha1"}
    group = {**meta, "kind": "NodeGroup", "metadata": {"name": "a"}, "spec": {"nodes": [N]}}
    admin.post("/apis/apps.kubeedge.io/v1alpha1/nodegroups", group)
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    made = application(deployment(), service, targets=(to_group("a"),))
    path = "/apis/apps.kubeedge.io/v1alpha1/namespaces/default/edgeapplications"
    admin.post(path, {**meta, "kind": "EdgeApplication", **made})
    eventually(lambda: len(admin.get(f"{path}/shop").get("status", {}).get("workloadStatus", ())) == 2)
    changed = service | {"spec": {"ports": [{"port": 81}]}}
    for verb, manifests in (("patch", [deployment(image="x:2"), changed]), ("delete", [])):
        admin.patch(f"{path}/shop", {"spec": {"workloadTemplate": {"manifests": manifests}}})
        wanted = {(verb, "deployments"), (verb, "services")}
        eventually(partial(_made, guarded, wanted), f"the cloud makes use of {verb}")
    eventually(lambda: admin.get("/apis/apps.kubeedge.io/v1alpha1/nodegroups/a").get("status", {}).get("nodeStatuses"))


def test_the_rights_are_enough_and_each_is_needed(guarded: GuardedApi, tmp_path: Path) -> None:
    admin = ApiClient(guarded.server.url)
    meta = {"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device"}
    admin.post("/apis/devices.kubeedge.io/v1beta1/namespaces/default/devices", {**meta, **device("d")})
    admin.post("/apis/rules.kubeedge.io/v1/namespaces/default/rules", UP)
    cluster = KubernetesCluster(ClientConfig(url=guarded.server.url))
    ensure_prerequisites(cluster)
    ask(cluster)
    write_down(cluster)
    run(cluster, guarded, admin)
    with contextlib.closing(FileAuthority(tmp_path / "certs")) as authority:
        shared = SecretBackedAuthority(authority, cluster, well_known.SYSTEM_NAMESPACE)
        shared.sync_ca()
        shared.server_certificate(["127.0.0.1"])
        shared.write_token(tmp_path / "token")
    cluster.close()
    admin.close()
    assert guarded.refused == set(), "deploy/rbac.yaml lacks these"
    spare = {call[:3] for call in guarded.rules.unused(guarded.calls)} - ON_DEMAND
    assert spare == set(), "deploy/rbac.yaml grants these in vain"


ON_DEMAND = {Call("patch", "", "secrets")[:3], Call("update", "", "secrets")[:3]}
"""A new join token, twice a day; a renewed certificate."""
