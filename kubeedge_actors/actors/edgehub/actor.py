"""EdgeHub, the shell: connects, beats, hears, says, and keeps what must not be lost until the cloud has it."""

from __future__ import annotations

import random
from collections.abc import Callable

from kubeedge_actors.actors.edgehub.backlog import Backlog
from kubeedge_actors.actors.edgehub.certificates import Certificates, in_thread
from kubeedge_actors.actors.edgehub.events import (
    EVENTS,
    Beat,
    Certified,
    Dial,
    FrameCame,
    FramesWritten,
    Gate,
    LinkClosed,
    LinkOpened,
    MalformedFrame,
    Renewed,
    Settled,
    Tidy,
    Uncertified,
    Undeliverable,
)
from kubeedge_actors.actors.edgehub.lanes import Asking, Lane, Lanes, Telling, lane_of
from kubeedge_actors.actors.edgehub.patience import Patience
from kubeedge_actors.actors.edgehub.tally import DOWN, UP, Tally
from kubeedge_actors.drivers.link.base import Credentials, Link
from kubeedge_actors.drivers.store.base import OutboxRow, OutboxStore
from kubeedge_actors.errors import FrameError, WireError
from kubeedge_actors.module import Module, on
from kubeedge_actors.outages import Outage
from kubeedge_actors.supervisors import Timer
from kubeedge_actors.wire import codec, mapping, names
from kubeedge_actors.wire.messages import (
    Answered,
    AskStored,
    BusUploaded,
    DeletePod,
    DeviceStateReported,
    KeepAlive,
    LinkDown,
    LinkUp,
    OutboxAcknowledged,
    Refused,
    ReportConfirmed,
    ReportEvent,
    Said,
    TwinReported,
    UnknownRecord,
)
from kubeedge_actors.wire.record import Route

OWN = frozenset({Answered, OutboxAcknowledged})
"""What the cloud says to this module, or to one named module, and is therefore not published."""

BATCH = 256
CAPACITY = 100_000
TIDY_SECONDS = 0.2
SETTLE_SECONDS = 0.2
SILENCE_SECONDS = 60.0
RENEWAL_RETRY_SECONDS = 30.0
ACCEPTED = "1"


class EdgeHub(Module):
    """The edge's end of the link.

    `url`: wss://host:port. `links` makes a fresh Link. `credentials` None: no TLS. `refused` is called with a sentence, on the hub's
    thread, when certificates are refused for good before there were any. `capacity`: messages kept for the cloud, reports of devices
    apart. `tally` counts what goes over the link. `background` runs what blocks; `chance` gives numbers from 0 to 1.
    """

    name = names.EDGEHUB
    group = names.GROUP_HUB
    emits = (
        LinkUp,
        LinkDown,
        Answered,
        Refused,
        *sorted(mapping.DOWNWARD - OWN, key=lambda said: said.__name__),
        UnknownRecord,
        *EVENTS,
    )

    def __init__(
        self,
        *,
        node_name: str,
        url: str,
        links: Callable[[], Link],
        credentials: Credentials | None,
        outbox: OutboxStore,
        heartbeat: float = 15.0,
        project: str = names.DEFAULT_PROJECT,
        refused: Callable[[str], object] | None = None,
        capacity: int = CAPACITY,
        tally: Tally | None = None,
        chance: Callable[[], float] | None = None,
        background: Callable[[Callable[[], None]], None] = in_thread,
    ) -> None:
        self._url = f"{url.rstrip('/')}/{project}/{node_name}/events"
        self._headers = {
            names.HEADER_NODE: node_name,
            names.HEADER_PROJECT: project,
            names.HEADER_USE: names.USE_MESSAGES,
            names.HEADER_ACK: ACCEPTED,
            names.HEADER_LEASE: ACCEPTED,
        }
        self._links = links
        self._certificates = Certificates(credentials, background)
        self._heartbeat = heartbeat
        self._refused = refused
        self._patience = Patience(chance or random.Random().random)
        self._link: Link | None = None
        self._fetching = self._certified = self._up = self._tidying = False
        self._acknowledged = self._leased = False
        self._opened_at = self._renew_at = 0.0
        self._asked_at: float | None = None
        self._outage = Outage()
        self._beats: Timer | None = None
        self._lanes = Lanes()
        self._tally = tally or Tally()
        self._backlog = Backlog(outbox, self._frame, capacity)

    def on_start(self) -> None:
        """Take up what waits since the last time, and connect."""
        for row in self._backlog.load():
            self.publish(MalformedFrame(reason="a stored report can not be read", text=row.frame[:1000]))
        self._beats = self.every(self._heartbeat, Beat())
        self.tell(self.ref, Dial())

    def on_stop(self) -> None:
        """Let the link go."""
        link, self._link = self._link, None
        if link is not None:
            self._gate.shut()
            link.close()
        if self._up:
            self._lose("the hub stops")
        self._backlog.write()

    # --- connecting -----------------------------------------------------------------------------------------------

    @on
    def dial(self, message: Dial) -> None:
        """Get the certificates, then connect."""
        self._fetching = True
        self._certificates.fetch(self.ref)

    @on
    def uncertified(self, message: Uncertified) -> None:
        """Try again later; a person may have to act."""
        if not self._fetching:
            return  # asked for by an incarnation before this one
        self._fetching = False
        self._complain(message.reason)
        if message.final and self._refused is not None and not self._certified:
            self._refused(message.reason)
        self.after(self._patience.next(), Dial())

    @on
    def certified(self, message: Certified) -> None:
        """Open a link."""
        if not self._fetching:
            return  # asked for by an incarnation before this one
        self._fetching, self._certified = False, True
        self._renew_at = message.renew_at
        link = self._link = self._links()
        self._gate = Gate(self.ref, link)
        link.open(self._url, self._headers, message.tls, self._gate)

    @on
    def opened(self, message: LinkOpened) -> None:
        """Beat at once; a genuine cloud needs a moment before it can answer, one of ours does not."""
        if message.link is not self._link:
            return
        self._opened_at = self.clock.monotonic()
        self._acknowledged = message.headers.get(names.HEADER_ACK.lower()) == ACCEPTED
        self._leased = message.headers.get(names.HEADER_LEASE.lower()) == ACCEPTED
        if self._beats is not None:
            self._beats.cancel()
        self._beats = self.every(self._heartbeat, Beat())
        self._give(message.link, self._frame(KeepAlive()), "")
        if self._acknowledged:
            self.settled(Settled(link=message.link))
        else:
            self.after(SETTLE_SECONDS, Settled(link=message.link))

    @on
    def settled(self, message: Settled) -> None:
        """The link is up for everybody."""
        if message.link is not self._link:
            return
        self._up = True
        self._backlog.up()
        self.log.info("connected to %s", self._url)
        self._outage.ended(self.log, f"the link to {self._url} is back", self.clock.monotonic())
        self.publish(LinkUp(leased=self._leased))
        self._pump()

    @on
    def closed(self, message: LinkClosed) -> None:
        """Say so, and try again later."""
        if message.link is not self._link:
            return
        self._link = None
        self._complain(message.closed.reason)
        if self._up:
            self._patience.lasted(self.clock.monotonic() - self._opened_at)
            self._lose(message.closed.reason)
        self._lanes.clear()
        self.after(self._patience.next(message.closed.retry_after), Dial())

    def _lose(self, reason: str) -> None:
        self._up = False
        self._asked_at = None
        self._lanes.clear()
        self._backlog.down()
        self.publish(LinkDown(reason=reason))

    def _complain(self, reason: str) -> None:
        if self._outage.gone(reason, self.clock.monotonic()):
            self.log.warning("no link to %s: %s", self._url, reason)

    @on
    def beat(self, message: Beat) -> None:
        """The heart-beat, and what is overdue."""
        if not self._up or self._link is None:
            return
        now = self.clock.monotonic()
        if self._asked_at is not None and now - self._asked_at > SILENCE_SECONDS:
            self._complain("the cloud does not answer")
            self._link.close()
            return
        self._lanes.put(Lane.BEAT, self._frame(KeepAlive()))
        for frame in self._backlog.overdue(now):
            self._lanes.put(Lane.STATUS, frame)
        self._pump()
        if self._renew_at and self._renew_at <= self.clock.now():
            self._renew_at = 0.0
            self._certificates.renew(self.ref)

    @on
    def renewed(self, message: Renewed) -> None:
        """Connect anew with the new certificate, or try again later with the old one."""
        if message.failure:
            self.log.warning("the certificate could not be renewed: %s", message.failure)
            self._renew_at = self.clock.now() + RENEWAL_RETRY_SECONDS
        elif self._link is not None:
            self._link.close()

    # --- down -----------------------------------------------------------------------------------------------------

    @on(batch=BATCH)
    def came(self, messages: list[FrameCame]) -> None:
        """Hand on what the cloud says."""
        for message in messages:
            self._hear(message.text)
        self._tidy_soon()
        self._pump()

    def _hear(self, text: str) -> None:
        self._asked_at = None
        self._tally.count(DOWN, text)
        try:
            record = codec.decode(text)
        except FrameError as error:
            self.publish(MalformedFrame(reason=str(error), text=text[:1000]))
            return
        if not record.header.msg_id and record.route == Route():
            return  # the empty message that a hub says when it stops
        message = mapping.from_record(record)
        match message:
            case Answered():
                self.tell(names.METAMANAGER, message)
            case OutboxAcknowledged():
                self._backlog.delivered(message.ids)
            case _ if type(message) in mapping.DOWNWARD or isinstance(message, UnknownRecord):
                if isinstance(message, ReportConfirmed):
                    self._backlog.confirmed(message.parent_msg_id)
                self.publish(message)
            case _:
                self.publish(MalformedFrame(reason=f"a cloud does not say {type(message).__name__}", text=text[:1000]))

    # --- up: said once ----------------------------------------------------------------------------------------

    @on
    def ask_cloud(self, message: Asking) -> None:
        """Say it now or refuse: whoever asks has to know."""
        lane = lane_of(message)
        if not self._up:
            self._refuse(message, "not connected")
        elif self._lanes.full(lane):
            self._refuse(message, "the link is congested")
        else:
            try:
                self._lanes.put(lane, self._frame(message))
            except WireError as error:
                self._refuse(message, str(error))
            else:
                self._asked_at = self._asked_at or self.clock.monotonic()
                self._pump()

    @on
    def tell_cloud(self, message: Telling) -> None:
        """Say it now or not at all: the cloud repeats what was not acknowledged."""
        if self._up and (frame := self._written_out(message)):
            self._lanes.put(Lane.STATUS, frame)
            self._pump()

    def _refuse(self, message: Asking, reason: str) -> None:
        try:
            resource = mapping.route_of(message).resource
        except WireError:
            resource = ""  # its name is what is wrong
        self.tell(names.METAMANAGER, Refused(parent_msg_id=message.msg_id, resource=resource, reason=reason))

    # --- up: kept until the cloud has it --------------------------------------------------------------------------

    @on(batch=BATCH)
    def keep_reports(self, messages: list[TwinReported | DeviceStateReported]) -> None:
        """Keep what a device has become; the device twin may have stored it already."""
        self._backlog.keep_reports([message for message in messages if self._written_out(message)])
        self._pump()

    @on
    def stored(self, message: AskStored) -> None:
        """What has to be kept is written before its handler returns."""

    @on(batch=BATCH)
    def keep(self, messages: list[ReportEvent | BusUploaded | DeletePod]) -> None:
        """Keep each, in order."""
        rows = [OutboxRow(each.msg_id, frame) for each in messages if (frame := self._written_out(each))]
        if not self._backlog.keep(rows):
            for row in rows:
                self._say_unkept(row)
        self._pump()

    def _say_unkept(self, row: OutboxRow) -> None:
        """The store does not take it: say it now if somebody listens, else it is lost, and not in silence."""
        if self._up and not self._lanes.full(Lane.STATUS):
            self._lanes.put(Lane.STATUS, row.frame)
        else:
            self.publish(Undeliverable(reason="the outbox takes no more", text=row.frame[:1000]))

    def _written_out(self, message: Said) -> str:
        """The frame of a message; empty, and a dead letter, when it has none."""
        try:
            return self._frame(message)
        except WireError as error:
            self.publish(Undeliverable(reason=str(error), text=repr(message)[:1000]))
            return ""

    def _tidy_soon(self) -> None:
        if self._backlog.untidy and not self._tidying:
            self._tidying = True
            self.after(TIDY_SECONDS, Tidy())

    @on
    def tidy(self, message: Tidy) -> None:
        """Remove from the store what the cloud has."""
        self._tidying = False
        self._backlog.write()

    # --- the link -------------------------------------------------------------------------------------------------

    @on
    def written(self, message: FramesWritten) -> None:
        """Give the link more. To a cloud that acknowledges nothing, what was written is said."""
        if message.link is not self._link:
            return
        self._lanes.written(len(message.marks))
        if not self._acknowledged:
            self._backlog.delivered(message.marks)
            self._tidy_soon()
        self._pump()

    def _pump(self) -> None:
        link = self._link
        while self._up and link is not None and self._lanes.room:
            frame, mark = self._next()
            if not frame:
                return
            self._give(link, frame, mark)

    def _next(self) -> tuple[str, str]:
        frame = self._lanes.take()
        return (frame, "") if frame else self._backlog.next(self.clock.monotonic())

    def _give(self, link: Link, frame: str, mark: str) -> None:
        self._lanes.sent(frame)
        self._tally.count(UP, frame)
        link.send(frame, mark)

    def _frame(self, message: Said) -> str:
        return codec.encode(mapping.to_record(message, int(self.clock.now() * 1000)))
