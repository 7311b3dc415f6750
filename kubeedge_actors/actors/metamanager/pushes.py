"""What becomes of the objects that the cloud pushes: rows to write, modules to tell, acknowledgements. Pure.

Source: KubeEdge edge/pkg/metamanager/process.go (processInsert, processUpdate, processDelete).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from kubeedge_actors.actors.metamanager.objects import object_of, object_row, text_of, uid_of, version_of
from kubeedge_actors.drivers.store.base import MetaChanges, MetaRow, ObjectRow
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import Answered, DeviceChanged, Message, ObjectPushed, PodChanged, ReferenceChanged
from kubeedge_actors.wire.resource import object_path

UPDATING = frozenset(
    {names.EDGECONTROLLER, names.SOURCE_DYNAMICCONTROLLER, names.DEVICECONTROLLER, names.SOURCE_POLICYCONTROLLER}
)
"""Whose updates are acknowledged. An update of anybody else is stored and said again until the cloud gives up."""
DEVICES = frozenset({names.DEVICE, names.DEVICEMODEL})
REFERRED = frozenset({names.CONFIGMAP, names.SECRET})
REMEMBERED = 1000

Read = Callable[[str], MetaRow | None]


class Standing(NamedTuple):
    """How far an object is known: its uid, its version, and whether it is gone."""

    uid: str
    version: int | None
    gone: bool = False

    def covers(self, other: Standing) -> bool:
        """Whether `other` brings nothing new: said before, or overtaken by something newer."""
        if self.uid != other.uid or not self.uid:
            return False
        if other.gone:
            return self.gone
        if self.version is None or other.version is None:
            return False
        return other.version <= self.version


@dataclass(slots=True)
class Outcome:
    """What a batch of pushes comes to, in order."""

    rows: dict[str, MetaRow | None] = field(default_factory=dict)
    objects: dict[str, ObjectRow | None] = field(default_factory=dict)
    told: list[Message] = field(default_factory=list)
    acks: list[Answered] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)

    @property
    def changes(self) -> MetaChanges:
        """All writes as one transaction."""
        return MetaChanges(
            put=[row for row in self.rows.values() if row],
            removed=[key for key, row in self.rows.items() if row is None],
            objects=[row for row in self.objects.values() if row],
            removed_objects=[key for key, row in self.objects.items() if row is None],
        )


class Pushes:
    """Remembers what it has told since it was made, so that what the cloud says again is acknowledged and nothing more.

    Nothing of this is durable on purpose: after a crash an object is told again rather than not at all.
    """

    def __init__(self, read: Read) -> None:
        self._read = read
        self._standings: dict[str, Standing] = {}

    def plan(self, pushes: Sequence[ObjectPushed]) -> Outcome:
        """What to do with these pushes; `done` once it is committed."""
        outcome = Outcome()
        for push in pushes:
            key = object_path(push.type, push.namespace, push.name)
            gone = push.operation == names.DELETE
            standing = Standing(uid_of(push.object), version_of(push.object, push.resource_version), gone)
            known = outcome.standings.get(key) or self._standings.get(key)
            if known is None or not known.covers(standing):
                self._take(outcome, key, push, self._follow(known, standing))
            if gone or push.operation == names.INSERT or push.source in UPDATING:
                outcome.acks.append(acknowledgement(push, key))
        return outcome

    def done(self, outcome: Outcome) -> None:
        """The outcome is committed."""
        for key, standing in outcome.standings.items():
            self._standings.pop(key, None)
            self._standings[key] = standing
        gone = [key for key, standing in self._standings.items() if standing.gone]
        for key in gone[: max(0, len(gone) - REMEMBERED)]:
            del self._standings[key]

    @staticmethod
    def _follow(known: Standing | None, standing: Standing) -> Standing:
        """A stub that is gone has no version: what was known last is as far as its object ever got."""
        if standing.gone and standing.version is None and known is not None and known.uid == standing.uid:
            return standing._replace(version=known.version)
        return standing

    def _take(self, outcome: Outcome, key: str, push: ObjectPushed, standing: Standing) -> None:
        if standing.gone and self._is_anothers(outcome, key, standing):
            if push.type == names.POD:
                _tell(outcome, push)  # what runs of that pod has to end, whoever has its name now
            return
        (self._remove if standing.gone else self._put)(outcome, key, push)
        outcome.standings[key] = standing
        _tell(outcome, push)

    def _is_anothers(self, outcome: Outcome, key: str, standing: Standing) -> bool:
        """Whether what is stored under this key is another object than the one that is gone."""
        stored = outcome.rows[key] if key in outcome.rows else self._read(key)
        found = object_of(stored) if stored else None
        return bool(standing.uid and found and uid_of(found) and uid_of(found) != standing.uid)

    def _put(self, outcome: Outcome, key: str, push: ObjectPushed) -> None:
        text = text_of(push.object)
        outcome.rows[key] = MetaRow(key, push.type, text)
        row = object_row(push.object, text)
        if row is not None:
            outcome.objects[row.key] = row

    def _remove(self, outcome: Outcome, key: str, push: ObjectPushed) -> None:
        stored = outcome.rows[key] if key in outcome.rows else self._read(key)
        if stored is None:
            return  # gone already
        outcome.rows[key] = None
        if push.type == names.POD:
            outcome.rows[object_path(names.PODPATCH, push.namespace, push.name)] = None
        row = object_row(object_of(stored) or push.object, "")
        if row is not None:
            outcome.objects[row.key] = None


def _tell(outcome: Outcome, push: ObjectPushed) -> None:
    if push.source == names.SOURCE_POLICYCONTROLLER:
        return
    if push.operation == names.UPDATE and push.source not in UPDATING:
        return
    if push.type == names.POD:
        outcome.told.append(PodChanged(operation=push.operation, object=push.object))
    elif push.type in DEVICES:
        outcome.told.append(DeviceChanged(operation=push.operation, type=push.type, object=push.object))
    elif push.type in REFERRED:
        about = {"type": push.type, "namespace": push.namespace, "name": push.name}
        outcome.told.append(ReferenceChanged(operation=push.operation, **about))


def acknowledgement(push: ObjectPushed, key: str) -> Answered:
    """The acknowledgement of a push. Devices are handed on before they are acknowledged, which shows in the address."""
    handed_on = (
        push.type in DEVICES
        and push.source == names.DEVICECONTROLLER
        and push.operation in (names.INSERT, names.DELETE)
    )
    return Answered(
        parent_msg_id=push.msg_id,
        resource=key,
        source=names.SOURCE_META if handed_on else push.source,
        group=names.GROUP_TWIN if handed_on else names.GROUP_RESOURCE,
    )
