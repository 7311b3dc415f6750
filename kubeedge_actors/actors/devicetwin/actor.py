"""DeviceTwin, the shell: commits what a turn changed, then speaks."""

from __future__ import annotations

from kubeedge_actors.actors.devicetwin import membership
from kubeedge_actors.actors.devicetwin.changes import Changes
from kubeedge_actors.actors.devicetwin.desired import of_device, of_model
from kubeedge_actors.actors.devicetwin.devices import load
from kubeedge_actors.actors.devicetwin.mirror import Mirror, refusal
from kubeedge_actors.actors.devicetwin.payloads import INTERNAL, Rejection
from kubeedge_actors.drivers.store.base import TwinStore
from kubeedge_actors.errors import StoreError
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import (
    AskMembership,
    DeviceChanged,
    DeviceStateReported,
    DeviceStateUpdate,
    Json,
    LinkDown,
    LinkUp,
    MembershipChanged,
    MembershipDetailed,
    MembershipGet,
    MqttPublish,
    ReportConfirmed,
    TwinCloudUpdated,
    TwinGet,
    TwinReported,
    TwinUpdate,
    TwinUpdated,
)

BATCH = 256


class DeviceTwin(Module):
    """The software mirror of the devices of `node`.

    `cloud`: whether there is an EdgeHub to report to. `facts`: whether some module wants TwinUpdated. What was changed
    is in the database, and the report about it in the outbox, before anybody hears of it.
    """

    name = names.DEVICETWIN
    group = names.GROUP_TWIN
    emits = (MqttPublish, TwinUpdated, TwinReported, DeviceStateReported, AskMembership)

    def __init__(self, node: str, store: TwinStore, *, cloud: bool = True, facts: bool = True) -> None:
        self._node, self._store, self._cloud, self._facts = node, store, cloud, facts
        self._mirror = Mirror(node, {}, facts=facts)
        self._types: dict[str, dict[str, str]] = {}

    def on_start(self) -> None:
        """Remember all devices. Error: StoreError, a crash."""
        self._mirror.devices = load(self._store)

    # --- from devices and applications ----------------------------------------------------------------------------

    @on(batch=BATCH)
    def update(self, messages: list[TwinUpdate]) -> None:
        """Take all that is queued, commit it once, then publish the results."""
        changes, now = Changes(), self._now()
        for message in messages:
            self._mirror.update(changes, message.device, message.payload, now)
        self._commit(changes, now)

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

    @on
    def members(self, message: MembershipGet) -> None:
        """Answer from memory."""
        self.publish(membership.listed(self._mirror, message.payload, self._now()))

    @on(batch=BATCH)
    def state(self, messages: list[DeviceStateUpdate]) -> None:
        """Devices say how they are."""
        changes, now = Changes(), self._now()
        for message in messages:
            if fault := self._mirror.state(changes, message.device, message.payload, now):
                self.log.debug("a state of %s is passed over: %s", message.device, fault)
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

    def _doubt(self, fault: str) -> None:
        if fault:
            self.log.warning("a membership message of the cloud can not be read: %s", fault)

    @on
    def device(self, message: DeviceChanged) -> None:
        """A Device object makes a member and says what is desired of it; a model says the types of its properties."""
        if message.type == names.DEVICE:
            changes, now = Changes(), self._now()
            self._device(changes, message.operation, message.object, now)
            self._commit(changes, now)
            return
        member = membership.member_of(message.object)
        if member is not None and message.operation == names.DELETE:
            self._types.pop(member.id, None)
        elif member is not None:
            self._types[member.id] = of_model(message.object)

    def _device(self, changes: Changes, operation: str, object: Json, now: int) -> None:
        member = membership.member_of(object)
        if member is None:
            self.log.warning("a Device object without name is passed over")
            return
        if operation == names.DELETE:
            membership.remove(self._mirror, changes, member, now)
            return
        membership.add(self._mirror, changes, member, now)
        model = ((object.get("spec") or {}).get("deviceModelRef") or {}).get("name") or ""
        types = self._types.get(f"{member.id.partition('/')[0]}/{model}", {})
        unfit = self._mirror.wish(changes, self._mirror.devices[member.id], of_device(object, types), now)
        for prop, fault in unfit.items():
            self.log.warning("the desired %s of %s is not taken: %s", prop, member.id, fault)

    @on
    def up(self, message: LinkUp) -> None:
        """Ask which devices are members."""
        self.tell(names.EDGEHUB, AskMembership(content=membership.question(self._mirror, self._now())))

    @on
    def passed(self, message: LinkDown | ReportConfirmed) -> None:
        """Nothing to do: what is to be reported waits in the outbox, and EdgeHub removes from it what the cloud has."""

    # --- one turn -----------------------------------------------------------------------------------------------------

    def _commit(self, changes: Changes, now: int) -> None:
        """Commit, then speak. When the database refuses, nothing of it has happened, and whoever waits is told."""
        reports = changes.reports(self._mirror.event, now) if self._cloud else []
        rows = changes.rows(reports, now)
        try:
            if rows is not None:
                self._store.apply(rows)
        except StoreError as error:
            self._undo(changes, str(error), now)
            return
        for message in changes.said:
            self.publish(message)
        for report in reports:
            self.tell(names.EDGEHUB, report)

    def _undo(self, changes: Changes, reason: str, now: int) -> None:
        self.log.warning("twins could not be stored: %s", reason)
        for message in changes.regardless:
            self.publish(message)
        for device, event in changes.promised:
            self.publish(refusal(device, event, Rejection(INTERNAL, reason), now))
        self._mirror.devices = load(self._store)

    def _now(self) -> int:
        return int(self.clock.now() * 1000)
