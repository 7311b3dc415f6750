"""What EdgeController pushes when something changes in the API, and that its crashes lose nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.edgecontroller.controller import child_specs
from kubeedge_actors.actors.edgecontroller.location_cache import LocationCache
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND, NODE_KIND, POD_KIND, SECRET_KIND
from kubeedge_actors.kubernetes.pod_references import ConfigReference, config_references
from kubeedge_actors.testing import crash_at, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import NodeRemoved, ObjectPushed
from tests.support.api_objects import node, pod, put_config, put_node, put_pod, put_secret, using
from tests.support.env.edgecontroller import EdgeControllerEnv

INSERT, UPDATE, DELETE = constants.INSERT, constants.UPDATE, constants.DELETE


@pytest.fixture
def edge() -> EdgeControllerEnv:
    made = EdgeControllerEnv()
    put_node(made.api)
    assert made.pushed() == [("edge-1", UPDATE, constants.NODE, "edge-1")]
    return made


def test_a_pod_is_pushed_to_its_edge_node_with_kind_and_version(edge: EdgeControllerEnv) -> None:
    made = put_pod(edge.api, "p")
    edge.harness.run()
    push = edge.hub.only()
    assert (push.node, push.operation, push.namespace, push.name) == ("edge-1", INSERT, "default", "p")
    assert push.object == made
    assert (push.object["kind"], push.object["apiVersion"]) == ("Pod", "v1")
    assert push.resource_version == made["metadata"]["resourceVersion"]


def test_pods_of_other_nodes_and_unbound_ones_are_not_pushed(edge: EdgeControllerEnv) -> None:
    put_node(edge.api, "server-1", edge=False)
    put_pod(edge.api, "a", "server-1")
    put_pod(edge.api, "b", "")
    assert edge.pushed() == []


def test_a_pod_that_is_bound_later_is_an_insert(edge: EdgeControllerEnv) -> None:
    put_pod(edge.api, "p", "")
    edge.harness.run()
    binding = {"target": {"kind": "Node", "name": "edge-1"}}
    edge.api.create(POD_KIND, "default", binding, name="p", subresource="binding")
    assert edge.pushed() == [("edge-1", INSERT, constants.POD, "p")]


def test_a_change_of_status_alone_is_an_echo(edge: EdgeControllerEnv) -> None:
    put_pod(edge.api, "p")
    edge.pushed()
    edge.api.patch(POD_KIND, "default", "p", {"status": {"phase": "Running"}}, subresource="status")
    edge.api.patch(NODE_KIND, "", "edge-1", {"status": {"phase": "x"}}, subresource="status")
    assert sorted(edge.pushed(echo=True)) == [
        ("edge-1", UPDATE, constants.NODE, "edge-1"),
        ("edge-1", UPDATE, constants.POD, "p"),
    ]


def test_labels_spec_and_deletion_are_pushed(edge: EdgeControllerEnv) -> None:
    put_pod(edge.api, "p")
    edge.pushed()
    edge.api.patch(POD_KIND, "default", "p", {"metadata": {"labels": {"a": "b"}}})
    assert edge.pushed() == [("edge-1", UPDATE, constants.POD, "p")]
    edge.api.patch(POD_KIND, "default", "p", {"spec": {"activeDeadlineSeconds": 9}})
    assert edge.pushed() == [("edge-1", UPDATE, constants.POD, "p")]
    edge.api.delete(POD_KIND, "default", "p")
    assert edge.pushed() == [("edge-1", UPDATE, constants.POD, "p")]
    edge.api.delete(POD_KIND, "default", "p", grace=0)
    assert edge.pushed()[-1] == ("edge-1", DELETE, constants.POD, "p")


def test_a_node_label_is_pushed_to_the_node_and_its_deletion_ends_the_session(edge: EdgeControllerEnv) -> None:
    edge.api.patch(NODE_KIND, "", "edge-1", {"metadata": {"labels": {"zone": "a"}}})
    assert edge.pushed() == [("edge-1", UPDATE, constants.NODE, "edge-1")]
    edge.api.delete(NODE_KIND, "", "edge-1")
    edge.harness.run()
    assert edge.hub.only() == NodeRemoved(node="edge-1")


def test_config_maps_and_secrets_go_to_the_nodes_whose_pods_use_them(edge: EdgeControllerEnv) -> None:
    put_node(edge.api, "edge-2")
    put_pod(edge.api, "a", "edge-1", **using(config="c", secret="s"))
    put_pod(edge.api, "b", "edge-2", **using(config="c"))
    edge.pushed()
    put_config(edge.api, "c")
    put_config(edge.api, "other")
    put_secret(edge.api, "s")
    assert edge.pushed() == [
        ("edge-1", INSERT, constants.CONFIGMAP, "c"),
        ("edge-2", INSERT, constants.CONFIGMAP, "c"),
        ("edge-1", UPDATE, constants.SECRET, "s"),  # the original never inserts a secret
    ]
    edge.api.patch(CONFIGMAP_KIND, "default", "c", {"data": {"x": "y"}})
    assert [entry[:2] for entry in edge.pushed()] == [("edge-1", UPDATE), ("edge-2", UPDATE)]
    edge.api.delete(SECRET_KIND, "default", "s")
    edge.harness.run()
    push = edge.hub.only()
    assert (push.operation, push.object["data"]) == (DELETE, {"key": "cmVkYWN0ZWQ="})


def test_a_node_keeps_hearing_of_an_object_after_its_pod_is_gone_until_the_object_is(edge: EdgeControllerEnv) -> None:
    put_pod(edge.api, "p", **using(config="c"))
    put_config(edge.api, "c")
    edge.pushed()
    edge.api.delete(POD_KIND, "default", "p", grace=0)
    edge.pushed()
    edge.api.patch(CONFIGMAP_KIND, "default", "c", {"data": {"x": "y"}})
    assert edge.pushed() == [("edge-1", UPDATE, constants.CONFIGMAP, "c")]
    edge.api.delete(CONFIGMAP_KIND, "default", "c")
    assert edge.pushed() == [("edge-1", DELETE, constants.CONFIGMAP, "c")]
    put_config(edge.api, "c")
    assert edge.pushed() == []


def test_an_object_made_again_is_pushed_to_those_who_still_use_it(edge: EdgeControllerEnv) -> None:
    put_pod(edge.api, "p", **using(config="c"))
    put_config(edge.api, "c")
    edge.api.delete(CONFIGMAP_KIND, "default", "c")
    edge.pushed()
    put_config(edge.api, "c")
    assert edge.pushed() == [("edge-1", INSERT, constants.CONFIGMAP, "c")]


def test_of_what_was_there_before_only_used_objects_are_told_so_that_it_is_known_whose_they_are() -> None:
    api = FakeCluster()
    put_node(api)
    put_config(api, "c")
    put_config(api, "unused")
    put_pod(api, "p", **using(config="c"))
    harness = inline(*child_specs(api, "192.0.2.9", workers=1, lease_workers=1))
    hub = harness.probe(ObjectPushed, NodeRemoved)
    harness.run()
    assert [(m.node, m.operation, m.type, m.name) for m in hub.take()] == [("edge-1", INSERT, constants.CONFIGMAP, "c")]
    api.patch(CONFIGMAP_KIND, "default", "c", {"data": {"x": "y"}})
    harness.run()
    assert [m.operation for m in hub.take()] == [UPDATE]


class LatePods(FakeCluster):
    """It takes until `tell` to have told of all pods."""

    tell: Any

    def watch(self, kind: Any, on_change: Any, on_synced: Any = None, **more: Any) -> Any:
        """See base.Cluster."""
        if kind == POD_KIND:
            self.tell, on_synced = on_synced, None
        return super().watch(kind, on_change, on_synced, **more)


def test_an_object_that_changes_before_the_pods_are_known_is_pushed_to_its_nodes_when_they_are() -> None:
    api = LatePods()
    put_node(api)
    put_pod(api, "p", **using(config="c"))
    put_config(api, "c")
    put_config(api, "nobodys")
    edge = EdgeControllerEnv(api)
    api.patch(CONFIGMAP_KIND, "default", "c", {"data": {"a": "b"}})
    edge.harness.run()
    edge.harness.crash(constants.EDGECONTROLLER)
    assert edge.pushed() == []
    api.tell()
    assert set(edge.pushed()) == {("edge-1", what, constants.CONFIGMAP, "c") for what in (INSERT, UPDATE)}


def test_what_changes_while_it_is_down_is_pushed_after_the_restart(edge: EdgeControllerEnv) -> None:
    edge.harness.crash(constants.EDGECONTROLLER)
    put_pod(edge.api, "p")
    put_pod(edge.api, "q")
    edge.harness.advance(60)
    assert edge.pushed() == [("edge-1", INSERT, constants.POD, "p"), ("edge-1", INSERT, constants.POD, "q")]
    put_pod(edge.api, "r")
    assert edge.pushed() == [("edge-1", INSERT, constants.POD, "r")]


def test_a_crash_in_the_middle_of_changes_loses_none() -> None:
    api = FakeCluster()
    children = child_specs(api, "192.0.2.9", workers=1, lease_workers=1)
    harness = inline(*children[:-1], crash_at(children[-1], 3, 4))
    hub = harness.probe(ObjectPushed, NodeRemoved)
    harness.run()
    put_node(api)
    harness.run()
    for name in ("a", "b", "c"):
        put_pod(api, name)
        harness.advance(30)
    assert [m.name for m in hub.received if m.type == constants.POD] == ["a", "b", "c"]
    assert len(harness.crashes) == 2


def test_an_object_of_a_strange_shape_does_not_keep_others_from_their_nodes(
    edge: EdgeControllerEnv, caplog: pytest.LogCaptureFixture
) -> None:
    edge.api.create(POD_KIND, "default", {"metadata": {"name": "odd"}, "spec": {"nodeName": "edge-1", "volumes": 7}})
    put_pod(edge.api, "p")
    assert edge.pushed() == [("edge-1", INSERT, constants.POD, "p")]
    assert "Pod odd is malformed and ignored" in caplog.text


FULL_POD = {
    "metadata": {"name": "p", "namespace": "n"},
    "spec": {
        "imagePullSecrets": [{"name": "pull"}],
        "volumes": [
            {"configMap": {"name": "c1"}},
            {"secret": {"secretName": "s1"}},
            {
                "projected": {
                    "sources": [{"configMap": {"name": "c2"}}, {"secret": {"name": "s2"}}, {"downwardAPI": {}}]
                }
            },
            {"persistentVolumeClaim": {"claimName": "v"}},
            {"csi": {"nodePublishSecretRef": {"name": "s3"}}},
            {"emptyDir": {}},
        ],
        "containers": [
            {"envFrom": [{"configMapRef": {"name": "c3"}}, {"secretRef": {"name": "s4"}}]},
            {"env": [{"valueFrom": {"secretKeyRef": {"name": "s5"}}}, {"name": "PLAIN", "value": "x"}]},
        ],
        "initContainers": [{"env": [{"valueFrom": {"configMapKeyRef": {"name": "c4"}}}]}],
    },
}


def test_all_places_where_a_pod_names_an_object_are_found() -> None:
    named = {(reference.type, reference.name) for reference in config_references(FULL_POD)}
    assert named == {
        *((constants.CONFIGMAP, f"c{number}") for number in range(1, 5)),
        *((constants.SECRET, f"s{number}") for number in range(1, 6)),
        (constants.SECRET, "pull"),
        (constants.PERSISTENTVOLUMECLAIM, "v"),
    }
    assert {reference.namespace for reference in config_references(FULL_POD)} == {"n"}


PODS, NODES, CONFIGS = st.sampled_from("pq"), st.sampled_from(["n1", "n2", ""]), st.sets(st.sampled_from("ab"))


@given(st.lists(st.tuples(PODS, NODES, CONFIGS, st.booleans()), max_size=20))
def test_who_uses_what_is_what_the_living_pods_say(steps: list[tuple[str, str, set[str], bool]]) -> None:
    usage, living, ever = LocationCache(), {}, set()
    for name, where, configs, lives in steps:
        object = pod(name, where, volumes=[{"configMap": {"name": config}} for config in configs])
        object["metadata"]["namespace"] = "default"
        if lives:
            usage.put(object)
            living[name] = (where, configs)
            ever |= {(where, config) for config in configs if where}
        else:
            usage.remove(object)
            living.pop(name, None)
        for config in "ab":
            reference = ConfigReference(constants.CONFIGMAP, "default", config)
            for place in ("n1", "n2"):
                users = any(w == place and config in c for w, c in living.values())
                assert usage.node_uses(place, reference) == users
            assert usage.nodes_for(reference) == sorted({w for w, c in ever if c == config})


def test_a_node_that_is_gone_holds_nothing_any_more() -> None:
    usage, used = LocationCache(), pod("p", "n1", volumes=[{"configMap": {"name": "c"}}])
    usage.put(used)
    usage.remove(used)
    reference = ConfigReference(constants.CONFIGMAP, "", "c")
    assert usage.nodes_for(reference) == ["n1"]
    usage.forget_node("n1")
    assert usage.nodes_for(reference) == []


def test_a_node_that_is_no_edge_node_any_more_is_gone(edge: EdgeControllerEnv) -> None:
    edge.api.patch(NODE_KIND, "", "edge-1", {"metadata": {"labels": {well_known.EDGE_LABEL: None}}})
    edge.harness.run()
    assert edge.hub.take() == [NodeRemoved(node="edge-1")]
    assert node("x")["metadata"]["labels"] == {well_known.EDGE_LABEL: ""}
