"""A watch repairs itself and tells exactly the difference:

the state machine, with scripted answers instead of a network.
"""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.drivers.cluster import informer as informer_module
from kubeedge_actors.drivers.cluster.base import (
    DeltaQueue,
    EventType,
    ObjectList,
    WatchEvent,
    object_reference,
)
from kubeedge_actors.drivers.cluster.informer import EventLines, Informer, backoff_delay
from kubeedge_actors.errors import ClusterError, Forbidden, ForbiddenAtStart, Unreachable
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND
from kubeedge_actors.outage_log import OutageLog
from tests.support.clusters import Listener
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(informer_module, "BACKOFF_FIRST", 0.001)
    monkeypatch.setattr(informer_module, "BACKOFF_LAST", 0.002)
    monkeypatch.setattr(informer_module, "AWAY_BACKOFF_MAX", 0.002)


def thing(name: str, version: int, uid: str = "") -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": uid or f"uid-{name}", "resourceVersion": str(version)}}


class Script:
    """Answers to list and watch, in order; a watch yields events from a queue until it is told to end."""

    def __init__(self) -> None:
        self.lists: queue.Queue[ObjectList | Exception] = queue.Queue()
        self.streams: queue.Queue[Exception | None] = queue.Queue()
        self.events: queue.Queue[bytes | Exception | None] = queue.Queue()
        self.followed: list[str] = []
        self.closed = threading.Event()
        self.following = threading.Event()

    def lister(self) -> ObjectList:
        answer = self.lists.get(timeout=PATIENCE)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @contextmanager
    def follower(self, version: str) -> Iterator[EventLines]:
        self.followed.append(version)
        self.following.set()
        yield self

    def lines(self, silence: float) -> Iterator[bytes]:
        while True:
            line = self.events.get(timeout=PATIENCE)
            if isinstance(line, Exception):
                raise line
            if line is None:
                return
            yield line

    def close(self) -> None:
        self.closed.set()
        self.events.put(None)

    def say(self, type: str, object: dict[str, Any]) -> None:
        self.events.put(msgspec.json.encode({"type": type, "object": object}))


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def started(script: Script) -> Iterator[tuple[Informer, Listener]]:
    informer, listener = Informer(CONFIGMAP_KIND, script.lister, script.follower), Listener()
    informer.subscribe(listener.on_change, listener.on_synced)
    yield informer, listener
    informer.stop()
    script.lists.put(Unreachable("over"))
    assert informer._thread is not None
    informer._thread.join(PATIENCE)
    assert not informer._thread.is_alive()


def test_a_broken_watch_goes_on_from_the_last_version(script: Script, started: tuple[Informer, Listener]) -> None:
    _, listener = started
    script.lists.put(ObjectList([thing("a", 1)], "5"))
    script.say("MODIFIED", thing("a", 7))
    script.events.put(Unreachable("cut"))
    script.say("ADDED", thing("b", 8))
    listener.wait(lambda heard: ("ADDED", "b") in heard.told())
    assert listener.told() == [("ADDED", "a"), ("MODIFIED", "a"), ("ADDED", "b")]
    assert script.followed[:2] == ["5", "7"]


def test_an_outage_of_the_api_is_said_once_for_all_its_watches(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    outage, other = OutageLog(), Script()
    informers = [Informer(CONFIGMAP_KIND, each.lister, each.follower, outage=outage) for each in (script, other)]
    for informer in informers:
        informer.subscribe(lambda change: None, None)
    for each in (script, other):
        each.lists.put(Unreachable("c does not answer: refused"))
        each.lists.put(ObjectList([], "5"))
    assert script.following.wait(PATIENCE) and other.following.wait(PATIENCE)
    assert caplog.text.count("does not answer") == 1
    for informer, each in zip(informers, (script, other), strict=True):
        informer.stop()
        each.lists.put(Unreachable("over"))
        assert informer._thread is not None
        informer._thread.join(PATIENCE)


def test_a_bookmark_moves_the_version_and_is_no_change(script: Script, started: tuple[Informer, Listener]) -> None:
    _, listener = started
    script.lists.put(ObjectList([], "5"))
    script.say("BOOKMARK", {"metadata": {"resourceVersion": "90"}})
    script.events.put(None)
    script.say("ADDED", thing("a", 91))
    listener.wait(lambda heard: heard.told() == [("ADDED", "a")])
    assert script.followed[:2] == ["5", "90"]


GONE_EVENT = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (283)"}


@pytest.mark.parametrize("as_event", [True, False], ids=["ERROR event", "HTTP 410"])
def test_lost_history_is_listed_again_and_only_the_difference_told(
    script: Script, started: tuple[Informer, Listener], as_event: bool
) -> None:
    _, listener = started
    script.lists.put(
        ObjectList([thing("same", 1), thing("changed", 2), thing("gone", 3), thing("remade", 4, "x")], "5")
    )
    listener.wait_synced()
    listener.changes.clear()
    script.lists.put(ObjectList([thing("same", 1), thing("changed", 6), thing("remade", 7, "y"), thing("new", 8)], "9"))
    if as_event:
        script.say("ERROR", GONE_EVENT)
    else:
        script.events.put(ClusterError(GONE_EVENT))
    listener.wait(lambda heard: len(heard.changes) == 5)
    assert sorted(listener.told()) == [
        ("ADDED", "new"),
        ("ADDED", "remade"),
        ("DELETED", "gone"),
        ("DELETED", "remade"),
        ("MODIFIED", "changed"),
    ]
    assert not any(change.initial for change in listener.changes)
    script.say("BOOKMARK", {"metadata": {"resourceVersion": "10"}})
    assert listener.synced_after == 4


def test_another_error_event_ends_the_watch_and_lists_again(script: Script, started: tuple[Informer, Listener]) -> None:
    _, listener = started
    script.lists.put(ObjectList([], "5"))
    script.say("ERROR", {"kind": "Status", "code": 500, "message": "internal"})
    script.lists.put(ObjectList([thing("a", 6)], "7"))
    listener.wait(lambda heard: heard.told() == [("ADDED", "a")])


def test_an_api_that_is_away_at_first_is_asked_until_it_answers(
    script: Script, started: tuple[Informer, Listener]
) -> None:
    informer, listener = started
    for _ in range(5):
        script.lists.put(Unreachable("refused"))
    assert not informer.synced
    script.lists.put(ObjectList([thing("a", 1)], "5"))
    listener.wait_synced()
    assert listener.told() == [("ADDED", "a")]


def test_garbage_in_the_stream_leads_to_a_new_list(script: Script, started: tuple[Informer, Listener]) -> None:
    _, listener = started
    script.lists.put(ObjectList([], "5"))
    script.events.put(b'{"type":"ADDED","object":')
    script.lists.put(ObjectList([thing("a", 6)], "7"))
    listener.wait(lambda heard: heard.told() == [("ADDED", "a")])


def test_an_event_told_twice_is_one_change(script: Script, started: tuple[Informer, Listener]) -> None:
    _, listener = started
    script.lists.put(ObjectList([thing("a", 4)], "5"))
    script.say("ADDED", thing("a", 4))
    script.say("MODIFIED", thing("a", 6))
    script.say("MODIFIED", thing("a", 6))
    script.say("DELETED", thing("a", 7))
    listener.wait(lambda heard: ("DELETED", "a") in heard.told())
    assert listener.told() == [("ADDED", "a"), ("MODIFIED", "a"), ("DELETED", "a")]


def test_the_last_subscriber_to_leave_ends_the_stream(script: Script) -> None:
    informer, listener = Informer(CONFIGMAP_KIND, script.lister, script.follower), Listener()
    watch = informer.subscribe(listener.on_change, listener.on_synced)
    script.lists.put(ObjectList([], "5"))
    listener.wait_synced()
    watch.stop()
    assert script.closed.wait(PATIENCE)
    assert informer.stopped


def test_a_subscriber_that_blocks_does_not_block_whoever_leaves_or_reads(
    script: Script, started: tuple[Informer, Listener]
) -> None:
    informer, listener = started
    release, entered = threading.Event(), threading.Event()

    def block(change: WatchEvent) -> None:
        entered.set()
        release.wait(PATIENCE)

    script.lists.put(ObjectList([thing("a", 1)], "5"))
    listener.wait_synced()
    watch = informer.subscribe(block, None)
    assert entered.wait(PATIENCE)
    watch.stop()
    assert [object["metadata"]["name"] for object in informer.all()] == ["a"]
    release.set()


@given(st.integers(1, 10_000))
def test_back_off_grows_with_jitter_and_has_an_end(failures: int) -> None:
    first, last = informer_module.BACKOFF_FIRST, informer_module.BACKOFF_LAST
    assert first / 2 <= backoff_delay(failures, random.Random(), last) <= last


BUSY = ClusterError({"code": 429, "message": "too many"})
NO = Forbidden({"code": 403, "message": "forbidden"})


def test_an_api_that_is_away_or_comes_up_is_asked_every_five_seconds_and_one_that_refuses_less_and_less(
    monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    waits: list[tuple[int, float]] = []

    def noted(failures: int, chance: random.Random, longest: float) -> float:
        waits.append((failures, longest))
        return 0.0

    monkeypatch.setattr(informer_module, "BACKOFF_LAST", 30.0)
    monkeypatch.setattr(informer_module, "AWAY_BACKOFF_MAX", 5.0)
    monkeypatch.setattr(informer_module, "backoff_delay", noted)
    informer, listener = Informer(CONFIGMAP_KIND, script.lister, script.follower), Listener()
    informer.subscribe(listener.on_change, listener.on_synced)
    for error in (*[Unreachable("refused")] * 3, ForbiddenAtStart(NO.status), NO, NO, BUSY, Unreachable("again")):
        script.lists.put(error)
    script.lists.put(ObjectList([], "5"))
    listener.wait_synced()
    assert waits == [(1, 5.0), (2, 5.0), (3, 5.0), (4, 5.0), (1, 30.0), (2, 30.0), (3, 30.0), (4, 5.0)]
    informer.stop()


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30)


@given(steps=STEPS, takes=st.sets(st.integers(0, 30)))
def test_a_change_box_joins_what_waits_without_losing_first_and_last_state(
    steps: list[tuple[str, bool]], takes: set[int]
) -> None:
    box, real, seen = DeltaQueue(), {}, {}  # type: ignore[var-annotated]

    def settle() -> None:
        for change in box.take():
            name = change.object["metadata"]["name"]
            assert change.old is None or change.old == seen.get(name)
            if change.type is EventType.DELETED:
                seen.pop(name, None)
            else:
                assert (change.type is EventType.ADDED) == (name not in seen)
                seen[name] = change.object
        assert seen == real

    for number, (name, present) in enumerate(steps):
        old = real.get(name)
        new = thing(name, number + 1)
        if present:
            box.put(WatchEvent(CONFIGMAP_KIND, EventType.MODIFIED if old else EventType.ADDED, new, old))
            real[name] = new
        elif old is not None:
            box.put(WatchEvent(CONFIGMAP_KIND, EventType.DELETED, new, old))
            del real[name]
        if number in takes:
            settle()
    settle()


def test_a_change_box_wakes_once_until_it_is_emptied() -> None:
    woken: list[int] = []
    box = DeltaQueue(lambda: woken.append(1))
    for version in (1, 2, 3):
        box.put(WatchEvent(CONFIGMAP_KIND, EventType.MODIFIED, thing("a", version), None))
    box.put(WatchEvent(CONFIGMAP_KIND, EventType.ADDED, thing("b", 4), None))
    assert len(woken) == 1
    assert [object_reference(change.object).version for change in box.take()] == ["3", "4"]
    assert box.take() == []
    box.put(WatchEvent(CONFIGMAP_KIND, EventType.MODIFIED, thing("a", 5), None))
    assert len(woken) == 2


@pytest.mark.parametrize(
    ("head", "anew"),
    [
        (ObjectList([thing("a", 3)], "9"), False),
        (ObjectList([thing("a", 3)], "4"), True),
        (ObjectList([thing("a", 3, "another")], "9"), True),
        (ObjectList([thing("a", 8, "another")], "9"), False),
        (ObjectList([thing("0", 2)], "9"), True),
        (ObjectList([thing("0", 8)], "9"), False),
        (ObjectList([], "9"), False),
        (ObjectList([], "5"), True),
    ],
    ids=["the same", "older", "replaced before", "replaced since", "there before", "there since", "deleted", "emptied"],
)
def test_after_an_outage_it_lists_anew_only_when_the_server_has_another_history(head: ObjectList, anew: bool) -> None:
    script = Script()
    script.lists.put(ObjectList([thing("a", 3)], "5"))
    informer, listener = Informer(CONFIGMAP_KIND, script.lister, script.follower, peek=lambda: head), Listener()
    informer.subscribe(listener.on_change, listener.on_synced)
    listener.wait_synced()
    if anew:
        script.lists.put(ObjectList([thing("b", 1)], "2"))
    script.events.put(Unreachable("it broke"))
    if anew:
        listener.wait(lambda heard: heard.told() == [("ADDED", "a"), ("ADDED", "b"), ("DELETED", "a")])
    else:
        eventually(lambda: script.followed[1:] == ["5"], "it goes on where it was")
        assert listener.told() == [("ADDED", "a")]
    informer.stop()
    script.events.put(None)
