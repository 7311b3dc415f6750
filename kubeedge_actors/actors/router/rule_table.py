"""The rules that act, by what they listen to, and why the others do not. Pure; a table never changes, a change makes a new one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kubeedge_actors.actors.router.request_path import RequestPath, is_prefix, specificity
from kubeedge_actors.actors.router.rules import (
    EventBusSource,
    InvalidRule,
    RestSource,
    Rule,
    RuleEndpoint,
    ServiceBusSource,
    key_of,
    parse_endpoint,
    parse_rule,
)
from kubeedge_actors.mqtt_topics import matches

NO_PORT = "the cloud takes no requests for rules: it was started without --router-port and --router-open"


class NodeWants(NamedTuple):
    """What one node is told of its rules: topics to hand up, URLs that its programs may call."""

    topics: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()


class RuleTable:
    """The rules of all namespaces. `serves_rest`: whether requests can come at all.

    `rules`: those that act, by key. `errors`: why each other one does not.
    """

    def __init__(
        self,
        objects: Iterable[Mapping[str, Any]] = (),
        endpoints: Iterable[Mapping[str, Any]] = (),
        *,
        serves_rest: bool = True,
    ) -> None:
        known = _endpoints(endpoints)
        self.rules: dict[str, Rule] = {}
        self.errors: dict[str, str] = {}
        self._by_namespace: dict[str, list[tuple[tuple[str, ...], Rule]]] = defaultdict(list)
        self._by_node: dict[str, list[Rule]] = defaultdict(list)
        for object in objects:
            try:
                rule = parse_rule(object, known.get)
                if isinstance(rule.source, RestSource) and not serves_rest:
                    raise InvalidRule(NO_PORT)
            except InvalidRule as error:
                self.errors[key_of(object)] = str(error)
            else:
                self._add(rule)

    def _add(self, rule: Rule) -> None:
        self.rules[rule.key] = rule
        if isinstance(rule.source, RestSource):
            self._by_namespace[rule.namespace].append((rule.source.path, rule))
        else:
            for node in dict.fromkeys(rule.source.nodes):
                self._by_node[node].append(rule)

    def for_request(self, request: RequestPath) -> Rule | None:
        """The rule with the longest path that leads to the request's; of equal ones the first by name."""
        found = [
            (path, rule)
            for path, rule in self._by_namespace.get(request.namespace, ())
            if is_prefix(path, request.parts)
        ]
        found.sort(key=lambda pair: pair[1].key)
        return max(found, key=lambda pair: specificity(pair[0]), default=(None, None))[1]

    def for_topic(self, node: str, topic: str) -> list[Rule]:
        """The rules that want what was published on a topic of a node."""
        return [
            rule
            for rule in self._by_node.get(node, ())
            if isinstance(rule.source, EventBusSource) and matches(rule.source.topic, topic)
        ]

    def for_url(self, node: str, url: str) -> list[Rule]:
        """The rules that want what programs of a node send to a URL."""
        return [
            rule
            for rule in self._by_node.get(node, ())
            if isinstance(rule.source, ServiceBusSource) and rule.source.url == url
        ]

    def nodes(self) -> set[str]:
        """Those that rules have something to tell."""
        return set(self._by_node)

    def wants_of(self, node: str) -> NodeWants:
        """What a node has to hand up."""
        sources = [rule.source for rule in self._by_node.get(node, ())]
        return NodeWants(
            frozenset(source.topic for source in sources if isinstance(source, EventBusSource)),
            frozenset(source.url for source in sources if isinstance(source, ServiceBusSource)),
        )


def _endpoints(objects: Iterable[Mapping[str, Any]]) -> dict[str, RuleEndpoint]:
    known: dict[str, RuleEndpoint] = {}
    for object in objects:
        try:
            known[key_of(object)] = parse_endpoint(object)
        except InvalidRule:
            continue  # the rules that name it say so
    return known
