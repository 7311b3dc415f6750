"""RequestInfo: which collection or object a path of the Kubernetes API names (Kubernetes: request.RequestInfo). Pure."""

from __future__ import annotations

import msgspec

NAMESPACES = "namespaces"


class RequestInfo(msgspec.Struct, frozen=True):
    """A resource, its namespace (empty: all, or none has one) and the name of one object (empty: all of them)."""

    group: str
    version: str
    plural: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def resource(self) -> str:
        """The resource type as the store names it."""
        return f"{self.group}/{self.version}, Resource={self.plural}"

    @property
    def api_version(self) -> str:
        """The apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def key(self, namespace: str) -> str:
        """Where the store keeps the object."""
        return f"/{self.group or 'core'}/{self.version}/{self.plural}/{namespace}/{self.name}"


def parse(path: str) -> RequestInfo | None:
    """The RequestInfo of a path; None for any other path.

    >>> parse("/api/v1/namespaces/default/pods/a")
    RequestInfo(group='', version='v1', plural='pods', namespace='default', name='a', subresource='')
    >>> parse("/apis/apps/v1").plural
    ''
    """
    parts = path.strip("/").split("/")
    if not all(parts):
        return None
    if parts[0] == "api" and len(parts) >= 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if len(rest) >= 3 and rest[0] == NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    plural, name, subresource = (*rest, "", "", "")[:3]
    return RequestInfo(group, version, plural, namespace, name, subresource)
