"""The public test helpers: what authors test their modules with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import kubeedge_actors
from kubeedge_actors import testing
from kubeedge_actors.drivers.link.base import CloseReason
from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import NO_BACKOFF, ChildSpec, Reason, Restarted, SystemClock, ThreadsEngine
from kubeedge_actors.supervisors import ActorSystem as RealRuntime
from kubeedge_actors.testing import (
    ActorCrashed,
    FakeCloud,
    Harness,
    InjectedCrash,
    crash,
    crash_after,
    crash_at,
    delayed,
    faulty,
    inline,
    redelivered,
    slow,
)


class Counter(Module):
    """Counts, publishes each total, and crashes on a negative number."""

    name, emits = "counter", (float,)
    handled: list[int]

    def __init__(self, handled: list[int] | None = None) -> None:
        self.handled = [] if handled is None else handled

    @on
    def count(self, number: int) -> int:
        """Count."""
        if number < 0:
            raise ValueError("negative")
        self.handled.append(number)
        self.publish(float(sum(self.handled)))
        return sum(self.handled)


def counter(handled: list[int], **more: Any) -> ChildSpec:
    """A counter whose count outlives its incarnations."""
    return Counter.spec(lambda: Counter(handled), backoff=NO_BACKOFF, **more)


def test_classes_instances_and_specs_can_be_run() -> None:
    for runnable in (Counter, Counter(), Counter.spec()):
        with inline(runnable) as harness:
            assert harness.ask("counter", 3) == 3


def test_a_probe_records_what_is_published_and_what_a_name_is_told() -> None:
    class Caller(Module):
        name = "caller"

        @on
        def call(self, word: str) -> Any:
            self.tell("peer", word)
            return self.ask("peer", 1).get()

    with inline(Counter, Caller) as harness:
        peer, totals = harness.probe("peer", answer=lambda message: (message, "!")), harness.probe(float, bytes)
        assert harness.ask("caller", "hello") == (1, "!")
        assert peer.received == ["hello", 1] and peer.of(str) == ["hello"]
        harness.tell("counter", 2)
        harness.tell("counter", 3)
        assert list(totals) == [2.0, 5.0] and len(totals) == 2
        assert totals.take() == [2.0, 5.0]
        with pytest.raises(AssertionError, match="expected one message, got"):
            totals.only()
        harness.tell("counter", 1)
        assert totals.only() == 6.0


def test_a_probe_may_come_later() -> None:
    with inline(Counter) as harness:
        harness.tell("counter", 1)
        assert [each.reason for each in harness.dead_letters] == [Reason.NO_SUBSCRIBER]
        totals = harness.probe(float)
        harness.tell("counter", 1)
        assert totals.only() == 2.0


def test_a_probe_is_there_before_the_modules_start() -> None:
    class Eager(Module):
        name = "eager"

        def on_start(self) -> None:
            self.publish(1.0)

    with inline(Eager) as harness:
        assert harness.probe(float).received == []
        harness.run()
        assert harness.dead_letters == []


def test_a_crash_is_shown_with_its_traceback() -> None:
    with inline(Counter) as harness, pytest.raises(ActorCrashed, match=r"counter crashed(.|\n)*raise ValueError"):
        harness.tell("counter", -1)


def test_contained_crashes_are_for_supervision_to_deal_with() -> None:
    handled: list[int] = []
    with inline(counter(handled, max_deliveries=2), contain=True) as harness:
        harness.tell("counter", -1)
        harness.tell("counter", 5)
        assert handled == [5]
        assert [each.error for each in harness.crashes] == ["ValueError: negative"] * 2
        with pytest.raises(AnswerLost):
            harness.ask("counter", -2)


def test_a_crash_on_demand_is_not_shown_as_a_mistake() -> None:
    with inline(counter([])) as harness:
        harness.tell("counter", 1)
        harness.crash("counter")
        harness.crash("counter", KeyError("mine"))
        assert len([each for each in harness.events if isinstance(each, Restarted)]) == 2
        assert harness.ask("counter", 1) == 2


def test_advance_moves_the_clock_and_fires_what_is_due() -> None:
    class Reminder(Module):
        name = "reminder"

        @on
        def remind(self, seconds: int) -> None:
            self.after(seconds, "now")

        @on
        def now(self, word: str) -> None:
            self.publish(self.clock.monotonic())

    with inline(Reminder) as harness:
        times = harness.probe(float)
        harness.tell("reminder", 5)
        harness.tell("reminder", 3)
        harness.advance(4.0)
        assert times.take() == [3.0]
        harness.advance(4.0)
        assert times.take() == [5.0]
        assert harness.clock.monotonic() == 8.0


def test_publish_says_how_many_accept() -> None:
    with inline(Counter) as harness:
        harness.probe(int)
        assert (harness.publish(1), harness.publish("nobody")) == (2, 0)


def test_stopping_twice_or_before_the_start_does_no_harm() -> None:
    harness = inline(Counter)
    harness.stop()
    harness.tell("counter", 1)
    harness.stop()
    harness.stop()


# --- faults ---------------------------------------------------------------------------------------------------------


def play(faults: dict[int, Any], *messages: int, **more: Any) -> tuple[list[int], Harness]:
    """What a counter with these faults handled."""
    handled: list[int] = []
    with inline(faulty(counter(handled, **more), faults)) as harness:
        harness.probe(float)
        for message in messages:
            harness.tell("counter", message)
        harness.advance(10.0)
    return handled, harness


def test_a_crash_before_a_message_lets_it_come_again() -> None:
    handled, harness = play({2: crash()}, 10, 20, 30)
    assert handled == [10, 20, 30]
    assert len(harness.crashes) == 1


def test_a_crash_after_a_message_lets_it_come_twice() -> None:
    handled, _ = play({2: crash_after()}, 10, 20, 30)
    assert handled == [10, 20, 20, 30]


def test_a_message_handled_twice() -> None:
    handled, harness = play({2: redelivered()}, 10, 20, 30)
    assert handled == [10, 20, 20, 30]
    assert harness.crashes == []


def test_a_message_that_comes_late() -> None:
    handled, _ = play({1: delayed(5.0)}, 10, 20)
    assert handled == [20, 10]


def test_a_slow_handler_is_hung_when_it_has_a_deadline() -> None:
    handled, harness = play({1: slow(3.0)}, 10)
    assert handled == [10] and harness.crashes == []
    with pytest.raises(ActorCrashed, match="ran for 3"):
        play({1: slow(3.0)}, 10, handler_deadline=2.0)


def test_slow_needs_a_clock_that_is_moved_by_hand() -> None:
    system = RealRuntime(ThreadsEngine())
    assert isinstance(system.clock, SystemClock)
    from kubeedge_actors.supervisors import SupervisorSpec

    system.start(SupervisorSpec("root", [faulty(counter([], max_deliveries=1), {1: slow(1.0)})]))
    with pytest.raises(AnswerLost, match="moved by hand"):
        system.ref("counter").ask(1).get()
    system.stop()


def test_crash_at_is_short_for_the_usual_fault() -> None:
    handled: list[int] = []
    with inline(crash_at(counter(handled), 1, 4, after=True)) as harness:
        harness.probe(float)
        for number in (10, 20, 30):
            harness.tell("counter", number)
    assert handled == [10, 10, 20, 30, 30]
    assert {each.error for each in harness.crashes} == {"InjectedCrash: asked for by a test"}
    with inline(crash_at(counter([]), 1, error=OSError), contain=True) as harness:
        harness.tell("counter", 1)
        assert harness.crashes[0].error.startswith("OSError")
    assert issubclass(InjectedCrash, Exception)


def test_faults_count_the_messages_of_batches() -> None:
    class Batching(Module):
        name = "batching"

        def __init__(self, batches: list[list[int]]) -> None:
            self.batches = batches

        @on(batch=4)
        def take(self, numbers: list[int]) -> None:
            self.batches.append(numbers)

    batches: list[list[int]] = []
    with inline(faulty(Batching.spec(lambda: Batching(batches), backoff=NO_BACKOFF), {3: crash()})) as harness:
        for number in range(4):
            harness.ref("batching").tell(number)
        harness.run()
    assert batches == [[0], [1], [2], [3]]


# --- the link, and the page that tells of all this ---------------------------------------------------------------------


class Phone:
    """Whoever connects: remembers what it is told."""

    def __init__(self, cloud: FakeCloud) -> None:
        self.told: list[str] = []
        self._cloud = cloud
        self.link = cloud.links()

    def open(self) -> None:
        self.link.open("wss://cloud/x", {}, None, self)

    def on_open(self, headers: Mapping[str, str]) -> None:
        self.told.append(f"open {headers.get('ours', '')}".rstrip())

    def on_text(self, text: str) -> None:
        self.told.append(text)

    def on_written(self, marks: Sequence[str]) -> None:
        self.told += [f"written {mark}" for mark in marks]

    def on_close(self, closed: CloseReason) -> None:
        self.told.append(closed.reason)


def test_a_memory_cloud_hears_answers_and_says() -> None:
    cloud = FakeCloud({"ours": "1"})
    cloud.answer = lambda text: [text.upper()]
    phone = Phone(cloud)
    phone.open()
    phone.link.send("hello", "m")
    cloud.say("by itself")
    assert phone.told == ["open 1", "written m", "HELLO", "by itself"]
    assert (cloud.heard, cloud.connections) == (["hello"], 1)


def test_a_memory_cloud_is_cut_goes_away_and_comes_back() -> None:
    cloud = FakeCloud()
    first, second, third = Phone(cloud), Phone(cloud), Phone(cloud)
    first.open()
    cloud.cut("an excavator")
    cloud.refuse()
    second.open()
    cloud.accept_again()
    third.open()
    assert (first.told, second.told, third.told) == (["open", "an excavator"], ["connection refused"], ["open"])


def test_a_stalled_link_holds_back_what_is_sent() -> None:
    cloud = FakeCloud()
    phone = Phone(cloud)
    phone.open()
    cloud.stall()
    phone.link.send("hello", "m")
    assert (cloud.heard, phone.told) == ([], ["open"])
    cloud.restore()
    assert (cloud.heard, phone.told) == (["hello"], ["open", "written m"])


def test_the_page_that_tells_of_the_helpers_is_true(caplog: pytest.LogCaptureFixture) -> None:
    page = (Path(kubeedge_actors.__file__).parent.parent / "docs" / "reference" / "testing.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.M | re.S)
    assert len(blocks) == 4
    names: dict[str, Any] = {"__name__": "page"}
    for block in blocks:
        exec(compile(block, "testing.md", "exec"), names)
    warned = {message for message in caplog.messages if message.startswith("sum accepts ")}
    assert warned <= {"sum accepts Measured, which nobody emits"}, "the test tells it that itself"


def test_an_old_name_of_a_fault_is_good_for_one_release_and_says_so() -> None:
    with pytest.warns(DeprecationWarning, match="duplicated is now redelivered"):
        assert testing.duplicated is redelivered
    with pytest.raises(AttributeError, match="duplicate"):
        testing.duplicate  # noqa: B018
