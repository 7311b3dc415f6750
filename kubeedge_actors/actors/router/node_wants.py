"""What nodes have been told of rules: the commands that bring a node from what it was told to what it has to hand up. Pure."""

from __future__ import annotations

from kubeedge_actors.actors.router.rule_table import NodeWants, RuleTable
from kubeedge_actors.wire.messages import BusSubscribe, BusUnsubscribe, LinkMessage, TargetUrlAdded, TargetUrlRemoved


class NodeSubscriptions:
    """What each node was told, over its connections: a node keeps it. Only nodes that are connected are told."""

    def __init__(self) -> None:
        self.connected: set[str] = set()
        self._told: dict[str, NodeWants] = {}

    def on_connected(self, node: str, table: RuleTable) -> list[LinkMessage]:
        """A node has a session: everything is said again, for it may have been lost with the last one."""
        self.connected.add(node)
        before = self._told.get(node, NodeWants())
        wants = self._tell(node, table)
        return [*_removals(node, before, wants), *_additions(node, NodeWants(), wants)]

    def on_disconnected(self, node: str) -> None:
        """It is told when it comes back."""
        self.connected.discard(node)

    def on_table_changed(self, table: RuleTable) -> list[LinkMessage]:
        """The rules are others now."""
        commands: list[LinkMessage] = []
        for node in sorted((table.nodes() | self._told.keys()) & self.connected):
            before = self._told.get(node, NodeWants())
            wants = self._tell(node, table)
            commands += [*_removals(node, before, wants), *_additions(node, before, wants)]
        return commands

    def _tell(self, node: str, table: RuleTable) -> NodeWants:
        wants = table.wants_of(node)
        if wants == NodeWants():
            self._told.pop(node, None)
        else:
            self._told[node] = wants
        return wants


def _additions(node: str, before: NodeWants, now: NodeWants) -> list[LinkMessage]:
    topics = [BusSubscribe(node=node, topic=topic) for topic in sorted(now.topics - before.topics)]
    return [*topics, *(TargetUrlAdded(node=node, url=url) for url in sorted(now.urls - before.urls))]


def _removals(node: str, before: NodeWants, now: NodeWants) -> list[LinkMessage]:
    topics = [BusUnsubscribe(node=node, topic=topic) for topic in sorted(before.topics - now.topics)]
    return [*topics, *(TargetUrlRemoved(node=node, url=url) for url in sorted(before.urls - now.urls))]
