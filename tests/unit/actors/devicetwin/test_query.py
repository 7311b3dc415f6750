"""What a module is told that asks for twins."""

from __future__ import annotations

from kubeedge_actors import PropertyTwin, PropertyValue, TwinAnswer, TwinQuery
from tests.support.env.devicetwin import DEVICE, LAMP, DeviceTwinEnv, actual, expected

START = 1_700_000_000


def ask(env: DeviceTwinEnv, device: str) -> TwinAnswer:
    answer = env.harness.ask("devicetwin", TwinQuery(device=device))
    assert isinstance(answer, TwinAnswer)
    return answer


def test_a_question_about_a_device_is_answered_with_values_times_versions_and_types() -> None:
    env = DeviceTwinEnv(LAMP, start=START)
    now = int(env.harness.clock.now() * 1000)
    env.update({"temperature": actual("81", "int"), "power": expected("on") | {"optional": False}})
    env.update({"temperature": actual("82")})
    env.say(f"{DEVICE}{LAMP}/state/update", {"state": "online"})
    value = PropertyValue(value="82", timestamp=now, edge_version=2)
    wanted = PropertyValue(value="on", timestamp=now, edge_version=1)
    assert ask(env, LAMP) == TwinAnswer(
        device=LAMP,
        state="online",
        properties={
            "temperature": PropertyTwin(actual=value, type="int"),
            "power": PropertyTwin(expected=wanted, optional=False),
        },
    )


def test_values_are_within_reach() -> None:
    env = DeviceTwinEnv(LAMP)
    env.update({"temperature": actual("81", "int"), "power": expected("on")})
    answer = ask(env, LAMP)
    assert (answer.actual("temperature"), answer.expected("temperature", "-"), answer.actual("none", "-")) == (
        "81",
        "-",
        "-",
    )
    assert (answer.expected("power"), answer.actual("power", "-")) == ("on", "-")


def test_a_deleted_property_is_not_there() -> None:
    env = DeviceTwinEnv(LAMP)
    env.update({"a": actual("1")})
    env.update({"a": None})
    assert ask(env, LAMP).properties == {}


def test_an_unknown_device_is_an_answer_and_no_error() -> None:
    answer = ask(DeviceTwinEnv(LAMP), "default/ghost")
    assert answer == TwinAnswer(device="default/ghost", known=False)


def test_a_question_about_no_device_tells_which_there_are() -> None:
    assert ask(DeviceTwinEnv(LAMP, "default/a"), "").devices == ("default/a", LAMP)


def test_a_device_that_is_not_in_memory_is_answered_for_as_well() -> None:
    env = DeviceTwinEnv(LAMP, "default/a", "default/b", resident=1)
    for device in (LAMP, "default/a", "default/b"):
        env.update({"n": actual(device)}, device=device)
    assert [ask(env, device).actual("n") for device in (LAMP, "default/a", "default/b")] == [
        LAMP,
        "default/a",
        "default/b",
    ]
