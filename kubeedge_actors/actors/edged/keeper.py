"""Works on pods, one step at a time: look, plan, have it done, report. Each step ends; what it began comes back as a
message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kubeedge_actors.actors.edged import asking
from kubeedge_actors.actors.edged import plan as planning
from kubeedge_actors.actors.edged.dispatch import Dispatch
from kubeedge_actors.actors.edged.downward import Surroundings
from kubeedge_actors.actors.edged.events import NORMAL, WARNING, Recorder, backing_off, without_effect
from kubeedge_actors.actors.edged.internal import Looked, PodDue
from kubeedge_actors.actors.edged.jobs import CONFIG_ERROR, CREATING, PULL_ERROR, Done, Snapshot
from kubeedge_actors.actors.edged.plan import Operation
from kubeedge_actors.actors.edged.pod_status import DEADLINE, pod_status
from kubeedge_actors.actors.edged.pods import Pods
from kubeedge_actors.actors.edged.podspec import Json
from kubeedge_actors.actors.edged.record import PodRecord
from kubeedge_actors.actors.edged.references import in_volumes, refers_to
from kubeedge_actors.actors.edged.tidings import PROCESSES, tidings
from kubeedge_actors.module import Module
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import Said

PULL_PACE, PACE = (10.0, 300.0), (1.0, 60.0)
"""First and longest wait before the next try: of a pull, of anything else."""
LEAST_WAIT = 0.001
LOST_SECONDS = 90.0
"""After which an answer is lost: MetaManager gives up earlier, and says so."""
INFINITY = float("inf")
NOT_YET = "it has not answered yet"


class NodeState:
    """What holds for all pods. `ready`: it is known what ought to run and what runs. `trouble`: why no engine answers.

    `ours`: the last cloud that was there is one of ours. `events`: Events are told to others too.
    """

    def __init__(self, around: Surroundings, *, link_up: bool, ours: bool = False, events: bool = False) -> None:
        self.around, self.link_up, self.ours, self.events = around, link_up, ours, events
        self.ready = False
        self.trouble = NOT_YET
        self.engine = ""
        self.node_uid = ""


class Keeper:
    """Keeps the pods of one node. `shell` is the actor in whose turns all of this runs."""

    def __init__(
        self,
        shell: Module,
        pods: Pods,
        dispatch: Dispatch,
        state: NodeState,
        engine_said: Callable[[str], None],
    ) -> None:
        self._shell, self._pods, self._dispatch = shell, pods, dispatch
        self._state, self._engine_said = state, engine_said
        self._waiting: dict[str, PodRecord] = {}
        self._recorder = Recorder(state.around.node_name)

    def work_all(self, records: Iterable[PodRecord]) -> None:
        """Work on several."""
        for record in records:
            self.work(record)

    def work(self, record: PodRecord) -> None:
        """Look, plan, begin what is planned, report; or wait for what has to come first."""
        if not self._state.ready or record.looking or self._pods.get(record.uid) is not record:
            return
        if record.look_again:
            record.looking, record.look_again = True, False
            self._dispatch.look(record.uid, self._shell.ref)
            return
        wake = None if self._state.trouble else self._step(record)
        self._report(record)
        self._wake(record, wake)

    def _step(self, record: PodRecord) -> float | None:
        now, memory = self._shell.clock.now(), record.memory
        plan = planning.plan(record.view, record.containers, memory, now, frozenset(record.busy))
        if plan.phase and not memory.phase:
            memory.phase = plan.phase
            memory.reason, memory.message = DEADLINE if plan.overdue else ("", "")
        for operation in plan.operations:
            planning.begin(operation, record.view, record.containers, memory, now)
            record.busy.add(operation.key)
            self._start(record, operation)
        return plan.wake

    def _wake(self, record: PodRecord, planned: float | None) -> None:
        if record.timer is not None:
            record.timer.cancel()
            record.timer = None
        mute = record.memory.removed and not record.static
        said = record.talk.wake() if self._state.link_up and not mute else INFINITY
        soonest = min(said, INFINITY if planned is None else planned)
        if soonest != INFINITY:
            wait = max(soonest - self._shell.clock.now(), LEAST_WAIT)
            record.timer = self._shell.after(wait, PodDue(uid=record.uid))

    # --- having things done -----------------------------------------------------------------------------------------

    def _start(self, record: PodRecord, operation: Operation) -> None:
        if operation.verb == "prepare":
            record.asked_at = self._shell.clock.now()
            questions = asking.questions(record)
            for message in questions:
                self._say(record, message)
            if questions:
                return  # it goes on with the last answer
        self._operate(record, operation)

    def _operate(self, record: PodRecord, operation: Operation, *, pull: bool = False) -> None:
        objects, paths = dict(record.objects), dict(record.paths)
        shot = Snapshot(record.view, objects, paths, tuple(record.containers), self._state.around)
        self._dispatch.operate(operation, shot, self._shell.ref, pull=pull)

    def looked(self, message: Looked) -> None:
        """The containers of one pod, as they are."""
        record = self._pods.get(message.uid)
        if record is None:
            return
        record.looking = False
        if message.containers is None:
            record.look_again = True
            self._engine_said(message.why)
            return
        record.containers = message.containers
        self.work(record)

    def done(self, done: Done) -> None:
        """An operation has ended, well or not."""
        record, operation = self._pods.get(done.uid), done.operation
        if record is None or done.epoch != self._dispatch.epoch:
            return
        self._announce(record, operation, done)
        if done.pull and not record.ending:
            self._operate(record, operation, pull=True)
            return
        record.busy.discard(operation.key)
        if operation.verb == "forget" and done.good:
            self._forget(record)
            return
        self._apply(record, operation, done)
        record.look_again = record.look_again or operation.verb not in ("probe", "prepare")
        if done.unavailable:
            self._engine_said(done.message)
        self.work(record)

    def _apply(self, record: PodRecord, operation: Operation, done: Done) -> None:
        if operation.verb == "launch":
            self._launched(record, operation, done)
        elif operation.verb == "prepare":
            self._prepared(record, done)
        elif operation.verb == "probe":
            self._probed(record, operation, done)
        elif done.message:
            self._shell.log.warning("pod %s: %s failed: %s", record.view.name.name, operation.verb, done.message)
        elif operation.verb == "release":
            record.memory.network_open = False

    def _launched(self, record: PodRecord, operation: Operation, done: Done) -> None:
        memory = record.memory
        memory.network_open = memory.network_open or done.opened
        if done.reason:
            pace = PULL_PACE if done.reason == PULL_ERROR else PACE
            memory.failed(operation.name, done.reason, done.message, self._shell.clock.now(), pace)
            memory.prepared = memory.prepared and not done.missing
            self._shell.log.info("container %s of pod %s: %s", operation.name, record.view.name.name, done.message)
        elif done.good and not done.pull:
            memory.failures.pop(operation.name, None)

    def _prepared(self, record: PodRecord, done: Done) -> None:
        memory = record.memory
        if done.good:
            record.paths, memory.prepared, memory.prepare_failure = done.paths, True, None
        else:
            memory.unprepared(done.reason or CREATING, done.message, self._shell.clock.now())
        self._take_news(record)

    def _probed(self, record: PodRecord, operation: Operation, done: Done) -> None:
        view, memory = record.view.container(operation.name), record.memory
        for kind in planning.PROBES:
            key = (operation.container_id, kind)
            probe = view.probe(kind) if view is not None and kind == operation.probe else None
            if probe is None or key not in memory.probes or done.unavailable:
                continue
            memory.probes[key] = state = memory.probes[key].answered(probe, done.good)
            if state.passed is False and kind != "readiness":
                memory.doomed[operation.container_id] = f"{kind} probe failed: {done.message}"
                text = f"Container {operation.name} failed {kind} probe, will be restarted"
                self._happened(record, NORMAL, "Killing", text, operation.name)
                who = (operation.name, record.view.name.name)
                self._shell.log.warning("container %s of pod %s: %s probe failed: %s", *who, kind, done.message)

    # --- what is worth an Event -------------------------------------------------------------------------------------

    def _happened(self, record: PodRecord, kind: str, reason: str, text: str, container: str = "") -> None:
        if not (self._state.ours or self._state.events):
            return  # a genuine edge tells a genuine cloud no Events unless it is asked to
        now = self._shell.clock.now()
        for message in self._recorder.happened(record.view, kind, reason, text, now, container):
            self._shell.tell(names.METAMANAGER, message)

    def _announce(self, record: PodRecord, operation: Operation, done: Done) -> None:
        engine = self._state.engine
        if operation.verb == "prepare" and not record.advised and engine.startswith(PROCESSES):
            record.advised = True
            if text := without_effect(record.view):
                self._happened(record, NORMAL, "NoEffect", text)
        if operation.container_id not in record.memory.doomed:  # of those it was said why they are stopped
            for tiding in tidings(record.view, operation, done, engine):
                self._happened(record, *tiding)

    def _announce_waits(self, record: PodRecord, status: Json) -> None:
        """A back-off begins."""
        for shown in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
            reason = str((shown["state"].get("waiting") or {}).get("reason") or "")
            before, record.waits[shown["name"]] = record.waits.get(shown["name"]), (reason, shown["restartCount"])
            view = record.view.container(shown["name"])
            text = backing_off(record.view, view, reason) if view is not None else ""
            if text and before != (reason, shown["restartCount"]):
                self._happened(record, WARNING, "BackOff", text, shown["name"])

    def _forget(self, record: PodRecord) -> None:
        if record.timer is not None:
            record.timer.cancel()
        record.memory.done = True
        self._pods.drop(record.uid)
        self._waiting = {key: each for key, each in self._waiting.items() if each is not record}
        if record.static and record.talk.uid:
            self._shell.tell(names.METAMANAGER, record.talk.deletion())

    def refresh(self) -> None:
        """Let volumes follow the objects that they show, and do not wait for answers that will not come."""
        for record in self._pods:
            if record.asked and self._shell.clock.now() - record.asked_at > LOST_SECONDS:
                record.asked.clear()
                self._ask_done(record)
            elif record.memory.prepared and not record.ending and in_volumes(record.view):
                record.memory.prepared = False
                self.work(record)

    def renew(self, type: str, namespace: str, name: str) -> None:
        """An object has changed: pods that refer to it go on, or show what it is now."""
        for record in self._pods:
            if record.view.name.namespace == namespace and not record.ending and refers_to(record.view, type, name):
                record.news = True
                self._take_news(record)

    def _take_news(self, record: PodRecord) -> None:
        """Forget what an object that was missing has kept from going on; not while the pod is being prepared with the old one."""
        if not record.news or any(key.startswith("prepare:") for key in record.busy):
            return
        record.news, memory = False, record.memory
        memory.prepare_failure = None
        others = {name: each for name, each in memory.failures.items() if each.reason != CONFIG_ERROR}
        waited, memory.failures = len(others) < len(memory.failures), others
        memory.prepared = memory.prepared and not (waited or in_volumes(record.view))
        self.work(record)

    # --- talking ----------------------------------------------------------------------------------------------------

    def _say(self, record: PodRecord, message: Said) -> None:
        self._waiting[message.msg_id] = record
        self._shell.tell(names.METAMANAGER, message)

    def _report(self, record: PodRecord) -> None:
        if record.memory.removed and not record.static:
            return
        now, state = self._shell.clock.now(), self._state
        scheme, address = state.engine.partition(":")[0], state.around.host_ip
        previous = record.talk.previous()
        status = pod_status(record.view, record.containers, record.memory, previous, address, now, scheme)
        record.talk.built = status
        self._announce_waits(record, status)
        if state.link_up:
            ended = record.ending and record.quiet
            for message in record.talk.step(status, now, ended=ended, node_uid=state.node_uid):
                self._say(record, message)

    def answered(self, parent: str, content: Any) -> None:
        """An answer to something that was said about a pod."""
        record = self._waiting.pop(parent, None)
        if record is None:
            return
        if record.talk.answered(parent, content, self._shell.clock.now()):
            self.work(record)
        elif asking.take(record, parent, content):
            self._ask_done(record)

    def refused(self, parent: str) -> None:
        """Something about a pod could not be said."""
        record = self._waiting.pop(parent, None)
        if record is None:
            return
        if record.talk.refused(parent, self._shell.clock.now()):
            self.work(record)
        elif asking.give_up(record, parent):
            self._ask_done(record)

    def _ask_done(self, record: PodRecord) -> None:
        if self._pods.get(record.uid) is record:
            self._operate(record, Operation("prepare", name="pod"))

    def link(self) -> None:
        """The link came up or went down."""
        for record in self._pods:
            record.talk.link(self._shell.clock.now(), naming=self._state.ours)
            if self._state.link_up and record.memory.prepare_failure is not None:
                record.memory.prepare_failure = None  # what was missing may be had now
            self.work(record)
