"""The recorded device scene: what applications said to a genuine edge has to bring the recorded publications and
reports.

The recorded Device object wants values, which a genuine edge gives to mappers only and ours to every device; it is
therefore left out here (test_devicetwin_desired.py has it). The rest is played whole.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from kubeedge_actors.wire import beehive
from kubeedge_actors.wire.mapping import from_beehive, to_beehive
from kubeedge_actors.wire.messages import BusUploaded, DeviceStateReported, MembershipUpdate, TwinReported
from tests.support.env.devicetwin import DeviceTwinEnv
from tests.support.recordings import entries

Json = dict[str, Any]
EPOCH = 1_795_374_325.698


def lines() -> list[Json]:
    return entries("d_device")


def plain(value: Any, *, fresh: bool) -> Any:
    """Without what differs from run to run: times, and (`fresh`) the event ids that the edge makes."""
    if isinstance(value, list):
        return [plain(each, fresh=fresh) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: 0 if key == "timestamp" else "*" if key == "event_id" and fresh else plain(each, fresh=fresh)
        for key, each in value.items()
    }


def is_fresh(topic: str) -> bool:
    return topic.endswith(("/delta", "/state/update/result", "/membership/updated"))


def feed(env: DeviceTwinEnv, line: Json) -> None:
    """What came from outside at this moment."""
    ahead = EPOCH + line["t_ms"] / 1000 - env.harness.clock.now()
    env.harness.advance(max(0.0, ahead))
    if line.get("event") == "mqtt":
        payload = line["payload"]
        env.say(line["topic"], payload.encode() if isinstance(payload, str) else payload)
    else:
        message = from_beehive(beehive.decode(json.dumps(line["frame"])))
        assert isinstance(message, MembershipUpdate)
        env.harness.publish(message)


def from_outside(line: Json) -> bool:
    if line.get("event") == "mqtt":
        return bool(line["dir"] == "app->edge")
    route = line.get("frame", {}).get("route", {})
    return line.get("dir") == "cloud->edge" and route.get("resource") == "membership"


@pytest.fixture(scope="module")
def played() -> DeviceTwinEnv:
    env = DeviceTwinEnv(start=EPOCH)
    for line in lines():
        if from_outside(line):
            feed(env, line)
    return env


def test_the_recorded_publications_come_in_the_recorded_order(played: DeviceTwinEnv) -> None:
    echoes = {(line["topic"], json.dumps(line["payload"])) for line in lines() if line.get("dir") == "app->edge"}
    recorded = [
        (line["topic"], plain(line["payload"], fresh=is_fresh(line["topic"])))
        for line in lines()
        if line.get("dir") == "edge->app" and (line["topic"], json.dumps(line["payload"])) not in echoes
    ]
    said = [(topic, plain(payload, fresh=is_fresh(topic))) for topic, payload in played.heard()]
    assert len(recorded) > 20
    assert said == recorded


def test_the_recorded_reports_go_up(played: DeviceTwinEnv) -> None:
    recorded = [
        plain(as_object(line["frame"]["content"]), fresh=True) | {"resource": line["frame"]["route"]["resource"]}
        for line in lines()
        if line.get("dir") == "edge->cloud" and line["frame"]["route"]["source"] == "twin"
    ]
    reports = [each for each in played.hub if isinstance(each, TwinReported | DeviceStateReported)]
    frames = [to_beehive(report, 1) for report in reports]
    said = [
        plain(as_object(msgspec.json.decode(frame.content)), fresh=True) | {"resource": frame.route.resource}
        for frame in frames
    ]
    assert len(recorded) == 7
    assert said == recorded
    assert {row.msg_id for row in played.store.outbox.pending()} == {report.msg_id for report in reports}


def as_object(content: Any) -> Json:
    """The content of a report; a state report is text that holds JSON."""
    return dict(json.loads(content) if isinstance(content, str) else content)


def test_what_is_not_for_devices_goes_to_the_cloud(played: DeviceTwinEnv) -> None:
    uploaded = [each for each in played.hub if isinstance(each, BusUploaded)]
    assert [(each.resource, each.content) for each in uploaded] == [("shop/user/orders", "free text to the cloud")]


def test_nothing_of_it_is_a_dead_letter(played: DeviceTwinEnv) -> None:
    assert played.harness.dead_letters == []
