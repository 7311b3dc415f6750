"""The actor EdgeApplicationController: makes the objects of EdgeApplications, keeps them as asked for, and says how they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import NamedTuple

from kubeedge_actors.actors.edgeapplication import records
from kubeedge_actors.actors.edgeapplication.kind_lookup import KindLookup
from kubeedge_actors.actors.edgeapplication.manifests import (
    LAST_APPLIED,
    MADE_BY_LABEL,
    DesiredObject,
    desired_objects,
)
from kubeedge_actors.actors.edgeapplication.object_writer import ObjectWriter, is_own
from kubeedge_actors.controller import KEYED_CONTROLLER_EMITS, KeyedController, QueueKey
from kubeedge_actors.drivers.cluster.base import (
    Cluster,
    DynamicInformers,
    EventType,
    InformerSpec,
    Json,
    WatchEvent,
    object_reference,
)
from kubeedge_actors.kubernetes.events import event
from kubeedge_actors.kubernetes.object_types import EDGEAPPLICATION_KIND, EVENT_KIND, ResourceKind
from kubeedge_actors.wire import constants

RETRY_SECONDS = 30.0
"""Until an application is tried again of which something could not be made."""
FIRST_LIST_SECONDS = 5.0
"""For which an application waits for the first list of a kind; then it goes on without, as where we may not watch that kind."""
FAILED = "FailedApply"


class ResolvedObject(NamedTuple):
    """An object that is asked for, and its kind when the API serves it."""

    wanted: DesiredObject
    kind: ResourceKind | None


class EdgeApplicationController(KeyedController):
    """Syncs one EdgeApplication a turn. It keeps nothing: what it has made stands in the application's annotation before it is made.

    Only kinds that applications use are watched, and of these only what was made for applications.
    """

    name = constants.EDGEAPPLICATIONCONTROLLER
    group = constants.EDGEAPPLICATIONCONTROLLER
    emits = KEYED_CONTROLLER_EMITS

    def __init__(self, cluster: Cluster, random: Callable[[], float] | None = None) -> None:
        super().__init__(cluster, [InformerSpec(EDGEAPPLICATION_KIND)], random)
        self._objects = DynamicInformers(cluster, self.informers.deltas, MADE_BY_LABEL)
        self._writer = ObjectWriter(self.api)
        self._used: dict[QueueKey, set[ResourceKind]] = {}
        self._waiting: dict[QueueKey, float] = {}
        self._reported: dict[QueueKey, set[str]] = {}

    @cached_property
    def _kinds(self) -> KindLookup:
        return KindLookup(self.api, self.clock.monotonic)

    def on_stop(self) -> None:
        """End the watches."""
        super().on_stop()
        self._objects.stop()

    # --- what the watches told ----------------------------------------------------------------------------------------

    def handle_change(self, change: WatchEvent) -> None:
        """Enqueue the application that changed, or the one whose object did."""
        reference = object_reference(change.object)
        if change.kind == EDGEAPPLICATION_KIND:
            self.enqueue(QueueKey(reference.namespace, reference.name))
            if change.type is EventType.DELETED:
                self._reported.pop(QueueKey(reference.namespace, reference.name), None)
            return
        for owner in change.object["metadata"].get("ownerReferences") or ():
            if owner.get("controller") and owner.get("kind") == EDGEAPPLICATION_KIND.kind:
                self.enqueue(QueueKey(reference.namespace, str(owner.get("name"))))

    def on_changes_handled(self) -> None:
        """Look again at those that wait for a first list."""
        now = self.clock.monotonic()
        self.enqueue(*(key for key, deadline in self._waiting.items() if now < deadline))
        super().on_changes_handled()

    # --- one application ----------------------------------------------------------------------------------------------

    def sync(self, key: QueueKey) -> None:
        """Make, change and delete what the application asks for; write its status; say once what can not be."""
        application = self.informers.get(EDGEAPPLICATION_KIND, key.namespace, key.name)
        if application is None or application["metadata"].get("deletionTimestamp"):
            self._watch(key, ())
            return
        resolved = [self._resolve(wanted) for wanted in desired_objects(application)]
        kinds = {each.kind for each in resolved if each.kind is not None}
        self._watch(key, kinds)
        if self._waits_for_first_list(key, kinds):
            return
        errors, undeleted = self._carry_out(application, resolved)
        self._write_status(application, resolved, errors)
        self._report(key, application, errors + undeleted)
        if any(errors + undeleted):
            self.enqueue_later(key, RETRY_SECONDS)

    def _resolve(self, wanted: DesiredObject) -> ResolvedObject:
        if wanted.object is None:
            return ResolvedObject(wanted, None)
        group, version, name = wanted.identity[:3]
        kind = self._kinds.find(group, version, name)
        if kind is None:
            error = f"manifest {wanted.ordinal}: the API serves no {name} of {wanted.object['apiVersion']} that could be kept"
        elif not kind.namespaced:
            kind, error = None, f"manifest {wanted.ordinal}: a {name} is in no namespace, so no application can own it"
        else:
            return ResolvedObject(wanted, kind)
        return ResolvedObject(wanted._replace(object=None, error=error), None)

    def _watch(self, key: QueueKey, kinds: Iterable[ResourceKind]) -> None:
        self._used[key] = set(kinds)
        if not self._used[key]:
            del self._used[key]
            self._waiting.pop(key, None)
        self._objects.retain(set().union(*self._used.values()))

    def _waits_for_first_list(self, key: QueueKey, kinds: set[ResourceKind]) -> bool:
        if all(map(self._objects.is_synced, kinds)):
            self._waiting.pop(key, None)
            return False
        now = self.clock.monotonic()
        deadline = self._waiting.setdefault(key, now + FIRST_LIST_SECONDS)
        if now >= deadline:
            return False
        self.enqueue_later(key, deadline - now)
        return True

    def _carry_out(self, application: Json, resolved: list[ResolvedObject]) -> tuple[list[str], list[str]]:
        """For each object why it can not be; empty when it can; and why others can not be deleted. What is going to be made is recorded first, so that a crash leaves nothing that
        nobody knows of.
        """
        desired, before = [each.wanted for each in resolved], records.contained_resources(application)
        kept, gone = records.split_contained(before, desired)
        after = records.made_for(desired) + kept
        known = {each.identity.key for each in before}
        if any(each.identity.key not in known for each in after):
            self._record(application, after + gone)
        errors = [self._apply(application, each) for each in resolved]
        undeleted = {each: why for each in gone if (why := self._delete(application, each))}
        after += undeleted
        if len(undeleted) < len(gone) or records.contained_text(after) != records.contained_text(before):
            self._record(application, after)
        return errors, list(undeleted.values())

    def _delete(self, application: Json, gone: records.ContainedResource) -> str:
        kind = self._kinds.find(gone.group, gone.version, gone.kind)
        return self._writer.delete(application, gone, kind) if kind is not None else ""

    def _apply(self, application: Json, each: ResolvedObject) -> str:
        if each.kind is None:
            return each.wanted.error
        return self._writer.apply(application, each.wanted, each.kind, self._seen(each))

    def _seen(self, each: ResolvedObject) -> Json | None:
        if each.kind is None:
            return None
        return self._objects.get(each.kind, each.wanted.identity.namespace, each.wanted.identity.name)

    def _record(self, application: Json, contained: list[records.ContainedResource]) -> None:
        annotations = {records.LAST_CONTAINED: records.contained_text(contained)}
        self._patch(application, {"metadata": {"annotations": annotations}})

    def _patch(self, application: Json, patch: Json, subresource: str = "") -> None:
        reference = object_reference(application)
        patch = {**patch, "metadata": {**patch.get("metadata", {}), "uid": reference.uid}}
        self.api.patch(EDGEAPPLICATION_KIND, reference.namespace, reference.name, patch, subresource=subresource)

    # --- what is said of it -------------------------------------------------------------------------------------------

    def _write_status(self, application: Json, resolved: list[ResolvedObject], errors: list[str]) -> None:
        entries = []
        for each, error in zip(resolved, errors, strict=True):
            live = None if error else self._as_asked(application, each)
            entries.append(records.manifest_status(each.wanted, each.kind.plural if each.kind else "", live))
        status = records.workload_status(application, entries)
        if status != ((application.get("status") or {}).get("workloadStatus") or []):
            self._patch(application, {"status": {"workloadStatus": status}}, "status")

    def _as_asked(self, application: Json, each: ResolvedObject) -> Json | None:
        """The object as a watch saw it, if it is the application's and as it is asked for now."""
        live = self._seen(each)
        if live is None or each.wanted.object is None or not is_own(live, application):
            return None
        wanted = each.wanted.object["metadata"]["annotations"][LAST_APPLIED]
        return live if (live["metadata"].get("annotations") or {}).get(LAST_APPLIED) == wanted else None

    def _report(self, key: QueueKey, application: Json, errors: list[str]) -> None:
        """An Event for each reason that was not there at the last look."""
        reasons = dict.fromkeys(filter(None, errors))
        said = self._reported.setdefault(key, set())
        said.intersection_update(reasons)
        reference = object_reference(application)
        about = {"apiVersion": EDGEAPPLICATION_KIND.api_version, "kind": EDGEAPPLICATION_KIND.kind}
        about |= {"namespace": reference.namespace, "name": reference.name, "uid": reference.uid}
        for number, reason in enumerate(reason for reason in reasons if reason not in said):
            # two of one moment need two names
            now = self.clock.now() + number / 1_000_000
            made = event(about, "Warning", FAILED, reason, now, constants.EDGEAPPLICATIONCONTROLLER)
            self.api.create(EVENT_KIND, reference.namespace, made)
            said.add(reason)
