"""The strategy of each kind."""

from __future__ import annotations

from collections.abc import Mapping

from ..crd import definition
from . import core, pods, workloads
from .strategy import Strategy

# By the name of the collection; a kind that is not here has no defaults and no rules of its own.
STRATEGIES: Mapping[str, Strategy] = {
    "pods": pods.PODS,
    "nodes": core.NODES,
    "namespaces": core.NAMESPACES,
    "configmaps": core.CONFIG_MAPS,
    "secrets": core.SECRETS,
    "events": core.EVENTS,
    "services": core.SERVICES,
    "coordination.k8s.io/leases": core.LEASES,
    "apps/deployments": workloads.DEPLOYMENTS,
    "apps/replicasets": workloads.REPLICA_SETS,
    "apps/daemonsets": workloads.DAEMON_SETS,
    "apps/statefulsets": workloads.STATEFUL_SETS,
    definition.KEY: definition.CRD_STRATEGY,
}
SHORT_NAMES = frozenset({"namespaces"})
DEFAULT_STRATEGY = Strategy()
