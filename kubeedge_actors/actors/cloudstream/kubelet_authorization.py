"""Who may ask the kubelets of edge nodes for what: as a kubelet does it, by the cluster's own reviews (source: Kubernetes pkg/kubelet/server/auth.go)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.kubelet.base import ClientIdentity, KubeletRequest
from kubeedge_actors.errors import DriverError
from kubeedge_actors.kubernetes.object_types import SUBJECTACCESSREVIEW_KIND, TOKENREVIEW_KIND

T = TypeVar("T")
ALLOWED_SECONDS, DENIED_SECONDS = 300.0, 30.0
"""As long as a kubelet keeps what the webhook has said."""
MAX_REMEMBERED = 1_000
BEARER = "bearer "


class Caller(msgspec.Struct, frozen=True):
    """Who asks."""

    user: str
    groups: tuple[str, ...] = ()


class Denied(DriverError):
    """The request is refused with `status`."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class ReviewCache:
    """What was answered lately; each answer is good for as long as `seconds` says. Thread-safe."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._known: OrderedDict[Any, tuple[float, Any]] = OrderedDict()

    def get(self, key: Any, ask: Callable[[], T], seconds: Callable[[T], float]) -> T:
        """The answer that is known, or a new one."""
        now = self._clock()
        with self._lock:
            until, answer = self._known.get(key, (0.0, None))
        if now < until:
            known: T = answer
            return known
        fresh = ask()
        with self._lock:
            self._known[key] = now + seconds(fresh), fresh
            self._known.move_to_end(key)
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return fresh


class KubeletAuthorizer:
    """Asks `cluster` who a token belongs to and what a user may do. Blocks until the API has answered, unless it is known already."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._answers = ReviewCache(clock)

    def authenticate(self, request: KubeletRequest, identity: ClientIdentity | None) -> Caller:
        """Whoever has shown a certificate or a token. Denied 401; ClusterError: the API does not answer."""
        if identity is not None:
            return Caller(identity.common_name, identity.organizations)
        scheme = request.header("authorization")
        if not scheme.lower().startswith(BEARER):
            raise Denied(
                401, "Unauthorized: a client certificate of the cluster's CA or a token of the cluster is needed"
            )
        token = scheme[len(BEARER) :].strip()
        key = "token", hashlib.sha256(token.encode()).hexdigest()
        caller = self._answers.get(key, lambda: self._review_token(token), _while_good)
        if caller is None:
            raise Denied(401, "Unauthorized: the token is not good")
        return caller

    def authorize(self, caller: Caller, verb: str, node: str, subresource: str) -> None:
        """Denied 403 unless the cluster says that this user may do so with the Node; ClusterError: it does not answer."""
        key = caller, verb, node, subresource
        may = self._answers.get(key, lambda: self._review_access(caller, verb, node, subresource), _while_good)
        if not may:
            raise Denied(
                403,
                f"Forbidden (user={caller.user}, verb={verb}, resource=nodes, subresource(s)=[{subresource}], name={node})",
            )

    def _review_token(self, token: str) -> Caller | None:
        review = _review(TOKENREVIEW_KIND.api_version, TOKENREVIEW_KIND.kind, {"token": token})
        status = self._cluster.create(TOKENREVIEW_KIND, "", review).get("status") or {}
        user = status.get("user") or {}
        if not status.get("authenticated") or not user.get("username"):
            return None
        return Caller(str(user["username"]), tuple(map(str, user.get("groups") or ())))

    def _review_access(self, caller: Caller, verb: str, node: str, subresource: str) -> bool:
        wanted = {"verb": verb, "version": "v1", "resource": "nodes", "subresource": subresource, "name": node}
        spec = {"user": caller.user, "groups": list(caller.groups), "resourceAttributes": wanted}
        review = _review(SUBJECTACCESSREVIEW_KIND.api_version, SUBJECTACCESSREVIEW_KIND.kind, spec)
        status = self._cluster.create(SUBJECTACCESSREVIEW_KIND, "", review).get("status") or {}
        return status.get("allowed") is True


def _review(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "spec": spec}


def _while_good(answer: object) -> float:
    return ALLOWED_SECONDS if answer else DENIED_SECONDS
