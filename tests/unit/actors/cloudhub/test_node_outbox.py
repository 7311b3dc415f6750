"""NodeOutbox: what can not arrive is said to the sender; what can waits in the file until a native node has confirmed it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.cloudhub import node_outbox
from kubeedge_actors.actors.cloudhub.node_outbox import NodeOutbox, NodeOutboxState
from kubeedge_actors.actors.cloudhub.node_outbox_cursor import BURST, PACE, RESEND_SECONDS, WINDOW
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.store.base import NodeBacklog, NodeOutboxRow
from kubeedge_actors.drivers.store.node_outbox import NodeOutboxDb
from kubeedge_actors.errors import AnswerLost, StoreError
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import NODE_KIND
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import Reason
from kubeedge_actors.testing import Probe, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    BusPublish,
    CustomMessage,
    MessageConfirmed,
    MessageLost,
    SendToNode,
    SessionClosed,
    SessionOpened,
)

OURS = "10.0.0.1"


class Env:
    """A NodeOutbox over a file, a cluster with the node `n1`, and a probe in CloudHub's place."""

    def __init__(self, path: Path, *nodes: str) -> None:
        self.cluster = FakeCluster()
        for name in nodes or ("n1",):
            self.register(name)
        self.store = NodeOutboxDb(path / "outbox.db")
        self.harness = inline(NodeOutbox.spec_for(NodeOutboxState(self.cluster, self.store), OURS))
        self.hub: Probe = self.harness.probe(constants.CLOUDHUB)
        self.harness.run()

    def register(self, name: str, **annotations: str) -> None:
        labels = {well_known.EDGE_LABEL: ""}
        self.cluster.create(NODE_KIND, "", {"metadata": {"name": name, "labels": labels, "annotations": annotations}})

    def publish(self, topic: str, node: str = "n1", **more: Any) -> BusPublish:
        message = BusPublish(node=node, topic=topic, payload="x", **more)
        self.harness.publish(message)
        return message

    def opened(self, *, confirms: bool = True, node: str = "n1") -> None:
        self.harness.publish(SessionOpened(node=node, confirms=confirms))

    def confirm(self, *messages: BusPublish) -> None:
        for message in messages:
            self.harness.publish(MessageConfirmed(node=message.node, msg_id=message.msg_id))

    def sent(self) -> list[str]:
        """The topics that the hub was asked to send since the last time."""
        return [str(getattr(each.message, "topic", "")) for each in self.hub.take() if isinstance(each, SendToNode)]

    def lost(self) -> list[tuple[str, str]]:
        letters = [letter.message for letter in self.harness.dead_letters if isinstance(letter.message, MessageLost)]
        return [(letter.message.topic, letter.reason) for letter in letters if isinstance(letter.message, BusPublish)]

    def waiting(self, node: str = "n1") -> int:
        return len(self.store.of_node(node))


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Env]:
    made = Env(tmp_path)
    yield made
    made.harness.stop()
    made.store.close()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"node": "n2"}, "no node is called 'n2'"),
        ({"node": ""}, "it does not say for which node it is"),
        ({"expires": -1.0}, "it can not wait -1.0 s"),
        ({"expires": float("nan")}, "it can not wait nan s"),
        ({"msg_id": ""}, "it has no msg_id"),
        ({"payload": object()}, "it has no form on the wire"),
        ({"payload": "x" * (1 << 20)}, "1048576 at most are sent to a node"),
    ],
)
def test_what_can_not_arrive_is_a_dead_letter_with_sender_and_reason_and_an_error_to_who_asks(
    env: Env, caplog: pytest.LogCaptureFixture, wrong: dict[str, Any], why: str
) -> None:
    class Router(Module):
        name = "router"
        group = "built in"

        @on
        def on_topic(self, topic: str) -> None:
            self.publish(BusPublish(**{"node": "n1", "topic": topic, "payload": "x", **wrong}))

    env.harness.system.add(Router.spec())
    env.harness.tell("router", "t")
    (letter,) = env.harness.dead_letters
    assert (letter.sender, letter.recipient, letter.reason) == ("router", constants.NODEOUTBOX, Reason.UNDELIVERABLE)
    assert why in letter.error
    assert any("from router" in each.getMessage() and why in each.getMessage() for each in caplog.records)
    future = env.harness.ref(constants.NODEOUTBOX).ask(
        BusPublish(**{"node": "n1", "topic": "t", "payload": "x", **wrong})
    )
    env.harness.run()
    with pytest.raises(AnswerLost, match="it can not be delivered"):
        future.get()
    assert env.waiting() == 0


def test_for_a_node_that_is_away_it_waits_and_goes_out_in_order_until_it_is_confirmed(env: Env) -> None:
    first, second = env.publish("a"), env.publish("b")
    assert env.sent() == []
    assert env.waiting() == 2
    env.opened()
    assert env.sent() == ["a", "b"]
    assert env.waiting() == 2
    env.confirm(first)
    assert env.waiting() == 1
    env.harness.publish(SessionClosed(node="n1", reason="lost"))
    third = env.publish("c")
    env.opened()
    assert env.sent() == ["b", "c"]
    env.confirm(second, third)
    assert env.waiting() == 0
    env.harness.advance(2 * RESEND_SECONDS)
    assert env.sent() == []
    assert env.harness.dead_letters == []


def test_an_asker_is_answered_when_it_is_in_the_file(env: Env) -> None:
    assert env.harness.ask(constants.NODEOUTBOX, BusPublish(node="n1", topic="a", payload="x")) is None
    assert env.waiting() == 1


def test_what_was_taken_survives_the_process(tmp_path: Path) -> None:
    before = Env(tmp_path)
    before.publish("a")
    before.store.close()  # and nothing else is told that it ends
    after = Env(tmp_path)
    with closing(after.store):
        after.opened()
        assert after.sent() == ["a"]
    before.harness.stop()
    after.harness.stop()


def test_a_node_that_does_not_confirm_in_time_is_told_again(env: Env) -> None:
    env.opened()
    message = env.publish("a")
    assert env.sent() == ["a"]
    env.harness.advance(RESEND_SECONDS + node_outbox.CHECK_SECONDS)
    assert env.sent() == ["a"]
    env.confirm(message)
    env.confirm(message)
    assert env.waiting() == 0


def test_no_more_than_the_window_is_under_way(env: Env) -> None:
    env.opened()
    messages = [env.publish(str(number)) for number in range(WINDOW + 10)]
    assert env.sent() == [str(number) for number in range(WINDOW)]
    env.confirm(*messages[:5])
    assert env.sent() == [str(number) for number in range(WINDOW, WINDOW + 5)]


def test_to_a_genuine_node_it_is_said_once_and_counts_as_sent(env: Env) -> None:
    env.publish("away")
    env.opened(confirms=False)
    env.publish("live")
    assert env.sent() == ["away", "live"]
    assert env.waiting() == 0
    env.harness.advance(2 * RESEND_SECONDS)
    assert env.sent() == []


@pytest.mark.parametrize("away", [True, False])
def test_a_genuine_node_gets_a_burst_and_the_rest_in_order_at_its_pace(env: Env, away: bool) -> None:
    if not away:
        env.opened(confirms=False)
    for number in range(200):
        env.publish(str(number))
    if away:
        env.opened(confirms=False)
    arrived = env.sent()
    assert len(arrived) == BURST
    assert env.waiting() == 200 - BURST
    for seconds in range(1, 4):
        env.harness.advance(1.0)
        arrived += env.sent()
        assert len(arrived) == BURST + seconds * PACE
        assert env.waiting() == 200 - len(arrived)
    env.publish("last")
    env.harness.advance(1.0)
    arrived += env.sent()
    assert arrived == [*map(str, range(200)), "last"]
    assert env.waiting() == 0
    assert env.harness.dead_letters == []


def test_a_genuine_node_that_is_sent_little_is_sent_it_at_once_and_without_the_file(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    env.opened(confirms=False)
    monkeypatch.setattr(env.store, "add", lambda rows: pytest.fail("it was written"))
    for _ in range(3):
        for number in range(BURST):
            env.publish(str(number))
        assert env.sent() == [*map(str, range(BURST))]
        env.harness.advance(BURST / PACE)


def test_a_native_node_has_no_pace(env: Env) -> None:
    for number in range(200):
        env.publish(str(number))
    env.opened()
    arrived = []
    while messages := [each.message for each in env.hub.take()]:
        arrived += [message.topic for message in messages]
        env.confirm(*messages)
    assert arrived == [*map(str, range(200))]


def test_what_the_pace_holds_back_when_the_link_is_cut_waits_and_nothing_is_sent_again(env: Env) -> None:
    env.opened(confirms=False)
    for number in range(100):
        env.publish(str(number))
    env.harness.advance(0.5)
    arrived = env.sent()
    assert len(arrived) == BURST + 0.5 * PACE
    env.harness.publish(SessionClosed(node="n1", reason="lost"))
    env.harness.advance(60.0)
    assert env.sent() == []
    assert env.waiting() == 100 - len(arrived)
    env.opened(confirms=False)
    arrived += env.sent()
    assert len(arrived) == BURST + 0.5 * PACE + BURST
    env.harness.advance(1.0)
    assert arrived + env.sent() == [*map(str, range(100))]


def test_what_expires_while_the_pace_holds_it_back_is_a_dead_letter(env: Env) -> None:
    env.opened(confirms=False)
    for number in range(BURST + 400):
        env.publish(str(number), expires=4.0 if number >= BURST + 300 else 3600.0)
    env.harness.advance(node_outbox.CHECK_SECONDS + 1.0)
    assert env.sent() == [*map(str, range(BURST + 300))]
    assert len(env.lost()) == 100
    assert {reason for _, reason in env.lost()} == {"it has expired"}
    assert env.waiting() == 0


def test_a_crash_does_not_end_the_pace(env: Env) -> None:
    env.opened(confirms=False)
    for number in range(50):
        env.publish(str(number))
    env.harness.crash(constants.NODEOUTBOX)
    env.harness.advance(3.0)
    assert env.sent() == [*map(str, range(50))]


def test_each_genuine_node_has_a_pace_of_its_own(env: Env) -> None:
    env.register("n2")
    env.harness.run()
    for node in ("n1", "n2"):
        env.opened(confirms=False, node=node)
        for number in range(30):
            env.publish(f"{node}/{number}", node=node)
    assert len(env.sent()) == 2 * BURST
    env.harness.advance(1.0)
    assert len(env.sent()) == 20
    assert env.waiting() == env.waiting("n2") == 0


def test_a_message_of_ones_own_that_waited_for_a_genuine_node_is_a_dead_letter_and_said(
    env: Env, caplog: pytest.LogCaptureFixture
) -> None:
    env.harness.publish(CustomMessage(node="n1", type="example.Order", content="{}"))
    env.publish("away")
    env.opened(confirms=False)
    assert env.sent() == ["away"]
    (letter,) = [each.message for each in env.harness.dead_letters]
    assert isinstance(letter, MessageLost) and "genuine edgecore" in letter.reason
    assert "1 messages for node n1 (from outside) will not arrive: node n1 is a genuine edgecore" in caplog.text
    assert env.waiting() == 0


def test_what_waits_too_long_is_a_dead_letter(env: Env, caplog: pytest.LogCaptureFixture) -> None:
    env.publish("soon", expires=60.0)
    env.publish("later")
    env.harness.advance(70.0)
    assert env.lost() == [("soon", "it has expired")]
    assert "1 messages for node n1 (from outside) will not arrive: it has expired" in caplog.text
    assert env.waiting() == 1
    env.harness.advance(3600.0)
    assert env.waiting() == 0


def test_the_dead_letter_of_what_has_expired_names_its_sender_even_after_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Router(Module):
        name = "router"
        group = "built in"

        @on
        def on_topic(self, topic: str) -> None:
            self.publish(BusPublish(node="n1", topic=topic, payload="x", expires=60.0))

    before = Env(tmp_path)
    before.harness.system.add(Router.spec())
    before.harness.tell("router", "t")
    before.harness.stop()
    before.store.close()
    after = Env(tmp_path)
    with closing(after.store):
        after.harness.advance(70.0)
        (letter,) = [each.message for each in after.harness.dead_letters]
        assert isinstance(letter, MessageLost) and letter.sender == "router"
        assert "1 messages for node n1 (from router) will not arrive: it has expired" in caplog.text
        after.harness.stop()


def test_what_waits_is_bounded_for_each_node(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_outbox, "MAX_MESSAGES", 3)
    env.register("n2")
    env.harness.run()
    for number in range(5):
        env.publish(str(number))
    assert env.waiting() == 3
    assert ["3 messages" in letter.error for letter in env.harness.dead_letters] == [True, True]
    env.publish("other", node="n2")
    assert env.waiting("n2") == 1
    env.opened()
    env.confirm(*[each.message for each in env.hub.take()])
    env.publish("again")
    assert env.waiting() == 1


def test_the_bound_counts_bytes_too(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_outbox, "MAX_BYTES", 1_000)
    for _ in range(10):
        env.publish("x" * 100)
    assert 0 < env.waiting() < 10


def test_a_node_that_is_deleted_gets_nothing_any_more(env: Env) -> None:
    env.publish("a")
    env.cluster.delete(NODE_KIND, "", "n1")
    env.harness.run()
    assert env.lost() == [("a", "its Node was deleted")]
    env.publish("b")
    assert "no node is called 'n1'" in env.harness.dead_letters[-1].error


def test_what_waits_for_a_node_that_went_while_the_cloud_was_down_is_a_dead_letter(tmp_path: Path) -> None:
    before = Env(tmp_path)
    before.publish("a")
    before.harness.stop()
    before.store.close()
    after = Env(tmp_path, "another")
    assert after.lost() == [("a", "there is no Node of this name")]
    after.harness.stop()
    after.store.close()


def test_a_crash_loses_neither_what_waits_nor_who_is_connected(env: Env) -> None:
    env.opened()
    env.harness.ref(constants.NODEOUTBOX).tell(BusPublish(node="n1", topic="a", payload="x"))
    env.harness.crash(constants.NODEOUTBOX)
    env.harness.advance(1.0)
    env.publish("b")
    assert sorted(env.sent()) == ["a", "b"]


def test_a_file_that_refuses_is_an_error_to_the_sender_and_nothing_else(
    env: Env, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(rows: Any) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(env.store, "add", refuse)
    future = env.harness.ref(constants.NODEOUTBOX).ask(BusPublish(node="n1", topic="a", payload="x"))
    env.harness.run()
    with pytest.raises(AnswerLost, match="the disk is full"):
        future.get()
    assert env.lost() == [("a", "the disk is full")]
    assert "1 messages for nodes are lost: the disk is full" in caplog.text
    monkeypatch.undo()
    env.publish("b")
    assert env.waiting() == 1


def test_rows_that_can_not_be_removed_end_nobody(env: Env, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(rows: Any) -> None:
        raise StoreError("the disk is full")

    env.publish("a", expires=1.0)
    monkeypatch.setattr(env.store, "remove", refuse)
    env.harness.advance(30.0)
    assert env.harness.crashes == []
    monkeypatch.undo()
    env.harness.advance(10.0)
    assert env.lost() == [("a", "it has expired")]


def test_a_node_that_another_replica_has_is_named_in_the_log(env: Env, caplog: pytest.LogCaptureFixture) -> None:
    env.register("n2", **{constants.CLOUDCORE_ANNOTATION: "10.0.0.2"})
    env.harness.run()
    for _ in range(3):
        env.publish("a", node="n2")
    assert caplog.text.count("node n2 was last connected to the cloud at 10.0.0.2") == 1
    assert env.waiting("n2") == 3


def test_a_message_that_was_published_again_waits_once_and_counts_once(
    env: Env, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_outbox, "MAX_MESSAGES", 3)
    message = env.publish("a")
    for _ in range(5):
        env.harness.publish(message)
    assert env.waiting() == 1
    env.opened()
    assert env.sent() == ["a"]
    env.confirm(message)
    for number in range(3):
        env.publish(str(number))
    assert env.waiting() == 3


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"no database" * 1_000)
    with pytest.raises(StoreError, match=r"outbox\.db is damaged or no database"):
        NodeOutboxDb(path)


def test_a_file_of_the_version_without_senders_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE messages (number INTEGER PRIMARY KEY AUTOINCREMENT, node TEXT NOT NULL, msg_id TEXT NOT NULL,"
            " frame TEXT NOT NULL, expires_at REAL NOT NULL, UNIQUE (node, msg_id))"
        )
        connection.execute("INSERT INTO messages (node, msg_id, frame, expires_at) VALUES ('n1', '1', 'a', 10.0)")
        connection.commit()
    for _ in range(2):
        with closing(NodeOutboxDb(path)) as store:
            assert store.of_node("n1") == [NodeOutboxRow("n1", "1", "a", 10.0, number=1)]
    with closing(NodeOutboxDb(path)) as store:
        store.add([NodeOutboxRow("n1", "2", "b", 10.0, sender="router")])
        assert [row.sender for row in store.of_node("n1")] == ["", "router"]


def test_a_file_of_a_newer_version_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"outbox\.db was written by a newer version of this program"):
        NodeOutboxDb(path)


def test_the_file_holds_what_was_added_and_counts_it(tmp_path: Path) -> None:
    with closing(NodeOutboxDb(tmp_path / "outbox.db")) as store:
        rows = [NodeOutboxRow("n1", str(number), "ü" * number, 10.0 * number) for number in range(1, 4)]
        store.add(rows)
        assert [row.frame for row in store.of_node("n1", after=1, limit=1)] == ["üü"]
        assert store.backlogs() == {"n1": NodeBacklog(3, 12)}
        assert [row.msg_id for row in store.expired(20.0, 5)] == ["1", "2"]
        store.remove(store.expired(20.0, 5))
        assert [row.msg_id for row in store.of_node("n1")] == ["3"]
    with closing(sqlite3.connect(tmp_path / "outbox.db")) as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (1,)
