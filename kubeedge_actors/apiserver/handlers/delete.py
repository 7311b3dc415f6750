"""DELETE and DELETECOLLECTION: preconditions, grace periods, finalizers, immediate removal."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.kubernetes.time import format_time, parse_time

from ..codec.decoder import PROTOBUF_TYPE
from ..codec.response_encoder import MANY, ONE, ResponseEncoders
from ..errors import (
    Json,
    bad_request,
    conflict,
    details_of,
    invalid_options,
    not_found,
    success_status,
    unsupported_value,
)
from ..http_messages import Request, Response, json_response
from ..node_admission import NodeAdmission
from ..registry.builtin import Resource
from ..registry.object_meta import META_ORDER, is_removable
from ..request_info import RequestInfo
from ..storage.entry import Entry
from ..storage.store import Store
from .read import matching_entries, parse_selection

POLICIES = ("Foreground", "Background", "Orphan")
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
FINISHED = ("Succeeded", "Failed")


class Preconditions(msgspec.Struct, frozen=True):
    """Preconditions of a delete: uid and resourceVersion."""

    uid: str | None = None
    resourceVersion: str | None = None


class DeleteOptions(msgspec.Struct, frozen=True):
    """metav1.DeleteOptions of a request."""

    gracePeriodSeconds: int | None = None
    propagationPolicy: str | None = None
    orphanDependents: bool | None = None
    preconditions: Preconditions | None = None
    dryRun: list[str] | None = None

    @property
    def policy(self) -> str:
        """The propagation policy; Background when nothing is said."""
        if self.propagationPolicy:
            return self.propagationPolicy
        return "Orphan" if self.orphanDependents else "Background"


BACKGROUND = DeleteOptions()


class Deleter:
    """Handles delete and deletecollection; used by the background controllers too."""

    def __init__(
        self,
        store: Store,
        renderings: ResponseEncoders,
        admission: NodeAdmission,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._renderings, self.admission, self._clock = store, renderings, admission, clock

    def delete(self, request: Request, target: RequestInfo, resource: Resource) -> Response:
        """DELETE of one object."""
        options = read_delete_options(request)
        entry = self._store.get(resource.key, target.namespace, target.name)
        if entry is None:
            raise not_found(resource.group, resource.plural, target.name)
        self.admission.delete(request.user, resource, entry)
        check_preconditions(options, entry, resource)
        if request.dry_run or options.dryRun:
            return self._answer(request, resource, entry, removed=True)
        last, removed = self.begin_deletion(resource, entry, options)
        return self._answer(request, resource, last, removed)

    def _answer(self, request: Request, resource: Resource, entry: Entry, removed: bool) -> Response:
        if not removed or resource.delete_returns_object:
            return Response(self._renderings.negotiate(request, resource, ONE).encode_object(entry))
        details = details_of(resource.group, resource.plural, entry.name) | {"uid": entry.uid}
        return json_response(success_status(details))

    def delete_collection(self, request: Request, target: RequestInfo, resource: Resource) -> Response:
        """DELETE of all objects that a selection fits; answers the list of them."""
        options = read_delete_options(request)
        rendering = self._renderings.negotiate(request, resource, MANY)
        chosen = parse_selection(request, target, resource)
        entries = list(matching_entries(self._store.collection(resource.key).scan(chosen.namespace), chosen))
        if not (request.dry_run or options.dryRun):
            entries = [self.begin_deletion(resource, entry, options)[0] for entry in entries]
        return Response(rendering.encode_list(entries, {"resourceVersion": str(self._store.revision)}))

    def begin_deletion(
        self, resource: Resource, entry: Entry, options: DeleteOptions = BACKGROUND
    ) -> tuple[Entry, bool]:
        """Deletes an object or begins to; answers its last state and whether it is gone."""
        body = entry.object()
        if resource.key == "namespaces":
            return self._namespace(resource, entry, body)
        finalizers = deletion_finalizers(body, options)
        grace = grace_period(body, options) if resource.key == "pods" else 0
        meta = body["metadata"]
        if "deletionTimestamp" in meta:
            return self._repeat_delete(resource, entry, body, grace, finalizers)
        bound_pod = resource.key == "pods" and "nodeName" in body.get("spec", {})
        if grace == 0 and not finalizers and not bound_pod:
            return self._store.remove(resource.key, entry).new, True
        self._mark(body, grace, finalizers)
        return self._go_on(resource, entry, body)

    def _namespace(self, resource: Resource, entry: Entry, body: Json) -> tuple[Entry, bool]:
        meta = body["metadata"]
        if "deletionTimestamp" in meta:
            return entry, False
        meta["deletionTimestamp"] = format_time(self._clock())
        body["metadata"] = ordered_meta(meta)
        body.setdefault("status", {})["phase"] = "Terminating"
        return self._go_on(resource, entry, body)

    def _repeat_delete(
        self, resource: Resource, entry: Entry, body: Json, grace: int, finalizers: list[str]
    ) -> tuple[Entry, bool]:
        """A further delete: a shorter grace counts, a longer one does not."""
        meta = body["metadata"]
        before = meta.get("deletionGracePeriodSeconds", 0)
        if grace >= before and finalizers == meta.get("finalizers", []):
            return entry, False
        if grace < before:
            began = (parse_time(meta["deletionTimestamp"]) or self._clock()) - before
            meta["deletionTimestamp"] = format_time(began + grace if grace else self._clock())
            meta["deletionGracePeriodSeconds"] = grace
        set_finalizers(meta, finalizers)
        return self._go_on(resource, entry, body)

    def _mark(self, body: Json, grace: int, finalizers: list[str]) -> None:
        meta = body["metadata"]
        meta["deletionTimestamp"] = format_time(self._clock() + grace)
        meta["deletionGracePeriodSeconds"] = grace
        if meta.get("generation"):
            meta["generation"] += 1
        set_finalizers(meta, finalizers)
        body["metadata"] = ordered_meta(meta)

    def _go_on(self, resource: Resource, entry: Entry, body: Json) -> tuple[Entry, bool]:
        """Stores the marked object; it goes when nothing holds it."""
        event = self._store.put(resource.key, body, entry.managed_fields)
        if is_removable(body):
            return self._store.remove(resource.key, event.new).new, True
        return event.new, False


def ordered_meta(meta: Json) -> Json:
    """Metadata in Kubernetes' order."""
    return {key: meta[key] for key in META_ORDER if key in meta}


def set_finalizers(meta: Json, finalizers: list[str]) -> None:
    """The finalizers of an object, left out when there are none."""
    meta.pop("finalizers", None)
    if finalizers:
        meta["finalizers"] = finalizers


def deletion_finalizers(body: Json, options: DeleteOptions) -> list[str]:
    """The finalizers with the one that the policy asks for."""
    finalizers = list(body["metadata"].get("finalizers", ()))
    finalizer = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(options.policy)
    if finalizer and finalizer not in finalizers:
        finalizers.append(finalizer)
    return finalizers


def grace_period(pod: Json, options: DeleteOptions) -> int:
    """The grace period of a v1.Pod in seconds: 0 when no node runs it."""
    spec, phase = pod.get("spec", {}), pod.get("status", {}).get("phase")
    if "nodeName" not in spec or phase in FINISHED:
        return 0
    seconds = options.gracePeriodSeconds
    if seconds is None:
        seconds = pod["metadata"].get("deletionGracePeriodSeconds", spec.get("terminationGracePeriodSeconds", 30))
    return max(0, int(seconds))


def read_delete_options(request: Request) -> DeleteOptions:
    """Delete options from the query and the body; the body wins. Raises 400 and 422."""
    fields: Json = {}
    query = request.query
    if "gracePeriodSeconds" in query:
        fields["gracePeriodSeconds"] = parse_number(query["gracePeriodSeconds"])
    for field in ("propagationPolicy",):
        if query.get(field):
            fields[field] = query[field]
    if request.body:
        fields |= body_delete_options(request)
    try:
        options = msgspec.convert(fields, DeleteOptions)
    except msgspec.ValidationError as error:
        raise bad_request(f"DeleteOptions cannot be handled: {error}") from error
    if options.policy not in POLICIES:
        allowed = (*POLICIES, "nil")
        raise invalid_options("DeleteOptions", unsupported_value("propagationPolicy", options.policy, allowed))
    return options


def body_delete_options(request: Request) -> Json:
    """Delete options of a body."""
    if request.headers.get("content-type", "").startswith(PROTOBUF_TYPE):
        from ..codec.protobuf_decoder import decode  # late: only old clients send it

        return decode(request.body, "DeleteOptions")
    try:
        fields = msgspec.json.decode(depth_limit.check_depth(request.body))
    except msgspec.DecodeError as error:
        raise bad_request(f"error decoding DeleteOptions: {error}") from error
    if not isinstance(fields, dict):
        raise bad_request("error decoding DeleteOptions: not an object")
    return {key: value for key, value in fields.items() if value is not None}


def parse_number(text: str) -> int:
    """A number from the query. Raises 400."""
    try:
        return int(text)
    except ValueError as error:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def check_preconditions(options: DeleteOptions, entry: Entry, resource: Resource) -> None:
    """Raises 409 when a precondition does not hold."""
    preconditions = options.preconditions
    if preconditions is None:
        return
    for field, value, actual in (
        ("UID", preconditions.uid, entry.uid),
        ("ResourceVersion", preconditions.resourceVersion, str(entry.revision)),
    ):
        if value is not None and value != actual:
            reason = f"the {field} in the precondition ({value}) does not match the {field} in record ({actual}). "
            reason += "The object might have been deleted and then recreated"
            if field == "ResourceVersion":
                reason = reason.replace("deleted and then recreated", "modified")
            raise conflict(resource.group, resource.kind, entry.name, reason)
