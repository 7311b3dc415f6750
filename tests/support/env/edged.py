"""Edged on the fake engine, with a stand-in for MetaManager and the cloud behind it that answers as the recordings do."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from kubeedge_actors.actors.edged.edged import Edged
from kubeedge_actors.actors.edged.messages import LinkState
from kubeedge_actors.actors.edged.runtime.worker_pool import InlineWorkerPool
from kubeedge_actors.drivers.containers.fake import FakeContainers, FakeRuntime
from kubeedge_actors.drivers.machine.base import HealthProbe, StaticPodSource
from kubeedge_actors.drivers.machine.fake import FakeMachine
from kubeedge_actors.drivers.machine.volumes import LocalPodVolumes
from kubeedge_actors.module import Module, on
from kubeedge_actors.testing import inline
from kubeedge_actors.wire.messages import (
    DeletePod,
    ErrorResponse,
    InsertPod,
    LinkDown,
    LinkMessage,
    LinkUp,
    ListPods,
    PatchNode,
    PatchPod,
    PodChanged,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    RequestToken,
    Response,
    UpdateNode,
    WriteLease,
)

Json = dict[str, Any]
Message = TypeVar("Message", bound=LinkMessage)
MERGED = {"conditions": "type", "podIPs": "ip", "hostIPs": "ip", "addresses": "type"}
NODE, ADDRESS = "edge-2", "192.0.2.2"


def patched(old: Json, patch: Json) -> Json:
    """`old` with a strategic merge patch applied, as an API server does it."""
    new = copy.deepcopy(old)
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            new.pop(key, None)
        elif isinstance(value, dict):
            new[key] = patched(new.get(key) or {}, value)
        elif isinstance(value, list) and key in MERGED:
            new[key] = _merged(new.get(key) or [], value, MERGED[key], patch.get(f"$setElementOrder/{key}"))
        else:
            new[key] = value
    return new


def _merged(old: list[Json], patch: list[Json], by: str, order: list[Json] | None) -> list[Json]:
    if any(item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if "$patch" not in item]
    items = {item[by]: item for item in old}
    for item in patch:
        if item.get("$patch") == "delete":
            items.pop(item[by], None)
        else:
            items[item[by]] = patched(items[item[by]], item) if item[by] in items else item
    names = [item[by] for item in order or ()]
    return [items[name] for name in names if name in items] + [v for k, v in items.items() if k not in names]


def error(reason: str, code: int = 404) -> Json:
    return {"ErrStatus": {"metadata": {}, "status": "Failure", "reason": reason, "code": code, "message": reason}}


class FakeMetaManager(Module):
    """MetaManager with the cloud behind it; `said` is all that Edged told it. Offline it refuses."""

    name = "metamanager"

    def __init__(self) -> None:
        self.said: list[LinkMessage] = []
        self.pods: dict[str, Json] = {}
        self.objects: dict[tuple[str, str], Json] = {}
        self.node: Json | None = None
        self.stored_node: Json | None = None
        self.lease: Json | None = None
        self.online = True
        self.deaf: set[type] = set()
        self.newest = 100

    def put(self, pod: Json) -> Json:
        """Store a pod with the next version."""
        self.newest += 1
        metadata = {**pod["metadata"], "resourceVersion": str(self.newest)}
        self.pods[metadata["uid"]] = {**pod, "metadata": metadata}
        return self.pods[metadata["uid"]]

    def of(self, kind: type[Message]) -> list[Message]:
        """What was said of this kind."""
        return [message for message in self.said if type(message) is kind]

    def _answer(self, message: LinkMessage, content: Any) -> None:
        if type(message) not in self.deaf:
            self.tell("edged", Response(parent_msg_id=message.msg_id, resource="r", content=content))

    def _refused(self, message: LinkMessage) -> bool:
        self.said.append(message)
        if not self.online:
            self.tell("edged", ErrorResponse(parent_msg_id=message.msg_id, resource="r", reason="not connected"))
        return not self.online

    @on
    def on_list_pods(self, message: ListPods) -> list[Json]:
        return list(self.pods.values())

    @on
    def on_query_object(self, message: QueryObject) -> None:
        self.said.append(message)
        object = self.stored_node if message.type == "node" else self.objects.get((message.type, message.name))
        if object is None and not self.online and message.type != "node":
            self.tell("edged", ErrorResponse(parent_msg_id=message.msg_id, resource="r", reason="not connected"))
        else:
            self._answer(message, object or error("NotFound"))

    @on
    def on_request_token(self, message: RequestToken) -> None:
        if not self._refused(message):
            self._answer(message, {**message.object, "status": {"token": "t0ken", "expirationTimestamp": "x"}})

    @on
    def on_register_node(self, message: RegisterNode) -> None:
        if self._refused(message):
            return
        if self.node is not None:
            self._answer(message, {"Object": {"metadata": {"labels": {}}}, "Err": error("AlreadyExists", 409)})
            return
        self.node = {**message.object, "metadata": {**message.object["metadata"], "uid": "node-uid"}}
        self._answer(message, {"Object": self.node, "Err": None})

    @on
    def on_update_node(self, message: UpdateNode) -> None:
        if not self._refused(message) and self.node is not None:
            self.node = {**self.node, "metadata": message.object["metadata"]}
            self._answer(message, "OK")

    @on
    def on_patch_node(self, message: PatchNode) -> None:
        if self._refused(message):
            return
        if self.node is None:
            self._answer(message, {"Object": {"metadata": {}}, "Err": error("NotFound")})
            return
        self.node = patched(self.node, msgspec.json.decode(message.patch))
        self._answer(message, {"Object": self.node, "Err": None})

    @on
    def on_query_lease(self, message: QueryLease) -> None:
        if not self._refused(message):
            self._answer(message, {"Object": self.lease, "Err": None if self.lease else error("NotFound")})

    @on
    def on_write_lease(self, message: WriteLease) -> None:
        if self._refused(message):
            return
        version = message.object["metadata"].get("resourceVersion")
        if message.operation == "update" and (self.lease or {}).get("metadata", {}).get("resourceVersion") != version:
            self._answer(message, {"Object": None, "Err": error("Conflict", 409)})
            return
        self.newest += 1
        metadata = {**message.object["metadata"], "resourceVersion": str(self.newest)}
        self.lease = {**message.object, "metadata": metadata}
        self._answer(message, {"Object": self.lease, "Err": None})

    @on
    def on_insert_pod(self, message: InsertPod) -> None:
        if not self._refused(message):
            pod = message.object
            stored = self.put({**pod, "metadata": {**pod["metadata"], "uid": f"mirror-{self.newest}"}})
            self._answer(message, {"Object": stored, "Err": None})

    @on
    def on_patch_pod(self, message: PatchPod) -> None:
        if self._refused(message):
            return
        patch = msgspec.json.decode(message.patch)
        pod = self.pods.get(patch["metadata"]["uid"])
        if pod is None:
            self._answer(message, {"Object": {"metadata": {}}, "Err": error("NotFound")})
            return
        self._answer(message, {"Object": self.put(patched(pod, patch)), "Err": None})

    @on
    def on_report_event(self, message: ReportEvent) -> None:
        self.said.append(message)

    @on
    def on_delete_pod(self, message: DeletePod) -> None:
        self.said.append(message)
        if self.online:
            self._answer(message, "OK")
            deleted = self.pods.pop(message.options["preconditions"]["uid"], None)
            if deleted is not None:
                self.tell("edged", PodChanged(operation="delete", object=deleted))


class FakeProber:
    """Answers probes over the network with `why`: empty is good. `unable`: why there are none of gRPC."""

    def __init__(self) -> None:
        self.why = self.unable = ""
        self.asked: list[HealthProbe] = []

    def probe(self, probe: HealthProbe, timeout: float) -> str:
        self.asked.append(probe)
        return self.why

    def refusal(self, probe: HealthProbe) -> str:
        return self.unable if probe.grpc else ""


class FakeManifests:
    """A folder of manifests in memory."""

    def __init__(self, pods: Iterable[Json] = ()) -> None:
        self.pods = list(pods)
        self._read: list[Json] | None = None

    def has_changed(self) -> bool:
        return self._read != self.pods

    def read(self) -> list[tuple[str, Json]]:
        self._read = list(self.pods)
        return [(f"/manifests/{number}.yaml", pod) for number, pod in enumerate(self.pods)]


class EdgedEnv:
    """One node. `start` begins it; time stands still but for `advance`."""

    def __init__(self, folder: Path, manifests: StaticPodSource | None = None, now: float = 1_700_000_000.0) -> None:
        self.folder = folder
        self.cloud, self.prober, self.host, self.link = FakeMetaManager(), FakeProber(), FakeMachine(), LinkState()
        self.folders = LocalPodVolumes(folder)
        self.manifests = manifests
        self.engine = FakeContainers()
        self.harness = inline(self.cloud, Edged.spec(self.make))
        self.harness.clock._start = now
        self.engine.clock = self.harness.clock.now

    def make(self) -> Edged:
        return Edged(
            events=True,
            node_name=NODE,
            runtime=FakeRuntime(self.engine),
            folders=self.folders,
            host=self.host,
            prober=self.prober,
            address=ADDRESS,
            product="0.1.0",
            manifests=self.manifests,
            link=self.link,
            workers=_inline,
        )

    def start(self, *, online: bool = True) -> EdgedEnv:
        self.harness.run()
        self.cloud.online = online
        if online:
            self.harness.publish(LinkUp())
        return self

    def offline(self) -> None:
        self.cloud.online = False
        self.harness.publish(LinkDown(reason="test"))

    def online(self, *, native: bool = False) -> None:
        self.cloud.online = True
        self.harness.publish(LinkUp(cloud_renews_lease=native))

    def apply(self, pod: Json, operation: str = "insert") -> None:
        """The cloud says that this is the pod."""
        self.harness.tell("edged", PodChanged(operation=operation, object=self.cloud.put(pod)))

    def remove(self, uid: str) -> None:
        self.harness.tell("edged", PodChanged(operation="delete", object=self.cloud.pods.pop(uid)))

    def delete(self, uid: str, grace: int = 3) -> None:
        """The cloud asks for the end of the pod."""
        pod = self.cloud.pods[uid]
        marks = {"deletionTimestamp": "2026-11-22T19:05:08Z", "deletionGracePeriodSeconds": grace}
        self.apply({**pod, "metadata": {**pod["metadata"], **marks}}, "update")

    def status(self, uid: str) -> Json:
        """The status that the cloud has."""
        return dict(self.cloud.pods[uid]["status"])

    def until(self, condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Advance until it holds."""
        for _ in range(int(seconds * 2)):
            if condition():
                return
            self.harness.advance(0.5)
        raise AssertionError("it did not come to that")


def _inline(limit: int) -> InlineWorkerPool:
    return InlineWorkerPool()


def pod(uid: str = "u-1", name: str = "shop", **spec: Any) -> Json:
    """A pod of this node with one container `main`."""
    container = {"name": "main", "image": "app:1", "command": ["/app"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "uid": uid},
        "spec": {"nodeName": NODE, "restartPolicy": "Always", "containers": [container], **spec},
        "status": {"phase": "Pending", "qosClass": "BestEffort"},
    }
