"""`pods/ephemeralcontainers`: containers that `kubectl debug` puts into a pod that runs already (Kubernetes: ValidatePodEphemeralContainersUpdate)."""

from __future__ import annotations

from collections.abc import Iterator

from kubeedge_actors.kubernetes.objects import is_mirror

from ..errors import FieldError, Json, forbidden_field
from .pods import validate_container

FIELD = "ephemeralContainers"
SUBRESOURCE = "ephemeralcontainers"
FORBIDDEN = ("ports", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "resizePolicy", "restartPolicy")
NOT_IN_ONE = "cannot be set for an Ephemeral Container"


def with_ephemeral_containers(requested: Json, old: Json) -> Json:
    """The v1.Pod as it is, with the ephemeral containers that are requested."""
    spec = {key: value for key, value in old["spec"].items() if key != FIELD}
    wanted = (requested.get("spec") or {}).get(FIELD) or []
    return {**old, "spec": {**spec, **({FIELD: wanted} if wanted else {})}}


def ephemeral_container_errors(new: Json, old: Json) -> Iterator[FieldError]:
    """Complaints: those that are there stay as they are, and what is new may be a container in the midst of a pod."""
    if is_mirror(old):
        yield forbidden_field("", "static pods do not support ephemeral containers")
        return
    before = {each.get("name"): each for each in old["spec"].get(FIELD, ())}
    after = {each.get("name"): each for each in new["spec"].get(FIELD, ())}
    for name, container in before.items():
        if name not in after:
            yield forbidden_field(f"spec.{FIELD}", f'existing ephemeral containers "{name}" may not be removed\n')
        elif after[name] != container:
            yield forbidden_field(f"spec.{FIELD}", f'existing ephemeral containers "{name}" may not be changed\n')
    spec = new["spec"]
    others = [each for field in ("initContainers", "containers") for each in spec.get(field, ())]
    names = {each["name"] for each in others}
    volumes = {volume.get("name") for volume in spec.get("volumes", ())}
    for index, container in enumerate(spec.get(FIELD, ())):
        path = f"spec.{FIELD}[{index}]"
        yield from _target_errors(container, path, {each["name"] for each in others})
        yield from validate_container(container, path, names, volumes)


def _target_errors(container: Json, path: str, targets: set[str]) -> Iterator[FieldError]:
    target = container.get("targetContainerName")
    if target and target not in targets:
        yield FieldError(f"{path}.targetContainerName", "FieldValueNotFound", f'Not found: "{target}"')
    for field in FORBIDDEN:
        if container.get(field):
            yield forbidden_field(f"{path}.{field}", NOT_IN_ONE)
    if container.get("resources"):
        yield forbidden_field(f"{path}.resources", NOT_IN_ONE)
    for number, mount in enumerate(container.get("volumeMounts", ())):
        for field in ("subPath", "subPathExpr"):
            if mount.get(field):
                yield forbidden_field(f"{path}.volumeMounts[{number}].{field}", NOT_IN_ONE)
