"""DeviceTwin, the shell: commits what a turn changed, then speaks."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kubeedge_actors.actors.devicetwin import history, membership
from kubeedge_actors.actors.devicetwin.changes import Changes
from kubeedge_actors.actors.devicetwin.devices import RESIDENT, Devices
from kubeedge_actors.actors.devicetwin.mirror import Mirror, refusal
from kubeedge_actors.actors.devicetwin.objects import Objects
from kubeedge_actors.actors.devicetwin.payloads import INTERNAL, Rejection
from kubeedge_actors.drivers.store.base import MetaStore, TwinStore
from kubeedge_actors.errors import StoreError
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import (
    AskMembership,
    AskStored,
    AttributesChanged,
    DeviceChanged,
    DeviceStateReported,
    DeviceStateUpdate,
    LinkDown,
    LinkUp,
    MembershipChanged,
    MembershipDetailed,
    MembershipGet,
    Message,
    MqttPublish,
    ReportConfirmed,
    TwinCloudUpdated,
    TwinGet,
    TwinHistoryGet,
    TwinReported,
    TwinSynced,
    TwinUpdate,
    TwinUpdated,
)

BATCH = 256
PRUNE_SECONDS, PRUNE_TURNS = 60.0, 60
"""Each minute a sixtieth of the histories is looked through."""


class Prune(Message, frozen=True, kw_only=True):
    """Time to forget what is too old in the histories."""


class DeviceTwin(Module):
    """The software mirror of the devices of `node`.

    `cloud`: whether there is an EdgeHub to report to. `facts`: whether some module wants TwinUpdated, now or as asked at
    each change. `meta`: where MetaManager keeps what the cloud said. `resident`: devices whose twins stay in memory. What
    was changed is in the database, and the report about it in the outbox, before anybody hears of it.
    """

    name = names.DEVICETWIN
    group = names.GROUP_TWIN
    emits = (MqttPublish, TwinUpdated, TwinReported, DeviceStateReported, AskMembership, Prune)

    def __init__(
        self,
        node: str,
        store: TwinStore,
        *,
        cloud: bool = True,
        facts: Callable[[], bool] | bool = True,
        meta: MetaStore | None = None,
        resident: int = RESIDENT,
    ) -> None:
        self._node, self._store, self._cloud, self._facts = node, store, cloud, facts
        self._meta, self._resident, self._turn = meta, resident, 0

    def on_start(self) -> None:
        """Remember all devices, and what the cloud last said of them. Error: StoreError, a crash."""
        self._store.forget_empty()  # an empty value counts as never given from now on, as in the original
        self._mirror = Mirror(self._node, Devices(self._store, self._resident), facts=self._facts)
        self._objects = Objects(self._mirror)
        if self._meta is not None:
            for changes in self._objects.stored(self._meta, self._store, self._now()):
                self._commit(changes, self._now())
        self._warn()
        self.every(PRUNE_SECONDS, Prune())

    # --- from devices and applications ----------------------------------------------------------------------------

    @on(batch=BATCH)
    def update(self, messages: list[TwinUpdate]) -> list[object]:
        """Take all that is queued, commit it once, then publish the results. Who asks hears why it was not committed."""
        changes, now = Changes(), self._now()
        for message in messages:
            self._mirror.update(changes, message.device, message.payload, now)
        return [self._commit(changes, now)] * len(messages)

    @on(batch=BATCH)
    def sync(self, messages: list[TwinCloudUpdated]) -> None:
        """The cloud speaks by MQTT (v0.2)."""
        changes, now = Changes(), self._now()
        for message in messages:
            self._mirror.sync(changes, message.device, message.payload, now)
        self._commit(changes, now)

    @on
    def get(self, message: TwinGet) -> None:
        """Answer from memory; whatever is in it is committed."""
        self.publish(self._mirror.get(message.device, message.payload, self._now()))
        self._mirror.devices.trim()

    @on
    def members(self, message: MembershipGet) -> None:
        """Answer from memory."""
        self.publish(membership.listed(self._mirror, message.payload, self._now()))

    @on(batch=BATCH)
    def state(self, messages: list[DeviceStateUpdate]) -> list[object]:
        """Devices say how they are."""
        changes, now = Changes(), self._now()
        for message in messages:
            if fault := self._mirror.state(changes, message.device, message.payload, now):
                self.log.debug("a state of %s is passed over: %s", message.device, fault)
        return [self._commit(changes, now)] * len(messages)

    @on
    def past(self, message: TwinHistoryGet) -> None:
        """Answer from the database."""
        self.publish(history.told(self._mirror.devices, message.device, message.payload, self._now()))
        self._mirror.devices.trim()

    @on
    def prune(self, message: Prune) -> None:
        """Forget what is too old."""
        changes, now = Changes(), self._now()
        self._turn = (self._turn + 1) % PRUNE_TURNS
        ids = sorted(self._mirror.devices.settings)[self._turn :: PRUNE_TURNS]
        history.prune(changes, self._mirror.devices, ids, now)
        self._commit(changes, now)

    # --- from the cloud ---------------------------------------------------------------------------------------------

    @on
    def changed(self, message: MembershipChanged) -> None:
        """Devices joined or left."""
        changes, now = Changes(), self._now()
        self._doubt(membership.change(self._mirror, changes, message.content, now))
        self._commit(changes, now)

    @on
    def detailed(self, message: MembershipDetailed) -> None:
        """The whole list."""
        changes, now = Changes(), self._now()
        self._doubt(membership.replace(self._mirror, changes, message.content, now))
        self._commit(changes, now)

    @on
    def synced(self, message: TwinSynced) -> None:
        """The cloud speaks over the link (before devicecontroller existed)."""
        changes, now = Changes(), self._now()
        self._mirror.sync(changes, message.device, msgspec.json.encode(message.content), now)
        self._commit(changes, now)

    @on
    def attributes(self, message: AttributesChanged) -> None:
        """The same cloud changes attributes."""
        changes, now = Changes(), self._now()
        self._doubt(membership.attributes_of(self._mirror, changes, message.device, message.content, now))
        self._commit(changes, now)

    def _doubt(self, fault: str) -> None:
        if fault:
            self.log.warning("a message of the cloud about devices can not be read: %s", fault)

    @on
    def device(self, message: DeviceChanged) -> None:
        """A Device object makes a member and says what is desired of it; a model says the types of its properties."""
        changes, now = Changes(), self._now()
        self._objects.changed(changes, message.type, message.operation, message.object, now)
        self._warn()
        self._commit(changes, now)

    def _warn(self) -> None:
        for fault in self._objects.faults:
            self.log.warning("%s", fault)
        self._objects.faults.clear()

    @on
    def up(self, message: LinkUp) -> None:
        """Ask which devices are members."""
        self.tell(names.EDGEHUB, AskMembership(content=membership.question(self._mirror, self._now())))

    @on
    def passed(self, message: LinkDown | ReportConfirmed) -> None:
        """Nothing to do: what is to be reported waits in the outbox, and EdgeHub removes from it what the cloud has."""

    @on
    def stored(self, message: AskStored) -> None:
        """Each handler commits before it returns, so what came before this is stored."""

    # --- one turn -----------------------------------------------------------------------------------------------------

    def _commit(self, changes: Changes, now: int) -> str:
        """Commit, then speak. When the database refuses, nothing of it has happened, and whoever waits is told; why."""
        reports = changes.reports(self._mirror.event, now) if self._cloud else []
        rows = changes.rows(reports, now)
        try:
            if rows is not None:
                self._store.apply(rows)
        except StoreError as error:
            self._undo(changes, str(error), now)
            return str(error)
        for message in changes.said:
            self.publish(message)
        for report in reports:
            self.tell(names.EDGEHUB, report)
        self._mirror.devices.trim()
        return ""

    def _undo(self, changes: Changes, reason: str, now: int) -> None:
        self.log.warning("twins could not be stored: %s", reason)
        for message in changes.regardless:
            self.publish(message)
        for device, event in changes.promised:
            self.publish(refusal(device, event, Rejection(INTERNAL, reason), now))
        self._mirror.devices.reload()

    def _now(self) -> int:
        return int(self.clock.now() * 1000)
