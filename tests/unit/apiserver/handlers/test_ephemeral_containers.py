"""pods/ephemeralcontainers: what may be put into a pod that runs, and what may not, in Kubernetes' words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.inprocess_api import InProcessApi

Json = dict[str, Any]
PODS = "/api/v1/namespaces/default/pods"
DEBUG = f"{PODS}/p/ephemeralcontainers"
STRATEGIC = {"Content-Type": "application/strategic-merge-patch+json", "Accept": "application/json"}
POD: Json = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}
LOOK = {"name": "look", "image": "tools:1", "targetContainerName": "main"}


@pytest.fixture
def api() -> Iterator[InProcessApi]:
    with InProcessApi() as inside:
        head = {"apiVersion": "v1", "kind": "Pod"}
        assert inside.call("POST", PODS, {**head, **POD}).status == 201
        yield inside


def debug(api: InProcessApi, *containers: Json) -> Any:
    return api.call("PATCH", DEBUG, {"spec": {"ephemeralContainers": list(containers)}}, STRATEGIC)


def test_one_is_added_with_defaults_and_the_rest_of_the_pod_stays(api: InProcessApi) -> None:
    before = api.call("GET", f"{PODS}/p").json
    answer = debug(api, LOOK)
    assert answer.status == 200
    (added,) = answer.json["spec"]["ephemeralContainers"]
    assert added["imagePullPolicy"] == "IfNotPresent" and added["targetContainerName"] == "main"
    assert answer.json["spec"]["containers"] == before["spec"]["containers"]
    assert answer.json["metadata"]["generation"] == before["metadata"]["generation"] + 1
    assert [each["name"] for each in debug(api, {**LOOK, "name": "again"}).json["spec"]["ephemeralContainers"]] in (
        ["look", "again"],
        ["again", "look"],
    )


@pytest.mark.parametrize(
    ("container", "complaint"),
    [
        ({"name": "x"}, "spec.ephemeralContainers[0].image: Required value"),
        ({**LOOK, "name": "main"}, 'spec.ephemeralContainers[0].name: Duplicate value: "main"'),
        ({**LOOK, "targetContainerName": "y"}, 'spec.ephemeralContainers[0].targetContainerName: Not found: "y"'),
        ({**LOOK, "ports": [{"containerPort": 1}]}, "ports: Forbidden: cannot be set for an Ephemeral Container"),
        ({**LOOK, "resources": {"limits": {"cpu": "1"}}}, "resources: Forbidden: cannot be set"),
    ],
)
def test_what_does_not_fit_is_refused(api: InProcessApi, container: Json, complaint: str) -> None:
    answer = debug(api, container)
    assert answer.status == 422 and complaint in answer.json["message"]


def test_what_is_there_stays_as_it_is_and_no_pod_begins_with_one(api: InProcessApi) -> None:
    pod = debug(api, LOOK).json
    changed = debug(api, {**LOOK, "image": "other:1"})
    assert (
        changed.status == 422 and 'existing ephemeral containers "look" may not be changed' in changed.json["message"]
    )
    pod["spec"]["ephemeralContainers"] = []
    removed = api.call("PUT", DEBUG, pod)
    assert removed.status == 422 and "may not be removed" in removed.json["message"]
    spec = {**POD["spec"], "ephemeralContainers": [LOOK]}
    made = api.call("POST", PODS, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "q"}, "spec": spec})
    assert made.status == 422 and "cannot be set on create" in made.json["message"]
    api_pod = api.call("GET", f"{PODS}/p").json
    api_pod["spec"]["ephemeralContainers"] = []
    assert api.call("PUT", f"{PODS}/p", api_pod).status == 422, "not by the pod itself"
