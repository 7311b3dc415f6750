"""The printer of each kind."""

from __future__ import annotations

from collections.abc import Mapping

from . import core, nodes, workloads
from .columns import TablePrinter

# By the name of the collection; anything else shows name and age.
PRINTERS: Mapping[str, TablePrinter] = {
    "pods": core.PODS,
    "nodes": nodes.NODES,
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
    "apps/controllerrevisions": workloads.CONTROLLER_REVISIONS,
    "apiextensions.k8s.io/customresourcedefinitions": core.DEFINITIONS,
}
