"""F7: what one node can make the cloud keep is bounded, in entries and bytes, and its neighbours have theirs."""

from __future__ import annotations

from collections import Counter, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.cloudhub.frame_limits import (
    MAX_ID,
    MAX_UNREAD,
    MAX_UNREAD_FRAMES,
    OBJECT,
    SMALL,
    UnreadFrames,
)
from kubeedge_actors.actors.cloudhub.upstream_pressure import (
    BEHIND,
    BURST,
    RATE,
    REFUSED_SECONDS,
    UpstreamPressure,
    controllers,
)
from kubeedge_actors.actors.devicecontroller.controller import child_specs
from kubeedge_actors.actors.devicecontroller.unknown_reports import MAX_BYTES, MAX_REPORTS, UnknownReports
from kubeedge_actors.actors.devicecontroller.upstream import MAX_PROPERTIES, StatusBatch
from kubeedge_actors.actors.devicecontroller.write_turns import WriteTurns
from kubeedge_actors.actors.edgecontroller.write_budgets import MAX_PODS, RATES, WriteBudgets
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.hubs.node_budget import BudgetedQueue, NodeBudget
from kubeedge_actors.kubernetes.object_types import EVENT_KIND
from kubeedge_actors.testing import inline
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import (
    InsertPod,
    LinkMessage,
    ReportEvent,
    ReportRefused,
    ReportStored,
    RequestCertificate,
    TwinReported,
)
from tests.support.api_objects import put_node
from tests.support.env.cloudhub import OURS, CloudHubEnv
from tests.support.env.edgecontroller import EdgeControllerEnv

EVIL, GOOD = "edge-1", "edge-2"


def twin(node: str, device: str, value: str = "x") -> TwinReported:
    report = {"twin": {"t": {"actual": {"value": value}}}}
    return TwinReported(node=node, device=f"default/{device}", report=report)


def event(node: str, name: str, message: str = "m") -> ReportEvent:
    content = {"metadata": {"name": name}, "message": message, "source": {"host": node}}
    return ReportEvent(node=node, operation=constants.INSERT, namespace="default", name=name, content=content)


# --- devices that do not exist ----------------------------------------------------------------------------------------


def test_reports_of_unknown_devices_wait_within_a_budget_of_their_node() -> None:
    """What is beyond it is confirmed all the same, so that it does not come again; the neighbour's report still waits."""
    harness = inline(*child_specs(FakeCluster(), writers=1))
    probe = harness.probe(ReportStored)
    harness.run()
    controller = harness.ref(constants.DEVICECONTROLLER)
    for number in range(MAX_REPORTS + 100):
        controller.tell(twin(EVIL, f"none-{number}"))
        harness.run()
    controller.tell(twin(GOOD, "soon"))
    harness.run()
    assert Counter(stored.node for stored in probe.take()) == {EVIL: 100}
    harness.advance(62.0)
    assert Counter(stored.node for stored in probe.take()) == {EVIL: MAX_REPORTS, GOOD: 1}
    controller.tell(twin(EVIL, "none"))
    harness.run()
    assert probe.take() == []  # it has its budget back
    harness.stop()


def test_large_reports_of_unknown_devices_are_bounded_in_bytes() -> None:
    reports = UnknownReports()
    taken = sum(reports.take(EVIL, f"d{number}", 100_000) for number in range(100))
    assert taken == MAX_BYTES // 100_000
    assert reports.take(GOOD, "d0", 100_000)
    reports.release("d0")
    assert reports.take(EVIL, "d", 100_000)


def test_one_device_has_so_many_properties_waiting() -> None:
    batch = StatusBatch()
    for number in range(MAX_PROPERTIES + 10):
        batch.add(StatusBatch(twins={f"p{number}": {"actual": {"value": "1"}}}))
    assert len(batch.twins) == MAX_PROPERTIES
    assert f"p{MAX_PROPERTIES + 9}" in batch.twins


# --- objects ----------------------------------------------------------------------------------------------------------


def test_events_that_a_node_has_stored_are_so_many_in_a_while_and_those_of_others_go_on() -> None:
    edge = EdgeControllerEnv()
    for name in (EVIL, GOOD):
        put_node(edge.api, name)
    burst = RATES[ReportEvent][1]
    for number in range(burst + 50):
        edge.ask(event(EVIL, f"e{number}"))
    edge.ask(event(GOOD, "good"))
    stored = Counter(item["source"]["host"] for item in edge.api.list(EVENT_KIND).items)
    assert stored == {EVIL: burst, GOOD: 1}


def test_a_rate_is_a_nodes_own_and_comes_back() -> None:
    budgets = WriteBudgets()
    requests: list[LinkMessage] = [
        InsertPod(node=EVIL, namespace="default", name="p", object={}),
        RequestCertificate(node=EVIL, name="c", object={}),
    ]
    for request in requests:
        rate, burst = RATES[type(request)]
        assert not any(budgets.rejection(request, 0, 0.0) for _ in range(burst))
        assert "too many" in budgets.rejection(request, 0, 0.0)
        assert budgets.rejection(request, 0, 2 / rate) == ""
    assert "mirrors" in budgets.rejection(requests[0], MAX_PODS, 1e6)


# --- the hub ----------------------------------------------------------------------------------------------------------


def test_a_frame_larger_than_what_it_says_may_be_is_dropped_and_the_session_goes_on() -> None:
    hub = CloudHubEnv()
    told = hub.harness.probe(ReportEvent, TwinReported)
    peer = hub.join(EVIL, **OURS)
    hub.hear(peer, event(EVIL, "large", "x" * SMALL), twin(EVIL, "d", "x" * OBJECT), event(EVIL, "small"))
    assert [message.name for message in told.take() if isinstance(message, ReportEvent)] == ["small"]
    assert hub.server.closed == []
    hub.harness.stop()


def test_an_id_that_would_be_remembered_is_short() -> None:
    hub = CloudHubEnv()
    peer = hub.join(EVIL)
    told = hub.harness.probe(ReportEvent)
    content = {"metadata": {"name": "e"}}
    long = ReportEvent(
        node=EVIL, msg_id="i" * (MAX_ID + 1), operation="insert", namespace="default", name="e", content=content
    )
    hub.hear(peer, long)
    assert told.take() == []
    assert [reason for _, reason in hub.server.closed] == ["a malformed message"]
    hub.harness.stop()


def test_unread_frames_of_one_connection_are_bounded_and_others_are_read() -> None:
    unread, piece = UnreadFrames(), MAX_UNREAD // 4
    assert [unread.add(1, piece) for _ in range(5)] == [True, True, True, True, False]
    assert unread.add(2, 3 * MAX_UNREAD)  # one frame may be as long as the link allows
    assert not unread.add(2, 1)
    unread.remove(1, piece)
    assert unread.add(1, piece)


def test_so_many_frames_of_one_connection_wait_however_small_they_are() -> None:
    unread = UnreadFrames()
    assert sum(unread.add(1, 0) for _ in range(2 * MAX_UNREAD_FRAMES)) == MAX_UNREAD_FRAMES
    assert unread.add(2, 10)
    unread.remove(1, 0)
    assert unread.add(1, 0) and not unread.add(1, 0)


class Behind:
    """A controller."""

    def __init__(self, name: str = constants.DEVICECONTROLLER, depth: int = 0) -> None:
        self.name, self.depth = name, depth


def test_while_a_controller_is_behind_each_node_is_read_at_a_pace_of_its_own() -> None:
    """Who floods waits; who says little is read at once. When the controller has caught up, all are read again."""
    receiver = Behind()
    pressure = UpstreamPressure(controllers(lambda type: [receiver] if type is TwinReported else []))
    assert all(pressure.admits(1, 0.0) for _ in range(10_000))
    receiver.depth = BEHIND + 1
    flood = [pressure.admits(1, 0.0) for _ in range(10_000)]
    assert sum(flood) == BURST
    assert all(pressure.admits(2, now / RATE) for now in range(1_000))
    assert sum(pressure.admits(1, 1.0) for _ in range(1_000)) == RATE
    receiver.depth = BEHIND
    assert pressure.admits(1, 1.0)
    pressure.forget(1)
    receiver.depth = BEHIND + 1
    assert pressure.admits(1, 1.0)


def test_whose_report_was_refused_is_read_at_the_pace_for_a_while_whether_a_controller_is_behind_or_not() -> None:
    pressure = UpstreamPressure(controllers(lambda type: [Behind()]))
    pressure.on_refused(1, 0.0)
    assert sum(pressure.admits(1, 0.0) for _ in range(1_000)) == BURST
    assert sum(pressure.admits(1, 1.0) for _ in range(1_000)) == RATE
    assert all(pressure.admits(2, 1.0) for _ in range(1_000))
    assert all(pressure.admits(1, REFUSED_SECONDS) for _ in range(1_000))
    pressure.on_refused(1, REFUSED_SECONDS)
    pressure.forget(1)
    assert all(pressure.admits(1, REFUSED_SECONDS) for _ in range(1_000))


def test_who_floods_with_reports_that_are_refused_is_held_up_and_its_neighbour_is_not() -> None:
    """From the controller's refusal over the hub to the connection, and until the time is over."""
    hub = CloudHubEnv(accepting=lambda type: (Behind(),))
    evil, good = hub.join(EVIL), hub.join(GOOD)

    def taken(peer: Peer, node: str) -> int:
        frame, count = beehive.encode(mapping.to_beehive(twin(node, "none"), 1)), 0
        for _ in range(2 * BURST):
            count += hub.server.events.on_text(peer, frame)
            hub.harness.run()
        return count

    assert taken(evil, EVIL) == 2 * BURST
    hub.harness.publish(ReportRefused(node=EVIL))
    hub.harness.run()
    assert (taken(evil, EVIL), taken(good, GOOD)) == (BURST, 2 * BURST)
    again = hub.join(EVIL)  # in its place
    assert taken(again, EVIL) == BURST
    hub.harness.advance(REFUSED_SECONDS)
    assert taken(again, EVIL) == 2 * BURST
    hub.harness.stop()


def test_the_controller_says_whose_reports_it_refuses_and_of_devices_that_never_were_one_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = inline(*child_specs(FakeCluster(), writers=1))
    refused = harness.probe(ReportRefused)
    harness.run()
    controller = harness.ref(constants.DEVICECONTROLLER)
    controller.tell(twin(GOOD, "soon"))
    for number in range(MAX_REPORTS + 2):
        controller.tell(twin(EVIL, f"none-{number}"))
    harness.run()
    assert refused.take() == [ReportRefused(node=EVIL)] * 2
    harness.advance(62.0)
    lines = [line for line in caplog.messages if "there is no such device" in line]
    assert lines == [
        f"{MAX_REPORTS + 1} reports of device default/soon and {MAX_REPORTS} others are dropped: there is no such device"
    ]
    harness.stop()


def test_a_node_with_many_devices_to_write_holds_up_that_of_another_by_one() -> None:
    turns, node_of = WriteTurns(), {"quiet": "b"} | {f"flood-{number}": "a" for number in range(100)}
    begun = [device for device in sorted(node_of) if turns.begin("writer", node_of[device], device)]
    while (following := next(turns.end("writer"), None)) is not None:
        assert turns.begin("writer", node_of[following], following)
        begun.append(following)
    assert sorted(begun) == sorted(node_of)
    assert begun.index("quiet") <= 2


def test_a_module_of_a_user_that_is_slow_holds_no_node_up() -> None:
    slow = Behind("my-module", 1_000_000)
    pressure = UpstreamPressure(controllers(lambda type: [slow]))
    assert all(pressure.admits(1, 0.0) for _ in range(10_000))


def test_a_flood_of_reports_is_read_no_faster_than_the_controller_works() -> None:
    """The controller stands: what a node says beyond its pace stays in its connection, not in the memory of the cloud."""
    receiver = Behind(depth=BEHIND + 1)
    hub = CloudHubEnv(accepting=lambda type: (receiver,))
    evil, good = hub.join(EVIL), hub.join(GOOD)
    frame = beehive.encode(mapping.to_beehive(twin(EVIL, "none"), 1))
    for _ in range(20):
        taken = sum(hub.server.events.on_text(evil, frame) for _ in range(100))
        hub.harness.run()
    assert taken == 0
    assert hub.server.events.on_text(good, beehive.encode(mapping.to_beehive(twin(GOOD, "soon"), 1)))
    hub.harness.stop()


# --- queues -----------------------------------------------------------------------------------------------------------


@given(
    items=st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50)), max_size=60),
    takes=st.lists(st.booleans(), max_size=60),
)
def test_no_node_ever_has_more_in_a_queue_than_its_share(items: list[tuple[str, int]], takes: list[bool]) -> None:
    queue: BudgetedQueue[tuple[str, int]] = BudgetedQueue(20, 8, 100)
    model: deque[tuple[str, int]] = deque()
    for index, item in enumerate(items):
        dropped = queue.append(item, *item)
        if dropped is not item:
            model.append(item)
        if dropped is not None and dropped is not item:
            assert dropped == model.popleft()
        for node in "abc":
            held = [size for owner, size in model if owner == node]
            assert len(held) <= 8 and sum(held) <= 100
        if index < len(takes) and takes[index] and len(queue):
            assert queue.popleft() == model.popleft()
    assert len(queue) == len(model) <= 20


def test_a_budget_that_is_given_back_is_empty() -> None:
    budget = NodeBudget(2, 10)
    assert [budget.take("a", 4), budget.take("a", 7), budget.take("b", 10)] == [True, False, True]
    budget.release("a", 4)
    assert budget.held("a") == (0, 0)
