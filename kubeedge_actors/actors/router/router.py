"""The actor Router: requests that came in go to nodes, what nodes hand up goes to the targets of rules.

Source: KubeEdge cloud/pkg/router. Different on purpose: what a node of ours hands up is handled when its target has answered, so the node keeps
it until then; a service's answer is relayed whatever its status, and no request is repeated by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import msgspec

from kubeedge_actors.actors.router.deliveries import Delivery, QueueKey, Settle
from kubeedge_actors.actors.router.messages import (
    BatchDelivered,
    CallTimeout,
    DeliveryDue,
    RestCall,
    RuleDeliveryFailed,
    StatusWriteDue,
    WriteRuleStatus,
)
from kubeedge_actors.actors.router.request_path import InvalidPath, target_path, target_topic
from kubeedge_actors.actors.router.rule_status import WRITE_SECONDS
from kubeedge_actors.actors.router.rule_table import RuleTable
from kubeedge_actors.actors.router.rules import (
    EventBusTarget,
    RestTarget,
    ServiceBusSource,
    ServiceBusTarget,
    key_of,
)
from kubeedge_actors.actors.router.service_response import call_content, rest_response
from kubeedge_actors.actors.router.state import PendingCall, RouterConfig, RouterState
from kubeedge_actors.actors.router.status_writer import RuleStatusWriter
from kubeedge_actors.actors.router.target_calls import call_target
from kubeedge_actors.controller import CONTROLLER_EMITS, Controller
from kubeedge_actors.drivers.cluster.base import Cluster, EventType, WatchEvent
from kubeedge_actors.drivers.http.base import RestResponse, TargetClient
from kubeedge_actors.errors import AskTimeout
from kubeedge_actors.kubernetes.object_types import RULE_KIND
from kubeedge_actors.module import on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec, ReplyTo, Undeliverable
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    BusPublish,
    BusSubscribe,
    BusUnsubscribe,
    BusUploaded,
    ServiceBusResponse,
    ServiceCall,
    SessionClosed,
    SessionOpened,
    TargetUrlAdded,
    TargetUrlRemoved,
    new_id,
)

MAILBOX = 20_000
KEEP_SECONDS, WRITE_TIMEOUT = 30.0, 60.0
MAX_DEFERRED = 1_000


def run_in_thread(work: Callable[[], None]) -> None:
    """Run `work`, which may block, in a thread of its own."""
    threading.Thread(target=work, name="router-target", daemon=True).start()


class Router(Controller):
    """Acts by the Rules of the cluster. `client` calls their targets, `run_in_thread` runs what blocks."""

    name = constants.ROUTER
    group = constants.ROUTER
    emits = (
        *(BusPublish, BusSubscribe, BusUnsubscribe, ServiceBusResponse, ServiceCall, TargetUrlAdded, TargetUrlRemoved),
        *CONTROLLER_EMITS,
        *(RestCall, CallTimeout, DeliveryDue, BatchDelivered, RuleDeliveryFailed, StatusWriteDue, WriteRuleStatus),
    )

    def __init__(
        self,
        state: RouterState,
        client: TargetClient,
        config: RouterConfig,
        run_in_thread: Callable[[Callable[[], None]], None] = run_in_thread,
    ) -> None:
        super().__init__(state)
        self._state, self._work = state, state.work
        self._client, self._config, self._background = client, config, run_in_thread

    def on_start(self) -> None:
        """Begin to watch; take up what an incarnation before this one has left."""
        super().on_start()
        self.every(WRITE_SECONDS, StatusWriteDue())
        for msg_id in self._work.calls:
            self.after(self._config.timeout, CallTimeout(msg_id=msg_id))
        self._work.statuses.requeue_in_flight()
        self._work.deliveries.end_back_offs()
        self._deliver()

    # --- rules ----------------------------------------------------------------------------------------------------

    def handle_change(self, change: WatchEvent) -> None:
        """A Rule or RuleEndpoint is there, is another one, or is gone."""
        objects = self._state.rules if change.kind == RULE_KIND else self._state.endpoints
        key = key_of(change.object)
        if change.type is not EventType.DELETED:
            objects[key] = change.object
            return
        objects.pop(key, None)
        if change.kind == RULE_KIND:
            self._work.statuses.forget(key)
            for queue in self._work.deliveries.keys_of(key):
                self._give_up(queue, self.clock.monotonic(), "the rule was deleted")

    def on_changes_handled(self) -> None:
        """Go by the rules as they are now."""
        if not self._state.synced:
            return
        state, work = self._state, self._work
        state.table = RuleTable(state.rules.values(), state.endpoints.values(), serves_rest=self._config.serves_rest)
        work.statuses.on_rules_read(state.table.errors)
        for command in work.subscriptions.on_table_changed(state.table):
            self.publish(command)
        deferred, work.deferred = work.deferred, []
        for upload, reply in deferred:
            self._take(upload, reply)
        self._deliver()

    @on
    def on_session_opened(self, message: SessionOpened) -> None:
        """Tell the node what to hand up."""
        for command in self._work.subscriptions.on_connected(message.node, self._state.table):
            self.publish(command)

    @on
    def on_session_closed(self, message: SessionClosed) -> None:
        """Nothing can be said to it now."""
        self._work.subscriptions.on_disconnected(message.node)

    # --- down: requests ---------------------------------------------------------------------------------------------

    @on
    def on_rest_call(self, message: RestCall) -> RestResponse | None:
        """Bring a request to its node, or answer why not."""
        rule = self._state.table.rules.get(message.rule)
        if rule is None:
            return RestResponse(404, b"No rule match")
        if message.node not in self._work.subscriptions.connected:
            return self._failed(rule.key, 500, f"cloudcore doesn't have session for node:{message.node}")
        if isinstance(rule.target, EventBusTarget):
            return self._publish_at(rule.key, rule.target, message)
        assert isinstance(rule.target, ServiceBusTarget)
        msg_id = new_id()
        target = f"{rule.target.port}:{target_path(rule.target.path, message.rest, message.query)}"
        headers = {name: list(values) for name, values in message.headers.items()}
        request = call_content(message.method, headers, message.body)
        self._work.calls[msg_id] = PendingCall(rule.key, message.node, self.reply_later())
        self.after(self._config.timeout, CallTimeout(msg_id=msg_id))
        self.publish(
            ServiceCall(msg_id=msg_id, node=message.node, method=message.method, target=target, request=request)
        )
        return None

    def _publish_at(self, rule: str, target: EventBusTarget, message: RestCall) -> RestResponse | None:
        try:
            topic, payload = target_topic(target.topic, message.rest), message.body.decode()
        except InvalidPath as error:
            return self._failed(rule, 400, str(error))
        except UnicodeDecodeError:
            return self._failed(rule, 400, "a message to a topic has to be text in UTF-8")
        reply = self.reply_later()

        def kept(_: object) -> None:
            self._work.statuses.on_success(rule)
            reply.send(RestResponse(200, b"message delivered"))

        def refused(error: Exception) -> None:
            reply.send(self._failed(rule, 500, str(error)))

        publication = BusPublish(node=message.node, topic=topic, payload=payload)
        self.ask(constants.NODEOUTBOX, publication, KEEP_SECONDS).then(kept, refused)
        return None

    def _failed(self, rule: str, status: int, reason: str) -> RestResponse:
        self._work.statuses.on_failure(rule, reason)
        return RestResponse(status, reason.encode())

    @on
    def on_call_timeout(self, message: CallTimeout) -> None:
        """The node says nothing."""
        call = self._work.calls.pop(message.msg_id, None)
        if call is not None:
            call.reply.send(self._failed(call.rule, 408, "wait to get response time out"))

    def _on_response(self, message: BusUploaded) -> None:
        call = self._work.calls.get(message.parent_msg_id)
        if call is None or call.node != message.node:
            self.log.debug("nobody waits for %s of node %s", message.parent_msg_id, message.node)
            return
        del self._work.calls[message.parent_msg_id]
        self._work.statuses.on_success(call.rule)
        call.reply.send(rest_response(message.content))

    # --- up: what nodes hand up -------------------------------------------------------------------------------------

    @on
    def on_bus_uploaded(self, message: BusUploaded) -> None:
        """Let it wait for its target; it is handled when that has answered. What no rule wants is handled at once."""
        if message.parent_msg_id:
            self._on_response(message)
            return
        reply = self.reply_later()
        if self._state.synced:
            self._take(message, reply)
            self._deliver()
        elif len(self._work.deferred) < MAX_DEFERRED:
            self._work.deferred.append((message, reply))
        else:
            reply.fail(AskTimeout("the rules are not known yet"))

    def _take(self, message: BusUploaded, reply: ReplyTo) -> None:
        table = self._state.table
        find = table.for_url if message.source == constants.SERVICEBUS else table.for_topic
        rules = find(message.node, message.resource)
        settle = _settle_all(reply, len(rules))
        for rule in rules:
            self._queue(rule.key, message, settle)

    def _queue(self, rule: str, upload: BusUploaded, settle: Settle) -> None:
        body = upload.content.encode() if isinstance(upload.content, str) else msgspec.json.encode(upload.content)
        delivery = Delivery(upload, body, self.clock.monotonic(), [settle])
        if not self._work.deliveries.add(QueueKey(rule, upload.node), delivery):
            self._work.statuses.on_failure(rule, f"too much of node {upload.node} waits for this rule's target")
            settle(False)

    def _deliver(self) -> None:
        for key, batch in self._work.deliveries.begin():
            rule = self._state.table.rules.get(key.rule)
            if rule is not None and isinstance(rule.target, RestTarget):
                self._background(partial(self._call_target, key, rule.target.url, batch))
            else:
                self.tell(
                    self.ref, BatchDelivered(rule=key.rule, node=key.node, answers=[], error="the rule can not act")
                )

    def _call_target(self, key: QueueKey, url: str, batch: list[Delivery]) -> None:
        """On a thread."""
        answers, error = call_target(self._client, self.clock, url, batch)
        self.ref.tell(BatchDelivered(rule=key.rule, node=key.node, answers=answers, error=error))

    @on
    def on_batch_delivered(self, message: BatchDelivered) -> None:
        """The node hears what has arrived; the rest is tried again later, or given up."""
        key = QueueKey(message.rule, message.node)
        done, delay = self._work.deliveries.on_answers(key, len(message.answers), failed=bool(message.error))
        for delivery, (status, body) in zip(done, message.answers, strict=True):
            self._on_answer(key, delivery, status, body)
        if message.error:
            self.log.debug("rule %s: %s", key.rule, message.error)
            self._work.statuses.on_error(key.rule, message.error)
            self._give_up(key, self.clock.monotonic() - self._patience(key.rule), message.error)
            self.after(delay, DeliveryDue(rule=key.rule, node=key.node))
        self._deliver()

    def _on_answer(self, key: QueueKey, delivery: Delivery, status: int, body: bytes) -> None:
        if status < 400:
            self._work.statuses.on_success(key.rule)
        else:
            reason = f"its target answered {status}"
            self._work.statuses.on_failure(key.rule, reason)
            self._dead_letter(key.rule, delivery, reason)
        upload = delivery.upload
        if upload.source == constants.SERVICEBUS:
            text = body.decode(errors="replace")
            self.publish(
                ServiceBusResponse(node=key.node, parent_msg_id=upload.msg_id, resource=upload.resource, content=text)
            )
        _settle(delivery)

    @on
    def on_delivery_due(self, message: DeliveryDue) -> None:
        """Try again."""
        self._work.deliveries.on_due(QueueKey(message.rule, message.node))
        self._deliver()

    def _give_up(self, key: QueueKey, before: float, reason: str) -> None:
        for delivery in self._work.deliveries.take_expired(key, before):
            self._work.statuses.on_failure(key.rule, reason)
            self._dead_letter(key.rule, delivery, reason)
            _settle(delivery)

    def _patience(self, rule: str) -> float:
        """Seconds for which a message is tried: programs of a node wait no longer than for one time-out."""
        acting = self._state.table.rules.get(rule)
        if acting is not None and isinstance(acting.source, ServiceBusSource):
            return self._config.timeout
        return self._config.retry if rule in self._state.rules else 0.0

    def _dead_letter(self, rule: str, delivery: Delivery, reason: str) -> None:
        self._work.given_up.add(delivery.upload.msg_id)
        self.tell(self.ref, RuleDeliveryFailed(rule=rule, reason=reason, upload=delivery.upload))

    @on
    def on_rule_delivery_failed(self, message: RuleDeliveryFailed) -> None:
        """The dead letter of what was given up; a replayed one is delivered again. Undeliverable."""
        if message.upload.msg_id in self._work.given_up:
            self._work.given_up.discard(message.upload.msg_id)
            raise Undeliverable(f"rule {message.rule}: {message.reason}")
        if message.rule not in self._state.table.rules:
            raise Undeliverable(f"rule {message.rule}: there is no such rule that can act")
        self._queue(message.rule, message.upload, lambda _: None)
        self._deliver()

    # --- status -------------------------------------------------------------------------------------------------------

    @on
    def on_status_write_due(self, message: StatusWriteDue) -> None:
        """Have the counts written."""
        for rule, counts in self._work.statuses.take().items():
            over = partial(self._on_status_written, rule)
            self.ask(RuleStatusWriter.name, WriteRuleStatus(rule=rule, counts=counts), WRITE_TIMEOUT).then(over, over)

    def _on_status_written(self, rule: str, answer: object) -> None:
        self._work.statuses.on_written(rule, written=answer is True)


def _settle(delivery: Delivery) -> None:
    for settle in delivery.settle:
        settle(True)


def _settle_all(reply: ReplyTo, count: int) -> Settle:
    """Answer when each of `count` rules is done with it; that it has to come again when one says so."""
    left = [count]
    if count == 0:
        reply.send(None)

    def settle(handled: bool) -> None:
        left[0] -= 1
        if not handled:
            reply.fail(AskTimeout("it has to come again"))
        elif left[0] == 0:
            reply.send(None)

    return settle


def child_specs(cluster: Cluster, client: TargetClient, config: RouterConfig, state: RouterState) -> list[ChildSpec]:
    """Router and its writer, the writer first."""
    mailbox = MailboxSpec(capacity=MAILBOX)
    return [
        RuleStatusWriter.spec(lambda: RuleStatusWriter(cluster)),
        Router.spec(lambda: Router(state, client, config), mailbox=mailbox),
    ]
