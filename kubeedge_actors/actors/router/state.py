"""What Router has that outlives its crashes: the rules, and what is under way by them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from kubeedge_actors.actors.router.deliveries import Deliveries
from kubeedge_actors.actors.router.node_wants import NodeSubscriptions
from kubeedge_actors.actors.router.rule_status import RuleStatusQueue
from kubeedge_actors.actors.router.rule_table import RuleTable
from kubeedge_actors.drivers.cluster.base import Cluster, InformerSet, InformerSpec
from kubeedge_actors.kubernetes.object_types import RULE_KIND, RULEENDPOINT_KIND
from kubeedge_actors.supervisors import ReplyTo
from kubeedge_actors.wire.messages import BusUploaded


@dataclass(slots=True)
class RouterConfig:
    """`timeout`: seconds that a request waits for a service; `retry`: for which a target is tried. `serves_rest`: whether requests can come."""

    timeout: float = 60.0
    retry: float = 3600.0
    serves_rest: bool = True


@dataclass(slots=True)
class PendingCall:
    rule: str
    node: str
    reply: ReplyTo


@dataclass(slots=True)
class RouterWork:
    """What is under way: it outlives a crash of the actor, too."""

    calls: dict[str, PendingCall] = field(default_factory=dict)
    deliveries: Deliveries = field(default_factory=Deliveries)
    statuses: RuleStatusQueue = field(default_factory=RuleStatusQueue)
    subscriptions: NodeSubscriptions = field(default_factory=NodeSubscriptions)
    deferred: list[tuple[BusUploaded, ReplyTo]] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)


class RouterState(InformerSet):
    """State of Router that outlives its crashes. `table` is replaced as a whole: any thread may read it."""

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster, [InformerSpec(RULEENDPOINT_KIND), InformerSpec(RULE_KIND)])
        self.rules: dict[str, dict[str, Any]] = {}
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.table = RuleTable()
        self.work = RouterWork()
