"""F12: the embedded API over a real socket, verb by resource by whose: what a node may, for which an administrator speaks, what anonymous callers
and a node's own certificate may (nothing), and that a refusal leaves everything as it was.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kubeedge_actors.apiserver import ApiServer, TlsFiles
from tests.support.api_client import MERGE, ApiClient
from tests.support.api_objects import mirror_pod, node, pod, token_request, using
from tests.support.certificates import TestCa

Json = dict[str, Any]
ME, OTHER = "edge-1", "edge-2"
AS_ME = {"Impersonate-User": f"system:node:{ME}", "Impersonate-Group": "system:nodes"}
CORE, LEASES = "/api/v1/namespaces/default", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
DEVICES = "/apis/devices.kubeedge.io/v1beta1/namespaces/default/devices"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"
OK, CREATED, NO, ODD = 200, 201, 403, 404
LABELS = {"metadata": {"labels": {"node-restriction.kubernetes.io/x": "1"}}}
TAINTS = {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}


class Case(NamedTuple):
    """One request of edge-1, and the status that it is answered with."""

    method: str
    path: str
    status: int
    body: Json | None = None


def event(host: str, name: str = "new", about: str = "mine") -> Json:
    involved = {"kind": "Pod", "namespace": "default", "name": about}
    return {"metadata": {"name": name}, "involvedObject": involved, "source": {"host": host}, "message": "said"}


def reads(collection: str, *, listed: int = NO) -> list[Case]:
    """What is named `mine` is edge-1's, what is named `theirs` is not, and nobody may have all."""
    return [
        Case("GET", f"{collection}/mine", OK),
        Case("GET", f"{collection}/theirs", NO),
        Case("GET", f"{collection}/none", NO),
        Case("GET", collection, listed),
        Case("GET", f"{collection}?watch=true", listed),
        Case("DELETE", collection, NO),
    ]


def written(collection: str) -> list[Case]:
    """Nothing of it is a node's to write."""
    return [
        Case("POST", collection, NO, {"metadata": {"name": "new"}}),
        Case("PUT", f"{collection}/mine", NO, {"metadata": {"name": "mine"}}),
        Case("PATCH", f"{collection}/mine", NO, {"metadata": {"labels": {"a": "b"}}}),
        Case("DELETE", f"{collection}/mine", NO),
    ]


TABLE: list[Case] = [
    *(case for plural in ("secrets", "configmaps", "persistentvolumeclaims") for case in reads(f"{CORE}/{plural}")),
    *(case for plural in ("secrets", "configmaps", "persistentvolumeclaims") for case in written(f"{CORE}/{plural}")),
    *reads("/api/v1/persistentvolumes"),
    *written("/api/v1/persistentvolumes"),
    *reads(ATTACHMENTS),
    Case("GET", "/api/v1/secrets", NO),
    Case("GET", f"{CORE}/secrets?fieldSelector=metadata.name%3Dmine", OK),
    Case("GET", f"{CORE}/secrets?fieldSelector=metadata.name%3Dtheirs", NO),
    Case("GET", f"{CORE}/secrets?fieldSelector=metadata.name%21%3Dmine", NO),
    Case("GET", f"{CORE}/secrets/of-volume", OK),
    Case("GET", f"{CORE}/secrets/of-mirror", NO),
    Case("GET", "/api/v1/namespaces/kubeedge/secrets/casecret", NO),
    Case("GET", "/api/v1/namespaces/kubeedge/configmaps/casecret", NO),
    *reads(f"{CORE}/pods"),
    Case("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{ME}", OK),
    Case("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{OTHER}", NO),
    Case("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%21%3D{ME}", NO),
    Case("POST", f"{CORE}/pods", NO, pod("plain", ME)),
    Case("POST", f"{CORE}/pods", NO, mirror_pod("new", OTHER, "node-uid")),
    Case("POST", f"{CORE}/pods", CREATED, mirror_pod("new", ME, "node-uid")),
    Case("POST", f"{CORE}/pods", NO, mirror_pod("new", ME, "other")),
    Case("POST", f"{CORE}/pods", NO, mirror_pod("new", ME, "node-uid", **using(secret="theirs"))),
    Case("POST", f"{CORE}/pods", NO, mirror_pod("new", ME, "node-uid", serviceAccount="default")),
    Case("PUT", f"{CORE}/pods/mine", NO, pod("mine", ME)),
    Case("PATCH", f"{CORE}/pods/mine", NO, {"metadata": {"labels": {"a": "b"}}}),
    Case("PATCH", f"{CORE}/pods/mine/status", OK, {"status": {"phase": "Running"}}),
    Case("PATCH", f"{CORE}/pods/theirs/status", NO, {"status": {"phase": "Failed"}}),
    Case("PATCH", f"{CORE}/pods/mine/status", NO, {"metadata": {"labels": {"a": "b"}}}),
    Case("PATCH", f"{CORE}/pods/of-mirror/status", NO, {"metadata": {"annotations": None}}),
    Case("PATCH", f"{CORE}/pods/mine/status", NO, {"metadata": {"finalizers": ["x.com/y"]}}),
    Case("DELETE", f"{CORE}/pods/mine?gracePeriodSeconds=0", OK),
    Case("DELETE", f"{CORE}/pods/theirs?gracePeriodSeconds=0", NO),
    Case("POST", f"{CORE}/pods/mine/eviction", CREATED, {"metadata": {"name": "mine"}}),
    Case("POST", f"{CORE}/pods/theirs/eviction", NO, {"metadata": {"name": "theirs"}}),
    Case("POST", f"{CORE}/pods/mine/binding", NO, {"target": {"name": ME}}),
    Case("GET", f"{CORE}/pods/mine/log", NO),
    Case("GET", f"{CORE}/pods/mine/exec?command=id", NO),
    Case("GET", f"/api/v1/nodes/{ME}", OK),
    Case("GET", f"/api/v1/nodes/{OTHER}", NO),
    *(Case("GET", f"/api/v1/nodes/{name}/proxy/pods", NO) for name in (ME, OTHER)),
    Case("GET", "/api/v1/nodes", NO),
    Case("PATCH", f"/api/v1/nodes/{ME}", OK, {"metadata": {"labels": {"zone": "a"}}}),
    Case("PATCH", f"/api/v1/nodes/{ME}/status", OK, {"status": {"phase": "Running"}}),
    Case("PATCH", f"/api/v1/nodes/{OTHER}/status", NO, {"status": {"phase": "Running"}}),
    *(Case("PATCH", f"/api/v1/nodes/{ME}", NO, change) for change in (LABELS, TAINTS)),
    Case("PATCH", f"/api/v1/nodes/{ME}/status", NO, LABELS),
    Case("PATCH", f"/api/v1/nodes/{ME}", NO, {"metadata": {"ownerReferences": []}, "spec": {"configSource": {}}}),
    Case("POST", "/api/v1/nodes", NO, node("edge-3")),
    Case("DELETE", f"/api/v1/nodes/{ME}", NO),
    Case("GET", f"{LEASES}/{ME}", OK),
    Case("GET", f"{LEASES}/{OTHER}", NO),
    Case("GET", LEASES, NO),
    Case("POST", LEASES, NO, {"metadata": {"name": "edge-3"}}),
    Case("PATCH", f"{LEASES}/{ME}", OK, {"spec": {"holderIdentity": ME}}),
    Case("PATCH", f"{LEASES}/{OTHER}", NO, {"spec": {"holderIdentity": ME}}),
    Case("PUT", f"{LEASES.replace('kube-node-lease', 'default')}/{ME}", NO, {"metadata": {"name": ME}}),
    Case("POST", f"{CORE}/events", CREATED, event(ME)),
    Case("POST", f"{CORE}/events", NO, event(OTHER)),
    Case("POST", f"{CORE}/events", NO, event(ME, about="theirs")),
    Case("PATCH", f"{CORE}/events/mine", OK, {"message": "again"}),
    Case("PATCH", f"{CORE}/events/theirs", NO, {"message": "forged"}),
    Case("PUT", f"{CORE}/events/theirs", NO, event(ME, "theirs")),
    Case("PATCH", f"{CORE}/events/mine", NO, {"source": {"host": OTHER}}),
    Case("GET", f"{CORE}/events", NO),
    Case("DELETE", f"{CORE}/events/mine", NO),
    Case("GET", f"{DEVICES}/mine", OK),
    Case("GET", f"{DEVICES}/theirs", NO),
    Case("GET", DEVICES, NO),
    Case("PATCH", f"{DEVICES}/mine", NO, {"spec": {"nodeName": OTHER}}),
    Case("PATCH", f"{DEVICES}/theirs", NO, {"status": {"reportCycle": 1}}),
    Case("GET", "/api/v1/namespaces", NO),
    Case("GET", "/apis/apps/v1/namespaces/default/deployments", NO),
    Case("POST", f"{CORE}/serviceaccounts", NO, {"metadata": {"name": "new"}}),
    Case("GET", f"{CORE}/serviceaccounts/mine", NO),
]


class Stage:
    """A server over TLS with what edge-1 and edge-2 have, and clients of it."""

    def __init__(self, server: ApiServer, ca: TestCa) -> None:
        self.server, self._ca = server, ca
        self.admin = self.client("admin", "system:masters")

    def client(self, name: str = "", organization: str = "") -> ApiClient:
        """A client with a certificate of this name, or with none."""
        context = ssl.create_default_context(cafile=self._ca.path)
        if name:
            files = self._ca.client(name, organization)
            context.load_cert_chain(files.cert, files.key)
        return ApiClient(self.server.url, context)

    def ask(self, api: ApiClient, case: Case, **headers: str) -> int:
        """The status of one request; a body names the node's uid as it is."""
        body = _with_uid(case.body, self.admin.get(f"/api/v1/nodes/{ME}")["metadata"]["uid"]) if case.body else None
        kind = MERGE if case.method == "PATCH" else {}
        status: int = api.call(case.method, case.path, body, {**kind, **headers}).status
        return status

    def state(self) -> Json:
        """Everything that is stored, as an administrator sees it."""
        paths = [f"{CORE}/{plural}" for plural in ("pods", "secrets", "configmaps", "events", "serviceaccounts")]
        lists = [self.admin.get(path) for path in (*paths, "/api/v1/nodes", LEASES, DEVICES)]
        return {item["metadata"]["uid"]: item for found in lists for item in found["items"]}


def _with_uid(body: Json, uid: str) -> Json:
    owners = body.get("metadata", {}).get("ownerReferences") or []
    owned = [{**owner, "uid": uid if owner["uid"] == "node-uid" else owner["uid"]} for owner in owners]
    return {**body, "metadata": {**body["metadata"], "ownerReferences": owned}} if owned else body


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    ca = TestCa(tmp_path)
    files = ca.server("127.0.0.1")
    tls = TlsFiles(Path(files.cert), Path(files.key), Path(ca.path))
    server = ApiServer(database=tmp_path / "api.db", host="127.0.0.1", port=0, tls=tls)
    server.start()
    made = Stage(server, ca)
    try:
        _fill(made.admin)
        yield made
    finally:
        made.admin.close()
        server.stop()


def _fill(admin: ApiClient) -> None:
    for name in ("kubeedge", "kube-node-lease"):
        admin.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    for where, name in ((ME, "mine"), (OTHER, "theirs")):
        admin.post("/api/v1/nodes", node(where))
        admin.post(LEASES, {"metadata": {"name": where}, "spec": {"holderIdentity": where}})
        _fill_pod(admin, where, name)
        device = {"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device", "metadata": {"name": name}}
        admin.post(DEVICES, {**device, "spec": {"nodeName": where, "deviceModelRef": {"name": "m"}}})
        admin.post(f"{CORE}/events", event(where, name, name))
        source = {"attacher": "a", "nodeName": where, "source": {"persistentVolumeName": name}}
        admin.post(ATTACHMENTS, {"metadata": {"name": name}, "spec": source})
    for plural in ("secrets", "configmaps"):
        admin.post(f"/api/v1/namespaces/kubeedge/{plural}", {"metadata": {"name": "casecret"}})
    for name in ("of-volume", "of-mirror"):
        admin.post(f"{CORE}/secrets", {"metadata": {"name": name}})
    admin.post(f"{CORE}/pods", mirror_pod("of-mirror", ME, "u", **using(secret="of-mirror")))
    private = using(config="casecret", secret="casecret")
    admin.post("/api/v1/namespaces/kubeedge/pods", pod("agent", ME, **private))


def _fill_pod(admin: ApiClient, where: str, name: str) -> None:
    """A pod and all that it names; what is there already stays."""
    for plural in ("secrets", "configmaps", "serviceaccounts"):
        admin.call("POST", f"{CORE}/{plural}", {"metadata": {"name": name}})
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    admin.call("POST", f"{CORE}/persistentvolumeclaims", {"metadata": {"name": name}, "spec": claim})
    secret = {"nodePublishSecretRef": {"name": "of-volume", "namespace": "default"}} if name == "mine" else {}
    spec = {"claimRef": {"namespace": "default", "name": name}, "csi": {"driver": "d", "volumeHandle": "h", **secret}}
    admin.call("POST", "/api/v1/persistentvolumes", {"metadata": {"name": name}, "spec": spec})
    parts = using(config=name, secret=name, account=name)
    parts["volumes"].append({"name": "p", "persistentVolumeClaim": {"claimName": name}})
    admin.call("POST", f"{CORE}/pods", pod(name, where, **parts))


def test_a_node_for_which_an_administrator_speaks_may_what_the_table_says(stage: Stage) -> None:
    """Every case in the state that was before it: what is refused changes nothing, what is allowed is made good again."""
    before = stage.state()
    wrong: list[tuple[Any, ...]] = []
    for case in sorted(TABLE, key=lambda case: case.status != NO):
        status = stage.ask(stage.admin, case, **AS_ME)
        if status != case.status:
            wrong.append((case.method, case.path, status, case.status))
        if case.status == NO and stage.state() != before:
            wrong.append((case.method, case.path, "changed", case.body))
            before = stage.state()
        if case.method == "DELETE" and status == OK:
            _fill_pod(stage.admin, ME, "mine")
    assert wrong == []


@pytest.mark.parametrize(("name", "organization"), [("", ""), (f"system:node:{ME}", "system:nodes"), ("bob", "people")])
def test_nobody_else_may_anything(stage: Stage, name: str, organization: str) -> None:
    """Neither without a certificate nor with one that is a node's: its business is with the hub."""
    before = stage.state()
    with contextlib.closing(stage.client(name, organization)) as api:
        assert {stage.ask(api, case, **headers) for case in TABLE for headers in ({}, AS_ME)} == {NO}
    assert stage.state() == before


def test_an_administrator_may_read_everything(stage: Stage) -> None:
    of_nodes = ("watch", "exec", "/log", "/proxy")  # of which no node is there
    read = [case for case in TABLE if case.method == "GET" and not any(word in case.path for word in of_nodes)]
    assert {stage.ask(stage.admin, case) for case in read} <= {OK, ODD}


def test_a_token_is_for_a_pod_that_is_bound_to_the_node_with_its_uid(stage: Stage) -> None:
    mine, theirs = (stage.admin.get(f"{CORE}/pods/{name}") for name in ("mine", "theirs"))
    other = {"metadata": {"name": "mine", "uid": "other"}}
    mirror = stage.admin.get(f"{CORE}/pods/of-mirror")
    path = f"{CORE}/serviceaccounts/{{}}/token"
    cases = [
        *((mine, "mine", CREATED), (mine, "theirs", NO), (theirs, "theirs", NO), (other, "mine", NO)),
        *((mirror, "default", NO), (mirror, "mine", NO)),
    ]
    found = [
        stage.ask(stage.admin, Case("POST", path.format(account), 0, token_request(bound)), **AS_ME)
        for bound, account, _ in cases
    ]
    assert found == [status for _, _, status in cases]


def test_a_refusal_is_in_kubernetes_words(stage: Stage) -> None:
    answer = stage.admin.call("GET", f"{CORE}/secrets/theirs", None, AS_ME)
    assert answer.json["message"] == (
        f'secrets "theirs" is forbidden: User "system:node:{ME}" cannot get resource "secrets" in API group "" in the '
        f"namespace \"default\": no relationship found between node '{ME}' and this object"
    )
    body = {"metadata": {"labels": LABELS["metadata"]["labels"]}}
    answer = stage.admin.call("PATCH", f"/api/v1/nodes/{ME}", body, {**AS_ME, **MERGE})
    assert answer.json["message"] == (
        f'nodes "{ME}" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/x'
    )


def test_a_node_without_a_name_is_nobody(stage: Stage) -> None:
    for name in ("system:node:", "edge-1", "system:nodes"):
        headers = {"Impersonate-User": name, "Impersonate-Group": "system:nodes"}
        assert stage.ask(stage.admin, Case("GET", f"/api/v1/nodes/{ME}", 0), **headers) == NO
