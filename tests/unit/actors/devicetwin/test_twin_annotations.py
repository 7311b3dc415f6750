"""Who wins when cloud and edge have both changed a property: the annotation on the Device decides."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.devicetwin.cloud_sync import sync_twins
from kubeedge_actors.actors.devicetwin.dttypes import MsgTwin, TwinValue, TwinVersion, TypeMetadata, ValueMetadata
from kubeedge_actors.actors.devicetwin.twin import TwinChange, TwinProperty
from kubeedge_actors.actors.devicetwin.twin_annotations import (
    DEFAULT_SETTINGS,
    ConflictRule,
    Retention,
    TwinSettings,
    parse_twin_annotations,
)
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import DeviceChanged
from tests.support.env.devicetwin import LAMP, DeviceTwinEnv, expected

Json = dict[str, Any]


def wish(env: DeviceTwinEnv, rule: str, value: str, at: int | None = None) -> None:
    """The cloud pushes the Device with a desired value, given at `at` (ms)."""
    desired: Json = {"value": value} | ({"metadata": {"timestamp": str(at)}} if at is not None else {})
    object = {
        "metadata": {
            "name": "lamp",
            "namespace": "default",
            "annotations": {constants.TWIN_CONFLICT_ANNOTATION: rule} if rule else {},
        },
        "spec": {"properties": [{"name": "power", "desired": desired}]},
    }
    env.harness.publish(DeviceChanged(operation=constants.UPDATE, type=constants.DEVICE, object=object))
    env.harness.run()


def stands(env: DeviceTwinEnv) -> str:
    return str(env.twins()["power"]["expected"]["value"])


@pytest.fixture
def env() -> DeviceTwinEnv:
    """A lamp that the cloud wanted to be off, and that somebody at the edge has made dim since."""
    env = DeviceTwinEnv(LAMP)
    wish(env, "", "off")
    env.update({"power": expected("dim")})
    env.reports()
    return env


@pytest.mark.parametrize(
    ("rule", "winner"),
    [
        ("", "on"),
        ("power=default", "on"),
        ("cloud-wins", "on"),
        ("power=edge-wins", "dim"),
        ("*=edge-wins", "dim"),
        ("power=last-writer", "on"),
        ("other=edge-wins", "on"),
        ("power=cloud-wins, *=edge-wins", "on"),
    ],
)
def test_a_new_desired_value_against_one_of_the_edge(env: DeviceTwinEnv, rule: str, winner: str) -> None:
    wish(env, rule, "on")
    assert stands(env) == winner
    (report,) = env.reports()
    assert report["power"]["expected"]["value"] == winner  # whoever lost hears of it


@pytest.mark.parametrize(("at", "winner"), [(-1, "dim"), (1, "on")])
def test_the_last_writer_is_known_by_the_time_of_the_desired_value(env: DeviceTwinEnv, at: int, winner: str) -> None:
    wish(env, "last-writer", "on", int(env.harness.clock.now() * 1000) + at)
    assert stands(env) == winner


def test_a_value_that_was_refused_once_is_not_fought_about_again(env: DeviceTwinEnv) -> None:
    wish(env, "edge-wins", "on")
    env.reports()
    wish(env, "edge-wins", "on")
    assert (stands(env), env.reports()) == ("dim", [])


def test_edge_wins_only_where_somebody_at_the_edge_has_said_something() -> None:
    env = DeviceTwinEnv(LAMP)
    wish(env, "edge-wins", "on")
    wish(env, "edge-wins", "off")
    assert stands(env) == "off"


def test_with_cloud_wins_every_push_says_it_again_otherwise_only_a_change_does(env: DeviceTwinEnv) -> None:
    wish(env, "", "off")
    assert stands(env) == "dim"
    wish(env, "cloud-wins", "off")
    assert stands(env) == "off"


def test_without_annotations_nothing_is_different() -> None:
    assert parse_twin_annotations({"metadata": {"name": "x"}}) == (DEFAULT_SETTINGS, [])
    assert parse_twin_annotations({}) == (DEFAULT_SETTINGS, [])


def test_the_annotations_as_they_may_be_written() -> None:
    annotations = {
        constants.TWIN_CONFLICT_ANNOTATION: " last-writer , a.b/c = edge-wins,",
        constants.TWIN_HISTORY_ANNOTATION: "10/2m,a=0,b=9999999",
    }
    settings, faults = parse_twin_annotations({"metadata": {"annotations": annotations}})
    assert faults == []
    assert (settings.conflict_rule("a.b/c"), settings.conflict_rule("x")) == (ConflictRule.EDGE, ConflictRule.LAST)
    assert settings.retention("x") == Retention(10, 120_000)
    assert settings.retention("a") is None
    assert settings.retention("b") == Retention(100_000)


versions = st.builds(TwinVersion, st.integers(0, 3), st.integers(0, 3))


def synced(rule: ConflictRule, local: TwinVersion, incoming: TwinVersion, mine: int, theirs: int) -> str:
    """Who stands after a sync by message: the local value, given at `mine`, or the one of the cloud, given at `theirs`."""
    known = TwinProperty(MsgTwin(TwinValue("edge", ValueMetadata(mine)), None, True, TypeMetadata("string")), local)
    entry = MsgTwin(TwinValue("cloud", ValueMetadata(theirs)), None, None, TypeMetadata("string"), incoming)
    outcome = sync_twins({"a": known}, {"a": entry}, 10, TwinSettings({"a": rule}))
    assert isinstance(outcome, TwinChange)
    after = outcome.changed.get("a", known)
    assert ("a" in outcome.report) == (after is known)  # whoever lost hears of it
    if after is not known:
        assert after.expected_version is not None
        assert (after.expected_version.cloud, after.expected_version.edge) >= (incoming.cloud, incoming.edge)
    assert after.shown.expected is not None
    return str(after.shown.expected.value)


@given(versions, versions, st.integers(0, 3), st.integers(0, 3))
def test_a_sync_by_message_obeys_the_rule(local: TwinVersion, incoming: TwinVersion, mine: int, theirs: int) -> None:
    original = "edge" if local.cloud > incoming.cloud or local.edge > incoming.edge else "cloud"
    assert synced(ConflictRule.DEFAULT, local, incoming, mine, theirs) == original
    assert synced(ConflictRule.EDGE, local, incoming, mine, theirs) == original
    assert synced(ConflictRule.CLOUD, local, incoming, mine, theirs) == "cloud"
    assert synced(ConflictRule.LAST, local, incoming, mine, theirs) == (original if mine > theirs else "cloud")
