"""What clients send: kinds, types, unknown fields, content types, sizes."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.apiserver.codec.builtin_types import BuiltinTypes
from kubeedge_actors.apiserver.codec.merge_keys import MERGE_KEYS
from tests.support import schema_source
from tests.support.api_client import ApiClient, Json, config_map, deployment, pod
from tests.support.inprocess_api import InProcessApi

PODS, MAPS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def test_the_types_are_those_of_the_client_library() -> None:
    pytest.importorskip("lightkube.models.core_v1", reason="the typed models are not installed")
    assert schema_source.TARGET.read_text() == schema_source.text()


def test_merge_keys_name_fields_that_exist() -> None:
    types = BuiltinTypes()
    for kind, field in MERGE_KEYS:
        fields = types.fields(kind)
        assert fields is not None and fields[field].startswith("[")
        inner = types.fields(fields[field].strip("[]"))
        key = MERGE_KEYS[kind, field]
        assert (key == "") == (inner is None) and (inner is None or key in inner)


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"specc": {}}, "specc"),
        ({"spec": {"containers": [{"name": "c", "image": "i", "imag": "x"}]}}, "spec.containers[0].imag"),
        ({"metadata": {"name": "p", "label": {}}}, "metadata.label"),
        (
            {"spec": {"containers": [{"name": "c", "image": "i", "env": [{"nam": "x"}]}]}},
            "spec.containers[0].env[0].nam",
        ),
    ],
)
def test_an_unknown_field_is_refused_warned_of_or_dropped(inside: InProcessApi, change: Json, path: str) -> None:
    body = pod("p") | change
    strict = inside.call("POST", f"{PODS}?fieldValidation=Strict", body)
    assert strict.status == 400
    assert strict.json["message"].endswith(f'strict decoding error: unknown field "{path}"')
    warned = inside.call("POST", f"{PODS}?dryRun=All", body)
    assert warned.headers["warning"] == f'299 - "unknown field \\"{path}\\""'
    silent = inside.call("POST", f"{PODS}?fieldValidation=Ignore", body)
    assert silent.status == 201 and "warning" not in silent.headers
    assert f"'{path.rpartition('.')[2]}':" not in str(silent.json)


def test_a_patch_with_an_unknown_field_is_refused_or_warned_of(inside: InProcessApi) -> None:
    inside.post(MAPS, config_map("c"))
    headers = {"Content-Type": "application/merge-patch+json"}
    strict = inside.call("PATCH", f"{MAPS}/c?fieldValidation=Strict", {"dat": {}}, headers)
    assert strict.status == 422 and 'unknown field "dat"' in strict.json["message"]
    warned = inside.call("PATCH", f"{MAPS}/c", {"dat": {}, "data": {"a": "2"}}, headers)
    assert warned.status == 200 and "dat" in warned.headers["warning"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"spec": {"containers": "x"}}, "cannot unmarshal string into Go struct field Pod.spec.containers of type []"),
        ({"spec": []}, "cannot unmarshal array into Go struct field Pod.spec of type v1.PodSpec"),
        ({"metadata": {"name": 5}}, "cannot unmarshal number into Go struct field Pod.metadata.name of type string"),
        ({"metadata": {"labels": {"a": True}}}, "cannot unmarshal bool into Go struct field Pod.metadata.labels"),
        ({"spec": {"hostNetwork": "yes"}}, "of type bool"),
        ({"spec": {"priority": 1.5}}, "of type int64"),
        ({"spec": {"nodeSelector": []}}, "of type map[string]string"),
        ({"metadata": {"creationTimestamp": "yesterday"}}, 'parsing time "yesterday"'),
        ({"spec": {"containers": [{"resources": {"limits": {"cpu": True}}}]}}, "cannot unmarshal bool"),
    ],
)
def test_a_value_of_another_type_is_refused(inside: InProcessApi, body: Json, text: str) -> None:
    answer = inside.call("POST", PODS, body)
    assert answer.status == 400 and text in answer.json["message"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"spec": {}}, "spec.containers"),
        ({"spec": {"containers": [{}]}}, "spec.containers[0].name"),
        ({"spec": {"containers": [{"name": "c"}]}}, "spec.containers[0].image"),
        ({"spec": {"containers": [{"name": "C_", "image": "i"}]}}, "spec.containers[0].name"),
        ({"spec": {"containers": [{"name": "c", "image": "i"}] * 2}}, "spec.containers[1].name"),
        ({"spec": {"containers": [{"name": "c", "image": "i", "imagePullPolicy": "Now"}]}}, "spec.containers[0].imagePullPolicy"),
        ({"spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 0}]}]}},
         "spec.containers[0].ports[0].containerPort"),
        ({"spec": {"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": "/"}]}]}},
         "spec.containers[0].volumeMounts[0].name"),
        ({"spec": {"restartPolicy": "Maybe", "containers": [{"name": "c", "image": "i"}]}}, "spec.restartPolicy"),
        ({"metadata": {"name": "p", "labels": {"a b": "c"}}}, "metadata.labels"),
        ({"metadata": {"name": "p", "labels": {"a": "-"}}}, "metadata.labels"),
        ({"metadata": {"name": "p", "annotations": {"/": "c"}}}, "metadata.annotations"),
        ({"metadata": {"name": "p", "finalizers": ["no way"]}}, "metadata.finalizers"),
        ({"metadata": {"name": "x" * 254}}, "metadata.name"),
    ],
)  # fmt: skip
def test_an_invalid_pod_is_told_which_field(inside: InProcessApi, body: Json, field: str) -> None:
    answer = inside.call("POST", PODS, pod("p") | body)
    assert answer.status == 422
    assert field in {cause["field"] for cause in answer.json["details"]["causes"]}


def test_a_workload_is_checked(inside: InProcessApi) -> None:
    body = deployment("d")
    body["spec"]["replicas"] = -1
    body["spec"]["template"]["metadata"]["labels"] = {"app": "other"}
    body["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    answer = inside.call("POST", DEPLOYMENTS, body)
    assert {cause["field"] for cause in answer.json["details"]["causes"]} == {
        "spec.replicas",
        "spec.template.metadata.labels",
        "spec.template.spec.restartPolicy",
    }
    assert inside.call("POST", DEPLOYMENTS, {"metadata": {"name": "d"}}).status == 422


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1", "IfNotPresent"),
        ("host:5000/nginx", "Always"),
        ("host:5000/nginx:2", "IfNotPresent"),
        ("nginx@sha256:0", "IfNotPresent"),
    ],
)
def test_an_image_is_pulled_again_when_its_tag_may_move(inside: InProcessApi, image: str, policy: str) -> None:
    body = inside.post(PODS, pod("p", containers=[{"name": "c", "image": image}]))
    assert body["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    ("resources", "quality"),
    [
        ({}, "BestEffort"),
        ({"requests": {"cpu": "1"}}, "Burstable"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"cpu": 1}}, "Burstable"),
    ],
)
def test_the_quality_of_service_follows_from_the_resources(inside: InProcessApi, resources: Json, quality: str) -> None:
    container = {"name": "c", "image": "i", "resources": resources}
    assert inside.post(PODS, pod("p", containers=[container]))["status"]["qosClass"] == quality


def test_volumes_and_probes_have_defaults(inside: InProcessApi) -> None:
    container = {"name": "c", "image": "i", "livenessProbe": {"httpGet": {"port": 80}}}
    volumes: list[Any] = [{"name": "a"}, {"name": "b", "configMap": {"name": "x"}}]
    spec = inside.post(PODS, pod("p", containers=[container], volumes=volumes))["spec"]
    assert spec["volumes"] == [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "configMap": {"name": "x", "defaultMode": 420}},
    ]
    assert spec["containers"][0]["livenessProbe"]["periodSeconds"] == 10


@pytest.mark.parametrize(("size", "status"), [(900_000, 201), (1_100_000, 422), (3_200_000, 413)])
def test_there_is_a_limit_to_what_is_sent(api: ApiClient, size: int, status: int) -> None:
    answer = api.call("POST", MAPS, config_map("c", a="x" * size))
    assert answer.status == status
    assert answer.json["kind"] == ("Status" if status > 300 else "ConfigMap")


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/json; charset=utf-8", 201), ("", 201), ("application/yaml", 415), ("text/plain", 415)],
)
def test_content_types(inside: InProcessApi, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    assert inside.call("POST", MAPS, config_map("c"), headers | {"Accept": "*/*"}).status == status


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        ("*/*", 200),
        ("application/vnd.kubernetes.protobuf,application/json", 200),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", 200),
        ("application/json;as=Table;v=v9;g=meta.k8s.io", 406),
        ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", 406),
        ("application/vnd.kubernetes.protobuf", 406),
    ],
)
def test_the_first_form_that_can_be_had_is_taken(inside: InProcessApi, accept: str, status: int) -> None:
    assert inside.call("GET", MAPS, None, {"Accept": accept}).status == status


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE"])
def test_other_methods_are_not_allowed(api: ApiClient, method: str) -> None:
    assert api.call(method, MAPS).status == 405


SERVICES = "/api/v1/namespaces/default/services"


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({}, "spec.ports"),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port"),
        ({"ports": [{"port": 1}, {"port": 2, "name": "b"}]}, "spec.ports[0].name"),
        ({"ports": [{"port": 1}], "type": "Magic"}, "spec.type"),
    ],
)
def test_a_service_is_checked(inside: InProcessApi, spec: Json, field: str) -> None:
    answer = inside.call("POST", SERVICES, {"metadata": {"name": "s"}, "spec": spec})
    assert [cause["field"] for cause in answer.json["details"]["causes"]] == [field]


def test_a_service_has_defaults_and_no_address(inside: InProcessApi) -> None:
    spec = inside.post(SERVICES, {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})["spec"]
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert (spec["type"], spec["sessionAffinity"], "clusterIP" in spec) == ("ClusterIP", "None", False)
    assert inside.call("DELETE", f"{SERVICES}/s").json["kind"] == "Service"


def test_a_namespaces_name_is_one_label(inside: InProcessApi) -> None:
    for name in ("a.b", "A", "x" * 64):
        answer = inside.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        assert answer.json["details"]["causes"][0]["field"] == "metadata.name"


def test_taints_and_leases_are_checked(inside: InProcessApi) -> None:
    node = {"metadata": {"name": "n"}, "spec": {"taints": [{"key": "a"}]}}
    assert inside.call("POST", "/api/v1/nodes", node).json["details"]["causes"][0]["field"] == "spec.taints[0].effect"
    lease = {"metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 0}}
    leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
    assert inside.call("POST", leases, lease).status == 422


def test_an_event_stands_in_the_namespace_of_what_it_is_about(inside: InProcessApi) -> None:
    events = "/api/v1/namespaces/default/events"
    body = {"metadata": {"name": "e"}, "involvedObject": {"namespace": "other", "name": "x"}}
    assert inside.call("POST", events, body).json["details"]["causes"][0]["field"] == "involvedObject.namespace"
    assert inside.call("POST", events, {"metadata": {"name": "e"}}).status == 201


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("tailLines=x", 400),
        ("tailLines=-1", 422),
        ("sinceSeconds=0", 422),
        ("container=none", 400),
        ("limitBytes=5", 501),
    ],
)
def test_the_options_of_a_log_are_checked(inside: InProcessApi, query: str, status: int) -> None:
    inside.post(PODS, pod("p", nodeName="edge-1"))
    assert inside.call("GET", f"{PODS}/p/log?{query}").status == status


def test_of_several_containers_one_must_be_named(inside: InProcessApi) -> None:
    containers = [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]
    inside.post(PODS, pod("p", nodeName="edge-1", containers=containers))
    answer = inside.call("GET", f"{PODS}/p/log")
    assert answer.json["message"] == "a container name must be specified for pod p, choose one of: [a b]"
