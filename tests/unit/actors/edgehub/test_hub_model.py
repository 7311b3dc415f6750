"""Whatever happens to link, hub and process: no event is lost or overtaken, and the cloud's picture of a device becomes right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kubeedge_actors.drivers.store.base import OutboxRow, OutboxStore
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.testing import InjectedCrash
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import LinkMessage, ReportEvent, ReportStored, TwinReported
from tests.support.env.edgehub import EdgeHubEnv, FakeCloud
from tests.support.plugins.hypothesis_profile import examples

DEVICES = ["default/lamp", "default/fan"]
PROPERTIES = ["power", "level", "mode"]


class CrashingOutbox:
    """An outbox that, when asked to, commits and then brings down whoever wrote."""

    def __init__(self, outbox: OutboxStore) -> None:
        self._outbox = outbox
        self.crash = False

    def apply(self, added: Sequence[OutboxRow], removed: Sequence[str]) -> None:
        self._outbox.apply(added, removed)
        if self.crash:
            self.crash = False
            raise InjectedCrash("after the commit")

    def contains(self, msg_ids: Sequence[str]) -> set[str]:
        return self._outbox.contains(msg_ids)

    def pending(self, *, keyed: bool | None = None, after: int = 0, limit: int = 0) -> list[OutboxRow]:
        return self._outbox.pending(keyed=keyed, after=after, limit=limit)

    def count(self) -> int:
        return self._outbox.count()


class PickyCloud(FakeCloud):
    """Handles everything it hears, each id once, but acknowledges and confirms only when it is told to."""

    def __init__(self) -> None:
        super().__init__(ours=True)
        self.events: list[str] = []
        self.twins: dict[tuple[str, str], Any] = {}
        self.owed: list[LinkMessage] = []
        self.known: set[str] = set()

    def on_text(self, peer: Any, text: str) -> bool:
        super().on_text(peer, text)
        message = self.heard[-1]
        if isinstance(message, ReportEvent):
            if message.msg_id not in self.known:
                self.events.append(message.name)
            self.owed.append(message)
        elif isinstance(message, TwinReported):
            for name, entry in message.report["twin"].items():
                self.twins[message.device, name] = entry["actual"]["value"]
            self.owed.append(message)
        self.known.add(message.msg_id)
        return True

    def settle(self, count: int) -> None:
        """Acknowledge or confirm the first of what is owed."""
        due, self.owed = self.owed[:count], self.owed[count:]
        for message in due:
            if isinstance(message, TwinReported):
                self.say(ReportStored(parent_msg_id=message.msg_id))
            else:
                self.acknowledge(message)


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.cloud = PickyCloud()
        self.outbox = CrashingOutbox(FakeStore().outbox)
        self.env = EdgeHubEnv(cloud=self.cloud, outbox=self.outbox).start()
        self.said = 0
        self.version = 0
        self.values: dict[tuple[str, str], str] = {}

    @rule(count=st.integers(1, 5))
    def events_happen(self, count: int) -> None:
        for _ in range(count):
            event = ReportEvent(operation="insert", namespace="default", name=str(self.said), content={})
            self.env.harness.ref(constants.EDGEHUB).tell(event)
            self.said += 1
        self.env.harness.run()

    @rule(
        device=st.sampled_from(DEVICES), changed=st.dictionaries(st.sampled_from(PROPERTIES), st.text("ab", max_size=2))
    )
    def a_device_changes(self, device: str, changed: dict[str, str]) -> None:
        self.version += 1
        version = {"cloud": 0, "edge": self.version}
        twin = {name: {"actual": {"value": value}, "actual_version": version} for name, value in changed.items()}
        self.values.update({(device, name): value for name, value in changed.items()})
        self.env.tell(TwinReported(device=device, report={"event_id": "e", "timestamp": 1, "twin": twin}))

    @precondition(lambda self: self.cloud.peer is not None)
    @rule(count=st.integers(1, 4))
    def the_cloud_settles_some(self, count: int) -> None:
        self.cloud.settle(count)
        self.env.harness.run()

    @rule()
    def the_link_breaks(self) -> None:
        self.env.cut()
        self.cloud.owed.clear()

    @rule(stalled=st.booleans())
    def the_link_stalls_or_recovers(self, stalled: bool) -> None:
        self.cloud.server.stalled = stalled
        if not stalled:
            self.cloud.server.release_stalled()
            self.env.harness.run()

    @rule(reachable=st.booleans())
    def the_cloud_is_reachable_or_not(self, reachable: bool) -> None:
        self.cloud.server.reachable = reachable

    @rule(seconds=st.sampled_from([0.1, 1.0, 40.0, 130.0]))
    def time_passes(self, seconds: float) -> None:
        self.env.harness.advance(seconds)

    @rule()
    def the_hub_crashes(self) -> None:
        self.env.harness.crash(constants.EDGEHUB)
        self.cloud.owed.clear()

    @rule()
    def the_next_write_brings_the_hub_down(self) -> None:
        self.outbox.crash = True

    @rule()
    def the_process_restarts(self) -> None:
        self.outbox.crash = False
        self.env.harness.advance(60.0)  # what a crashed hub has in its mailbox is in memory only
        self.env.harness.stop()
        self.cloud.owed.clear()
        self.env = EdgeHubEnv(cloud=self.cloud, outbox=self.outbox).start()

    @invariant()
    def events_come_in_order(self) -> None:
        assert self.cloud.events == [str(number) for number in range(len(self.cloud.events))]

    def teardown(self) -> None:
        self.cloud.server.reachable = True
        self.cloud.server.stalled = False
        self.cloud.server.release_stalled()
        self.outbox.crash = False
        for _ in range(20):
            self.env.harness.advance(70.0)
            if self.cloud.peer is not None:
                self.cloud.settle(10_000)
                self.env.harness.run()
        assert self.cloud.events == [str(number) for number in range(self.said)]
        assert self.cloud.twins == self.values
        assert self.env.waiting() == []
        self.env.harness.stop()


TestNothingIsLost = Machine.TestCase
TestNothingIsLost.settings = settings(max_examples=examples(150), stateful_step_count=40)
