"""Names, groups and types: what does not fit together is said at start."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest

from kubeedge_actors.errors import RegistrationError
from kubeedge_actors.supervisors import ActorSystem, ChildSpec, InlineEngine, MailboxSpec, Reason, SupervisorSpec
from tests.support.env.supervisors import ActorSystemEnv, Recorder, spec


class Said:
    """A message."""


class Heard:
    """Another one."""


def child(env: ActorSystemEnv, name: str, **more: Any) -> ChildSpec:
    return spec(name, lambda: Recorder(env, name), **more)


def test_two_actors_of_one_name_are_refused_and_both_are_named(env: ActorSystemEnv) -> None:
    here = re.escape(__file__)
    both = rf"two actors are called 'a': child.<locals>.<lambda> in {here} and child.<locals>.<lambda> in {here}"
    with pytest.raises(RegistrationError, match=both):
        env.start(child(env, "a"), SupervisorSpec("low", [child(env, "a")]))


def test_an_actor_without_a_name_is_refused(env: ActorSystemEnv) -> None:
    with pytest.raises(RegistrationError, match="needs a name"):
        env.start(child(env, ""))


def test_an_unknown_group_is_refused_with_the_known_ones() -> None:
    system = ActorSystem(InlineEngine(), groups=("resource", "user"))
    with pytest.raises(RegistrationError, match="unknown group 'usr'; known: resource, user"):
        system.start(SupervisorSpec("root", [ChildSpec("a", Recorder, group="usr")]))  # type: ignore[arg-type]


def test_what_nobody_emits_and_what_nobody_accepts_is_found_at_start(env: ActorSystemEnv, caplog: Any) -> None:
    with caplog.at_level(logging.WARNING):
        env.start(child(env, "a", accepts=(Said,)), child(env, "b", emits=(Heard,)), child(env, "c", emits=(Heard,)))
    assert [each.text for each in env.runtime.wiring_warnings] == [
        "a accepts Said, which nobody emits",
        "b emits Heard, which nobody accepts",
        "c emits Heard, which nobody accepts",
    ]
    assert [each.getMessage() for each in caplog.records] == [each.text for each in env.runtime.wiring_warnings]


def test_a_finding_is_said_once_and_goes_when_its_cause_goes(env: ActorSystemEnv, caplog: Any) -> None:
    env.start(child(env, "a", accepts=(Said,)))
    caplog.clear()
    env.runtime.add(child(env, "b"))
    assert not caplog.records
    env.runtime.add(child(env, "c", emits=(Said,)))
    assert env.runtime.wiring_warnings == []


def test_publish_reaches_all_who_accept_exactly_that_type(env: ActorSystemEnv) -> None:
    class Louder(Said):
        """A subtype is another type."""

    env.start(child(env, "a", accepts=(Said,)), child(env, "b", accepts=(Said, Heard)), child(env, "c"))
    said = Said()
    assert env.runtime.publish(said) == 2
    assert env.runtime.publish(Louder()) == 0
    env.until(lambda: sorted(name for name, _ in env.record) == ["a", "b"])
    assert [each.reason for each in env.letters] == [Reason.NO_SUBSCRIBER]


def test_what_is_published_together_reaches_all_in_order_or_is_dead_letters_each(inline: ActorSystemEnv) -> None:
    durable = MailboxSpec(durable=True)
    inline.start(child(inline, "a", accepts=(int,)), child(inline, "b", accepts=(int,), mailbox=durable))
    inline.runtime.publish_all([1, 2, 3], "somebody")
    inline.until(lambda: len(inline.record) == 6)
    assert [[number for name, number in inline.record if name == each] for each in "ab"] == [[1, 2, 3], [1, 2, 3]]
    inline.ref("a").ask(lambda actor: actor.context.publish_all(["x", "y"])).get()
    assert [(each.message, each.reason, each.sender) for each in inline.letters] == [
        ("x", Reason.NO_SUBSCRIBER, "a"),
        ("y", Reason.NO_SUBSCRIBER, "a"),
    ]


def test_an_actor_that_publishes_is_the_sender(env: ActorSystemEnv) -> None:
    env.start(child(env, "a"))
    count = env.ref("a").ask(lambda actor: actor.context.publish(Said())).get()
    assert count == 0
    assert [each.sender for each in env.letters] == ["a"]


def test_a_name_that_nobody_has_is_an_error_with_the_names_there_are(env: ActorSystemEnv) -> None:
    env.start(child(env, "a"), child(env, "b"))
    with pytest.raises(RegistrationError, match="no actor is called 'x'; there are: a, b"):
        env.runtime.ref("x")
    with pytest.raises(RegistrationError, match="no actor is called 'x'"):
        env.runtime.restart("x")


def test_actors_are_added_under_the_supervisor_that_is_named(env: ActorSystemEnv) -> None:
    env.start(child(env, "a"), SupervisorSpec("low", [child(env, "b")]))
    env.runtime.add(child(env, "c"), to="low")
    assert [each["name"] for each in env.node("low")["children"]] == ["b", "c"]
    with pytest.raises(RegistrationError, match="no supervisor is called 'high'"):
        env.runtime.add(child(env, "d"), to="high")
    with pytest.raises(RegistrationError, match="two actors"):
        env.runtime.add(child(env, "a"))


def test_a_runtime_starts_once(env: ActorSystemEnv) -> None:
    env.start(child(env, "a"))
    with pytest.raises(RegistrationError, match="started before"):
        env.start(child(env, "b"))


def test_two_runtimes_live_in_one_process_without_knowing_each_other() -> None:
    first, second = ActorSystemEnv(InlineEngine()), ActorSystemEnv(InlineEngine())
    for each in (first, second):
        each.start(child(each, "a"))
    first.tell("a", 1)
    first.until(lambda: first.record == [("a", 1)])
    assert second.record == []
    first.close()
    second.tell("a", 2)
    second.until(lambda: second.record == [("a", 2)])
    second.close()
