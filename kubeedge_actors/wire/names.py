"""Every word that crosses a wire, once. Other files import it from here; a test proves that no second spelling exists."""

from __future__ import annotations

from typing import Final

# --- names of our modules: where a message can be told to -------------------------------------------------------
EDGECONTROLLER: Final = "edgecontroller"
DEVICECONTROLLER: Final = "devicecontroller"
CLOUDHUB: Final = "cloudhub"
SYNCCONTROLLER: Final = "synccontroller"
SCHEDULER: Final = "scheduler"
NODELIFECYCLE: Final = "nodelifecycle"
EDGEHUB: Final = "edgehub"
METAMANAGER: Final = "metamanager"
EDGED: Final = "edged"
EVENTBUS: Final = "eventbus"
DEVICETWIN: Final = "devicetwin"
SERVICEBUS: Final = "servicebus"

# --- route.source where it differs from a module's name -----------------------------------------------------------
SOURCE_EDGEHUB: Final = "websocket"
SOURCE_DEVICETWIN: Final = "twin"
SOURCE_META: Final = "meta"
SOURCE_BUS: Final = "bus"
SOURCE_METASERVER: Final = "metaserver"
SOURCE_DYNAMICCONTROLLER: Final = "dynamiccontroller"
SOURCE_ROUTER_EVENTBUS: Final = "router_eventbus"
SOURCE_ROUTER_SERVICEBUS: Final = "router_servicebus"

# --- route.group -----------------------------------------------------------------------------------------------------
GROUP_RESOURCE: Final = "resource"
GROUP_FUNC: Final = "func"
GROUP_META: Final = "meta"
GROUP_TWIN: Final = "twin"
GROUP_USER: Final = "user"
GROUP_HUB: Final = "hub"
GROUP_BUS: Final = "bus"

# --- route.operation ---------------------------------------------------------------------------------------------------
INSERT: Final = "insert"
UPDATE: Final = "update"
DELETE: Final = "delete"
QUERY: Final = "query"
PATCH: Final = "patch"
UPLOAD: Final = "upload"
RESPONSE: Final = "response"
ERROR: Final = "error"
KEEPALIVE: Final = "keepalive"
GET: Final = "get"
PUBLISH: Final = "publish"
SUBSCRIBE: Final = "subscribe"
UNSUBSCRIBE: Final = "unsubscribe"
START: Final = "start"
STOP: Final = "stop"

# --- resource types --------------------------------------------------------------------------------------------------
POD: Final = "pod"
NODE: Final = "node"
CONFIGMAP: Final = "configmap"
SECRET: Final = "secret"
LEASE: Final = "lease"
EVENT: Final = "event"
NODEPATCH: Final = "nodepatch"
PODPATCH: Final = "podpatch"
NODESTATUS: Final = "nodestatus"
PODSTATUS: Final = "podstatus"
SERVICEACCOUNTTOKEN: Final = "serviceaccounttoken"
CERTIFICATESIGNINGREQUEST: Final = "certificatesigningrequest"
PERSISTENTVOLUME: Final = "persistentvolume"
PERSISTENTVOLUMECLAIM: Final = "persistentvolumeclaim"
VOLUMEATTACHMENT: Final = "volumeattachment"
DEVICE: Final = "device"
DEVICEMODEL: Final = "devicemodel"
MEMBERSHIP: Final = "membership"

CLUSTER_SCOPE: Final = "null"
"""The namespace segment of a cluster-scoped object."""
OK: Final = "OK"
"""The content of an acknowledgement."""
LEASE_NAMESPACE: Final = "kube-node-lease"

# --- the handshake of the two hubs -----------------------------------------------------------------------------------
HEADER_NODE: Final = "node_id"
HEADER_PROJECT: Final = "project_id"
HEADER_USE: Final = "ConnectionUse"
USE_MESSAGES: Final = "msg"
DEFAULT_PROJECT: Final = "e632aba927ea4ac2b575ec1603d56f10"

# --- Kubernetes words -------------------------------------------------------------------------------------------------
EDGE_LABEL: Final = "node-role.kubernetes.io/edge"
AGENT_LABEL: Final = "node-role.kubernetes.io/agent"
