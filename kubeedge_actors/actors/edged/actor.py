"""Edged, the shell: hears of pods, containers and answers, and lets the right one deal with each."""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.actors.edged.dispatch import Dispatch
from kubeedge_actors.actors.edged.downward import Surroundings
from kubeedge_actors.actors.edged.internal import (
    Heard,
    LinkSeen,
    Looked,
    ManifestsRead,
    NodeDue,
    PodDue,
    Relist,
    Surveyed,
    Tick,
)
from kubeedge_actors.actors.edged.jobs import Done
from kubeedge_actors.actors.edged.keeper import NOT_YET, Keeper, NodeState
from kubeedge_actors.actors.edged.launch import ignored
from kubeedge_actors.actors.edged.node_status import NodeFacts
from kubeedge_actors.actors.edged.node_talk import NodeTalk
from kubeedge_actors.actors.edged.pods import Pods, is_stub
from kubeedge_actors.actors.edged.podspec import Json, is_mirror
from kubeedge_actors.actors.edged.workers import ThreadWorkers, Workers
from kubeedge_actors.drivers.containers.base import (
    ContainerEnded,
    ContainerRuntime,
    EngineLost,
    Folders,
    Host,
    Manifests,
    Prober,
)
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors.timer import Timer
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import (
    Answered,
    DeletePod,
    InsertPod,
    LinkDown,
    LinkUp,
    ListPods,
    PatchNode,
    PatchPod,
    PodChanged,
    QueryLease,
    QueryObject,
    ReferenceChanged,
    Refused,
    RegisterNode,
    ReportEvent,
    RequestToken,
    UpdateNode,
    WriteLease,
)

TICK, MINUTE = 5.0, 12
"""Seconds between two looks at what nobody tells, and how many of them make the minute of logs and volumes."""
AGAIN = 1.0
ENGINE_DOWN = "container runtime is down"


class Edged(Module):
    """The pods and the state of this node.

    `address`: the node's, as others reach it. `version`: of the product. `link`: made once, outside of the factory.
    `events`: tell Events of pods to a genuine cloud too.
    `workers`: makes a pool of so many threads for what has to wait; two are made.
    """

    name = names.EDGED
    group = names.EDGED
    emits = (
        *(RegisterNode, UpdateNode, PatchNode, QueryLease, WriteLease, InsertPod, PatchPod, DeletePod),
        *(QueryObject, RequestToken, ReportEvent, ListPods),
        *(Tick, NodeDue, PodDue, Relist, Heard, Looked, Surveyed, ManifestsRead, Done),
    )

    def __init__(
        self,
        *,
        node_name: str,
        runtime: ContainerRuntime,
        folders: Folders,
        host: Host,
        prober: Prober,
        address: str,
        product: str,
        manifests: Manifests | None = None,
        labels: dict[str, str] | None = None,
        link: LinkSeen | None = None,
        events: bool = False,
        workers: Callable[[int], Workers] = ThreadWorkers,
    ) -> None:
        self._node_name, self._address, self._product = node_name, address, product
        self._host, self._manifests, self._labels = host, manifests, labels or {}
        self._link = link or LinkSeen()
        facts = host.facts()
        around = Surroundings(node_name, address, cpus=facts.cpus, memory=facts.memory)
        self._state = NodeState(around, link_up=self._link.up, ours=self._link.leased, events=events)
        self._pods = Pods(node_name)
        self._dispatch = Dispatch(runtime, folders, prober, workers)
        self._keeper = Keeper(self, self._pods, self._dispatch, self._state, self._engine_said)
        self._talk = NodeTalk(node_name, self._facts, self._link.up, self._link.leased)
        self._survey: Surveyed | None = None
        self._listed, self._statics_known, self._reading = False, manifests is None, False
        self._surveying = False
        self._ticks = 0
        self._node_timer: Timer | None = None

    def on_start(self) -> None:
        """Ask for the pods, and see what runs."""
        self.every(TICK, Tick())
        self._look_around()
        self._read_manifests()
        self._ask_for_pods()
        self._speak()

    def on_stop(self) -> None:
        """Containers go on; jobs that run are not waited for."""
        self._dispatch.close()

    # --- what ought to run, and what runs ---------------------------------------------------------------------------

    def _ask_for_pods(self) -> None:
        self.ask(names.METAMANAGER, ListPods()).then(self._on_list, lambda error: self.after(AGAIN, Relist()))

    @on
    def relist(self, message: Relist) -> None:
        """Ask for the pods again."""
        self._ask_for_pods()

    def _on_list(self, pods: list[Json]) -> None:
        self._listed = True
        ours = [pod for pod in pods if self._pods.is_ours(pod)]
        self._keeper.work_all(self._pods.keep_only(ours))
        for pod in ours:
            self._admit(pod)
        self._adopt()

    def _look_around(self) -> None:
        if not self._surveying:  # an engine that hangs is not asked again and again
            self._surveying = True
            self._dispatch.survey(self.ref)

    @on
    def surveyed(self, message: Surveyed) -> None:
        """All that is on the machine."""
        self._surveying = False
        if message.why:
            self._engine_said(message.why)
            return
        self._survey, self._state.engine = message, message.engine
        self._adopt()

    def _adopt(self) -> None:
        """What runs is judged once it is known what ought to run."""
        found = self._survey
        if found is None or not (self._listed and self._statics_known):
            return
        self._survey = None
        self._pods.found(found.containers, found.networks, found.folders, self.clock.now())
        self._state.ready = True
        self._engine_said("")
        self._keeper.work_all(self._pods)

    @on
    def heard(self, message: Heard) -> None:
        """The engine told something."""
        event = message.event
        if isinstance(event, ContainerEnded):
            record = self._pods.get(event.pod_uid)
            if record is not None:
                record.look_again = True
                self._keeper.work(record)
        elif isinstance(event, EngineLost):
            self._engine_said(event.reason)
        else:
            self._look_around()

    def _engine_said(self, trouble: str) -> None:
        """The engine answers, or why not; the node's readiness follows."""
        if trouble and self._state.trouble in ("", NOT_YET):
            self.log.warning("no container can be run: %s", trouble)
        elif not trouble and self._state.trouble not in ("", NOT_YET):
            self.log.warning("containers can be run again")
        changed, self._state.trouble = bool(trouble) != bool(self._state.trouble), trouble
        if changed:
            self._talk.status_changed(self.clock.now())
            self._speak()

    # --- pods -------------------------------------------------------------------------------------------------------

    @on
    def pod_changed(self, message: PodChanged) -> None:
        """A pod was stored, or is gone."""
        pod, deleted = message.object, message.operation == names.DELETE
        if is_mirror(pod):
            self._mirrored(pod, deleted=deleted)
        elif deleted and is_stub(pod):
            self._ask_for_pods()
        elif deleted:
            self._keeper.work_all(self._pods.remove(pod))
        elif self._pods.is_ours(pod):
            self._admit(pod)

    @on
    def reference_changed(self, message: ReferenceChanged) -> None:
        """What pods refer to was stored, or is gone."""
        self._keeper.renew(message.type, message.namespace, message.name)

    def _admit(self, pod: Json) -> None:
        if is_mirror(pod):
            self._mirrored(pod, deleted=False)
            return
        try:
            changed = self._pods.admit(pod, self.clock.now())
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            self.log.warning("a pod is left out, it is not what a pod should be: %s: %s", type(error).__name__, error)
            return
        unused, who = ignored(changed[-1].view), changed[-1].view.name
        if unused and changed[-1].fresh:
            self.log.warning("pod %s/%s: no effect on this node: %s", who.namespace, who.name, ", ".join(unused))
        changed[-1].fresh = False
        self._keeper.work_all(changed)

    def _mirrored(self, pod: Json, *, deleted: bool) -> None:
        if not self._statics_known:
            return  # the pods are asked for again when the static ones are known
        changed, deletion = self._pods.mirrored(pod, deleted=deleted)
        if deletion is not None:
            self.tell(names.METAMANAGER, deletion)
        self._keeper.work_all(changed)

    def _read_manifests(self) -> None:
        if self._manifests is not None and not self._reading and self._manifests.changed():
            self._reading = True
            self._dispatch.read(self._manifests, self.ref)

    @on
    def manifests_read(self, message: ManifestsRead) -> None:
        """Static pods come and go with their files."""
        changed, wrong = self._pods.manifests(message.found, self.clock.now())
        for sentence in wrong:
            self.log.warning("%s", sentence)
        first, self._statics_known, self._reading = not self._statics_known, True, False
        if first:
            self._ask_for_pods()  # for their mirrors
        self._adopt()
        self._keeper.work_all(changed)

    @on
    def looked(self, message: Looked) -> None:
        """The containers of one pod."""
        if message.containers is not None and self._state.trouble:
            self._look_around()  # it answers again: others may have asked in vain
        self._keeper.looked(message)

    @on
    def done(self, message: Done) -> None:
        """An operation has ended."""
        self._keeper.done(message)

    @on
    def pod_due(self, message: PodDue) -> None:
        """The time has come that a pod waited for."""
        record = self._pods.get(message.uid)
        if record is not None:
            self._keeper.work(record)

    # --- the cluster ------------------------------------------------------------------------------------------------

    @on
    def answered(self, message: Answered) -> None:
        """The cloud, or MetaManager in its place, has answered."""
        if not self._talk.answered(message.parent_msg_id, message.content, self.clock.now()):
            self._keeper.answered(message.parent_msg_id, message.content)
            return
        known = self._state.node_uid
        self._state.node_uid = str(((self._talk.base or {}).get("metadata") or {}).get("uid") or known)
        self._speak()

    @on
    def refused(self, message: Refused) -> None:
        """Something could not be said."""
        if self._talk.refused(message.parent_msg_id, self.clock.now()):
            self._speak()
        else:
            self._keeper.refused(message.parent_msg_id)

    @on
    def link_up(self, message: LinkUp) -> None:
        """Report all that differs."""
        self._linked(up=True, leased=message.leased)

    @on
    def link_down(self, message: LinkDown) -> None:
        """Go on alone."""
        self._linked(up=False)

    def _linked(self, *, up: bool, leased: bool = False) -> None:
        self._link.up, self._link.leased, self._state.link_up = up, leased, up
        self._state.ours = leased if up else self._state.ours
        self._talk.link(up, leased)
        self._speak()
        self._keeper.link()

    @on
    def node_due(self, message: NodeDue) -> None:
        """The node has something to say."""
        self._speak()

    def _speak(self) -> None:
        if self._node_timer is not None:
            self._node_timer.cancel()
            self._node_timer = None
        now = self.clock.now()
        for message in self._talk.step(now):
            self.tell(names.METAMANAGER, message)
        wake = self._talk.wake()
        if wake != float("inf"):
            self._node_timer = self.after(max(wake - now, 0.01), NodeDue())

    @on
    def tick(self, message: Tick) -> None:
        """Look at what nobody tells."""
        self._read_manifests()
        if self._state.trouble:
            self._look_around()
        self._ticks += 1
        if self._ticks % MINUTE == 0:
            self._dispatch.tidy()
            self._keeper.refresh()

    # --- facts ------------------------------------------------------------------------------------------------------

    def _facts(self) -> NodeFacts:
        trouble = f"{ENGINE_DOWN}: {self._state.trouble}" if self._state.trouble else ""
        return NodeFacts(
            self._node_name,
            self._address,
            self._product,
            self._state.engine or "unknown://0",
            self._host.facts(),
            trouble,
            self._labels,
        )
