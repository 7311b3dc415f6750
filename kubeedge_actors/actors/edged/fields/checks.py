"""What a pod asks for in vain, and what it may not ask for, by the table. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from kubeedge_actors.actors.edged.fields.field import CGROUP, NO_EFFECT, REFUSED, Field
from kubeedge_actors.actors.edged.fields.table import TABLE
from kubeedge_actors.actors.edged.pod.pod_spec import ContainerView, PodView
from kubeedge_actors.drivers.containers.base import FULL_SUPPORT, LimitSupport

Json = dict[str, Any]
_ROWS = {type: {field.name: field for field in fields} for type, fields in TABLE.items()}
_IN_PLACES_OF_THEIR_OWN = ("containers", "initContainers", "ephemeralContainers", "volumes")
_OTHERS = "*"


class FieldUse(NamedTuple):
    """A field of a pod that asks for something: where it stands, its row, its value."""

    path: str
    field: Field
    value: Any


def runtime_kind(version: str) -> str:
    """The runtime's kind (docker, process) of its name and version."""
    return "process" if version.startswith("process") else "docker"


def fields_without_effect(pod: PodView, version: str, limits: LimitSupport = FULL_SUPPORT) -> list[str]:
    """Where the pod asks this runtime (`docker://20.10`) for what it does not do, each once, in the order of the spec. `limits`: how
    it holds them.
    """
    kind = runtime_kind(version)
    none = (NO_EFFECT,) if limits.cpu else (NO_EFFECT, CGROUP)
    asked = _of(_in_spec(pod), *map(_in_container, pod.containers), *map(_in_volume, pod.spec.get("volumes") or ()))
    return list(dict.fromkeys(path for path, field, _ in asked if field.support(kind) in none))


def container_refusal(pod: PodView, view: ContainerView, version: str) -> str:
    """Why this runtime runs no such container; empty when it does."""
    return _refusal(_of(_in_spec(pod), _in_container(view)), version)


def volume_refusal(volume: Json) -> str:
    """Why no runtime has such a volume; empty when it has."""
    return _refusal(_in_volume(volume), "")


def _refusal(asked: Iterator[FieldUse], version: str) -> str:
    kind = runtime_kind(version)
    refused = (each for each in asked if each.field.support(kind) == REFUSED)
    return next((each.field.refusal.format(name=each.field.name, value=each.value) for each in refused), "")


def _of(*parts: Iterator[FieldUse]) -> Iterator[FieldUse]:
    for part in parts:
        yield from part


def _in_spec(pod: PodView) -> Iterator[FieldUse]:
    spec = {key: value for key, value in pod.spec.items() if key not in _IN_PLACES_OF_THEIR_OWN}
    return _asked("PodSpec", spec, "spec")


def _in_container(view: ContainerView) -> Iterator[FieldUse]:
    return _asked("Container", view.raw, view.name)


def _in_volume(volume: Json) -> Iterator[FieldUse]:
    return _asked("Volume", volume, f"volume {volume.get('name')}")


def _asked(type: str, object: Json, path: str) -> Iterator[FieldUse]:
    rows = _ROWS[type]
    for key, value in object.items():
        field = rows.get(key) or rows.get(_OTHERS)
        if field is None or not field.asks_for_something(value):
            continue
        yield FieldUse(f"{path}.{key}", field, value)
        for each in value if isinstance(value, list) else [value]:
            if field.type and isinstance(each, dict):
                yield from _asked(field.type, each, f"{path}.{key}")
