"""The actor TaskManager of an edge: does the tasks of this node, action by action, and says how each has ended (KubeEdge: edge taskmanager).

How far a task has come is kept, so that it goes on after a restart, and without the cloud; what is said waits in the outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from kubeedge_actors.actors.taskmanager import task_run
from kubeedge_actors.actors.taskmanager.action_flow import JOB_TYPES
from kubeedge_actors.actors.taskmanager.job_spec import InvalidJob, JobSpec, read_spec
from kubeedge_actors.actors.taskmanager.task_run import MISSING, TaskRun
from kubeedge_actors.actors.taskmanager.task_worker import CheckNode, PullEnded, PullImage, TaskWorker
from kubeedge_actors.controller import worker_for
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.drivers.machine.base import Machine
from kubeedge_actors.drivers.store.base import MetaStore
from kubeedge_actors.errors import StoreError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import NodeTask, NodeTaskReported, QueryObject
from kubeedge_actors.wire.resource import object_path

log = logging.getLogger(__name__)
Json = dict[str, Any]

WORKERS = 2
"""Tasks that pull at once."""
RETRY_SECONDS = 0.5
SECRET_WAITS = 20
"""How often a task waits RETRY_SECONDS for its Secret."""
ASK_AT_WAIT = 2
STEP_TIMEOUT = 86_400.0
"""Seconds for one step; the job's own limit is held in the cloud."""
NO_TASKS = "this node takes no node tasks: it was started with --no-node-tasks"
KEPT = "task/"
"""Before type and name of the job in the store."""


class StepDue(msgspec.Struct, frozen=True):
    """Timer: go on with a task."""

    key: str


class EdgeTaskManager(Module):
    """Does node tasks. `workers`: the names of the TaskWorkers; without `takes_tasks` each task fails at once."""

    name = constants.TASKMANAGER
    group = constants.TASKMANAGER
    emits = (NodeTaskReported, QueryObject, CheckNode, PullImage, StepDue)

    def __init__(self, node_name: str, workers: Sequence[str], *, takes_tasks: bool = True) -> None:
        self._node, self._workers, self._takes_tasks = node_name, workers, takes_tasks
        self._runs: dict[str, TaskRun] = {}

    def on_start(self) -> None:
        """Go on with what was begun before."""
        self._runs = dict(self.store.items(KEPT, TaskRun))
        for key in list(self._runs):
            self._step(key)

    @on
    def on_node_task(self, task: NodeTask) -> None:
        """Begin, unless it is being done; a job of the same name that wants something else takes its place."""
        if task.task_node != self._node or task.job_type not in JOB_TYPES:
            self.log.warning("a %s of node %s came here: ignored", task.job_type, task.task_node)
            return
        key = f"{KEPT}{task.job_type}/{task.job}"
        known = self._runs.get(key)
        if known is not None and known.spec == task.content:
            return
        try:
            if not self._takes_tasks:
                raise InvalidJob(NO_TASKS)
            run = task_run.new_run(task, read_spec(task.job_type, task.content))
        except InvalidJob as error:
            self._say(task.job_type, task.job, constants.ACTION_CHECK, str(error))
            return
        self._runs[key] = run
        self.store.put(key, run)
        self._step(key)

    @on
    def on_step_due(self, message: StepDue) -> None:
        """Go on."""
        self._step(message.key)

    def _step(self, key: str) -> None:
        run = self._runs.get(key)
        if run is None:
            return
        spec = read_spec(run.job_type, run.spec)
        if run.action == constants.ACTION_CHECK:
            self._ask(key, run, CheckNode(spec.check_items), partial(self._ended, key, run))
        elif run.action == constants.ACTION_PULL:
            self._pull(key, run, spec)
        elif run.action == constants.ACTION_CONFIRM and not spec.needs_confirmation:
            self._ended(key, run, "")
        else:
            self._ended(key, run, MISSING[run.job_type])

    def _ask(self, key: str, run: TaskRun, order: object, on_answer: Callable[[Any], object]) -> None:
        def answered(answer: object) -> None:
            if self._runs.get(key) is run:
                on_answer(answer)

        def failed(error: Exception) -> None:
            answered(PullEnded(str(error)) if isinstance(order, PullImage) else str(error))

        self.ask(worker_for(key, self._workers), order, STEP_TIMEOUT).then(answered, failed)

    def _ended(self, key: str, run: TaskRun, reason: str, extend: str = "") -> None:
        """An action has ended: well, if there is no reason why not."""
        following = "" if reason else JOB_TYPES[run.job_type].next_action(run.action)
        self._say(run.job_type, run.job, run.action, reason, extend)
        if following:
            run.action = following
            self.store.put(key, run)
            self._step(key)
        else:
            del self._runs[key]
            self.store.delete(key)

    def _say(self, job_type: str, job: str, action: str, reason: str, extend: str = "") -> None:
        said = {"job_type": job_type, "job": job, "node": self._node, "action": action, "extend": extend}
        self.tell(constants.EDGEHUB, task_run.report(**said, reason=reason, now=self.clock.now()))

    # --- images -------------------------------------------------------------------------------------------------------

    def _pull(self, key: str, run: TaskRun, spec: JobSpec) -> None:
        pull = run.next_image()
        if pull is None:
            self._ended(key, run, *run.image_report())
        else:
            self._ask(key, run, PullImage(pull.image, spec.secret), partial(self._on_pull_ended, key, run, pull.image))

    def _on_pull_ended(self, key: str, run: TaskRun, image: str, ended: PullEnded) -> None:
        if ended.then == "wait" and run.secret_waits < SECRET_WAITS:
            run.secret_waits += 1
            self._ask_for_secret(run)
        elif ended.reason:
            is_hopeless = ended.then != "retry"
            run.on_pull_failed(image, ended.reason, 0 if is_hopeless else read_spec(run.job_type, run.spec).retries)
        else:
            run.on_pulled(image)
        self.store.put(key, run)
        if ended.reason:
            self.after(RETRY_SECONDS, StepDue(key))
        else:
            self._step(key)

    def _ask_for_secret(self, run: TaskRun) -> None:
        """A cloud of ours sends the Secret by itself, ahead of the task; of another one MetaManager asks for it, and stores it."""
        if run.secret_waits == ASK_AT_WAIT:
            namespace, _, name = read_spec(run.job_type, run.spec).secret.partition("/")
            self.tell(constants.METAMANAGER, QueryObject(type=constants.SECRET, namespace=namespace, name=name))


def secret_reader(meta: MetaStore) -> Callable[[str], Json | None]:
    """How to read a v1.Secret NAMESPACE/NAME that MetaManager has stored; None when it has not, or the store fails."""

    def read(reference: str) -> Json | None:
        namespace, _, name = reference.partition("/")
        try:
            row = meta.get(object_path(constants.SECRET, namespace, name))
        except StoreError as error:
            log.warning("the Secret %s can not be read: %s", reference, error)
            return None
        return _object(row.value) if row is not None else None

    return read


def _object(text: str) -> Json | None:
    try:
        value = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return None  # MetaManager keeps in such a row what is no object
    return value if isinstance(value, dict) else None


def child_specs(
    node_name: str, machine: Machine, containers: ContainerRuntime, meta: MetaStore, *, takes_tasks: bool = True
) -> list[ChildSpec]:
    """TaskManager and its workers, workers first. Without `takes_tasks` each task fails at once."""
    names = [f"{constants.TASKMANAGER}-{number}" for number in range(1, WORKERS + 1)]
    read = secret_reader(meta)
    workers = [TaskWorker.spec(lambda: TaskWorker(machine, containers, read), name=name) for name in names]
    return [*workers, EdgeTaskManager.spec(lambda: EdgeTaskManager(node_name, names, takes_tasks=takes_tasks))]
