"""What applications and devices get for what they say, by MQTT. test_devicetwin_golden.py has the recorded one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.devicetwin.dttypes import parse_update, type_error
from kubeedge_actors.wire.messages import DeviceStateReported, TwinUpdated
from tests.support.env.devicetwin import DEVICE, LAMP, DeviceTwinEnv, actual, expected

LETTERS = (
    "The {0} of twin must only include upper or lowercase letters, number, english, and special letter - _ . , : / @ # "
    "and the length of {0} should be less than {1} bytes"
)
NAMELESS = "$hw/events/device//twin/update/result"


@pytest.fixture
def env() -> DeviceTwinEnv:
    return DeviceTwinEnv(LAMP)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"event_id": "e", "twin": {', "Unmarshal update request body failed, please check the request"),
        (b"\xff\xfe", "Unmarshal update request body failed, please check the request"),
        (b'{"twin":{"a":{"actual":{"value":21}}}}', "Unmarshal update request body failed, please check the request"),
        (b'{"event_id":"e"}', "Update twin error, key:twin does not exist"),
        (b'{"event_id":"e","twin":null}', "Update twin error, key:twin does not exist"),
        (b'{"twin":{"a b":{}}}', LETTERS.format("key", 128)),
        (b'{"twin":{"":{}}}', LETTERS.format("key", 128)),
        (b'{"twin":{"a\\n":{}}}', LETTERS.format("key", 128)),
        (b'{"twin":{"%s":{}}}' % (b"k" * 129), LETTERS.format("key", 128)),
        (b'{"twin":{"a":{"actual":{"value":"two words"}}}}', LETTERS.format("value", 512)),
        (b'{"twin":{"a":{"expected":{"value":"%s"}}}}' % (b"v" * 513), LETTERS.format("value", 512)),
    ],
)
def test_a_request_that_can_not_be_read_is_answered_on_the_topic_of_no_device(
    env: DeviceTwinEnv, payload: bytes, reason: str
) -> None:
    env.say(f"{DEVICE}{LAMP}/twin/update", payload)
    ((topic, published),) = env.heard()
    assert topic == NAMELESS
    assert published == {"event_id": "", "timestamp": published["timestamp"], "code": 400, "reason": reason}
    assert env.twins() == {}


@pytest.mark.parametrize(
    ("twin", "reason"),
    [
        ({"a": actual("x", "int")}, "the value is not int or integer"),
        ({"a": actual("1.5", "integer")}, "the value is not int or integer"),
        ({"a": actual("9223372036854775808", "int")}, "the value is not int or integer"),
        ({"a": actual("1,5", "float")}, "the value is not float"),
        ({"a": expected("1e999", "float")}, "the value is not float"),
        ({"a": actual("True", "boolean")}, "the bool value must be true or false"),
        ({"a": actual("1", "double")}, "the value type is not allowed"),
        ({"a": None}, "the request body is wrong"),
        ({"a": {"actual": {}}}, "the request body is wrong"),
    ],
)
def test_a_value_that_does_not_fit_is_answered_with_400_and_changes_nothing(
    env: DeviceTwinEnv, twin: dict[str, Any], reason: str
) -> None:
    published = env.result({"good": actual("1"), **twin})
    assert published == {"event_id": "e", "timestamp": published["timestamp"], "code": 400, "reason": reason}
    assert env.twins() == {}
    assert env.reports() == []


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("int", ["0", "-7", "007", "9223372036854775807"]),
        ("float", ["1", "-1.5", ".5", "5.", "1e-3", "inf", "NaN", "0x1p-2"]),
        ("boolean", ["true", "false"]),
        ("string", ["#a/b@c:d.e_f-g,h"]),
        ("", ["anything"]),
    ],
)
def test_a_value_that_fits_its_type_is_taken(env: DeviceTwinEnv, kind: str, values: list[str]) -> None:
    for value in values:
        assert "code" not in env.result({"a": actual(value, kind)}), value
        assert env.twins()["a"]["actual"]["value"] == value


@given(st.integers())
def test_an_int_is_one_of_64_bits(number: int) -> None:
    assert (type_error("int", str(number)) == "") is (-(2**63) <= number < 2**63)


@given(st.binary() | st.text().map(str.encode) | st.from_regex(r'\{"twin":\{"a":\{"actual":.*\}').map(str.encode))
def test_any_payload_is_a_request_or_a_rejection(payload: bytes) -> None:
    parse_update(payload)


def test_an_update_of_an_unknown_device_is_answered_with_404(env: DeviceTwinEnv) -> None:
    published = env.result({"a": actual("1")}, device="default/ghost")
    assert published["code"] == 404
    assert published["reason"] == "update rejected due to the device is not existed"


def test_asking_for_an_unknown_device_is_answered_with_404(env: DeviceTwinEnv) -> None:
    env.say(f"{DEVICE}default/ghost/twin/get", {"event_id": "g"})
    ((topic, published),) = env.heard()
    assert topic == f"{DEVICE}default/ghost/twin/get/result"
    assert (published["event_id"], published["code"]) == ("g", 404)
    assert published["reason"] == "Device default/ghost not found while getting twin"


def test_asking_without_json_is_answered_with_400(env: DeviceTwinEnv) -> None:
    env.say(f"{DEVICE}{LAMP}/twin/get", b"what?")
    ((_, published),) = env.heard()
    assert (published["event_id"], published["code"]) == ("", 400)
    assert published["reason"].startswith("Unmarshal twin info what? failed , err: ")


def test_result_document_and_delta_come_in_this_order(env: DeviceTwinEnv) -> None:
    published = env.update({"power": expected("on")})
    assert [kind for kind, _ in published] == ["update/result", "update/document", "update/delta"]


def test_an_equal_value_is_a_change_as_well(env: DeviceTwinEnv) -> None:
    env.update({"a": actual("1")})
    env.reports()
    assert "a" in env.result({"a": actual("1")})["twin"]
    assert env.reports() == [{"a": env.twins()["a"] | {"actual_version": {"cloud": 0, "edge": 2}}}]


def test_the_type_of_a_live_property_stays(env: DeviceTwinEnv) -> None:
    env.update({"a": actual("1", "int")})
    assert env.result({"a": {"metadata": {"type": "string"}}})["twin"] == {"a": {}}
    assert env.twins()["a"]["metadata"] == {"type": "int"}
    assert env.result({"a": actual("x", "string")})["code"] == 400


def test_a_deleted_property_is_gone_and_comes_back_with_a_new_type(env: DeviceTwinEnv) -> None:
    env.update({"a": actual("1", "int")})
    published = dict(env.update({"a": None}))
    assert published["update/result"]["twin"] == {"a": None}
    assert published["update/document"]["twin"]["a"]["current"] is None
    assert env.twins() == {}
    published = dict(env.update({"a": actual("x")}))
    assert published["update/document"]["twin"]["a"]["last"] is None
    assert env.twins()["a"]["metadata"] == {"type": "string"}
    assert env.reports()[-1]["a"]["actual_version"] == {"cloud": 0, "edge": 3}


def test_deleting_twice_says_nothing_the_second_time(env: DeviceTwinEnv) -> None:
    env.update({"a": actual("1")})
    env.update({"a": None})
    env.reports()
    assert [kind for kind, _ in env.update({"a": None})] == ["update/result"]
    assert env.reports() == []


def test_what_is_not_optional_is_not_deleted(env: DeviceTwinEnv) -> None:
    env.update({"a": actual("1") | {"optional": False}})
    assert env.result({"a": None})["twin"] == {}
    assert env.twins()["a"]["optional"] is False


def test_optional_goes_from_true_to_false_only(env: DeviceTwinEnv) -> None:
    env.update({"a": actual("1")})
    assert env.result({"a": {"optional": False}})["twin"] == {"a": {"optional": False}}
    assert env.result({"a": {"optional": True}})["twin"] == {}
    assert env.twins()["a"]["optional"] is False


def test_the_delta_holds_what_the_device_has_not_done_until_it_has(env: DeviceTwinEnv) -> None:
    env.update({"power": expected("on"), "level": actual("1")})
    published = dict(env.update({"level": expected("5")}))
    assert published["update/delta"]["delta"] == {"power": "on", "level": "5"}
    assert set(published["update/delta"]["twin"]) == {"power", "level"}
    published = dict(env.update({"power": actual("on"), "level": actual("5")}))
    assert "update/delta" not in published


def test_a_property_that_is_born_deleted_is_shown_nowhere(env: DeviceTwinEnv) -> None:
    published = env.update({"a": expected("1", "deleted")})
    assert dict(published)["update/result"]["twin"] == {}
    assert "update/delta" not in dict(published)
    assert env.twins() == {}


def test_user_modules_hear_of_what_is_stored(env: DeviceTwinEnv) -> None:
    env.update({"temperature": actual("81", "int"), "a": actual("1")})
    fact = env.facts.only()
    assert isinstance(fact, TwinUpdated)
    assert (fact.device, fact.actual("temperature"), fact.actual("none", "-")) == (LAMP, "81", "-")
    assert env.store.twin.twins()[1].actual == "81"


def test_a_device_whose_id_has_one_level_is_spoken_to_on_its_own_topics() -> None:
    env = DeviceTwinEnv("sensor")
    assert "code" not in env.result({"a": actual("1")}, device="sensor")
    assert env.twins("sensor")["a"]["actual"]["value"] == "1"
    env.say(f"{DEVICE}sensor/state/update", {"state": "ok"})
    assert env.heard()[0][0] == f"{DEVICE}sensor/state/update/result"


@pytest.mark.parametrize("state", ["online", "OK", "offline", "Unhealthy", "unknown"])
def test_a_state_is_published_stored_and_reported(env: DeviceTwinEnv, state: str) -> None:
    env.say(f"{DEVICE}{LAMP}/state/update", {"event_id": "s", "timestamp": 0, "state": state})
    ((topic, published),) = env.heard()
    online = {"lastOnlineTime": "2023-11-14T22:13:20Z"} if state in ("online", "OK") else {}
    assert topic == f"{DEVICE}{LAMP}/state/update/result"
    assert published["device"] == {"name": "lamp", "state": state, **online}
    assert published["event_id"] not in ("", "s")
    (report,) = [message for message in env.hub if isinstance(message, DeviceStateReported)]
    assert report.device == LAMP and f'"state":"{state}"' in report.report
    (row,) = env.store.twin.devices()
    assert (row.state, row.last_online) == (state, online.get("lastOnlineTime", ""))


@pytest.mark.parametrize("payload", [b'{"state":"asleep"}', b"{}", b"not json", b'{"state":7}'])
def test_another_state_is_passed_over(env: DeviceTwinEnv, payload: bytes) -> None:
    env.say(f"{DEVICE}{LAMP}/state/update", payload)
    env.say(f"{DEVICE}default/ghost/state/update", b'{"state":"online"}')
    assert env.heard() == []
    assert list(env.hub) == []


def test_a_payload_that_nobody_can_read_crashes_nothing(env: DeviceTwinEnv) -> None:
    for topic in ("twin/update", "twin/get", "twin/cloud_updated", "state/update"):
        for payload in (
            b"",
            b"\x00\xff",
            b"[]",
            b'{"x":' + b"[" * 200_000,
            b'{"twin":{"a":[]}}',
            b'{"twin":{"a":{"optional":3}}}',
        ):
            env.say(f"{DEVICE}{LAMP}/{topic}", payload)
    assert env.harness.crashes == []
    assert "code" not in env.result({"a": actual("1")})
