"""The actor that waits for the API for SyncController: writes records down, fetches what is said again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from kubeedge_actors.actors.synccontroller.ledger import NOTHING, Record, Write
from kubeedge_actors.actors.synccontroller.wording import deletion, sync_object, sync_place, sync_status, update
from kubeedge_actors.drivers.cluster.base import Cluster, Kind, temporary
from kubeedge_actors.errors import AlreadyExists, ClusterError, NotFound
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import kinds, names
from kubeedge_actors.wire.messages import ObjectPushed

CLERK = f"{names.SYNCCONTROLLER}-clerk"


@dataclass(frozen=True, slots=True)
class WriteDown:
    """Make these changes of records; the answer is the list of those that the API has now (or will never take)."""

    writes: list[Write]


@dataclass(frozen=True, slots=True)
class SayAgain:
    """Fetch the object of this record and push it to the node."""

    node: str
    record: Record


class Clerk(Module):
    """One API call after the other."""

    group = names.SYNCCONTROLLER
    emits = (ObjectPushed,)

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    @on
    def write_down(self, order: WriteDown) -> list[Write]:
        """Write until the API fails for a while; what is left is not in the answer."""
        done: list[Write] = []
        for write in order.writes:
            try:
                self._write(write)
            except ClusterError as error:
                if temporary(error):
                    self.log.warning("what nodes have can not be written down at the moment: %s", error)
                    break
                self.log.warning("the record of %s %s on %s is not kept: %s", write.type, write.name, write.node, error)
            done.append(write)
        return done

    @on
    def say_again(self, order: SayAgain) -> None:
        """Push it as it is now; when the API is away SyncController asks again."""
        kind = Kind(*kinds.BY_TYPE[order.record.type])
        try:
            object = self._cluster.get(kind, order.record.namespace, order.record.name)
        except NotFound:
            self.publish(deletion(order.node, order.record))
        except ClusterError as error:
            self.log.warning(
                "%s %s can not be fetched for %s: %s", order.record.type, order.record.name, order.node, error
            )
        else:
            self.publish(update(order.node, order.record.type, object))

    def _write(self, write: Write) -> None:
        kind, namespace, name = sync_place(write)
        if write.version is None:
            with contextlib.suppress(NotFound):  # somebody else was quicker
                self._cluster.delete(kind, namespace, name)
            return
        if write.known:
            try:
                self._cluster.patch(kind, namespace, name, sync_status(write.version), subresource="status")
                return
            except NotFound:
                self.log.debug("the record %s is gone and made again", name)
        try:
            self._cluster.create(kind, namespace, sync_object(write))
        except AlreadyExists:
            if write.version == NOTHING:
                return  # another cloud has made it, and may know more
        self._cluster.patch(kind, namespace, name, sync_status(write.version), subresource="status")
