"""Protocol of an edge node's database, by module.

Contract of every Store
* A method that writes has committed when it returns; after `kill -9` the write is there, or the call never returned.
* A list of changes is one transaction: all of it or none of it.
* All methods may be called from any thread; writers wait for each other.
* `StoreCorrupt` when the file is not a database or is damaged, `StoreError` for any other refusal (disk full, locked, ...).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec


class MetaRow(msgspec.Struct, frozen=True):
    """One stored object of the cloud. `key` is the wire resource, `type` its type segment, `value` the JSON text of the content."""

    key: str
    type: str
    value: str


class ObjectRow(msgspec.Struct, frozen=True):
    """One Kubernetes object as a read API wants it. `key` is "/<group|core>/<version>/<plural>/<namespace|null>/<name>"."""

    key: str
    group_version_resource: str
    namespace: str
    name: str
    resource_version: int
    value: str


class MetaChanges(msgspec.Struct, frozen=True):
    """What one transaction of MetaManager writes: removals first, then rows, which replace rows of the same key."""

    put: Sequence[MetaRow] = ()
    removed: Sequence[str] = ()
    objects: Sequence[ObjectRow] = ()
    removed_objects: Sequence[str] = ()


class DeviceRow(msgspec.Struct, frozen=True):
    """One member device; `id` is "<namespace>/<name>", `last_online` RFC 3339 or empty."""

    id: str
    name: str
    description: str = ""
    state: str = ""
    last_online: str = ""


class TwinRow(msgspec.Struct, frozen=True):
    """One property of one device. `*_meta` and `*_version` are JSON text ({"timestamp":n}, {"cloud":n,"edge":m}) or empty.

    `expected` and `actual` are None while that side has never been given.
    """

    device: str
    name: str
    expected: str | None = None
    actual: str | None = None
    expected_meta: str = ""
    actual_meta: str = ""
    expected_version: str = ""
    actual_version: str = ""
    optional: bool = True
    attr_type: str = "string"
    metadata: str = ""


class AttributeRow(msgspec.Struct, frozen=True):
    """One attribute of one device."""

    device: str
    name: str
    value: str = ""
    optional: bool = True
    attr_type: str = "string"
    metadata: str = ""


class DesiredRow(msgspec.Struct, frozen=True):
    """What the cloud last desired of one property of one device; `value` is free-form text."""

    device: str
    name: str
    value: str


class HistoryRow(msgspec.Struct, frozen=True):
    """What one property of one device was at a time (`at`, ms since the epoch).

    `number` orders the rows of a property; a row replaces the one in the same `slot`.
    """

    device: str
    name: str
    slot: int
    number: int
    at: int
    expected: str | None = None
    actual: str | None = None


class OutboxRow(msgspec.Struct, frozen=True):
    """One message that waits for the cloud.

    `number` orders rows; the store gives it. `msg_id` is unique: a row whose id is there already is not added again.
    Rows of the same non-empty `key` may be joined into one; the store only keeps it.
    """

    msg_id: str
    frame: str
    key: str = ""
    number: int = 0


FOREVER = 2**62
"""Later than every time."""


class TwinChanges(msgspec.Struct, frozen=True):
    """What one transaction of the device twin writes: removals first, then rows, which replace rows of the same identity.

    A removed device takes its attributes, twins, desired values and history along. `reports` go into the outbox in the same transaction.
    """

    devices: Sequence[DeviceRow] = ()
    removed_devices: Sequence[str] = ()
    twins: Sequence[TwinRow] = ()
    removed_twins: Sequence[tuple[str, str]] = ()
    attributes: Sequence[AttributeRow] = ()
    removed_attributes: Sequence[tuple[str, str]] = ()
    desired: Sequence[DesiredRow] = ()
    reports: Sequence[OutboxRow] = ()
    removed_history: Sequence[tuple[str, str]] = ()
    expired_history: Sequence[tuple[str, str, int]] = ()
    history: Sequence[HistoryRow] = ()


class MetaStore(Protocol):
    """Objects by key; MetaManager's."""

    def get(self, key: str) -> MetaRow | None:
        """The row of this key."""

    def of_type(self, type: str, *, after: str = "", limit: int = 0) -> list[MetaRow]:
        """The rows of a type in the order of their keys, those behind a key, at most `limit` (0: all)."""

    def apply(self, changes: MetaChanges) -> None:
        """One transaction."""

    def put(self, rows: Iterable[MetaRow]) -> None:
        """`apply` with rows only."""

    def remove(self, keys: Iterable[str]) -> None:
        """`apply` with removals only."""

    def object(self, key: str) -> ObjectRow | None:
        """The Kubernetes object of this key."""

    def objects(self, group_version_resource: str, namespace: str = "") -> list[ObjectRow]:
        """All objects of a resource, of one namespace if given, in the order of their keys."""

    def resources(self) -> list[ObjectRow]:
        """One object of each resource that there is."""


class TwinStore(Protocol):
    """Devices, attributes and twins; DeviceTwin's. `apply` is one transaction (group commit happens in the caller)."""

    def devices(self) -> list[DeviceRow]: ...
    def twins(self) -> list[TwinRow]: ...
    def attributes(self) -> list[AttributeRow]: ...
    def desired(self) -> list[DesiredRow]: ...
    def device(self, device: str) -> tuple[list[TwinRow], list[DesiredRow]]:
        """Twins and desired values of one device."""

    def null_empty_values(self) -> None:
        """Make expected and actual values that are empty None."""

    def history(
        self, device: str, name: str, *, since: int = 0, until: int = FOREVER, limit: int = 0
    ) -> list[HistoryRow]:
        """The history of one property between two times, oldest first; the newest `limit` of it (0: all)."""

    def last_history_numbers(self, device: str) -> dict[str, int]:
        """The number of the last value of each property of a device that has a history."""

    def apply(self, changes: TwinChanges) -> None: ...


class OutboxStore(Protocol):
    """Messages that wait for the cloud, in order; EdgeHub's."""

    def apply(self, added: Sequence[OutboxRow], removed: Sequence[str]) -> None:
        """One transaction: remove the rows with these message ids, then add rows."""

    def contains(self, msg_ids: Sequence[str]) -> set[str]:
        """Which of these message ids are in the outbox."""

    def pending(self, *, keyed: bool | None = None, after: int = 0, limit: int = 0) -> list[OutboxRow]:
        """Rows in the order of their numbers: those with (without) a key, behind a number, at most `limit` (0: all)."""

    def count(self) -> int:
        """How many rows there are."""


class NodeOutboxRow(msgspec.Struct, frozen=True):
    """A message for a node: its frame, until when it waits (epoch seconds), and who sent it (empty: unknown). `number`: its place, in the order of arrival."""

    node: str
    msg_id: str
    frame: str
    expires_at: float
    number: int = 0
    sender: str = ""

    @property
    def size(self) -> int:
        """Bytes of the frame."""
        return len(self.frame.encode())


class NodeBacklog(msgspec.Struct):
    """How much waits for a node; bytes of frames."""

    count: int = 0
    size: int = 0


class NodeOutboxStore(Protocol):
    """Messages of a cloud that wait for its nodes; NodeOutbox's."""

    def add(self, rows: Sequence[NodeOutboxRow]) -> list[NodeOutboxRow]:
        """Keep messages, in order, in one transaction. Those of an id that waits for the node already, which are not kept twice."""

    def remove(self, rows: Sequence[NodeOutboxRow]) -> None:
        """Forget messages, in one transaction."""

    def of_node(self, node: str, after: int = 0, limit: int = -1) -> list[NodeOutboxRow]:
        """What waits for a node behind a number, in order, at most `limit`."""

    def expired(self, now: float, limit: int) -> list[NodeOutboxRow]:
        """What has waited too long, at most `limit` of it."""

    def backlogs(self) -> dict[str, NodeBacklog]:
        """How much waits for each node."""


class NameStore(Protocol):
    """A small durable set of names: subscribed topics, allowed target URLs."""

    def all(self) -> list[str]: ...
    def add(self, name: str) -> None: ...
    def remove(self, name: str) -> None: ...


class Store(Protocol):
    """One database file with all of the above."""

    @property
    def meta(self) -> MetaStore: ...
    @property
    def twin(self) -> TwinStore: ...
    @property
    def outbox(self) -> OutboxStore: ...
    @property
    def subscribed_topics(self) -> NameStore: ...
    @property
    def target_urls(self) -> NameStore: ...
    def close(self) -> None: ...
