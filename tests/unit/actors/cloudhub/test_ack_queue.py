"""What one node has to acknowledge: order, repetition, latest wins."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, RuleBasedStateMachine, consumes, invariant, multiple, rule

from kubeedge_actors.actors.cloudhub.ack_queue import MAX_SENDS, RESEND_SECONDS, AckQueue
from kubeedge_actors.wire.messages import LinkMessage, ObjectPushed, Response
from tests.support.env.cloudhub import pushed
from tests.support.plugins.hypothesis_profile import examples


def answer(uid: str, version: int) -> Response:
    return Response(
        parent_msg_id="q",
        resource=f"default/configmap/{uid}",
        resource_version=str(version),
        content={"metadata": {"uid": uid}},
    )


def test_one_object_is_under_way_at_a_time_and_the_next_follows_its_acknowledgement() -> None:
    outbox, first, second = AckQueue(), pushed("a"), pushed("b")
    assert outbox.enqueue(first) and outbox.enqueue(second)
    assert outbox.due(0.0) == [first]
    assert outbox.due(1.0) == []
    assert outbox.on_ack(first.msg_id) is first
    assert outbox.due(1.0) == [second]


def test_a_message_without_acknowledgement_is_sent_five_times_and_then_the_next_object_has_its_turn() -> None:
    outbox, node, pod = AckQueue(), pushed("n", type="node"), pushed("p")
    outbox.enqueue(node)
    outbox.enqueue(pod)
    times = [(now, message) for now in range(80) for message in outbox.due(float(now))]
    assert [now for now, message in times if message is node] == [0, 5, 10, 15, 20, 50, 55, 60, 65, 70]
    assert [now for now, message in times if message is pod] == [25, 30, 35, 40, 45, 75]


@pytest.mark.parametrize("first", [pushed("a"), answer("a", 1)], ids=["push", "answer"])
def test_a_late_acknowledgement_counts(first: LinkMessage) -> None:
    outbox, second = AckQueue(), pushed("b")
    outbox.enqueue(first)
    outbox.enqueue(second)
    for now in range(30):
        outbox.due(float(now))
    assert outbox.on_ack(first.msg_id) is first  # its turn is over, the second is under way
    assert outbox.on_ack(second.msg_id) is second
    assert len(outbox) == 0 and outbox.due(100.0) == []


def test_an_unknown_acknowledgement_is_passed_over() -> None:
    outbox = AckQueue()
    assert outbox.on_ack("nobody") is None
    assert outbox.on_ack("") is None


def test_of_one_object_only_the_newest_version_waits() -> None:
    outbox, first = AckQueue(), pushed("x")
    outbox.enqueue(first)
    outbox.due(0.0)
    old, new = pushed("a", 5), pushed("a", 10)
    assert outbox.enqueue(old) and outbox.enqueue(new)
    assert not outbox.enqueue(pushed("a", 9))
    outbox.on_ack(first.msg_id)
    assert outbox.due(0.0) == [new]


def test_versions_are_numbers_not_text() -> None:
    outbox = AckQueue()
    outbox.enqueue(pushed("x", 9))
    assert outbox.enqueue(pushed("x", 10))


def test_a_newer_version_is_sent_instead_of_repeating_an_older_one() -> None:
    outbox, old, new = AckQueue(), pushed("a", 1), pushed("a", 2)
    outbox.enqueue(old)
    outbox.due(0.0)
    outbox.enqueue(new)
    assert outbox.due(RESEND_SECONDS) == [new]
    assert outbox.on_ack(old.msg_id) is None
    assert outbox.on_ack(new.msg_id) is new


def test_nothing_overtakes_a_deletion() -> None:
    outbox, gone = AckQueue(), pushed("a", "", "delete")
    outbox.enqueue(pushed("a", 3))
    assert outbox.enqueue(gone)
    assert not outbox.enqueue(pushed("a", 4))
    assert not outbox.enqueue(pushed("a", "", "delete"))
    assert outbox.due(0.0) == [gone]


def test_an_object_that_is_being_deleted_needs_no_version_and_another_one_does() -> None:
    outbox = AckQueue()
    assert not outbox.enqueue(pushed("a", ""))
    dying = pushed("a", "")
    dying.object["metadata"]["deletionTimestamp"] = "2026-11-22T19:00:00Z"
    assert outbox.enqueue(dying)


def test_what_was_acknowledged_is_old_news() -> None:
    outbox, message = AckQueue(), pushed("a", 7)
    outbox.enqueue(message)
    outbox.due(0.0)
    outbox.on_ack(message.msg_id)
    assert not outbox.enqueue(pushed("a", 7)) and outbox.is_acked(pushed("a", 7)) and outbox.is_acked(pushed("a", 6))
    assert not outbox.is_acked(pushed("a", 8)) and outbox.enqueue(pushed("a", 8))


def test_an_object_may_come_again_after_its_deletion() -> None:
    outbox = AckQueue()
    for message in (pushed("a", 7), pushed("a", 8, "delete"), pushed("a", 3)):
        assert outbox.enqueue(message) and outbox.due(0.0) == [message]
        outbox.on_ack(message.msg_id)


def named(uid: str, version: int | str, operation: str = "update", type: str = "configmap") -> ObjectPushed:
    """A push of whatever object is called `settings` at the time."""
    return pushed(uid, version, operation, type=type, name="settings")


def test_a_successor_waits_until_the_deletion_of_its_predecessor_is_acknowledged() -> None:
    outbox, gone, new = AckQueue(window=16), named("a", 3, "delete"), named("b", 4, "insert")
    other = pushed("c", 5)
    assert all(map(outbox.enqueue, (gone, new, other)))
    assert outbox.due(0.0) == [gone, other]  # others do not wait
    assert outbox.due(RESEND_SECONDS) == [gone, other]
    assert outbox.on_ack(gone.msg_id) is gone
    assert outbox.due(RESEND_SECONDS + 0.1) == [new]
    assert outbox.due(2 * RESEND_SECONDS + 0.2) == [other, new]  # the deletion never comes again


def test_a_push_that_is_never_acknowledged_is_given_up_for_its_successor() -> None:
    outbox, gone, new = AckQueue(window=16), named("a", 3, "delete"), named("b", 4, "insert")
    outbox.enqueue(gone)
    outbox.enqueue(new)
    sent = [message for turn in range(MAX_SENDS + 1) for message in outbox.due(turn * RESEND_SECONDS)]
    assert sent == [gone] * MAX_SENDS + [new]
    assert outbox.on_ack(gone.msg_id) is None
    assert outbox.on_ack(new.msg_id) is new
    assert len(outbox) == 0


def test_a_deletion_that_comes_after_its_successor_is_old_news_unless_an_edge_looks_at_the_uid() -> None:
    outbox, new = AckQueue(window=16), named("b", 4, "insert")
    outbox.enqueue(new)
    assert not outbox.enqueue(named("a", "", "delete"))
    assert not outbox.is_acked(named("a", "", "delete"))  # the successor has not arrived yet
    outbox.due(0.0)
    assert not outbox.enqueue(named("a", "", "delete"))
    outbox.on_ack(new.msg_id)
    assert not outbox.enqueue(named("a", "", "delete"))
    assert outbox.is_acked(named("a", "", "delete")) and not outbox.is_acked(named("b", "", "delete"))
    gone = named("b", "", "delete")
    assert outbox.enqueue(gone) and outbox.due(0.0) == [gone]
    outbox.on_ack(gone.msg_id)
    assert outbox.enqueue(named("a", "", "delete"))  # nobody is in its place any more
    pods = AckQueue(window=16)
    pods.enqueue(named("b", 4, "insert", "pod"))
    assert pods.enqueue(named("a", "", "delete", "pod"))


def test_answers_are_never_replaced_and_come_before_the_push_of_their_object() -> None:
    outbox, first, push, second = AckQueue(), answer("a", 1), pushed("a", 2), answer("a", 1)
    for message in (first, push, second):
        assert outbox.enqueue(message)
    sent = []
    while due := outbox.due(0.0):
        sent += due
        outbox.on_ack(due[0].msg_id)
    assert sent == [first, second, push]


def test_an_answer_without_acknowledgement_goes_to_the_end_of_the_line() -> None:
    outbox, one, other = AckQueue(), answer("a", 1), pushed("b")
    outbox.enqueue(one)
    outbox.enqueue(other)
    sent = [message for now in range(60) for message in outbox.due(float(now))]
    assert sent == [one] * MAX_SENDS + [other] * MAX_SENDS + [one] * 2


def test_a_window_lets_several_objects_be_under_way_but_never_two_of_one() -> None:
    outbox = AckQueue(window=3)
    messages = [pushed("a", 1), pushed("a", 2), pushed("b"), pushed("c"), pushed("d")]
    outbox.enqueue(messages[0])
    assert outbox.due(0.0) == messages[:1]
    for message in messages[1:]:
        outbox.enqueue(message)
    assert outbox.due(0.0) == messages[2:4]


class Delivery(RuleBasedStateMachine):
    """Pushes, acknowledgements, time and broken sessions in any order.

    What a node has never goes backwards, and in the end it is the truth.
    """

    sent_ids: Bundle[str] = Bundle("sent_ids")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.window = 1
        self.version = 0
        self.truth: dict[str, int | None] = {}
        self.latest: dict[str, ObjectPushed] = {}
        self.acknowledged: dict[str, int | None] = {}
        self.outbox = AckQueue(self.window)
        self.known: set[str] = set()  # objects that this session has heard of

    def push(self, uid: str, operation: str) -> None:
        self.version += 1
        message = pushed(uid, self.version, operation)
        self.truth[uid] = None if operation == "delete" else self.version
        self.latest[uid] = message
        self.known.add(uid)
        assert self.outbox.enqueue(message)

    @rule(target=sent_ids, uid=st.sampled_from("abcd"), gone=st.booleans())
    def change(self, uid: str, gone: bool) -> MultipleResults[str]:
        if self.truth.get(uid, 0) is None:
            return multiple()  # a uid does not come back
        self.push(uid, "delete" if gone else "update")
        return self.send()

    @rule(uid=st.sampled_from("abcd"))
    def say_again(self, uid: str) -> None:
        """A controller repeats itself: the same version, another message."""
        version = self.truth.get(uid)
        if version is not None and uid in self.known:
            assert not self.outbox.enqueue(pushed(uid, version))

    @rule(target=sent_ids, seconds=st.sampled_from([0.5, 5.0, 26.0]))
    def wait(self, seconds: float) -> MultipleResults[str]:
        self.now += seconds
        return self.send()

    @rule(target=sent_ids, msg_id=consumes(sent_ids))
    def acknowledge(self, msg_id: str) -> MultipleResults[str]:
        released = self.outbox.on_ack(msg_id)
        if released is not None:
            self.note(released)
        return self.send()

    @rule(target=sent_ids, window=st.sampled_from([1, 3]))
    def reconnect(self, window: int) -> MultipleResults[str]:
        """The session is lost with all it held; what the node misses is pushed again, as SyncController does."""
        self.outbox, self.window = AckQueue(window), window
        self.known.clear()
        for uid, message in self.latest.items():
            if self.acknowledged.get(uid, 0) != self.truth[uid]:
                assert self.outbox.enqueue(message)
                self.known.add(uid)
        return self.send()

    def send(self) -> MultipleResults[str]:
        due = self.outbox.due(self.now)
        for message in due:
            assert isinstance(message, ObjectPushed)
            known = self.acknowledged.get(message.name, 0)
            assert known is not None or message.operation == "delete"
            assert known is None or message.operation == "delete" or int(message.resource_version) > known
        return multiple(*(message.msg_id for message in due))

    def note(self, released: LinkMessage) -> None:
        assert isinstance(released, ObjectPushed)
        self.acknowledged[released.name] = None if released.operation == "delete" else int(released.resource_version)

    @invariant()
    def at_most_the_window_is_under_way(self) -> None:
        assert len(self.outbox._in_flight) <= self.window

    @invariant()
    def what_is_not_acknowledged_is_held(self) -> None:
        held = {message.name for message in self.outbox.unacknowledged() if isinstance(message, ObjectPushed)}
        missing = {uid for uid, version in self.truth.items() if self.acknowledged.get(uid, 0) != version}
        assert missing <= held
        assert len(self.outbox) == sum(1 for _ in self.outbox.unacknowledged())

    def teardown(self) -> None:
        """Every acknowledgement arrives from now on: soon all is delivered."""
        for _ in range(200):
            self.now += RESEND_SECONDS
            for message in self.outbox.due(self.now):
                released = self.outbox.on_ack(message.msg_id)
                assert released is message
                self.note(released)
        assert self.acknowledged == self.truth
        assert len(self.outbox) == 0


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=examples(60), stateful_step_count=40)


@settings(max_examples=examples(200))
@given(
    st.sampled_from([1, 16]), st.lists(st.sampled_from(["update", "delete", "create", "wait", "answer"]), max_size=40)
)
def test_an_edge_that_knows_objects_by_name_only_ends_with_the_right_one(window: int, steps: list[str]) -> None:
    outbox, now = AckQueue(window), 0.0
    alive: str | None = None
    kept: str | None = None  # at the edge, which does what it is told, however often, and never looks at a uid
    told: list[ObjectPushed] = []

    def send() -> None:
        nonlocal kept
        for message in outbox.due(now):
            assert isinstance(message, ObjectPushed)
            kept = None if message.operation == "delete" else str(message.object["metadata"]["uid"])
            told.append(message)

    for version, step in enumerate(steps, 1):
        if step == "wait":
            now += RESEND_SECONDS
        elif step == "answer" and told:
            outbox.on_ack(told.pop(0).msg_id)
        elif step == "create" and alive is None:
            alive = f"uid-{version}"
            outbox.enqueue(named(alive, version, "insert"))
        elif step == "update" and alive is not None:
            outbox.enqueue(named(alive, version))
        elif step == "delete" and alive is not None:
            outbox.enqueue(named(alive, version, "delete"))
            alive = None
        send()
    for _ in range(40):
        now += RESEND_SECONDS
        send()
        for message in told:
            outbox.on_ack(message.msg_id)
        told.clear()
    assert kept == alive
    assert len(outbox) == 0
