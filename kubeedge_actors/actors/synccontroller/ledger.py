"""Which version of which object each node has, what is to be said again, and what is to be written down.

Pure: the time comes in.

A record is what a node has of one object. It is kept in memory at once and in the API a little later: that there is a
record soon, because a deletion is told only to those of whom it is known that they have the object; its version at
leisure, because losing one costs a repetition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kubeedge_actors.actors.synccontroller.holdings import STATUS_MATTERS, Holdings, Item
from kubeedge_actors.wire import names

SOON, LATER, AT_LEISURE = 0.2, 5.0, 60.0
"""Seconds until a record, a delivered version, a version without consequence is written."""
REPEAT = 30.0
"""Seconds after which an unacknowledged push is said again within a session (CloudHub repeats it meanwhile)."""
SETTLE = 1.0
"""Seconds that a change of status is given to turn out to be the node's own."""
NOTHING = "0"


@dataclass(slots=True)
class Record:
    """What a node has of an object. `stored`: the version in the API, None when the API has no record; `seen`: the
    newest version that the node got as the answer to its own write.
    """

    type: str
    namespace: str
    name: str
    uid: str
    version: str = NOTHING
    stored: str | None = None
    seen: str = NOTHING
    offered: str = ""
    offered_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Write:
    """One change of a record in the API. `version` None: the record is to go. `known`: the API has it."""

    node: str
    uid: str
    type: str
    namespace: str
    name: str
    version: str | None
    known: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that a node misses.

    `item`: it as it is now; None when `record` is of an object that is gone or no longer the node's.
    """

    record: Record
    item: Item | None


class Ledger:
    """All records, by node and uid."""

    def __init__(self) -> None:
        self._records: dict[str, dict[str, Record]] = {}
        self._due: dict[tuple[str, str], float] = {}
        self._gone: dict[tuple[str, str], Record] = {}
        self._flying: dict[tuple[str, str], Write] = {}

    # --- what is learnt -----------------------------------------------------------------------------------------------

    def load(self, node: str, record: Record) -> None:
        """A record as the API has it."""
        mine = self._records.setdefault(node, {}).setdefault(record.uid, record)
        mine.stored = record.stored
        if newer(record.version, mine.version):
            mine.version = record.version

    def unload(self, node: str, uid: str) -> None:
        """The API's record is gone, by whoever's hand: if the node still has the object it has to be made again."""
        record = self._records.get(node, {}).get(uid)
        if record is not None and record.stored is not None:
            record.stored = None

    def drop(self, node: str, uid: str) -> None:
        """The API's record of a node that is not connected here is gone: whoever has its session knows why."""
        self._records.get(node, {}).pop(uid, None)

    def offered(self, node: str, record: Record, now: float, *, mine: bool = True) -> None:
        """The object was pushed; `record.offered` is the version. `mine`: the node is connected here."""
        if not mine and record.offered == NOTHING and record.uid not in self._records.get(node, {}):
            return
        kept = self._record(node, record, now, SOON if mine else LATER)
        kept.offered, kept.offered_at = record.offered, now

    def delivered(self, node: str, record: Record, now: float) -> None:
        """The node has acknowledged `record.version`."""
        mine = self._record(node, record, now)
        if newer(record.version, mine.version):
            mine.version = record.version
            self._plan(node, mine.uid, now + LATER)

    def deleted(self, node: str, uid: str, now: float) -> None:
        """The node has acknowledged the deletion."""
        record = self._records.get(node, {}).pop(uid, None)
        if record is not None:
            self._gone[node, uid] = record
            self._plan(node, uid, now + SOON)

    def seen(self, node: str, record: Record, now: float) -> None:
        """The node got `record.seen` as an answer."""
        mine = self._record(node, record, now)
        if newer(record.seen, mine.seen):
            mine.seen = record.seen

    def forget_node(self, node: str, now: float) -> None:
        """The node is gone, and all that it had."""
        for uid, record in self._records.pop(node, {}).items():
            self._gone[node, uid] = record
            self._plan(node, uid, now + SOON)

    def session(self, node: str) -> None:
        """A session begins: what was said before it may not have arrived."""
        for record in self._records.get(node, {}).values():
            record.offered = ""

    def nodes(self) -> list[str]:
        """The nodes of which there are records."""
        return [node for node, records in self._records.items() if records]

    def records(self, node: str) -> list[Record]:
        """The records of a node."""
        return list(self._records.get(node, {}).values())

    # --- what a node misses -------------------------------------------------------------------------------------------

    def missing(self, node: str, holdings: Holdings, now: float) -> Iterator[Missing]:
        """What to say to a node now: what is gone first, as the node knows objects by name and one made anew has its
        predecessor's.
        """
        own = {item.uid: item for item in holdings.of_node(node)}
        left: list[tuple[Record, Item]] = []
        for record in self.records(node):
            found = holdings.get(record.uid)
            if found is None or not holdings.belongs(found, node):
                if self._is_replaced(node, record):
                    self.deleted(node, record.uid, now)
                elif _to_offer(record, NOTHING, now):
                    yield Missing(record, None)
            elif record.uid not in own:
                left.append((record, found))
        for item in own.values():
            record = self._record(node, Record(item.type, item.namespace, item.name, item.uid), now)
            yield from self._compare(node, record, item, now)
        for record, found in left:
            yield from self._compare(node, record, found, now)

    def _is_replaced(self, node: str, record: Record) -> bool:
        """Whether the node has a newer object in this one's place: it knows all but pods by name, so a deletion that is
        said now would take that one.
        """
        if record.type == names.POD:
            return False
        place = (record.type, record.namespace, record.name)
        others = (other for other in self._records[node].values() if other.uid != record.uid)
        return any(
            (other.type, other.namespace, other.name) == place and newer(other.version, record.version)
            for other in others
        )

    def _compare(self, node: str, record: Record, item: Item, now: float) -> Iterator[Missing]:
        if _has(record, item):
            if record.version != item.version:
                record.version = item.version
                self._plan(node, record.uid, now + AT_LEISURE)
        elif _to_offer(record, item.version, now) and (newer(item.relevant, record.version) or now - item.at >= SETTLE):
            yield Missing(record, item)

    # --- what is written down -----------------------------------------------------------------------------------------

    def due(self, now: float, most: int) -> list[Write]:
        """What to write into the API now; each is given once, `written` or `again` has to follow."""
        ready = [key for key, when in self._due.items() if when <= now and key not in self._flying][:most]
        writes = []
        for node, uid in ready:
            del self._due[node, uid]
            gone = self._gone.pop((node, uid), None)
            record = self._records.get(node, {}).get(uid)
            if record is not None:
                if record.stored != record.version:
                    writes.append(_write(node, record, record.version))
            elif gone is not None and gone.stored is not None:
                writes.append(_write(node, gone, None))
        self._flying.update({(write.node, write.uid): write for write in writes})
        return writes

    def written(self, write: Write) -> None:
        """The API has it now."""
        self._flying.pop((write.node, write.uid), None)
        record = self._records.get(write.node, {}).get(write.uid)
        if record is not None:
            record.stored = write.version

    def again(self, write: Write, now: float, pause: float) -> None:
        """The API has it not, or nobody knows; it is due again after a pause."""
        self._flying.pop((write.node, write.uid), None)
        if write.version is None and write.uid not in self._records.get(write.node, {}):
            gone = Record(write.type, write.namespace, write.name, write.uid, stored=NOTHING)
            self._gone[write.node, write.uid] = gone
        self._plan(write.node, write.uid, now + pause)

    def land(self, now: float) -> None:
        """After a crash nobody knows of the writes under way: they are due again."""
        for write in list(self._flying.values()):
            self.again(write, now, SOON)

    def next_due(self) -> float | None:
        """When `due` has something, None for never (or not before what is under way has come back)."""
        return min((when for key, when in self._due.items() if key not in self._flying), default=None)

    def _record(self, node: str, record: Record, now: float, delay: float = SOON) -> Record:
        records = self._records.setdefault(node, {})
        mine = records.get(record.uid)
        if mine is None:
            mine = Record(record.type, record.namespace, record.name, record.uid)
            gone = self._gone.pop((node, record.uid), None)
            mine.stored = gone.stored if gone is not None else None
            records[record.uid] = mine
            self._plan(node, record.uid, now + delay)
        return mine

    def _plan(self, node: str, uid: str, when: float) -> None:
        self._due[node, uid] = min(when, self._due.get((node, uid), when))


def _has(record: Record, item: Item) -> bool:
    """Whether the node has all of the object that concerns it."""
    if newer(item.relevant, record.version):
        return False
    if item.type not in STATUS_MATTERS:
        return True
    return not newer(item.version, record.version) or not newer(item.version, record.seen)


def _to_offer(record: Record, version: str, now: float) -> bool:
    return record.offered != version or now - record.offered_at >= REPEAT


def _write(node: str, record: Record, version: str | None) -> Write:
    known = record.stored is not None
    return Write(node, record.uid, record.type, record.namespace, record.name, version, known)


def newer(version: str, than: str) -> bool:
    """Whether one version is newer than another; one that is no number is newer than any other."""
    if version.isdecimal() and than.isdecimal():
        return int(version) > int(than)
    return version != than
