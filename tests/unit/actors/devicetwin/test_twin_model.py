"""The twins of a device against a simple model of the rules: random updates, deletions, syncs, wishes and restarts."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.wire.messages import DeviceChanged
from tests.support.env.devicetwin import DEVICE, LAMP, DeviceTwinEnv
from tests.support.plugins.hypothesis_profile import examples

Json = dict[str, Any]
KEYS = st.sampled_from(["a", "b"])
VALUES = st.sampled_from(["1", "2", "x", ""])
KINDS = st.sampled_from([None, "int", "string"])
VERSIONS = st.none() | st.builds(
    lambda cloud, edge: {"cloud": cloud, "edge": edge}, st.integers(0, 3), st.integers(0, 4)
)


class Side:
    """What the model knows of one side: its value (None: not there) and its two counts (None: never given)."""

    def __init__(self) -> None:
        self.value: str | None = None
        self.version: tuple[int, int] | None = None


class Known:
    """What the model knows of a property. `kind` "deleted": a tombstone."""

    def __init__(self, kind: str) -> None:
        self.kind, self.optional = kind, True
        self.sides = {"expected": Side(), "actual": Side()}


def fits(kind: str, value: str) -> bool:
    return kind != "int" or value.isdigit()


class Twins(RuleBasedStateMachine):
    """After each step the node has to answer `twin/get` as the model does, also when it starts from the database."""

    resident = 1024

    def __init__(self) -> None:
        super().__init__()
        self.env = DeviceTwinEnv(LAMP, resident=self.resident)
        self.model: dict[str, Known] = {}
        self.desired: dict[str, str] = {}

    @rule(
        key=KEYS, expected=st.none() | VALUES, actual=st.none() | VALUES, kind=KINDS, optional=st.none() | st.booleans()
    )
    def update(
        self, key: str, expected: str | None, actual: str | None, kind: str | None, optional: bool | None
    ) -> None:
        given = {name: value for name, value in (("expected", expected), ("actual", actual)) if value is not None}
        entry: Json = {name: {"value": value} for name, value in given.items()}
        entry |= {"metadata": {"type": kind}} if kind else {}
        entry |= {"optional": optional} if optional is not None else {}
        result = self.env.result({key: entry})
        known = self.model.get(key)
        live = known is not None and known.kind != "deleted"
        type_now = known.kind if known and live else kind or "string"
        if not all(fits(type_now, value) for value in given.values()):
            assert result["code"] == 400
            return
        new = known is None
        if known is None:
            known = self.model[key] = Known(type_now)
        known.kind = type_now
        known.optional = known.optional and optional is not False
        for name, value in given.items():
            side = known.sides[name]
            side.value = value if value or not new else None
            cloud, edge = side.version or (0, 0)
            side.version = (cloud, edge + 1)
        if given:
            assert key in result["twin"]

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        result = self.env.result({key: None})
        known = self.model.get(key)
        if known is None:
            assert result["code"] == 400
        elif known.optional and known.kind != "deleted":
            assert result["twin"] == {key: None}
            known.kind = "deleted"
            for side in known.sides.values():
                side.value = None
                side.version = (side.version[0], side.version[1] + 1) if side.version else (0, 0)

    @rule(key=KEYS, value=VALUES, version=VERSIONS, name=st.sampled_from(["expected", "actual"]))
    def sync(self, key: str, value: str, version: Json | None, name: str) -> None:
        self.env.reports()
        entry: Json = {name: {"value": value}, "metadata": {"type": "string"}}
        entry |= {f"{name}_version": version} if version is not None else {}
        self.env.say(f"{DEVICE}{LAMP}/twin/cloud_updated", {"event_id": "c", "twin": {key: entry}})
        known = self.model.get(key)
        kind = known.kind if known is not None and known.kind != "deleted" else "string"
        if not fits(kind, value):
            return
        if known is None:
            if version is None:
                return
            known = self.model[key] = Known("string")
            known.sides[name].value = value or None
            known.sides[name].version = (version["cloud"], version["edge"])
            return
        side = known.sides[name]
        cloud, edge = side.version or (0, 0)
        if version is None or cloud > version["cloud"] or edge > version["edge"]:
            assert key in self.env.reports()[-1]
            return
        known.kind = kind
        side.value, side.version = value, (version["cloud"], version["edge"])
        assert self.env.reports() == []

    @rule(key=KEYS, value=st.sampled_from(["1", "x", ""]))
    def wish(self, key: str, value: str) -> None:
        properties = [
            {"name": name, "desired": {"value": wanted}} for name, wanted in self.desired.items() if name != key
        ]
        properties.append({"name": key, "desired": {"value": value}})
        device = {"metadata": {"name": "lamp", "namespace": "default"}, "spec": {"properties": properties}}
        self.env.harness.publish(DeviceChanged(operation="update", type="device", object=device))
        known = self.model.get(key)
        kind = known.kind if known is not None and known.kind != "deleted" else "string"
        if not value:
            old = self.desired.pop(key, None)
            if old is not None and known is not None and known.kind != "deleted":
                self.withdraw(known.sides["expected"], old)
        elif self.desired.get(key) != value and fits(kind, value):
            self.desired[key] = value
            if known is None:
                known = self.model[key] = Known("string")
            side = known.sides["expected"]
            if known.kind == "deleted" or side.value != value:
                known.kind = kind
                cloud, edge = side.version or (0, 0)
                side.value, side.version = value, (cloud + 1, edge)

    @staticmethod
    def withdraw(side: Side, old: str) -> None:
        """What the cloud wanted, and nobody else, is not wanted any more."""
        if side.value == old:
            cloud, edge = side.version or (0, 0)
            side.value, side.version = None, (cloud + 1, edge)

    @rule()
    def restart(self) -> None:
        """A new process on the same database; an empty value counts as never given then, as in the original."""
        store: FakeStore = self.env.store
        self.env.harness.stop()
        self.env = DeviceTwinEnv(store=store, resident=self.resident)
        for known in self.model.values():
            for side in known.sides.values():
                side.value = side.value or None

    @invariant()
    def twins_are_as_the_model_says(self) -> None:
        shown = self.env.twins()
        assert set(shown) == {key for key, known in self.model.items() if known.kind != "deleted"}
        for key, entry in shown.items():
            known = self.model[key]
            assert entry["metadata"]["type"] == known.kind
            assert entry["optional"] is known.optional
            assert "expected_version" not in entry
            for name, side in known.sides.items():
                assert entry.get(name, {}).get("value") == side.value, (key, name)

    @invariant()
    def versions_in_the_database_are_as_the_model_says(self) -> None:
        for row in self.env.store.twin.twins():
            for text, name in ((row.expected_version, "expected"), (row.actual_version, "actual")):
                version = self.model[row.name].sides[name].version
                assert text == ("" if version is None else f'{{"cloud":{version[0]},"edge":{version[1]}}}')

    def teardown(self) -> None:
        assert self.env.harness.crashes == []
        self.env.harness.stop()


class TwinsOutOfMemory(Twins):
    """The same when no twin stays in memory longer than its turn."""

    resident = 0


TestTwinsOutOfMemory = TwinsOutOfMemory.TestCase
TestTwinsOutOfMemory.settings = settings(max_examples=examples(60), stateful_step_count=25)
TestTwins = Twins.TestCase
TestTwins.settings = settings(max_examples=examples(150), stateful_step_count=25)
