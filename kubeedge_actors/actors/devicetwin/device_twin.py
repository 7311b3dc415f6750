"""The actor DeviceTwin: commits what a turn changed, then publishes."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from kubeedge_actors.actors.devicetwin import history, membership
from kubeedge_actors.actors.devicetwin.device_objects import DeviceObjects
from kubeedge_actors.actors.devicetwin.devices import RESIDENT, Devices
from kubeedge_actors.actors.devicetwin.dttypes import INTERNAL, Rejection
from kubeedge_actors.actors.devicetwin.transaction import TwinTransaction
from kubeedge_actors.actors.devicetwin.twin_handlers import TwinHandlers, error_result
from kubeedge_actors.actors.devicetwin.twin_query import answer_query
from kubeedge_actors.drivers.store.base import MetaStore, TwinStore
from kubeedge_actors.errors import StoreError
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    AttributesChanged,
    DeviceChanged,
    DeviceStateReported,
    DeviceStateUpdate,
    FlushRequest,
    LinkDown,
    LinkUp,
    MembershipDetail,
    MembershipGet,
    MembershipRequest,
    MembershipUpdate,
    Message,
    MqttPublish,
    ReportStored,
    TwinAnswer,
    TwinCloudUpdated,
    TwinGet,
    TwinHistoryGet,
    TwinQuery,
    TwinReported,
    TwinSynced,
    TwinUpdate,
    TwinUpdated,
)

BATCH = 256
PRUNE_SECONDS, PRUNE_TURNS = 60.0, 60
"""Each minute a sixtieth of the histories is looked through."""


class HistoryPruneDue(Message, frozen=True, kw_only=True):
    """Time to forget what is too old in the histories."""


class DeviceTwin(Module):
    """Twins, states and membership of the devices of `node`.

    `has_cloud`: whether there is an EdgeHub to report to. `publish_updates`: whether some module wants TwinUpdated, now or as asked at
    each change. `meta`: where MetaManager keeps what the cloud said. `resident`: devices whose twins stay in memory. What
    was changed is in the database, and the report about it in the outbox, before anybody hears of it.
    """

    name = constants.DEVICETWIN
    group = constants.GROUP_TWIN
    emits = (MqttPublish, TwinUpdated, TwinReported, DeviceStateReported, MembershipRequest, HistoryPruneDue)

    def __init__(
        self,
        node: str,
        store: TwinStore,
        *,
        has_cloud: bool = True,
        publish_updates: Callable[[], bool] | bool = True,
        meta: MetaStore | None = None,
        resident: int = RESIDENT,
    ) -> None:
        self._node, self._store, self._cloud, self._facts = node, store, has_cloud, publish_updates
        self._meta, self._resident, self._turn = meta, resident, 0

    def on_start(self) -> None:
        """Load all devices, and apply what the cloud said last. Error: StoreError, a crash."""
        self._store.null_empty_values()  # an empty value counts as never given from now on, as in the original
        self._twin_handlers = TwinHandlers(
            self._node, Devices(self._store, self._resident), publish_updates=self._facts
        )
        self._objects = DeviceObjects(self._twin_handlers)
        if self._meta is not None:
            for changes in self._objects.pending_transactions(self._meta, self._store, self._now()):
                self._commit(changes, self._now())
        self._warn()
        self.every(PRUNE_SECONDS, HistoryPruneDue())

    # --- from devices and applications ----------------------------------------------------------------------------

    @on(batch=BATCH)
    def on_twin_update(self, messages: list[TwinUpdate]) -> list[object]:
        """Handle all queued updates, commit once, then publish the results. An asker gets "", or why it was not committed."""
        changes, now = TwinTransaction(), self._now()
        for message in messages:
            self._twin_handlers.update(changes, message.device, message.payload, now)
        return [self._commit(changes, now)] * len(messages)

    @on(batch=BATCH)
    def on_twin_cloud_updated(self, messages: list[TwinCloudUpdated]) -> None:
        """Sync twins by versions, sent by MQTT (a cloud of KubeEdge 0.2)."""
        changes, now = TwinTransaction(), self._now()
        for message in messages:
            self._twin_handlers.sync(changes, message.device, message.payload, now)
        self._commit(changes, now)

    @on
    def on_twin_get(self, message: TwinGet) -> None:
        """Answer `twin/get` from memory, which holds committed values only."""
        self.publish(self._twin_handlers.get(message.device, message.payload, self._now()))
        self._twin_handlers.devices.evict()

    @on
    def on_twin_query(self, message: TwinQuery) -> TwinAnswer:
        """Answer a module from memory, which holds committed values only."""
        answer = answer_query(self._twin_handlers.devices, message.device)
        self._twin_handlers.devices.evict()
        return answer

    @on
    def on_membership_get(self, message: MembershipGet) -> None:
        """Answer `membership/get` from memory."""
        self.publish(membership.membership_response(self._twin_handlers, message.payload, self._now()))

    @on(batch=BATCH)
    def on_device_state_update(self, messages: list[DeviceStateUpdate]) -> list[object]:
        """Store and report the states of devices."""
        changes, now = TwinTransaction(), self._now()
        for message in messages:
            if fault := self._twin_handlers.update_state(changes, message.device, message.payload, now):
                self.log.debug("a state of %s is passed over: %s", message.device, fault)
        return [self._commit(changes, now)] * len(messages)

    @on
    def on_twin_history_get(self, message: TwinHistoryGet) -> None:
        """Answer `twin/history/get` from the database."""
        self.publish(
            history.history_response(self._twin_handlers.devices, message.device, message.payload, self._now())
        )
        self._twin_handlers.devices.evict()

    @on
    def on_history_prune_due(self, message: HistoryPruneDue) -> None:
        """Forget what is too old."""
        changes, now = TwinTransaction(), self._now()
        self._turn = (self._turn + 1) % PRUNE_TURNS
        ids = sorted(self._twin_handlers.devices.settings)[self._turn :: PRUNE_TURNS]
        history.prune_history(changes, self._twin_handlers.devices, ids, now)
        self._commit(changes, now)

    # --- from the cloud ---------------------------------------------------------------------------------------------

    @on
    def on_membership_update(self, message: MembershipUpdate) -> None:
        """Add or remove members."""
        changes, now = TwinTransaction(), self._now()
        self._warn_malformed(membership.update_membership(self._twin_handlers, changes, message.content, now))
        self._commit(changes, now)

    @on
    def on_membership_detail(self, message: MembershipDetail) -> None:
        """Replace the member list."""
        changes, now = TwinTransaction(), self._now()
        self._warn_malformed(membership.replace_membership(self._twin_handlers, changes, message.content, now))
        self._commit(changes, now)

    @on
    def on_twin_synced(self, message: TwinSynced) -> None:
        """Sync twins by versions, sent over the link (a cloud before the DeviceController)."""
        changes, now = TwinTransaction(), self._now()
        self._twin_handlers.sync(changes, message.device, msgspec.json.encode(message.content), now)
        self._commit(changes, now)

    @on
    def on_attributes_changed(self, message: AttributesChanged) -> None:
        """Change attributes of a device, sent by such a cloud."""
        changes, now = TwinTransaction(), self._now()
        self._warn_malformed(
            membership.update_device_attributes(self._twin_handlers, changes, message.device, message.content, now)
        )
        self._commit(changes, now)

    def _warn_malformed(self, fault: str) -> None:
        if fault:
            self.log.warning("a message of the cloud about devices is malformed and ignored: %s", fault)

    @on
    def on_device_changed(self, message: DeviceChanged) -> None:
        """Apply a Device (member and desired values) or a DeviceModel (types of properties)."""
        changes, now = TwinTransaction(), self._now()
        self._objects.apply_change(changes, message.type, message.operation, message.object, now)
        self._warn()
        self._commit(changes, now)

    def _warn(self) -> None:
        for fault in self._objects.errors:
            self.log.warning("%s", fault)
        self._objects.errors.clear()

    @on
    def on_link_up(self, message: LinkUp) -> None:
        """Ask the cloud which devices are members."""
        self.tell(
            constants.EDGEHUB,
            MembershipRequest(content=membership.membership_request(self._twin_handlers, self._now())),
        )

    @on
    def on_link_down_or_report_stored(self, message: LinkDown | ReportStored) -> None:
        """Nothing to do: what is to be reported waits in the outbox, and EdgeHub removes from it what the cloud has."""

    @on
    def on_flush_request(self, message: FlushRequest) -> None:
        """Each handler commits before it returns, so what came before this is stored."""

    # --- one turn -----------------------------------------------------------------------------------------------------

    def _commit(self, changes: TwinTransaction, now: int) -> str:
        """Commit, then speak. When the database refuses, nothing of it has happened, and whoever waits is told; why."""
        reports = changes.reports(self._twin_handlers.event, now) if self._cloud else []
        rows = changes.to_changes(reports, now)
        try:
            if rows is not None:
                self._store.apply(rows)
        except StoreError as error:
            self._roll_back(changes, str(error), now)
            return str(error)
        # what modules hear of a change comes before its answer: who is answered may rely on durable mailboxes having it
        self.context.publish_all([message for message in changes.messages if type(message) is TwinUpdated])
        for message in changes.messages:
            if type(message) is not TwinUpdated:
                self.publish(message)
        for report in reports:
            self.tell(constants.EDGEHUB, report)
        self._twin_handlers.devices.evict()
        return ""

    def _roll_back(self, changes: TwinTransaction, reason: str, now: int) -> None:
        self.log.warning("twins could not be stored: %s", reason)
        for message in changes.on_failure:
            self.publish(message)
        for device, event in changes.pending_results:
            self.publish(error_result(device, event, Rejection(INTERNAL, reason), now))
        self._twin_handlers.devices.rollback()

    def _now(self) -> int:
        return int(self.clock.now() * 1000)
