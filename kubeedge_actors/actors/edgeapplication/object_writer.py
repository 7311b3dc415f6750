"""The calls by which the objects of one EdgeApplication are made, changed and deleted; it touches none that is not the application's own."""

from __future__ import annotations

from kubeedge_actors.actors.edgeapplication.manifests import LAST_APPLIED, DesiredObject, change_patch
from kubeedge_actors.actors.edgeapplication.records import ContainedResource
from kubeedge_actors.controller import ObservedCluster
from kubeedge_actors.drivers.cluster.base import Json, is_temporary, object_reference
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes.object_types import ResourceKind


def is_own(object: Json, application: Json) -> bool:
    """Whether the application controls the object."""
    uid = application["metadata"]["uid"]
    owners = object["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == uid and owner.get("controller") for owner in owners)


def _may_take(object: Json, application: Json) -> bool:
    """Whether the application may change the object: its own, or one that was made for an application and left behind without an owner."""
    controlled = any(owner.get("controller") for owner in object["metadata"].get("ownerReferences") or ())
    left = not controlled and LAST_APPLIED in (object["metadata"].get("annotations") or {})
    return left or is_own(object, application)


class ObjectWriter:
    """Writes through `api`. Errors that leave a method: those after which the whole application is tried again (temporary ones and Conflict)."""

    def __init__(self, api: ObservedCluster) -> None:
        self._api = api

    def apply(self, application: Json, desired: DesiredObject, kind: ResourceKind, seen: Json | None) -> str:
        """Create it, or change it when it was asked for otherwise before; why that can not be, in a sentence. `seen`: as a watch saw it last."""
        try:
            return self._apply(application, desired, kind, seen)
        except ClusterError as error:
            return _sentence(f"{desired.identity}", error)

    def _apply(self, application: Json, desired: DesiredObject, kind: ResourceKind, seen: Json | None) -> str:
        assert desired.object is not None
        identity = desired.identity
        if seen is None:
            try:
                self._api.create(kind, identity.namespace, desired.object)
            except AlreadyExists:
                seen = self._live(kind, identity.namespace, identity.name)
            else:
                return ""
        if not _may_take(seen, application):
            return f"{identity} is there and is not this EdgeApplication's: it is left alone"
        patch = change_patch(desired.object, seen)
        if patch is not None:
            self._api.patch(kind, identity.namespace, identity.name, patch)
        return ""

    def _live(self, kind: ResourceKind, namespace: str, name: str) -> Json:
        try:
            return self._api.get(kind, namespace, name)
        except NotFound as error:
            raise Conflict(error.status) from error  # gone in this moment: made anew at the next try

    def delete(self, application: Json, resource: ContainedResource, kind: ResourceKind) -> str:
        """Delete what is asked for no more, if it is there and the application's own; why that can not be, in a sentence."""
        try:
            live = self._api.get(kind, resource.namespace, resource.name)
            if is_own(live, application):
                self._api.delete(kind, resource.namespace, resource.name, uid=object_reference(live).uid)
        except NotFound:
            return ""
        except ClusterError as error:
            return _sentence(f"{resource.kind} {resource.namespace}/{resource.name}", error)
        return ""


def _sentence(about: str, error: ClusterError) -> str:
    if is_temporary(error) or isinstance(error, Conflict):
        raise error
    return f"{about}: {error}"
