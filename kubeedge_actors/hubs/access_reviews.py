"""Who somebody is, and what they may do, by the cluster's own reviews, each answer remembered for a while (source: Kubernetes pkg/kubelet/server/auth.go)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from kubeedge_actors.drivers.cluster.base import Cluster
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


class AccessReviewer:
    """Asks `cluster`. Blocks until the API has answered, unless it is known already; ClusterError: it does not answer."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster = cluster
        self._answers = ReviewCache(clock)

    def caller_of(self, authorization: str) -> Caller:
        """Whose the token in this header is. Denied 401."""
        if not authorization.lower().startswith(BEARER):
            raise Denied(
                401, "Unauthorized: a client certificate of the cluster's CA or a token of the cluster is needed"
            )
        token = authorization[len(BEARER) :].strip()
        key = "token", hashlib.sha256(token.encode()).hexdigest()
        caller = self._answers.get(key, lambda: self._review_token(token), _while_good)
        if caller is None:
            raise Denied(401, "Unauthorized: the token is not good")
        return caller

    def is_allowed(self, caller: Caller, attributes: Mapping[str, str]) -> bool:
        """Whether the user may do this (`resourceAttributes` of a SubjectAccessReview)."""
        key = caller, tuple(sorted(attributes.items()))
        return self._answers.get(key, lambda: self._review_access(caller, dict(attributes)), _while_good)

    def _review_token(self, token: str) -> Caller | None:
        review = _review(TOKENREVIEW_KIND.api_version, TOKENREVIEW_KIND.kind, {"token": token})
        status = self._cluster.create(TOKENREVIEW_KIND, "", review).get("status") or {}
        user = status.get("user") or {}
        if not status.get("authenticated") or not user.get("username"):
            return None
        return Caller(str(user["username"]), tuple(map(str, user.get("groups") or ())))

    def _review_access(self, caller: Caller, wanted: dict[str, str]) -> bool:
        spec = {"user": caller.user, "groups": list(caller.groups), "resourceAttributes": wanted}
        review = _review(SUBJECTACCESSREVIEW_KIND.api_version, SUBJECTACCESSREVIEW_KIND.kind, spec)
        status = self._cluster.create(SUBJECTACCESSREVIEW_KIND, "", review).get("status") or {}
        return status.get("allowed") is True


def _review(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "spec": spec}


def _while_good(answer: object) -> float:
    return ALLOWED_SECONDS if answer else DENIED_SECONDS
