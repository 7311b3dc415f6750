"""When a node counts as silent: examples, and a model that hears at random."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kubeedge_actors.actors.nodelifecycle.pulses import GRACE, Pulses


def test_a_node_is_silent_after_the_grace_and_not_before() -> None:
    pulses = Pulses()
    pulses.node("a", "", 100.0)
    assert not pulses.silent("a", 100.0 + GRACE) and pulses.to_judge(100.0 + GRACE) == []
    assert pulses.silent("a", 100.1 + GRACE) and pulses.to_judge(100.1 + GRACE) == ["a"]


def test_a_lease_that_goes_back_in_time_is_a_sign_of_life() -> None:
    pulses = Pulses()
    pulses.node("a", "", 0.0)
    assert pulses.lease("a", "2026-11-22T19:00:00Z", 30.0)
    assert pulses.lease("a", "1970-01-01T00:00:00Z", 60.0)
    assert not pulses.silent("a", 100.0)


def test_a_lease_that_says_the_same_again_is_none() -> None:
    pulses = Pulses()
    pulses.node("a", "", 0.0)
    assert pulses.lease("a", "x", 0.0)
    assert not pulses.lease("a", "x", 30.0)
    assert pulses.silent("a", 41.0)


def test_a_lease_made_anew_is_a_sign_of_life_whatever_it_says() -> None:
    pulses = Pulses()
    pulses.node("a", "", 0.0)
    pulses.lease("a", "x", 0.0)
    pulses.forget_lease("a")
    assert pulses.lease("a", "x", 30.0)


def test_a_heart_beat_counts_without_a_lease() -> None:
    pulses = Pulses()
    pulses.node("a", "1", 0.0)
    assert not pulses.node("a", "1", 30.0) and not pulses.node("a", "", 30.0)
    assert pulses.node("a", "2", 39.0)
    assert not pulses.silent("a", 79.0)


def test_a_lease_without_a_node_judges_nobody() -> None:
    pulses = Pulses()
    pulses.lease("a", "x", 0.0)
    assert pulses.to_judge(1000.0) == [] and not pulses.silent("a", 1000.0)


def test_the_time_in_which_the_api_was_away_does_not_count_and_what_was_before_does() -> None:
    pulses = Pulses()
    pulses.node("silent", "1", 0.0)
    pulses.node("well", "1", 30.0)
    pulses.excuse(100.0)  # away since 30 at the earliest
    assert not pulses.silent("silent", 109.0)
    assert pulses.silent("silent", 111.0)
    assert not pulses.silent("well", 139.0)
    assert pulses.silent("well", 141.0)


class HearingAtRandom(RuleBasedStateMachine):
    """Compares the pulses with the last moment at which something new was heard of each node."""

    NODES = st.sampled_from(["a", "b"])

    def __init__(self) -> None:
        super().__init__()
        self.pulses = Pulses()
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
        self.pulses.node(node, text, self.now)
        if node not in self.heard:
            self.heard[node] = self.now
            self.said.pop((node, "heartbeat"), None)
        self.hear(node, "heartbeat", text)

    @rule(node=NODES, text=st.sampled_from(["1", "2"]))
    def a_lease_is_seen(self, node: str, text: str) -> None:
        self.pulses.lease(node, text, self.now)
        self.hear(node, "lease", text)

    @rule(node=NODES)
    def a_node_goes(self, node: str) -> None:
        self.pulses.forget(node)
        self.heard.pop(node, None)
        self.judged.discard(node)

    @rule()
    def all_are_judged(self) -> None:
        for node in self.pulses.to_judge(self.now):
            self.pulses.judged(node)
            self.judged.add(node)

    @rule()
    def the_api_was_away(self) -> None:
        self.pulses.excuse(self.now)
        latest = max(self.heard.values(), default=self.now)
        for node in self.heard.keys() - self.judged:
            self.heard[node] += self.now - latest

    @invariant()
    def exactly_the_silent_ones_are_to_be_judged_once(self) -> None:
        silent = {node for node, heard in self.heard.items() if self.now - heard > GRACE}
        assert {node for node in ("a", "b") if self.pulses.silent(node, self.now)} == silent
        assert set(self.pulses.to_judge(self.now)) == silent - self.judged
        assert {node for node in ("a", "b") if self.pulses.lost(node)} == self.judged


TestHearingAtRandom = HearingAtRandom.TestCase
