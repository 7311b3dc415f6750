"""The shell of Workloads: hears what changes, and carries out one plan against the API at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import msgspec

from kubeedge_actors.actors.workloads import daemonsets, deployments, forms, replicasets
from kubeedge_actors.actors.workloads.expected import PATIENCE, Expected
from kubeedge_actors.actors.workloads.forms import DAEMONSET_KIND, DEPLOYMENT_KIND, REPLICASET_KIND
from kubeedge_actors.actors.workloads.orphans import LOOK_EVERY, Orphans
from kubeedge_actors.controller import API_BACKOFF_LONGEST, API_CONTROLLER_EMITS, ApiController
from kubeedge_actors.drivers.cluster.base import (
    NODE_KIND,
    POD_KIND,
    Change,
    Cluster,
    Json,
    Kind,
    Lookout,
    Operation,
    Wanted,
    identity,
    temporary,
)
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import Timer
from kubeedge_actors.wire import names

AT_ONCE = 50
"""Pods that are created or deleted in one turn at most."""
RACED = 0.5
"""Seconds until an owner is looked at again when somebody else was quicker."""

Key = tuple[Kind, str, str]


class LookAt(msgspec.Struct, frozen=True):
    """It is time to look at an owner again."""

    kind: str
    namespace: str
    name: str


class LookForOrphans(msgspec.Struct, frozen=True):
    """Time to look for pods whose node is gone."""


class Workloads(ApiController):
    """Makes what deployments and daemon sets ask for.

    What it decides by is the watches' picture; an owner whose last changes are not in it yet waits.
    """

    name = names.WORKLOADS
    group = names.WORKLOADS
    emits = (*API_CONTROLLER_EMITS, LookAt, LookForOrphans)

    def __init__(self, cluster: Cluster, random: Callable[[], float] | None = None) -> None:
        kinds = (DEPLOYMENT_KIND, REPLICASET_KIND, DAEMONSET_KIND, POD_KIND, NODE_KIND)
        informers = Lookout(cluster, [Wanted(kind) for kind in kinds])
        super().__init__(informers, Random().random if random is None else random)
        self._cluster = cluster
        self._kinds = {kind.kind: kind for kind in (DEPLOYMENT_KIND, REPLICASET_KIND, DAEMONSET_KIND)}
        self._expected = Expected()
        self._orphans = Orphans()
        self._dirty: dict[Key, None] = {}
        self._timers: dict[Key, Timer] = {}
        self._at: Key | None = None

    def on_start(self) -> None:
        """Watch."""
        super().on_start()
        self.every(LOOK_EVERY, LookForOrphans())

    # --- messages -----------------------------------------------------------------------------------------------------

    @on
    def on_look_at(self, message: LookAt) -> None:
        """Look at an owner again."""
        key = (self._kinds[message.kind], message.namespace, message.name)
        self._timers.pop(key, None)
        self._dirty[key] = None
        self.schedule()

    @on
    def on_look_for_orphans(self, message: LookForOrphans) -> None:
        """Delete pods whose node is gone: nobody else could say that they have ended."""
        if not self.informers.synced or self.backing_off:
            return
        for pod in self._orphans.due(
            self.informers.all(POD_KIND), self.informers.all(NODE_KIND), self.clock.monotonic()
        ):
            self.attempt(partial(self._delete_orphan, pod))

    def has_calls(self) -> bool:
        """Owners to look at, once all is known."""
        return bool(self._dirty) and self.informers.synced

    def call_api(self) -> None:
        """Look at one owner and do what is missing."""
        key = self._at = next(iter(self._dirty))
        del self._dirty[key]
        self._look(key)

    def attempt(self, call: Callable[[], object]) -> None:
        """Make a call; nobody is looked at when it is over."""
        super().attempt(call)
        self._at = None

    def on_api_error(self, error: ClusterError) -> None:
        """Look at the owner again: at once, after a moment when somebody else was quicker, later when it is refused."""
        key = self._at
        if isinstance(error, Conflict | NotFound | AlreadyExists):
            self.api_answered()
            self.log.debug("somebody else was quicker: %s", error)
            if key is not None:
                self._later(key, RACED)
            return
        super().on_api_error(error)
        if key is not None and temporary(error):
            self._dirty[key] = None
        elif key is not None:
            self.log.warning("%s", error)
            self._later(key, API_BACKOFF_LONGEST)

    # --- who is concerned ---------------------------------------------------------------------------------------------

    def take_change(self, change: Change) -> None:
        """Note who is concerned by it."""
        if change.kind == NODE_KIND:
            if change.operation is Operation.DELETED:
                self._orphans.node_gone(str(change.object["metadata"]["name"]), self.clock.monotonic())
            self._dirty.update(dict.fromkeys(map(self._key, self.informers.all(DAEMONSET_KIND))))
            return
        if change.kind.kind in self._kinds:
            self._dirty[self._key(change.object)] = None
        for object in (change.object, change.old):
            owner = forms.owner_of(object) if object is not None else None
            if object is not None and owner is not None and owner.get("kind") in self._kinds:
                namespace = str(object["metadata"].get("namespace", ""))
                self._dirty[self._kinds[str(owner["kind"])], namespace, str(owner.get("name"))] = None
                if change.kind == POD_KIND and change.operation is Operation.DELETED:
                    self._concern_deployment(namespace, str(owner.get("name")))

    def _concern_deployment(self, namespace: str, replica_set: str) -> None:
        """One that recreates waits for the last old pod."""
        found = self.informers.get(REPLICASET_KIND, namespace, replica_set)
        owner = forms.owner_of(found) if found is not None else None
        if owner is not None:
            self._dirty[DEPLOYMENT_KIND, namespace, str(owner.get("name"))] = None

    def _key(self, object: Json) -> Key:
        who = identity(object)
        return self._kinds[str(object["kind"])], who.namespace, who.name

    def _later(self, key: Key, seconds: float) -> None:
        old = self._timers.pop(key, None)
        if old is not None:
            old.cancel()
        self._timers[key] = self.after(seconds, LookAt(key[0].kind, key[1], key[2]))

    # --- plans --------------------------------------------------------------------------------------------------------

    def _look(self, key: Key) -> None:
        kind, namespace, name = key
        object = self.informers.get(kind, namespace, name)
        if object is None:
            return
        if kind == DEPLOYMENT_KIND:
            self._deployment(key, object)
            return
        pods = [pod for pod in self.informers.all(POD_KIND) if forms.owned_by(pod, object)]
        alive = {forms.uid(pod) for pod in pods if not forms.ending(pod)}
        if self._expected.waiting(forms.uid(object), alive, self.clock.monotonic()):
            self._later(key, PATIENCE)  # at the latest; what it waits for brings it back
        elif kind == REPLICASET_KIND:
            self._replica_set(key, object, pods)
        else:
            self._daemon_set(key, object, pods)

    def _replica_set(self, key: Key, object: Json, pods: list[Json]) -> None:
        made = replicasets.plan(object, pods, self.clock.now())
        self._status(key, object, made.status)
        for pod in made.delete[:AT_ONCE]:
            self._delete(object, pod)
        for _ in range(min(made.create, AT_ONCE)):
            self._create(object, forms.pod_of(REPLICASET_KIND, object))
        self._finish(key, made.again, max(made.create, len(made.delete)))

    def _daemon_set(self, key: Key, object: Json, pods: list[Json]) -> None:
        nodes = [
            node for node in self.informers.all(NODE_KIND) if names.EDGE_LABEL in (node["metadata"].get("labels") or {})
        ]
        made = daemonsets.plan(object, nodes, pods, self.clock.now())
        self._status(key, object, made.status)
        for pod in made.delete[:AT_ONCE]:
            self._delete(object, pod)
        for node in made.create[:AT_ONCE]:
            self._create(object, forms.pod_of(DAEMONSET_KIND, object, made.labels, nodeName=node))
        self._finish(key, None, max(len(made.create), len(made.delete)))

    def _deployment(self, key: Key, object: Json) -> None:
        sets = [one for one in self.informers.all(REPLICASET_KIND) if forms.owned_by(one, object)]
        made = deployments.plan(object, sets, self.clock.now(), self._busy())
        namespace = identity(object).namespace
        if made.create is not None:
            self._cluster.create(REPLICASET_KIND, namespace, made.create)
        for one, size, revision in made.sizes:
            metadata = {"resourceVersion": identity(one).version, "annotations": {deployments.REVISION: revision}}
            patch = {"metadata": metadata, "spec": {"replicas": size}}
            self._cluster.patch(REPLICASET_KIND, namespace, identity(one).name, patch)
        for one in made.delete:
            self._cluster.delete(REPLICASET_KIND, namespace, identity(one).name, uid=forms.uid(one))
        object = self._revise(object, made.revision)
        self._status(key, object, made.status)
        self._finish(key, made.again, 0)

    def _busy(self) -> set[str]:
        """The owners of pods that have not ended, be they on their way out."""
        pods = (
            pod for pod in self.informers.all(POD_KIND) if (pod.get("status") or {}).get("phase") not in forms.FINISHED
        )
        return {str(owner.get("uid")) for pod in pods if (owner := forms.owner_of(pod)) is not None}

    def _revise(self, deployment: Json, revision: str) -> Json:
        has = (deployment["metadata"].get("annotations") or {}).get(deployments.REVISION)
        if not revision or has == revision:
            return deployment
        who = identity(deployment)
        patch = {"metadata": {"resourceVersion": who.version, "annotations": {deployments.REVISION: revision}}}
        return self._cluster.patch(DEPLOYMENT_KIND, who.namespace, who.name, patch)

    def _finish(self, key: Key, again: float | None, steps: int) -> None:
        if steps > AT_ONCE:
            self._dirty[key] = None
        elif again is not None:
            self._later(key, again + 0.1)

    # --- calls: errors that leave these are for `on_api_error` ----------------------------------------------------------

    def _create(self, owner: Json, pod: Json) -> None:
        made = self._cluster.create(POD_KIND, identity(owner).namespace, pod)
        self._expected.made(forms.uid(owner), forms.uid(made), self.clock.monotonic())
        self.counts["pods created"] += 1

    def _delete(self, owner: Json, pod: Json) -> None:
        who = identity(pod)
        self._expected.gone(forms.uid(owner), who.uid, self.clock.monotonic())
        self._cluster.delete(POD_KIND, who.namespace, who.name, uid=who.uid)
        self.counts["pods deleted"] += 1

    def _delete_orphan(self, pod: Json) -> None:
        who = identity(pod)
        try:
            self._cluster.get(NODE_KIND, "", str(pod["spec"]["nodeName"]))
        except NotFound:
            self._cluster.delete(POD_KIND, who.namespace, who.name, grace=0, uid=who.uid)
            self.counts["pods of gone nodes"] += 1
            self.log.warning("pod %s/%s goes with its node %s", who.namespace, who.name, pod["spec"]["nodeName"])

    def _status(self, key: Key, object: Json, status: Json) -> None:
        patch = forms.status_patch(object, status)
        if patch is not None:
            self._cluster.patch(key[0], key[1], key[2], patch, subresource="status")
