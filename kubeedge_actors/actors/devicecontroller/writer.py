"""The actors that write DeviceStatus objects and wait for the API meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubeedge_actors.actors.devicecontroller.roster import device_id, property_names
from kubeedge_actors.actors.devicecontroller.twins import apply
from kubeedge_actors.drivers.cluster.base import Cluster, Kind, identity
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes.objects import owner_reference
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import kinds, names

Json = dict[str, Any]

DEVICE_KIND, STATUS_KIND = Kind(*kinds.DEVICE), Kind(*kinds.DEVICESTATUS)
TRIES = 4


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Store what was reported of `device` (the object); answered when it is done.

    Nothing reported: see that its DeviceStatus exists.
    """

    device: Json
    twins: dict[str, Json]
    state: Json


@dataclass(frozen=True, slots=True)
class RemoveStatus:
    """The device is gone: so has its DeviceStatus to be."""

    device: Json


class Shelf:
    """What the writers share and keep over their crashes.

    The statuses as they were last written, and whether Devices take a copy of them.
    """

    def __init__(self) -> None:
        self.known: dict[str, Json] = {}
        self.copying = True


class StatusWriter(Module):
    """Writes one status after the other; one device's stay in order because they come to the same writer."""

    group = names.DEVICECONTROLLER

    def __init__(self, cluster: Cluster, shelf: Shelf) -> None:
        self._cluster = cluster
        self._shelf = shelf

    @on
    def write(self, order: WriteStatus) -> ClusterError | None:
        """Write it; the answer is None, or what the API refused."""
        refusal: ClusterError | None = None
        for _ in range(TRIES):
            try:
                status = self._write(order)
            except (Conflict, NotFound, AlreadyExists) as race:
                # what we remember is not what is there: somebody else wrote, deleted or made it
                self._shelf.known.pop(device_id(order.device), None)
                refusal = race
            except ClusterError as error:
                return error
            else:
                self._copy(order.device, status)
                return None
        return refusal

    @on
    def remove(self, order: RemoveStatus) -> None:
        """Delete it, unless it belongs to a successor of the device already."""
        who = identity(order.device)
        self._shelf.known.pop(device_id(order.device), None)
        try:
            status = self._cluster.get(STATUS_KIND, who.namespace, who.name)
            owners = {owner.get("uid") for owner in status["metadata"].get("ownerReferences") or ()}
            if not owners or who.uid in owners:
                self._cluster.delete(STATUS_KIND, who.namespace, who.name, uid=identity(status).uid)
        except NotFound:
            return
        except ClusterError as error:
            self.log.warning("the status of device %s could not be deleted: %s", device_id(order.device), error)

    def _write(self, order: WriteStatus) -> Json:
        who, id = identity(order.device), device_id(order.device)
        known = self._shelf.known.get(id)
        if known is None:
            try:
                known = self._cluster.get(STATUS_KIND, who.namespace, who.name)
            except NotFound:
                known = None
        if known is None:
            status = _changed({}, order)
            body = {"metadata": {"name": who.name, "ownerReferences": [_owner(order.device)]}, "status": status}
            written = self._cluster.create(STATUS_KIND, who.namespace, body)
        elif order.twins or order.state:
            status = _changed(known.get("status") or {}, order)
            patch = {"metadata": {"resourceVersion": identity(known).version}, "status": status}
            written = self._cluster.patch(STATUS_KIND, who.namespace, who.name, patch)
        else:
            written = known
        self._shelf.known[id] = {"metadata": written["metadata"], "status": written.get("status") or {}}
        return self._shelf.known[id]["status"]  # type: ignore[no-any-return]

    def _copy(self, device: Json, status: Json) -> None:
        """The same beside the Device's spec, for those who look there.

        An API whose schema does not know it drops it: then no more.
        """
        if not self._shelf.copying or not status:
            return
        who = identity(device)
        try:
            answer = self._cluster.patch(DEVICE_KIND, who.namespace, who.name, {"status": status})
        except ClusterError as error:
            self.log.debug("no copy of the status in device %s: %s", device_id(device), error)
            return
        if "twins" in status and "twins" not in (answer.get("status") or {}):
            self._shelf.copying = False


def _changed(status: Json, order: WriteStatus) -> Json:
    if not order.twins:
        return order.state
    return {**order.state, "twins": apply(status.get("twins") or [], order.twins, property_names(order.device))}


def _owner(device: Json) -> Json:
    who = identity(device)
    return owner_reference(DEVICE_KIND.api_version, DEVICE_KIND.kind, who.name, who.uid)
