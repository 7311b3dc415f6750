"""Taints of nodes and tolerations of pods (source: Kubernetes, core/v1 Toleration.ToleratesTaint)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

NO_SCHEDULE, NO_EXECUTE = "NoSchedule", "NoExecute"
REPELLING = frozenset({NO_SCHEDULE, NO_EXECUTE})
"""Effects that keep a pod off a node; `PreferNoSchedule` is only a preference."""


class Toleration(NamedTuple):
    """A taint that a pod bears; an empty effect or key is any."""

    key: str
    operator: str
    value: str
    effect: str

    @classmethod
    def of(cls, toleration: dict[str, Any]) -> Toleration:
        """As `spec.tolerations` of a v1.Pod has it; without an operator it is Equal."""
        key, operator, value, effect = (
            str(toleration.get(field) or "") for field in ("key", "operator", "value", "effect")
        )
        return cls(key, operator or "Equal", value, effect)

    def tolerates(self, taint: Taint) -> bool:
        """Whether it covers the taint."""
        if self.effect not in ("", taint.effect) or self.key not in ("", taint.key):
            return False
        if self.operator == "Exists":
            return True
        return bool(self.key) and self.operator == "Equal" and self.value == taint.value


class Taint(NamedTuple):
    """What keeps pods from a node."""

    key: str
    value: str
    effect: str

    @classmethod
    def of(cls, taint: dict[str, Any]) -> Taint:
        """As `spec.taints` of a v1.Node has it. KeyError without a key or an effect."""
        return cls(str(taint["key"]), str(taint.get("value") or ""), str(taint["effect"]))


def is_tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    """Whether one of the tolerations covers the taint."""
    return any(toleration.tolerates(taint) for toleration in tolerations)
