"""Which resource a manifest's kind is, as the API says (client-go: RESTMapper over discovery)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kubeedge_actors.controller import ObservedCluster
from kubeedge_actors.kubernetes.object_types import ResourceKind

ASK_AGAIN = 10.0
"""Seconds for which the API is not asked again for a kind that it did not serve."""


class KindLookup:
    """What the API serves, asked once for each group version, and again for a kind that was not among it. `now`: monotonic seconds."""

    def __init__(self, api: ObservedCluster, now: Callable[[], float]) -> None:
        self._api = api
        self._now = now
        self._known: dict[tuple[str, str], tuple[float, Sequence[ResourceKind]]] = {}

    def find(self, group: str, version: str, kind: str) -> ResourceKind | None:
        """The kind; None when the API does not serve it, or nothing of it can be kept. Error: ClusterError."""
        asked, served = self._known.get((group, version), (None, ()))
        found = next((each for each in served if each.kind == kind), None)
        if found is None and (asked is None or self._now() - asked >= ASK_AGAIN):
            served = self._api.kinds(group, version)
            self._known[group, version] = self._now(), served
            found = next((each for each in served if each.kind == kind), None)
        return found
