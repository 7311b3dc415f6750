"""The lane of a record: what its source, group and parent id say together, the same whichever way it travels.

The order of the questions is that of KubeEdge's dispatchers (cloud/pkg/cloudhub/dispatcher,
edge/pkg/edgehub/messagehandler).
"""

from __future__ import annotations

from typing import Final

from kubeedge_actors.wire import names
from kubeedge_actors.wire.record import Header, Route

BEAT: Final = "beat"
ANSWER: Final = "answer"
CONFIRMATION: Final = "confirmation"
BUS_UP: Final = "bus, up"
BUS_ANSWER: Final = "bus, answer"
MQTT_DOWN: Final = "mqtt, down"
HTTP_DOWN: Final = "http, down"
KUBERNETES_UP: Final = "kubernetes, up"
KUBERNETES_DOWN: Final = "kubernetes, down"
API: Final = "api, up"
DEVICES_UP: Final = "devices, up"
DEVICES_DOWN: Final = "devices, down"
UNKNOWN: Final = "unknown"

CLOUD_SOURCES: Final = frozenset(
    {
        names.CLOUDHUB,
        names.EDGECONTROLLER,
        names.DEVICECONTROLLER,
        names.SYNCCONTROLLER,
        names.SOURCE_POLICYCONTROLLER,
        names.SOURCE_DYNAMICCONTROLLER,
        names.SOURCE_CLOUDSTREAM,
        names.SOURCE_EDGEMGR,
        names.SOURCE_CONTROLLER,
    }
)
"""Who speaks for the cloud: a request with such a source never comes from an edge."""

_ANSWERS: Final = frozenset({names.RESPONSE, names.APPLICATION_RESPONSE, names.ERROR})


def lane_of(header: Header, route: Route) -> str:
    """The lane of a record; UNKNOWN when neither dispatcher would know where to put it."""
    if route.operation == names.KEEPALIVE:
        return BEAT
    if header.parent_msg_id:
        return _with_parent(route)
    if route.group == names.GROUP_USER:
        return _for_user(route)
    if route.resource == names.PATH_CLUSTER_CA:
        return KUBERNETES_UP
    if route.source in CLOUD_SOURCES:
        return _from_cloud(route)
    if route.source == names.SOURCE_METASERVER:
        return API
    return DEVICES_UP if route.source == names.SOURCE_DEVICETWIN else KUBERNETES_UP


def _with_parent(route: Route) -> str:
    """Only answers, and the uploads that answer a call of the router, carry a parent id; a push never does."""
    if route.group == names.GROUP_USER and route.operation == names.RESPONSE:
        return BUS_ANSWER
    if route.group == names.GROUP_USER and route.operation == names.UPLOAD:
        return BUS_UP
    if route.operation not in _ANSWERS:
        return UNKNOWN
    return CONFIRMATION if route.group == names.GROUP_TWIN and route.source in CLOUD_SOURCES else ANSWER


def _for_user(route: Route) -> str:
    if route.operation == names.UPLOAD:
        return BUS_UP
    if route.source == names.SOURCE_ROUTER_EVENTBUS:
        return MQTT_DOWN
    return HTTP_DOWN if route.source == names.SOURCE_ROUTER_SERVICEBUS and route.operation else UNKNOWN


def _from_cloud(route: Route) -> str:
    if route.group == names.GROUP_TWIN:
        return DEVICES_DOWN
    return KUBERNETES_DOWN if route.group in (names.GROUP_RESOURCE, names.GROUP_FUNC) else UNKNOWN
