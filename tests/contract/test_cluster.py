"""What every Cluster driver promises: one suite for the fake and for the real client on the embedded API server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubeedge_actors.drivers.cluster.base import (
    Cluster,
    PatchType,
    object_reference,
)
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND, LEASE_KIND, NODE_KIND, POD_KIND, SERVICEACCOUNT_KIND
from tests.support.clusters import DEVICE, DRIVERS, Listener, config, device, pod

PATCHES: tuple[PatchType, ...] = ("merge", "strategic")


@pytest.fixture(params=sorted(DRIVERS))
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    with DRIVERS[request.param]() as driver:
        yield driver


def test_a_created_object_comes_back_whole_and_identified(cluster: Cluster) -> None:
    made = cluster.create(CONFIGMAP_KIND, "default", config("c", a="1"))
    assert (made["apiVersion"], made["kind"], made["data"]) == ("v1", "ConfigMap", {"a": "1"})
    assert (
        object_reference(made).namespace == "default"
        and object_reference(made).uid
        and int(object_reference(made).version) > 0
    )
    assert cluster.get(CONFIGMAP_KIND, "default", "c") == made


def test_no_answer_carries_managed_fields(cluster: Cluster) -> None:
    cluster.create(CONFIGMAP_KIND, "default", config("c"))
    patched = cluster.patch(CONFIGMAP_KIND, "default", "c", {"data": {"x": "y"}})
    listed = [item for item in cluster.list(CONFIGMAP_KIND, "default").items if item["metadata"]["name"] == "c"]
    assert "managedFields" not in patched["metadata"]
    assert "managedFields" not in listed[0]["metadata"]


def test_what_is_not_there_is_not_found(cluster: Cluster) -> None:
    for attempt in (
        lambda: cluster.get(POD_KIND, "default", "none"),
        lambda: cluster.delete(POD_KIND, "default", "none"),
        lambda: cluster.patch(POD_KIND, "default", "none", {}),
    ):
        with pytest.raises(NotFound) as caught:
            attempt()
        assert (caught.value.code, caught.value.reason) == (404, "NotFound")
        assert str(caught.value) == 'pods "none" not found'


def test_a_second_object_of_the_name_already_exists(cluster: Cluster) -> None:
    cluster.create(NODE_KIND, "", {"metadata": {"name": "n"}})
    with pytest.raises(AlreadyExists) as caught:
        cluster.create(NODE_KIND, "", {"metadata": {"name": "n"}})
    assert str(caught.value) == 'nodes "n" already exists'
    assert caught.value.status["details"] == {"name": "n", "kind": "nodes"}


def test_replacing_an_old_version_is_a_conflict(cluster: Cluster) -> None:
    first = cluster.create(CONFIGMAP_KIND, "default", config("c", a="1"))
    second = cluster.replace(CONFIGMAP_KIND, "default", "c", {**first, "data": {"a": "2"}})
    assert second["data"] == {"a": "2"}
    with pytest.raises(Conflict):
        cluster.replace(CONFIGMAP_KIND, "default", "c", {**first, "data": {"a": "3"}})


def test_a_patch_that_names_another_version_is_a_conflict(cluster: Cluster) -> None:
    made = cluster.create(DEVICE, "default", device("d"))
    cluster.patch(DEVICE, "default", "d", {"metadata": {"labels": {"a": "b"}}})
    stale = {"metadata": {"resourceVersion": object_reference(made).version}, "status": {"x": 1}}
    with pytest.raises(Conflict):
        cluster.patch(DEVICE, "default", "d", stale)


def test_a_merge_patch_adds_changes_and_removes(cluster: Cluster) -> None:
    cluster.create(CONFIGMAP_KIND, "default", config("c", a="1", b="2"))
    patched = cluster.patch(CONFIGMAP_KIND, "default", "c", '{"data":{"a":null,"b":"3","c":"4"}}')
    assert patched["data"] == {"b": "3", "c": "4"}


def test_a_strategic_patch_of_status_merges_conditions_by_type(cluster: Cluster) -> None:
    node = {"metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    cluster.create(NODE_KIND, "", node)
    patch = (
        '{"status":{"$setElementOrder/conditions":[{"type":"Disk"},{"type":"Ready"}],'
        '"conditions":[{"type":"Disk","status":"False"},{"type":"Ready","status":"True"}]}}'
    )
    patched = cluster.patch(NODE_KIND, "", "n", patch, form="strategic", subresource="status")
    assert [(c["type"], c["status"]) for c in patched["status"]["conditions"]] == [("Disk", "False"), ("Ready", "True")]


def test_a_merge_patch_takes_a_list_as_a_whole_and_a_strategic_one_by_its_keys(cluster: Cluster) -> None:
    two = [{"type": "Disk", "status": "False"}, {"type": "Ready", "status": "False"}]
    one = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    found: dict[str, list[tuple[str, str]]] = {}
    for form in PATCHES:
        cluster.create(NODE_KIND, "", {"metadata": {"name": form}, "status": {"conditions": two}})
        patched = cluster.patch(NODE_KIND, "", form, one, form=form, subresource="status")
        found[form] = sorted((each["type"], each["status"]) for each in patched["status"]["conditions"])
    assert found == {"merge": [("Ready", "True")], "strategic": [("Disk", "False"), ("Ready", "True")]}


def test_status_and_the_rest_are_written_apart_where_the_kind_has_a_status_resource(cluster: Cluster) -> None:
    cluster.create(POD_KIND, "default", pod("p", "n"))
    by_main = cluster.patch(
        POD_KIND, "default", "p", {"status": {"phase": "Running"}, "metadata": {"labels": {"a": "b"}}}
    )
    assert by_main["metadata"]["labels"] == {"a": "b"}
    assert by_main["status"]["phase"] == "Pending"
    by_status = cluster.patch(
        POD_KIND, "default", "p", {"status": {"phase": "Running"}, "spec": {"nodeName": "m"}}, subresource="status"
    )
    assert by_status["status"]["phase"] == "Running"
    assert by_status["spec"]["nodeName"] == "n"


def test_a_status_write_of_a_pod_or_a_node_takes_labels_too(cluster: Cluster) -> None:
    """So whoever writes a status for others sees to what else is in it."""
    cluster.create(POD_KIND, "default", pod("p", "n"))
    cluster.create(NODE_KIND, "", {"metadata": {"name": "n"}})
    change = {"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running"}}
    for kind, namespace, name in ((POD_KIND, "default", "p"), (NODE_KIND, "", "n")):
        patched = cluster.patch(kind, namespace, name, change, form="strategic", subresource="status")
        assert patched["metadata"]["labels"] == {"a": "b"}


def test_a_device_takes_status_through_its_main_resource(cluster: Cluster) -> None:
    cluster.create(DEVICE, "default", device("d"))
    patched = cluster.patch(DEVICE, "default", "d", {"status": {"reportCycle": 7}})
    assert patched["status"]["reportCycle"] == 7


def test_a_write_that_changes_nothing_keeps_the_version(cluster: Cluster) -> None:
    made = cluster.create(NODE_KIND, "", {"metadata": {"name": "n"}})
    same = cluster.patch(NODE_KIND, "", "n", "{}", form="strategic", subresource="status")
    assert object_reference(same).version == object_reference(made).version


def test_a_lease_is_created_and_replaced_by_version(cluster: Cluster) -> None:
    lease = {"metadata": {"name": "n", "namespace": "kube-node-lease"}, "spec": {"holderIdentity": "n"}}
    made = cluster.create(LEASE_KIND, "kube-node-lease", lease)
    renewed = cluster.replace(LEASE_KIND, "kube-node-lease", "n", {**made, "spec": {"holderIdentity": "m"}})
    assert renewed["spec"]["holderIdentity"] == "m"
    assert int(object_reference(renewed).version) > int(object_reference(made).version)


def test_deletion_with_another_uid_is_a_conflict(cluster: Cluster) -> None:
    made = cluster.create(CONFIGMAP_KIND, "default", config("c"))
    with pytest.raises(Conflict):
        cluster.delete(CONFIGMAP_KIND, "default", "c", uid="00000000-0000-4000-8000-000000000000")
    cluster.delete(CONFIGMAP_KIND, "default", "c", uid=object_reference(made).uid)
    with pytest.raises(NotFound):
        cluster.get(CONFIGMAP_KIND, "default", "c")


def test_a_bound_pod_stays_until_its_node_deletes_it_with_grace_0(cluster: Cluster) -> None:
    cluster.create(POD_KIND, "default", pod("p", "n"))
    cluster.delete(POD_KIND, "default", "p", grace=3)
    ending = cluster.get(POD_KIND, "default", "p")
    assert ending["metadata"]["deletionTimestamp"] and ending["metadata"]["deletionGracePeriodSeconds"] == 3
    cluster.delete(POD_KIND, "default", "p", grace=0, uid=object_reference(ending).uid)
    with pytest.raises(NotFound):
        cluster.get(POD_KIND, "default", "p")


def test_a_binding_puts_an_unbound_pod_on_a_node_once(cluster: Cluster) -> None:
    cluster.create(POD_KIND, "default", pod("p"))
    binding = {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n"},
    }
    cluster.create(POD_KIND, "default", binding, name="p", subresource="binding")
    bound = cluster.get(POD_KIND, "default", "p")
    assert bound["spec"]["nodeName"] == "n"
    assert {c["type"]: c["status"] for c in bound["status"]["conditions"]}["PodScheduled"] == "True"
    with pytest.raises(Conflict):
        cluster.create(POD_KIND, "default", binding, name="p", subresource="binding")


def test_a_token_is_made_for_a_service_account(cluster: Cluster) -> None:
    cluster.create(SERVICEACCOUNT_KIND, "default", {"metadata": {"name": "sa"}})
    request = {"metadata": {}, "spec": {"audiences": None, "expirationSeconds": 3607}, "status": {"token": ""}}
    try:
        answer = cluster.create(SERVICEACCOUNT_KIND, "default", request, name="sa", subresource="token")
    except NotFound as error:
        assert "could not find the requested resource" in str(error)
        pytest.skip("this API server makes no tokens")
    assert answer["kind"] == "TokenRequest"
    assert answer["status"]["token"] and answer["status"]["expirationTimestamp"]


def test_lists_take_namespace_labels_and_fields(cluster: Cluster) -> None:
    cluster.create(
        POD_KIND, "default", {**pod("a", "n"), "metadata": {"name": "a", "labels": {"app": "x", "tier": "1"}}}
    )
    cluster.create(POD_KIND, "default", {**pod("b", "m"), "metadata": {"name": "b", "labels": {"app": "y"}}})

    def names(**selectors: str) -> list[str]:
        return [item["metadata"]["name"] for item in cluster.list(POD_KIND, **selectors).items]

    assert names(namespace="default") == ["a", "b"]
    assert names(namespace="kube-system") == []
    assert names(labels="app=x") == names(labels="app in (x,z)") == names(labels="tier") == ["a"]
    assert names(labels="app!=x") == names(labels="!tier") == ["b"]
    assert names(fields="spec.nodeName=m") == names(fields="metadata.name=b") == ["b"]


def test_an_impossible_request_is_an_error_of_ours(cluster: Cluster) -> None:
    with pytest.raises(ClusterError):
        cluster.list(POD_KIND, labels="a=b=c=d")


def test_a_watch_tells_what_there_is_then_that_it_is_complete_then_what_changes(cluster: Cluster) -> None:
    cluster.create(DEVICE, "default", device("a"))
    listener = Listener()
    watch = cluster.watch(DEVICE, listener.on_change, listener.on_synced)
    listener.wait_synced()
    assert (listener.told(), listener.synced_after, watch.synced) == ([("ADDED", "a")], 1, True)
    assert listener.changes[0].initial
    cluster.create(DEVICE, "default", device("b"))
    cluster.patch(DEVICE, "default", "b", {"spec": {"nodeName": "edge-2"}})
    cluster.delete(DEVICE, "default", "a")
    listener.wait(lambda heard: len(heard.changes) == 4)
    assert listener.told()[1:] == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a")]
    modified = listener.changes[2]
    assert modified.old is not None and modified.old["spec"]["nodeName"] == "edge-1"
    assert modified.object["spec"]["nodeName"] == "edge-2" and not modified.initial
    assert (modified.object["apiVersion"], modified.object["kind"]) == ("devices.kubeedge.io/v1beta1", "Device")


def test_the_deletion_of_a_bound_pod_is_told_in_its_steps(cluster: Cluster) -> None:
    listener = Listener()
    cluster.watch(POD_KIND, listener.on_change, listener.on_synced)
    listener.wait_synced()
    cluster.create(POD_KIND, "default", pod("p", "n"))
    cluster.delete(POD_KIND, "default", "p", grace=3)
    cluster.delete(POD_KIND, "default", "p", grace=0)
    listener.wait(lambda heard: heard.told()[-1:] == [("DELETED", "p")])
    assert listener.told() == [("ADDED", "p"), ("MODIFIED", "p"), ("MODIFIED", "p"), ("DELETED", "p")]
    graces = [change.object["metadata"].get("deletionGracePeriodSeconds") for change in listener.changes]
    assert graces == [None, 3, 0, 0]
    versions = [int(object_reference(change.object).version) for change in listener.changes]
    assert versions == sorted(set(versions))


def test_a_watch_with_a_selector_tells_of_entering_and_leaving(cluster: Cluster) -> None:
    listener = Listener()
    watch = cluster.watch(NODE_KIND, listener.on_change, listener.on_synced, labels="edge")
    listener.wait_synced()
    cluster.create(NODE_KIND, "", {"metadata": {"name": "n"}})
    cluster.patch(NODE_KIND, "", "n", {"metadata": {"labels": {"edge": ""}}})
    cluster.patch(NODE_KIND, "", "n", {"metadata": {"labels": {"edge": None}}})
    listener.wait(lambda heard: len(heard.changes) == 2)
    assert listener.told() == [("ADDED", "n"), ("DELETED", "n")]
    assert watch.all() == []


def test_a_watch_remembers_objects_and_without_cache_only_who_they_are(cluster: Cluster) -> None:
    cluster.create(CONFIGMAP_KIND, "default", config("c", a="1"))
    full, slim = Listener(), Listener()
    cached = cluster.watch(CONFIGMAP_KIND, full.on_change, full.on_synced, namespace="default")
    uncached = cluster.watch(CONFIGMAP_KIND, slim.on_change, slim.on_synced, namespace="default", cache=False)
    full.wait_synced()
    slim.wait_synced()
    whole, outline = cached.get("default", "c"), uncached.get("default", "c")
    assert whole is not None and whole["data"] == {"a": "1"}
    assert outline is not None and "data" not in outline
    assert object_reference(outline) == object_reference(whole)
    cluster.patch(CONFIGMAP_KIND, "default", "c", {"data": {"a": "2"}})
    slim.wait(lambda heard: ("MODIFIED", "c") in heard.told())
    assert slim.changes[-1].old is None and slim.changes[-1].object["data"] == {"a": "2"}


def test_a_second_watch_is_told_everything_too(cluster: Cluster) -> None:
    cluster.create(DEVICE, "default", device("a"))
    first, second = Listener(), Listener()
    cluster.watch(DEVICE, first.on_change, first.on_synced)
    first.wait_synced()
    cluster.watch(DEVICE, second.on_change, second.on_synced)
    second.wait_synced()
    assert second.told() == [("ADDED", "a")]
    cluster.create(DEVICE, "default", device("b"))
    for listener in (first, second):
        listener.wait(lambda heard: heard.told() == [("ADDED", "a"), ("ADDED", "b")])


def test_a_later_watch_without_cache_is_told_whole_objects_and_the_first_nothing_twice(cluster: Cluster) -> None:
    cluster.create(CONFIGMAP_KIND, "default", config("a", n="1"))
    first, second, third = Listener(), Listener(), Listener()
    cluster.watch(CONFIGMAP_KIND, first.on_change, first.on_synced, namespace="default", cache=False)
    first.wait_synced()
    for later in (second, third):
        cluster.watch(CONFIGMAP_KIND, later.on_change, later.on_synced, namespace="default", cache=False)
    for later in (second, third):
        later.wait_synced()
        assert [change.object["data"] for change in later.changes] == [{"n": "1"}]
        assert [change.initial for change in later.changes] == [True]
    cluster.create(CONFIGMAP_KIND, "default", config("b", n="2"))
    for listener in (first, second, third):
        listener.wait(lambda heard: ("ADDED", "b") in heard.told())
        assert listener.told() == [("ADDED", "a"), ("ADDED", "b")]
        assert listener.changes[-1].object["data"] == {"n": "2"} and not listener.changes[-1].initial


def test_a_stopped_watch_is_quiet_and_the_others_go_on(cluster: Cluster) -> None:
    quiet, other = Listener(), Listener()
    watch = cluster.watch(DEVICE, quiet.on_change, quiet.on_synced)
    cluster.watch(DEVICE, other.on_change, other.on_synced)
    quiet.wait_synced()
    other.wait_synced()
    watch.stop()
    watch.stop()
    cluster.create(DEVICE, "default", device("a"))
    other.wait(lambda heard: heard.told() == [("ADDED", "a")])
    assert quiet.told() == []
    again = Listener()
    cluster.watch(DEVICE, again.on_change, again.on_synced)
    again.wait_synced()
    assert again.told() == [("ADDED", "a")]


def test_a_subscriber_that_raises_does_not_end_its_watch(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    listener = Listener()

    def raising(change: object) -> None:
        listener.on_change(change)  # type: ignore[arg-type]
        raise RuntimeError("a defect of the subscriber")

    cluster.watch(DEVICE, raising, listener.on_synced)
    listener.wait_synced()
    cluster.create(DEVICE, "default", device("a"))
    cluster.create(DEVICE, "default", device("b"))
    listener.wait(lambda heard: heard.told() == [("ADDED", "a"), ("ADDED", "b")])
