"""EdgeHub: connects, sends keepalives, publishes what the cloud sends, and keeps durable messages until they are acked."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from kubeedge_actors.actors.edgehub.certificate_fetcher import CertificateFetcher, run_in_thread
from kubeedge_actors.actors.edgehub.frames import DurableMessage, asker_of, confirmation, error_response, message_of
from kubeedge_actors.actors.edgehub.handshake import AcceptedExtensions, accepted_extensions, request_headers
from kubeedge_actors.actors.edgehub.messages import (
    HUB_MESSAGES,
    CertificatesFailed,
    CertificatesReady,
    ConfirmationsDue,
    ConnectDue,
    FrameReceived,
    FramesWritten,
    KeepaliveDue,
    LinkClosed,
    LinkEventsAdapter,
    LinkOpened,
    LinkReady,
    MalformedFrame,
    OutboxCleanupDue,
    RenewalFinished,
    Undeliverable,
)
from kubeedge_actors.actors.edgehub.outbox import Outbox
from kubeedge_actors.actors.edgehub.reconnect_backoff import ReconnectBackoff
from kubeedge_actors.actors.edgehub.send_queue import OneWayMessage, Priority, PrioritySendQueue, Request, priority_of
from kubeedge_actors.actors.edgehub.traffic import DOWN, TrafficCounters
from kubeedge_actors.drivers.link.base import CertificateSource, Link
from kubeedge_actors.drivers.store.base import OutboxRow, OutboxStore
from kubeedge_actors.errors import AnswerLost, FrameError, WireError
from kubeedge_actors.hubs.durable_inbox import DurableInbox, FanOut
from kubeedge_actors.module import Module, on
from kubeedge_actors.outage_log import OutageLog
from kubeedge_actors.supervisors import Ref, Timer
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import (
    BusPublish,
    CustomMessage,
    DeviceStateReported,
    ErrorResponse,
    FlushRequest,
    KeepAlive,
    LinkDown,
    LinkMessage,
    LinkUp,
    MessageNotRead,
    OutboxAcknowledged,
    ReportStored,
    Response,
    TwinReported,
    UnknownMessage,
)

NOT_PUBLISHED = frozenset({Response, OutboxAcknowledged, CustomMessage})
"""What the cloud says to this module, or to one named module, and is therefore not published."""

BATCH_SIZE = 256
OUTBOX_CAPACITY, CUSTOM_SHARE = 100_000, 0.5
"""Messages in the outbox; those of modules of one's own find no room when it is so full that the rest could suffer."""
NO_ROOM = "the outbox takes no more"
CLEANUP_DELAY = LINK_READY_DELAY = 0.2
RESPONSE_TIMEOUT, RENEWAL_RETRY_SECONDS = 60.0, 30.0


class EdgeHub(Module):
    """The edge's end of the link.

    `url`: wss://host:port. `link_factory` makes a fresh Link. `credentials` None: no TLS. `on_rejected` is called with a sentence, on the hub's
    thread, when certificates are refused for good before there were any. `capacity`: messages kept for the cloud, reports of devices
    apart. `traffic` counts what goes over the link. `accepting`, `types`: as CloudHub's. `run_in_thread` runs what blocks; `chance` gives numbers from 0 to 1.
    """

    name = constants.EDGEHUB
    group = constants.GROUP_HUB
    emits = (
        *(LinkUp, LinkDown, Response, ErrorResponse, UnknownMessage, MessageNotRead),
        *sorted(mapping.DOWNWARD - NOT_PUBLISHED, key=lambda said: said.__name__),
        *HUB_MESSAGES,
    )

    def __init__(
        self,
        *,
        node_name: str,
        url: str,
        link_factory: Callable[[], Link],
        credentials: CertificateSource | None,
        outbox: OutboxStore,
        heartbeat: float = 15.0,
        project: str = constants.DEFAULT_PROJECT,
        on_rejected: Callable[[str], object] | None = None,
        capacity: int = OUTBOX_CAPACITY,
        traffic: TrafficCounters | None = None,
        accepting: Callable[[type], tuple[Ref, ...]] | None = None,
        types: Callable[[], Iterable[type]] = tuple,
        chance: Callable[[], float] | None = None,
        run_in_thread: Callable[[Callable[[], None]], None] = run_in_thread,
    ) -> None:
        self._url = f"{url.rstrip('/')}/{project}/{node_name}/events"
        self._headers = request_headers(node_name, project)
        self._link_factory = link_factory
        self._certificates = CertificateFetcher(credentials, run_in_thread)
        self._heartbeat = heartbeat
        self._on_rejected = on_rejected
        self._backoff = ReconnectBackoff(chance or random.Random().random)
        self._link: Link | None = None
        self._fetching = self._certified = self._up = self._cleanup_scheduled = False
        self._agreed = AcceptedExtensions()
        self._opened_at = self._renew_at = 0.0
        self._oldest_request_at: float | None = None
        self._outage = OutageLog()
        self._keepalive_timer: Timer | None = None
        self._traffic = traffic or TrafficCounters()
        self._send_queue = PrioritySendQueue(self._traffic)
        self._outbox = Outbox(outbox, self._encode, capacity)
        fan_out = FanOut(self, accepting, types)
        self._inbox = DurableInbox(fan_out.hand_out, lambda: self.tell(self.ref, ConfirmationsDue()))

    def on_start(self) -> None:
        """Load the outbox and connect."""
        for row in self._outbox.load():
            self.publish(MalformedFrame(reason="a stored report can not be read", text=row.frame[:1000]))
        self._keepalive_timer = self.every(self._heartbeat, KeepaliveDue())
        self.tell(self.ref, ConnectDue())

    def on_stop(self) -> None:
        """Close the link."""
        link, self._link = self._link, None
        if link is not None:
            self._link_events.detach()
            link.close()
        if self._up:
            self._mark_down("the hub stops")
        self._outbox.write()

    # --- connecting -----------------------------------------------------------------------------------------------

    @on
    def on_connect_due(self, message: ConnectDue) -> None:
        """Fetch the certificates, then connect."""
        self._fetching = True
        self._certificates.fetch(self.ref)

    @on
    def on_certificates_failed(self, message: CertificatesFailed) -> None:
        """Retry later; when the rejection is final, tell whoever started the node."""
        if not self._fetching:
            return  # asked for by an incarnation before this one
        self._fetching = False
        self._warn_once(message.reason)
        if message.final and self._on_rejected is not None and not self._certified:
            self._on_rejected(message.reason)
        self.after(self._backoff.next_delay(), ConnectDue())

    @on
    def on_certificates_ready(self, message: CertificatesReady) -> None:
        """Open a link."""
        if not self._fetching:
            return  # asked for by an incarnation before this one
        self._fetching, self._certified = False, True
        self._renew_at = message.renew_at
        link = self._link = self._link_factory()
        self._link_events = LinkEventsAdapter(self.ref, link)
        link.open(self._url, self._headers, message.tls, self._link_events)

    @on
    def on_link_opened(self, message: LinkOpened) -> None:
        """Send a keepalive at once; an upstream cloud needs a moment before it can answer, a native one does not."""
        if message.link is not self._link:
            return
        self._opened_at = self.clock.monotonic()
        self._agreed = accepted_extensions(message.headers)
        if self._keepalive_timer is not None:
            self._keepalive_timer.cancel()
        self._keepalive_timer = self.every(self._heartbeat, KeepaliveDue())
        self._send_queue.send(message.link, self._encode(KeepAlive()))
        if self._agreed.acks:
            self.on_link_ready(LinkReady(link=message.link))
        else:
            self.after(LINK_READY_DELAY, LinkReady(link=message.link))

    @on
    def on_link_ready(self, message: LinkReady) -> None:
        """Publish LinkUp and send what waits."""
        if message.link is not self._link:
            return
        self._up = True
        self._outbox.on_link_up()
        self.log.info("connected to %s", self._url)
        self._outage.log_recovery(self.log, f"the link to {self._url} is back", self.clock.monotonic())
        self.publish(LinkUp(cloud_renews_lease=self._agreed.renews_lease, is_native=self._agreed.acks))
        self._flush()

    @on
    def on_link_closed(self, message: LinkClosed) -> None:
        """Publish LinkDown and reconnect later."""
        if message.link is not self._link:
            return
        self._link = None
        self._warn_once(message.closed.reason)
        if self._up:
            self._backoff.on_disconnected(self.clock.monotonic() - self._opened_at)
            self._mark_down(message.closed.reason)
        self._send_queue.clear()
        self.after(self._backoff.next_delay(message.closed.retry_after), ConnectDue())

    def _mark_down(self, reason: str) -> None:
        self._up = False
        self._oldest_request_at = None
        self._send_queue.clear()
        self._outbox.on_link_down()
        self._inbox.on_session_closed("")
        self.publish(LinkDown(reason=reason))

    def _warn_once(self, reason: str) -> None:
        if self._outage.on_failure(reason, self.clock.monotonic()):
            self.log.warning("no link to %s: %s", self._url, reason)

    @on
    def on_keepalive_due(self, message: KeepaliveDue) -> None:
        """Send a keepalive, resend overdue reports, renew the certificate when it is time."""
        if not self._up or self._link is None:
            return
        now = self.clock.monotonic()
        if self._oldest_request_at is not None and now - self._oldest_request_at > RESPONSE_TIMEOUT:
            self._warn_once("the cloud does not answer")
            self._link.close()
            return
        self._send_queue.put(Priority.KEEPALIVE, self._encode(KeepAlive()))
        for frame in self._outbox.due_resends(now):
            self._send_queue.put(Priority.STATUS, frame)
        self._flush()
        if self._renew_at and self._renew_at <= self.clock.now():
            self._renew_at = 0.0
            self._certificates.renew(self.ref)

    @on
    def on_renewal_finished(self, message: RenewalFinished) -> None:
        """Reconnect with the new certificate, or retry the renewal later."""
        if message.failure:
            self.log.warning("the certificate could not be renewed: %s", message.failure)
            self._renew_at = self.clock.now() + RENEWAL_RETRY_SECONDS
        elif self._link is not None:
            self._link.close()

    # --- down -----------------------------------------------------------------------------------------------------

    @on(batch=BATCH_SIZE)
    def on_frame_received(self, messages: list[FrameReceived]) -> None:
        """Decode frames of the cloud and publish the messages."""
        for message in messages:
            self._on_frame(message.text)
        self._schedule_cleanup()
        self._flush()

    def _on_frame(self, text: str) -> None:
        self._oldest_request_at = None
        self._traffic.count(DOWN, text)
        try:
            message = message_of(text)
        except FrameError as error:
            self.publish(MalformedFrame(reason=str(error), text=text[:1000]))
            return
        match message:
            case None:
                pass
            case Response():
                self.tell(asker_of(message), message)
            case OutboxAcknowledged():
                self._outbox.on_acked(message.ids)
            case BusPublish() | CustomMessage() if self._agreed.wants_confirmation:
                self._inbox.accept(message)
            case _ if type(message) in mapping.DOWNWARD or isinstance(message, UnknownMessage):
                if isinstance(message, ReportStored):
                    self._outbox.on_confirmed(message.parent_msg_id)
                self.publish(message)
            case _:
                self.publish(MalformedFrame(reason=f"a cloud does not say {type(message).__name__}", text=text[:1000]))

    @on
    def on_confirmations_due(self, message: ConfirmationsDue) -> None:
        """Tell the cloud which of its messages were handled, so that it does not send them again."""
        for msg_id in self._inbox.take_ready_ids():
            self._send_queue.put(Priority.STATUS, self._encode(confirmation(msg_id)))
        self._flush()

    # --- up: said once ----------------------------------------------------------------------------------------

    @on
    def on_request(self, message: Request) -> None:
        """Send a request now, or answer ErrorResponse."""
        lane = priority_of(message)
        if not self._up:
            self._respond_error(message, "not connected")
        elif self._send_queue.is_full(lane):
            self._respond_error(message, "the link is congested")
        else:
            try:
                self._send_queue.put(lane, self._encode(message))
            except WireError as error:
                self._respond_error(message, str(error))
            else:
                self._oldest_request_at = self._oldest_request_at or self.clock.monotonic()
                self._flush()

    @on
    def on_one_way_message(self, message: OneWayMessage) -> None:
        """Send now or drop: the cloud resends what was not acknowledged."""
        if self._up and (frame := self._encode_or_dead_letter(message)):
            self._send_queue.put(Priority.STATUS, frame)
            self._flush()

    def _respond_error(self, message: Request, reason: str) -> None:
        self.tell(asker_of(message), error_response(message, reason))

    # --- up: kept until the cloud has it --------------------------------------------------------------------------

    @on(batch=BATCH_SIZE)
    def on_device_reports(self, messages: list[TwinReported | DeviceStateReported]) -> None:
        """Queue reports of devices; DeviceTwin may have stored them already."""
        self._outbox.add_reports([message for message in messages if self._encode_or_dead_letter(message)])
        self._flush()

    @on
    def on_flush_request(self, message: FlushRequest) -> None:
        """Answered at once: durable messages are stored before their handler returns."""

    @on(batch=BATCH_SIZE)
    def on_durable_messages(self, messages: list[DurableMessage]) -> None:
        """Store durable messages, in order, and send them."""
        frames = ((message.msg_id, self._encode_or_dead_letter(message)) for message in messages)
        rows = [OutboxRow(msg_id, frame) for msg_id, frame in frames if frame]
        custom = isinstance(messages[0], CustomMessage)
        if not self._outbox.add(rows, CUSTOM_SHARE if custom else 1.0):
            for message in messages if custom else ():
                self.reply_later(message).fail(AnswerLost(f"edgehub: {NO_ROOM}"))
            for row in rows:
                self._send_unstored(row, custom=custom)
        self._flush()

    def _send_unstored(self, row: OutboxRow, *, custom: bool) -> None:
        """The store does not take it: say it now if somebody listens, else it is lost, and not in silence."""
        if self._up and not custom and not self._send_queue.is_full(Priority.STATUS):
            self._send_queue.put(Priority.STATUS, row.frame)
        else:
            self.publish(Undeliverable(reason=NO_ROOM, text=row.frame[:1000]))

    def _encode_or_dead_letter(self, message: LinkMessage) -> str:
        """The frame of a message; empty, and a dead letter, when it has none."""
        try:
            return self._encode(message)
        except WireError as error:
            self.publish(Undeliverable(reason=str(error), text=repr(message)[:1000]))
            return ""

    def _schedule_cleanup(self) -> None:
        if self._outbox.has_removals and not self._cleanup_scheduled:
            self._cleanup_scheduled = True
            self.after(CLEANUP_DELAY, OutboxCleanupDue())

    @on
    def on_outbox_cleanup_due(self, message: OutboxCleanupDue) -> None:
        """Remove from the store what the cloud has."""
        self._cleanup_scheduled = False
        self._outbox.write()

    # --- the link -------------------------------------------------------------------------------------------------

    @on
    def on_frames_written(self, message: FramesWritten) -> None:
        """Send more. For a cloud that does not acknowledge, written counts as acknowledged."""
        if message.link is not self._link:
            return
        self._send_queue.on_written(len(message.marks))
        if not self._agreed.acks:
            self._outbox.on_acked(message.marks)
            self._schedule_cleanup()
        self._flush()

    def _flush(self) -> None:
        link = self._link
        while self._up and link is not None and self._send_queue.has_room:
            frame, mark = self._next_frame()
            if not frame:
                return
            self._send_queue.send(link, frame, mark)

    def _next_frame(self) -> tuple[str, str]:
        frame = self._send_queue.take()
        return (frame, "") if frame else self._outbox.next_frame(self.clock.monotonic())

    def _encode(self, message: LinkMessage) -> str:
        return beehive.encode(mapping.to_beehive(message, int(self.clock.now() * 1000)))
