"""What is served: aggregated and legacy discovery, version, health."""

from __future__ import annotations

import hashlib

import msgspec

from ..codec.negotiation import DISCOVERY, negotiate
from ..errors import Json, PlainNotFound, no_such_resource
from ..http_messages import Request, Response, json_response, text_response
from .builtin import Resource
from .resource_registry import ResourceRegistry

COMPILER = "kubeedge_actors"
"""How clients recognise this server: it brings no controllers of Kubernetes along."""
VERSION = {
    "major": "1",
    "minor": "35",
    "gitVersion": "v1.35.0",
    "gitCommit": "",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": COMPILER,
    "platform": "linux/amd64",
}
HEALTH = frozenset({"/healthz", "/livez", "/readyz"})
PUBLIC = "public"


class Discovery:
    """Answers /api, /apis, /api/v1, /apis/<group>, /apis/<group>/<version>, /version and the health paths."""

    def __init__(self, registry: ResourceRegistry) -> None:
        self._registry = registry
        self._cache: dict[tuple[str, str, int], tuple[bytes, str]] = {}

    def answer(self, request: Request) -> Response | None:
        """The answer to a discovery path; None when it is none."""
        path = request.path.rstrip("/")
        if path == "/version":
            return json_response(VERSION)
        if path in HEALTH:
            return text_response("ok")
        parts = path.strip("/").split("/")
        if parts in (["api"], ["apis"]):
            return self._roots(request, parts[0])
        if parts[0] == "api" and len(parts) == 2:
            return json_response(self._resources("", parts[1]))
        if parts[0] == "apis" and len(parts) == 2:
            return json_response(self._group(parts[1]))
        if parts[0] == "apis" and len(parts) == 3:
            return json_response(self._resources(parts[1], parts[2]))
        return None

    def _roots(self, request: Request, root: str) -> Response:
        form, version = negotiate(request.headers.get("accept", ""), (DISCOVERY,))
        if not form and root == "api":
            return json_response(core_versions(request.address))
        key = (root, version, self._registry.version)
        if key not in self._cache:
            body = msgspec.json.encode(self._aggregated(root, version) if form else self._groups())
            self._cache = {cached: value for cached, value in self._cache.items() if cached[2] == key[2]}
            self._cache[key] = (body, f'"{hashlib.sha256(body).hexdigest()[:32].upper()}"')
        body, tag = self._cache[key]
        headers = {"ETag": tag, "Vary": "Accept", "Cache-Control": PUBLIC}
        if tag in request.headers.get("if-none-match", ""):
            return Response(b"", 304, headers=headers)
        media = f"application/json;g=apidiscovery.k8s.io;v={version};as={DISCOVERY}" if form else "application/json"
        return Response(body, 200, media, headers)

    def _aggregated(self, root: str, version: str) -> Json:
        groups: dict[str, list[Json]] = {}
        for group, served_version in self._registry.group_versions():
            if (root == "api") == (group == ""):
                resources = [
                    aggregated_resource(resource) for resource in self._registry.in_version(group, served_version)
                ]
                entry = {"version": served_version, "resources": resources, "freshness": "Current"}
                groups.setdefault(group, []).append(entry)
        items = [{"metadata": {"name": g} if g else {}, "versions": versions} for g, versions in groups.items()]
        head = {"kind": DISCOVERY, "apiVersion": f"apidiscovery.k8s.io/{version}"}
        return {**head, "metadata": {}, "items": items}

    def _groups(self) -> Json:
        names = dict.fromkeys(group for group, _ in self._registry.group_versions() if group)
        groups = [self._group_entry(name) for name in names]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}

    def _group_entry(self, name: str) -> Json:
        versions = [
            {"groupVersion": f"{group}/{version}", "version": version}
            for group, version in self._registry.group_versions()
            if group == name
        ]
        return {"name": name, "versions": versions, "preferredVersion": versions[0]}

    def _group(self, name: str) -> Json:
        if name not in {group for group, _ in self._registry.group_versions()}:
            raise PlainNotFound
        return {"kind": "APIGroup", "apiVersion": "v1", **self._group_entry(name)}

    def _resources(self, group: str, version: str) -> Json:
        if (group, version) not in self._registry.group_versions():
            if group:
                raise PlainNotFound
            raise no_such_resource()
        entries: list[Json] = []
        for resource in self._registry.in_version(group, version):
            entries.extend(legacy_resources(resource))
        head: Json = {"kind": "APIResourceList"}
        if group:
            head["apiVersion"] = "v1"
        return {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": entries}


def core_versions(address: str) -> Json:
    """The answer to /api."""
    addresses = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": addresses}


def aggregated_resource(resource: Resource) -> Json:
    """A resource as aggregated discovery tells it."""
    own = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    entry: Json = {
        "resource": resource.plural,
        "responseKind": own,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular or resource.kind.lower(),
        "verbs": list(resource.verbs),
    }
    add_optional_fields(entry, resource)
    subs: list[Json] = []
    for sub in resource.subresources:
        kind = {"group": sub.group, "version": sub.version, "kind": sub.kind} if sub.kind else own
        subs.append({"subresource": sub.name, "responseKind": kind, "verbs": list(sub.verbs)})
    if subs:
        entry["subresources"] = subs
    return entry


def add_optional_fields(entry: Json, resource: Resource) -> None:
    """Short names and categories, when there are any."""
    if resource.short:
        entry["shortNames"] = list(resource.short)
    if resource.categories:
        entry["categories"] = list(resource.categories)


def legacy_resources(resource: Resource) -> list[Json]:
    """A resource and its subresources as legacy discovery tells them."""
    entry: Json = {
        "name": resource.plural,
        "singularName": resource.singular or resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
    }
    add_optional_fields(entry, resource)
    entries = [entry]
    for sub in resource.subresources:
        sub_entry: Json = {
            "name": f"{resource.plural}/{sub.name}",
            "singularName": "",
            "namespaced": resource.namespaced,
        }
        if sub.group:
            sub_entry |= {"group": sub.group, "version": sub.version}
        entries.append({**sub_entry, "kind": sub.kind or resource.kind, "verbs": list(sub.verbs)})
    return entries
