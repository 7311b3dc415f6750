"""Server-side apply: managed fields, conflicts, and what an apply makes of an object (apimachinery: managedfields)."""

from __future__ import annotations

from copy import deepcopy

import msgspec

from ..errors import ApiError, Json
from ..registry.object_meta import is_equal
from ..storage.entry import Entry
from .field_set import MISSING, FieldsOf, Path, TypedWalker, path_text, remove_path

BEFORE_FIRST_APPLY = "before-first-apply"


class ManagerIdentifier(msgspec.Struct, frozen=True, order=True):
    """A field manager: name, operation (Apply or Update) and subresource."""

    name: str
    operation: str
    subresource: str = ""


class ManagedFields:
    """Which manager owns which paths of one object."""

    def __init__(self, walk: TypedWalker, kind: str, sets: dict[ManagerIdentifier, set[Path]]) -> None:
        self._walk, self._kind, self.sets = walk, kind, sets

    @classmethod
    def of(cls, entry: Entry | None, kind: str, fields_of: FieldsOf) -> ManagedFields:
        """The managed fields of a stored object; what was never applied belongs to whoever wrote it before."""
        walk = TypedWalker(fields_of)
        if entry is None:
            return cls(walk, kind, {})
        if entry.managed_fields is None:
            body = {key: value for key, value in entry.object().items() if key != "status"}
            return cls(walk, kind, {ManagerIdentifier(BEFORE_FIRST_APPLY, "Update"): set(walk.leaves(body, kind))})
        stored = msgspec.json.decode(entry.managed_fields, type=list[tuple[ManagerIdentifier, list[Path]]])
        return cls(walk, kind, {manager: set(paths) for manager, paths in stored})

    def encode(self) -> bytes:
        """JSON that is the same for the same owners."""
        return msgspec.json.encode([(manager, sorted(self.sets[manager])) for manager in sorted(self.sets)])

    def after_update(self, old: Json, new: Json, name: str, subresource: str) -> ManagedFields:
        """The managed fields after a write without apply: changed fields belong to the writer alone."""
        before, after = self._walk.leaves(old, self._kind), self._walk.leaves(new, self._kind)
        changed = {path for path, value in after.items() if not same_value(before.get(path, MISSING), value)}
        removed = {path for path in before if path not in after}
        sets = {manager: paths - changed - removed for manager, paths in self.sets.items()}
        if changed:
            writer = ManagerIdentifier(name, "Update", subresource)
            sets[writer] = sets.get(writer, set()) | changed
        return ManagedFields(self._walk, self._kind, {manager: paths for manager, paths in sets.items() if paths})

    def conflicts(
        self, manager: ManagerIdentifier, applied: dict[Path, object], old: Json
    ) -> dict[ManagerIdentifier, list[Path]]:
        """Paths of other managers that an apply would change."""
        current = self._walk.leaves(old, self._kind)
        differing = {path for path, value in applied.items() if not same_value(current.get(path, MISSING), value)}
        conflicts = {other: sorted(paths & differing) for other, paths in self.sets.items() if other != manager}
        return {other: paths for other, paths in sorted(conflicts.items()) if paths}

    def apply(
        self, old: Json | None, config: Json, manager: ManagerIdentifier, force: bool
    ) -> tuple[Json, ManagedFields]:
        """The object and its owners after an apply. Raises 409."""
        applied = self._walk.leaves(config, self._kind)
        sets = {other: set(paths) for other, paths in self.sets.items()}
        if old is None:
            body = config
        else:
            conflicting = self.conflicts(manager, applied, old)
            if conflicting and not force:
                raise conflict_error(conflicting, config["apiVersion"])
            for other, paths in conflicting.items():
                sets[other] -= set(paths)
            foreign = set().union(*(paths for other, paths in sets.items() if other != manager))
            start = deepcopy(old)
            # Only what is a leaf now: others may have filled a container that the manager applied empty.
            dropped = (sets.get(manager, set()) & set(self._walk.leaves(old, self._kind))) - set(applied) - foreign
            for path in sorted(dropped, key=deepest_first):
                remove_path(start, path)
            body = self._walk.merge(start, config, self._kind)
        sets[manager] = set(applied)
        owned = {other: paths for other, paths in sets.items() if paths or other == manager}
        return body, ManagedFields(self._walk, self._kind, owned)


def applied_object(
    owners: ManagedFields, old: Json | None, config: Json, name: str, subresource: str, force: bool
) -> tuple[Json, ManagedFields]:
    """What a server-side apply of `config` by the manager `name` makes of an object (None: there is none yet)."""
    return owners.apply(old, config, ManagerIdentifier(name, "Apply", subresource), force)


def deepest_first(path: Path) -> tuple[int, Path]:
    """Deeper paths first, so that an item is emptied before it goes."""
    return -len(path), path


def same_value(old: object, new: object) -> bool:
    """Whether two leaves are equal; an absent one equals nothing."""
    return old is not MISSING and new is not MISSING and is_equal(old, new)


def conflict_error(conflicts: dict[ManagerIdentifier, list[Path]], version: str) -> ApiError:
    """409 that names every field and its owner."""
    causes, texts, count = [], [], 0
    for manager, paths in conflicts.items():
        owner = f'"{manager.name}"' + (f" using {version}" if manager.operation == "Update" else "")
        count += len(paths)
        for path in paths:
            cause = {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": path_text(path)}
            causes.append(cause)
        if len(paths) == 1:
            texts.append(f"conflict with {owner}: {path_text(paths[0])}")
        else:
            texts.append(f"conflicts with {owner}:" + "".join(f"\n- {path_text(path)}" for path in paths))
    text = f"Apply failed with {count} conflict{'s' if count > 1 else ''}: " + "\n".join(texts)
    return ApiError(409, "Conflict", text, {"causes": causes})
