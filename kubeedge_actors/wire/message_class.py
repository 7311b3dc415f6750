"""Classifies an incoming message by source, group and parent id, the same whichever way it travels (KubeEdge:
CloudHub's dispatcher, EdgeHub's message handler).

The order of the questions is that of KubeEdge's dispatchers (cloud/pkg/cloudhub/dispatcher,
edge/pkg/edgehub/messagehandler).
"""

from __future__ import annotations

from typing import Final

from kubeedge_actors.wire import constants
from kubeedge_actors.wire.beehive import Header, Route

KEEPALIVE: Final = "beat"
RESPONSE: Final = "answer"
REPORT_STORED: Final = "confirmation"
BUS_UP: Final = "bus, up"
BUS_RESPONSE: Final = "bus, answer"
MQTT_DOWN: Final = "mqtt, down"
HTTP_DOWN: Final = "http, down"
KUBERNETES_UP: Final = "kubernetes, up"
KUBERNETES_DOWN: Final = "kubernetes, down"
APPLICATION: Final = "api, up"
DEVICES_UP: Final = "devices, up"
DEVICES_DOWN: Final = "devices, down"
TASKS_UP: Final = "tasks, up"
TASKS_DOWN: Final = "tasks, down"
CUSTOM: Final = constants.GROUP_CUSTOM
UNKNOWN: Final = "unknown"

CLOUD_SOURCES: Final = frozenset(
    {
        constants.CLOUDHUB,
        constants.EDGECONTROLLER,
        constants.DEVICECONTROLLER,
        constants.SYNCCONTROLLER,
        constants.SOURCE_POLICYCONTROLLER,
        constants.SOURCE_DYNAMICCONTROLLER,
        constants.SOURCE_CLOUDSTREAM,
        constants.SOURCE_EDGEMGR,
        constants.SOURCE_CONTROLLER,
    }
)
"""Who speaks for the cloud: a request with such a source never comes from an edge."""

_LANES_OF_GROUPS: Final = {constants.GROUP_CUSTOM: CUSTOM, constants.GROUP_TASKMANAGER: TASKS_DOWN}
_RESPONSES: Final = frozenset({constants.RESPONSE, constants.APPLICATION_RESPONSE, constants.ERROR})


def classify(header: Header, route: Route) -> str:
    """The message class of a frame; UNKNOWN when neither dispatcher of KubeEdge would know it."""
    if route.operation == constants.KEEPALIVE:
        return KEEPALIVE
    if header.parent_msg_id:
        return _with_parent(route)
    if route.group == constants.GROUP_USER:
        return _for_user(route)
    if route.group in _LANES_OF_GROUPS:
        return _LANES_OF_GROUPS[route.group]
    if route.operation == constants.UPDATE_NODE_ACTION_STATUS:
        return TASKS_UP
    if route.resource == constants.PATH_CLUSTER_CA:
        return KUBERNETES_UP
    if route.source in CLOUD_SOURCES:
        return _from_cloud(route)
    if route.source == constants.SOURCE_METASERVER:
        return APPLICATION
    return DEVICES_UP if route.source == constants.SOURCE_DEVICETWIN else KUBERNETES_UP


def _with_parent(route: Route) -> str:
    """Only answers, and the uploads that answer a call of the router, carry a parent id; a push never does."""
    if route.group == constants.GROUP_USER and route.operation == constants.RESPONSE:
        return BUS_RESPONSE
    if route.group == constants.GROUP_USER and route.operation == constants.UPLOAD:
        return BUS_UP
    if route.operation not in _RESPONSES:
        return UNKNOWN
    return REPORT_STORED if route.group == constants.GROUP_TWIN and route.source in CLOUD_SOURCES else RESPONSE


def _for_user(route: Route) -> str:
    if route.operation == constants.UPLOAD:
        return BUS_UP
    if route.source == constants.SOURCE_ROUTER_EVENTBUS:
        return MQTT_DOWN
    return HTTP_DOWN if route.source == constants.SOURCE_ROUTER_SERVICEBUS and route.operation else UNKNOWN


def _from_cloud(route: Route) -> str:
    if route.group == constants.GROUP_TWIN:
        return DEVICES_DOWN
    return KUBERNETES_DOWN if route.group in (constants.GROUP_RESOURCE, constants.GROUP_FUNC) else UNKNOWN
