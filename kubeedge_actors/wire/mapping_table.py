"""The one table that joins each typed message to its route on the wire.

A row says: this type, in this lane, with one of these operations, on such a path, with such a content. The lane
(message_class.py) is the same for both directions, so a reader need not know which side it is on. Where KubeEdge's receivers do
not look (the group of what an edge sends, the namespace of a node), reading is as lenient and writing is canonical.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.wire import constants as n
from kubeedge_actors.wire import content as c
from kubeedge_actors.wire import message_class as lane
from kubeedge_actors.wire import messages as m
from kubeedge_actors.wire.resource import (
    DevicePathPattern,
    FixedPathPattern,
    NodeTaskPathPattern,
    ObjectPathPattern,
    OpaquePathPattern,
    Path,
    ShortDevicePathPattern,
)


class RouteMapping(NamedTuple):
    """One row. An empty `source` or `group` is the message's own field.

    `operations`: used when encoding. `any_operation`: when decoding, any operation of this class matches.
    """

    message_type: type[m.LinkMessage]
    message_class: str
    operations: tuple[str, ...]
    path: Path
    content: c.ContentCodec
    source: str = ""
    group: str = ""
    any_operation: bool = False

    @property
    def operation_field(self) -> str:
        """The field that holds the operation, empty when only one is written."""
        if not self.operations:
            return "method"
        return "operation" if len(self.operations) > 1 else ""


def _node(
    message_type: type[m.LinkMessage], operations: tuple[str, ...], path: Path, content: c.ContentCodec
) -> RouteMapping:
    """What edged says to the Kubernetes API."""
    return RouteMapping(message_type, lane.KUBERNETES_UP, operations, path, content, n.EDGED, n.GROUP_META)


def _device(message_type: type[m.LinkMessage], operation: str, path: Path, content: c.ContentCodec) -> RouteMapping:
    """What DeviceTwin says to the cloud."""
    return RouteMapping(
        message_type, lane.DEVICES_UP, (operation,), path, content, n.SOURCE_DEVICETWIN, n.GROUP_RESOURCE
    )


def _members(message_type: type[m.LinkMessage], path: str) -> RouteMapping:
    """Which devices a node has. edgecore takes no JSON text here."""
    operations = (n.UPDATE,)
    return RouteMapping(
        message_type,
        lane.DEVICES_DOWN,
        operations,
        FixedPathPattern(path),
        c.STRICT_OBJECT,
        n.DEVICECONTROLLER,
        n.GROUP_TWIN,
    )


def _legacy(message_type: type[m.LinkMessage], operation: str, path: Path) -> RouteMapping:
    """What a cloud before devicecontroller said of a device."""
    return RouteMapping(
        message_type, lane.DEVICES_DOWN, (operation,), path, c.STRICT_OBJECT, n.SOURCE_EDGEMGR, n.GROUP_TWIN
    )


def _mqtt(message_type: type[m.LinkMessage], operation: str, content: c.ContentCodec) -> RouteMapping:
    """What the cloud's router says to EventBus."""
    path = OpaquePathPattern("topic")
    return RouteMapping(
        message_type, lane.MQTT_DOWN, (operation,), path, content, n.SOURCE_ROUTER_EVENTBUS, n.GROUP_USER
    )


def _http(
    message_type: type[m.LinkMessage], operations: tuple[str, ...], path: Path, content: c.ContentCodec
) -> RouteMapping:
    """What the cloud's router says to ServiceBus."""
    return RouteMapping(
        message_type, lane.HTTP_DOWN, operations, path, content, n.SOURCE_ROUTER_SERVICEBUS, n.GROUP_USER
    )


_WRITES: Final = (n.INSERT, n.UPDATE)
_RESPONSES: Final = (n.RESPONSE, n.APPLICATION_RESPONSE)
_NODE: Final = ObjectPathPattern(n.NODE, n.CLUSTER_SCOPE)
_NODE_PATCH: Final = ObjectPathPattern(n.NODEPATCH, n.CLUSTER_SCOPE)
_NODE_STATUS: Final = ObjectPathPattern(n.NODESTATUS, n.DEFAULT_NAMESPACE)
_LEASE: Final = ObjectPathPattern(n.LEASE, well_known.LEASE_NAMESPACE, strict=True)
_POD: Final = ObjectPathPattern(n.POD)
_CSR: Final = ObjectPathPattern(n.CERTIFICATESIGNINGREQUEST, n.DEFAULT_NAMESPACE)
_CA: Final = FixedPathPattern(n.PATH_CLUSTER_CA)
_DETAIL: Final = FixedPathPattern(n.PATH_MEMBERSHIP_DETAIL)
_OUTBOX: Final = FixedPathPattern(n.PATH_OUTBOX)
_KEEPALIVE: Final = FixedPathPattern(n.NODE, any_path=True)
_TASK: Final = NodeTaskPathPattern()
_OPAQUE: Final = OpaquePathPattern("resource", allow_empty=True)

BOTH: Final = (
    RouteMapping(m.Response, lane.RESPONSE, _RESPONSES, _OPAQUE, c.RESPONSE),
    RouteMapping(
        m.CustomMessage, lane.CUSTOM, (n.MESSAGE,), OpaquePathPattern("type"), c.TEXT, n.SOURCE_CUSTOM, n.GROUP_CUSTOM
    ),
)

UP: Final = (
    RouteMapping(m.ErrorResponse, lane.RESPONSE, (n.ERROR,), _OPAQUE, c.REASON),
    RouteMapping(
        m.KeepAlive, lane.KEEPALIVE, (n.KEEPALIVE,), _KEEPALIVE, c.KEEPALIVE, n.SOURCE_EDGEHUB, n.GROUP_RESOURCE
    ),
    _node(m.RegisterNode, (n.INSERT,), _NODE, c.OBJECT),
    _node(m.UpdateNode, (n.UPDATE,), _NODE, c.OBJECT),
    _node(m.PatchNode, (n.PATCH,), _NODE_PATCH, c.json_text_content("patch")),
    _node(m.ReportNodeStatus, _WRITES, _NODE_STATUS, c.CONTENT_OBJECT),
    _node(m.QueryLease, (n.QUERY,), _LEASE, c.NOTHING),
    _node(m.WriteLease, _WRITES, _LEASE, c.OBJECT),
    _node(m.InsertPod, (n.INSERT,), _POD, c.OBJECT),
    _node(m.PatchPod, (n.PATCH,), ObjectPathPattern(n.PODPATCH), c.json_text_content("patch")),
    _node(m.ReportPodStatus, (n.UPDATE,), ObjectPathPattern(n.PODSTATUS, named=False), c.POD_STATUS),
    _node(m.DeletePod, (n.DELETE,), _POD, c.DELETE_OPTIONS),
    _node(m.RequestToken, (n.QUERY,), ObjectPathPattern(n.SERVICEACCOUNTTOKEN), c.OBJECT),
    _node(m.RequestCertificate, (n.INSERT,), _CSR, c.OBJECT),
    _node(m.ReportEvent, (n.INSERT, n.UPDATE, n.PATCH), ObjectPathPattern(n.EVENT), c.CONTENT_OBJECT),
    _node(m.QueryObject, (n.QUERY,), ObjectPathPattern(named=False), c.NOTHING),
    _node(m.QueryClusterCa, (n.QUERY,), _CA, c.NOTHING)._replace(source=n.METAMANAGER),
    _node(m.ApplicationRequest, (n.APPLICATION,), OpaquePathPattern("resource"), c.CONTENT_OBJECT)._replace(
        message_class=lane.APPLICATION, source=n.SOURCE_METASERVER, group=n.GROUP_DYNAMICCONTROLLER
    ),
    _device(m.MembershipRequest, n.GET, _DETAIL, c.json_text_content("content")),
    _device(m.TwinReported, n.UPDATE, DevicePathPattern(n.PATH_TWIN_REPORTED), c.REPORT),
    _device(m.DeviceStateReported, n.UPDATE, DevicePathPattern(n.PATH_STATE_REPORTED), c.json_text_content("report")),
    RouteMapping(m.BusUploaded, lane.BUS_UP, (n.UPLOAD,), _OPAQUE, c.ANYTHING, group=n.GROUP_USER),
    RouteMapping(
        m.NodeTaskReported,
        lane.TASKS_UP,
        (n.UPDATE_NODE_ACTION_STATUS,),
        _TASK,
        c.CONTENT_OBJECT,
        n.SOURCE_EDGEHUB,
        n.GROUP_HUB,
    ),
)

_OBJECT_EVENTS: Final = (n.INSERT, n.UPDATE, n.DELETE)
_STORED: Final = (n.RESPONSE,)

DOWN: Final = (
    RouteMapping(
        m.ObjectPushed, lane.KUBERNETES_DOWN, _OBJECT_EVENTS, ObjectPathPattern(), c.OBJECT, group=n.GROUP_RESOURCE
    ),
    RouteMapping(
        m.OutboxAcknowledged, lane.KUBERNETES_DOWN, (n.ACKNOWLEDGE,), _OUTBOX, c.IDS, n.CLOUDHUB, n.GROUP_RESOURCE
    ),
    _members(m.MembershipUpdate, n.MEMBERSHIP),
    _members(m.MembershipDetail, n.PATH_MEMBERSHIP_DETAIL)._replace(any_operation=True),
    _legacy(m.TwinSynced, n.UPDATE, DevicePathPattern(n.TWIN_CLOUD_UPDATED))._replace(any_operation=True),
    _legacy(m.AttributesChanged, n.ATTRIBUTES_UPDATED, ShortDevicePathPattern()),
    RouteMapping(m.ReportStored, lane.REPORT_STORED, _STORED, _OPAQUE, c.ANYTHING, n.DEVICECONTROLLER, n.GROUP_TWIN),
    _mqtt(m.BusPublish, n.PUBLISH, c.PAYLOAD),
    _mqtt(m.BusSubscribe, n.SUBSCRIBE, c.NOTHING),
    _mqtt(m.BusUnsubscribe, n.UNSUBSCRIBE, c.NOTHING),
    RouteMapping(m.ServiceBusResponse, lane.BUS_RESPONSE, (n.RESPONSE,), _OPAQUE, c.ANYTHING, group=n.GROUP_USER),
    RouteMapping(
        m.NodeTask, lane.TASKS_DOWN, (n.ACTION_CHECK,), _TASK, c.CONTENT_OBJECT, n.TASKMANAGER, n.GROUP_TASKMANAGER
    ),
    _http(m.TargetUrlAdded, (n.START,), OpaquePathPattern("url"), c.NOTHING),
    _http(m.TargetUrlRemoved, (n.STOP,), OpaquePathPattern("url"), c.NOTHING),
    _http(m.ServiceCall, (), OpaquePathPattern("target"), c.REQUEST)._replace(any_operation=True),
)

MAPPINGS: Final[tuple[RouteMapping, ...]] = BOTH + UP + DOWN
