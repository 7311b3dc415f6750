"""The recorded conversations through the hub: published as it was meant, sent down word for word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubeedge_actors.actors.cloudhub.messages import HANDLED_HERE
from kubeedge_actors.wire import beehive, mapping
from kubeedge_actors.wire.messages import ObjectAcked, SessionClosed, SessionOpened, UnknownMessage
from tests.support.env.cloudhub import CloudHubEnv
from tests.support.recordings import entries

SCENES = ["a_first_start", "b_restart", "c_pod", "d_device"]
NODE = "edge-2"


def frames(scene: str) -> list[tuple[str, dict[str, Any]]]:
    return [(entry["dir"], entry["frame"]) for entry in entries(scene) if "frame" in entry]


@pytest.mark.parametrize("scene", SCENES)
def test_a_recorded_conversation_goes_through_the_hub_unchanged(scene: str) -> None:
    hub = CloudHubEnv(keepalive=10_000.0)
    with hub.harness as harness:
        told = harness.probe(*(mapping.UPWARD - HANDLED_HERE), UnknownMessage)
        harness.probe(ObjectAcked, SessionOpened, SessionClosed)
        peer = hub.join(NODE)
        for direction, frame in frames(scene):
            text = json.dumps(frame) + "\n"
            message = mapping.from_beehive(beehive.decode(text), NODE)
            if direction == "edge->cloud":
                hub.hear(peer, text)
                expected = [] if type(message) in HANDLED_HERE or not frame["header"]["msg_id"] else [message]
                assert told.take() == expected
                assert not hub.server.sent
            else:
                harness.publish(message)
                sent = [json.loads(text) for _, text in hub.server.sent]
                hub.server.sent.clear()
                assert sent == [frame]
                assert list(sent[0]) == list(frame) and list(sent[0]["header"]) == list(frame["header"])
        assert not hub.server.closed and harness.dead_letters == []


@pytest.mark.parametrize("scene", SCENES)
def test_everything_that_was_acknowledged_in_the_recording_is_released(scene: str) -> None:
    hub = CloudHubEnv(keepalive=10_000.0)
    with hub.harness as harness:
        harness.probe(*(mapping.UPWARD - HANDLED_HERE), UnknownMessage, ObjectAcked, SessionOpened, SessionClosed)
        peer = hub.join(NODE)
        for direction, frame in frames(scene):
            text = json.dumps(frame)
            if direction == "edge->cloud":
                hub.hear(peer, text)
            else:
                harness.publish(mapping.from_beehive(beehive.decode(text), NODE))
        hub.server.sent.clear()
        harness.advance(60.0)
        assert hub.server.sent == []  # nothing is repeated
