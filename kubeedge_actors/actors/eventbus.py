"""EventBus: MQTT in and out. What clients of this node publish becomes typed messages, what modules say is published.

It serves one broker or several at once: the embedded one, an external one, or both (KubeEdge's mqttMode 0, 2, 1). A
broker outlives this actor: whoever makes the actor makes the brokers, starts them before and closes them after the
runtime. So a crash here closes no client's connection; what arrives meanwhile waits in the mailbox, and when that is
full the client is held up instead.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubeedge_actors.drivers.broker.base import Arrival, Broker
from kubeedge_actors.drivers.store.base import NameStore
from kubeedge_actors.errors import BrokerError
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import names, topics
from kubeedge_actors.wire.messages import (
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
    TwinUpdate,
)

BATCH = 256
CHECK_SECONDS = 5.0
FIXED = (*topics.FIXED_SUBSCRIPTIONS, *topics.ONE_LEVEL_SUBSCRIPTIONS)


class Look(Message, frozen=True, kw_only=True):
    """Time to see whether the brokers still work."""


class Unusable(Message, frozen=True, kw_only=True):
    """What can not be said or subscribed to by MQTT, or means nothing to anybody.

    Nobody accepts it, so it becomes a dead letter.
    """

    reason: str
    message: Message | Arrival


class EventBus(Module):
    """MQTT for the modules of `node`.

    `topics_store` keeps what the cloud has subscribed to. `wanted` keeps what modules of this process have subscribed
    to: the same set for all incarnations, so that a crash forgets none of it.
    """

    name = names.EVENTBUS
    group = names.GROUP_BUS
    emits = (
        TwinUpdate,
        TwinGet,
        TwinCloudUpdated,
        DeviceStateUpdate,
        MembershipGet,
        MqttReceived,
        BusUploaded,
        Arrival,
        Look,
    )

    def __init__(
        self, node: str, brokers: Sequence[Broker], topics_store: NameStore, wanted: set[str] | None = None
    ) -> None:
        self._node, self._brokers, self._store = node, tuple(brokers), topics_store
        self._wanted = wanted if wanted is not None else set()
        self._uploaded: set[str] = set()

    def on_start(self) -> None:
        """Mend the brokers, and hear from them. Errors: BrokerError, StoreError; both a crash."""
        self._uploaded = set(self._store.all())
        for broker in self._brokers:
            broker.start()
            broker.listen(self.ref.offer)
            for filter in (*FIXED, *self._uploaded):
                broker.subscribe(filter)
        self.every(CHECK_SECONDS, Look())

    @on
    def look(self, message: Look) -> None:
        """A broker whose thread has ended is started again."""
        for broker in self._brokers:
            if not broker.alive:
                self.log.warning("the MQTT broker at %s has ended; it is started again", broker.address)
                broker.start()

    # --- in -----------------------------------------------------------------------------------------------------------

    @on(batch=BATCH)
    def arrived(self, messages: list[Arrival]) -> None:
        """Clients have published."""
        for arrival in messages:
            if topics.is_for_devices(arrival.topic):
                self.publish(self._typed(arrival))
            else:
                self._hand_on(arrival)

    def _typed(self, arrival: Arrival) -> Message:
        """A publication on a topic of a device or node as DeviceTwin's message."""
        found = topics.parse(arrival.topic)
        if found is not None:
            if (kind := DEVICE_MESSAGES.get(found.kind)) is not None:
                return kind(device=found.subject, payload=arrival.payload)
            if found == (names.MEMBERSHIP_GET, self._node):
                return MembershipGet(payload=arrival.payload)
        return Unusable(reason="no module knows this topic", message=arrival)

    def _hand_on(self, arrival: Arrival) -> None:
        """To the cloud what it wants, to modules what they want; both get it if both want it."""
        topic = arrival.topic
        found = topics.parse(topic)
        if (found is not None and found.kind in UPLOADS) or _any_matches(self._uploaded, topic):
            self.tell(names.EDGEHUB, BusUploaded(resource=topic, content=arrival.payload.decode(errors="replace")))
        if _any_matches(self._wanted, topic):
            self.publish(MqttReceived(**arrival._asdict()))

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
        for broker in self._brokers:
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
            for broker in self._brokers:
                broker.subscribe(filter)
        except BrokerError as error:
            self.publish(Unusable(reason=str(error), message=message))
            return False
        return True

    def _unsubscribe(self, filter: str) -> None:
        if filter not in self._uploaded and filter not in self._wanted and filter not in FIXED:
            for broker in self._brokers:
                broker.unsubscribe(filter)


DEVICE_MESSAGES: dict[str, type[TwinUpdate] | type[TwinGet] | type[TwinCloudUpdated] | type[DeviceStateUpdate]] = {
    names.TWIN_UPDATE: TwinUpdate,
    names.TWIN_GET: TwinGet,
    names.TWIN_CLOUD_UPDATED: TwinCloudUpdated,
    names.STATE_UPDATE: DeviceStateUpdate,
}
"""What a topic of a device means. The others (results, attributes) are said by the edge itself."""

UPLOADS = frozenset({names.TOPIC_UPLOAD, names.TOPIC_RECORDS, names.TOPIC_USER})
"""What goes to the cloud without being asked for."""


def _any_matches(filters: set[str], topic: str) -> bool:
    return topic in filters or any(topics.matches(filter, topic) for filter in filters)
