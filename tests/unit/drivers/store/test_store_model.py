"""A SQLite store against a model of dictionaries, through restarts."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kubeedge_actors.drivers.store.base import DeviceRow, MetaChanges, MetaRow, OutboxRow, Store, TwinChanges, TwinRow
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from tests.support.plugins.hypothesis_profile import examples

# a lone surrogate is no text, in SQLite and on the wire alike
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
NAME = st.sampled_from(["a", "b", "ü", "%", "'", "a/b"])
META = st.builds(MetaRow, NAME, st.sampled_from(["pod", "node"]), TEXT)
TWIN = st.builds(
    TwinRow, NAME, NAME, st.none() | TEXT, st.none() | TEXT, TEXT, TEXT, TEXT, TEXT, st.booleans(), TEXT, TEXT
)
OUTBOX = st.builds(OutboxRow, NAME, TEXT, TEXT)


def contents(store: Store) -> dict[str, Any]:
    return {
        "meta": [store.meta.of_type("pod"), store.meta.of_type("node")],
        "twin": [sorted(map(repr, store.twin.devices())), sorted(map(repr, store.twin.twins()))],
        "outbox": [(row.msg_id, row.frame, row.key) for row in store.outbox.pending()],
        "names": [store.subscribed_topics.all(), store.target_urls.all()],
    }


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store: Store = SqliteStore(self.folder / "edge.db")
        self.model: Store = FakeStore()

    def both(self) -> tuple[Store, Store]:
        return self.store, self.model

    @rule(put=st.lists(META, max_size=4), removed=st.lists(NAME, max_size=2))
    def change_objects(self, put: list[MetaRow], removed: list[str]) -> None:
        for store in self.both():
            store.meta.apply(MetaChanges(put=put, removed=removed))

    @rule(
        devices=st.lists(st.builds(DeviceRow, NAME, TEXT, TEXT, TEXT, TEXT), max_size=2),
        twins=st.lists(TWIN, max_size=4),
        gone=st.lists(NAME, max_size=1),
        gone_twins=st.lists(st.tuples(NAME, NAME), max_size=2),
        reports=st.lists(OUTBOX, max_size=2),
    )
    def change_twins(
        self,
        devices: list[DeviceRow],
        twins: list[TwinRow],
        gone: list[str],
        gone_twins: list[tuple[str, str]],
        reports: list[OutboxRow],
    ) -> None:
        for store in self.both():
            store.twin.apply(
                TwinChanges(
                    devices=devices, twins=twins, removed_devices=gone, removed_twins=gone_twins, reports=reports
                )
            )

    @rule(added=st.lists(OUTBOX, max_size=3), removed=st.lists(NAME, max_size=3))
    def change_outbox(self, added: list[OutboxRow], removed: list[str]) -> None:
        for store in self.both():
            store.outbox.apply(added, removed)

    @rule(name=TEXT, present=st.booleans())
    def change_names(self, name: str, present: bool) -> None:
        for store in self.both():
            (store.subscribed_topics.add if present else store.subscribed_topics.remove)(name)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = SqliteStore(self.folder / "edge.db")

    @invariant()
    def same(self) -> None:
        assert contents(self.store) == contents(self.model)

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)


TestStoreIsItsModel = Machine.TestCase
TestStoreIsItsModel.settings = settings(max_examples=examples(25), stateful_step_count=20)
