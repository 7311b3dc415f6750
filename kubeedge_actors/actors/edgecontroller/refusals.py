"""How a failure looks on the wire: KubeEdge's {"ErrStatus": Status}, alone or beside an empty object. Pure.

Never an empty error and never a missing one: a genuine edge takes both for success and reads an object that is not
there (source: KubeEdge cloud/pkg/edgecontroller/controller/upstream.go, common/types).
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.drivers.cluster.base import Kind
from kubeedge_actors.errors import ClusterError, NotFound, Unreachable
from kubeedge_actors.wire import names

Json = dict[str, Any]

UNAVAILABLE, FORBIDDEN, BAD_REQUEST = 503, 403, 400
_NODE_STATUS: Json = {
    "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
    "nodeInfo": dict.fromkeys(
        (
            "machineID",
            "systemUUID",
            "bootID",
            "kernelVersion",
            "osImage",
            "containerRuntimeVersion",
            "kubeletVersion",
            "kubeProxyVersion",
            "operatingSystem",
            "architecture",
        ),
        "",
    ),
}
EMPTY_NODE: Json = {"metadata": {"creationTimestamp": None}, "spec": {}, "status": _NODE_STATUS}
EMPTY_POD: Json = {"metadata": {"creationTimestamp": None}, "spec": {"containers": None}, "status": {}}


def err_status(error: ClusterError) -> Json:
    """{"ErrStatus": ...} with a reason and a code, whatever the API left out."""
    status = error.status
    if isinstance(error, Unreachable):
        status = {"message": str(error), "reason": "ServiceUnavailable", "code": UNAVAILABLE}
    answer: Json = {
        "metadata": {},
        "status": "Failure",
        "message": str(status.get("message") or "the API server gave no message"),
        "reason": str(status.get("reason") or "InternalError"),
    }
    if status.get("details"):
        answer["details"] = status["details"]
    answer["code"] = int(status.get("code") or 500)
    return {names.ERR_STATUS: answer}


def as_cached(error: ClusterError, type: str, kind: Kind, name: str) -> ClusterError:
    """A NotFound in the words of the caches from which a genuine cloud answers: the type in the singular."""
    if not isinstance(error, NotFound):
        return error
    qualified = f"{type}.{kind.group}" if kind.group else type
    details = {"name": name, "group": kind.group, "kind": type} if kind.group else {"name": name, "kind": type}
    message = f'{qualified} "{name}" not found'
    return NotFound({"message": message, "reason": "NotFound", "details": details, "code": 404})


def refused(sentence: str, code: int = FORBIDDEN, reason: str = "Forbidden") -> ClusterError:
    """The error for what a node may not do, or did not say well."""
    return ClusterError({"message": sentence, "reason": reason, "code": code})


def success(object: Json | None) -> Json:
    """{"Object": ..., "Err": null}; the object without kind and apiVersion, as the original's."""
    return {names.OBJECT: bare(object) if object is not None else None, names.ERR: None}


def failure(error: ClusterError, object: Json | None) -> Json:
    """{"Object": almost empty, "Err": {...}}."""
    return {names.OBJECT: object, names.ERR: err_status(error)}


def bare(object: Json) -> Json:
    """The object without kind and apiVersion."""
    return {key: value for key, value in object.items() if key not in ("kind", "apiVersion")}
