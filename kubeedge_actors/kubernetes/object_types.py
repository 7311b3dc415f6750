"""The kinds of API objects, and the one table of those that a node is told of or may ask for (KubeEdge: the resource types
of its messages).

Whoever treats object types differently takes a view of the table (`types_where`); nobody keeps a set of its own. A new type is a
row here, its word in `wire/constants.py` and, if a module of the edge acts upon it, a message.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """One kind of object: `group` is empty for the core group; `kind` is what stands in the object (Kubernetes:
    GroupVersionResource and GroupVersionKind).
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As in an object's apiVersion."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As the API writes it in messages: `leases.coordination.k8s.io`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


# --- kinds that every Kubernetes has ---------------------------------------------------------------------------------
NODE_KIND: Final = ResourceKind("", "v1", "nodes", "Node", namespaced=False)
POD_KIND: Final = ResourceKind("", "v1", "pods", "Pod")
CONFIGMAP_KIND: Final = ResourceKind("", "v1", "configmaps", "ConfigMap")
SECRET_KIND: Final = ResourceKind("", "v1", "secrets", "Secret")
EVENT_KIND: Final = ResourceKind("", "v1", "events", "Event")
NAMESPACE_KIND: Final = ResourceKind("", "v1", "namespaces", "Namespace", namespaced=False)
SERVICEACCOUNT_KIND: Final = ResourceKind("", "v1", "serviceaccounts", "ServiceAccount")
PERSISTENTVOLUME_KIND: Final = ResourceKind("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
PERSISTENTVOLUMECLAIM_KIND: Final = ResourceKind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SERVICE_KIND: Final = ResourceKind("", "v1", "services", "Service")
VOLUMEATTACHMENT_KIND: Final = ResourceKind(
    "storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", namespaced=False
)
LEASE_KIND: Final = ResourceKind("coordination.k8s.io", "v1", "leases", "Lease")
CSR_KIND: Final = ResourceKind(
    "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", namespaced=False
)
SUBJECTACCESSREVIEW_KIND: Final = ResourceKind(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
TOKENREVIEW_KIND: Final = ResourceKind("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
DEPLOYMENT_KIND: Final = ResourceKind("apps", "v1", "deployments", "Deployment")
REPLICASET_KIND: Final = ResourceKind("apps", "v1", "replicasets", "ReplicaSet")
DAEMONSET_KIND: Final = ResourceKind("apps", "v1", "daemonsets", "DaemonSet")
STATEFULSET_KIND: Final = ResourceKind("apps", "v1", "statefulsets", "StatefulSet")
CONTROLLERREVISION_KIND: Final = ResourceKind("apps", "v1", "controllerrevisions", "ControllerRevision")

# --- kinds of KubeEdge -----------------------------------------------------------------------------------------------
DEVICE_KIND: Final = ResourceKind("devices.kubeedge.io", "v1beta1", "devices", "Device")
DEVICEMODEL_KIND: Final = ResourceKind("devices.kubeedge.io", "v1beta1", "devicemodels", "DeviceModel")
DEVICESTATUS_KIND: Final = ResourceKind("devices.kubeedge.io", "v1beta1", "devicestatuses", "DeviceStatus")
OBJECTSYNC_KIND: Final = ResourceKind("reliablesyncs.kubeedge.io", "v1alpha1", "objectsyncs", "ObjectSync")
CLUSTEROBJECTSYNC_KIND: Final = ResourceKind(
    "reliablesyncs.kubeedge.io", "v1alpha1", "clusterobjectsyncs", "ClusterObjectSync", namespaced=False
)
RULE_KIND: Final = ResourceKind("rules.kubeedge.io", "v1", "rules", "Rule")
RULEENDPOINT_KIND: Final = ResourceKind("rules.kubeedge.io", "v1", "ruleendpoints", "RuleEndpoint")
NODEGROUP_KIND: Final = ResourceKind("apps.kubeedge.io", "v1alpha1", "nodegroups", "NodeGroup", namespaced=False)
EDGEAPPLICATION_KIND: Final = ResourceKind("apps.kubeedge.io", "v1alpha1", "edgeapplications", "EdgeApplication")

IMAGEPREPULLJOB_KIND: Final = ResourceKind(
    "operations.kubeedge.io", "v1alpha2", "imageprepulljobs", "ImagePrePullJob", namespaced=False
)
NODEUPGRADEJOB_KIND: Final = ResourceKind(
    "operations.kubeedge.io", "v1alpha2", "nodeupgradejobs", "NodeUpgradeJob", namespaced=False
)
CONFIGUPDATEJOB_KIND: Final = ResourceKind(
    "operations.kubeedge.io", "v1alpha2", "configupdatejobs", "ConfigUpdateJob", namespaced=False
)


_KINDS: Final = {
    (kind.api_version, kind.plural): kind for kind in list(globals().values()) if isinstance(kind, ResourceKind)
}


def kind_named(type: str) -> ResourceKind:
    """The kind of a type such as `v1/configmaps` or `apps/v1/deployments`. Of one that is not known here objects are taken as the API gives them.

    >>> kind_named("v1/configmaps").kind
    'ConfigMap'
    >>> kind_named("example.com/v1/widgets").qualified
    'widgets.example.com'
    """
    api_version, _, plural = type.rpartition("/")
    known = _KINDS.get((api_version, plural))
    group, _, version = api_version.rpartition("/")
    return known or ResourceKind(group, version, plural, "")


def kinds_in(group: str, version: str) -> list[ResourceKind]:
    """The kinds of a group version that are known here.

    >>> [kind.plural for kind in kinds_in("rules.kubeedge.io", "v1")]
    ['rules', 'ruleendpoints']
    """
    return [kind for kind in _KINDS.values() if (kind.group, kind.version) == (group, version)]


class PushTargets(enum.Enum):
    """Which nodes are told of each change of an object, and told again by SyncController what they missed."""

    NOBODY = enum.auto()
    ITSELF = enum.auto()
    """The node that the object stands for."""
    BOUND = enum.auto()
    """The one of its `spec.nodeName`."""
    OF_ITS_DEVICES = enum.auto()
    """Those of the devices that refer to it."""
    OF_ITS_PODS = enum.auto()
    """Those of the pods that refer to it, from the first use until it is deleted."""


class ReadableBy(enum.Enum):
    """Which nodes may ask for an object by its name (Kubernetes: node authorizer)."""

    NOWHERE = enum.auto()
    ITSELF = enum.auto()
    BOUND = enum.auto()
    USED = enum.auto()
    """Those whose pods refer to it."""
    BY_CONTENT = enum.auto()
    """Whose it is shows only in the object: it is fetched first, and then judged."""


class CloudQueryPolicy(enum.Enum):
    """When the edge asks the cloud for an object that a module wants."""

    NEVER = enum.auto()
    """The cloud pushes it: what is not in the store does not exist."""
    ONCE = enum.auto()
    """When it is not in the store; from then on the cloud pushes what changes."""
    ALWAYS = enum.auto()
    """The store only answers while the cloud can not."""


class AckPolicy(enum.Enum):
    """Which messages of EdgeController about an object the edge acknowledges (KubeEdge: noAckRequired)."""

    ALL = enum.auto()
    NONE = enum.auto()
    UPDATES = enum.auto()
    ALL_BUT_RESPONSES = enum.auto()


@dataclass(frozen=True, slots=True)
class ObjectType:
    """A row: what becomes of the objects of one kind between cloud and edge.

    `queryable`: a node may ask for one with a plain query, and the edge's read API lists the kind. `status_matters`: others
    may change its status, and its node has to learn of that. `of_devices`: DeviceController and DeviceTwin have to do with
    it; all others are EdgeController's.
    """

    kind: ResourceKind
    pushed_to: PushTargets
    readable: ReadableBy
    ask_cloud: CloudQueryPolicy
    acked: AckPolicy
    queryable: bool = True
    status_matters: bool = False
    of_devices: bool = False

    @property
    def name(self) -> str:
        """As it stands in a path of the wire: the kind in small letters."""
        return self.kind.kind.lower()

    @property
    def is_synced(self) -> bool:
        """Whether nodes are told its changes, and SyncController keeps a record of what they have."""
        return self.pushed_to is not PushTargets.NOBODY

    @property
    def is_pod_config(self) -> bool:
        """Whether pods are configured with it: it goes where pods use it, and it stays known there."""
        return self.pushed_to is PushTargets.OF_ITS_PODS


OBJECT_TYPES: Final[tuple[ObjectType, ...]] = (
    ObjectType(
        NODE_KIND, PushTargets.ITSELF, ReadableBy.ITSELF, CloudQueryPolicy.NEVER, AckPolicy.UPDATES, status_matters=True
    ),
    ObjectType(
        POD_KIND,
        PushTargets.BOUND,
        ReadableBy.BOUND,
        CloudQueryPolicy.NEVER,
        AckPolicy.ALL_BUT_RESPONSES,
        status_matters=True,
    ),
    ObjectType(CONFIGMAP_KIND, PushTargets.OF_ITS_PODS, ReadableBy.USED, CloudQueryPolicy.ONCE, AckPolicy.ALL),
    ObjectType(SECRET_KIND, PushTargets.OF_ITS_PODS, ReadableBy.USED, CloudQueryPolicy.ONCE, AckPolicy.ALL),
    ObjectType(
        PERSISTENTVOLUME_KIND, PushTargets.NOBODY, ReadableBy.BY_CONTENT, CloudQueryPolicy.ALWAYS, AckPolicy.ALL
    ),
    ObjectType(PERSISTENTVOLUMECLAIM_KIND, PushTargets.NOBODY, ReadableBy.USED, CloudQueryPolicy.ALWAYS, AckPolicy.ALL),
    ObjectType(
        VOLUMEATTACHMENT_KIND, PushTargets.NOBODY, ReadableBy.BY_CONTENT, CloudQueryPolicy.ALWAYS, AckPolicy.ALL
    ),
    ObjectType(CSR_KIND, PushTargets.NOBODY, ReadableBy.BY_CONTENT, CloudQueryPolicy.ALWAYS, AckPolicy.NONE),
    ObjectType(
        LEASE_KIND, PushTargets.NOBODY, ReadableBy.NOWHERE, CloudQueryPolicy.ALWAYS, AckPolicy.NONE, queryable=False
    ),
    ObjectType(
        DEVICE_KIND, PushTargets.BOUND, ReadableBy.NOWHERE, CloudQueryPolicy.NEVER, AckPolicy.ALL, of_devices=True
    ),
    ObjectType(
        DEVICEMODEL_KIND,
        PushTargets.OF_ITS_DEVICES,
        ReadableBy.NOWHERE,
        CloudQueryPolicy.NEVER,
        AckPolicy.ALL,
        of_devices=True,
    ),
)
BY_NAME: Final[dict[str, ObjectType]] = {row.name: row for row in OBJECT_TYPES}


def types_where(predicate: Callable[[ObjectType], bool]) -> frozenset[str]:
    """A view of the table: the resource types whose rows are so.

    >>> sorted(types_where(lambda row: row.of_devices))
    ['device', 'devicemodel']
    """
    return frozenset(row.name for row in OBJECT_TYPES if predicate(row))
