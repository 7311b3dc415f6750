"""EventBus: MQTT in and out. What clients of this node publish becomes typed messages, what modules say is published.

It serves one broker or several at once: the embedded one, an external one, or both (KubeEdge's mqttMode 0, 2, 1). A
broker outlives this actor: whoever makes the actor makes the brokers, starts them before and closes them after the
runtime. So a crash here closes no client's connection; what arrives meanwhile waits in the mailbox, and when that is
full the client is held up instead.

What a client says with QoS 1 or 2 is acknowledged when the modules that keep it have stored it: after each batch a
FlushRequest is sent to DeviceTwin or EdgeHub; at most one is outstanding; later messages wait for the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kubeedge_actors.drivers.broker.base import Broker, InboundMessage
from kubeedge_actors.drivers.store.base import NameStore
from kubeedge_actors.errors import AskTimeout, BrokerError
from kubeedge_actors.module import Module, on
from kubeedge_actors.mqtt_topics import matches, valid_filter
from kubeedge_actors.wire import constants, topics
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
    TwinHistoryGet,
    TwinUpdate,
)

BATCH_SIZE = 256
CHECK_SECONDS = 5.0
FLUSH_TIMEOUT = 5.0
PERSISTING_MODULES = (constants.DEVICETWIN, constants.EDGEHUB)
"""Who stores what clients say."""
FIXED_FILTERS = (*topics.FIXED_SUBSCRIPTIONS, *topics.ONE_LEVEL_SUBSCRIPTIONS, *topics.HISTORY_SUBSCRIPTIONS)


class BrokerCheckDue(Message, frozen=True, kw_only=True):
    """Timer: check the brokers."""


class ArrivalMarker(Message, frozen=True, kw_only=True):
    """Marker in the mailbox: everything that the broker offered up to this delivery tag came before it."""

    source: int
    receipt: int


class UnroutableMqtt(Message, frozen=True, kw_only=True):
    """A message that can not be published or subscribed to by MQTT, or whose topic has no meaning.

    Nobody accepts it, so it becomes a dead letter.
    """

    reason: str
    message: Message | InboundMessage


@dataclass(slots=True)
class EventBusState:
    """State of EventBus that outlives its crashes.

    `wanted`: what modules of this process have subscribed to. `handled`: the last receipt of each broker that was handed on
    and not settled, `acked`: the last one that was. `lost`: what each broker had lost when that was last said.
    """

    wanted: set[str] = field(default_factory=set)
    handled: dict[int, int] = field(default_factory=dict)
    acked: dict[int, int] = field(default_factory=dict)
    lost: dict[int, int] = field(default_factory=dict)


class EventBus(Module):
    """Translates between the MQTT brokers and the modules of `node`.

    `topics_store` keeps what the cloud has subscribed to. `state` is the same for all incarnations.
    """

    name = constants.EVENTBUS
    group = constants.GROUP_BUS
    emits = (
        TwinUpdate,
        TwinGet,
        TwinHistoryGet,
        TwinCloudUpdated,
        DeviceStateUpdate,
        MembershipGet,
        MqttReceived,
        BusUploaded,
        InboundMessage,
        FlushRequest,
        BrokerCheckDue,
        ArrivalMarker,
    )

    def __init__(
        self, node: str, brokers: Sequence[Broker], topics_store: NameStore, state: EventBusState | None = None
    ) -> None:
        self._node, self._brokers, self._store = node, dict(enumerate(brokers, 1)), topics_store
        self._state = state or EventBusState()
        self._wanted = self._state.wanted
        self._echoed = any(broker.echoes for broker in brokers)
        self._uploaded: set[str] = set()
        # whom to ask about what was handled, whom we wait for, and what they will have stored
        self._to_flush: set[str] = set()
        self._flushing: set[str] = set()
        self._flush_until: dict[int, int] = {}

    def on_start(self) -> None:
        """Attach to the brokers, subscribe, start those that have ended. Errors: BrokerError, StoreError; both a crash."""
        self._uploaded = set(self._store.all())
        for source, broker in self._brokers.items():
            broker.set_handler(self.ref.offer, source)
            for filter in (*FIXED_FILTERS, *self._uploaded):
                broker.subscribe(filter)
            broker.start()
        self.every(CHECK_SECONDS, BrokerCheckDue())
        if self._state.handled:
            self._to_flush |= set(PERSISTING_MODULES)
            self._flush()

    @on
    def on_broker_check_due(self, message: BrokerCheckDue) -> None:
        """Restart a broker whose thread has ended; log what was dropped over limits."""
        for source, broker in self._brokers.items():
            if not broker.is_alive:
                self.log.warning("the MQTT broker at %s has ended; it is started again", broker.address)
                broker.start()
            before, lost = self._state.lost.get(source, 0), broker.dropped_count
            if lost > before:
                self._state.lost[source] = lost
                text = "over its limits, the MQTT broker at %s has dropped %d messages or sessions since the last look"
                self.log.warning(text, broker.address, lost - before)
            if broker.last_delivery_tag > self._state.acked.get(source, 0):
                # it takes its place behind those arrivals; when the mailbox is full, the next look will do
                self.ref.offer(ArrivalMarker(source=source, receipt=broker.last_delivery_tag))

    @on
    def on_arrival_marker(self, message: ArrivalMarker) -> None:
        """Acknowledge messages that ended as dead letters: no handler will."""
        handled, source = self._state.handled, message.source
        if message.receipt > max(self._state.acked.get(source, 0), handled.get(source, 0)):
            handled[source] = message.receipt
            self._to_flush |= set(PERSISTING_MODULES)
            if not self._flushing:
                self._flush()

    # --- in -----------------------------------------------------------------------------------------------------------

    @on(batch=BATCH_SIZE)
    def on_inbound_message(self, messages: list[InboundMessage]) -> None:
        """Publish typed messages for what clients published."""
        handled = self._state.handled
        for message in messages:
            if topics.is_device_twin_topic(message.topic):
                self.publish(self._typed(message))
                owner = constants.DEVICETWIN
            else:
                owner = self._route(message)
            if message.delivery_tag:
                handled[message.broker_id] = message.delivery_tag
                self._to_flush.add(owner)
        if handled and not self._flushing:
            self._flush()

    def _typed(self, message: InboundMessage) -> Message:
        """A publication on a topic of a device or node as DeviceTwin's message."""
        topic = topics.parse(message.topic)
        if topic is not None:
            if (kind := DEVICE_MESSAGES.get(topic.kind)) is not None:
                return kind(device=topic.device_or_node, payload=message.payload)
            if topic == (constants.MEMBERSHIP_GET, self._node):
                return MembershipGet(payload=message.payload)
        return UnroutableMqtt(
            reason="no module knows this topic", message=message._replace(delivery_tag=0, broker_id=0)
        )

    def _route(self, message: InboundMessage) -> str:
        """To the cloud what it wants, to modules what they want; both get it if both want it. Who stores it, if anybody."""
        topic, owner = message.topic, ""
        parsed = topics.parse(topic)
        if (parsed is not None and parsed.kind in UPLOADS) or _any_matches(self._uploaded, topic):
            self.tell(constants.EDGEHUB, BusUploaded(resource=topic, content=message.payload.decode(errors="replace")))
            owner = constants.EDGEHUB
        if _any_matches(self._wanted, topic):
            self.publish(MqttReceived(topic=topic, payload=message.payload, qos=message.qos, retain=message.retain))
        return owner

    # --- acknowledging --------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Ask those who were told something whether it is stored."""
        self._flush_until = dict(self._state.handled)
        self._flushing, self._to_flush = self._to_flush - {""}, set()
        for owner in tuple(self._flushing):
            self._flush_module(owner)
        if not self._flushing:
            self._ack_clients()

    def _flush_module(self, owner: str) -> None:
        def answered(_: object) -> None:
            self._flushing.discard(owner)
            if not self._flushing:
                self._ack_clients()

        def failed(error: Exception) -> None:
            # whatever else than slowness it is, the answer can not come any more: what was told is a dead letter, and kept as one
            if isinstance(error, AskTimeout):
                self.log.debug("%s has not stored what clients said: %s", owner, error)
                self._flush_module(owner)
            else:
                answered(None)

        self.ask(owner, FlushRequest(), FLUSH_TIMEOUT).then(answered, failed)

    def _ack_clients(self) -> None:
        """It is stored: have the clients told. What came meanwhile is asked about next."""
        handled = self._state.handled
        for source, receipt in self._flush_until.items():
            self._brokers[source].acknowledge(receipt)
            self._state.acked[source] = receipt
            if handled[source] == receipt:
                del handled[source]
        if handled:
            self._flush()

    # --- out ----------------------------------------------------------------------------------------------------------

    @on(batch=BATCH_SIZE)
    def on_mqtt_publish(self, messages: list[MqttPublish]) -> None:
        """Publish messages of modules on every broker."""
        for message in messages:
            self._publish_mqtt(message, message.topic, message.payload, message.qos, message.retain)

    @on
    def on_bus_publish(self, message: BusPublish) -> None:
        """Publish a message of the cloud's router: text as it is; anything else is rejected, as in KubeEdge."""
        payload = message.payload
        if isinstance(payload, str):
            payload = payload.encode()
        if isinstance(payload, bytes):
            self._publish_mqtt(message, message.topic, payload, 0, False)
        else:
            self.publish(UnroutableMqtt(reason="the payload is not text", message=message))

    def _publish_mqtt(self, message: Message, topic: str, payload: bytes, qos: int, retain: bool) -> None:
        reasons: dict[str, None] = {}
        for broker in self._brokers.values():
            try:
                broker.publish(topic, payload, qos, retain)
            except BrokerError as error:
                reasons[str(error)] = None
        for reason in reasons:  # what no broker can say is one dead letter
            self.publish(UnroutableMqtt(reason=reason, message=message))
        if self._wanted and not self._echoed and not reasons and _any_matches(self._wanted, topic):
            # modules hear each other as clients do, whichever broker there is
            self.publish(MqttReceived(topic=topic, payload=payload, qos=qos, retain=retain))

    # --- subscriptions --------------------------------------------------------------------------------------------

    @on
    def on_bus_subscribe(self, message: BusSubscribe) -> None:
        """The cloud wants a topic from now on, over restarts too."""
        if self._subscribe(message, message.topic):
            self._store.add(message.topic)
            self._uploaded.add(message.topic)

    @on
    def on_bus_unsubscribe(self, message: BusUnsubscribe) -> None:
        """The cloud no longer wants it."""
        if self._is_filter(message, message.topic):
            self._store.remove(message.topic)
            self._uploaded.discard(message.topic)
            self._unsubscribe(message.topic)

    @on
    def on_mqtt_subscribe(self, message: MqttSubscribe) -> None:
        """A module wants what matches."""
        if self._subscribe(message, message.filter):
            self._wanted.add(message.filter)

    @on
    def on_mqtt_unsubscribe(self, message: MqttUnsubscribe) -> None:
        """No module wants it any more."""
        if self._is_filter(message, message.filter):
            self._wanted.discard(message.filter)
            self._unsubscribe(message.filter)

    def _is_filter(self, message: Message, filter: object) -> bool:
        if valid_filter(filter):
            return True
        self.publish(UnroutableMqtt(reason="it is not a filter of MQTT topics", message=message))
        return False

    def _subscribe(self, message: Message, filter: str) -> bool:
        try:
            for broker in self._brokers.values():
                broker.subscribe(filter)
        except BrokerError as error:
            self.publish(UnroutableMqtt(reason=str(error), message=message))
            return False
        return True

    def _unsubscribe(self, filter: str) -> None:
        if filter not in self._uploaded and filter not in self._wanted and filter not in FIXED_FILTERS:
            for broker in self._brokers.values():
                broker.unsubscribe(filter)


DEVICE_MESSAGES: dict[
    str,
    type[TwinUpdate] | type[TwinGet] | type[TwinHistoryGet] | type[TwinCloudUpdated] | type[DeviceStateUpdate],
] = {
    constants.TWIN_UPDATE: TwinUpdate,
    constants.TWIN_GET: TwinGet,
    constants.TWIN_HISTORY_GET: TwinHistoryGet,
    constants.TWIN_CLOUD_UPDATED: TwinCloudUpdated,
    constants.STATE_UPDATE: DeviceStateUpdate,
}
"""What a topic of a device means. The others (results, attributes) are said by the edge itself."""

UPLOADS = frozenset({constants.TOPIC_UPLOAD, constants.TOPIC_RECORDS, constants.TOPIC_USER})
"""What goes to the cloud without being asked for."""


def _any_matches(filters: set[str], topic: str) -> bool:
    return topic in filters or any(matches(filter, topic) for filter in filters)
