"""Whatever is in the fields of a public message, and whoever publishes it: no built-in module crashes, and the next message is handled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kubeedge_actors
from kubeedge_actors.drivers.store.base import DeviceRow, MetaRow, TwinChanges
from kubeedge_actors.supervisors import ActorSystem, Crashed, Event
from kubeedge_actors.wire import messages
from tests.support.env.both_sides import BothSidesEnv
from tests.support.plugins.hypothesis_profile import examples
from tests.support.waiting import eventually

DEVICE = "default/lamp"
PUBLIC = [
    public
    for public in (getattr(kubeedge_actors, name) for name in kubeedge_actors.__all__)
    if isinstance(public, type) and issubclass(public, msgspec.Struct)
]
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.just(DEVICE)
    | st.just("edge-1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=4,
)


def arbitrary(message_type: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    """Instances whose fields hold anything."""
    fields = {field.name: anything for field in msgspec.structs.fields(message_type) if field.required}
    others = {field.name: anything for field in msgspec.structs.fields(message_type) if not field.required}
    return st.fixed_dictionaries(fields, optional=others).map(lambda values: message_type(**values))


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BothSidesEnv]:
    made = BothSidesEnv(tmp_path_factory.mktemp("both"))
    yield made
    made.stop()


@pytest.fixture
def crashes(env: BothSidesEnv) -> Iterator[list[Crashed]]:
    found: list[Crashed] = []

    def note(event: Event) -> None:
        if isinstance(event, Crashed):
            found.append(event)

    forget = [system.events.subscribe(note) for system in (env.edge, env.cloud)]
    yield found
    for each in forget:
        each()


def quiet(system: ActorSystem) -> bool:
    """Nothing waits, nobody works."""
    return all(
        not len(cell.mailbox.queue) and (cell.incarnation is None or cell.incarnation.turn is None)
        for cell in map(system.cell, system.registry.names())
    )


@pytest.mark.parametrize("message_type", PUBLIC, ids=lambda message_type: message_type.__name__)
def test_a_malformed_message_crashes_nobody(
    env: BothSidesEnv, crashes: list[Crashed], message_type: type[msgspec.Struct]
) -> None:
    @settings(max_examples=examples(25))
    @given(arbitrary(message_type))
    def publish(message: Any) -> None:
        for system in (env.edge, env.cloud):
            system.publish(message)
            eventually(partial(quiet, system), "it is handled")
        assert [f"{crash.name}: {crash.error}" for crash in crashes] == []

    publish()


def test_a_right_message_is_handled_after_all_of_them(env: BothSidesEnv) -> None:
    client = env.broker.client()
    client.subscribe(f"$hw/events/device/{DEVICE}/twin/update/result")
    env.store.meta.put([MetaRow("default/device/lamp", "device", "{}")])
    env.store.twin.apply(TwinChanges(devices=[DeviceRow(DEVICE, "lamp")]))
    payload = json.dumps({"event_id": "1", "twin": {"p": {"actual": {"value": "1"}}}}).encode()
    env.edge.publish(messages.TwinUpdate(device=DEVICE, payload=payload))
    eventually(client.payloads, "an answer")
