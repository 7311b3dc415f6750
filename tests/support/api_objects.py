"""What the tests of the cloud's controllers share:

an API in memory with an edge node in it, and objects to put there.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes.object_types import (
    CLUSTEROBJECTSYNC_KIND,
    CONFIGMAP_KIND,
    DEVICE_KIND,
    DEVICEMODEL_KIND,
    DEVICESTATUS_KIND,
    NODE_KIND,
    OBJECTSYNC_KIND,
    POD_KIND,
    SECRET_KIND,
)
from kubeedge_actors.kubernetes.objects import MIRROR_ANNOTATION
from kubeedge_actors.wire import constants

Json = dict[str, Any]
DEVICE, MODEL, STATUS = DEVICE_KIND, DEVICEMODEL_KIND, DEVICESTATUS_KIND
SYNC, CLUSTER_SYNC = OBJECTSYNC_KIND, CLUSTEROBJECTSYNC_KIND


def node(name: str = "edge-1", *, edge: bool = True, ready: str = "True", **more: Any) -> Json:
    """A Node; an edge node unless told otherwise."""
    labels = {constants.EDGE_LABEL: ""} if edge else {}
    status = {
        "conditions": [{"type": "Ready", "status": ready}],
        "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"},
    }
    return {"metadata": {"name": name, "labels": labels}, "spec": more, "status": status}


def pod(name: str, node: str = "edge-1", **spec: Any) -> Json:
    """A Pod bound to `node` (or to none)."""
    pod_spec: Json = {"containers": [{"name": "main", "image": "busybox"}], **spec}
    if node:
        pod_spec["nodeName"] = node
    return {"metadata": {"name": name}, "spec": pod_spec}


def mirror_pod(name: str, node: str = "edge-1", node_uid: str = "", **spec: Any) -> Json:
    """The mirror of a static pod, as a kubelet makes it."""
    object = pod(name, node, **spec)
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": node_uid, "controller": True}
    object["metadata"] |= {"annotations": {MIRROR_ANNOTATION: "hash"}, "ownerReferences": [owner]}
    return object


def token_request(pod: Json) -> Json:
    """A TokenRequest for a pod that is in the API, as a kubelet words it."""
    bound = {"kind": "Pod", "apiVersion": "v1", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
    return {"spec": {"audiences": ["a"], "expirationSeconds": 3600, "boundObjectRef": bound}}


def using(config: str = "", secret: str = "", account: str = "") -> Json:
    """Parts of a pod's spec that use these objects."""
    volumes: list[Json] = []
    if config:
        volumes.append({"name": "c", "configMap": {"name": config}})
    if secret:
        volumes.append({"name": "s", "secret": {"secretName": secret}})
    spec: Json = {"volumes": volumes}
    return {**spec, "serviceAccountName": account} if account else spec


def put_node(api: FakeCluster, name: str = "edge-1", **more: Any) -> Json:
    """A Node in the API."""
    return api.create(NODE_KIND, "", node(name, **more))


def put_pod(api: FakeCluster, name: str, node: str = "edge-1", **spec: Any) -> Json:
    """A Pod in the API."""
    return api.create(POD_KIND, "default", pod(name, node, **spec))


def put_config(api: FakeCluster, name: str, **data: str) -> Json:
    """A ConfigMap in the API."""
    return api.create(CONFIGMAP_KIND, "default", {"metadata": {"name": name}, "data": data})


def put_secret(api: FakeCluster, name: str) -> Json:
    """A Secret in the API."""
    return api.create(SECRET_KIND, "default", {"metadata": {"name": name}, "data": {"key": "cmVkYWN0ZWQ="}})
