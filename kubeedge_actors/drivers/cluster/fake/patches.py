"""What the four forms of a patch do to an object; the fake API's.

Nothing given is changed, what comes back may share parts with it.

Strategic merge follows the lists of the built-in kinds that controllers patch (source: Kubernetes' patchMergeKey
tags); server-side apply is taken as a merge without ownership.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

MERGE_KEYS = {
    "addresses": "type",
    "conditions": "type",
    "containers": "name",
    "env": "name",
    "hostIPs": "ip",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "podIPs": "ip",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumes": "name",
}
SETS = frozenset({"finalizers"})
ORDER, DELETE_FROM = "$setElementOrder/", "$deleteFromPrimitiveList/"


class PatchRefused(Exception):
    """The patch does not fit the object; the text says why."""


def strategic_merge(target: Any, patch: Any) -> Any:
    """Kubernetes' strategic merge: maps merge, keyed lists merge by their key, other lists are replaced."""
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith(DELETE_FROM):
            field = key.removeprefix(DELETE_FROM)
            result[field] = [item for item in result.get(field, ()) if item not in value]
        elif not key.startswith("$"):
            _set(result, key, value, patch.get(ORDER + key))
    return result


def _set(result: Json, key: str, value: Any, order: Any) -> None:
    if value is None:
        result.pop(key, None)
    elif isinstance(value, list) and key in MERGE_KEYS:
        result[key] = _keyed(result.get(key) or [], value, MERGE_KEYS[key], order)
    elif isinstance(value, list) and key in SETS:
        present = list(result.get(key) or [])
        result[key] = present + [item for item in value if item not in present]
    else:
        result[key] = strategic_merge(result.get(key), value)


def _keyed(present: list[Any], items: list[Any], key: str, order: Any) -> list[Any]:
    if any(item.get("$patch") == "replace" for item in items):
        return [item for item in items if "$patch" not in item]
    result = {item.get(key): item for item in present}
    for item in items:
        if item.get("$patch") == "delete":
            result.pop(item.get(key), None)
        else:
            result[item.get(key)] = strategic_merge(result.get(item.get(key)), item)
    if order:
        places = {entry.get(key): place for place, entry in enumerate(order)}
        return sorted(result.values(), key=lambda item: places.get(item.get(key), len(places)))
    return list(result.values())


def apply_json_patch(target: Any, steps: list[Json]) -> Any:
    """RFC 6902 with add, replace, remove and test. Errors: PatchRefused."""
    for step in steps:
        path = [part.replace("~1", "/").replace("~0", "~") for part in str(step["path"]).split("/")[1:]]
        try:
            target = _step(target, path, step)
        except (KeyError, IndexError, ValueError, TypeError):
            raise PatchRefused(f"{step.get('op')} of {step.get('path')} does not fit") from None
    return target


def _step(target: Any, path: list[str], step: Json) -> Any:
    if not path:
        if step["op"] == "test" and target != step["value"]:
            raise ValueError
        return target if step["op"] == "test" else step["value"]
    head, rest = path[0], path[1:]
    copy: Any = list(target) if isinstance(target, list) else dict(target)
    key: Any = (len(copy) if head == "-" else int(head)) if isinstance(copy, list) else head
    if rest or step["op"] == "test":
        copy[key] = _step(copy[key], rest, step)
    elif step["op"] == "remove":
        del copy[key]
    elif isinstance(copy, list) and step["op"] == "add":
        copy.insert(key, step["value"])
    else:
        copy[key] = step["value"]
    return copy
