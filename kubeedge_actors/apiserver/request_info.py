"""RequestInfo (apiserver: request.RequestInfo): which resource, object and subresource a path names."""

from __future__ import annotations

import msgspec


class RequestInfo(msgspec.Struct, frozen=True):
    """What a resource path names; empty parts are not in the path."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: str = ""

    @property
    def prefix(self) -> str:
        """The path of the group version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


NAMESPACE_PARTS = frozenset({"status", "finalize"})


def parse(path: str) -> RequestInfo | None:
    """The target of a path under /api/<v>/ or /apis/<g>/<v>/; None when the path is shorter or somewhere else."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        return in_group_version("", parts[1], parts[2:])
    if parts[0] == "apis" and len(parts) > 3:
        return in_group_version(parts[1], parts[2], parts[3:])
    return None


def in_group_version(group: str, version: str, parts: list[str]) -> RequestInfo:
    """The target of the parts after the group version."""
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2 and not (len(parts) == 3 and parts[2] in NAMESPACE_PARTS):
        namespace, parts = parts[1], parts[2:]
    plural, name, subresource, *rest = (*parts, "", "", "")
    return RequestInfo(group, version, plural, namespace, name, subresource, "/".join(part for part in rest if part))


def verb(method: str, named: bool, watching: bool) -> str:
    """Kubernetes' word for what a method does to a resource; empty when it does nothing."""
    if method == "GET":
        return "watch" if watching else "get" if named else "list"
    if method == "DELETE":
        return "delete" if named else "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(method, "")
