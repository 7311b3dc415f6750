"""When a node counts as silent: examples, and a model that hears at random."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kubeedge_actors.actors.nodelifecycle.node_health import GRACE_PERIOD, NodeHealthMap


def test_a_node_is_silent_after_the_grace_and_not_before() -> None:
    pulses = NodeHealthMap()
    pulses.observe_node("a", "", 100.0)
    assert not pulses.is_expired("a", 100.0 + GRACE_PERIOD) and pulses.newly_expired(100.0 + GRACE_PERIOD) == []
    assert pulses.is_expired("a", 100.1 + GRACE_PERIOD) and pulses.newly_expired(100.1 + GRACE_PERIOD) == ["a"]


def test_a_lease_that_goes_back_in_time_is_a_sign_of_life() -> None:
    pulses = NodeHealthMap()
    pulses.observe_node("a", "", 0.0)
    assert pulses.observe_lease("a", "2026-11-22T19:00:00Z", 30.0)
    assert pulses.observe_lease("a", "1970-01-01T00:00:00Z", 60.0)
    assert not pulses.is_expired("a", 100.0)


def test_a_lease_that_says_the_same_again_is_none() -> None:
    pulses = NodeHealthMap()
    pulses.observe_node("a", "", 0.0)
    assert pulses.observe_lease("a", "x", 0.0)
    assert not pulses.observe_lease("a", "x", 30.0)
    assert pulses.is_expired("a", 41.0)


def test_a_lease_made_anew_is_a_sign_of_life_whatever_it_says() -> None:
    pulses = NodeHealthMap()
    pulses.observe_node("a", "", 0.0)
    pulses.observe_lease("a", "x", 0.0)
    pulses.forget_lease("a")
    assert pulses.observe_lease("a", "x", 30.0)


def test_a_heart_beat_counts_without_a_lease() -> None:
    pulses = NodeHealthMap()
    pulses.observe_node("a", "1", 0.0)
    assert not pulses.observe_node("a", "1", 30.0) and not pulses.observe_node("a", "", 30.0)
    assert pulses.observe_node("a", "2", 39.0)
    assert not pulses.is_expired("a", 79.0)


def test_a_lease_without_a_node_judges_nobody() -> None:
    pulses = NodeHealthMap()
    pulses.observe_lease("a", "x", 0.0)
    assert pulses.newly_expired(1000.0) == [] and not pulses.is_expired("a", 1000.0)


def test_the_time_in_which_the_api_was_away_does_not_count_and_what_was_before_does() -> None:
    pulses = NodeHealthMap()
    pulses.observe_node("silent", "1", 0.0)
    pulses.observe_node("well", "1", 30.0)
    pulses.discount_outage(100.0)  # away since 30 at the earliest
    assert not pulses.is_expired("silent", 109.0)
    assert pulses.is_expired("silent", 111.0)
    assert not pulses.is_expired("well", 139.0)
    assert pulses.is_expired("well", 141.0)


class HearingAtRandom(RuleBasedStateMachine):
    """Compares the pulses with the last moment at which something new was heard of each node."""

    NODES = st.sampled_from(["a", "b"])

    def __init__(self) -> None:
        super().__init__()
        self.pulses = NodeHealthMap()
        self.now = 0.0
        self.heard: dict[str, float] = {}
        self.said: dict[tuple[str, str], str] = {}
        self.judged: set[str] = set()

    def hear(self, node: str, what: str, text: str) -> None:
        news = self.said.get((node, what)) != text
        self.said[node, what] = text
        if news and node in self.heard:
            self.heard[node] = self.now
            self.judged.discard(node)

    @rule(seconds=st.floats(0.0, 50.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(node=NODES, text=st.sampled_from(["1", "2"]))
    def a_node_is_seen(self, node: str, text: str) -> None:
        self.pulses.observe_node(node, text, self.now)
        if node not in self.heard:
            self.heard[node] = self.now
            self.said.pop((node, "heartbeat"), None)
        self.hear(node, "heartbeat", text)

    @rule(node=NODES, text=st.sampled_from(["1", "2"]))
    def a_lease_is_seen(self, node: str, text: str) -> None:
        self.pulses.observe_lease(node, text, self.now)
        self.hear(node, "lease", text)

    @rule(node=NODES)
    def a_node_goes(self, node: str) -> None:
        self.pulses.forget_node(node)
        self.heard.pop(node, None)
        self.judged.discard(node)

    @rule()
    def all_are_judged(self) -> None:
        for node in self.pulses.newly_expired(self.now):
            self.pulses.mark_unknown(node)
            self.judged.add(node)

    @rule()
    def the_api_was_away(self) -> None:
        self.pulses.discount_outage(self.now)
        latest = max(self.heard.values(), default=self.now)
        for node in self.heard.keys() - self.judged:
            self.heard[node] += self.now - latest

    @invariant()
    def exactly_the_silent_ones_are_to_be_judged_once(self) -> None:
        silent = {node for node, heard in self.heard.items() if self.now - heard > GRACE_PERIOD}
        assert {node for node in ("a", "b") if self.pulses.is_expired(node, self.now)} == silent
        assert set(self.pulses.newly_expired(self.now)) == silent - self.judged
        assert {node for node in ("a", "b") if self.pulses.is_unknown(node)} == self.judged


TestHearingAtRandom = HearingAtRandom.TestCase
