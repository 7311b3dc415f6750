"""Two-way strategic merge patches of Node and Pod statuses (source: k8s.io/apimachinery, CreateTwoWayMergePatch).

Lists that Kubernetes merges by a key of their items are named in MERGE_KEYS; all other lists are replaced whole.
"""

from __future__ import annotations

from typing import Any

import msgspec

Json = dict[str, Any]

MERGE_KEYS = {"conditions": "type"}
REPLACED, REPLACE = ("addresses", "podIPs", "hostIPs"), {"$patch": "replace"}
"""Lists that are sent whole. Types of addresses may repeat (source: kubelet fixupPatchForNodeStatusAddresses). The addresses of pods are merged
by address: beside one that we have not heard of a new one would be the second of its family, which the API refuses.
"""


def strategic_diff(old: Json, new: Json) -> Json:
    """The patch that makes `new` of `old`; empty when they are equal. Keys that are gone become null.

    >>> strategic_diff({"phase": "Pending", "reason": "x"}, {"phase": "Running"})
    {'phase': 'Running', 'reason': None}
    """
    patch: Json = {}
    for key in dict.fromkeys((*old, *new)):
        if key not in new:
            patch[key] = None
        elif key in REPLACED and old.get(key) != new[key]:
            patch[key] = [*new[key], REPLACE]
        elif key not in old:
            if new[key] is not None:  # the cluster keeps no nulls, so there is no difference
                patch[key] = new[key]
        elif old[key] != new[key]:
            patch |= _changed(key, old[key], new[key])
    return patch


def _without_nulls(value: Any) -> Any:
    """What a cluster keeps of it: no nulls in objects, at any depth."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _changed(key: str, old: Any, new: Any) -> Json:
    if _without_nulls(old) == _without_nulls(new):
        return {}
    if isinstance(old, dict) and isinstance(new, dict):
        return {key: strategic_diff(old, new)}
    merge_key = MERGE_KEYS.get(key)
    if merge_key is None or not (_keyed(old, merge_key) and _keyed(new, merge_key)):
        return {key: new}
    order = [{merge_key: item[merge_key]} for item in new]
    items = _items(old, new, merge_key)
    if not items and order == [{merge_key: item[merge_key]} for item in old]:
        return {}
    return {key: items, f"$setElementOrder/{key}": order}


def _keyed(items: Any, merge_key: str) -> bool:
    """Whether it is a list of objects that all have a key of their own."""
    if not isinstance(items, list) or not all(isinstance(item, dict) and merge_key in item for item in items):
        return False
    return len({item[merge_key] for item in items}) == len(items)


def _items(old: list[Json], new: list[Json], merge_key: str) -> list[Json]:
    before = {item[merge_key]: item for item in old}
    after = {item[merge_key] for item in new}
    changed: list[Json] = []
    for item in new:
        old_item = before.get(item[merge_key])
        if old_item is None:
            changed.append(item)
        elif differing := strategic_diff(old_item, item):
            changed.append({merge_key: item[merge_key], **differing})
    return changed + [{"$patch": "delete", merge_key: key} for key in before if key not in after]


def status_patch(old: Json, new: Json) -> Json:
    """The patch of a whole object for its status; empty when the statuses are equal."""
    changes = strategic_diff(old, new)
    return {"status": changes} if changes else {}


def patch_text(patch: Json) -> str:
    """The patch as it is sent: JSON with sorted keys."""
    return msgspec.json.encode(patch, order="sorted").decode()
