"""The actor NodeGroupController: labels the nodes of NodeGroups, ends pods of a group where it is no more, and says how the nodes are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

from kubeedge_actors.actors.nodegroup import membership
from kubeedge_actors.controller import API_BACKOFF_LONGEST, KEYED_CONTROLLER_EMITS, KeyedController, QueueKey
from kubeedge_actors.drivers.cluster.base import (
    Cluster,
    DynamicInformers,
    EventType,
    InformerSpec,
    Json,
    WatchEvent,
    is_temporary,
    object_reference,
)
from kubeedge_actors.errors import ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes.object_types import NODE_KIND, NODEGROUP_KIND, POD_KIND
from kubeedge_actors.kubernetes.well_known import BELONGING_TO
from kubeedge_actors.wire import constants

READINESS_SECONDS = 1.0
"""Within which a group tells that a node has become ready or is not: when the nodes of a fleet come back together, they are told together."""


class NodeGroupController(KeyedController):
    """Syncs one NodeGroup a turn. It keeps nothing: a node's group is the node's label, and a group's status lists its nodes until their pods are
    ended. Nodes are watched while there are groups.
    """

    name = constants.NODEGROUPCONTROLLER
    group = constants.NODEGROUPCONTROLLER
    emits = KEYED_CONTROLLER_EMITS

    def __init__(self, cluster: Cluster, random: Callable[[], float] | None = None) -> None:
        super().__init__(cluster, [InformerSpec(NODEGROUP_KIND)], random)
        self._nodes = DynamicInformers(cluster, self.informers.deltas)

    def on_stop(self) -> None:
        """End the watches."""
        super().on_stop()
        self._nodes.stop()

    def has_queued_calls(self) -> bool:
        """Whether groups are queued, once all nodes are known."""
        return super().has_queued_calls() and self._nodes.is_synced(NODE_KIND)

    # --- what the watches told ----------------------------------------------------------------------------------------

    def handle_change(self, change: WatchEvent) -> None:
        """Enqueue the groups concerned."""
        if change.kind == NODEGROUP_KIND:
            self.enqueue(QueueKey("", object_reference(change.object).name))
            return
        before, now = change.old, change.object
        if (
            before is None
            or change.type is EventType.DELETED
            or membership.labels_of(before) != membership.labels_of(now)
        ):
            self.enqueue(*self._concerned(change))
        elif membership.ready_status(before) != membership.ready_status(now):
            for key in self._concerned(change):
                self.enqueue_within(key, READINESS_SECONDS)

    def on_changes_handled(self) -> None:
        """Watch nodes while there are groups, and go on."""
        self._nodes.retain([NODE_KIND] if self.informers.all(NODEGROUP_KIND) else [])
        super().on_changes_handled()

    def _concerned(self, change: WatchEvent) -> Iterator[QueueKey]:
        """The groups that a node is in, that select it, or that tell of it."""
        states = [state for state in (change.object, change.old) if state is not None]
        name = object_reference(change.object).name
        for group in self.informers.all(NODEGROUP_KIND):
            told = ((group.get("status") or {}).get("nodeStatuses")) or ()
            in_it = any(membership.labels_of(state).get(BELONGING_TO) == group["metadata"]["name"] for state in states)
            selected = any(membership.selects(group, state) for state in states)
            if in_it or selected or any(entry.get("nodeName") == name for entry in told):
                yield QueueKey("", str(group["metadata"]["name"]))

    # --- one group ----------------------------------------------------------------------------------------------------

    def sync(self, key: QueueKey) -> None:
        """Label and release nodes, then write the group's status; let a group that is being deleted go once nothing of it is left."""
        groups = {str(group["metadata"]["name"]): group for group in self.informers.all(NODEGROUP_KIND)}
        group = groups.get(key.name)
        if group is None or self._lacks_finalizer(group):
            return
        nodes = {object_reference(node).name: node for node in self._nodes.all(NODE_KIND)}
        plan = membership.plan_node_group(group, groups, nodes.values())
        refusals = {name: self._label(nodes[name], labels) for name, labels in plan.labels.items()}
        for name in plan.departures:
            self._evict_pods(name, key.name)
        if any(refusals.values()):
            self.enqueue_later(key, API_BACKOFF_LONGEST)
        elif membership.is_terminating(group):
            self._set_finalizers(group, present=False)
            return
        statuses = [membership.refused(status, refusals) for status in plan.statuses]
        if statuses != ((group.get("status") or {}).get("nodeStatuses") or []):
            patch = {"metadata": {"uid": object_reference(group).uid}, "status": {"nodeStatuses": statuses}}
            self.api.patch(NODEGROUP_KIND, "", key.name, patch, subresource="status")

    def _label(self, node: Json, labels: Json) -> str:
        """Change labels of a node; why the API refuses it, if it does."""
        reference = object_reference(node)
        try:
            self.api.patch(NODE_KIND, "", reference.name, {"metadata": {"uid": reference.uid, "labels": labels}})
        except ClusterError as error:
            if is_temporary(error) or isinstance(error, Conflict | NotFound):
                raise
            return str(error)
        return ""

    def _lacks_finalizer(self, group: Json) -> bool:
        """Whether it has just been given the finalizer without which nothing may be done for it: the watch brings it back."""
        if membership.FINALIZER in (group["metadata"].get("finalizers") or ()):
            return False
        if not membership.is_terminating(group):
            self._set_finalizers(group, present=True)
        return True

    def _set_finalizers(self, group: Json, *, present: bool) -> None:
        others = [each for each in group["metadata"].get("finalizers") or () if each != membership.FINALIZER]
        reference = object_reference(group)
        finalizers = [*others, membership.FINALIZER] if present else others
        metadata = {"uid": reference.uid, "resourceVersion": reference.version, "finalizers": finalizers}
        self.api.patch(NODEGROUP_KIND, "", reference.name, {"metadata": metadata})

    def _evict_pods(self, node: str, group: str) -> None:
        """Delete the pods that asked for this group and run at a node that has left it."""
        for pod in self.api.list(POD_KIND, fields=f"spec.nodeName={node}").items:
            reference = object_reference(pod)
            selector = (pod.get("spec") or {}).get("nodeSelector") or {}
            if selector.get(BELONGING_TO) == group and not pod["metadata"].get("deletionTimestamp"):
                with suppress(NotFound):  # somebody else has ended it
                    self.api.delete(POD_KIND, reference.namespace, reference.name, uid=reference.uid)
