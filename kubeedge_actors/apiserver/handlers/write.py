"""Create, update and patch: from a request to a stored object."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from ..codec.decoder import DecodedObject, ObjectDecoder, field_validation, strict_error_text, warning_header
from ..codec.response_encoder import ONE, ResponseEncoders
from ..errors import (
    MODIFIED,
    ApiError,
    FieldError,
    Json,
    already_exists,
    bad_request,
    conflict,
    forbidden,
    invalid,
    invalid_value,
    method_not_allowed,
    not_found,
)
from ..http_messages import Request, Response
from ..node_admission import NodeAdmission
from ..patch.patcher import Patcher
from ..registry.builtin import Resource
from ..registry.object_meta import (
    finalizer_errors,
    is_removable,
    is_unchanged,
    prepare_create,
    prepare_update,
    update_generation,
)
from ..request_info import RequestInfo
from ..storage.entry import Entry
from ..storage.store import Store
from ..strategies.ephemeral_containers import SUBRESOURCE, ephemeral_container_errors, with_ephemeral_containers
from ..strategies.validation import metadata_errors as metadata_complaints
from .read import get_or_404

# Built-in kinds whose status writes also take labels and the like.
STATUS_WITH_METADATA = frozenset({"pods", "nodes", "namespaces"})
Change = Callable[[Json], Json]


class Writer:
    """Answers create, update and patch."""

    def __init__(
        self,
        store: Store,
        intake: ObjectDecoder,
        patcher: Patcher,
        renderings: ResponseEncoders,
        admission: NodeAdmission,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._intake, self._patcher = store, intake, patcher
        self._renderings, self._admission, self._clock = renderings, admission, clock

    def create(self, request: Request, target: RequestInfo, resource: Resource) -> Response:
        """POST."""
        if resource.namespaced != bool(target.namespace):
            raise method_not_allowed()
        body = self._intake.decode(request, resource)
        return self.create_object(request, target.namespace, resource, body)

    def create_object(self, request: Request, namespace: str, resource: Resource, body: Json) -> Response:
        """Stores a new object of the right kind; it is checked and defaulted first."""
        shaped = self._decoded(request, resource, body)
        self._check_new(shaped.body, namespace)
        self._admission.create(request.user, resource, namespace, shaped.body)
        new = prepare_create(resource, shaped.body, namespace, self._clock())
        if namespace:
            self._check_namespace(namespace, resource, new)
        self._complete(resource, new)
        name = new["metadata"].get("name", "")
        self._raise_invalid(resource, name, self._intake.validate(new, resource))
        if self._store.get(resource.key, namespace, name) is not None:
            raise already_exists(resource.group, resource.plural, name)
        return self._store_new(request, resource, new, None, warning_header(shaped.unknown))

    def _store_new(
        self, request: Request, resource: Resource, new: Json, managed_fields: bytes | None, headers: dict[str, str]
    ) -> Response:
        rendering = self._renderings.negotiate(request, resource, ONE)
        if request.dry_run:
            return Response(rendering.encode_object(dry_run_entry(new)), 201, headers=headers)
        event = self._store.put(resource.key, new, managed_fields)
        return Response(rendering.encode_object(event.new), 201, headers=headers)

    def _complete(self, resource: Resource, new: Json) -> None:
        """What only a creation does, and defaults."""
        if not resource.is_custom:
            self._intake.strategy(resource).prepare(new)
        elif resource.has_status:
            new.pop("status", None)
        self._intake.default(new, resource)

    def _decoded(self, request: Request, resource: Resource, body: Json) -> DecodedObject:
        shaped = self._intake.prune(body, resource)
        mode = field_validation(request)
        if shaped.unknown and mode == "Strict":
            text = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: '
            raise bad_request(text + strict_error_text(shaped.unknown))
        if mode == "Ignore":
            shaped.unknown.clear()
        return shaped

    def _check_new(self, body: Json, namespace: str) -> None:
        meta = body.get("metadata") or {}
        check_namespace_field(meta, namespace)
        if meta.get("resourceVersion"):
            raise ApiError(500, "", "resourceVersion should not be set on objects to be created")

    def _check_namespace(self, namespace: str, resource: Resource, new: Json) -> None:
        home = self._store.get("namespaces", "", namespace)
        if home is None:
            raise not_found("", "namespaces", namespace)
        if home.fields.get("status.phase") == "Terminating":
            reason = f"unable to create new content in namespace {namespace} because it is being terminated"
            text = f"namespace {namespace} is being terminated"
            cause = FieldError("metadata.namespace", "NamespaceTerminating", text)
            raise forbidden(resource.group, resource.plural, new["metadata"].get("name", ""), reason, [cause])

    def update(self, request: Request, target: RequestInfo, resource: Resource) -> Response:
        """PUT."""
        body = self._intake.decode(request, resource)
        meta = body.get("metadata") or {}
        name = meta.get("name", target.name) or target.name
        check_name(name, target)
        check_namespace_field(meta, target.namespace)
        if self._store.get(resource.key, target.namespace, target.name) is None and resource.allow_create_on_update:
            body["metadata"] = {**meta, "name": name}
            body["metadata"].pop("resourceVersion", None)
            return self.create_object(request, target.namespace, resource, body)
        if resource.is_custom and not meta.get("resourceVersion") and not target.subresource:
            error = invalid_value("metadata.resourceVersion", 0, "must be specified for an update")
            get_or_404(self._store, target, resource)
            raise invalid(resource.group, resource.plural, target.name, [error])
        shaped = self._decoded(request, resource, body)
        return self.guaranteed_update(
            request, target, resource, lambda old: shaped.body, warning_header(shaped.unknown)
        )

    def patch(self, request: Request, target: RequestInfo, resource: Resource) -> Response:
        """PATCH."""
        if self._patcher.is_apply(request):
            return self._apply(request, target, resource)
        change = self._patcher.patch_function(request, resource)
        headers: dict[str, str] = {}

        def patched(old: Json) -> Json:
            known = (old.get("apiVersion"), old.get("kind"))
            body = change(old)
            check_identity(body, known, target, resource)
            shaped = self._intake.prune(body, resource)
            if shaped.unknown and field_validation(request) == "Strict":
                shown = request.body.decode(errors="replace")
                error = invalid_value("patch", shown, strict_error_text(shaped.unknown))
                raise invalid(resource.group, resource.kind, target.name, [error])
            headers.update(warning_header(shaped.unknown) if field_validation(request) == "Warn" else {})
            return shaped.body

        if self._store.get(resource.key, target.namespace, target.name) is None and resource.allow_create_on_update:
            start = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {"name": target.name}}
            return self.create_object(request, target.namespace, resource, change(start))
        return self.guaranteed_update(request, target, resource, patched, headers)

    def _apply(self, request: Request, target: RequestInfo, resource: Resource) -> Response:
        entry = self._store.get(resource.key, target.namespace, target.name)
        applied = self._patcher.apply(request, target, resource, entry)
        shaped = self._decoded(request, resource, applied.body)
        headers = warning_header(shaped.unknown)
        if entry is not None:
            return self.guaranteed_update(
                request, target, resource, lambda old: shaped.body, headers, applied.managed_fields
            )
        if target.subresource:
            raise not_found(resource.group, resource.plural, target.name)
        self._admission.create(request.user, resource, target.namespace, shaped.body)
        new = prepare_create(resource, shaped.body, target.namespace, self._clock())
        if target.namespace:
            self._check_namespace(target.namespace, resource, new)
        self._complete(resource, new)
        self._raise_invalid(resource, target.name, self._intake.validate(new, resource))
        return self._store_new(request, resource, new, applied.managed_fields, headers)

    def guaranteed_update(
        self,
        request: Request,
        target: RequestInfo,
        resource: Resource,
        change: Change,
        headers: dict[str, str],
        managed_fields: bytes | None = None,
    ) -> Response:
        """Stores what the function `change` makes of an object, unless nothing changes. Raises 404, 409, 422."""
        entry = get_or_404(self._store, target, resource)
        old = entry.object()
        requested = change(entry.object())
        check_preconditions(requested, old, resource)
        new = self._next(target, resource, requested, old)
        self._admission.update(request.user, resource, target.subresource, new, old)
        rendering = self._renderings.negotiate(request, resource, ONE)
        managed_fields = (
            self._patcher.managed_fields_after(entry, new, request, target, resource)
            if managed_fields is None
            else managed_fields
        )
        if is_unchanged(new, old) and managed_fields == entry.managed_fields:
            return Response(rendering.encode_object(entry), headers=headers)
        if request.dry_run:
            return Response(rendering.encode_object(dry_run_entry(new)), headers=headers)
        return Response(
            rendering.encode_object(self.store_change(resource, entry, new, managed_fields)), headers=headers
        )

    def _next(self, target: RequestInfo, resource: Resource, requested: Json, old: Json) -> Json:
        if target.subresource == "status":
            new = with_status(resource, requested, old)
            if not resource.is_custom:
                self._intake.default(new, resource)
            complaints = [*metadata_complaints(new["metadata"], False), *finalizer_errors(new, old)]
            complaints.extend(self._intake.validate(new, resource) if resource.is_custom else ())
            self._raise_invalid(resource, target.name, complaints)
            return new
        if target.subresource == SUBRESOURCE:
            new = with_ephemeral_containers(requested, old)
            self._intake.default(new, resource)
            self._raise_invalid(resource, target.name, list(ephemeral_container_errors(new, old)))
            update_generation(resource, new, old)
            return new
        new = prepare_update(resource, requested, old)
        if resource.has_status:
            new.pop("status", None)
            if "status" in old:
                new["status"] = old["status"]
        self._intake.default(new, resource)
        complaints = [*self._intake.validate(new, resource), *finalizer_errors(new, old)]
        if not resource.is_custom:
            complaints.extend(self._intake.strategy(resource).validate_update(new, old))
        self._raise_invalid(resource, target.name, complaints)
        update_generation(resource, new, old)
        return new

    def store_change(self, resource: Resource, entry: Entry, new: Json, managed_fields: bytes | None) -> Entry:
        """Stores the next version; an object that only waited for its finalizers goes."""
        event = self._store.put(resource.key, new, managed_fields)
        if is_removable(new):
            event = self._store.remove(resource.key, event.new)
        return event.new

    def _raise_invalid(self, resource: Resource, name: str, errors: list[FieldError]) -> None:
        if errors:
            raise invalid(resource.group, resource.kind, name, errors)


def with_status(resource: Resource, requested: Json, old: Json) -> Json:
    """The object with another status; of pods and nodes also with other labels and the like."""
    new = prepare_update(resource, requested, old) if resource.key in STATUS_WITH_METADATA else old
    unchanged = {key: value for key, value in old.items() if key not in ("metadata", "status")}
    new = {**unchanged, "metadata": new["metadata"]}
    if "status" in requested:
        new["status"] = requested["status"]
    return new


def dry_run_entry(body: Json) -> Entry:
    """What a dry run shows: the object without a version."""
    meta = {key: value for key, value in body["metadata"].items() if key != "resourceVersion"}
    data = msgspec.json.encode({**body, "metadata": meta})
    return Entry(meta.get("namespace", ""), meta.get("name", ""), meta.get("uid", ""), 0, data, {}, {})


def check_name(name: str, target: RequestInfo) -> None:
    """The body's name is the path's."""
    if name != target.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")


def check_namespace_field(meta: Json, namespace: str) -> None:
    """The body's namespace is the path's."""
    if namespace and meta.get("namespace") not in (None, "", namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def check_identity(patched: Json, known: tuple[object, object], target: RequestInfo, resource: Resource) -> None:
    """A patch leaves an object what it is: its type (`known`: apiVersion and kind before), its name and its namespace."""
    types = zip(("apiVersion", "kind"), known, (resource.api_version, resource.kind), strict=True)
    errors = [
        invalid_value(field, patched.get(field), f"must be {wanted}")
        for field, before, wanted in types
        if patched.get(field) not in (None, before, wanted)
    ]
    if errors:
        raise invalid(resource.group, str(patched.get("kind")), target.name, errors)
    meta = patched.get("metadata")
    if isinstance(meta, dict):
        check_name(str(meta.get("name") or target.name), target)
        check_namespace_field(meta, target.namespace)


def check_preconditions(requested: Json, old: Json, resource: Resource) -> None:
    """The version and the uid that the client knows are still those of the object."""
    meta, stored = requested.get("metadata") or {}, old["metadata"]
    name = stored["name"]
    check = RequestInfo(resource.group, resource.version, resource.plural, stored.get("namespace", ""), name)
    check_name(meta.get("name") or name, check)
    uid = meta.get("uid")
    if uid and uid != stored["uid"]:
        key = "/".join(part for part in ("/registry", resource.plural, check.namespace, name) if part)
        reason = f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        reason += f"Precondition failed: UID in precondition: {uid}, UID in object meta: {stored['uid']}"
        raise conflict(resource.group, resource.plural, name, reason)
    version = meta.get("resourceVersion")
    if version and version not in ("0", stored["resourceVersion"]):
        raise conflict(resource.group, resource.plural, name, MODIFIED)
