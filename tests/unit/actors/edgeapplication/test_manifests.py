"""What an EdgeApplication asks for, object by object, and what a change of it changes of what is there."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.edgeapplication.manifests import (
    LAST_APPLIED,
    MADE_BY_LABEL,
    DesiredObject,
    change_patch,
    create_merge_patch,
    desired_objects,
)
from kubeedge_actors.kubernetes.objects import merge_patch
from tests.support.env.application_groups import application, config_map, deployment, to_group

Json = dict[str, Any]
VALUES: Any = st.recursive(
    st.one_of(st.integers(), st.text(max_size=3), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=2), inner, max_size=3)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


def of(*manifests: Any, targets: tuple[Json, ...] = (), labels: list[Json] | None = None) -> list[DesiredObject]:
    made = application(*manifests, targets=targets)
    made["metadata"] |= {"namespace": "default", "uid": "u-1"}
    made["spec"]["workloadScope"]["targetNodeLabels"] = labels or []
    return desired_objects(made)


def pod_of(desired: DesiredObject) -> Json:
    assert desired.object is not None, desired.error
    return desired.object["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def test_a_deployment_is_made_for_each_group_and_everything_else_once() -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    targets = (to_group("hangzhou", replicas=2), to_group("beijing"))
    found = of(deployment(), service, config_map(a="1"), targets=targets)
    assert [str(each.identity) for each in found] == [
        "Deployment default/web-hangzhou",
        "Deployment default/web-beijing",
        "Service default/web",
        "ConfigMap default/settings",
    ]
    assert [each.ordinal for each in found] == [0, 0, 1, 2]
    first = found[0].object
    assert first is not None and first["spec"]["replicas"] == 2
    assert pod_of(found[0])["nodeSelector"] == {"apps.kubeedge.io/belonging-to": "hangzhou"}
    annotations = [each.object["metadata"]["annotations"] for each in found if each.object is not None]
    assert ["apps.kubeedge.io/service-topology" in each for each in annotations] == [False, False, True, False]


def test_each_object_names_its_owner_and_what_it_was_made_from() -> None:
    (found,) = of(config_map(a="1"))
    assert found.object is not None
    metadata = found.object["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert owner == {
        "apiVersion": "apps.kubeedge.io/v1alpha1",
        "kind": "EdgeApplication",
        "name": "shop",
        "uid": "u-1",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert (metadata["namespace"], metadata["labels"]) == ("default", {MADE_BY_LABEL: "u-1"})
    template = msgspec.json.decode(metadata.pop("annotations")[LAST_APPLIED])
    assert template == found.object


def test_what_a_server_wrote_into_a_manifest_is_left_out() -> None:
    pasted = config_map(a="1") | {"status": {"x": 1}}
    pasted["metadata"] |= {"uid": "x", "resourceVersion": "7", "annotations": {LAST_APPLIED: "old", "mine": "1"}}
    (found,) = of(pasted)
    assert found.object is not None and "status" not in found.object
    assert not {"uid", "resourceVersion"} & found.object["metadata"].keys()
    assert found.object["metadata"]["annotations"]["mine"] == "1"


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        ({}, "manifest 0 has no apiVersion"),
        ("text", "manifest 0 has no apiVersion"),
        ({"apiVersion": "v1"}, "manifest 0 has no kind"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": 3}, "manifest 0 has no metadata.name"),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "kube-system"}},
            "manifest 0 is for the namespace kube-system: only default, the application's own, may be",
        ),
        (
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}},
            "Deployment default/x-a: a Deploy",
        ),
    ],
)
def test_a_bad_manifest_is_told_in_a_sentence_and_does_not_disturb_the_next(manifest: Any, sentence: str) -> None:
    bad, good = of(manifest, config_map(a="1"), targets=(to_group("a"),))
    assert bad.object is None and bad.error.startswith(sentence) and "\n" not in bad.error
    assert good.object is not None


def test_an_overrider_that_does_not_fit_concerns_its_group_only() -> None:
    rule = {"component": "Tag", "operator": "replace", "value": "no tag"}
    first, second = of(deployment(), targets=(to_group("a", imageOverriders=[rule]), to_group("b")))
    assert first.object is None and "does not make the name of an image" in first.error
    assert second.object is not None


def test_of_two_manifests_of_one_object_the_first_counts() -> None:
    first, second = of(config_map(a="1"), config_map(a="2"))
    assert first.object is not None and second.object is None
    assert second.error == "ConfigMap default/settings is what manifest 0 makes already"


def test_what_a_pod_asks_of_its_node_itself_stays() -> None:
    manifest = deployment()
    pod = manifest["spec"]["template"]["spec"]
    pod["nodeSelector"] = {"disk": "ssd"}
    terms = [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"matchFields": []}]
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    pod["affinity"] = {"nodeAffinity": {required: {"nodeSelectorTerms": terms}}, "podAffinity": {}}
    by_labels = {
        "labelSelector": {"matchLabels": {"place": "x"}, "matchExpressions": [{"key": "gpu", "operator": "Exists"}]}
    }
    group, labels = of(manifest, targets=(to_group("a"),), labels=[by_labels])
    assert pod_of(group)["nodeSelector"] == {"disk": "ssd", "apps.kubeedge.io/belonging-to": "a"}
    affinity = pod_of(labels)["affinity"]
    mine = [{"key": "place", "operator": "In", "values": ["x"]}, {"key": "gpu", "operator": "Exists"}]
    assert affinity["nodeAffinity"][required]["nodeSelectorTerms"] == [
        {"matchExpressions": [{"key": "a", "operator": "Exists"}, *mine]},
        {"matchFields": [], "matchExpressions": mine},
    ]
    assert affinity["podAffinity"] == {} and pod_of(labels)["nodeSelector"] == {"disk": "ssd"}


def test_a_target_by_labels_has_kubeedges_name_and_one_that_selects_all_nodes_is_refused() -> None:
    # as KubeEdge's CreateSuffixFromLabels: the first four bytes of sha256("placexzonea")
    by_labels: list[Json] = [{"labelSelector": {"matchLabels": {"zone": "a", "place": "x"}}}, {"labelSelector": {}}]
    named, refused = of(deployment(), labels=by_labels)
    assert named.identity.name == "web-ls-70062582"
    assert refused.object is None and "selects no label" in refused.error


# --- changes ----------------------------------------------------------------------------------------------------------


@given(OBJECTS, OBJECTS)
def test_the_difference_makes_the_new_object_of_the_old(old: Json, new: Json) -> None:
    assert merge_patch(old, create_merge_patch(old, new)) == new
    assert create_merge_patch(new, copy.deepcopy(new)) == {}


@given(OBJECTS, OBJECTS, OBJECTS)
def test_what_others_wrote_stays(old: Json, new: Json, others: Json) -> None:
    foreign = {f"others/{key}": value for key, value in others.items()}
    assert merge_patch({**old, **foreign}, create_merge_patch(old, new)) == {**new, **foreign}


def test_only_what_was_changed_in_the_manifest_is_changed_of_the_object() -> None:
    (before,), (after,) = of(config_map(a="1", b="1")), of(config_map(a="2"))
    assert before.object is not None and after.object is not None
    live = copy.deepcopy(before.object)
    live["metadata"] |= {"uid": "x", "resourceVersion": "5"}
    assert change_patch(before.object, live) is None
    live["data"]["by-hand"] = "1"
    patch = change_patch(after.object, live)
    assert patch is not None
    assert patch["data"] == {"a": "2", "b": None}
    assert {key: patch["metadata"][key] for key in ("uid", "resourceVersion")} == {"uid": "x", "resourceVersion": "5"}
    assert merge_patch(live, patch)["data"] == {"a": "2", "by-hand": "1"}


@pytest.mark.parametrize("applied", [None, "no json", "[1]"])
def test_an_object_without_a_record_gets_all_of_the_manifest(applied: str | None) -> None:
    (wanted,) = of(config_map(a="1"))
    assert wanted.object is not None
    live = copy.deepcopy(wanted.object) | {"data": {"a": "other", "x": "y"}}
    live["metadata"] |= {"uid": "x", "resourceVersion": "5", "annotations": {LAST_APPLIED: applied} if applied else {}}
    patch = change_patch(wanted.object, live)
    assert merge_patch(live, patch)["data"] == {"a": "1", "x": "y"}
