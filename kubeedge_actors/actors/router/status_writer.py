"""The actor RuleStatusWriter: adds to the status of Rules, one after the other, so that Router never waits for the API."""

from __future__ import annotations

from kubeedge_actors.actors.router.messages import WriteRuleStatus
from kubeedge_actors.actors.router.rule_status import updated_status
from kubeedge_actors.drivers.cluster.base import TEMPORARY, Cluster
from kubeedge_actors.errors import ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes.object_types import RULE_KIND
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants


class RuleStatusWriter(Module):
    """Writes statuses by reading and patching, which fails when somebody else has written in between; then it comes again."""

    name = f"{constants.ROUTER}-status"
    group = constants.ROUTER

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @on
    def on_write_rule_status(self, order: WriteRuleStatus) -> bool:
        """Write; whether the counts need not come again."""
        namespace, _, name = order.rule.partition("/")
        try:
            stored = self._cluster.get(RULE_KIND, namespace, name)
            status = updated_status(stored.get("status") or {}, order.counts)
            # the definition has no subresource: a status is a part of the object
            patch = {"metadata": {"resourceVersion": stored["metadata"].get("resourceVersion")}, "status": status}
            self._cluster.patch(RULE_KIND, namespace, name, patch)
        except NotFound:
            return True
        except Conflict:
            return False
        except ClusterError as error:
            self.log.warning("the status of rule %s can not be written: %s", order.rule, error)
            return error.code not in TEMPORARY
        return True
