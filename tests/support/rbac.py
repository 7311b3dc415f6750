"""Role-based access control as Kubernetes evaluates it, over the roles of one manifest; enough to try a manifest with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

Json = dict[str, Any]


class Call(NamedTuple):
    """One request; `resource` with its subresource, as in `pods/status`."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


class Rules:
    """What the roles allow, everywhere or in their namespace."""

    def __init__(self, objects: Iterable[Json]) -> None:
        self._rules = [
            (object["metadata"].get("namespace", ""), rule)
            for object in objects
            if object["kind"] in ("ClusterRole", "Role")
            for rule in object["rules"]
        ]

    def allow(self, call: Call) -> bool:
        """Whether any rule allows it."""
        return any(namespace in ("", call.namespace) and _fits(rule, call) for namespace, rule in self._rules)

    def unused(self, calls: Iterable[Call]) -> list[Call]:
        """Each verb and resource of the rules that no call needed."""
        used = {(call.verb, call.group, call.resource) for call in calls}
        granted = [
            Call(verb, group, resource)
            for _, rule in self._rules
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        ]
        return [grant for grant in granted if grant[:3] not in used]


def _fits(rule: Json, call: Call) -> bool:
    if call.verb not in rule["verbs"] or call.group not in rule["apiGroups"] or call.resource not in rule["resources"]:
        return False
    names = rule.get("resourceNames")
    return not names or call.name in names
