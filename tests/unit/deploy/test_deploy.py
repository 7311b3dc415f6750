"""The manifests fit the program, and the cloud finds or makes what it needs in a cluster."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from kubeedge_actors import deploy
from kubeedge_actors.actors.leadership.lease_lock import LEASE_NAME
from kubeedge_actors.apiserver import ApiServer
from kubeedge_actors.apiserver.crd.bundled import definitions
from kubeedge_actors.assembly import prerequisites
from kubeedge_actors.assembly.prerequisites import CRD_KIND, NEEDED, OPTIONAL, ensure_prerequisites
from kubeedge_actors.config import HTTPS_PORT, HUB_PORT, STREAM_PORT, TUNNEL_PORT
from kubeedge_actors.drivers.cluster.base import Json, OnChange
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.errors import ClusterError, Forbidden, Unreachable, UsageError
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import (
    IMAGEPREPULLJOB_KIND,
    NAMESPACE_KIND,
    RULE_KIND,
    ResourceKind,
    kinds_in,
)
from tests.support.guarded_api import GuardedApi, guarded_api
from tests.support.rbac import Call, Rules
from tests.support.waiting import PATIENCE, eventually

WRITE = "from kubeedge_actors.apiserver.crd.bundled import write; from kubeedge_actors.deploy import CRDS; write(CRDS)"


@pytest.fixture
def cluster() -> Iterator[KubernetesCluster]:
    server = ApiServer(database=":memory:", port=0)
    server.start()
    made = KubernetesCluster(ClientConfig(url=server.url))
    yield made
    made.close()
    server.stop()


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[GuardedApi]:
    with guarded_api(tmp_path) as api:
        yield api


def by_name(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {object["metadata"]["name"]: object for object in objects}


def remove_definitions(cluster: KubernetesCluster) -> None:
    for object in cluster.list(CRD_KIND).items:
        cluster.delete(CRD_KIND, "", object["metadata"]["name"])


def test_the_definitions_for_a_cluster_are_those_of_the_embedded_api() -> None:
    assert by_name(deploy.documents(deploy.CRDS)) == by_name(definitions()), f"run: python -c '{WRITE}'"


def test_the_namespace_is_the_one_that_the_cloud_uses() -> None:
    assert [object["metadata"]["name"] for object in deploy.documents(deploy.NAMESPACE)] == [
        well_known.SYSTEM_NAMESPACE
    ]


def test_what_is_missing_is_made_and_served(cluster: KubernetesCluster) -> None:
    remove_definitions(cluster)
    ensure_prerequisites(cluster)
    assert cluster.get(NAMESPACE_KIND, "", well_known.SYSTEM_NAMESPACE)
    for kind in itertools.chain(NEEDED, *OPTIONAL.values()):
        assert cluster.list(kind).items == []
    assert not cluster.unserved
    assert len(cluster.list(CRD_KIND).items) == len(definitions())


def test_what_is_there_is_left_as_it_is(cluster: KubernetesCluster) -> None:
    name = "devices.devices.kubeedge.io"
    cluster.patch(CRD_KIND, "", name, {"metadata": {"labels": {"of": "genuine"}}})
    cluster.delete(CRD_KIND, "", "objectsyncs.reliablesyncs.kubeedge.io")
    before = cluster.get(CRD_KIND, "", name)
    ensure_prerequisites(cluster)
    ensure_prerequisites(cluster)
    assert cluster.get(CRD_KIND, "", name) == before


def test_whoever_may_not_make_it_is_told_the_command(guarded: GuardedApi) -> None:
    admin = KubernetesCluster(ClientConfig(url=guarded.server.url))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guarded, "rules", Rules([]))
        with pytest.raises(
            UsageError, match=r"reading the namespace kubeedge: .* kubectl apply -f .*namespace.yaml -f .*crds"
        ):
            ensure_prerequisites(admin)
    ensure_prerequisites(admin)  # all that is needed is there
    remove = Rules([{"kind": "ClusterRole", "metadata": {}, "rules": [_all("customresourcedefinitions")]}])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guarded, "rules", remove)
        remove_definitions(admin)
    with pytest.raises(UsageError, match=r"making CustomResourceDefinition .* kubectl apply") as caught:
        ensure_prerequisites(admin)
    assert "\n" not in str(caught.value)
    admin.close()


def test_what_the_definitions_of_an_older_kubeedge_lack_is_said_in_a_sentence_and_goes_without_until_they_are_applied(
    cluster: KubernetesCluster, caplog: pytest.LogCaptureFixture
) -> None:
    ensure_prerequisites(cluster)
    of_rules, of_jobs = RULE_KIND.qualified, IMAGEPREPULLJOB_KIND.qualified
    caplog.clear()
    fresh = {object["metadata"]["name"]: object for object in definitions()}
    _only_v1alpha1(cluster, fresh[of_jobs])
    cluster.delete(CRD_KIND, "", of_rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "create", _forbidden)
        ensure_prerequisites(cluster)
    (said,) = (record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING)
    assert f"does not serve {of_rules}/v1, {of_jobs}/v1alpha2: Rules, jobs of node tasks do not act until" in said
    caplog.clear()
    seen: queue.Queue[str] = queue.Queue()
    watches = [cluster.watch(kind, _named(seen)) for kind in (RULE_KIND, IMAGEPREPULLJOB_KIND)]
    cluster.create(CRD_KIND, "", fresh[of_rules])
    cluster.replace(CRD_KIND, "", of_jobs, _at(fresh[of_jobs], cluster.get(CRD_KIND, "", of_jobs)))
    cluster.create(IMAGEPREPULLJOB_KIND, "", {"metadata": {"name": "job"}, "spec": {}})
    eventually(lambda: watches[0].synced and watches[1].synced, "both are watched")
    assert seen.get(timeout=PATIENCE) == "job"
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def _only_v1alpha1(cluster: KubernetesCluster, definition: Json) -> None:
    """The definition as KubeEdge had it before 1.21, in place of ours."""
    name = definition["metadata"]["name"]
    cluster.delete(CRD_KIND, "", name)
    old = [each | {"storage": True} for each in definition["spec"]["versions"] if each["name"] == "v1alpha1"]
    cluster.create(CRD_KIND, "", definition | {"spec": definition["spec"] | {"versions": old}})


def _at(definition: Json, known: Json) -> Json:
    version = {"resourceVersion": known["metadata"]["resourceVersion"]}
    return definition | {"metadata": definition["metadata"] | version}


def _forbidden(*_: object, **__: object) -> object:
    raise Forbidden({"code": 403, "message": "not allowed"})


def _named(seen: queue.Queue[str]) -> OnChange:
    return lambda change: seen.put(change.object["metadata"]["name"])


class _RefusingOnce:
    """A cluster that answers with these errors first, then that there is all."""

    def __init__(self, *errors: ClusterError) -> None:
        self.errors = list(errors)

    def get(self, *arguments: object) -> object:
        if self.errors:
            raise self.errors.pop(0)
        return {}

    def kinds(self, group: str, version: str) -> list[ResourceKind]:
        return kinds_in(group, version)


BAD_TOKEN = ClusterError({"code": 401, "reason": "Unauthorized", "message": "Unauthorized"})


def test_who_has_a_bad_token_is_told_so_and_not_to_apply_roles() -> None:
    with pytest.raises(UsageError, match="does not accept these credentials: look at the token") as caught:
        ensure_prerequisites(cast(KubernetesCluster, _RefusingOnce(BAD_TOKEN)))
    assert "kubectl apply" not in str(caught.value)


def test_what_an_api_that_has_just_come_up_refuses_is_tried_again() -> None:
    starting = _RefusingOnce(Unreachable("refused"), BAD_TOKEN, Forbidden({"code": 403, "message": "no roles yet"}))
    ensure_prerequisites(cast(KubernetesCluster, starting))
    assert not starting.errors


def _all(resource: str) -> dict[str, Any]:
    return {"apiGroups": ["apiextensions.k8s.io"], "resources": [resource], "verbs": ["list", "delete"]}


def test_an_api_that_comes_up_late_is_waited_for_and_one_that_never_does_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    server = ApiServer(database=tmp_path / "db", port=port)
    cluster = KubernetesCluster(ClientConfig(url=f"http://127.0.0.1:{port}"))
    looked = []

    def look() -> bool:
        looked.append(True)
        if len(looked) == 2:
            server.start()
        return False

    ensure_prerequisites(cluster, look)
    server.stop()
    assert len(looked) >= 2
    with pytest.raises(Unreachable):
        ensure_prerequisites(cluster, lambda: True)
    monkeypatch.setattr(prerequisites, "ANSWER_WITHIN", 0.0)
    with pytest.raises(Unreachable, match="does not answer"):
        ensure_prerequisites(cluster)
    cluster.close()


def test_every_role_is_bound_to_the_account_that_the_deployment_runs_as() -> None:
    files = (deploy.RBAC, deploy.FOLDER / "impersonate-nodes.yaml", deploy.FOLDER / "cloud.yaml")
    objects = [object for file in files for object in deploy.documents(file)]
    account = next(obj for obj in objects if obj["kind"] == "ServiceAccount")["metadata"]
    roles = {
        (o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"])
        for o in objects
        if o["kind"].endswith("Role")
    }
    bound = set()
    for obj in objects:
        if obj["kind"].endswith("RoleBinding"):
            assert [(s["kind"], s["name"], s["namespace"]) for s in obj["subjects"]] == [
                ("ServiceAccount", account["name"], account["namespace"])
            ]
            bound.add((obj["roleRef"]["kind"], obj["metadata"].get("namespace"), obj["roleRef"]["name"]))
    assert bound == roles
    pod = next(obj for obj in objects if obj["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["name"]


def test_the_deployment_has_two_replicas_behind_the_ports_that_nodes_dial() -> None:
    objects = deploy.documents(deploy.FOLDER / "cloud.yaml")
    deployment, service = (next(o for o in objects if o["kind"] == kind) for kind in ("Deployment", "Service"))
    assert deployment["spec"]["replicas"] == 2
    assert [port["port"] for port in service["spec"]["ports"]] == [HUB_PORT, HTTPS_PORT, STREAM_PORT, TUNNEL_PORT]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()


def test_what_the_cloud_may_do_in_the_name_of_nodes_is_a_file_of_its_own_and_ends_at_their_group() -> None:
    rules = Rules(deploy.documents(deploy.FOLDER / "impersonate-nodes.yaml"))
    assert rules.allow(Call("impersonate", "", "users", "", "system:node:edge-1"))
    assert rules.allow(Call("impersonate", "", "groups", "", "system:nodes"))
    assert not rules.allow(Call("impersonate", "", "groups", "", "system:masters"))
    assert not Rules(deploy.documents(deploy.RBAC)).allow(Call("impersonate", "", "users", "", "system:node:edge-1"))


def test_the_manifest_grants_the_election_and_no_secret_beyond_reading() -> None:
    rules = Rules(deploy.documents(deploy.RBAC))
    assert rules.allow(Call("update", "coordination.k8s.io", "leases", well_known.SYSTEM_NAMESPACE, LEASE_NAME))
    assert not rules.allow(Call("update", "coordination.k8s.io", "leases", well_known.SYSTEM_NAMESPACE, "another"))
    assert not rules.allow(Call("update", "", "secrets", well_known.SYSTEM_NAMESPACE, "another"))
    assert not rules.allow(Call("update", "", "secrets", "default", "casecret"))
    assert not rules.allow(Call("delete", "", "nodes", "", "edge-1"))
    assert not rules.allow(Call("create", "apiextensions.k8s.io", "customresourcedefinitions"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--in-cluster"], "cloud: this is not a pod: KUBERNETES_SERVICE_HOST is not set; give a kubeconfig"),
        (["--in-cluster", "--kubeconfig", "x"], "cloud: --kubeconfig and --in-cluster exclude each other"),
        (["--kubeconfig", "two", "--context", "third"], "cloud: two has no entry 'third' in `contexts`"),
    ],
)
def test_a_cluster_that_can_not_be_meant_is_a_sentence(tmp_path: Path, options: list[str], sentence: str) -> None:
    (tmp_path / "two").write_text("current-context: a\ncontexts: [{name: a}, {name: b}]\n")
    ports = ("--hub-port", "0", "--https-port", "0")
    command = (sys.executable, "-m", "kubeedge_actors.cloud", "--data-dir", str(tmp_path / "data"), *ports, *options)
    environment = {key: value for key, value in os.environ.items() if key != "KUBERNETES_SERVICE_HOST"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert (done.returncode, done.stderr.strip().splitlines()[-1:], done.stdout) == (2, [sentence], "")
