"""The table of object types says what each of its users kept as a set of its own before, word by word. Types that have come
since then are not looked at here.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from kubeedge_actors.actors.edgecontroller.controller import PUSHED
from kubeedge_actors.actors.edgecontroller.upstream import QUERYABLE_TYPES
from kubeedge_actors.actors.metamanager.downstream import DEVICE_TYPES, POD_CONFIG_TYPES
from kubeedge_actors.actors.metamanager.query_responses import ASK_CLOUD, ASK_CLOUD_ONCE
from kubeedge_actors.actors.synccontroller.controller import TYPES
from kubeedge_actors.actors.synccontroller.objectsync_writer import SYNCED_TYPES
from kubeedge_actors.kubernetes.object_types import (
    BY_NAME,
    OBJECT_TYPES,
    AckPolicy,
    PushTargets,
    ReadableBy,
    types_where,
)
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.ack_policy import ack_required
from kubeedge_actors.wire.messages import ObjectPushed, Response
from kubeedge_actors.wire.resource import object_path

CONFIG = {"configmap", "secret"}
VIEWS = {
    "synced": (SYNCED_TYPES, {"node", "pod", "configmap", "secret", "device", "devicemodel"}),
    "watched by synccontroller": (TYPES.values(), {"node", "pod", "configmap", "secret", "device", "devicemodel"}),
    "watched by edgecontroller": ((row.name for row in PUSHED.values()), {"node", "pod", "configmap", "secret"}),
    "status matters": (types_where(lambda row: row.status_matters), {"pod", "node"}),
    "kept once given": (types_where(lambda row: row.is_pod_config), CONFIG),
    "answered from the cache": (types_where(lambda row: row.is_pod_config), CONFIG),
    "pod config": (POD_CONFIG_TYPES, CONFIG),
    "devices": (DEVICE_TYPES, {"device", "devicemodel"}),
    "the cloud is asked": (
        ASK_CLOUD,
        CONFIG
        | {"persistentvolume", "persistentvolumeclaim", "volumeattachment"}
        | {"serviceaccounttoken", "lease", "certificatesigningrequest"},
    ),
    "the cloud is asked once": (ASK_CLOUD_ONCE, CONFIG),
    "readable if used": (types_where(lambda row: row.readable is ReadableBy.USED), CONFIG | {"persistentvolumeclaim"}),
    "readable by content": (
        types_where(lambda row: row.readable is ReadableBy.BY_CONTENT),
        {"persistentvolume", "volumeattachment", "certificatesigningrequest"},
    ),
    "readable by the node itself": (types_where(lambda row: row.readable is ReadableBy.ITSELF), {"node"}),
    "readable where bound": (types_where(lambda row: row.readable is ReadableBy.BOUND), {"pod"}),
    "bound to a node": (types_where(lambda row: row.pushed_to is PushTargets.BOUND), {"pod", "device"}),
    "of their devices": (types_where(lambda row: row.pushed_to is PushTargets.OF_ITS_DEVICES), {"devicemodel"}),
    "never acknowledged": (
        types_where(lambda row: row.acked is AckPolicy.NONE),
        {"lease", "certificatesigningrequest"},
    ),
}
KINDS = {
    "node": ("", "v1", "nodes", "Node", False),
    "pod": ("", "v1", "pods", "Pod", True),
    "configmap": ("", "v1", "configmaps", "ConfigMap", True),
    "secret": ("", "v1", "secrets", "Secret", True),
    "persistentvolume": ("", "v1", "persistentvolumes", "PersistentVolume", False),
    "persistentvolumeclaim": ("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", True),
    "volumeattachment": ("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", False),
    "certificatesigningrequest": (
        "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", False,
    ),
    "device": ("devices.kubeedge.io", "v1beta1", "devices", "Device", True),
    "devicemodel": ("devices.kubeedge.io", "v1beta1", "devicemodels", "DeviceModel", True),
}  # fmt: skip
"""What a node may query, with the kind in the API."""
BEFORE = {*KINDS, "lease", "serviceaccounttoken"}
OPERATIONS = ("insert", "update", "delete", "response")
ACKED = {"node": {"update"}, "pod": {"insert", "update", "delete"}, "lease": set(), "certificatesigningrequest": set()}
"""Operations of EdgeController that the edge acknowledges, where it is not all of them."""


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_holds_what_it_always_held(view: str) -> None:
    types, expected = VIEWS[view]
    assert set(types) & BEFORE == expected


def test_what_may_be_queried_and_its_kinds() -> None:
    kinds: dict[str, Any] = {}
    for type in QUERYABLE_TYPES:
        kind = BY_NAME[type].kind
        kinds[type] = (kind.group, kind.version, kind.plural, kind.kind, kind.namespaced)
    assert {type: kind for type, kind in kinds.items() if type in BEFORE} == KINDS


def test_each_row_has_its_word_on_the_wire_and_a_name_of_its_own() -> None:
    words = {value for name, value in vars(constants).items() if name.isupper()}
    assert set(BY_NAME) <= words
    assert len(BY_NAME) == len(OBJECT_TYPES)


@pytest.mark.parametrize(("type", "operation"), list(itertools.product(sorted(set(BY_NAME) & BEFORE), OPERATIONS)))
def test_what_the_edge_acknowledges_of_each_type(type: str, operation: str) -> None:
    expected = operation in ACKED.get(type, OPERATIONS)
    message: ObjectPushed | Response
    if operation == "response":
        path = object_path(type, "default", "x")
        message = Response(
            parent_msg_id="1", resource=path, content={"a": 1}, source="edgecontroller", group="resource"
        )
    else:
        message = ObjectPushed(
            node="n", operation=operation, type=type, namespace="default", name="x", object={}, source="edgecontroller"
        )
    assert ack_required(message) == expected
