"""The messages that stay inside one process. Import from messages.py, which has those that cross the link too."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

Json = dict[str, Any]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all messages between modules.

    `wire`: the name under which a class of one's own crosses the link, by `Module.up` and `Module.down`; empty: it does not.
    """

    wire: ClassVar[str] = ""


# --- inside the cloud ---------------------------------------------------------------------------------------------


class SessionOpened(Message, frozen=True, kw_only=True):
    """A node is connected: messages to it are delivered from now on. `confirms`: it confirms what modules of the cloud send it."""

    node: str
    confirms: bool = False


class SessionClosed(Message, frozen=True, kw_only=True):
    """A node's session has ended: what was not acknowledged has to be pushed again."""

    node: str
    reason: str


class NodeRemoved(Message, frozen=True, kw_only=True):
    """The v1.Node was deleted: its session ends, its records are deleted."""

    node: str


class KeepaliveReceived(Message, frozen=True, kw_only=True):
    """A keepalive of a node that writes no lease of its own: its Lease has to be renewed."""

    node: str


class NodeDuplicated(Message, frozen=True, kw_only=True):
    """Two connections take over one node from each other: `text` says from where, and what may be wrong."""

    node: str
    text: str


class ReportRefused(Message, frozen=True, kw_only=True):
    """A report of this node was for nothing: of a device that is not its own or that nobody knows, or it can not be understood."""

    node: str


class ObjectVersionDelivered(Message, frozen=True, kw_only=True):
    """A node got this version of an object as the answer to its own write.

    What others had changed in it before is pushed all the same: a node acts on pushes, not on answers.
    """

    node: str
    type: str
    namespace: str
    name: str
    uid: str
    resource_version: str


class LeadershipChanged(Message, frozen=True, kw_only=True):
    """Whether this replica leads; published at each change."""

    leading: bool


class MessageConfirmed(Message, frozen=True, kw_only=True):
    """A node has handled a message that waits for its confirmation."""

    node: str
    msg_id: str


class MessageNotRead(Message, frozen=True, kw_only=True):
    """A CustomMessage came over the link that no module here can take. Nobody accepts this, so it becomes a dead letter that says why.

    `node`: where it came from, empty at the edge; `content`: the head of its JSON text.
    """

    node: str
    type: str
    reason: str
    content: str


class NodeConnected(Message, frozen=True, kw_only=True):
    """A node has connected to this replica of the cloud: for modules of one's own."""

    node: str


class NodeDisconnected(Message, frozen=True, kw_only=True):
    """A node's connection to this replica has ended."""

    node: str
    reason: str


class ObjectChanged(Message, frozen=True, kw_only=True):
    """An object of the API that a module `watches` is there (insert), has changed (update) or is gone (delete).

    `type` as in `watches`, `v1/configmaps`; `object` is its newest state, of a deletion the last one.
    """

    operation: str
    type: str
    object: Json


class ApiCall(Message, frozen=True, kw_only=True):
    """Request to ApiClient: call the Kubernetes API. `method` is get, list, apply or patch; `type` as in `watches`.

    `body` is the object or the patch, `form` that of the patch (merge, strategic, json), `labels` and `fields` are selectors of a list.
    """

    method: str
    type: str
    namespace: str = ""
    name: str = ""
    body: Any = None
    form: str = "merge"
    labels: str = ""
    fields: str = ""


# --- inside the edge ----------------------------------------------------------------------------------------------


class LinkUp(Message, frozen=True, kw_only=True):
    """The cloud can be reached. `cloud_renews_lease`: it renews the node's lease with every heart-beat, so nobody need write it. `is_native`: it
    is one of ours.
    """

    cloud_renews_lease: bool = False
    is_native: bool = False


class LinkDown(Message, frozen=True, kw_only=True):
    """The cloud can not be reached any more."""

    reason: str


class ListPods(Message, frozen=True, kw_only=True):
    """Ask MetaManager for all stored pods; the answer is a list of Pod objects."""


class ListNodePods(Message, frozen=True):
    """Asks Edged for the pods of this node: a list of v1.Pod with the status that they have now (kubelet: /pods)."""


class ReleaseHeldPods(Message, frozen=True, kw_only=True):
    """Orders held pods to begin (`edge.kubeedge.io/hold-upgrade`): the one of this name, or without a name all; the answer: those that
    were held, as NAMESPACE/NAME.
    """

    namespace: str = ""
    name: str = ""


class PodChanged(Message, frozen=True, kw_only=True):
    """A v1.Pod of this node was stored, or is gone.

    `operation` is insert, update or delete; a delete may carry a stub without spec.
    """

    operation: str
    object: Json


class PodConfigChanged(Message, frozen=True, kw_only=True):
    """A v1.ConfigMap or v1.Secret was stored, or is gone; `operation` as of a PodChanged."""

    operation: str
    type: str
    namespace: str
    name: str


class DeviceChanged(Message, frozen=True, kw_only=True):
    """A Device or DeviceModel was stored; `type` is device or devicemodel."""

    operation: str
    type: str
    object: Json


class MqttReceived(Message, frozen=True, kw_only=True):
    """A client published on the broker of this node."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class MqttPublish(Message, frozen=True, kw_only=True):
    """Publish on the broker of this node."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


class MqttSubscribe(Message, frozen=True, kw_only=True):
    """From now on `MqttReceived` is published for topics that match `filter`."""

    filter: str


class MqttUnsubscribe(Message, frozen=True, kw_only=True):
    """The reverse of MqttSubscribe."""

    filter: str


class FlushRequest(Message, frozen=True, kw_only=True):
    """Request: answered when every message sent before is stored, or has ended as a dead letter."""


class TwinUpdate(Message, frozen=True, kw_only=True):
    """A device, mapper or application updates twins: the raw payload of `.../twin/update`."""

    device: str
    payload: bytes


class TwinGet(Message, frozen=True, kw_only=True):
    """The payload of `.../twin/get`."""

    device: str
    payload: bytes


class TwinHistoryGet(Message, frozen=True, kw_only=True):
    """The payload of `.../twin/history/get`."""

    device: str
    payload: bytes


class TwinCloudUpdated(Message, frozen=True, kw_only=True):
    """The payload of `.../twin/cloud_updated`."""

    device: str
    payload: bytes


class DeviceStateUpdate(Message, frozen=True, kw_only=True):
    """The payload of `.../state/update`."""

    device: str
    payload: bytes


class MembershipGet(Message, frozen=True, kw_only=True):
    """The payload of `$hw/events/node/<node>/membership/get`."""

    payload: bytes


class TwinUpdated(Message, frozen=True, kw_only=True):
    """Twins of a device changed and are stored.

    `twin` holds the changed properties in full, as in the twin document.
    """

    device: str
    twin: dict[str, Json | None]

    def actual(self, property: str, default: str = "") -> str:
        """The reported value of a property, or `default`."""
        return self._value(property, "actual", default)

    def expected(self, property: str, default: str = "") -> str:
        """The desired value of a property, or `default`."""
        return self._value(property, "expected", default)

    def _value(self, property: str, side: str, default: str) -> str:
        entry = self.twin.get(property) or {}
        return str((entry.get(side) or {}).get("value", default))


class TwinQuery(Message, frozen=True, kw_only=True):
    """Ask DeviceTwin what it knows; the answer is a TwinAnswer. An empty `device` asks which devices there are."""

    device: str = ""


class PropertyValue(msgspec.Struct, frozen=True, kw_only=True):
    """The expected or the actual value of a property.

    `timestamp`: when it was given, ms since the epoch, None when that was not said. Versions: how often cloud and edge have changed it.
    """

    value: str
    timestamp: int | None = None
    cloud_version: int = 0
    edge_version: int = 0


class PropertyTwin(msgspec.Struct, frozen=True, kw_only=True):
    """One property of a device: a side that nobody has given is None. `type` is that of its values: string, int, float, boolean."""

    expected: PropertyValue | None = None
    actual: PropertyValue | None = None
    type: str = "string"
    optional: bool = True


class TwinAnswer(Message, frozen=True, kw_only=True):
    """What DeviceTwin has stored, as the answer to a TwinQuery.

    Of one device: `known` is False when this node has no such device; `state` is as the device said it, `properties` are those that are not
    deleted. To an empty question: `devices` holds the ids of all devices, sorted.
    """

    device: str = ""
    known: bool = True
    devices: tuple[str, ...] = ()
    state: str = ""
    properties: dict[str, PropertyTwin] = {}

    def actual(self, property: str, default: str = "") -> str:
        """The reported value of a property, or `default`."""
        found = self.properties.get(property)
        return found.actual.value if found is not None and found.actual is not None else default

    def expected(self, property: str, default: str = "") -> str:
        """The desired value of a property, or `default`."""
        found = self.properties.get(property)
        return found.expected.value if found is not None and found.expected is not None else default
