"""The shell of Workloads: hears what changes, and carries out one plan against the API at a time."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import msgspec

from kubeedge_actors.actors.workloads import daemonsets, deployments, forms, replicasets
from kubeedge_actors.actors.workloads.expected import PATIENCE, Expected
from kubeedge_actors.actors.workloads.forms import DAEMONSET_KIND, DEPLOYMENT_KIND, REPLICASET_KIND
from kubeedge_actors.actors.workloads.orphans import LOOK_EVERY, Orphans
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
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import Timer
from kubeedge_actors.wire import names

AT_ONCE = 50
"""Pods that are created or deleted in one turn at most."""
API_PAUSE, API_PAUSE_MOST = 0.5, 15.0
RACED = 0.5
"""Seconds until an owner is looked at again when somebody else was quicker."""
STRANGE = (ValueError, TypeError, KeyError, AttributeError)

Key = tuple[Kind, str, str]


class ChangesWait(msgspec.Struct, frozen=True):
    """A watch has told something."""


class NextPlan(msgspec.Struct, frozen=True):
    """The next plan may be carried out."""


class LookAt(msgspec.Struct, frozen=True):
    """It is time to look at an owner again."""

    kind: str
    namespace: str
    name: str


class ApiAgain(msgspec.Struct, frozen=True):
    """The API did not answer; the back-off is over."""


class LookForOrphans(msgspec.Struct, frozen=True):
    """Time to look for pods whose node is gone."""


class Workloads(Module):
    """Makes what deployments and daemon sets ask for.

    It keeps nothing: an incarnation begins with what the API says. What it decides by is the watches' picture; an owner
    whose last changes are not in it yet waits.
    """

    name = names.WORKLOADS
    group = names.WORKLOADS
    emits = (ChangesWait, NextPlan, LookAt, ApiAgain, LookForOrphans)

    def __init__(self, cluster: Cluster, chance: Callable[[], float] | None = None) -> None:
        kinds = (DEPLOYMENT_KIND, REPLICASET_KIND, DAEMONSET_KIND, POD_KIND, NODE_KIND)
        self._cluster = cluster
        self._chance = chance or random.Random().random
        self._lookout = Lookout(cluster, [Wanted(kind) for kind in kinds])
        self._kinds = {kind.kind: kind for kind in (DEPLOYMENT_KIND, REPLICASET_KIND, DAEMONSET_KIND)}
        self._expected = Expected()
        self._orphans = Orphans()
        self._dirty: dict[Key, None] = {}
        self._timers: dict[Key, Timer] = {}
        self._api_timer: Timer | None = None
        self._called = False
        self._failures = 0
        self.counts: Counter[str] = Counter()

    def on_start(self) -> None:
        """Watch."""
        ref = self.ref
        self._lookout.begin(lambda: ref.tell(ChangesWait()))
        self.every(LOOK_EVERY, LookForOrphans())

    def on_stop(self) -> None:
        """Watch no more."""
        self._lookout.stop()

    # --- messages -----------------------------------------------------------------------------------------------------

    @on
    def changes(self, message: ChangesWait) -> None:
        """Note who is concerned by what has changed."""
        for change in self._lookout.box.take():
            try:
                self._concern(change)
            except STRANGE as defect:
                self._not_understood(change.object, defect)
        self._go_on()

    @on
    def look_at(self, message: LookAt) -> None:
        """Look at an owner again."""
        key = (self._kinds[message.kind], message.namespace, message.name)
        self._timers.pop(key, None)
        self._dirty[key] = None
        self._go_on()

    @on
    def api_again(self, message: ApiAgain) -> None:
        """Go on."""
        self._api_timer = None
        self._go_on()

    @on
    def look_for_orphans(self, message: LookForOrphans) -> None:
        """Delete pods whose node is gone: nobody else could say that they have ended."""
        if not self._lookout.synced or self._api_timer is not None:
            return
        for pod in self._orphans.due(self._lookout.all(POD_KIND), self._lookout.all(NODE_KIND), self.clock.monotonic()):
            self._contained(lambda pod=pod: self._delete_orphan(pod))  # type: ignore[misc]

    @on
    def next_plan(self, message: NextPlan) -> None:
        """Look at one owner and do what is missing."""
        self._called = False
        if self._dirty and self._lookout.synced:
            key = next(iter(self._dirty))
            del self._dirty[key]
            self._contained(lambda: self._look(key), key)
        self._go_on()

    def _go_on(self) -> None:
        if self._dirty and self._lookout.synced and not self._called and self._api_timer is None:
            self._called = True
            self.tell(self.ref, NextPlan())

    # --- who is concerned ---------------------------------------------------------------------------------------------

    def _concern(self, change: Change) -> None:
        if change.kind == NODE_KIND:
            if change.operation is Operation.DELETED:
                self._orphans.node_gone(str(change.object["metadata"]["name"]), self.clock.monotonic())
            self._dirty.update(dict.fromkeys(map(self._key, self._lookout.all(DAEMONSET_KIND))))
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
        found = self._lookout.get(REPLICASET_KIND, namespace, replica_set)
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
        object = self._lookout.get(kind, namespace, name)
        if object is None:
            return
        if kind == DEPLOYMENT_KIND:
            self._deployment(key, object)
            return
        pods = [pod for pod in self._lookout.all(POD_KIND) if forms.owned_by(pod, object)]
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
            node for node in self._lookout.all(NODE_KIND) if names.EDGE_LABEL in (node["metadata"].get("labels") or {})
        ]
        made = daemonsets.plan(object, nodes, pods, self.clock.now())
        self._status(key, object, made.status)
        for pod in made.delete[:AT_ONCE]:
            self._delete(object, pod)
        for node in made.create[:AT_ONCE]:
            self._create(object, forms.pod_of(DAEMONSET_KIND, object, made.labels, nodeName=node))
        self._finish(key, None, max(len(made.create), len(made.delete)))

    def _deployment(self, key: Key, object: Json) -> None:
        sets = [one for one in self._lookout.all(REPLICASET_KIND) if forms.owned_by(one, object)]
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
            pod for pod in self._lookout.all(POD_KIND) if (pod.get("status") or {}).get("phase") not in forms.FINISHED
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

    # --- calls: errors that leave these are for `_contained` ----------------------------------------------------------

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

    def _contained(self, step: Callable[[], None], key: Key | None = None) -> None:
        try:
            step()
            self._failures = 0
        except (Conflict, NotFound, AlreadyExists) as race:
            self.log.debug("somebody else was quicker: %s", race)
            if key is not None:
                self._later(key, RACED)
        except ClusterError as error:
            self._failed(error, key)
        except STRANGE as defect:
            self._not_understood({} if key is None else {"metadata": {"name": key[2]}}, defect)

    def _failed(self, error: ClusterError, key: Key | None) -> None:
        self.counts[error.reason or str(error.code)] += 1
        if not temporary(error):
            self.log.warning("%s", error)
            if key is not None:
                self._later(key, API_PAUSE_MOST)
            return
        if key is not None:
            self._dirty[key] = None
        if not self._failures:
            self.log.warning("%s; trying again", error)
        seconds = min(API_PAUSE_MOST, API_PAUSE * 2.0 ** min(self._failures, 10)) * (0.5 + 0.5 * self._chance())
        self._failures += 1
        if self._api_timer is None:
            self._api_timer = self.after(seconds, ApiAgain())

    def _not_understood(self, object: Json, defect: Exception) -> None:
        self.counts["not understood"] += 1
        self.log.warning("%s can not be understood: %r", object.get("metadata", {}).get("name"), defect)
