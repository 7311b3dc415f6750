"""The store against a model: no event is lost or repeated, the past can be read, a failed commit leaves no trace."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kubeedge_actors.apiserver.storage.database import Database
from kubeedge_actors.apiserver.storage.entry import WatchCacheEvent
from kubeedge_actors.apiserver.storage.store import Store
from kubeedge_actors.errors import StoreError
from tests.support.plugins.hypothesis_profile import examples

NAMES = st.sampled_from(["a", "b", "c"])
SPACES = st.sampled_from(["x", "y"])
RESOURCES = st.sampled_from(["maps", "pods"])
State = dict[tuple[str, str], int]


def no_fields(resource: str, body: Mapping[str, Any]) -> Mapping[str, str]:
    """Nothing to select by."""
    return {}


def body(space: str, name: str, value: int) -> dict[str, Any]:
    """An object; its owner is the object before it."""
    owners = [{"uid": str(value - 1)}]
    return {
        "metadata": {"name": name, "namespace": space, "uid": str(value), "ownerReferences": owners},
        "value": value,
    }


def states(store: Store) -> dict[str, State]:
    """What the store holds now."""
    return {
        resource: {(e.namespace, e.name): e.object()["value"] for e in store.collection(resource).scan()}
        for resource in ("maps", "pods")
    }


class Reader:
    """Somebody who watches a resource from a revision on, and applies what it is told."""

    def __init__(self, store: Store, resource: str, state: State) -> None:
        self.resource, self.state = resource, dict(state)
        position = store.collection(resource).position_after(store.revision)
        assert position is not None
        self.position, self.last = position, store.revision
        self.late = False

    def read(self, store: Store) -> None:
        """Takes what is new."""
        events = store.collection(self.resource).read(self.position)
        if events is None:
            self.late = True
            return
        for event in events:
            self.apply(event)
        self.position += len(events)

    def apply(self, event: WatchCacheEvent) -> None:
        """One event: it must follow from what is known."""
        key = (event.new.namespace, event.new.name)
        assert event.revision > self.last
        assert (event.old is not None) == (key in self.state)
        if event.old is not None:
            assert event.old.object()["value"] == self.state[key]
        if event.removed:
            del self.state[key]
        else:
            self.state[key] = event.new.object()["value"]
        self.last = event.revision


class StoreMachine(RuleBasedStateMachine):
    """Writes, commits, failures, trimming, restarts, readers."""

    def __init__(self) -> None:
        super().__init__()
        self.database = Database(":memory:")
        self.now = 0.0
        self.store = Store(self.database, no_fields, lambda: self.now)
        self.committed: dict[str, State] = {"maps": {}, "pods": {}}
        self.past: dict[int, dict[str, State]] = {self.store.revision: states(self.store)}
        self.readers: list[Reader] = []
        self.counter = 0

    @rule(resource=RESOURCES, space=SPACES, name=NAMES)
    def put(self, resource: str, space: str, name: str) -> None:
        self.counter += 1
        event = self.store.put(resource, body(space, name, self.counter))
        assert event.revision == self.store.revision
        self.past[self.store.revision] = states(self.store)

    @rule(resource=RESOURCES, space=SPACES, name=NAMES)
    def remove(self, resource: str, space: str, name: str) -> None:
        entry = self.store.get(resource, space, name)
        if entry is not None:
            event = self.store.remove(resource, entry)
            assert event.new.revision == self.store.revision and event.new.object()["value"]
            self.past[self.store.revision] = states(self.store)

    @rule()
    def commit(self) -> None:
        self.store.commit()
        self.committed = states(self.store)
        for reader in self.readers:
            reader.read(self.store)
            assert reader.late or reader.state == self.committed[reader.resource]

    @rule()
    def commit_in_two_halves(self) -> None:
        rows, revision = self.store.take_pending()
        self.counter += 1
        self.store.put("maps", body("x", "a", self.counter))
        self.past[self.store.revision] = states(self.store)
        if rows:
            self.database.write(rows, revision)
            self.store.publish(len(rows), revision)
        self.commit()

    @rule()
    def fail(self) -> None:
        self.store.take_pending()
        self.store.rollback()
        assert states(self.store) == self.committed
        self.past = {at: state for at, state in self.past.items() if at <= self.store.committed}
        self.past[self.store.revision] = states(self.store)

    @precondition(lambda self: self.store.is_committed())
    @rule(resource=RESOURCES)
    def watch(self, resource: str) -> None:
        self.readers.append(Reader(self.store, resource, self.committed[resource]))

    @rule(keep=st.integers(0, 5))
    def trim(self, keep: int) -> None:
        for resource in ("maps", "pods"):
            self.store.collection(resource).trim(self.now, keep)

    @precondition(lambda self: self.store.is_committed())
    @rule()
    def restart(self) -> None:
        revision = self.store.revision
        self.store = Store(self.database, no_fields, lambda: self.now)
        assert self.store.revision <= revision
        assert states(self.store) == self.committed
        self.readers.clear()
        self.past = {self.store.revision: states(self.store)}

    @invariant()
    def the_past_is_as_it_was(self) -> None:
        for revision, known in self.past.items():
            for resource in ("maps", "pods"):
                entries = self.store.collection(resource).state_at(revision, None)
                if entries is not None:
                    assert {(e.namespace, e.name): e.object()["value"] for e in entries} == known[resource]

    @invariant()
    def lists_are_in_order(self) -> None:
        for resource in ("maps", "pods"):
            keys = [(e.namespace, e.name) for e in self.store.collection(resource).scan()]
            assert keys == sorted(keys) and len(keys) == self.store.collection(resource).count()

    @invariant()
    def dependents_are_found_by_their_owner(self) -> None:
        for resource in ("maps", "pods"):
            for entry in self.store.collection(resource).scan():
                assert (resource, entry) in self.store.dependents(entry.owner_uids[0])

    def teardown(self) -> None:
        self.database.close()


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=examples(60), stateful_step_count=30)


class Broken:
    """A database that refuses one transaction."""

    def __init__(self, database: Database) -> None:
        self._database, self.refuse = database, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def write(self, rows: Any, revision: int) -> None:
        if self.refuse:
            raise StoreError("the disk is full")
        self._database.write(rows, revision)


def test_what_cannot_be_written_is_undone_and_told() -> None:
    with closing(Database(":memory:")) as real:
        database = Broken(real)
        store = Store(database, no_fields)  # type: ignore[arg-type]
        store.put("maps", body("x", "a", 1))
        store.commit()
        database.refuse = True
        store.put("maps", body("x", "a", 2))
        entry = store.get("maps", "x", "a")
        assert entry is not None
        store.remove("maps", entry)
        with pytest.raises(StoreError):
            store.commit()
        assert states(store)["maps"] == {("x", "a"): 1}
        database.refuse = False
        store.put("maps", body("x", "b", 3))
        store.commit()
        assert [event.new.name for event in store.collection("maps").events] == ["a", "b"]
