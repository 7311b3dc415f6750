"""Two replicas, of which one leads, nodes that come and go, kills at any time: never too many nodes at work, and every node and job reaches an end."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from kubeedge_actors.actors.taskmanager.action_flow import JOB_TYPES
from kubeedge_actors.actors.taskmanager.job_status import JOB_ENDS, NODE_ENDS
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.supervisors import ManualClock
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import NodeTask
from tests.support.env.taskmanager import PULL, Replica, pull_spec
from tests.support.k8s_objects import add_node, node

NODES = ("a", "b", "c", "d")
TIMEOUT = 20
replicas = st.integers(0, 1)


class Jobs(RuleBasedStateMachine):
    """The clocks of both replicas and of the API go together."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.cluster = FakeCluster(self.clock.now, with_status=[type.kind.plural for type in JOB_TYPES.values()])
        for name in NODES:
            add_node(self.cluster, node(name))
        self.leader = 0
        self.replicas = [Replica(self.cluster, leading=True), Replica(self.cluster, leading=False)]
        self.at: dict[str, int] = {}
        self.begun: dict[str, set[str]] = {name: set() for name in NODES}
        self.jobs: dict[str, int] = {}

    @initialize(concurrency=st.integers(0, 3))
    def begin(self, concurrency: int) -> None:
        for place, name in enumerate(NODES):
            self.connect(name, place % 2)
        self.add(concurrency, set(NODES))
        self.look()

    def connect(self, name: str, replica: int) -> None:
        if name not in self.at:
            self.at[name] = replica
            self.replicas[replica].connect(name)

    def look(self) -> None:
        """Nodes take what they are told; those that are away by then hear nothing."""
        for place, replica in enumerate(self.replicas):
            for task in replica.told():
                if isinstance(task, NodeTask) and self.at.get(task.node) == place:
                    self.begun[task.node].add(task.job)

    @rule(concurrency=st.integers(0, 3), nodes=st.sets(st.sampled_from(NODES), min_size=1))
    @precondition(lambda self: len(self.jobs) < 4)
    def add_another(self, concurrency: int, nodes: set[str]) -> None:
        self.add(concurrency, nodes)

    def add(self, concurrency: int, nodes: set[str]) -> None:
        """A job, which begins."""
        name = f"job-{len(self.jobs)}"
        self.jobs[name] = concurrency or 1
        spec = pull_spec(*sorted(nodes), concurrency=concurrency, timeoutSeconds=TIMEOUT)
        self.cluster.create(JOB_TYPES[PULL].kind, "", {"metadata": {"name": name}, "spec": spec})
        self.pass_time(2)

    @rule(name=st.sampled_from(NODES), replica=replicas)
    def come(self, name: str, replica: int) -> None:
        self.connect(name, replica)

    @rule(name=st.sampled_from(NODES))
    def go(self, name: str) -> None:
        if name in self.at:
            self.replicas[self.at.pop(name)].disconnect(name)

    @rule(data=st.data(), fails=st.booleans())
    @precondition(lambda self: any(self.begun[name] for name in self.at))
    def work(self, data: st.DataObject, fails: bool) -> None:
        name = data.draw(st.sampled_from(sorted(name for name in self.at if self.begun[name])))
        self.report(name, fails)
        self.pass_time(1)

    @rule(failing=st.sets(st.sampled_from(NODES), max_size=1))
    def work_everywhere(self, failing: set[str]) -> None:
        for _ in NODES:
            for name in [name for name in self.at if self.begun[name]]:
                self.report(name, name in failing)
            self.pass_time(2)
            self.look()

    def report(self, name: str, fails: bool) -> None:
        job, replica = self.begun[name].pop(), self.replicas[self.at[name]]
        replica.report(name, job, constants.ACTION_CHECK)
        replica.report(name, job, constants.ACTION_PULL, "no" if fails else "")

    @rule(place=replicas)
    def kill(self, place: int) -> None:
        self.replicas[place].harness.stop()
        for name in [name for name, at in self.at.items() if at == place]:
            del self.at[name]
        self.replicas[place] = Replica(self.cluster, leading=self.leader == place)

    @rule()
    def change_leader(self) -> None:
        self.replicas[self.leader].lead(False)
        self.leader = 1 - self.leader
        self.replicas[self.leader].lead(True)

    @rule(seconds=st.integers(1, 12))
    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.advance(1.0)
            for replica in self.replicas:
                replica.harness.advance(1.0)

    @invariant()
    def never_too_many_at_work(self) -> None:
        self.look()
        for name, limit in self.jobs.items():
            assert list(self.phases(name).values()).count("InProgress") <= limit

    def phases(self, name: str) -> dict[str, str]:
        status = (self.cluster.peek(JOB_TYPES[PULL].kind, "", name) or {}).get("status") or {}
        return {each["nodeName"]: each["phase"] for each in status.get("nodeStatus", ())}

    def teardown(self) -> None:
        self.pass_time((TIMEOUT + 5) * len(NODES))
        for name in self.jobs:
            phases = self.phases(name)
            assert phases and set(phases.values()) <= NODE_ENDS
            status = (self.cluster.peek(JOB_TYPES[PULL].kind, "", name) or {})["status"]
            assert status["phase"] in JOB_ENDS
            assert (status["phase"] == "Completed") is (set(phases.values()) == {"Successful"})
        for replica in self.replicas:
            replica.harness.stop()


def test_every_job_reaches_an_end_whatever_happens() -> None:
    run_state_machine_as_test(Jobs, settings=settings(max_examples=60, stateful_step_count=30))
