"""The API calls behind each request of a node (source: KubeEdge cloud/pkg/edgecontroller/controller/upstream.go).

`Upstream.perform` blocks until the API has answered and gives the messages to say, or raises what the API refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.actors.edgecontroller import pre_1_13_status
from kubeedge_actors.actors.edgecontroller.downstream import pod_deletion_push
from kubeedge_actors.actors.edgecontroller.node_authorizer import authorize_object
from kubeedge_actors.actors.edgecontroller.node_writes import event_changes, node_patch, stamped_event, without_nulls
from kubeedge_actors.actors.edgecontroller.responses import (
    BAD_REQUEST,
    not_found_as_cached,
    object_response,
    query_response,
    rejection_error,
    response,
    version_delivered,
)
from kubeedge_actors.drivers.cluster.base import Cluster, object_reference
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.node_graph import PodLookup
from kubeedge_actors.kubernetes.node_restriction import (
    changed_labels,
    event_change_rejection,
    forbidden_labels,
    label_rejection,
    pod_create_rejection,
)
from kubeedge_actors.kubernetes.object_types import (
    BY_NAME,
    CSR_KIND,
    EVENT_KIND,
    LEASE_KIND,
    NODE_KIND,
    POD_KIND,
    SERVICE_KIND,
    SERVICEACCOUNT_KIND,
    ReadableBy,
    types_where,
)
from kubeedge_actors.kubernetes.service_environment import API_NAMESPACE, API_SERVICE, service_list
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeletePod,
    InsertPod,
    LinkMessage,
    Message,
    ObjectPushed,
    PatchNode,
    PatchPod,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    ReportNodeStatus,
    ReportPodStatus,
    RequestCertificate,
    RequestToken,
    UpdateNode,
    WriteLease,
)

Json = dict[str, Any]

QUERYABLE_TYPES = types_where(lambda row: row.queryable)
KUBERNETES_DOMAIN = "kubernetes.io"
StatusOf = Callable[[Json, str], Json]


class Upstream:
    """Performs requests of nodes against the API. `address` is what a Node is annotated with: where its cloud is. Thread-safe.

    `status_of`: what is taken of the status that a node reports, by its name.
    """

    def __init__(self, cluster: Cluster, pods: PodLookup, address: str, status_of: StatusOf | None = None) -> None:
        self._cluster = cluster
        self._pods = pods
        self._address = address
        self._status_of: StatusOf = status_of or (lambda status, node: status)
        self._performers: dict[type[LinkMessage], Callable[[Any], list[Message]]] = {
            RegisterNode: self._register,
            UpdateNode: self._update_node,
            PatchNode: self._patch_node,
            ReportNodeStatus: self._node_status,
            QueryLease: self._query_lease,
            WriteLease: self._write_lease,
            InsertPod: self._insert_pod,
            PatchPod: self._patch_pod,
            ReportPodStatus: lambda request: pre_1_13_status.write_pod_status(cluster, request),
            DeletePod: self._delete_pod,
            QueryObject: self._query,
            RequestToken: self._token,
            RequestCertificate: self._certificate,
            ReportEvent: self._event,
        }

    def perform(self, request: LinkMessage) -> list[Message]:
        """Perform a request; returns the messages to publish. Error: ClusterError."""
        return self._performers[type(request)](request)

    # --- nodes --------------------------------------------------------------------------------------------------------

    def _register(self, request: RegisterNode) -> list[Message]:
        sent = without_nulls(request.object.get("metadata"))
        labels = sent.get("labels") or {}
        plain = {key: value for key, value in labels.items() if not _is_kubernetes_label(key)}
        annotations = {**(sent.get("annotations") or {}), constants.CLOUDCORE_ANNOTATION: self._address}
        metadata = {"name": request.name, "labels": plain, "annotations": annotations}
        try:
            node = self._cluster.create(NODE_KIND, "", {**request.object, "metadata": metadata})
        except AlreadyExists:
            self._restore_labels(request.name, labels)
            raise
        if plain != labels:
            node = self._cluster.patch(NODE_KIND, "", request.name, {"metadata": {"labels": labels}})
        return [object_response(request, node, versioned=False)]

    def _restore_labels(self, name: str, labels: Json) -> None:
        """Finish a registration whose second write was lost: without its label a node is no edge node."""
        present = self._cluster.get(NODE_KIND, "", name)["metadata"].get("labels") or {}
        missing = {key: value for key, value in labels.items() if key not in present}
        if well_known.EDGE_LABEL in missing:
            self._cluster.patch(NODE_KIND, "", name, {"metadata": {"labels": missing}})

    def _update_node(self, request: UpdateNode) -> list[Message]:
        metadata = without_nulls(request.object.get("metadata"))
        changes = {key: metadata[key] for key in ("labels", "annotations") if metadata.get(key)}
        if "labels" in changes:
            changes["labels"] = self._own_labels(request.name, changes["labels"])
        node = self._cluster.patch(NODE_KIND, "", request.name, {"metadata": changes})
        return [response(request, constants.OK, object_reference(node).version)]

    def _patch_node(self, request: PatchNode) -> list[Message]:
        patch = node_patch(_object_of(request.patch))
        if labels := patch.get("metadata", {}).get("labels"):
            patch["metadata"]["labels"] = self._own_labels(request.name, labels)
        if isinstance(patch.get("status"), dict):
            patch["status"] = self._status_of(patch["status"], request.name)
        node = self._cluster.patch(NODE_KIND, "", request.name, patch, form="strategic", subresource="status")
        return [object_response(request, node, versioned=True), version_delivered(request, constants.NODE, node)]

    def _node_status(self, request: ReportNodeStatus) -> list[Message]:
        return pre_1_13_status.write_node_status(self._cluster, request, self._status_of)

    def _own_labels(self, name: str, labels: Json) -> Json:
        """The labels that a node may change of its Node. Those that it may not are left out when it only repeats them; otherwise 403."""
        restricted = forbidden_labels(labels)
        if not restricted:
            return labels
        stored = self._cluster.get(NODE_KIND, "", name)["metadata"].get("labels") or {}
        sentence = label_rejection(changed_labels({**stored, **labels}, stored))
        if sentence:
            raise rejection_error(f"node {name} {sentence}")
        return {key: value for key, value in labels.items() if key not in restricted}

    # --- leases -------------------------------------------------------------------------------------------------------

    def _query_lease(self, request: QueryLease) -> list[Message]:
        try:
            lease = self._cluster.get(LEASE_KIND, well_known.LEASE_NAMESPACE, request.name)
        except NotFound as error:
            raise not_found_as_cached(error, constants.LEASE, LEASE_KIND, request.name) from error
        return [response(request, {constants.OBJECT: lease, constants.ERR: None})]

    def _write_lease(self, request: WriteLease) -> list[Message]:
        metadata = without_nulls(request.object.get("metadata")) | {"name": request.name}
        lease = {**request.object, "metadata": metadata}
        if request.operation == constants.INSERT:
            stored = self._cluster.create(LEASE_KIND, well_known.LEASE_NAMESPACE, lease)
        else:
            stored = self._cluster.replace(LEASE_KIND, well_known.LEASE_NAMESPACE, request.name, lease)
        return [object_response(request, stored, versioned=False)]

    # --- pods ---------------------------------------------------------------------------------------------------------

    def _insert_pod(self, request: InsertPod) -> list[Message]:
        metadata = without_nulls(request.object.get("metadata")) | {"name": request.name}
        node_uid = object_reference(self._cluster.get(NODE_KIND, "", request.node)).uid
        sentence = pod_create_rejection(request.node, request.object, node_uid)
        if sentence:
            raise rejection_error(sentence)
        pod = self._cluster.create(POD_KIND, request.namespace, {**request.object, "metadata": metadata})
        return [object_response(request, pod, versioned=True), version_delivered(request, constants.POD, pod)]

    def _patch_pod(self, request: PatchPod) -> list[Message]:
        node_patch = _object_of(request.patch)
        uid = without_nulls(node_patch.get("metadata")).get("uid")
        # a node reports status and nothing else: what the API would take beside it (labels, finalizers) is left out
        patch: Json = {"metadata": {"uid": uid}} if uid else {}
        patch["status"] = node_patch.get("status") or {}
        try:
            self._check_ownership(request.node, request.namespace, request.name)
            pod = self._cluster.patch(
                POD_KIND, request.namespace, request.name, patch, form="strategic", subresource="status"
            )
        except NotFound as error:
            raise self._pod_not_found(request, uid, error) from error
        except Conflict as error:
            pod = self._cluster.get(POD_KIND, request.namespace, request.name)
            if uid and object_reference(pod).uid != uid:  # another pod has its name now
                raise self._pod_not_found(request, uid, error) from error
            raise
        return [object_response(request, pod, versioned=True), version_delivered(request, constants.POD, pod)]

    @staticmethod
    def _pod_not_found(request: PatchPod, uid: Any, error: ClusterError) -> PodNotFound:
        deletion_push = pod_deletion_push(request.node, request.namespace, request.name, str(uid)) if uid else None
        return PodNotFound(error, deletion_push)

    def _delete_pod(self, request: DeletePod) -> list[Message]:
        options: Any = request.options
        if isinstance(options, str):
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": options}}
        options = options or {}
        grace, uid = options.get("gracePeriodSeconds"), without_nulls(options.get("preconditions")).get("uid", "")
        with contextlib.suppress(NotFound):  # what was to be reached is reached
            self._check_ownership(request.node, request.namespace, request.name)
            self._cluster.delete(POD_KIND, request.namespace, request.name, grace=grace, uid=str(uid))
        return [response(request, constants.OK)]

    def _check_ownership(self, node: str, namespace: str, name: str) -> None:
        """Whose pod it is, asked of the API when the facts do not know it yet."""
        if self._pods.node_of(namespace, name) is not None:
            return
        pod = self._cluster.get(POD_KIND, namespace, name)
        if (pod.get("spec") or {}).get("nodeName") != node:
            raise rejection_error(f"node {node} may not touch pod {namespace}/{name}, which is not its own")

    # --- other objects ------------------------------------------------------------------------------------------------

    def _services(self, request: QueryObject) -> list[Message]:
        services = list(self._cluster.list(SERVICE_KIND, request.namespace).items)
        if request.namespace != API_NAMESPACE:
            with contextlib.suppress(NotFound):  # the embedded API has none
                services.append(self._cluster.get(SERVICE_KIND, API_NAMESPACE, API_SERVICE))
        return [response(request, service_list(request.namespace, services))]

    def _query(self, request: QueryObject) -> list[Message]:
        if request.type == constants.SERVICELIST:
            return self._services(request)
        if request.type not in QUERYABLE_TYPES:
            raise rejection_error(f"{request.type} can not be asked for", BAD_REQUEST, "BadRequest")
        row = BY_NAME[request.type]
        kind = row.kind
        try:
            object = self._cluster.get(kind, request.namespace if kind.namespaced else "", request.name)
        except NotFound as error:
            raise (
                not_found_as_cached(error, request.type, kind, request.name) if row.is_pod_config else error
            ) from None
        if row.readable is ReadableBy.BY_CONTENT:
            refusal = authorize_object(request.node, request.type, object, self._pods)
            if refusal is not None:
                raise rejection_error(refusal.sentence)
        return [query_response(request, object)]

    def _token(self, request: RequestToken) -> list[Message]:
        token_request = {**request.object, "metadata": without_nulls(request.object.get("metadata"))}
        token = self._cluster.create(
            SERVICEACCOUNT_KIND, request.namespace, token_request, name=request.name, subresource="token"
        )
        return [response(request, token)]

    def _certificate(self, request: RequestCertificate) -> list[Message]:
        metadata = without_nulls(request.object.get("metadata"))
        annotations = {**(metadata.get("annotations") or {}), constants.NODE_ANNOTATION: request.node}
        metadata |= {"name": request.name, "annotations": annotations}
        csr = self._cluster.create(CSR_KIND, "", {**request.object, "metadata": metadata})
        return [object_response(request, csr, versioned=False)]

    def _event(self, request: ReportEvent) -> list[Message]:
        content = request.content.get("event") if request.operation == constants.PATCH else request.content
        if not isinstance(content, dict):
            raise rejection_error("the event is no object", BAD_REQUEST, "BadRequest")
        metadata = without_nulls(content.get("metadata")) | {"name": request.name}
        event = stamped_event(request.node, {**content, "metadata": metadata})
        with contextlib.suppress(AlreadyExists):  # said twice, or tried again after an answer was lost
            try:
                self._write_event(request, event)
            except NotFound:  # it expired; the report is worth keeping all the same
                event["metadata"].pop("resourceVersion", None)
                self._cluster.create(EVENT_KIND, request.namespace, event)
        return []

    def _write_event(self, request: ReportEvent, event: Json) -> None:
        namespace, name = request.namespace, request.name
        if request.operation == constants.INSERT:
            self._cluster.create(EVENT_KIND, namespace, event)
            return
        sentence = event_change_rejection(request.node, self._cluster.get(EVENT_KIND, namespace, name))
        if sentence:
            raise rejection_error(f"node {request.node} may not {sentence}")
        if request.operation == constants.PATCH:
            changes = event_changes(_object_of(str(request.content.get("patchData") or "{}")))
            self._cluster.patch(EVENT_KIND, namespace, name, changes, form="strategic")
        else:
            self._cluster.replace(EVENT_KIND, namespace, name, event)


class PodNotFound(NotFound):
    """The API does not know the pod that a node reports of; `deletion_push` tells the node so."""

    def __init__(self, error: ClusterError, deletion_push: ObjectPushed | None) -> None:
        super().__init__(error.status)
        self.deletion_push = deletion_push


def _object_of(text: str) -> Json:
    try:
        value = msgspec.json.decode(depth_limit.check_depth(text))
    except msgspec.DecodeError:
        value = None
    if not isinstance(value, dict):
        raise rejection_error("the patch is no JSON object", BAD_REQUEST, "BadRequest")
    return value


def _is_kubernetes_label(key: str) -> bool:
    domain, slash, _ = key.partition("/")
    return bool(slash) and (domain == KUBERNETES_DOMAIN or domain.endswith("." + KUBERNETES_DOMAIN))
