"""F10: nobody runs as root who must not, impossible users are refused at every door, what is dropped is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.apiserver.strategies.pods import validate_pod
from kubeedge_actors.errors import ContainerConfigError
from tests.support.env.containers import (
    FOREVER,
    ContainersEnv,
    DockerContainersEnv,
    FakeContainersEnv,
    ProcessContainersEnv,
)
from tests.support.env.edged import EdgedEnv, pod

Json = dict[str, Any]
IMPOSSIBLE = (-1, 4294967295, 2**31)
RANGE = "must be between 0 and 2147483647, inclusive"
WHERE = '(pod: "shop_default(u-1)", container: main)'


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[EdgedEnv]:
    made = EdgedEnv(tmp_path)
    yield made
    made.harness.stop()


def run(bench: EdgedEnv, context: Json, **spec: Any) -> None:
    made = pod(**spec)
    made["spec"]["containers"][0]["securityContext"] = context
    bench.start().apply(made)


def refusal(bench: EdgedEnv) -> str:
    """Why nothing runs."""
    assert bench.engine.running() == []
    waiting = bench.status("u-1")["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "CreateContainerConfigError"
    return str(waiting["message"])


@pytest.mark.parametrize("image_user", ["", "0", "root", "0:0", "app", "app:7"])
def test_who_may_not_be_root_and_is_or_may_be_does_not_run(bench: EdgedEnv, image_user: str) -> None:
    bench.engine.image_users["app:1"] = image_user
    run(bench, {"runAsNonRoot": True})
    name = image_user.partition(":")[0]
    numeric = "container has runAsNonRoot and image will run as root"
    named = f"container has runAsNonRoot and image has non-numeric user ({name}), cannot verify user is non-root"
    assert refusal(bench) == f"{named if name.isalpha() else numeric} {WHERE}"


def test_root_by_its_number_is_refused_where_root_is_forbidden(bench: EdgedEnv) -> None:
    run(bench, {"runAsUser": 0}, securityContext={"runAsNonRoot": True})
    assert refusal(bench) == f"container's runAsUser breaks non-root policy {WHERE}"


@pytest.mark.parametrize(("context", "image_user", "user"), [
    ({"runAsNonRoot": True}, "1000:7", ""),
    ({"runAsNonRoot": True, "runAsUser": 5}, "", "5"),
    ({"runAsUser": 0}, "1000", "0"),
    ({"runAsGroup": 7}, "", "0:7"),
    ({"runAsGroup": 7}, "app:9", "app:7"),
])  # fmt: skip
def test_others_run_as_who_they_are(bench: EdgedEnv, context: Json, image_user: str, user: str) -> None:
    bench.engine.image_users["app:1"] = image_user
    run(bench, context, securityContext={"supplementalGroups": [3, 4], "fsGroup": 5})
    (spec,) = bench.engine.specs.values()
    assert (spec.user, spec.groups) == (user, (3, 4, 5))


@pytest.mark.parametrize("id", IMPOSSIBLE)
@pytest.mark.parametrize("field", ["runAsUser", "runAsGroup"])
def test_an_impossible_user_is_refused_by_the_node(bench: EdgedEnv, field: str, id: int) -> None:
    run(bench, {field: id})
    assert refusal(bench) == f"{field}: Invalid value: {id}: {RANGE}"


@pytest.mark.parametrize("id", IMPOSSIBLE)
def test_an_impossible_user_is_refused_by_the_api(id: int) -> None:
    made = pod(securityContext={"runAsUser": id, "runAsGroup": id, "fsGroup": id, "supplementalGroups": [id]})
    made["spec"]["containers"][0] |= {"imagePullPolicy": "Always", "securityContext": {"runAsUser": id}}
    errors = {error.field: error.message for error in validate_pod(made)}
    fields = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups[0]")
    places = {f"spec.securityContext.{field}" for field in fields} | {"spec.containers[0].securityContext.runAsUser"}
    assert errors == dict.fromkeys(places, f"Invalid value: {id}: {RANGE}")


@pytest.mark.parametrize(("context", "field", "text"), [
    ({"privileged": True, "allowPrivilegeEscalation": False}, "", "and `privileged` to true"),
    ({"capabilities": {"add": ["CAP_SYS_ADMIN"]}, "allowPrivilegeEscalation": False}, "", "CAP_SYS_ADMIN"),
    ({"seccompProfile": {"type": "Localhost"}}, ".seccompProfile.localhostProfile", "must be set when seccomp type"),
    ({"seccompProfile": {"type": "Localhost", "localhostProfile": "a/../../b"}}, ".seccompProfile.localhostProfile", "without '..'"),
    ({"seccompProfile": {"type": "None"}}, ".seccompProfile.type", "Unsupported value"),
])  # fmt: skip
def test_contradictions_are_refused_by_the_api(context: Json, field: str, text: str) -> None:
    made = pod()
    made["spec"]["containers"][0] |= {"imagePullPolicy": "Always", "securityContext": context}
    (error,) = validate_pod(made)
    assert error.field == f"spec.containers[0].securityContext{field}"
    assert text in error.message


@pytest.fixture(params=["fake", "process", pytest.param("docker", marks=pytest.mark.docker)])
def runtime(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ContainersEnv]:
    made: ContainersEnv
    if request.param == "docker":
        engine = request.getfixturevalue("docker_engine")
        made = DockerContainersEnv(engine.address, engine.owner, tmp_path)
    else:
        made = FakeContainersEnv() if request.param == "fake" else ProcessContainersEnv(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("more", [
    *({"user": user} for user in ("-1", "4294967295", "2147483648", "0:-1", "0:4294967295", "0:", "１")),
    *({"groups": (group,)} for group in (-1, 4294967295)),
    {"capabilities_dropped": ("NONE",)},
    {"capabilities_added": ("CAP_",)},
    {"privileged": True, "no_new_privileges": True},
    {"capabilities_added": ("CAP_SYS_ADMIN",), "no_new_privileges": True},
])  # fmt: skip
def test_the_door_of_every_runtime_refuses_them_whoever_says_them(runtime: ContainersEnv, more: Json) -> None:
    with pytest.raises(ContainerConfigError):
        runtime.runtime.create(runtime.spec(FOREVER, **more))
    assert runtime.runtime.list() == []
