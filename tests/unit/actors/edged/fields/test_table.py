"""The table of fields knows every field of Kubernetes' API, and what it says of a field is what happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

import kubeedge_actors
from kubeedge_actors.actors.edged.fields.checks import container_refusal, fields_without_effect, volume_refusal
from kubeedge_actors.actors.edged.fields.field import ANY, NO_EFFECT, REFUSED, Field
from kubeedge_actors.actors.edged.fields.table import TABLE
from kubeedge_actors.actors.edged.pod.pod_spec import PodView, parse_pod
from tests.support.env.edged import pod

DOCKER, PROCESS = "docker://20.10", "process://6"
TYPES_FILE = Path(kubeedge_actors.__file__).parent / "apiserver" / "codec" / "types.json"
TYPES: dict[str, dict[str, str]] = msgspec.json.decode(TYPES_FILE.read_bytes())
"""Kubernetes' API, frozen: the fields of each type with their types."""
BY_RESOURCE = "ResourceList"
ROWS = [(type, field) for type, fields in TABLE.items() for field in fields]


def view(container: dict[str, Any] | None = None, **spec: Any) -> PodView:
    made = pod(**spec)
    made["spec"]["containers"][0] |= container or {}
    return parse_pod(made)


@pytest.mark.parametrize("type", [type for type in TABLE if type != BY_RESOURCE])
def test_every_field_of_kubernetes_has_one_row_and_no_other_has_one(type: str) -> None:
    names = [field.name for field in TABLE[type]]
    assert sorted(names) == sorted(set(names))
    assert set(names) == set(TYPES[type])


def is_whole(type: str, field: Field) -> bool:
    """Whether a row knows its type as Kubernetes does, and says why when it refuses."""
    known = not field.type or field.type == BY_RESOURCE or field.type in TABLE
    same = not field.type or field.type == BY_RESOURCE or TYPES[type][field.name].strip("[]") == field.type
    return known and same and bool(field.refusal) == (REFUSED in (field.docker, field.process))


def test_rows_are_whole() -> None:
    assert [f"{type}.{field.name}" for type, field in ROWS if not is_whole(type, field)] == []


def test_every_type_of_the_table_is_reached_from_a_pod() -> None:
    reached = {field.type for _, field in ROWS} | {"PodSpec"}
    assert reached - {""} >= TABLE.keys()


@pytest.mark.parametrize(
    "type",
    ["PodSpec", "Container", "PodSecurityContext", "SecurityContext", "Volume", "VolumeMount", "ResourceRequirements"],
)
def test_what_the_brief_of_a_node_is_made_of_is_in_the_table(type: str) -> None:
    assert TABLE[type]


def test_a_plain_pod_as_an_api_server_completes_it_asks_for_nothing_in_vain() -> None:
    defaults = {
        "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
        "imagePullPolicy": "Always",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "volumeMounts": [{"name": "t", "mountPath": "/run/t", "readOnly": True}],
    }  # fmt: skip
    spec = {
        "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler", "priority": 0,
        "enableServiceLinks": True, "preemptionPolicy": "PreemptLowerPriority", "securityContext": {},
        "serviceAccount": "default", "serviceAccountName": "default", "terminationGracePeriodSeconds": 30,
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
        "volumes": [{"name": "t", "projected": {"defaultMode": 420, "sources": [{"serviceAccountToken": {"path": "t"}}]}}],
    }  # fmt: skip
    made = view(defaults, **spec)
    assert fields_without_effect(made, DOCKER) == fields_without_effect(made, PROCESS) == []
    assert container_refusal(made, made.app_containers[0], DOCKER) == ""
    assert [volume_refusal(volume) for volume in made.spec["volumes"]] == [""]


VALUES: dict[str, Any] = {"integer": 3, "string": "x", "boolean": True, "quantity": "1", "[string]": ["x"]}


def _value(type: str, field: Field) -> Any:
    if True in field.neutral:
        return False
    return VALUES.get(TYPES.get(type, {}).get(field.name, "string"), {"x": "y"})


def _placed(type: str, field: Field) -> tuple[PodView, str]:
    """A pod with this field, which asks for something, and where it stands."""
    parents = {inner.type: (outer, inner.name) for outer, inner in ROWS if inner.type}
    name = "example.com/gpu" if field.name == "*" else field.name
    value: Any = {name: _value(type, field)}
    path = name
    while type not in ("PodSpec", "Container", "Volume"):
        type, name = parents[type]
        value = {name: [value] if TYPES[type][name].startswith("[") else value}
        path = f"{name}.{path}"
    if type == "PodSpec":
        return view(**value), f"spec.{path}"
    if type == "Container":
        return view(value), f"main.{path}"
    return view(volumes=[{"name": "v", **value}]), f"volume v.{path}"


@pytest.mark.parametrize("runtime", [DOCKER, PROCESS])
@pytest.mark.parametrize(("type", "field"), ROWS, ids=[f"{type}.{field.name}" for type, field in ROWS])
def test_what_has_no_effect_is_named_and_what_is_refused_says_why(type: str, field: Field, runtime: str) -> None:
    if field.name in ("containers", "initContainers", "ephemeralContainers", "volumes", "name"):
        return
    made, path = _placed(type, field)
    support = field.support("process" if runtime is PROCESS else "docker")
    named = support == NO_EFFECT and field.neutral != ANY
    assert (path in fields_without_effect(made, runtime)) == named
    refusals = [container_refusal(made, made.app_containers[0], runtime)]
    refusals += [volume_refusal(volume) for volume in made.spec.get("volumes") or ()]
    assert any(refusals) == (support == REFUSED)
    assert not any("{" in refusal for refusal in refusals)
