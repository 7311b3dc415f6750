"""OpenAPI: for v2 the smallest answer with which every kubectl leaves validation to the server; v3 from the known types."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from ..codec.builtin_types import BuiltinTypes
from ..crd.structural import StructuralSchema
from ..errors import Json, PlainNotFound
from ..http_messages import JSON_TYPE, Request, Response, json_response
from .builtin import Resource
from .resource_registry import ResourceRegistry

V2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# A Document message that says nothing but `swagger: "2.0"`.
V2_BODY = bytes.fromhex("0a03322e30")
KEPT = {"Cache-Control": "public, immutable"}
GVK = "x-kubernetes-group-version-kind"
SCALARS: dict[str, Json] = {
    "string": {"type": "string"},
    "integer": {"type": "integer", "format": "int64"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
    "microtime": {"type": "string", "format": "date-time"},
    "quantity": {"type": "string"},
    "intstr": {"type": "string", "format": "int-or-string"},
    "bytes": {"type": "string", "format": "byte"},
    "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
}
# A parameter of this name tells kubectl that the server validates.
PARAMETERS = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]


class OpenApi:
    """Answers /openapi/v2 and /openapi/v3. `structural(resource)` is the schema of a custom resource."""

    def __init__(
        self, registry: ResourceRegistry, types: BuiltinTypes, structural: Callable[[Resource], StructuralSchema | None]
    ) -> None:
        self._registry, self._types, self._structural = registry, types, structural

    def answer(self, request: Request) -> Response | None:
        """The answer to an OpenAPI path; None when it is none. Raises PlainNotFound for an unknown group version."""
        path = request.path.rstrip("/")
        if path == "/openapi/v2":
            return Response(V2_BODY, 200, V2_TYPE)
        if path == "/openapi/v3":
            return json_response({"paths": dict(map(self._link, self._registry.group_versions()))})
        if not path.startswith("/openapi/v3/"):
            return None
        for group, version in self._registry.group_versions():
            if path == f"/openapi/v3/{document_path(group, version)}":
                return Response(self._document(group, version), 200, JSON_TYPE, KEPT)
        raise PlainNotFound

    def _link(self, group_version: tuple[str, str]) -> tuple[str, Json]:
        path = document_path(*group_version)
        digest = hashlib.sha256(self._document(*group_version)).hexdigest()[:32].upper()
        return path, {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}

    def _document(self, group: str, version: str) -> bytes:
        """One group version: for each kind a path with what may be done, and the schemas that it reaches."""
        paths: Json = {}
        schemas: Json = {}
        for resource in self._registry.in_version(group, version):
            kind = {"group": group, "version": version, "kind": resource.kind}
            middle = "namespaces/{namespace}/" if resource.namespaced else ""
            answers: Json = {"responses": {"200": {"description": "OK"}}, GVK: kind}
            path = f"/{document_path(group, version)}/{middle}{resource.plural}/{{name}}"
            get: Json = {**answers, "x-kubernetes-action": "get"}
            paths[path] = {"get": get, "patch": {**get, "x-kubernetes-action": "patch", "parameters": PARAMETERS}}
            self._add(resource, kind, schemas)
        info = {"title": "kubeedge-actors", "version": version}
        document = {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": schemas}}
        return msgspec.json.encode(document)

    def _add(self, resource: Resource, kind: Json, schemas: Json) -> None:
        """The schema of a kind, and those that it refers to."""
        if not resource.is_custom:
            self._add_type(resource.type, schemas)
            schemas[resource.type] = {**schemas[resource.type], GVK: [kind]}
            return
        structural = self._structural(resource)
        schema: Json = dict(structural.schema) if structural is not None else {"type": "object"}
        self._add_type("ObjectMeta", schemas)
        properties: Json = dict(schema.get("properties", {}))
        properties["metadata"] = {"allOf": [{"$ref": "#/components/schemas/ObjectMeta"}]}
        schemas[f"{resource.group}.{resource.kind}"] = {**schema, "properties": properties, GVK: [kind]}

    def _add_type(self, name: str, schemas: Json) -> None:
        fields = self._types.fields(name)
        if fields is None or name in schemas:
            return
        schemas[name] = {"type": "object", "properties": {field: type_schema(text) for field, text in fields.items()}}
        for text in fields.values():
            self._add_type(text.strip("[]{}"), schemas)


def type_schema(text: str) -> Json:
    """The schema of a compact type."""
    if text in SCALARS:
        return SCALARS[text]
    if text[0] == "[":
        return {"type": "array", "items": type_schema(text[1:-1])}
    if text[0] == "{":
        inner: Any = type_schema(text[1:-1])
        return {"type": "object", "additionalProperties": inner}
    # kubectl reads a reference in the form that the genuine server gives it.
    return {"allOf": [{"$ref": f"#/components/schemas/{text}"}]}


def document_path(group: str, version: str) -> str:
    """Where a group version's document is."""
    return f"apis/{group}/{version}" if group else f"api/{version}"
