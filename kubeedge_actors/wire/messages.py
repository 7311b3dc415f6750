"""The typed messages: one frozen struct per thing that can be said.

A message that asks for something is a verb, a fact is in the past tense. `Said` messages cross the link; the others stay inside
one process. Objects of Kubernetes are plain JSON values (`dict`), shared and never changed by whoever receives them.
"""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from kubeedge_actors.wire.record import Record

Json = dict[str, Any]


def new_id() -> str:
    """A fresh message id: UUID version 4 with dashes."""
    return str(uuid.uuid4())


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Anything that one module can tell another."""


class Said(Message, frozen=True, kw_only=True):
    """A message that crosses the link between cloud and edge.

    `node`: in the cloud the node it comes from or goes to, empty at the edge. `timestamp`: ms since the epoch, 0 until the hub that
    sends it puts its clock's time.
    """

    node: str = ""
    msg_id: str = msgspec.field(default_factory=new_id)
    timestamp: int = 0


# --- both ways -----------------------------------------------------------------------------------------------------


class Answered(Said, frozen=True, kw_only=True):
    """The response to the message `parent_msg_id`: an acknowledgement (`content` is "OK"), an object, or {"Object", "Err"}."""

    parent_msg_id: str
    resource: str
    content: Any = "OK"
    resource_version: str = ""
    source: str = "edgecontroller"
    group: str = "resource"


class Refused(Said, frozen=True, kw_only=True):
    """The message `parent_msg_id` could not be done at the edge; `reason` is a sentence. Never sent by a cloud."""

    parent_msg_id: str
    resource: str
    reason: str
    source: str = "metamanager"
    group: str = "resource"


class UnknownRecord(Said, frozen=True, kw_only=True):
    """A frame of unknown meaning; a custom module may accept it, otherwise it becomes a dead letter."""

    record: Record


# --- up: edge to cloud --------------------------------------------------------------------------------------------


class KeepAlive(Said, frozen=True, kw_only=True):
    """The heart-beat of the link."""


class RegisterNode(Said, frozen=True, kw_only=True):
    """Create the Node object; answered with {"Object", "Err"}."""

    name: str
    object: Json


class UpdateNode(Said, frozen=True, kw_only=True):
    """Merge labels and annotations of the Node; answered "OK"."""

    name: str
    object: Json


class PatchNode(Said, frozen=True, kw_only=True):
    """Strategic merge patch (JSON text) of the node's status; answered with {"Object", "Err"}."""

    name: str
    patch: str


class ReportNodeStatus(Said, frozen=True, kw_only=True):
    """Node status of edges before 1.13; `operation` is insert or update."""

    operation: str
    name: str
    content: Json


class QueryLease(Said, frozen=True, kw_only=True):
    """Ask for the node's lease; answered with {"Object", "Err"}."""

    name: str


class WriteLease(Said, frozen=True, kw_only=True):
    """Create or renew the node's lease; `operation` is insert or update; answered with {"Object", "Err"}."""

    operation: str
    name: str
    object: Json


class InsertPod(Said, frozen=True, kw_only=True):
    """Create the mirror of a static pod; answered with {"Object", "Err"}."""

    namespace: str
    name: str
    object: Json


class PatchPod(Said, frozen=True, kw_only=True):
    """Strategic merge patch (JSON text, with metadata.uid) of a pod's status; answered with {"Object", "Err"}."""

    namespace: str
    name: str
    patch: str


class ReportPodStatus(Said, frozen=True, kw_only=True):
    """Pod status of old edges: one {"UID","Name","Status"}, or a list of them when `name` is empty; answered "OK" per pod."""

    namespace: str
    name: str = ""
    content: Any


class DeletePod(Said, frozen=True, kw_only=True):
    """The pod has ended here: remove the object. `options` is DeleteOptions, or a UID as text; answered "OK"."""

    namespace: str
    name: str
    options: Any


class QueryObject(Said, frozen=True, kw_only=True):
    """Ask for one object (`type` as in the resource grammar); answered with the object, or {"ErrStatus": ...}."""

    type: str
    namespace: str
    name: str


class RequestToken(Said, frozen=True, kw_only=True):
    """Ask for a service account token with a TokenRequest; answered with the TokenRequest filled in."""

    namespace: str
    name: str
    object: Json


class RequestCertificate(Said, frozen=True, kw_only=True):
    """Create a CertificateSigningRequest; answered with {"Object", "Err"}."""

    name: str
    object: Json


class ReportEvent(Said, frozen=True, kw_only=True):
    """A Kubernetes Event; `operation` is insert, update or patch; never answered."""

    operation: str
    namespace: str
    name: str
    content: Json


class QueryClusterCa(Said, frozen=True, kw_only=True):
    """Ask for the PEM text of the cluster's CA."""


class RequestApi(Said, frozen=True, kw_only=True):
    """A MetaServer `Application` request for any Kubernetes API call; `resource` tells it from the watch list."""

    resource: str
    content: Json


class AskMembership(Said, frozen=True, kw_only=True):
    """Ask which devices are members of this node; `content` is the JSON text of the request."""

    content: str


class TwinReported(Said, frozen=True, kw_only=True):
    """Twins changed at the edge. `device` is "<namespace>/<name>"; `report` {"event_id","timestamp","twin":{...}} with versions."""

    device: str
    report: Json


class DeviceStateReported(Said, frozen=True, kw_only=True):
    """The state of a device changed; `report` is the JSON text of the state/update/result payload."""

    device: str
    report: str


class BusUploaded(Said, frozen=True, kw_only=True):
    """A payload for the cloud's router. `source` is bus (MQTT topic) or servicebus (target URL); an answer has a parent id."""

    resource: str
    content: Any
    source: str = "bus"
    parent_msg_id: str = ""


# --- down: cloud to edge ------------------------------------------------------------------------------------------


class ObjectPushed(Said, frozen=True, kw_only=True):
    """An object of the cluster as it is now. `operation` is insert, update or delete; `type` is pod, configmap, device ..."""

    operation: str
    type: str
    namespace: str
    name: str
    object: Json
    resource_version: str = ""
    source: str = "edgecontroller"


class MembershipChanged(Said, frozen=True, kw_only=True):
    """Devices were added to or removed from this node: {"event_id","timestamp","added_devices","removed_devices"}."""

    content: Json


class MembershipDetailed(Said, frozen=True, kw_only=True):
    """All devices of this node; those not named are removed."""

    content: Json


class ReportConfirmed(Said, frozen=True, kw_only=True):
    """The cloud has stored the twin or state report `parent_msg_id`."""

    parent_msg_id: str
    resource: str = "twin"
    content: Any = "OK"


class BusPublish(Said, frozen=True, kw_only=True):
    """The cloud's router publishes `payload` on an MQTT topic of this node."""

    topic: str
    payload: Any


class BusSubscribe(Said, frozen=True, kw_only=True):
    """The cloud's router wants what is published on `topic`."""

    topic: str


class BusUnsubscribe(Said, frozen=True, kw_only=True):
    """The cloud's router no longer wants `topic`."""

    topic: str


class BusAnswered(Said, frozen=True, kw_only=True):
    """The router's answer to an upload of the service bus."""

    parent_msg_id: str
    resource: str
    content: Any
    source: str = "servicebus"


class AllowTarget(Said, frozen=True, kw_only=True):
    """Local programs may call `url` in the cloud through the service bus."""

    url: str


class ForbidTarget(Said, frozen=True, kw_only=True):
    """Local programs may no longer call `url`."""

    url: str


class CallService(Said, frozen=True, kw_only=True):
    """Call a local HTTP service. `target` is "<port>:<path>", `request` {"header","body" (base64),"method","url"}."""

    method: str
    target: str
    request: Json


# --- inside the cloud ---------------------------------------------------------------------------------------------


class SessionOpened(Message, frozen=True, kw_only=True):
    """A node has joined; what is said to it from now on is delivered."""

    node: str


class SessionClosed(Message, frozen=True, kw_only=True):
    """A node's session ended; what was not acknowledged has to be said again."""

    node: str
    reason: str


class ObjectDelivered(Message, frozen=True, kw_only=True):
    """A node has acknowledged an ObjectPushed."""

    node: str
    pushed: ObjectPushed


class NodeRemoved(Message, frozen=True, kw_only=True):
    """The Node object is gone: its session ends, its records are forgotten."""

    node: str


# --- inside the edge ----------------------------------------------------------------------------------------------


class LinkUp(Message, frozen=True, kw_only=True):
    """The cloud can be reached."""


class LinkDown(Message, frozen=True, kw_only=True):
    """The cloud can not be reached any more."""

    reason: str


class ListPods(Message, frozen=True, kw_only=True):
    """Ask MetaManager for all stored pods; the answer is a list of Pod objects."""


class PodChanged(Message, frozen=True, kw_only=True):
    """A pod of this node was stored. `operation` is insert, update or delete; a delete may carry a stub without spec."""

    operation: str
    object: Json


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


class TwinUpdate(Message, frozen=True, kw_only=True):
    """A device, mapper or application updates twins: the payload of `.../twin/update`, not yet looked at."""

    device: str
    payload: bytes


class TwinGet(Message, frozen=True, kw_only=True):
    """The payload of `.../twin/get`."""

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
    """Twins of a device changed and are stored. `twin` holds the changed properties in full, as in the twin document."""

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
