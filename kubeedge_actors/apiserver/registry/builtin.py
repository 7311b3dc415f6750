"""The built-in resources, as data: what discovery says of them and what the generic handlers need to know."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..errors import Json

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
STATUS_VERBS = ("get", "patch", "update")


class Subresource(msgspec.Struct, frozen=True):
    """A subresource: its last path segment, the kind that it answers, and what may be done to it."""

    name: str
    kind: str = ""
    group: str = ""
    version: str = ""
    verbs: tuple[str, ...] = STATUS_VERBS


class FieldLabel(msgspec.Struct, frozen=True):
    """A field that selectors may name; `path` is where it stands when that is somewhere else, `default` its value there."""

    label: str
    path: tuple[str, ...]
    default: str = ""


class Resource(msgspec.Struct, frozen=True):
    """One resource of one group version.

    `type` names the fields in `schema/types.json` (empty: a custom resource). `generation`: metadata.generation is
    kept. `allow_create_on_update`: PUT of an unknown name creates. `delete_returns_object`: DELETE answers the object and not a Status.
    `storage` is the collection when it is not its own; what is not `stored` is found out when it is asked for.
    """

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    singular: str = ""
    short: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    type: str = ""
    generation: bool = False
    allow_create_on_update: bool = False
    delete_returns_object: bool = False
    fields: tuple[FieldLabel, ...] = ()
    list_kind: str = ""
    storage: str = ""
    stored: bool = True

    @property
    def key(self) -> str:
        """The name of its collection in the store: `pods`, `apps/deployments`."""
        return self.storage or (f"{self.group}/{self.plural}" if self.group else self.plural)

    @property
    def api_version(self) -> str:
        """`v1`, `apps/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_custom(self) -> bool:
        """Whether a CustomResourceDefinition made it."""
        return not self.type

    @property
    def plural_kind(self) -> str:
        """The kind of its lists."""
        return self.list_kind or f"{self.kind}List"

    def subresource(self, name: str) -> Subresource | None:
        """The subresource of that name."""
        return next((sub for sub in self.subresources if sub.name == name), None)

    @property
    def has_status(self) -> bool:
        """Whether status is written through a subresource of its own."""
        return self.subresource("status") is not None


def field_labels(*texts: str) -> tuple[FieldLabel, ...]:
    """Field labels from their dotted names; `name|default` gives the value of an absent field."""
    labels = []
    for text in texts:
        label, _, absent = text.partition("|")
        labels.append(FieldLabel(label, tuple(label.split(".")), absent))
    return tuple(labels)


def selectable_fields(resource: Resource, body: Json) -> Mapping[str, str]:
    """What field selectors of that resource look at, metadata.name and metadata.namespace excepted."""
    return {field.label: field_value(body, field) for field in resource.fields}


def field_value(body: Json, field: FieldLabel) -> str:
    """The text of one field."""
    value: object = body
    for part in field.path:
        value = value.get(part) if isinstance(value, dict) else None
    if value is None or value == "":
        return field.default
    return str(value).lower() if isinstance(value, bool) else str(value)


STATUS = Subresource("status")
SCALE = Subresource("scale", "Scale", "autoscaling", "v1")
TOKEN = Subresource("token", "TokenRequest", "authentication.k8s.io", "v1", ("create",))
EVENT_FIELDS = (
    *field_labels(
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "type",
    ),
    FieldLabel("source", ("source", "component")),
)
POD_FIELDS = (
    *field_labels(
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork|false",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    FieldLabel("status.podIPs", ("status", "podIP")),
)
POD_SUBRESOURCES = (
    Subresource("binding", "Binding", verbs=("create",)),
    Subresource("ephemeralcontainers", "Pod", "", "v1"),
    Subresource("eviction", "Eviction", "policy", "v1", ("create",)),
    Subresource("log", verbs=("get",)),
    STATUS,
)
NAMESPACE_VERBS = tuple(verb for verb in ALL_VERBS if verb != "deletecollection")
REVIEW = ("create",)
MEASURED = ("get", "list")

BUILT_IN: tuple[Resource, ...] = (
    Resource("", "v1", "bindings", "Binding", verbs=("create",), type="Binding"),
    Resource("", "v1", "configmaps", "ConfigMap", short=("cm",), type="ConfigMap"),
    Resource(
        "", "v1", "events", "Event", short=("ev",), type="Event", allow_create_on_update=True, fields=EVENT_FIELDS
    ),
    Resource(
        "",
        "v1",
        "namespaces",
        "Namespace",
        namespaced=False,
        short=("ns",),
        type="Namespace",
        subresources=(Subresource("finalize", verbs=("update",)), STATUS),
        verbs=NAMESPACE_VERBS,
        fields=field_labels("status.phase"),
    ),
    Resource(
        "",
        "v1",
        "nodes",
        "Node",
        namespaced=False,
        short=("no",),
        type="Node",
        subresources=(STATUS,),
        fields=field_labels("spec.unschedulable|false"),
    ),
    Resource(
        "",
        "v1",
        "pods",
        "Pod",
        short=("po",),
        categories=("all",),
        type="Pod",
        subresources=POD_SUBRESOURCES,
        generation=True,
        delete_returns_object=True,
        fields=POD_FIELDS,
    ),
    Resource(
        "",
        "v1",
        "persistentvolumeclaims",
        "PersistentVolumeClaim",
        short=("pvc",),
        type="PersistentVolumeClaim",
        subresources=(STATUS,),
    ),
    Resource(
        "",
        "v1",
        "persistentvolumes",
        "PersistentVolume",
        namespaced=False,
        short=("pv",),
        type="PersistentVolume",
        subresources=(STATUS,),
    ),
    Resource("", "v1", "secrets", "Secret", type="Secret", fields=field_labels("type")),
    Resource(
        "",
        "v1",
        "services",
        "Service",
        short=("svc",),
        categories=("all",),
        type="Service",
        subresources=(STATUS,),
        delete_returns_object=True,
        fields=field_labels("spec.clusterIP", "spec.type"),
    ),
    Resource(
        "", "v1", "serviceaccounts", "ServiceAccount", short=("sa",), type="ServiceAccount", subresources=(TOKEN,)
    ),
    Resource(
        "apps",
        "v1",
        "daemonsets",
        "DaemonSet",
        short=("ds",),
        categories=("all",),
        type="DaemonSet",
        subresources=(STATUS,),
        generation=True,
    ),
    Resource(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        short=("deploy",),
        categories=("all",),
        type="Deployment",
        subresources=(SCALE, STATUS),
        generation=True,
    ),
    Resource(
        "apps",
        "v1",
        "replicasets",
        "ReplicaSet",
        short=("rs",),
        categories=("all",),
        type="ReplicaSet",
        subresources=(SCALE, STATUS),
        generation=True,
        fields=field_labels("status.replicas|0"),
    ),
    Resource(
        "apps",
        "v1",
        "statefulsets",
        "StatefulSet",
        short=("sts",),
        categories=("all",),
        type="StatefulSet",
        subresources=(SCALE, STATUS),
        generation=True,
    ),
    Resource("apps", "v1", "controllerrevisions", "ControllerRevision", type="ControllerRevision"),
    Resource(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        namespaced=False,
        short=("crd", "crds"),
        categories=("api-extensions",),
        type="CustomResourceDefinition",
        subresources=(STATUS,),
        generation=True,
        delete_returns_object=True,
    ),
    Resource(
        "authentication.k8s.io",
        "v1",
        "selfsubjectreviews",
        "SelfSubjectReview",
        namespaced=False,
        verbs=REVIEW,
        type="SelfSubjectReview",
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectaccessreviews",
        "SelfSubjectAccessReview",
        namespaced=False,
        verbs=REVIEW,
        type="SelfSubjectAccessReview",
    ),
    Resource(
        "authorization.k8s.io",
        "v1",
        "selfsubjectrulesreviews",
        "SelfSubjectRulesReview",
        namespaced=False,
        verbs=REVIEW,
        type="SelfSubjectRulesReview",
    ),
    Resource("coordination.k8s.io", "v1", "leases", "Lease", type="Lease", allow_create_on_update=True),
    Resource(
        "storage.k8s.io",
        "v1",
        "volumeattachments",
        "VolumeAttachment",
        namespaced=False,
        type="VolumeAttachment",
        subresources=(STATUS,),
    ),
)

METRICS_GROUP = "metrics.k8s.io"
METRICS = (
    Resource(
        METRICS_GROUP,
        "v1beta1",
        "nodes",
        "NodeMetrics",
        namespaced=False,
        verbs=MEASURED,
        type="NodeMetrics",
        stored=False,
    ),
    Resource(METRICS_GROUP, "v1beta1", "pods", "PodMetrics", verbs=MEASURED, type="PodMetrics", stored=False),
)
"""Served where nodes can be asked."""
