"""The messages that cross the link between cloud and edge, one frozen struct each; mapping_table.py has their routes.

A `namespace` is the segment on the wire: `null` for a cluster-scoped object. What stands in fields of JSON text
(`patch`, `report`, ...) is not looked at here. Import from messages.py, which has those inside one process too.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubeedge_actors.wire import constants
from kubeedge_actors.wire.beehive import BeehiveMessage
from kubeedge_actors.wire.local_messages import Json, Message
from kubeedge_actors.wire.message_ids import new_id

OPERATION_OF_EVENT = {"ADDED": constants.INSERT, "MODIFIED": constants.UPDATE, "DELETED": constants.DELETE}
"""The operation that says on the wire what an event of a Kubernetes watch says, by the event's type."""
DEFAULT_EXPIRES = 3600.0
"""Seconds that a message for a node waits for it, if it does not say how long."""


class LinkMessage(Message, frozen=True, kw_only=True):
    """A message that crosses the link between cloud and edge.

    `node`: in the cloud the node it comes from or goes to, empty at the edge. `timestamp`: ms since the epoch, 0 until
    the hub that sends it puts its clock's time.
    """

    node: str = ""
    msg_id: str = msgspec.field(default_factory=new_id)
    timestamp: int = 0


class JsonTextMessage(LinkMessage, frozen=True, kw_only=True):
    """A message whose content is JSON text in a JSON string.

    `sent_as_object`: its sender wrote the JSON itself instead, which means the same.
    """

    sent_as_object: bool = False


# --- both ways ------------------------------------------------------------------------------------------


class Response(LinkMessage, frozen=True, kw_only=True):
    """The response to `parent_msg_id`: an acknowledgement (`content` is "OK"), an object, or {"Object", "Err"}.

    `operation` is response, or applicationResponse for a ApplicationRequest.
    """

    parent_msg_id: str
    resource: str
    content: Any = constants.OK
    resource_version: str = ""
    source: str = constants.EDGECONTROLLER
    group: str = constants.GROUP_RESOURCE
    operation: str = constants.RESPONSE


class ErrorResponse(LinkMessage, frozen=True, kw_only=True):
    """The message `parent_msg_id` could not be done at the edge; `reason` is a sentence. Never sent by a cloud."""

    parent_msg_id: str
    resource: str
    reason: str
    source: str = constants.METAMANAGER
    group: str = constants.GROUP_RESOURCE


class UnknownMessage(LinkMessage, frozen=True, kw_only=True):
    """A frame of unknown meaning; a custom module may accept it, otherwise it becomes a dead letter.

    It is written as `message` stands; only an id and a time that the record lacks are taken from the message.
    """

    message: BeehiveMessage


class CustomMessage(LinkMessage, frozen=True, kw_only=True):
    """A message of a module of one's own: `type` is its wire name, `content` its JSON text.

    A hub makes it a message of each class of that name which its modules accept. `expires`: as of a BusPublish.
    """

    type: str
    content: str
    expires: float = DEFAULT_EXPIRES


# --- up: edge to cloud ----------------------------------------------------------------------------------


class KeepAlive(LinkMessage, frozen=True, kw_only=True):
    """The heart-beat of the link."""


class RegisterNode(LinkMessage, frozen=True, kw_only=True):
    """Create the Node object; answered with {"Object", "Err"}."""

    name: str
    object: Json


class UpdateNode(LinkMessage, frozen=True, kw_only=True):
    """Merge labels and annotations of the Node; answered "OK"."""

    name: str
    object: Json


class PatchNode(JsonTextMessage, frozen=True, kw_only=True):
    """Strategic merge patch (JSON text) of the node's status; answered with {"Object", "Err"}."""

    name: str
    patch: str


class ReportNodeStatus(LinkMessage, frozen=True, kw_only=True):
    """Node status of edges before 1.13; `operation` is insert or update."""

    operation: str
    name: str
    content: Json


class QueryLease(LinkMessage, frozen=True, kw_only=True):
    """Ask for the node's lease; answered with {"Object", "Err"}."""

    name: str


class WriteLease(LinkMessage, frozen=True, kw_only=True):
    """Create or renew the node's lease; `operation` is insert or update; answered with {"Object", "Err"}."""

    operation: str
    name: str
    object: Json


class InsertPod(LinkMessage, frozen=True, kw_only=True):
    """Create the mirror of a static pod; answered with {"Object", "Err"}."""

    namespace: str
    name: str
    object: Json


class PatchPod(JsonTextMessage, frozen=True, kw_only=True):
    """Strategic merge patch (JSON text, with metadata.uid) of a pod's status; answered with {"Object", "Err"}."""

    namespace: str
    name: str
    patch: str


class ReportPodStatus(LinkMessage, frozen=True, kw_only=True):
    """Pod status of old edges: {"UID","Name","Status"}, a list of them when `name` is empty; answered "OK" per pod."""

    namespace: str
    name: str = ""
    content: Any


class DeletePod(LinkMessage, frozen=True, kw_only=True):
    """The pod has ended here: remove the object. `options` is DeleteOptions, or a UID as text; answered "OK"."""

    namespace: str
    name: str
    options: Any


class QueryObject(LinkMessage, frozen=True, kw_only=True):
    """Ask for one object (`type` as in the resource grammar); answered with the object, or {"ErrStatus": ...}."""

    type: str
    namespace: str
    name: str


class RequestToken(LinkMessage, frozen=True, kw_only=True):
    """Ask for a service account token with a TokenRequest; answered with the TokenRequest filled in."""

    namespace: str
    name: str
    object: Json


class RequestCertificate(LinkMessage, frozen=True, kw_only=True):
    """Create a CertificateSigningRequest; answered with {"Object", "Err"}."""

    name: str
    object: Json


class ReportEvent(LinkMessage, frozen=True, kw_only=True):
    """A Kubernetes Event; `operation` is insert, update or patch; never answered."""

    operation: str
    namespace: str
    name: str
    content: Json


class QueryClusterCa(LinkMessage, frozen=True, kw_only=True):
    """Ask for the PEM text of the cluster's CA."""


class ApplicationRequest(LinkMessage, frozen=True, kw_only=True):
    """A MetaServer `Application` request for any Kubernetes API call; `resource` tells it from the watch list."""

    resource: str
    content: Json


class MembershipRequest(JsonTextMessage, frozen=True, kw_only=True):
    """Ask which devices are members of this node; `content` is the JSON text of the request."""

    content: str


class TwinReported(LinkMessage, frozen=True, kw_only=True):
    """Twins changed at the edge.

    `device` is "<namespace>/<name>"; `report` {"event_id","timestamp","twin":{...}} with versions.
    """

    device: str
    report: Json


class DeviceStateReported(JsonTextMessage, frozen=True, kw_only=True):
    """The state of a device changed; `report` is the JSON text of the state/update/result payload."""

    device: str
    report: str


class BusUploaded(LinkMessage, frozen=True, kw_only=True):
    """A payload for the cloud's router.

    `source` is bus (MQTT topic) or servicebus (target URL); an answer has a parent id.
    """

    resource: str
    content: Any
    source: str = constants.SOURCE_BUS
    parent_msg_id: str = ""


# --- down: cloud to edge --------------------------------------------------------------------------------


class ObjectPushed(LinkMessage, frozen=True, kw_only=True):
    """An object of the cluster as it is now.

    `operation` is insert, update or delete; `type` is pod, configmap, device ... An `status_only` is news of the status only:
    a genuine edge is told, as it always was; one of ours learns that by the answers it gets and by SyncController.
    """

    operation: str
    type: str
    namespace: str
    name: str
    object: Json
    resource_version: str = ""
    source: str = constants.EDGECONTROLLER
    status_only: bool = False


class OutboxAcknowledged(LinkMessage, frozen=True, kw_only=True):
    """The cloud has handled the durable messages with these ids.

    Between our own two sides only, as agreed in the handshake.
    """

    ids: list[str]


class MembershipUpdate(LinkMessage, frozen=True, kw_only=True):
    """Devices were added to or removed from this node: {"event_id","timestamp","added_devices","removed_devices"}."""

    content: Json


class MembershipDetail(LinkMessage, frozen=True, kw_only=True):
    """All devices of this node; those not named are removed."""

    content: Json


class TwinSynced(LinkMessage, frozen=True, kw_only=True):
    """A cloud before devicecontroller syncs the twins of a device: the payload of `twin/cloud_updated`."""

    device: str
    content: Json


class AttributesChanged(LinkMessage, frozen=True, kw_only=True):
    """A cloud before devicecontroller changes attributes of a device: {"event_id","timestamp","attributes"}."""

    device: str
    content: Json


class ReportStored(LinkMessage, frozen=True, kw_only=True):
    """The cloud has stored the twin or state report `parent_msg_id`."""

    parent_msg_id: str
    resource: str = constants.PATH_TWIN
    content: Any = constants.OK


class BusPublish(LinkMessage, frozen=True, kw_only=True):
    """The cloud's router, or a module of it, publishes `payload` on an MQTT topic of this node.

    `expires`: seconds that it waits in the cloud for a node that is away; not on the wire.
    """

    topic: str
    payload: Any
    expires: float = DEFAULT_EXPIRES


class BusSubscribe(LinkMessage, frozen=True, kw_only=True):
    """The cloud's router wants what is published on `topic`."""

    topic: str


class BusUnsubscribe(LinkMessage, frozen=True, kw_only=True):
    """The cloud's router no longer wants `topic`."""

    topic: str


class ServiceBusResponse(LinkMessage, frozen=True, kw_only=True):
    """The router's answer to an upload of the service bus."""

    parent_msg_id: str
    resource: str
    content: Any
    source: str = constants.SERVICEBUS


class TargetUrlAdded(LinkMessage, frozen=True, kw_only=True):
    """Local programs may call `url` in the cloud through the service bus."""

    url: str


class TargetUrlRemoved(LinkMessage, frozen=True, kw_only=True):
    """Local programs may no longer call `url`."""

    url: str


class ServiceCall(LinkMessage, frozen=True, kw_only=True):
    """Call a local HTTP service. `target` is "<port>:<path>", `request` {"header","body" (base64),"method","url"}."""

    method: str
    target: str
    request: Json


class ObjectAcked(Message, frozen=True, kw_only=True):
    """A node has acknowledged an ObjectPushed."""

    node: str
    pushed: ObjectPushed


class SendToNode(Message, frozen=True, kw_only=True):
    """Request to CloudHub: send `message` of `sender` to its node now. `kept`: it waits in the cloud's file until the node has confirmed it."""

    message: LinkMessage
    kept: bool
    sender: str = ""


class MessageLost(Message, frozen=True, kw_only=True):
    """A message of `sender` (empty: unknown) for a node will not arrive. Nobody accepts this, so it becomes a dead letter that says why."""

    node: str
    reason: str
    message: LinkMessage
    sender: str = ""
