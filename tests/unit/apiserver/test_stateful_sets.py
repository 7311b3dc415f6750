"""StatefulSets in the API: their defaults, what of them may change, and what is refused."""

from __future__ import annotations

import pytest

from tests.support.api_client import ApiClient, Json, deployment

PATH = "/apis/apps/v1/namespaces/default/statefulsets"
TABLE = {"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


def stateful_set(name: str = "db") -> Json:
    return deployment(name) | {"kind": "StatefulSet"}


def test_the_defaults_are_those_of_kubernetes(api: ApiClient) -> None:
    made = api.post(PATH, stateful_set())
    spec = {key: value for key, value in made["spec"].items() if key not in ("selector", "template")}
    assert spec == {
        "replicas": 1,
        "podManagementPolicy": "OrderedReady",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "revisionHistoryLimit": 10,
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }
    assert made["status"] == {"replicas": 0, "availableReplicas": 0}
    assert made["metadata"]["generation"] == 1


def test_most_of_the_spec_stays_and_the_rest_may_change(api: ApiClient) -> None:
    api.post(PATH, stateful_set())
    allowed: list[Json] = [{"replicas": 3}, {"ordinals": {"start": 2}}, {"minReadySeconds": 5}]
    for change in allowed:
        api.patch(f"{PATH}/db", {"spec": change})
    for change in (
        {"serviceName": "x"},
        {"podManagementPolicy": "Parallel"},
        {"selector": {"matchLabels": {"a": "b"}}},
    ):
        answer = api.call("PATCH", f"{PATH}/db", {"spec": change}, {"Content-Type": "application/merge-patch+json"})
        assert answer.status == 422
        assert (
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template'"
            in answer.json["message"]
        )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}]},
            "spec.volumeClaimTemplates: Forbidden",
        ),
        ({"podManagementPolicy": "Shuffled"}, "spec.podManagementPolicy: Unsupported value"),
        ({"updateStrategy": {"type": "Sometimes"}}, "spec.updateStrategy.type: Unsupported value"),
        ({"ordinals": {"start": -1}}, "spec.ordinals.start: Invalid value: -1"),
        ({"replicas": -1}, "spec.replicas: Invalid value: -1"),
    ],
)
def test_what_can_not_be_is_refused(api: ApiClient, change: Json, complaint: str) -> None:
    body = stateful_set()
    body["spec"] |= change
    answer = api.call("POST", PATH, body)
    assert answer.status == 422 and complaint in answer.json["message"]


def test_it_is_scaled_and_shown_as_a_table(api: ApiClient) -> None:
    api.post(PATH, stateful_set())
    api.patch(f"{PATH}/db/scale", {"spec": {"replicas": 4}})
    table = api.call("GET", PATH, headers=TABLE).json
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Ready", "Age", "Containers", "Images"]
    assert table["rows"][0]["cells"][:2] == ["db", "0/4"]
