"""The actor TaskManager of the cloud: decides by the jobs which nodes are at work, tells them, and writes down what becomes of it.

The leader decides; every replica tells the nodes that are connected to it, and writes what they say. All of it stands in the status of the jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from kubeedge_actors.actors.taskmanager import job_status
from kubeedge_actors.actors.taskmanager.action_flow import JOB_TYPES, TYPE_OF_KIND
from kubeedge_actors.actors.taskmanager.deadlines import TaskDeadlines
from kubeedge_actors.actors.taskmanager.job_spec import InvalidJob, JobKey, JobSpec, read_spec
from kubeedge_actors.actors.taskmanager.job_status import parse_report
from kubeedge_actors.actors.taskmanager.node_selection import selected_nodes
from kubeedge_actors.actors.taskmanager.state import TaskManagerState, WaitingReport
from kubeedge_actors.controller import API_CONTROLLER_EMITS, ApiController
from kubeedge_actors.drivers.cluster.base import (
    Cluster,
    EventType,
    InformerSpec,
    Json,
    WatchEvent,
    is_temporary,
    object_reference,
)
from kubeedge_actors.errors import AskTimeout, ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import NODE_KIND, SECRET_KIND
from kubeedge_actors.kubernetes.registry_logins import SECRET_TYPES
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    LeadershipChanged,
    NodeTask,
    NodeTaskReported,
    ObjectPushed,
    SessionClosed,
    SessionOpened,
)

MAILBOX = 20_000
WRITE_SECONDS = 1.0
"""Between two writes of one job: what many nodes say meanwhile is one write."""
CHECK_SECONDS = 1.0
MAX_WAITING = 20_000
"""Reports that wait to be written, of all nodes; more of them come again."""
FINALIZER = "kubeedge.io/{}-controller"
"""Which a genuine cloudcore puts on its jobs, and takes off when they are deleted."""


class DeadlineCheckDue(msgspec.Struct, frozen=True):
    """Timer: look for nodes whose time is over."""


class JobWriteDue(msgspec.Struct, frozen=True):
    """Timer: the status of a job may be written again."""

    job: JobKey


class TaskManager(ApiController):
    """Brings node tasks to nodes and their ends into the status of jobs (KubeEdge: taskmanager)."""

    name = constants.TASKMANAGER
    group = constants.TASKMANAGER
    emits = (NodeTask, ObjectPushed, *API_CONTROLLER_EMITS, DeadlineCheckDue, JobWriteDue)

    def __init__(self, cluster: Cluster, state: TaskManagerState, random: Callable[[], float] | None = None) -> None:
        nodes = InformerSpec(NODE_KIND, labels=well_known.EDGE_LABEL)
        super().__init__(cluster, [*map(InformerSpec, TYPE_OF_KIND), nodes], random)
        self._state = state
        self._jobs: dict[JobKey, Json] = {}
        self._at_work: dict[JobKey, list[str]] = {}
        self._queue: dict[JobKey, None] = {}
        self._resting: dict[JobKey, bool] = {}
        self._secret_orders: dict[tuple[JobKey, str], None] = {}
        self._deadlines = TaskDeadlines()

    def on_start(self) -> None:
        """Begin to watch."""
        super().on_start()
        self.every(CHECK_SECONDS, DeadlineCheckDue())

    # --- what is learnt -----------------------------------------------------------------------------------------------

    def handle_change(self, change: WatchEvent) -> None:
        """A job is there, is another one, or is gone."""
        type = TYPE_OF_KIND.get(change.kind)
        if type is None:
            return  # nodes are looked at when a job begins
        key = JobKey(type.name, object_reference(change.object).name)
        if change.type is EventType.DELETED:
            self._forget(key)
            return
        if not _is_older(change.object, self._jobs.get(key)):
            self._keep(key, change.object)
        if change.initial and not self._state.listed and not type.is_repeatable:
            self._state.never_tell(change.object)
        self._enqueue(key)

    def on_changes_handled(self) -> None:
        """Go on with the jobs."""
        self._state.listed |= self.informers.synced
        super().on_changes_handled()

    def _keep(self, key: JobKey, job: Json) -> None:
        self._jobs[key] = job
        phases = job_status.node_phases(_status(job))
        self._at_work[key] = [node for node, phase in phases.items() if phase == job_status.IN_PROGRESS]

    def _forget(self, key: JobKey) -> None:
        job = self._jobs.pop(key, None)
        self._at_work.pop(key, None)
        self._queue.pop(key, None)
        self._deadlines.forget(key)
        if job is not None:
            self._state.forget(object_reference(job).uid)
        self._settle(self._state.take_reports(key))

    @on
    def on_leadership_changed(self, message: LeadershipChanged) -> None:
        """Begin or cease to decide."""
        self._state.leading = message.leading
        for key in self._jobs:
            self._enqueue(key)
        self.schedule_call()

    @on
    def on_session_opened(self, message: SessionOpened) -> None:
        """Tell the node what it has to do."""
        self._state.on_session_opened(message.node)
        for key, nodes in self._at_work.items():
            if message.node in nodes:
                self._tell(key, [message.node])
        self.schedule_call()

    @on
    def on_session_closed(self, message: SessionClosed) -> None:
        """Nothing can be said to it now."""
        self._state.sessions.pop(message.node, None)

    @on
    def on_node_task_reported(self, message: NodeTaskReported) -> None:
        """How an action has ended; answered when that is written down."""
        if message.task_node != message.node or message.job_type not in JOB_TYPES:
            self.counts["reports of another's task"] += 1
            self.log.warning("node %s reports of a task that is not its own: ignored", message.node)
            return
        key = JobKey(message.job_type, message.job)
        self.handle_changes()
        if key not in self._jobs and self.informers.synced:
            self.counts["reports of unknown jobs"] += 1
            return
        reply = self.reply_later()
        if self._state.waiting >= MAX_WAITING:
            reply.fail(AskTimeout("too many reports of node tasks wait"))
            return
        self._settle(self._state.add_report(key, WaitingReport(parse_report(message.node, message.content), reply)))
        self._enqueue(key)
        self.schedule_call()

    @on
    def on_deadline_check_due(self, message: DeadlineCheckDue) -> None:
        """Give up nodes whose time is over."""
        if self._state.leading:
            for key in self._deadlines.expired_jobs(self.clock.monotonic()):
                self._enqueue(key)
            self.schedule_call()

    @on
    def on_job_write_due(self, message: JobWriteDue) -> None:
        """What has come meanwhile is one write."""
        if self._resting.pop(message.job, False):
            self._enqueue(message.job)
            self.schedule_call()

    def _enqueue(self, key: JobKey) -> None:
        if key in self._resting:
            self._resting[key] = True
        else:
            self._queue[key] = None

    # --- what is done: errors that leave these are for `on_api_error` -------------------------------------------------

    def has_queued_calls(self) -> bool:
        """Whether there is a job to look at, or a Secret to fetch for a node."""
        return self.informers.synced and bool(self._queue or self._secret_orders)

    def make_next_call(self) -> None:
        """Look at one job, or fetch one Secret."""
        if self._secret_orders:
            order = next(iter(self._secret_orders))
            del self._secret_orders[order]
            self._bring_secret(*order)
            return
        key = next(iter(self._queue))
        del self._queue[key]
        job = self._jobs.get(key)
        if job is None:
            self._settle(self._state.take_reports(key))
        elif job["metadata"].get("deletionTimestamp"):
            self._release(key, job)
        else:
            self._advance(key, job)

    def _advance(self, key: JobKey, job: Json) -> None:
        type, reports = JOB_TYPES[key.type], self._state.reports_of(key)
        status = job_status.with_reports(type, _status(job), [waiting.report for waiting in reports])
        if self._state.leading:
            status = self._decided(key, job, status)
        if status != _status(job):
            job = self._written(key, job, {"status": status}, "status") or {}
        if job:
            self._settle(self._state.take_reports(key, reports))
            self._tell(key, self._at_work.get(key, ()))

    def _decided(self, key: JobKey, job: Json, status: Json) -> Json:
        """The status as the leader wants it."""
        type, now = JOB_TYPES[key.type], self.clock.now()
        if job_status.is_ended(status):
            self._deadlines.forget(key)
            return status
        try:
            spec = read_spec(key.type, job.get("spec"))
            if not status.get("phase"):
                nodes = {object_reference(node).name: node for node in self.informers.all(NODE_KIND)}
                return job_status.initial_status(selected_nodes(spec, nodes))
        except InvalidJob as error:
            return {**status, **job_status.failed_status(str(error))}
        self._deadlines.observe(key, status, spec.timeout, self.clock.monotonic(), now)
        status = job_status.with_timed_out(status, self._deadlines.expired_nodes(key, self.clock.monotonic()))
        status = job_status.with_started(type, status, spec, now)
        self._deadlines.observe(key, status, spec.timeout, self.clock.monotonic(), now)
        return job_status.with_phase(status, spec)

    def _written(self, key: JobKey, job: Json, change: Json, subresource: str = "") -> Json | None:
        """The job after a write; None when there was none, and it is looked at again or given up."""
        kind, reference = JOB_TYPES[key.type].kind, object_reference(job)
        metadata = {**change.get("metadata", {}), "resourceVersion": reference.version}
        try:
            written = self.api.patch(kind, "", key.name, {**change, "metadata": metadata}, subresource=subresource)
        except NotFound:
            self._forget(key)
            return None
        except Conflict:
            self._rest(key)  # somebody else has written, which the watch will tell
            return None
        except ClusterError as error:
            if is_temporary(error):
                self._queue[key] = None
            else:
                self.log.warning("%s %s can not be written: %s", kind.kind, key.name, error)
                self._settle(self._state.take_reports(key))
            raise
        self._keep(key, written)
        self._rest(key)
        return written

    def _rest(self, key: JobKey) -> None:
        """Look at the job again, and not before a while: there may be more to decide by what stands there now."""
        self._resting[key] = True
        self.after(WRITE_SECONDS, JobWriteDue(key))

    def _release(self, key: JobKey, job: Json) -> None:
        """Let a job go that waits for us, or for the genuine cloudcore that was here before."""
        self._settle(self._state.take_reports(key))
        finalizers = list(job["metadata"].get("finalizers") or ())
        others = [each for each in finalizers if each != FINALIZER.format(key.type)]
        if self._state.leading and others != finalizers:
            self._written(key, job, {"metadata": {"finalizers": others}})

    # --- what nodes are told --------------------------------------------------------------------------------------------

    def _tell(self, key: JobKey, nodes: Iterable[str]) -> None:
        """Tell these nodes, which are at work, unless they know."""
        type, job = JOB_TYPES[key.type], self._jobs[key]
        uid, spec = object_reference(job).uid, _spec_of(key, job)
        if spec is None:
            return  # the leader will say so in the status
        for node in nodes:
            if not self._state.must_tell(type, uid, node):
                continue
            if spec.secret:
                self._secret_orders[key, node] = None
            else:
                self._publish_task(key, job, node)

    def _publish_task(self, key: JobKey, job: Json, node: str) -> None:
        self._state.on_told(object_reference(job).uid, node)
        self.publish(_task(key, job, node))

    def _bring_secret(self, key: JobKey, node: str) -> None:
        """The node gets the Secret before the task: it may not ask for one that none of its pods uses."""
        job = self._jobs.get(key)
        spec = None if job is None else _spec_of(key, job)
        if (
            job is None
            or spec is None
            or not self._state.must_tell(JOB_TYPES[key.type], object_reference(job).uid, node)
        ):
            return
        namespace, _, name = spec.secret.partition("/")
        try:
            secret = self.api.get(SECRET_KIND, namespace, name)
            # who may make jobs may not, for that, have keys of the cluster sent to a node
            if secret.get("type") in SECRET_TYPES:
                self.publish(_secret_push(node, secret))
            else:
                self.log.warning(
                    "the Secret %s of job %s holds no login for a registry: not sent", spec.secret, key.name
                )
        except NotFound:
            self.log.debug("there is no Secret %s: node %s will say so", spec.secret, node)
        except ClusterError as error:
            if is_temporary(error):
                self._secret_orders[key, node] = None
                raise
            self.log.warning("the Secret %s can not be had for node %s: %s", spec.secret, node, error)
        self._publish_task(key, job, node)

    def _settle(self, reports: list[WaitingReport]) -> None:
        for waiting in reports:
            waiting.reply.send(None)


def _status(job: Json) -> Json:
    status = job.get("status")
    return status if isinstance(status, dict) else {}


def _spec_of(key: JobKey, job: Json) -> JobSpec | None:
    try:
        return read_spec(key.type, job.get("spec"))
    except InvalidJob:
        return None


def _task(key: JobKey, job: Json, node: str) -> NodeTask:
    return NodeTask(node=node, job_type=key.type, job=key.name, task_node=node, content=job["spec"])


def _secret_push(node: str, secret: Json) -> ObjectPushed:
    reference = object_reference(secret)
    return ObjectPushed(
        node=node,
        operation=constants.UPDATE,
        type=constants.SECRET,
        namespace=reference.namespace,
        name=reference.name,
        object=secret,
        resource_version=reference.version,
    )


def _is_older(job: Json, known: Json | None) -> bool:
    """Whether a watch tells what a write of ours has made old."""
    if known is None or object_reference(job).uid != object_reference(known).uid:
        return False
    old, new = object_reference(known).version, object_reference(job).version
    return old.isdigit() and new.isdigit() and int(new) < int(old)


def child_specs(cluster: Cluster) -> list[ChildSpec]:
    """TaskManager."""
    state = TaskManagerState()
    return [TaskManager.spec(lambda: TaskManager(cluster, state), mailbox=MailboxSpec(capacity=MAILBOX))]
