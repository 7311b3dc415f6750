"""The status of a deployment: counters, and whether it is available and gets on. Pure.

Source: Kubernetes pkg/controller/deployment/progress.go and util/deployment_util.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubeedge_actors.actors.workloads import forms
from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.kubernetes.time import format_time, parse_time

AVAILABLE, PROGRESSING = "Available", "Progressing"
DONE, MOVED, MADE, LATE = (
    "NewReplicaSetAvailable",
    "ReplicaSetUpdated",
    "NewReplicaSetCreated",
    "ProgressDeadlineExceeded",
)
ENDLESS = 2**31 - 1


def conditions(deployment: Json, new: Json | None, old: Sequence[Json], now: float) -> tuple[Json, float | None]:
    """The whole status, and seconds until it is late unless something moves."""
    status = _counters(deployment, new, old)
    kept = {each["type"]: each for each in (deployment.get("status") or {}).get("conditions") or ()}
    progressing, left = _progressing(deployment, new, status, kept.get(PROGRESSING), now)
    found = [_available(deployment, status, kept.get(AVAILABLE), now), *([progressing] if progressing else [])]
    rest = [each for type, each in kept.items() if type not in (AVAILABLE, PROGRESSING)]
    status["conditions"] = [*rest, *found]
    return status, left


def _counters(deployment: Json, new: Json | None, old: Sequence[Json]) -> Json:
    sets = [*old, *([new] if new is not None else ())]

    def total(what: str, of: Sequence[Json] = sets) -> int:
        return sum(int((one.get("status") or {}).get(what) or 0) for one in of)

    wanted = deployment["spec"].get("replicas")
    available = total("availableReplicas")
    return {
        "observedGeneration": deployment["metadata"].get("generation", 0),
        "replicas": total("replicas"),
        "updatedReplicas": total("replicas", [new] if new is not None else []),
        "readyReplicas": total("readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, max(1 if wanted is None else int(wanted), total("replicas")) - available),
    }


def _available(deployment: Json, status: Json, old: Json | None, now: float) -> Json:
    wanted = deployment["spec"].get("replicas")
    wanted = 1 if wanted is None else int(wanted)
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    least = wanted - (forms.share(rolling.get("maxUnavailable", 0), wanted, up=False) if rolling else 0)
    if status["availableReplicas"] >= least:
        said = ("True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
    else:
        said = ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    return _condition(AVAILABLE, *said, old, now)


def _progressing(
    deployment: Json, new: Json | None, status: Json, old: Json | None, now: float
) -> tuple[Json | None, float | None]:
    """The condition, and seconds until it says late; no condition for one without a deadline."""
    deadline = deployment["spec"].get("progressDeadlineSeconds")
    if deadline in (None, ENDLESS) or new is None:
        return old, None
    name = f'ReplicaSet "{new["metadata"]["name"]}"'
    wanted = deployment["spec"].get("replicas")
    wanted = 1 if wanted is None else int(wanted)
    before = deployment.get("status") or {}
    if status["updatedReplicas"] == status["replicas"] == status["availableReplicas"] == wanted:
        return _condition(PROGRESSING, "True", DONE, f"{name} has successfully progressed.", old, now), None
    if old is not None and old.get("reason") == DONE and status["updatedReplicas"] == status["replicas"]:
        return old, None  # it was complete; what is lost since is not a rollout that hangs
    if old is None or old.get("reason") == DONE or _moved(before, status):
        made = _condition(PROGRESSING, "True", MOVED if old else MADE, f"{name} is progressing.", old, now)
        return {**made, "lastUpdateTime": format_time(now)}, float(deadline)
    left = (parse_time(str(old.get("lastUpdateTime") or "")) or 0.0) + deadline - now
    if left <= 0:
        return _condition(PROGRESSING, "False", LATE, f"{name} has timed out progressing.", old, now), None
    return old, left


def _moved(before: Json, status: Json) -> bool:
    up = any(
        status[key] > int(before.get(key) or 0) for key in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    older = int(before.get("replicas") or 0) - int(before.get("updatedReplicas") or 0)
    return up or status["replicas"] - status["updatedReplicas"] < older


def _condition(type: str, status: str, reason: str, message: str, old: Json | None, now: float) -> Json:
    said = {"type": type, "status": status, "reason": reason, "message": message}
    if old is not None and said.items() <= old.items():
        return old
    same = old is not None and old.get("status") == status
    since = old["lastTransitionTime"] if same and old is not None else format_time(now)
    return {**said, "lastUpdateTime": format_time(now), "lastTransitionTime": since}
