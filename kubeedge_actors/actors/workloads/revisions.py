"""ControllerRevisions: the templates that a StatefulSet had, and which of them its pods are to be of. Pure.

Source: Kubernetes pkg/controller/history/controller_history.go, pkg/controller/statefulset/stateful_set_utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kubeedge_actors.actors.workloads import controller_utils
from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.kubernetes.object_types import STATEFULSET_KIND

HASH_LABEL = "controller.kubernetes.io/hash"
HISTORY_LIMIT = 10


class Revisions(NamedTuple):
    """Which revisions a set goes by, and what of them is to be written. `current`, `update`: the names of the one that the last finished update came to,
    and of the one of the template now; `objects`: by name; `create`: a ControllerRevision that is missing; `renumber`: one that counts again, with its new
    number; `delete`: those that nothing needs any more.
    """

    current: str
    update: str
    objects: dict[str, Json]
    create: Json | None
    renumber: tuple[Json, int] | None
    delete: list[Json]

    def template(self, name: str) -> Json:
        """The pod template of a revision."""
        template: Json = dict(self.objects[name]["data"]["spec"]["template"])
        template.pop("$patch", None)
        return template


def plan_revisions(stateful_set: Json, existing: Iterable[Json], in_use: Iterable[str]) -> Revisions:
    """The plan of an apps/v1 StatefulSet's revisions; `existing`: the apps/v1 ControllerRevisions that it owns; `in_use`: names that its pods have."""
    own = sorted(existing, key=_number)
    template = stateful_set["spec"]["template"]
    equal = next((each for each in reversed(own) if _template_of(each) == template), None)
    last = _number(own[-1]) if own else 0
    create = renumber = None
    if equal is None:
        equal = create = _revision(stateful_set, last + 1)
    elif _number(equal) < last:
        renumber = (equal, last + 1)
    objects = {str(each["metadata"]["name"]): each for each in [*own, equal]}
    update = str(equal["metadata"]["name"])
    current = str((stateful_set.get("status") or {}).get("currentRevision") or "")
    current = current if current in objects else update
    live = {current, update, *in_use}
    history = [each for each in own if each["metadata"]["name"] not in live]
    limit = stateful_set["spec"].get("revisionHistoryLimit", HISTORY_LIMIT)
    return Revisions(current, update, objects, create, renumber, history[: max(0, len(history) - int(limit))])


def _number(revision: Json) -> int:
    return int(revision.get("revision") or 0)


def _template_of(revision: Json) -> Json | None:
    template = ((revision.get("data") or {}).get("spec") or {}).get("template")
    return {key: value for key, value in template.items() if key != "$patch"} if isinstance(template, dict) else None


def _revision(stateful_set: Json, number: int) -> Json:
    """A new one. Its data is the strategic merge patch by which `kubectl rollout undo` goes back to it."""
    template, metadata = stateful_set["spec"]["template"], stateful_set["metadata"]
    suffix = controller_utils.template_hash(template)
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: suffix}
    return {
        "metadata": {
            "name": f"{metadata['name']}-{suffix}",
            "labels": labels,
            "ownerReferences": [controller_utils.controller_reference(STATEFULSET_KIND, stateful_set)],
        },
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "revision": number,
    }
