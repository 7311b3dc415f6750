"""Sync of a Deployment: its replica sets in; sizes, a new replica set, deletions by history, and the status out. Pure.

Source: Kubernetes pkg/controller/deployment (rolling.go, recreate.go, sync.go, progress.go).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from kubeedge_actors.actors.workloads import controller_utils
from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.kubernetes.object_types import DEPLOYMENT_KIND
from kubeedge_actors.kubernetes.time import format_time, parse_time

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


def plan_deployment(deployment: Json, sets: Sequence[Json], now: float, busy: Collection[str] = ()) -> DeploymentPlan:
    """The next plan of an apps/v1 Deployment; `sets` are the ReplicaSets that it owns, `busy` the uids of those with pods not ended yet."""
    new, old = find_new_and_old(deployment, sets)
    paused = bool(deployment["spec"].get("paused"))
    newest = max((_revision(replica_set) for replica_set in old), default=0)
    revision = max(newest + 1, _revision(new)) if new is not None else newest + 1
    status, again = deployment_status(deployment, new, old, now)
    if controller_utils.is_terminating(deployment):
        return DeploymentPlan(None, [], [], status, "", None)
    if new is None and not paused:
        new_set = _new_set(deployment, _initial_size(deployment, old, busy), revision)
        return DeploymentPlan(new_set, [], [], status, str(revision), again)
    sizes = _sizes(deployment, new, old, busy)
    steps = [(replica_set, size, _revision_of(replica_set, new, revision)) for replica_set, size in sizes]
    steps = [step for step in steps if step[1] != _size(step[0]) or step[2] != str(_revision(step[0]))]
    return DeploymentPlan(None, steps, _history_to_delete(deployment, old), status, str(revision) if new else "", again)


def find_new_and_old(deployment: Json, sets: Sequence[Json]) -> tuple[Json | None, list[Json]]:
    """The apps/v1 ReplicaSet of the current template, the oldest of several; and the others."""
    template = _without_hash(deployment["spec"]["template"])
    fitting = [replica_set for replica_set in sets if _without_hash(replica_set["spec"]["template"]) == template]
    new = min(fitting, key=lambda replica_set: str(replica_set["metadata"].get("creationTimestamp")), default=None)
    return new, [replica_set for replica_set in sets if replica_set is not new]


def _without_hash(template: Json) -> Json:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != controller_utils.HASH_LABEL}
    template_metadata = {"labels": labels, "annotations": metadata.get("annotations") or {}}
    return {"metadata": template_metadata, "spec": template["spec"]}


def _new_set(deployment: Json, size: int, revision: int) -> Json:
    spec, name = deployment["spec"], deployment["metadata"]["name"]
    suffix = controller_utils.template_hash(_without_hash(spec["template"]))
    template = _without_hash(spec["template"])
    template["metadata"]["labels"][controller_utils.HASH_LABEL] = suffix
    selector = {**spec["selector"]}
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), controller_utils.HASH_LABEL: suffix}
    metadata = {
        "name": f"{name}-{suffix}",
        "labels": dict(template["metadata"]["labels"]),
        "annotations": {REVISION: str(revision)},
        "ownerReferences": [controller_utils.controller_reference(DEPLOYMENT_KIND, deployment)],
    }
    replica_spec = {"replicas": size, "selector": selector, "template": template}
    if spec.get("minReadySeconds"):
        replica_spec["minReadySeconds"] = spec["minReadySeconds"]
    return {"metadata": metadata, "spec": replica_spec}


# --- how many of each -------------------------------------------------------------------------------------------------


def _sizes(deployment: Json, new: Json | None, old: list[Json], busy: Collection[str]) -> list[tuple[Json, int]]:
    desired = _desired_replicas(deployment)
    if new is None or deployment["spec"].get("paused"):
        alive = [replica_set for replica_set in (*old, *([new] if new else ())) if _size(replica_set)]
        return [(alive[0], desired)] if len(alive) == 1 else []
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        ended = not any(_size(replica_set) or controller_utils.uid_of(replica_set) in busy for replica_set in old)
        return [
            *((replica_set, 0) for replica_set in old if _size(replica_set)),
            (new, desired if ended else _size(new)),
        ]
    return [(new, _scaled_up(deployment, new, old)), *_scale_down(deployment, new, old)]


def _initial_size(deployment: Json, old: list[Json], busy: Collection[str]) -> int:
    """The size with which a new replica set begins."""
    desired, existing = _desired_replicas(deployment), sum(map(_size, old))
    if (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        return 0 if existing or any(controller_utils.uid_of(replica_set) in busy for replica_set in old) else desired
    return max(0, min(desired, desired + _max_surge(deployment) - existing))


def _scaled_up(deployment: Json, new: Json, old: list[Json]) -> int:
    desired, size = _desired_replicas(deployment), _size(new)
    if size >= desired:
        return desired
    room = desired + _max_surge(deployment) - size - sum(map(_size, old))
    return size + max(0, min(room, desired - size))


def _scale_down(deployment: Json, new: Json, old: list[Json]) -> list[tuple[Json, int]]:
    """Smaller old ones: first their pods that do not work anyway, then others as far as enough are available."""
    least = _desired_replicas(deployment) - _max_unavailable(deployment)
    sets = sorted(
        (replica_set for replica_set in old if _size(replica_set)),
        key=lambda replica_set: str(replica_set["metadata"].get("creationTimestamp")),
    )
    lame = max(0, _size(new) - _status_count(new, "availableReplicas"))
    spare = _size(new) + sum(map(_size, sets)) - least - lame
    sizes = {controller_utils.uid_of(replica_set): _size(replica_set) for replica_set in sets}
    for replica_set in sets:
        cut = max(0, min(spare, _size(replica_set) - _status_count(replica_set, "availableReplicas")))
        sizes[controller_utils.uid_of(replica_set)] -= cut
        spare -= cut
    working = sum(_status_count(replica_set, "availableReplicas") for replica_set in (*sets, new)) - least
    for replica_set in sets:
        cut = max(
            0,
            min(
                working,
                spare,
                sizes[controller_utils.uid_of(replica_set)],
                _status_count(replica_set, "availableReplicas"),
            ),
        )
        sizes[controller_utils.uid_of(replica_set)] -= cut
        working, spare = working - cut, spare - cut
    return [(replica_set, sizes[controller_utils.uid_of(replica_set)]) for replica_set in sets]


def _rolling_update(deployment: Json) -> Json:
    return (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}


def _max_surge(deployment: Json) -> int:
    return controller_utils.scaled_value(
        _rolling_update(deployment).get("maxSurge", "25%"), _desired_replicas(deployment), up=True
    )


def _max_unavailable(deployment: Json) -> int:
    number = controller_utils.scaled_value(
        _rolling_update(deployment).get("maxUnavailable", "25%"), _desired_replicas(deployment), up=False
    )
    return 1 if not number and not _max_surge(deployment) else number  # else nothing could ever move


def _desired_replicas(deployment: Json) -> int:
    replicas = deployment["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def _size(replica_set: Json) -> int:
    return int(replica_set["spec"].get("replicas") or 0)


def _status_count(replica_set: Json, field: str) -> int:
    return int((replica_set.get("status") or {}).get(field) or 0)


# --- history ----------------------------------------------------------------------------------------------------------


def _revision(replica_set: Json | None) -> int:
    text = ((replica_set or {}).get("metadata", {}).get("annotations") or {}).get(REVISION, "")
    return int(text) if str(text).isdecimal() else 0


def _revision_of(replica_set: Json, new: Json | None, revision: int) -> str:
    return str(revision if replica_set is new else _revision(replica_set))


def _history_to_delete(deployment: Json, old: list[Json]) -> list[Json]:
    limit = deployment["spec"].get("revisionHistoryLimit")
    limit = DEFAULT_HISTORY if limit is None else int(limit)
    idle = [
        replica_set
        for replica_set in old
        if not _size(replica_set)
        and not _status_count(replica_set, "replicas")
        and not controller_utils.is_terminating(replica_set)
    ]
    return sorted(idle, key=_revision)[: max(0, len(idle) - limit)]


# --- status: replica counts, Available, Progressing -------------------------------------------------------------------
#
# Source: Kubernetes pkg/controller/deployment/progress.go and util/deployment_util.go.


AVAILABLE, PROGRESSING = "Available", "Progressing"
NEW_RS_AVAILABLE, RS_UPDATED, NEW_RS_CREATED, DEADLINE_EXCEEDED = (
    "NewReplicaSetAvailable",
    "ReplicaSetUpdated",
    "NewReplicaSetCreated",
    "ProgressDeadlineExceeded",
)
NO_DEADLINE = 2**31 - 1


def deployment_status(deployment: Json, new: Json | None, old: Sequence[Json], now: float) -> tuple[Json, float | None]:
    """The whole status of an apps/v1 Deployment, and the seconds until its progress deadline."""
    status = _replica_counts(deployment, new, old)
    conditions = {
        condition["type"]: condition for condition in (deployment.get("status") or {}).get("conditions") or ()
    }
    progressing, remaining = _progressing(deployment, new, status, conditions.get(PROGRESSING), now)
    own = [_available(deployment, status, conditions.get(AVAILABLE), now), *([progressing] if progressing else [])]
    foreign = [condition for type, condition in conditions.items() if type not in (AVAILABLE, PROGRESSING)]
    status["conditions"] = [*foreign, *own]
    return status, remaining


def _replica_counts(deployment: Json, new: Json | None, old: Sequence[Json]) -> Json:
    sets = [*old, *([new] if new is not None else ())]

    def total(field: str, of: Sequence[Json] = sets) -> int:
        return sum(int((replica_set.get("status") or {}).get(field) or 0) for replica_set in of)

    desired = deployment["spec"].get("replicas")
    available = total("availableReplicas")
    return {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": total("replicas"),
        "updatedReplicas": total("replicas", [new] if new is not None else []),
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(1 if desired is None else int(desired), total("replicas")) - available),
    }


def _available(deployment: Json, status: Json, old: Json | None, now: float) -> Json:
    desired = deployment["spec"].get("replicas")
    desired = 1 if desired is None else int(desired)
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    least = desired - (
        controller_utils.scaled_value(rolling.get("maxUnavailable", 0), desired, up=False) if rolling else 0
    )
    if status["availableReplicas"] >= least:
        fields = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        fields = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    return _condition(AVAILABLE, *fields, old, now)


def _progressing(
    deployment: Json, new: Json | None, status: Json, old: Json | None, now: float
) -> tuple[Json | None, float | None]:
    """The condition, and seconds until it says late; no condition for one without a deadline."""
    deadline = deployment["spec"].get("progressDeadlineSeconds")
    if deadline in (None, NO_DEADLINE) or new is None:
        return old, None
    name = f'ReplicaSet "{new["metadata"]["name"]}"'
    desired = deployment["spec"].get("replicas")
    desired = 1 if desired is None else int(desired)
    before = deployment.get("status") or {}
    if status["updatedReplicas"] == status["replicas"] == status["availableReplicas"] == desired:
        return _condition(PROGRESSING, "True", NEW_RS_AVAILABLE, f"{name} has successfully progressed.", old, now), None
    if old is not None and old.get("reason") == NEW_RS_AVAILABLE and status["updatedReplicas"] == status["replicas"]:
        return old, None  # it was complete; what is lost since is not a rollout that hangs
    if old is None or old.get("reason") == NEW_RS_AVAILABLE or _has_progressed(before, status):
        condition = _condition(
            PROGRESSING, "True", RS_UPDATED if old else NEW_RS_CREATED, f"{name} is progressing.", old, now
        )
        return {**condition, "lastUpdateTime": format_time(now)}, float(deadline)
    remaining = (parse_time(str(old.get("lastUpdateTime") or "")) or 0.0) + deadline - now
    if remaining <= 0:
        return _condition(PROGRESSING, "False", DEADLINE_EXCEEDED, f"{name} has timed out progressing.", old, now), None
    return old, remaining


def _has_progressed(before: Json, status: Json) -> bool:
    up = any(
        status[key] > int(before.get(key) or 0) for key in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    older = int(before.get("replicas") or 0) - int(before.get("updatedReplicas") or 0)
    return up or status["replicas"] - status["updatedReplicas"] < older


def _condition(type: str, status: str, reason: str, message: str, old: Json | None, now: float) -> Json:
    condition = {"type": type, "status": status, "reason": reason, "message": message}
    if old is not None and condition.items() <= old.items():
        return old
    same = old is not None and old.get("status") == status
    since = old["lastTransitionTime"] if same and old is not None else format_time(now)
    return {**condition, "lastUpdateTime": format_time(now), "lastTransitionTime": since}
