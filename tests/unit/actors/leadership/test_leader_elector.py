"""One replica leads, the others wait for it, and nobody's wall clock matters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubeedge_actors.actors.leadership.leader_elector import child_specs
from kubeedge_actors.actors.leadership.lease_lock import LEASE_LOCK, LEASE_NAME
from kubeedge_actors.actors.leadership.lease_observer import (
    LEASE_DURATION,
    RENEW_DEADLINE,
    RETRY_PERIOD,
    LeaseObserver,
)
from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.errors import ClusterError, RegistrationError
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import LEASE_KIND
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.testing import Harness, crash_at, inline
from kubeedge_actors.wire.constants import LEADERSHIP
from kubeedge_actors.wire.messages import LeadershipChanged
from tests.support.plugins.hypothesis_profile import examples

Request = tuple[str, str, str, str, str]


class Staff:
    """Who works, as Duties starts and stops them."""

    def __init__(self) -> None:
        self.working: list[str] = []
        self.is_stopping = False

    def add(self, spec: ChildSpec) -> None:
        if spec.name in self.working:
            raise RegistrationError(f"{spec.name} works")
        self.working.append(spec.name)

    def remove(self, name: str) -> None:
        if name not in self.working:
            raise RegistrationError(f"{name} does not work")
        self.working.remove(name)


class Work(Module):
    """Something that must be done once."""

    name = "work"

    @on
    def on_leadership_changed(self, message: LeadershipChanged) -> None:
        """It is never told."""


class Replica:
    """One candidate with its staff; all of them share the API, each has its own clock."""

    def __init__(self, api: FakeCluster, name: str) -> None:
        self.name, self.staff, self.cut = name, Staff(), False
        self.harness: Harness = inline(*child_specs(Cable(api, self), name, self.staff, [Work.spec()]))
        self.told = self.harness.probe(LeadershipChanged)
        self.harness.run()

    def leads(self) -> bool:
        return self.staff.working == ["work"]

    def advance(self, seconds: float) -> None:
        self.harness.advance(seconds)

    def stop(self) -> None:
        """As a process stops in good order: first what only the leader runs."""
        self.staff.is_stopping = True
        self.staff.working.clear()
        self.harness.stop()


class Cable:
    """A replica's way to the API."""

    def __init__(self, api: FakeCluster, replica: Replica) -> None:
        self._api, self._replica = api, replica

    def __getattr__(self, name: str) -> Any:
        if self._replica.cut:
            raise ClusterError({"code": 503, "message": "cut"})
        return getattr(self._api, name)


@pytest.fixture
def api() -> FakeCluster:
    return FakeCluster()


def record(api: FakeCluster) -> Json:
    lease = api.peek(LEASE_KIND, well_known.SYSTEM_NAMESPACE, LEASE_NAME)
    assert lease is not None
    return dict(lease["spec"])


def together(seconds: float, *replicas: Replica) -> int:
    """Let time pass for all; how many led at once at most."""
    most = 0
    for _ in range(int(seconds * 2)):
        for replica in replicas:
            replica.advance(0.5)
            most = max(most, sum(replica.leads() for replica in replicas))
    return most


def test_a_single_replica_leads_at_once_and_renews(api: FakeCluster) -> None:
    replica = Replica(api, "one")
    assert replica.leads()
    first = record(api)
    replica.advance(7)
    again = record(api)
    assert (first["holderIdentity"], first["leaseDurationSeconds"], first["leaseTransitions"]) == ("one", 15, 0)
    assert again["renewTime"] > first["renewTime"] and again["acquireTime"] == first["acquireTime"]
    assert [change.leading for change in replica.told] == [False, True]


def test_the_second_waits_and_leads_when_the_first_is_killed(api: FakeCluster) -> None:
    first, second = Replica(api, "one"), Replica(api, "two")
    assert together(60, first, second) == 1 and first.leads()
    second.advance(LEASE_DURATION - 2)
    assert not second.leads()
    second.advance(2 * RETRY_PERIOD + 2)
    assert second.leads()
    assert (record(api)["holderIdentity"], record(api)["leaseTransitions"]) == ("two", 1)


def test_a_leader_that_stops_in_good_order_lets_the_other_begin_at_once(api: FakeCluster) -> None:
    first, second = Replica(api, "one"), Replica(api, "two")
    together(4, first, second)
    first.stop()
    assert record(api)["holderIdentity"] == ""
    second.advance(RETRY_PERIOD)
    assert second.leads()


def test_a_leader_cut_from_the_api_stops_before_the_other_begins(
    api: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Replica(api, "one"), Replica(api, "two")
    together(5, first, second)
    first.cut = True
    assert together(40, first, second) == 1
    assert second.leads() and not first.leads()
    assert "another replica may lead" in caplog.text and "two leads now" not in caplog.text
    first.cut = False
    assert together(40, first, second) == 1
    assert second.leads() and not first.leads()
    assert caplog.text.count("two leads now") == 1


def test_a_leader_that_was_cut_off_for_a_while_says_that_it_leads_again(
    api: FakeCluster, caplog: pytest.LogCaptureFixture
) -> None:
    replica = Replica(api, "one")
    replica.advance(5)
    replica.cut = True
    replica.advance(20)
    assert "another replica may lead" in caplog.text and not replica.leads()
    replica.cut = False
    replica.advance(20)
    assert replica.leads()
    assert caplog.text.count("this replica leads again") == 1


def test_one_that_starts_again_under_its_name_leads_at_once(api: FakeCluster) -> None:
    Replica(api, "one").advance(5)
    assert Replica(api, "one").leads()


def test_the_wall_clock_of_the_holder_does_not_matter(api: FakeCluster) -> None:
    spec = {"holderIdentity": "other", "leaseDurationSeconds": 15, "renewTime": "1999-01-01T00:00:00.000000Z"}
    api.create(LEASE_KIND, well_known.SYSTEM_NAMESPACE, {"metadata": {"name": LEASE_NAME}, "spec": spec})
    first = Replica(api, "one")
    first.advance(LEASE_DURATION - 1)
    assert not first.leads()
    first.advance(RETRY_PERIOD + 2)
    assert first.leads()


def test_a_crash_of_the_elected_hands_over_its_work_and_takes_it_back(api: FakeCluster) -> None:
    replica = Replica(api, "one")
    replica.harness.crash(LEADERSHIP)
    replica.advance(5)
    assert replica.leads()
    assert [change.leading for change in replica.told] == [False, True, False, False, True]


def test_a_leader_whose_elector_crashed_keeps_the_lease(api: FakeCluster) -> None:
    first, second = Replica(api, "one"), Replica(api, "two")
    first.harness.crash(LEADERSHIP)
    assert (record(api)["holderIdentity"], record(api)["leaseTransitions"]) == ("one", 0)
    assert together(LEASE_DURATION, first, second) == 1 and first.leads()


def test_an_attempt_that_is_given_up_is_followed_by_another(api: FakeCluster, caplog: pytest.LogCaptureFixture) -> None:
    children = child_specs(api, "one", staff := Staff(), [Work.spec()])
    crashes = range(1, 11)  # more often than a message is handled again
    harness = inline(*(crash_at(each, *crashes) if each.name == LEASE_LOCK else each for each in children))
    harness.probe(LeadershipChanged)
    harness.advance(LEASE_DURATION * 4)
    assert "an attempt to acquire the lease failed" in caplog.text
    assert staff.working == ["work"]


def test_a_conflict_is_not_a_victory(api: FakeCluster) -> None:
    stale = ClusterError({"code": 409, "reason": "Conflict", "message": "modified"})
    api.create(LEASE_KIND, well_known.SYSTEM_NAMESPACE, {"metadata": {"name": LEASE_NAME}, "spec": {}})

    def refuse(request: Request) -> ClusterError | None:
        return stale if request[0] == "replace" else None

    api.refuse = refuse
    replica = Replica(api, "one")
    replica.advance(30)
    assert not replica.leads()
    api.refuse = lambda request: None
    replica.advance(RETRY_PERIOD)
    assert replica.leads()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]), st.sampled_from(["step", "cut", "mend", LEADERSHIP, LEASE_LOCK]), st.floats(0.1, 6)
    ),
    max_size=40,
)


CRASH_AS_THE_LEASE_RUNS_OUT = [
    *(("a", "step", 1.0), ("a", "step", 1.5), ("a", "cut", 3.5), ("a", "step", 5.5)),
    *(("b", LEADERSHIP, 5.0), ("a", "mend", 1.0), ("b", LEADERSHIP, 1.0)),
]


@settings(max_examples=examples(40))
@given(STEPS)
@example(CRASH_AS_THE_LEASE_RUNS_OUT)
def test_never_two_lead_at_once(steps: list[tuple[str, str, float]]) -> None:
    api = FakeCluster()
    replicas = {name: Replica(api, name) for name in "ab"}
    for name, action, seconds in steps:
        replica = replicas[name]
        if action in ("cut", "mend"):
            replica.cut = action == "cut"
        elif action != "step":
            replica.harness.crash(action)
        assert together(seconds, *replicas.values()) <= 1
    for replica in replicas.values():
        replica.cut = False
    together(LEASE_DURATION + 4 * RETRY_PERIOD, *replicas.values())
    assert [replica.leads() for replica in replicas.values()].count(True) == 1


def test_a_bid_keeps_when_leadership_began_and_counts_changes_of_hand() -> None:
    election = LeaseObserver("one")
    first = election.lease_spec_to_write(None, 0.0, 0.0)
    assert first is not None
    renewed = election.lease_spec_to_write({"spec": first}, 2.0, 2.0)
    assert renewed is not None and renewed["acquireTime"] == first["acquireTime"] == "1970-01-01T00:00:00.000000Z"
    two = LeaseObserver("two")
    assert two.lease_spec_to_write({"spec": renewed}, 0.0, 5.0) is None
    assert two.lease_spec_to_write({"spec": renewed}, LEASE_DURATION - 0.1, 5.0) is None
    taken = two.lease_spec_to_write({"spec": renewed}, LEASE_DURATION, 5.0)
    assert taken is not None and (taken["holderIdentity"], taken["leaseTransitions"]) == ("two", 1)
    assert election.release_spec({"spec": taken}, 6.0) is None
    assert RENEW_DEADLINE + RETRY_PERIOD < LEASE_DURATION
