"""A deployment and its replica sets in; sizes, a new replica set, what history goes, and the status out. Pure.

Source: Kubernetes pkg/controller/deployment (rolling.go, recreate.go, sync.go, progress.go).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from kubeedge_actors.actors.workloads import forms
from kubeedge_actors.actors.workloads.progress import conditions
from kubeedge_actors.drivers.cluster.base import Json

REVISION = "deployment.kubernetes.io/revision"
DEFAULT_HISTORY = 10


class DeploymentPlan(NamedTuple):
    """`create`: a replica set to be made; `sizes`: what to change of which (size, revision); `delete`: old ones; `status`: as it should be;
    `revision`: which the deployment is at; `again`: seconds until the deadline of its progress.
    """

    create: Json | None
    sizes: list[tuple[Json, int, str]]
    delete: list[Json]
    status: Json
    revision: str
    again: float | None


def plan(deployment: Json, sets: Sequence[Json], now: float, busy: Collection[str] = ()) -> DeploymentPlan:
    """What is to be done next; `sets` are the replica sets that it owns, `busy` the uids of those with pods not ended yet."""
    new, old = split(deployment, sets)
    paused = bool(deployment["spec"].get("paused"))
    newest = max((_revision(one) for one in old), default=0)
    revision = max(newest + 1, _revision(new)) if new is not None else newest + 1
    status, again = conditions(deployment, new, old, now)
    if forms.ending(deployment):
        return DeploymentPlan(None, [], [], status, "", None)
    if new is None and not paused:
        made = _new_set(deployment, _room(deployment, old, busy), revision)
        return DeploymentPlan(made, [], [], status, str(revision), again)
    sizes = _sizes(deployment, new, old, busy)
    steps = [(one, size, _mark(one, new, revision)) for one, size in sizes]
    steps = [step for step in steps if step[1] != _size(step[0]) or step[2] != str(_revision(step[0]))]
    return DeploymentPlan(None, steps, _history(deployment, old), status, str(revision) if new else "", again)


def split(deployment: Json, sets: Sequence[Json]) -> tuple[Json | None, list[Json]]:
    """The replica set of the current template, the oldest of several; and the others."""
    wanted = _bare(deployment["spec"]["template"])
    fitting = [one for one in sets if _bare(one["spec"]["template"]) == wanted]
    new = min(fitting, key=lambda one: str(one["metadata"].get("creationTimestamp")), default=None)
    return new, [one for one in sets if one is not new]


def _bare(template: Json) -> Json:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != forms.HASH_LABEL}
    told = {"labels": labels, "annotations": metadata.get("annotations") or {}}
    return {"metadata": told, "spec": template["spec"]}


def _new_set(deployment: Json, size: int, revision: int) -> Json:
    spec, name = deployment["spec"], deployment["metadata"]["name"]
    suffix = forms.template_hash(_bare(spec["template"]))
    template = _bare(spec["template"])
    template["metadata"]["labels"][forms.HASH_LABEL] = suffix
    selector = {**spec["selector"]}
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), forms.HASH_LABEL: suffix}
    metadata = {
        "name": f"{name}-{suffix}",
        "labels": dict(template["metadata"]["labels"]),
        "annotations": {REVISION: str(revision)},
        "ownerReferences": [forms.owned(forms.DEPLOYMENT_KIND, deployment)],
    }
    made = {"replicas": size, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    return {"metadata": metadata, "spec": made}


# --- how many of each -------------------------------------------------------------------------------------------------


def _sizes(deployment: Json, new: Json | None, old: list[Json], busy: Collection[str]) -> list[tuple[Json, int]]:
    wanted = _wanted(deployment)
    if new is None or deployment["spec"].get("paused"):
        alive = [one for one in (*old, *([new] if new else ())) if _size(one)]
        return [(alive[0], wanted)] if len(alive) == 1 else []
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        gone = not any(_size(one) or forms.uid(one) in busy for one in old)
        return [*((one, 0) for one in old if _size(one)), (new, wanted if gone else _size(new))]
    return [(new, _grown(deployment, new, old)), *_shrunk(deployment, new, old)]


def _room(deployment: Json, old: list[Json], busy: Collection[str]) -> int:
    """The size with which a new replica set begins."""
    wanted, taken = _wanted(deployment), sum(map(_size, old))
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return 0 if taken or any(forms.uid(one) in busy for one in old) else wanted
    return max(0, min(wanted, wanted + _surge(deployment) - taken))


def _grown(deployment: Json, new: Json, old: list[Json]) -> int:
    wanted, size = _wanted(deployment), _size(new)
    if size >= wanted:
        return wanted
    room = wanted + _surge(deployment) - size - sum(map(_size, old))
    return size + max(0, min(room, wanted - size))


def _shrunk(deployment: Json, new: Json, old: list[Json]) -> list[tuple[Json, int]]:
    """Smaller old ones: first their pods that do not work anyway, then others as far as enough are available."""
    least = _wanted(deployment) - _unavailable(deployment)
    sets = sorted((one for one in old if _size(one)), key=lambda one: str(one["metadata"].get("creationTimestamp")))
    lame = max(0, _size(new) - _counted(new, "availableReplicas"))
    spare = _size(new) + sum(map(_size, sets)) - least - lame
    sizes = {forms.uid(one): _size(one) for one in sets}
    for one in sets:
        cut = max(0, min(spare, _size(one) - _counted(one, "availableReplicas")))
        sizes[forms.uid(one)] -= cut
        spare -= cut
    working = sum(_counted(one, "availableReplicas") for one in (*sets, new)) - least
    for one in sets:
        cut = max(0, min(working, spare, sizes[forms.uid(one)], _counted(one, "availableReplicas")))
        sizes[forms.uid(one)] -= cut
        working, spare = working - cut, spare - cut
    return [(one, sizes[forms.uid(one)]) for one in sets]


def _rolling(deployment: Json) -> Json:
    return (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}


def _surge(deployment: Json) -> int:
    return forms.share(_rolling(deployment).get("maxSurge", "25%"), _wanted(deployment), up=True)


def _unavailable(deployment: Json) -> int:
    number = forms.share(_rolling(deployment).get("maxUnavailable", "25%"), _wanted(deployment), up=False)
    return 1 if not number and not _surge(deployment) else number  # else nothing could ever move


def _wanted(deployment: Json) -> int:
    wanted = deployment["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def _size(replica_set: Json) -> int:
    return int(replica_set["spec"].get("replicas") or 0)


def _counted(replica_set: Json, what: str) -> int:
    return int((replica_set.get("status") or {}).get(what) or 0)


# --- history ----------------------------------------------------------------------------------------------------------


def _revision(replica_set: Json | None) -> int:
    text = ((replica_set or {}).get("metadata", {}).get("annotations") or {}).get(REVISION, "")
    return int(text) if str(text).isdecimal() else 0


def _mark(one: Json, new: Json | None, revision: int) -> str:
    return str(revision if one is new else _revision(one))


def _history(deployment: Json, old: list[Json]) -> list[Json]:
    limit = deployment["spec"].get("revisionHistoryLimit")
    limit = DEFAULT_HISTORY if limit is None else int(limit)
    idle = [one for one in old if not _size(one) and not _counted(one, "replicas") and not forms.ending(one)]
    return sorted(idle, key=_revision)[: max(0, len(idle) - limit)]
