"""How many objects one node may create in the API in a while: each is kept there, or for an hour. Pure: monotonic seconds come in."""

from __future__ import annotations

from typing import Final

from kubeedge_actors.hubs.rate_limits import TokenBucket
from kubeedge_actors.wire.messages import InsertPod, LinkMessage, ReportEvent, RequestCertificate

RATES: Final[dict[type[LinkMessage], tuple[float, int]]] = {
    ReportEvent: (2.0, 600),
    InsertPod: (1.0, 250),
    RequestCertificate: (1 / 60, 10),
}
"""Requests that create an object: how many a second in the long run, and at once (a kubelet that starts 110 pods reports some 550 Events)."""
MAX_PODS = 1_000
"""Pods of a node above which it adds no mirror of its own."""


class WriteBudgets:
    """A token bucket for each node and type of request."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[str, type[LinkMessage]], TokenBucket] = {}

    def rejection(self, request: LinkMessage, pods: int, now: float) -> str:
        """Why the request is one too many; empty when it is not. `pods`: how many are bound to its node."""
        rate = RATES.get(type(request))
        if rate is None:
            return ""
        if isinstance(request, InsertPod) and pods >= MAX_PODS:
            return f"node {request.node} has {pods} pods: it may not add mirrors of its own"
        key = (request.node, type(request))
        bucket = self._buckets.get(key) or self._buckets.setdefault(key, TokenBucket(*rate))
        return "" if bucket.take(now) else f"node {request.node} says too many {type(request).__name__}: it is dropped"

    def forget(self, node: str) -> None:
        """The node was deleted."""
        for type in RATES:
            self._buckets.pop((node, type), None)
