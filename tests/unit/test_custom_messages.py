"""Messages of one's own over the link: what sends them refuses in a sentence, what takes them knows their class."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubeedge_actors.errors import AnswerLost, UsageError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import Ref
from kubeedge_actors.testing import LinkProbe, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.custom_messages import MAX_BYTES, to_custom, wire_name
from kubeedge_actors.wire.messages import (
    CustomMessage,
    Message,
    MessageNotRead,
    OutboxAcknowledged,
    Response,
    SessionOpened,
)
from tests.support.env.cloudhub import OURS, CloudHubEnv
from tests.support.env.edgehub import EdgeHubEnv, FakeCloud


class Reading(Message, frozen=True, kw_only=True):
    """What a node sends."""

    wire = "example.Reading"
    node: str = ""
    sensor: str
    values: list[float] = []
    raw: bytes = b""


class Nameless(Message, frozen=True, kw_only=True):
    """It has no name on the wire."""

    value: Any = 0


class Heir(Reading, frozen=True, kw_only=True):
    """A subclass says its own name, or has none."""


class Disguised(Message, frozen=True, kw_only=True):
    """A genuine cloudcore would patch a pod with it."""

    wire = "default/podpatch/p1"


class AnyValue(Message, frozen=True, kw_only=True):
    """Whatever."""

    wire = "example.AnyValue"
    value: Any = 0


class Sender(Module):
    """Sends what it is told to."""

    name = "sender"

    @on
    def on_up(self, message: list) -> None:  # type: ignore[type-arg]
        """Up."""
        self.up(message[0])

    @on
    def on_down(self, message: tuple) -> None:  # type: ignore[type-arg]
        """Down."""
        self.down(*message)


class Taker(Module):
    """Takes readings."""

    name = "taker"

    def __init__(self) -> None:
        self.taken: list[Reading] = []

    @on
    def on_reading(self, message: Reading) -> None:
        """Keep it."""
        self.taken.append(message)


def failure(side: str, message: object) -> str:
    """The error of the sender."""
    with inline(Sender, contain=True) as harness:
        LinkProbe(harness, side)
        harness.tell("sender", message)
        return harness.crashes[0].error if harness.crashes else ""


@pytest.mark.parametrize(
    ("side", "message", "sentence"),
    [
        ("edge", [Nameless()], 'UsageError: Nameless has no name on the wire: it has to be a subclass of Message with `wire = "example.Nameless"`'),
        ("edge", [Heir(sensor="t")], "UsageError: Heir has no name on the wire"),
        ("edge", [Disguised()], "UsageError: Disguised can not be sent over the link: its name 'default/podpatch/p1' has a slash"),
        ("cloud", ("n1", Disguised()), "has a slash"),
        ("edge", ["text"], "UsageError: str has no name on the wire"),
        ("cloud", [Reading(sensor="t")], "UsageError: up() is for the modules of a node: a module of the cloud says down(node, message)"),
        ("edge", ("n1", Reading(sensor="t")), "UsageError: down() is for the modules of the cloud: a module of a node says up(message)"),
        ("cloud", (None, Reading(sensor="t")), "UsageError: a node is given by its name, not None"),
        ("edge", [AnyValue(value=object())], "UsageError: AnyValue can not be sent over the link: "),
        ("edge", [AnyValue(value="x" * MAX_BYTES)], f"{MAX_BYTES} at most"),
        ("edge", [msgspec.structs.replace(Reading(sensor="t"), sensor=5)], "TypeError: Reading.sensor: expected `str`, got `int`"),
    ],
)  # fmt: skip
def test_a_wrong_use_is_one_sentence_at_the_sender(side: str, message: object, sentence: str) -> None:
    assert sentence in failure(side, message)


def test_a_right_use_is_none() -> None:
    assert failure("edge", [Reading(sensor="t")]) == ""
    assert failure("cloud", ("n1", Reading(sensor="t"))) == ""


def test_only_a_class_that_says_its_name_has_one() -> None:
    assert wire_name(Reading) == "example.Reading"
    assert wire_name(Heir) == wire_name(Nameless) == wire_name(Message) == wire_name(int) == ""


def test_a_probe_shows_what_was_sent_as_the_other_side_gets_it() -> None:
    with inline(Sender) as harness:
        link = LinkProbe(harness, "cloud")
        harness.tell("sender", ("n1", Reading(sensor="t", values=[1.5], raw=b"\x00")))
        assert link.sent(Reading) == [("n1", Reading(sensor="t", values=[1.5], raw=b"\x00"))]
        assert link.sent(AnyValue) == []


def test_a_class_that_comes_over_the_link_is_emitted_by_nobody_and_that_is_no_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with inline(Taker()) as harness:
        harness.run()
    assert "nobody emits" not in caplog.text


class CloudSide(CloudHubEnv):
    """A CloudHub with a module that takes readings."""

    def __init__(self) -> None:
        super().__init__(accepting=self.accepting, types=lambda: (int, Reading))
        self.taker = Taker()
        self.harness._specs.append(Taker.spec(lambda: self.taker))
        self.harness.probe(SessionOpened)

    def accepting(self, kind: type) -> tuple[Ref, ...]:
        """Who takes it."""
        return (self.harness.ref("taker"),) if kind is Reading else ()

    def acked(self, peer: Any) -> set[str]:
        """The ids that this node was told are handled."""
        self.harness.advance(1.0)
        return {msg_id for each in self.sent_to(peer) if isinstance(each, OutboxAcknowledged) for msg_id in each.ids}


def test_what_a_node_sends_arrives_typed_with_its_node_once_and_is_acknowledged() -> None:
    hub = CloudSide()
    peer = hub.join("n1", **OURS)
    message = to_custom(Reading(sensor="t", values=[1], raw=b"\xff", node="forged"))
    hub.hear(peer, message, message)
    assert hub.taker.taken == [Reading(node="n1", sensor="t", values=[1.0], raw=b"\xff")]
    assert hub.acked(peer) == {message.msg_id}
    hub.harness.stop()


@pytest.mark.parametrize(
    ("type", "content", "reason"),
    [
        ("example.Reading", '{"sensor":5}', "Reading: Expected `str`, got `int` - at `$.sensor`"),
        ("example.Reading", "[1]", "Reading: Expected `object`, got `array`"),
        ("example.Unheard", "{}", "no module here accepts it"),
    ],
)
def test_what_can_not_be_read_is_a_dead_letter_with_type_and_reason_and_the_next_one_arrives(
    caplog: pytest.LogCaptureFixture, type: str, content: str, reason: str
) -> None:
    hub = CloudSide()
    peer = hub.join("n1", **OURS)
    wrong = CustomMessage(type=type, content=content)
    hub.hear(peer, wrong, to_custom(Reading(sensor="next")))
    (letter,) = [each.message for each in hub.harness.dead_letters]
    assert letter == MessageNotRead(node="n1", type=type, reason=reason, content=content)
    assert f"a message {type!r} from n1 is not taken: {reason}" in caplog.text
    assert [each.sensor for each in hub.taker.taken] == ["next"]
    assert wrong.msg_id in hub.acked(peer)
    hub.harness.stop()


def test_a_flood_of_what_nobody_takes_is_bounded() -> None:
    hub = CloudSide()
    peer = hub.join("n1", **OURS)
    hub.hear(peer, *[CustomMessage(type="x", content=str(number)) for number in range(700)])
    assert len(hub.harness.dead_letters) == 600
    hub.harness.stop()


def test_a_node_gets_what_the_cloud_sends_typed_and_confirms_it() -> None:
    taker = Taker()

    def accepting(kind: type) -> tuple[Ref, ...]:
        return (env.harness.ref("taker"),) if kind is Reading else ()

    env: EdgeHubEnv = EdgeHubEnv(
        cloud=FakeCloud(headers={constants.HEADER_CONFIRM: "1"}), accepting=accepting, types=lambda: (Reading,)
    )
    env.harness._specs.append(Taker.spec(lambda: taker))
    env.start()
    message = to_custom(Reading(sensor="t", node="forged"))
    for _ in range(2):
        env.say(message)
    assert taker.taken == [Reading(sensor="t")]
    assert {each.parent_msg_id for each in env.cloud.of(Response)} == {message.msg_id}


def test_what_a_module_sends_up_waits_in_the_outbox_until_the_cloud_has_it() -> None:
    env = EdgeHubEnv(cloud=FakeCloud(ours=True))
    message = to_custom(Reading(sensor="t"))
    assert env.harness.ask(constants.EDGEHUB, message) is None
    assert env.waiting() == [message.msg_id]
    env.start()
    (sent,) = env.cloud.of(CustomMessage)
    assert (sent.type, sent.content) == (message.type, message.content)
    env.cloud.acknowledge(message)
    assert env.waiting() == []


def test_a_flood_of_them_leaves_half_of_the_outbox_to_the_node_itself() -> None:
    env = EdgeHubEnv(capacity=10)
    futures = [env.harness.ref(constants.EDGEHUB).ask(to_custom(Reading(sensor=str(number)))) for number in range(8)]
    env.harness.run()
    refused = [future for future in futures if _fails(future)]
    assert 1 <= len(refused) <= 8
    assert len(env.waiting()) <= 5


def _fails(future: Any) -> bool:
    try:
        future.get()
    except AnswerLost as error:
        assert "the outbox takes no more" in str(error)
        return True
    return False


def test_what_is_no_json_never_becomes_a_frame() -> None:
    env = EdgeHubEnv(cloud=FakeCloud(ours=True)).start()
    env.tell(CustomMessage(type="x", content='{"a": '))
    assert env.cloud.of(CustomMessage) == []
    assert env.waiting() == []


def test_a_message_without_a_name_is_refused_by_the_function_too() -> None:
    with pytest.raises(UsageError, match="int has no name on the wire"):
        to_custom(5)
