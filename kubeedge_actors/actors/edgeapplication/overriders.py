"""What the overriders of a target make of a Deployment (KubeEdge: overridemanager). Pure.

Overriders are JSON as in an EdgeApplication's `workloadScope`; a container that they name and the Deployment has not is no mistake: they are for
all Deployments of the application.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from kubeedge_actors.actors.edgeapplication.images import ADD, REMOVE, REPLACE, OverriderError, override_image

Json = dict[str, Any]


def apply_overriders(deployment: Json, overriders: Json) -> Json:
    """The apps/v1 Deployment as a target has it; the argument stays as it is. Error: OverriderError."""
    changed = copy.deepcopy(deployment)
    if overriders.get("replicas") is not None:
        changed["spec"]["replicas"] = overriders["replicas"]
    for rule in overriders.get("imageOverriders") or ():
        _override_images(changed, rule)
    _for_containers(changed, overriders.get("commandOverriders"), partial(_override_words, "command"))
    _for_containers(changed, overriders.get("argsOverriders"), partial(_override_words, "args"))
    _for_containers(changed, overriders.get("envOverriders"), _override_env)
    _for_containers(changed, overriders.get("resourcesOverriders"), _override_resources)
    return changed


def containers_of(deployment: Json) -> list[Json]:
    """The containers of the template. Error: OverriderError when there can be none."""
    spec = deployment.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    pod = template.get("spec") if isinstance(template, dict) else None
    containers = pod.get("containers") if isinstance(pod, dict) else None
    if not isinstance(containers, list) or not all(isinstance(each, dict) for each in containers):
        raise OverriderError("a Deployment needs a list of containers in spec.template.spec")
    return containers


def _for_containers(deployment: Json, rules: list[Json] | None, change: Callable[[Json, Json], None]) -> None:
    for rule in rules or ():
        for container in containers_of(deployment):
            if container.get("name") == rule["containerName"]:
                change(container, rule)


# --- images -----------------------------------------------------------------------------------------------------------


def _override_images(deployment: Json, rule: Json) -> None:
    predicate = rule.get("predicate")
    holders = (
        ((container, "image") for container in containers_of(deployment))
        if predicate is None
        else _at(deployment, str(predicate["path"]))
    )
    for holder, key in holders:
        holder[key] = override_image(holder.get(key), rule["component"], rule["operator"], str(rule.get("value") or ""))


def _at(object: Json, path: str) -> Iterator[tuple[Json, str]]:
    """Where the text at a path of this object stands: a JSON pointer, without the escapes."""
    *parents, last = path.strip("/").split("/")
    here: Any = object
    for part in parents:
        if isinstance(here, list) and part.isascii() and part.isdigit() and int(part) < len(here):
            here = here[int(part)]
        else:
            here = here.get(part) if isinstance(here, dict) else None
    if not path.startswith("/") or not isinstance(here, dict) or not isinstance(here.get(last), str):
        raise OverriderError(f"there is no image at {path!r}")
    yield here, last


# --- containers -------------------------------------------------------------------------------------------------------


def _override_words(field: str, container: Json, rule: Json) -> None:
    words, value = list(container.get(field) or ()), list(rule.get("value") or ())
    if rule["operator"] == ADD:
        _set(container, field, words + value)
    elif rule["operator"] == REMOVE:
        _set(container, field, [word for word in words if word not in value])
    else:
        raise OverriderError(f"an overrider of {field} has no operator {rule['operator']!r}")


def _override_env(container: Json, rule: Json) -> None:
    """By name: `add` and `replace` put a variable in its old place, or at the end."""
    env, value = list(container.get("env") or ()), {variable["name"]: variable for variable in rule.get("value") or ()}
    if rule["operator"] in (ADD, REPLACE):
        kept = [value.pop(variable["name"], variable) for variable in env]
        _set(container, "env", kept + list(value.values()))
    elif rule["operator"] == REMOVE:
        _set(container, "env", [variable for variable in env if variable["name"] not in value])
    else:
        raise OverriderError(f"an overrider of env has no operator {rule['operator']!r}")


def _set(container: Json, field: str, items: list[Any]) -> None:
    """What becomes empty is taken out; what was there and is the same stays as it was written."""
    if items == (container.get(field) or []):
        return
    container[field] = items
    if not items:
        del container[field]


def _override_resources(container: Json, rule: Json) -> None:
    value = rule.get("value") or {}
    for group in ("limits", "requests"):
        if value.get(group):
            resources = container.get("resources") or {}
            container["resources"] = {**resources, group: {**(resources.get(group) or {}), **value[group]}}
