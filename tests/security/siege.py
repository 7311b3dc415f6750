"""A real cloud, a node B that minds its own business, and a joined node A that is its enemy."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kubeedge_actors.drivers.cluster.client_config import from_kubeconfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import NotFound
from kubeedge_actors.kubernetes import object_types as kinds
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.wire import constants as n
from tests.recordings.fake_edge import PROJECT, bootstrap
from tests.security.hostile_frames import NAMESPACE, A, B, Case
from tests.support.cloud_and_edge import ProcessUnderTest, ending
from tests.support.fakes.raw_websocket_client import TEXT, RawClient
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually

Json = dict[str, Any]
Snapshot = dict[tuple[str, str, str], Json]

KINDS = [
    *(kind for kind in vars(kinds).values() if isinstance(kind, ResourceKind)),
    ResourceKind("rules.kubeedge.io", "v1", "rules", "Rule"),
    ResourceKind("rules.kubeedge.io", "v1", "ruleendpoints", "RuleEndpoint"),
    ResourceKind("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
]
SECRETS = ("only for node B", "only for the cluster", "settings of B", "settings of the cluster")
"""What no frame to A may hold, plainly or in base64."""


class Member:
    """A node's connection: it acknowledges what it is told and remembers it."""

    def __init__(self, name: str, port: int, tls: TlsPaths) -> None:
        self.name = name
        self.told: deque[Json] = deque()
        self._answers: dict[str, Json] = {}
        self._condition = threading.Condition()
        self._client = RawClient(port, tls)
        headers = (("Node_id", name), ("Project_id", PROJECT), ("Connectionuse", "msg"))
        reply = self._client.ask((*headers, ("User-Agent", "Go-http-client/1.1")), f"/{PROJECT}/{name}/events")
        assert reply.startswith("HTTP/1.1 101 "), reply
        self._client.socket.settimeout(None)
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def send(self, text: str) -> None:
        """Say a frame."""
        with self._sending:
            self._client.send(TEXT, text.encode())

    def say(self, operation: str, resource: str, content: Any = None, source: str = n.EDGED, parent: str = "") -> str:
        """Say something as a genuine edge does; its id."""
        header = {"msg_id": (id := str(uuid.uuid4())), "parent_msg_id": parent, "timestamp": 1}
        route = {"source": source, "group": n.GROUP_META, "operation": operation, "resource": resource}
        self.send(json.dumps({"header": header, "route": route, "content": content}))
        return id

    def ask(self, operation: str, resource: str, content: Any = None, source: str = n.EDGED) -> Json:
        """The answer to that. AssertionError when there is none."""
        id = self.say(operation, resource, content, source)
        with self._condition:
            self._condition.wait_for(lambda: id in self._answers or not self._thread.is_alive(), PATIENCE)
            assert id in self._answers, f"{self.name} has no answer to {operation} {resource}"
            return self._answers[id]

    def beat(self) -> None:
        """Renew the lease, and wait until both controllers have answered."""
        self.say(n.KEEPALIVE, n.NODE, n.PING, n.SOURCE_EDGEHUB)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        lease = {
            "metadata": {"name": self.name, "namespace": n.LEASE_NAMESPACE},
            "spec": {"holderIdentity": self.name, "renewTime": now},
        }
        path = f"{n.LEASE_NAMESPACE}/{n.LEASE}/{self.name}"
        found = self.ask(n.QUERY, path)["content"].get("Object") or {}
        operation = n.UPDATE if found.get("metadata", {}).get("uid") else n.INSERT
        answer = self.ask(
            operation, path, {**found, **lease, "metadata": {**found.get("metadata", {}), **lease["metadata"]}}
        )
        assert not answer["content"].get("Err"), answer

    def resources(self) -> set[str]:
        """What it was told about since it was asked last."""
        with self._condition:
            return {frame["route"].get("resource", "") for frame in self.told}

    def take(self) -> list[Json]:
        """What it was told since it was asked last; answers not counted."""
        with self._condition:
            told = list(self.told)
            self.told.clear()
        return told

    def answers(self) -> str:
        """All answers since it was asked last, as text."""
        with self._condition:
            text = json.dumps(list(self._answers.values()))
            self._answers.clear()
        return text

    def _listen(self) -> None:
        while (found := self._client.frame()) is not None:
            if found[0] == TEXT:
                self._heard(json.loads(found[1]))
        with self._condition:
            self._condition.notify_all()

    def _heard(self, frame: Json) -> None:
        header = frame["header"]
        with self._condition:
            if header.get("parent_msg_id"):
                self._answers[header["parent_msg_id"]] = frame
            else:
                self.told.append(frame)
            self._condition.notify_all()
        with suppress(OSError):
            self.say(n.RESPONSE, frame["route"].get("resource", ""), n.OK, parent=header["msg_id"])

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._client.socket.shutdown(2)
        self._thread.join(PATIENCE)
        self._client.socket.close()


class Siege:
    """What there is at the beginning is in `_fill`; nothing of it may change but what is A's."""

    def __init__(self, folder: Path, side: ProcessUnderTest, hub: int, https: int) -> None:
        self.side = side
        self.api = KubernetesCluster(from_kubeconfig(folder / "cloud" / "kubeconfig"))
        token = (folder / "cloud" / "token").read_text(encoding="utf-8").strip()
        self._hub = hub
        self._tls = {}
        for name in (A, B):
            (folder / name).mkdir()
            self._tls[name] = bootstrap(https, token, folder / name, name)
        self._fill_cluster()
        self.b = self._join(B)
        self._fill_node(B, NAMESPACE, "worker", "key", "settings")
        self.a = self._join(A)
        self._fill_node(A, "default", "own", "own", "own")
        self.enter()

    def enter(self) -> None:
        """Both renew their leases, B forgets what it was told so far."""
        self.a.beat()
        self.b.beat()
        self.b.take()

    def attack(self, cases: Iterable[Case], by: Member | None = None) -> list[str]:
        """A (or `by`) says these frames; what is wrong afterwards, a sentence each."""
        self.enter()
        before = self.snapshot()
        for case in cases:
            (by or self.a).send(case.text)
        for _ in range(2):  # what waits for a worker or for the write of a device follows
            self.a.beat()
        self._report_own_device()
        wrong = [*self._told_b(), *self._told_a(), *_changes(before, self.snapshot())]
        if not self.side.runs:
            wrong.append("the cloud has ended")
        return wrong

    def _report_own_device(self) -> None:
        """A's own device changes its state: when that is stored, what was said of devices before has been looked at."""
        at = str(uuid.uuid4())
        device = {"name": "own", "state": "online", "lastOnlineTime": at}
        self.a.say(
            n.UPDATE,
            f"device/default/own/{n.PATH_STATE_REPORTED}",
            json.dumps({"event_id": at, "device": device}),
            n.SOURCE_DEVICETWIN,
        )
        eventually(lambda: at in json.dumps(self.api.list(kinds.DEVICESTATUS_KIND).items), "A's own device is stored")

    def snapshot(self) -> Snapshot:
        """All objects that are not A's, without what time changes by itself."""
        found: Snapshot = {}
        for kind in KINDS:
            with suppress(NotFound):  # what this API does not serve
                for object in self.api.list(kind).items:
                    if not self._is_of_a(kind, object):
                        meta = object["metadata"]
                        found[kind.plural, meta.get("namespace", ""), meta["name"]] = _steady(object)
        return found

    def _is_of_a(self, kind: ResourceKind, object: Json) -> bool:
        meta, spec = object["metadata"], object.get("spec") or {}
        if kind.plural in ("pods", "devices"):
            return bool(spec.get("nodeName") == A)
        if kind.plural == "devicestatuses":
            return (meta["namespace"], meta["name"]) == ("default", "own")
        if kind.plural == "events":
            about = object.get("involvedObject") or {}
            return A in (object.get("source", {}).get("host"), about.get("name")) or about.get("name") == "own"
        if kind is kinds.CSR_KIND:
            return A in (meta.get("annotations") or {}).values()
        return bool(meta["name"] == A or (kind.plural.endswith("objectsyncs") and meta["name"].startswith(f"{A}.")))

    def _told_b(self) -> list[str]:
        self.b.ask(n.QUERY, f"null/{n.NODE}/{B}")
        return [f"B was told {frame['route']}: {json.dumps(frame['content'])[:200]}" for frame in self.b.take()]

    def _told_a(self) -> list[str]:
        text = self.a.answers() + json.dumps(self.a.take())
        texts = {secret: (secret, base64.b64encode(secret.encode()).decode()) for secret in (*SECRETS, *self._ca_key)}
        return [f"A was told {secret[:30]!r}" for secret, forms in texts.items() if any(form in text for form in forms)]

    def _join(self, name: str) -> Member:
        member = Member(name, self._hub, self._tls[name])
        labels = {n.EDGE_LABEL: "", "kubernetes.io/os": "linux", "kubernetes.io/hostname": name}
        ready = [{"type": "Ready", "status": "True", "reason": "EdgeReady", "message": "ready"}]
        status = {"conditions": ready, "allocatable": {"cpu": "4", "memory": "4Gi", "pods": "10"}}
        answer = member.ask(
            n.INSERT, f"null/{n.NODE}/{name}", {"metadata": {"name": name, "labels": labels}, "spec": {}}
        )
        assert not answer["content"].get("Err"), answer
        answer = member.ask(n.PATCH, f"null/{n.NODEPATCH}/{name}", json.dumps({"status": status}))
        assert not answer["content"].get("Err"), answer
        member.beat()
        return member

    def _fill_cluster(self) -> None:
        create = self.api.create
        for namespace in (NAMESPACE, "kube-system"):
            with suppress(Exception):  # the embedded API has the second from the beginning
                create(kinds.NAMESPACE_KIND, "", {"metadata": {"name": namespace}})
        create(kinds.NODE_KIND, "", {"metadata": {"name": "control"}, "spec": {"unschedulable": True}})
        create(kinds.SECRET_KIND, "kube-system", _secret("own-of-cluster", "only for the cluster"))
        create(kinds.CONFIGMAP_KIND, "kube-system", _config("settings", "settings of the cluster"))
        for name, namespace in (("claim", NAMESPACE), ("claim", "kube-system")):
            spec = {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "1Gi"}},
                "volumeName": "disk",
            }
            create(kinds.PERSISTENTVOLUMECLAIM_KIND, namespace, {"metadata": {"name": name}, "spec": spec})
        for name in ("disk", "free-disk"):
            claim = {"namespace": NAMESPACE, "name": "claim"}
            spec = {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "claimRef": claim,
                "hostPath": {"path": "/x"},
            }
            create(kinds.PERSISTENTVOLUME_KIND, "", {"metadata": {"name": name}, "spec": spec})
        about = {"kind": "Pod", "namespace": NAMESPACE, "name": "worker"}
        event = {"metadata": {"name": "worker.1"}, "involvedObject": about, "reason": "Started", "source": {"host": B}}
        create(kinds.EVENT_KIND, NAMESPACE, event)
        create(kinds.DEVICE_KIND, "kube-system", _device("lamp", ""))
        found = self.api.get(kinds.SECRET_KIND, n.SYSTEM_NAMESPACE, "casecret")["data"].values()
        self._ca_key = tuple(value[40:100] for value in found)

    def _fill_node(self, node: str, namespace: str, pod: str, secret: str, config: str) -> None:
        create = self.api.create
        create(kinds.SECRET_KIND, namespace, _secret(secret, "only for node B" if node == B else "A's own"))
        create(kinds.CONFIGMAP_KIND, namespace, _config(config, "settings of B" if node == B else "settings of A"))
        with suppress(Exception):  # `default` may be there
            create(kinds.SERVICEACCOUNT_KIND, namespace, {"metadata": {"name": "robot"}})
        volumes = [{"name": "s", "secret": {"secretName": secret}}, {"name": "c", "configMap": {"name": config}}]
        spec = {
            "containers": [{"name": "c", "image": "i"}],
            "nodeName": node,
            "volumes": volumes,
            "serviceAccountName": "robot",
        }
        create(kinds.POD_KIND, namespace, {"metadata": {"name": pod}, "spec": spec})
        properties = [{"name": "power", "type": "STRING", "accessMode": "ReadWrite"}]
        create(kinds.DEVICEMODEL_KIND, namespace, {"metadata": {"name": "lamp"}, "spec": {"properties": properties}})
        create(kinds.DEVICE_KIND, namespace, _device(device := "lamp" if node == B else "own", node))
        member = self.b if node == B else self.a
        wanted = {f"{namespace}/{n.POD}/{pod}", f"{namespace}/{n.DEVICE}/{device}", f"{namespace}/{n.DEVICEMODEL}/lamp"}
        eventually(lambda: wanted <= member.resources(), f"{node} has its pod and its device")

    def close(self) -> None:
        """Both nodes leave."""
        self.a.close()
        self.b.close()
        self.api.close()


def _secret(name: str, value: str) -> Json:
    return {"metadata": {"name": name}, "data": {"key": base64.b64encode(value.encode()).decode()}}


def _config(name: str, value: str) -> Json:
    return {"metadata": {"name": name}, "data": {"key": value}}


def _device(name: str, node: str) -> Json:
    return {
        "metadata": {"name": name},
        "spec": {"deviceModelRef": {"name": "lamp"}, **({"nodeName": node} if node else {})},
    }


def _steady(object: Json) -> Json:
    """An object without what changes by itself: who leads, and when it said so."""
    meta = object["metadata"]
    if object["kind"] == "Lease" and meta["namespace"] == n.SYSTEM_NAMESPACE:
        return {"name": meta["name"], "holder": object["spec"].get("holderIdentity")}
    return object


def _changes(before: Snapshot, after: Snapshot) -> Iterator[str]:
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key), after.get(key)
        if was != now:
            what = "made" if was is None else "deleted" if now is None else "changed"
            yield f"{what}: {'/'.join(key)}: {json.dumps(now)[:300]}"


@contextmanager
def siege(folder: Path) -> Iterator[Siege]:
    """A cloud process with both nodes joined."""
    api, hub, https = free_ports(3)
    ports = ("--api-port", str(api), "--hub-port", str(hub), "--https-port", str(https))
    side = ProcessUnderTest("kubeedge_actors.cloud", folder / "cloud", *ports)
    side.start()
    with ending(side), closing(Siege(folder, side, hub, https)) as made:
        yield made
