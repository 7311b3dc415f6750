"""Subresources that are more than a part of their object: scale, binding, eviction, finalize."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from kubeedge_actors.kubernetes.time import format_time

from ..codec.decoder import ObjectDecoder
from ..errors import (
    Json,
    bad_request,
    conflict,
    details_of,
    invalid,
    invalid_value,
    method_not_allowed,
    required,
    success_status,
)
from ..http_messages import Request, Response, json_response
from ..patch.patcher import Patcher
from ..registry.builtin import Resource
from ..registry.resource_registry import ResourceRegistry
from ..request_info import RequestInfo
from ..storage.store import Store
from ..strategies.workloads import selector_text
from .delete import DeleteOptions, Deleter, Preconditions, check_preconditions
from .read import get_or_404
from .write import Writer

BINDING = Resource("", "v1", "bindings", "Binding", type="Binding")
EVICTION = Resource("policy", "v1", "evictions", "Eviction", type="Eviction")
SCALE = Resource("autoscaling", "v1", "scales", "Scale", type="Scale")


class Subresources:
    """Answers requests to subresources; `status` is the Writer's."""

    def __init__(
        self,
        store: Store,
        registry: ResourceRegistry,
        intake: ObjectDecoder,
        patcher: Patcher,
        writer: Writer,
        remover: Deleter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._registry, self._intake, self._patcher = (store, registry, intake, patcher)
        self._writer, self._remover, self._clock = writer, remover, clock

    def scale(self, request: Request, target: RequestInfo, resource: Resource) -> Response:
        """GET, PUT and PATCH of scale."""
        entry = get_or_404(self._store, target, resource)
        if request.method == "GET":
            return json_response(make_scale(entry.object()))
        if request.method == "PUT":
            body = self._intake.prune(self._intake.decode(request, SCALE), SCALE).body
        else:
            body = self._patcher.patch_function(request, SCALE)(make_scale(entry.object()))
        replicas = body.get("spec", {}).get("replicas", 0)
        if not isinstance(replicas, int) or replicas < 0:
            complaint = invalid_value("spec.replicas", replicas, "must be greater than or equal to 0")
            raise invalid("autoscaling", "Scale", target.name, [complaint])
        version = (body.get("metadata") or {}).get("resourceVersion", "")

        def scaled(old: Json) -> Json:
            meta = {**old["metadata"], "resourceVersion": version or old["metadata"]["resourceVersion"]}
            return {**old, "metadata": meta, "spec": {**old.get("spec", {}), "replicas": replicas}}

        answer = self._writer.guaranteed_update(request, target, resource, scaled, {})
        return json_response(make_scale(msgspec.json.decode(answer.body)))

    def bind(self, request: Request, target: RequestInfo) -> Response:
        """POST of a binding, to a pod or to the namespace's bindings."""
        binding = self._intake.prune(self._intake.decode(request, BINDING), BINDING).body
        name = target.name if target.plural == "pods" else (binding.get("metadata") or {}).get("name", "")
        binding_target = binding.get("target", {})
        if not binding_target.get("name"):
            raise invalid("", "Binding", name, [required("target.name")])
        if binding_target.get("kind") not in (None, "", "Node"):
            raise bad_request(f"a pod cannot be bound to a {binding_target['kind']}")
        pods = self._pods()
        pod = RequestInfo("", "v1", "pods", target.namespace, name)
        entry = get_or_404(self._store, pod, pods)
        body = entry.object()
        uid = (binding.get("metadata") or {}).get("uid")
        check_preconditions(DeleteOptions(preconditions=Preconditions(uid=uid or None)), entry, pods)
        if "deletionTimestamp" in body["metadata"]:
            raise conflict("", "pods/binding", name, f"pod {name} is being deleted, cannot be assigned to a host")
        if body["spec"].get("nodeName"):
            reason = f'pod {name} is already assigned to node "{body["spec"]["nodeName"]}"'
            raise conflict("", "pods/binding", name, reason)
        if not request.dry_run:
            self._store.put(
                "pods", bound_pod(body, binding_target["name"], format_time(self._clock())), entry.managed_fields
            )
        return json_response(success_status(code=201), 201)

    def evict(self, request: Request, target: RequestInfo) -> Response:
        """POST of an eviction: a delete with the options in the body."""
        eviction = self._intake.prune(self._intake.decode(request, EVICTION), EVICTION).body
        pods = self._pods()
        entry = get_or_404(self._store, target, pods)
        self._remover.admission.delete(request.user, pods, entry, eviction=True)
        try:
            options = msgspec.convert(eviction.get("deleteOptions") or {}, DeleteOptions)
        except msgspec.ValidationError as error:
            raise bad_request(f"DeleteOptions cannot be handled: {error}") from error
        check_preconditions(options, entry, pods)
        if not (request.dry_run or options.dryRun):
            self._remover.begin_deletion(pods, entry, options)
        return json_response(success_status(code=201), 201)

    def finalize(self, request: Request, target: RequestInfo, resource: Resource) -> Response:
        """PUT of a namespace's finalizers."""
        if request.method != "PUT":
            raise method_not_allowed()
        namespace = self._intake.prune(self._intake.decode(request, resource), resource).body
        finalizers = namespace.get("spec", {}).get("finalizers", [])

        def finalized(old: Json) -> Json:
            spec = {key: value for key, value in old.get("spec", {}).items() if key != "finalizers"}
            return {**old, "spec": {**spec, **({"finalizers": finalizers} if finalizers else {})}}

        return self._writer.guaranteed_update(request, target, resource, finalized, {})

    def _pods(self) -> Resource:
        resource = self._registry.find("", "v1", "pods")
        if resource is None:
            raise bad_request(f"no {details_of('', 'pods')} are served")
        return resource


def make_scale(body: Json) -> Json:
    """The Scale of a workload."""
    spec, status = body.get("spec", {}), body.get("status", {})
    fields = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    scale_status: Json = {"replicas": status.get("replicas", 0)}
    if text := selector_text(spec.get("selector", {})):
        scale_status["selector"] = text
    scale_spec = {"replicas": spec["replicas"]} if spec.get("replicas") else {}
    meta = {field: body["metadata"][field] for field in fields if field in body["metadata"]}
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": meta,
        "spec": scale_spec,
        "status": scale_status,
    }


def bound_pod(pod: Json, node: str, now: str) -> Json:
    """The v1.Pod with its node and the condition PodScheduled."""
    status = pod.get("status", {})
    conditions = [c for c in status.get("conditions", ()) if c.get("type") != "PodScheduled"]
    conditions.append({"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now})
    return {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": {**status, "conditions": conditions}}
