"""EventBus: MQTT in and out. What clients of this node publish becomes typed messages, what modules say is published.

It serves one broker or several at once: the embedded one, an external one, or both (KubeEdge's mqttMode 0, 2, 1). A
broker outlives this actor: whoever makes the actor makes the brokers, starts them before and closes them after the
runtime. So a crash here closes no client's connection; what arrives meanwhile waits in the mailbox, and when that is
full the client is held up instead.

What a client says with QoS 1 or 2 is acknowledged when the modules that keep it have stored it: after each batch they are
asked (`AskStored`), one question at a time, and what was handled meanwhile is the next one's affair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kubeedge_actors.drivers.broker.base import Arrival, Broker
from kubeedge_actors.drivers.store.base import NameStore
from kubeedge_actors.errors import AskTimeout, BrokerError
from kubeedge_actors.module import Module, on
from kubeedge_actors.mqtt_topics import matches
from kubeedge_actors.wire import names, topics
from kubeedge_actors.wire.messages import (
    AskStored,
    BusPublish,
    BusSubscribe,
    BusUnsubscribe,
    BusUploaded,
    DeviceStateUpdate,
    MembershipGet,
    Message,
    MqttPublish,
    MqttReceived,
    MqttSubscribe,
    MqttUnsubscribe,
    TwinCloudUpdated,
    TwinGet,
    TwinHistoryGet,
    TwinUpdate,
)

BATCH = 256
CHECK_SECONDS = 5.0
STORED_SECONDS = 5.0
KEEPERS = (names.DEVICETWIN, names.EDGEHUB)
"""Who stores what clients say."""
FIXED = (*topics.FIXED_SUBSCRIPTIONS, *topics.ONE_LEVEL_SUBSCRIPTIONS, *topics.HISTORY_SUBSCRIPTIONS)


class Look(Message, frozen=True, kw_only=True):
    """Time to see whether the brokers still work."""


class Passed(Message, frozen=True, kw_only=True):
    """Whatever this broker had offered up to this receipt came before this message."""

    source: int
    receipt: int


class Unusable(Message, frozen=True, kw_only=True):
    """What can not be said or subscribed to by MQTT, or means nothing to anybody.

    Nobody accepts it, so it becomes a dead letter.
    """

    reason: str
    message: Message | Arrival


@dataclass(slots=True)
class Standing:
    """What an EventBus leaves to the next one when it crashes.

    `wanted`: what modules of this process have subscribed to. `handled`: the last receipt of each broker that was handed on
    and not settled, `settled`: the last one that was. `lost`: what each broker had lost when that was last said.
    """

    wanted: set[str] = field(default_factory=set)
    handled: dict[int, int] = field(default_factory=dict)
    settled: dict[int, int] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)


class EventBus(Module):
    """MQTT for the modules of `node`.

    `topics_store` keeps what the cloud has subscribed to. `standing` is the same for all incarnations.
    """

    name = names.EVENTBUS
    group = names.GROUP_BUS
    emits = (
        TwinUpdate,
        TwinGet,
        TwinHistoryGet,
        TwinCloudUpdated,
        DeviceStateUpdate,
        MembershipGet,
        MqttReceived,
        BusUploaded,
        Arrival,
        AskStored,
        Look,
        Passed,
    )

    def __init__(
        self, node: str, brokers: Sequence[Broker], topics_store: NameStore, standing: Standing | None = None
    ) -> None:
        self._node, self._brokers, self._store = node, dict(enumerate(brokers, 1)), topics_store
        self._standing = standing or Standing()
        self._wanted = self._standing.wanted
        self._uploaded: set[str] = set()
        # whom to ask about what was handled, whom we wait for, and what they will have stored
        self._told: set[str] = set()
        self._asked: set[str] = set()
        self._storing: dict[int, int] = {}

    def on_start(self) -> None:
        """Mend the brokers, and hear from them. Errors: BrokerError, StoreError; both a crash."""
        self._uploaded = set(self._store.all())
        for source, broker in self._brokers.items():
            broker.listen(self.ref.offer, source)
            for filter in (*FIXED, *self._uploaded):
                broker.subscribe(filter)
            broker.start()
        self.every(CHECK_SECONDS, Look())
        if self._standing.handled:
            self._told |= set(KEEPERS)
            self._ask()

    @on
    def look(self, message: Look) -> None:
        """A broker whose thread has ended is started again; what was lost to limits is said."""
        for source, broker in self._brokers.items():
            if not broker.alive:
                self.log.warning("the MQTT broker at %s has ended; it is started again", broker.address)
                broker.start()
            before, lost = self._standing.lost.get(source, 0), broker.lost
            if lost > before:
                self._standing.lost[source] = lost
                text = "over its limits, the MQTT broker at %s has dropped %d messages or sessions since the last look"
                self.log.warning(text, broker.address, lost - before)
            if broker.offered > self._standing.settled.get(source, 0):
                # it takes its place behind those arrivals; when the mailbox is full, the next look will do
                self.ref.offer(Passed(source=source, receipt=broker.offered))

    @on
    def passed(self, message: Passed) -> None:
        """An arrival that ended as a dead letter is never handled: its client is told all the same."""
        handled, source = self._standing.handled, message.source
        if message.receipt > max(self._standing.settled.get(source, 0), handled.get(source, 0)):
            handled[source] = message.receipt
            self._told |= set(KEEPERS)
            if not self._asked:
                self._ask()

    # --- in -----------------------------------------------------------------------------------------------------------

    @on(batch=BATCH)
    def arrived(self, messages: list[Arrival]) -> None:
        """Clients have published."""
        handled = self._standing.handled
        for arrival in messages:
            if topics.is_for_devices(arrival.topic):
                self.publish(self._typed(arrival))
                keeper = names.DEVICETWIN
            else:
                keeper = self._hand_on(arrival)
            if arrival.receipt:
                handled[arrival.source] = arrival.receipt
                self._told.add(keeper)
        if handled and not self._asked:
            self._ask()

    def _typed(self, arrival: Arrival) -> Message:
        """A publication on a topic of a device or node as DeviceTwin's message."""
        found = topics.parse(arrival.topic)
        if found is not None:
            if (kind := DEVICE_MESSAGES.get(found.kind)) is not None:
                return kind(device=found.subject, payload=arrival.payload)
            if found == (names.MEMBERSHIP_GET, self._node):
                return MembershipGet(payload=arrival.payload)
        return Unusable(reason="no module knows this topic", message=arrival._replace(receipt=0, source=0))

    def _hand_on(self, arrival: Arrival) -> str:
        """To the cloud what it wants, to modules what they want; both get it if both want it. Who stores it, if anybody."""
        topic, keeper = arrival.topic, ""
        found = topics.parse(topic)
        if (found is not None and found.kind in UPLOADS) or _any_matches(self._uploaded, topic):
            self.tell(names.EDGEHUB, BusUploaded(resource=topic, content=arrival.payload.decode(errors="replace")))
            keeper = names.EDGEHUB
        if _any_matches(self._wanted, topic):
            self.publish(MqttReceived(topic=topic, payload=arrival.payload, qos=arrival.qos, retain=arrival.retain))
        return keeper

    # --- acknowledging --------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        """Ask those who were told something whether it is stored."""
        self._storing = dict(self._standing.handled)
        self._asked, self._told = self._told - {""}, set()
        for keeper in tuple(self._asked):
            self._ask_one(keeper)
        if not self._asked:
            self._settle()

    def _ask_one(self, keeper: str) -> None:
        def answered(_: object) -> None:
            self._asked.discard(keeper)
            if not self._asked:
                self._settle()

        def failed(error: Exception) -> None:
            # whatever else than slowness it is, the answer can not come any more: what was told is a dead letter, and kept as one
            if isinstance(error, AskTimeout):
                self.log.debug("%s has not stored what clients said: %s", keeper, error)
                self._ask_one(keeper)
            else:
                answered(None)

        self.ask(keeper, AskStored(), STORED_SECONDS).then(answered, failed)

    def _settle(self) -> None:
        """It is stored: have the clients told. What came meanwhile is asked about next."""
        handled = self._standing.handled
        for source, receipt in self._storing.items():
            self._brokers[source].settle(receipt)
            self._standing.settled[source] = receipt
            if handled[source] == receipt:
                del handled[source]
        if handled:
            self._ask()

    # --- out ----------------------------------------------------------------------------------------------------------

    @on(batch=BATCH)
    def say(self, messages: list[MqttPublish]) -> None:
        """Publish what modules say."""
        for message in messages:
            self._say(message, message.topic, message.payload, message.qos, message.retain)

    @on
    def said(self, message: BusPublish) -> None:
        """Publish what the cloud's router says: text as it is; KubeEdge refuses anything else."""
        payload = message.payload
        if isinstance(payload, str):
            payload = payload.encode()
        if isinstance(payload, bytes):
            self._say(message, message.topic, payload, 0, False)
        else:
            self.publish(Unusable(reason="the payload is not text", message=message))

    def _say(self, message: Message, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        for broker in self._brokers.values():
            try:
                broker.publish(topic, payload, qos, retain)
            except BrokerError as error:
                self.publish(Unusable(reason=str(error), message=message))

    # --- subscriptions --------------------------------------------------------------------------------------------

    @on
    def uploads(self, message: BusSubscribe) -> None:
        """The cloud wants a topic from now on, over restarts too."""
        if self._subscribe(message, message.topic):
            self._store.add(message.topic)
            self._uploaded.add(message.topic)

    @on
    def uploads_no_more(self, message: BusUnsubscribe) -> None:
        """The cloud no longer wants it."""
        self._store.remove(message.topic)
        self._uploaded.discard(message.topic)
        self._unsubscribe(message.topic)

    @on
    def wants(self, message: MqttSubscribe) -> None:
        """A module wants what matches."""
        if self._subscribe(message, message.filter):
            self._wanted.add(message.filter)

    @on
    def wants_no_more(self, message: MqttUnsubscribe) -> None:
        """No module wants it any more."""
        self._wanted.discard(message.filter)
        self._unsubscribe(message.filter)

    def _subscribe(self, message: Message, filter: str) -> bool:
        try:
            for broker in self._brokers.values():
                broker.subscribe(filter)
        except BrokerError as error:
            self.publish(Unusable(reason=str(error), message=message))
            return False
        return True

    def _unsubscribe(self, filter: str) -> None:
        if filter not in self._uploaded and filter not in self._wanted and filter not in FIXED:
            for broker in self._brokers.values():
                broker.unsubscribe(filter)


DEVICE_MESSAGES: dict[
    str,
    type[TwinUpdate] | type[TwinGet] | type[TwinHistoryGet] | type[TwinCloudUpdated] | type[DeviceStateUpdate],
] = {
    names.TWIN_UPDATE: TwinUpdate,
    names.TWIN_GET: TwinGet,
    names.TWIN_HISTORY_GET: TwinHistoryGet,
    names.TWIN_CLOUD_UPDATED: TwinCloudUpdated,
    names.STATE_UPDATE: DeviceStateUpdate,
}
"""What a topic of a device means. The others (results, attributes) are said by the edge itself."""

UPLOADS = frozenset({names.TOPIC_UPLOAD, names.TOPIC_RECORDS, names.TOPIC_USER})
"""What goes to the cloud without being asked for."""


def _any_matches(filters: set[str], topic: str) -> bool:
    return topic in filters or any(matches(filter, topic) for filter in filters)
