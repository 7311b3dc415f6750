"""Names, groups and types: what does not fit together is said at start."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from kubeedge_actors.errors import RegistrationError
from kubeedge_actors.supervisors import ActorSystem, ChildSpec, InlineEngine, Reason, SupervisorSpec
from tests.supervisors.world import Recorder, World, spec


class Said:
    """A message."""


class Heard:
    """Another one."""


def child(world: World, name: str, **more: Any) -> ChildSpec:
    return spec(name, lambda: Recorder(world, name), **more)


def test_two_actors_of_one_name_are_refused_and_both_are_named(world: World) -> None:
    with pytest.raises(RegistrationError, match="two actors are called 'a'"):
        world.start(child(world, "a"), SupervisorSpec("low", [child(world, "a")]))


def test_an_actor_without_a_name_is_refused(world: World) -> None:
    with pytest.raises(RegistrationError, match="needs a name"):
        world.start(child(world, ""))


def test_an_unknown_group_is_refused_with_the_known_ones() -> None:
    system = ActorSystem(InlineEngine(), groups=("resource", "user"))
    with pytest.raises(RegistrationError, match="unknown group 'usr'; known: resource, user"):
        system.start(SupervisorSpec("root", [ChildSpec("a", Recorder, group="usr")]))  # type: ignore[arg-type]


def test_what_nobody_emits_and_what_nobody_accepts_is_found_at_start(world: World, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        world.start(
            child(world, "a", accepts=(Said,)), child(world, "b", emits=(Heard,)), child(world, "c", emits=(Heard,))
        )
    assert [each.text for each in world.runtime.wiring_warnings] == [
        "a accepts Said, which nobody emits",
        "b emits Heard, which nobody accepts",
        "c emits Heard, which nobody accepts",
    ]
    assert [each.getMessage() for each in caplog.records] == [each.text for each in world.runtime.wiring_warnings]


def test_a_finding_is_said_once_and_goes_when_its_cause_goes(world: World, caplog: Any) -> None:
    world.start(child(world, "a", accepts=(Said,)))
    caplog.clear()
    world.runtime.add(child(world, "b"))
    assert not caplog.records
    world.runtime.add(child(world, "c", emits=(Said,)))
    assert world.runtime.wiring_warnings == []


def test_publish_reaches_all_who_accept_exactly_that_type(world: World) -> None:
    class Louder(Said):
        """A subtype is another type."""

    world.start(child(world, "a", accepts=(Said,)), child(world, "b", accepts=(Said, Heard)), child(world, "c"))
    said = Said()
    assert world.runtime.publish(said) == 2
    assert world.runtime.publish(Louder()) == 0
    world.until(lambda: sorted(name for name, _ in world.record) == ["a", "b"])
    assert [each.reason for each in world.letters] == [Reason.NO_SUBSCRIBER]


def test_an_actor_that_publishes_is_the_sender(world: World) -> None:
    world.start(child(world, "a"))
    count = world.ref("a").ask(lambda actor: actor.context.publish(Said())).get()
    assert count == 0
    assert [each.sender for each in world.letters] == ["a"]


def test_a_name_that_nobody_has_is_an_error_with_the_names_there_are(world: World) -> None:
    world.start(child(world, "a"), child(world, "b"))
    with pytest.raises(RegistrationError, match="no actor is called 'x'; there are: a, b"):
        world.runtime.ref("x")
    with pytest.raises(RegistrationError, match="no actor is called 'x'"):
        world.runtime.restart("x")


def test_actors_are_added_under_the_supervisor_that_is_named(world: World) -> None:
    world.start(child(world, "a"), SupervisorSpec("low", [child(world, "b")]))
    world.runtime.add(child(world, "c"), to="low")
    assert [each["name"] for each in world.node("low")["children"]] == ["b", "c"]
    with pytest.raises(RegistrationError, match="no supervisor is called 'high'"):
        world.runtime.add(child(world, "d"), to="high")
    with pytest.raises(RegistrationError, match="two actors"):
        world.runtime.add(child(world, "a"))


def test_a_runtime_starts_once(world: World) -> None:
    world.start(child(world, "a"))
    with pytest.raises(RegistrationError, match="started before"):
        world.start(child(world, "b"))


def test_two_runtimes_live_in_one_process_without_knowing_each_other() -> None:
    first, second = World(InlineEngine()), World(InlineEngine())
    for each in (first, second):
        each.start(child(each, "a"))
    first.tell("a", 1)
    first.until(lambda: first.record == [("a", 1)])
    assert second.record == []
    first.close()
    second.tell("a", 2)
    second.until(lambda: second.record == [("a", 2)])
    second.close()
