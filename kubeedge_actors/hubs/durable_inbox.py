"""Durable messages that came over the link: deduplicated, handed to all receivers, acknowledged when all have handled them.
Both hubs have one. Pure, but for the requests to the receivers.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from kubeedge_actors.errors import AskTimeout, FrameError, MailboxFull
from kubeedge_actors.hubs.rate_limits import Quota
from kubeedge_actors.module import Module
from kubeedge_actors.outage_log import OncePerInterval
from kubeedge_actors.supervisors import Ref
from kubeedge_actors.wire.custom_messages import classes_of, from_custom
from kubeedge_actors.wire.messages import BusUploaded, CustomMessage, LinkMessage, MessageNotRead

OnHandled = Callable[[bool], None]


class DurableInbox:
    """Accepts each durable message once, and collects the ids to acknowledge.

    `fan_out(message, handled_by, settled)` brings a message to its receivers and calls back whether all have handled it; those whose names
    are in `handled_by` have done so when it came before, and it adds to them. `schedule_ack` is called when ids become ready: the hub then
    calls `take_ready_acks()`.

    It remembers nodes, not sessions: what was handled and not acknowledged comes again after a reconnect. At the edge there is one
    "node", the cloud, whose name is empty.
    """

    def __init__(
        self, fan_out: Callable[[LinkMessage, set[str], OnHandled], None], schedule_ack: Callable[[], object]
    ) -> None:
        self._fan_out = fan_out
        self._schedule_ack = schedule_ack
        self._windows: dict[str, DedupWindow] = {}
        self._nodes_with_acks: set[str] = set()

    def accept(self, message: LinkMessage) -> bool:
        """Fan a message out; False when it is a duplicate."""
        node = message.node
        receipts = self._windows.setdefault(node, DedupWindow())
        standing = receipts.begin(message)
        if standing is DeliveryState.DONE:
            self._ack_ready(node)
        if standing is not DeliveryState.NEW:
            return False

        def settled(kept: bool) -> None:
            if kept:
                receipts.mark_done(message.msg_id)
                self._ack_ready(node)
            else:
                receipts.abandon(message.msg_id)

        self._fan_out(message, receipts.handled_by(message.msg_id), settled)
        return True

    def take_ready_acks(self) -> Iterator[tuple[str, list[str]]]:
        """Nodes, each with ids to acknowledge; what is given counts as acknowledged."""
        owing, self._nodes_with_acks = self._nodes_with_acks, set()
        for node in owing:
            receipts = self._windows.get(node)
            while receipts is not None and (ids := receipts.take_acks()):
                yield node, ids

    def take_ready_ids(self) -> list[str]:
        """All ids to acknowledge, for whom there is one peer only."""
        return [msg_id for _, ids in self.take_ready_acks() for msg_id in ids]

    def on_session_closed(self, node: str) -> None:
        """The node's session is closed: forget its unsent acks; the edge will resend those messages."""
        if node in self._windows:
            self._windows[node].on_session_closed()

    def forget(self, node: str) -> None:
        """The node was deleted: forget its window."""
        self._windows.pop(node, None)

    def _ack_ready(self, node: str) -> None:
        if not self._nodes_with_acks:
            self._schedule_ack()
        self._nodes_with_acks.add(node)


# --- deduplication of message ids -------------------------------------------------------------------------------------
#
# Lives as long as the node is known, not as long as a session: what was handled and not yet acknowledged comes again
# after a reconnect.


WINDOW_SIZE = 2048


class DeliveryState(enum.Enum):
    """Whether an incoming message is new, in progress or done."""

    NEW = "new"
    IN_PROGRESS = "in work"
    DONE = "done"


class DedupWindow:
    """A bounded memory of message ids: the last `size` that were done, all that are in work with the receivers that have handled them, and
    the last `size` that only some receivers have handled.
    """

    def __init__(self, size: int = WINDOW_SIZE) -> None:
        self._size = size
        self._done: dict[str, None] = {}
        self._in_progress: dict[str, set[str]] = {}
        self._partly_handled: dict[str, set[str]] = {}
        self._unsent_acks: deque[str] = deque()

    def begin(self, message: LinkMessage) -> DeliveryState:
        """The state of an incoming durable message; a new one is in progress from now on."""
        if message.msg_id in self._done:
            self._unsent_acks.append(message.msg_id)  # it was acknowledged before, and that was lost
            return DeliveryState.DONE
        if message.msg_id in self._in_progress:
            return DeliveryState.IN_PROGRESS
        self._in_progress[message.msg_id] = self._partly_handled.pop(message.msg_id, set())
        return DeliveryState.NEW

    def handled_by(self, msg_id: str) -> set[str]:
        """The names of the receivers that have handled a message in work; whoever learns of one more adds it."""
        return self._in_progress[msg_id]

    def mark_done(self, msg_id: str) -> None:
        """The message was handled: it may be acknowledged."""
        self._in_progress.pop(msg_id, None)
        self._done[msg_id] = None
        self._unsent_acks.append(msg_id)
        while len(self._done) > self._size:
            del self._done[next(iter(self._done))]

    def abandon(self, msg_id: str) -> None:
        """The message was not handled by all: a resend is new again for the others."""
        handled_by = self._in_progress.pop(msg_id, None)
        if handled_by:
            self._partly_handled[msg_id] = handled_by
        while len(self._partly_handled) > self._size:
            del self._partly_handled[next(iter(self._partly_handled))]

    def take_acks(self, limit: int = 500) -> list[str]:
        """Ids to acknowledge now; they are not given again."""
        return [self._unsent_acks.popleft() for _ in range(min(limit, len(self._unsent_acks)))]

    def on_session_closed(self) -> None:
        """Session closed: forget unsent acks; the edge will resend those messages."""
        self._unsent_acks.clear()


# --- ack when all receivers have handled a message --------------------------------------------------------------------


HANDLE_TIMEOUT, UPLOAD_TIMEOUT = 300.0, 86_400.0
"""Seconds that a receiver has; with what a node hands up by the bus it may wait until the target of a rule is there again."""
NOT_READ_PER_MINUTE = 600
"""Messages that nobody can take which become dead letters, of one node in a minute; the rest is dropped."""


class FanOut:
    """Hands messages to whoever accepts them, and tells when all have handled one; a CustomMessage as one of its class.

    `accepting`: who accepts a type, `types`: all that are accepted (the registry's methods); without them a message counts as handled
    when it was told.
    """

    def __init__(
        self,
        module: Module,
        accepting: Callable[[type], tuple[Ref, ...]] | None = None,
        types: Callable[[], Iterable[type]] = tuple,
    ) -> None:
        self._module = module
        self._accepting = accepting
        self._types = types
        self._quota = Quota(NOT_READ_PER_MINUTE, 60.0)
        self._warned = OncePerInterval()

    def hand_out(self, message: LinkMessage, handled_by: set[str], settled: OnHandled) -> None:
        """Hand it out; `settled(True)` once it is handled. What nobody accepts is a dead letter, which is kept as well. `handled_by`: see
        DurableInbox.
        """
        messages: list[object] = self._typed(message) if isinstance(message, CustomMessage) else [message]
        pairs = [(receiver, each) for each in messages for receiver in self._receivers(type(each))]
        if pairs:
            FanOutAck(settled, handled_by).send(pairs, self._module)
            return
        for each in messages:
            self._module.publish(each)
        settled(True)

    def _receivers(self, message_type: type) -> tuple[Ref, ...]:
        return self._accepting(message_type) if self._accepting is not None else ()

    def _typed(self, custom: CustomMessage) -> list[object]:
        """The message as one of each class of its name; those that it does not fit are dead letters."""
        classes = classes_of(custom.type, self._types())
        if not classes:
            self._not_read(custom, "no module here accepts it")
        typed: list[object] = []
        for message_type in classes:
            try:
                typed.append(from_custom(custom, message_type, node=custom.node))
            except FrameError as error:
                self._not_read(custom, f"{message_type.__name__}: {error}")
        return typed

    def _not_read(self, custom: CustomMessage, reason: str) -> None:
        now, module = self._module.clock.monotonic(), self._module
        if self._quota.allow(custom.node, now):
            lost = MessageNotRead(node=custom.node, type=custom.type, reason=reason, content=custom.content[:1000])
            module.publish(lost)
        if self._warned.allow(f"{custom.node} {custom.type} {reason}", now):
            module.log.warning("a message %r from %s is not taken: %s", custom.type, custom.node or "the cloud", reason)


class FanOutAck:
    """Waits until all receivers have handled one message.

    `on_done(True)` is called in the asking actor's turn once each receiver has handled it, or it has ended as a dead letter, which is kept as
    well; a durable mailbox that has taken it counts as handled. `on_done(False)` when one of them had no room for it, or did not say in time: the node sends it again. `handled_by`: the
    names of those that are not asked, because they have it from before; the others are added when they have handled it.
    """

    def __init__(self, on_done: Callable[[bool], None], handled_by: set[str]) -> None:
        self._on_done, self._handled_by = on_done, handled_by
        self._pending = 0
        self._all_handled = True

    def send(self, pairs: Iterable[tuple[Ref, object]], module: Module) -> None:
        """Ask each receiver about its message, on behalf of `module`; but for those that have handled it before. One with a durable mailbox
        has it as soon as that took it.
        """
        self._pending = 1  # this call
        for receiver, message in pairs:
            if receiver.name in self._handled_by:
                continue
            self._pending += 1
            answered = partial(self._on_answer, receiver.name)
            if receiver.durable:
                answered(None if receiver.offer(message, module.name) else MailboxFull(receiver.name))
            else:
                timeout = UPLOAD_TIMEOUT if isinstance(message, BusUploaded) else HANDLE_TIMEOUT
                module.ask(receiver, message, timeout).then(answered, answered)
        self._release()

    def _on_answer(self, receiver: str, answer: object) -> None:
        if isinstance(answer, AskTimeout | MailboxFull):
            self._all_handled = False
        else:
            self._handled_by.add(receiver)
        self._release()

    def _release(self) -> None:
        self._pending -= 1
        if self._pending == 0:
            self._on_done(self._all_handled)
