"""What clients publish finds the module that wants it, what modules say is published, and subscriptions last."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.actors.eventbus import (
    CHECK_SECONDS,
    FIXED_FILTERS,
    FLUSH_TIMEOUT,
    PERSISTING_MODULES,
    EventBus,
    EventBusState,
    UnroutableMqtt,
)
from kubeedge_actors.drivers.broker.base import InboundMessage
from kubeedge_actors.drivers.broker.fake import FakeBroker
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.errors import BrokerError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ReplyTo
from kubeedge_actors.testing import inline
from kubeedge_actors.wire.messages import (
    BusPublish,
    BusSubscribe,
    BusUnsubscribe,
    BusUploaded,
    DeviceStateUpdate,
    FlushRequest,
    MembershipGet,
    Message,
    MqttPublish,
    MqttReceived,
    MqttSubscribe,
    MqttUnsubscribe,
    TwinCloudUpdated,
    TwinGet,
    TwinUpdate,
)

NODE = "edge-1"


class Bus:
    """An EventBus on one broker or several; `twin`, `hub` and `modules` are told what is for them."""

    def __init__(
        self,
        *brokers: FakeBroker,
        store: FakeStore | None = None,
        contain: bool = False,
        keepers: tuple[type[Module], ...] = (),
    ) -> None:
        self.brokers = brokers or (FakeBroker(),)
        self.store = store or FakeStore()
        state = EventBusState()
        spec = EventBus.spec(lambda: EventBus(NODE, self.brokers, self.store.subscribed_topics, state))
        self.harness = inline(spec, *keepers, contain=contain)
        self.twin = self.harness.probe(TwinUpdate, TwinGet, TwinCloudUpdated, DeviceStateUpdate, MembershipGet)
        self.hub = self.harness.probe(*(() if keepers else ("edgehub",)))
        self.modules = self.harness.probe(MqttReceived)
        self.harness.run()
        self.client = self.brokers[0].client()

    def arrive(self, topic: str, payload: bytes = b"x", **more: Any) -> None:
        """A client publishes."""
        self.client.publish(topic, payload, **more)
        self.harness.run()

    def uploads(self) -> list[tuple[str, Any]]:
        """What went to the cloud since the last look."""
        return [(message.resource, message.content) for message in self.hub.take() if isinstance(message, BusUploaded)]


@pytest.mark.parametrize(
    ("topic", "message"),
    [
        ("device/default/lamp/twin/update", TwinUpdate(device="default/lamp", payload=b"x")),
        ("device/lamp/twin/update", TwinUpdate(device="lamp", payload=b"x")),
        ("device/default/lamp/twin/get", TwinGet(device="default/lamp", payload=b"x")),
        ("device/default/lamp/twin/cloud_updated", TwinCloudUpdated(device="default/lamp", payload=b"x")),
        ("device/lamp/twin/cloud_updated", TwinCloudUpdated(device="lamp", payload=b"x")),
        ("device/default/lamp/state/update", DeviceStateUpdate(device="default/lamp", payload=b"x")),
        ("device/lamp/state/update", DeviceStateUpdate(device="lamp", payload=b"x")),
        (f"node/{NODE}/membership/get", MembershipGet(payload=b"x")),
    ],
)
def test_what_is_for_devices_is_typed_and_stays_here(topic: str, message: object) -> None:
    bus = Bus()
    bus.arrive(f"$hw/events/{topic}")
    assert list(bus.twin) == [message]
    assert (list(bus.hub), list(bus.modules)) == ([], [])


@pytest.mark.parametrize("topic", ["$hw/events/upload/a/b", "SYS/dis/upload_records", "shop/user/orders", "x/user"])
def test_what_is_to_be_uploaded_goes_to_the_cloud_under_its_own_topic(topic: str) -> None:
    bus = Bus()
    bus.arrive(topic, "grüße".encode())
    assert bus.uploads() == [(topic, "grüße")]


def test_bytes_that_are_no_text_are_uploaded_as_go_would_write_them() -> None:
    bus = Bus()
    bus.arrive("a/user/b", b"a\xffb")
    assert bus.uploads() == [("a/user/b", "a�b")]


@pytest.mark.parametrize(
    "topic",
    [
        "a/b",
        "$SYS/x",
        "$ke/events/device/lamp/data/update",
        "$hw/other",
        "a/users/b",
        "$hw/events/device/d/n/twin/get/result",
    ],
)
def test_what_nobody_asked_for_goes_nowhere(topic: str) -> None:
    bus = Bus()
    bus.arrive(topic)
    assert (list(bus.twin), list(bus.hub), list(bus.modules), bus.harness.dead_letters) == ([], [], [], [])


@pytest.mark.parametrize("topic", ["$hw/events/device/d/n/twin/unknown", "$hw/events/node/other/membership/get"])
def test_a_device_topic_that_means_nothing_is_a_dead_letter(topic: str) -> None:
    bus = Bus()
    bus.arrive(topic)
    (letter,) = bus.harness.dead_letters
    assert isinstance(letter.message, UnroutableMqtt)
    assert letter.message.message == InboundMessage(topic, b"x")


def test_many_messages_are_typed_in_order() -> None:
    bus = Bus()
    for n in range(600):
        bus.client.publish("$hw/events/device/default/lamp/twin/update", str(n).encode())
    bus.harness.run()
    assert [int(message.payload) for message in bus.twin] == list(range(600))


def test_what_does_not_fit_into_the_mailbox_is_held_back_and_not_lost() -> None:
    bus = Bus()
    for n in range(2_500):
        bus.client.publish("$hw/events/device/default/lamp/twin/update", str(n).encode(), 1)
    for _ in range(5):
        bus.harness.run()
        bus.brokers[0].offer_again()
    bus.harness.run()
    assert [int(message.payload) for message in bus.twin] == list(range(2_500))


def test_what_modules_say_is_published_on_every_broker() -> None:
    bus = Bus(FakeBroker(), FakeBroker())
    bus.harness.publish(MqttPublish(topic="t", payload=b"1", qos=1, retain=True))
    bus.harness.publish(MqttPublish(topic="t", payload=b"2"))
    for broker in bus.brokers:
        assert broker.published == [InboundMessage("t", b"1", 1, True), InboundMessage("t", b"2")]


def test_what_cannot_be_published_is_a_dead_letter_and_no_crash() -> None:
    bus = Bus()
    bus.harness.publish(MqttPublish(topic="a/+", payload=b"1"))
    bus.brokers[0].failure = BrokerError("the embedded broker does not keep up")
    bus.harness.publish(MqttPublish(topic="a", payload=b"2"))
    assert bus.harness.crashes == []
    reasons = [letter.message.reason for letter in bus.harness.dead_letters]  # type: ignore[attr-defined]
    assert reasons == ["'a/+' is not an MQTT topic", "the embedded broker does not keep up"]


def test_the_cloud_publishes_text_and_nothing_else() -> None:
    bus = Bus()
    bus.harness.publish(BusPublish(topic="down", payload="body text"))
    bus.harness.publish(BusPublish(topic="down", payload={"a": 1}))
    assert bus.brokers[0].published == [InboundMessage("down", b"body text")]
    (letter,) = bus.harness.dead_letters
    assert letter.message.reason == "the payload is not text"  # type: ignore[attr-defined]


def test_a_topic_that_the_cloud_wants_is_uploaded_until_it_does_not_over_restarts_too() -> None:
    bus = Bus()
    bus.harness.publish(BusSubscribe(topic="default/temp"))
    bus.arrive("default/temp", b"21")
    again = Bus(store=bus.store)
    again.arrive("default/temp", b"22")
    again.harness.publish(BusUnsubscribe(topic="default/temp"))
    again.arrive("default/temp", b"23")
    assert bus.uploads() == [("default/temp", "21")]
    assert again.uploads() == [("default/temp", "22")]
    assert Bus(store=bus.store).store.subscribed_topics.all() == []


def test_a_topic_wanted_twice_over_is_uploaded_once() -> None:
    bus = Bus()
    for topic in ("a/user/b", "a/#", "+/user/b"):
        bus.harness.publish(BusSubscribe(topic=topic))
    bus.arrive("a/user/b", b"1")
    assert bus.uploads() == [("a/user/b", "1")]


def test_a_filter_that_is_none_is_a_dead_letter_and_not_stored() -> None:
    bus = Bus()
    bus.harness.publish(BusSubscribe(topic="a/#/b"))
    bus.harness.publish(MqttSubscribe(filter=""))
    assert len(bus.harness.dead_letters) == 2
    assert bus.store.subscribed_topics.all() == []


def test_modules_get_what_they_subscribed_to_and_nothing_of_hw() -> None:
    bus = Bus()
    bus.harness.publish(MqttSubscribe(filter="alarms/#"))
    bus.harness.publish(MqttSubscribe(filter="#"))
    bus.arrive("alarms/fire", b"hot", qos=1, retain=True)
    bus.arrive("$hw/events/device/default/lamp/twin/get")
    assert list(bus.modules) == [MqttReceived(topic="alarms/fire", payload=b"hot", qos=1, retain=True)]
    bus.modules.take()
    bus.harness.publish(MqttUnsubscribe(filter="#"))
    bus.arrive("other")
    bus.arrive("alarms/flood")
    assert [message.topic for message in bus.modules] == ["alarms/flood"]


def test_unsubscribing_what_others_want_takes_nothing_from_them() -> None:
    bus = Bus()
    fixed = FIXED_FILTERS[0]
    bus.harness.publish(MqttSubscribe(filter="a"))
    bus.harness.publish(BusSubscribe(topic="a"))
    bus.harness.publish(MqttUnsubscribe(filter="a"))
    bus.harness.publish(MqttUnsubscribe(filter=fixed))
    bus.arrive("a")
    bus.arrive("$hw/events/upload/x")
    assert [topic for topic, _ in bus.uploads()] == ["a", "$hw/events/upload/x"]


def test_a_crash_forgets_no_subscription_and_closes_no_connection() -> None:
    bus = Bus()
    bus.harness.publish(MqttSubscribe(filter="alarms/#"))
    bus.harness.publish(BusSubscribe(topic="default/temp"))
    bus.harness.crash("eventbus")
    bus.arrive("alarms/fire")
    bus.arrive("default/temp")
    bus.harness.advance(60.0)
    assert [message.topic for message in bus.modules] == ["alarms/fire"]
    assert bus.uploads() == [("default/temp", "x")]
    assert bus.brokers[0].is_alive


def test_a_broker_that_has_ended_is_started_again() -> None:
    bus = Bus(contain=True)
    bus.brokers[0].close()
    bus.harness.advance(CHECK_SECONDS)
    assert bus.brokers[0].is_alive
    assert bus.harness.crashes == []


def test_a_broker_that_can_not_be_started_is_a_crash_for_the_supervisor() -> None:
    broker = FakeBroker()
    bus = Bus(broker, contain=True)
    broker.close()
    broker.failure = BrokerError("port 1883 can not be had")
    bus.harness.advance(CHECK_SECONDS)
    assert "port 1883" in bus.harness.crashes[0].error
    broker.failure = None
    bus.harness.advance(60.0)
    assert broker.is_alive
    bus.arrive("x/user/y")
    assert bus.uploads() == [("x/user/y", "x")]


# --- what is acknowledged is stored ----------------------------------------------------------------------------------


class Keeper:
    """An EventBus whose keepers answer when the test says so."""

    def __init__(self) -> None:
        self.replies: list[tuple[str, ReplyTo]] = []
        self.bus = Bus(contain=True, keepers=tuple(self.keeper(name) for name in PERSISTING_MODULES))

    def keeper(self, called: str) -> type[Module]:
        replies = self.replies

        class Slow(Module):
            name = called

            @on
            def on_flush_request(self, message: FlushRequest) -> None:
                replies.append((called, self.reply_later()))

            @on
            def on_bus_uploaded(self, message: BusUploaded) -> None:
                """It is."""

        return Slow

    def say(self, topic: str, *qos: int) -> int:
        """A client publishes; how much of all it said is acknowledged."""
        for message in qos:
            self.bus.arrive(topic, qos=message)
        return self.bus.client.acknowledged

    def answer(self) -> int:
        """The first question that waits is answered; how much is acknowledged then."""
        self.replies.pop(0)[1].send()
        self.bus.harness.run()
        return self.bus.client.acknowledged


UPDATE, UPLOAD = "$hw/events/device/default/lamp/twin/update", "x/user/y"


@pytest.mark.parametrize(("topic", "keeper"), [(UPDATE, "devicetwin"), (UPLOAD, "edgehub")])
def test_a_client_hears_that_it_is_stored_when_its_keeper_says_so(topic: str, keeper: str) -> None:
    bus = Keeper()
    assert bus.say(topic, 1) == 0
    assert [name for name, _ in bus.replies] == [keeper]
    assert bus.answer() == 1


def test_what_comes_while_a_question_is_open_is_asked_about_next_all_at_once() -> None:
    bus = Keeper()
    bus.say(UPDATE, 1)
    bus.say(UPDATE, 1, 2, 0)
    assert len(bus.replies) == 1
    assert bus.answer() == 1
    assert len(bus.replies) == 1
    assert bus.answer() == 3
    assert bus.replies == []


def test_of_two_keepers_the_slower_one_counts() -> None:
    bus = Keeper()
    bus.say(UPDATE, 1)
    bus.say(UPDATE, 1)
    bus.say(UPLOAD, 1)
    assert bus.answer() == 1
    assert sorted(name for name, _ in bus.replies) == ["devicetwin", "edgehub"]
    assert bus.answer() == 1
    assert bus.answer() == 3


def test_what_nobody_keeps_is_acknowledged_at_once() -> None:
    bus = Keeper()
    bus.bus.harness.publish(MqttSubscribe(filter="alarms/#"))
    assert bus.say("alarms/fire", 1) == 1
    assert bus.say(UPDATE, 0) == 1
    assert bus.replies == []


def test_a_keeper_that_is_slow_is_asked_again() -> None:
    bus = Keeper()
    bus.say(UPDATE, 1)
    bus.bus.harness.advance(FLUSH_TIMEOUT + 1)
    assert len(bus.replies) == 2
    bus.replies.pop(0)
    assert bus.answer() == 1


def test_without_a_keeper_nothing_is_held_back() -> None:
    bus = Bus()
    bus.arrive(UPDATE, qos=1)
    assert bus.client.acknowledged == 1


def test_a_crash_forgets_no_acknowledgement() -> None:
    bus = Keeper()
    bus.say(UPDATE, 1)
    bus.bus.harness.crash("eventbus")
    bus.bus.harness.advance(1.0)
    bus.replies.pop(0)  # who asked this is gone
    while bus.replies:
        bus.answer()
    assert bus.bus.client.acknowledged == 1


def test_a_message_that_ends_as_a_dead_letter_holds_up_no_client_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = Bus(contain=True)

    def poisoned(self: EventBus, message: InboundMessage) -> str:
        raise ValueError("poison")

    with monkeypatch.context() as patch:
        patch.setattr(EventBus, "_route", poisoned)
        bus.client.publish(UPLOAD, b"x", 1)
        bus.harness.advance(60.0)
        assert [letter.message for letter in bus.harness.dead_letters] != []
    bus.harness.advance(3 * CHECK_SECONDS)
    assert bus.client.acknowledged == 1


def test_what_a_broker_lost_over_its_limits_is_said_once_each_time(caplog: pytest.LogCaptureFixture) -> None:
    bus = Bus()
    bus.brokers[0].dropped_count = 7
    for _ in range(3):
        bus.harness.advance(CHECK_SECONDS)
    assert caplog.text.count("has dropped 7 messages or sessions") == 1
    bus.brokers[0].dropped_count = 9
    bus.harness.advance(CHECK_SECONDS)
    assert caplog.text.count("has dropped 2 messages or sessions") == 1


def test_with_two_brokers_what_is_said_on_either_is_handled_and_answered_on_both() -> None:
    bus = Bus(FakeBroker(), FakeBroker())
    others = bus.brokers[1].client()
    for client in (bus.client, others):
        client.publish(UPDATE, b"x", 1)
    bus.harness.run()
    assert len(list(bus.twin)) == 2
    assert (bus.client.acknowledged, others.acknowledged) == (1, 1)
    bus.harness.publish(MqttPublish(topic=f"{UPDATE}/result", payload=b"1"))
    for broker in bus.brokers:
        assert [message.topic for message in broker.published] == [f"{UPDATE}/result"]
    assert len(list(bus.twin)) == 2


# --- what no MQTT can say ----------------------------------------------------------------------------------------------


WRONG: Any = MqttPublish, MqttSubscribe, MqttUnsubscribe, BusPublish, BusSubscribe, BusUnsubscribe
PUBLISH, SUBSCRIBE, UNSUBSCRIBE, BUS_PUBLISH, BUS_SUBSCRIBE, BUS_UNSUBSCRIBE = WRONG
"""The types as one meets them who has no type checker."""


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (PUBLISH(topic="x", payload="hot"), "the payload of a publication is bytes, not str (topic 'x')"),
        (
            PUBLISH(topic="x", payload="hot", retain=True),
            "the payload of a publication is bytes, not str (topic 'x')",
        ),
        (PUBLISH(topic=5, payload=b""), "the topic of a publication is text, not int"),
        (PUBLISH(topic="x", payload=b"", qos=7), "the QoS of a publication is 0, 1 or 2 (topic 'x')"),
        (PUBLISH(topic="x", payload=b"", retain="no"), "retain is true or false, not str (topic 'x')"),
        (SUBSCRIBE(filter=5), "a filter of MQTT topics is text, not int"),
        (UNSUBSCRIBE(filter=[]), "it is not a filter of MQTT topics"),
        (BUS_PUBLISH(topic=None, payload="x"), "the topic of a publication is text, not NoneType"),
        (BUS_SUBSCRIBE(topic=b"x"), "a filter of MQTT topics is text, not bytes"),
        (BUS_UNSUBSCRIBE(topic={}), "it is not a filter of MQTT topics"),
    ],
)
def test_a_message_with_a_wrong_type_in_it_is_one_dead_letter_and_no_crash(message: Message, reason: str) -> None:
    bus = Bus(FakeBroker(), FakeBroker(), contain=True)
    bus.harness.publish(message)
    bus.harness.publish(MqttPublish(topic="y", payload=b"1", retain=True))
    assert bus.harness.crashes == []
    (letter,) = bus.harness.dead_letters
    assert letter.message == UnroutableMqtt(reason=reason, message=message)
    for broker in bus.brokers:
        assert broker.published == [InboundMessage("y", b"1", 0, True)]
        later = broker.client()
        later.subscribe("#")
        assert [each.topic for each in later.heard] == ["y"]


def test_a_module_hears_what_modules_publish_once_whatever_the_brokers_do() -> None:
    for echoing in ((False,), (True,), (False, True)):
        brokers = tuple(FakeBroker() for _ in echoing)
        for broker, echoes in zip(brokers, echoing, strict=True):
            broker.echoes = echoes
        bus = Bus(*brokers)
        bus.harness.publish(MqttSubscribe(filter="alarms/#"))
        bus.harness.publish(MqttPublish(topic="alarms/fire", payload=b"hot"))
        bus.harness.publish(MqttPublish(topic="other", payload=b"x"))
        bus.harness.publish(MqttPublish(topic="alarms/#", payload=b"no topic"))
        assert [(each.topic, each.payload) for each in bus.modules] == [("alarms/fire", b"hot")]
