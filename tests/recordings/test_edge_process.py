"""A genuine cloud's side of each recording, played to a real edge process: what it says has to be what the genuine edge said.

Heart-beats and lease renewals come by the clock: they are answered and compared, not counted. How often a pod's status
is reported depends on how fast its container is: reports beyond the recorded ones are answered, all of one shape.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from kubeedge_actors.apiserver.codec.builtin_types import BuiltinTypes
from kubeedge_actors.apiserver.patch.strategic import StrategicMerge
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.wire import constants
from tests.recordings.fake_cloud import FakeCloud
from tests.recordings.scene import Json, Step, differences, parent, scene, sort, steady
from tests.support.cloud_and_edge import ProcessUnderTest, ending
from tests.support.mqtt_clients import leave
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, Patience

NODE = "edge-2"
RENEWAL = (constants.UPDATE, f"{well_known.LEASE_NAMESPACE}/{constants.LEASE}/{NODE}", False)
# of the patch with which a genuine node becomes Ready: it waits for its CSINode, ours is Ready when it registers
READY_LATER = r'[{"message":"edge is posting ready status"'
ALL = 10**9
READY = 60_000  # beyond, the recorded node idles


class App:
    """A stock client of the edge's broker that hears everything."""

    def __init__(self, port: int) -> None:
        self.heard: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = lambda client, data, message: self.heard.put((message.topic, words(message.payload)))
        ready = threading.Event()
        self._client.on_subscribe = lambda *arguments: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe([("#", 0), ("$hw/#", 0)])
        assert ready.wait(PATIENCE)

    def say(self, topic: str, payload: Any) -> None:
        """Publish what the recorded application did."""
        self._client.publish(topic, payload if isinstance(payload, str) else json.dumps(payload))

    def stop(self) -> None:
        """Leave."""
        leave(self._client)


def words(payload: bytes | bytearray) -> Any:
    """A payload as the recordings have it: an object, or text."""
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode()


class Replay:
    """One edge process and the cloud that plays the recorded one."""

    def __init__(self, folder: Path) -> None:
        self.cloud = FakeCloud(folder / "cloud")
        (self.mqtt,) = free_ports(1)
        options = ("--name", NODE, "--runtime", "process", "--mqtt-port", str(self.mqtt), *self.cloud.options)
        self.side = ProcessUnderTest("kubeedge_actors.edge", folder / "edge", *options)
        self.side.start()
        self.app = App(self.mqtt)
        self._merge = StrategicMerge(BuiltinTypes().fields)
        self._objects: dict[str, Json] = {}
        self._recorded: dict[str, Json] = {}
        self._actual: dict[str, Json] = {}
        self._waiting: list[Json] = []
        self._heard: list[tuple[str, Any]] = []
        self._unacknowledged: dict[str, Json] = {}

    def play(self, name: str, until: int = ALL) -> None:
        """Lead a recorded conversation, up to a time in milliseconds."""
        steps = [step for step in scene(name) if step.at < until]
        self._acks = {parent(s.frame): s.frame for s in steps if s.frame and s.up and parent(s.frame)}
        for step in steps:
            self._step(step)
        while self._unacknowledged:
            self._hear()
        assert not self._waiting, [sort(frame) for frame in self._waiting]

    def _step(self, step: Step) -> None:
        frame = step.frame
        if step.event == "mqtt":
            self._mqtt(step.entry)
        if frame is None or (step.up and parent(frame)):
            return
        if step.up:
            if (
                sort(frame) != RENEWAL
                and frame["route"]["operation"] != constants.KEEPALIVE
                and READY_LATER not in str(frame["content"])
            ):
                self._asked(frame)
        elif parent(frame):
            if sort(self._recorded.get(parent(frame), frame)) != RENEWAL:
                self._reply(frame)
        else:
            self._push(frame)

    def _mqtt(self, entry: Json) -> None:
        """Publish what the application did, or hear what it heard."""
        if entry["dir"] == "app->edge":
            self.app.say(entry["topic"], entry["payload"])
            return
        recorded = (entry["topic"], entry["payload"])
        patience = Patience()
        while not (fitting := [each for each in self._heard if each[0] == recorded[0]]):
            assert not patience.over, f"not published: {recorded}; published: {self._heard}"
            self._heard.append(self.app.heard.get(timeout=PATIENCE))
        self._heard.remove(fitting[0])
        assert steady(fitting[0][1]) == steady(recorded[1])

    def _asked(self, recorded: Json) -> None:
        """Wait for the edge's own question of this sort; compare it."""
        patience = Patience()
        while not (fitting := [frame for frame in self._waiting if sort(frame) == sort(recorded)]):
            others = [sort(frame) for frame in self._waiting]
            assert not patience.over, f"not said: {sort(recorded)}; said, and not expected: {others}"
            self._hear()
        said = fitting[0]
        self._waiting.remove(said)
        assert said["route"] == recorded["route"]
        if (
            recorded["route"]["operation"] == constants.PATCH
        ):  # how much has changed since the last one is a matter of time
            assert set(json.loads(said["content"])) <= {"metadata", "status"}
        else:
            unlike = differences(shape(said["content"]), shape(recorded["content"]))
            assert not unlike, "\n".join([str(sort(said)), *unlike])
        self._recorded[recorded["header"]["msg_id"]], self._actual[recorded["header"]["msg_id"]] = recorded, said

    def _reply(self, frame: Json) -> None:
        asked = self._actual.get(parent(frame))
        if asked is not None:
            self._answer(frame, asked)

    def _answer(self, frame: Json, asked: Json) -> None:
        content = frame["content"]
        if isinstance(content, dict) and content.get("Object") and asked["route"]["operation"] != constants.QUERY:
            content = {"Object": self._stored(asked, content["Object"]), "Err": None}
        self._say(frame, content, asked["header"]["msg_id"])

    def _stored(self, asked: Json, recorded: Json) -> Json:
        """What the API would have now: the edge's own words with the recorded identity."""
        resource = asked["route"]["resource"].replace("patch/", "/")
        content = asked["content"]
        if asked["route"]["operation"] == constants.PATCH:
            change = json.loads(content)
            kind = "Node" if f"/{constants.NODE}/" in resource else "Pod"
            made = self._merge.merge(self._objects.get(resource, recorded), change, kind)
        else:
            made = {**recorded, **{key: value for key, value in content.items() if key in ("spec", "status")}}
        self._objects[resource] = {**made, "metadata": recorded["metadata"]}
        return self._objects[resource]

    def _push(self, frame: Json) -> None:
        content, resource = frame["content"], frame["route"]["resource"]
        if resource in self._objects and frame["route"]["operation"] != constants.INSERT:
            content = {**content, "status": self._objects[resource].get("status", {})}
        for container in (content.get("spec") or {}).get("containers") or ():
            container["command"] = ["sleep", "1000"]  # there is no /config on this machine
        for property in (content.get("spec") or {}).get("properties") or ():
            property.pop("desired", None)  # a genuine edge keeps it from its MQTT applications, ours does not
        if frame["route"]["operation"] == constants.INSERT:
            self._objects[resource] = content
        self._say(frame, content)

    def _say(self, frame: Json, content: Any, answering: str = "") -> None:
        fresh = self.cloud.say(frame, content, answering)
        if frame["header"]["msg_id"] in self._acks:
            self._unacknowledged[fresh] = self._acks[frame["header"]["msg_id"]]

    def _hear(self) -> None:
        """Take the next frame: an acknowledgement, something by the clock, or something to wait for."""
        try:
            said = self.cloud.hear()
        except queue.Empty:
            missing = [sort(frame) for frame in self._unacknowledged.values()]
            raise AssertionError(f"nothing more was said; not acknowledged: {missing}") from None
        if parent(said):
            recorded = self._unacknowledged.pop(parent(said))
            assert (said["route"], said["content"]) == (recorded["route"], recorded["content"])
        elif said["route"]["operation"] == constants.KEEPALIVE:
            assert said["content"] == "ping" and said["route"]["resource"] == constants.NODE
        elif sort(said) == RENEWAL:
            self._renewed(said)
        else:
            self._waiting.append(said)

    def _renewed(self, said: Json) -> None:
        reply = next(s.frame for s in scene("b_restart") if s.frame and not s.up and sort(s.frame)[1] == RENEWAL[1])
        self._answer(reply, said)

    def again(self) -> None:
        """The edge restarts."""
        self.side.stop()
        self._waiting.clear()
        self.side.start()

    def stop(self) -> None:
        """End both."""
        try:
            with ending(self.side):
                self.app.stop()
        finally:
            self.cloud.stop()


def shape(content: Any) -> Any:
    """What of the edge's words has to be equal: all keys; facts of the machine by their sort."""
    return _sorts(steady(content))


def _sorts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorts(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_sorts(value[0])] if value else []
    return type(value).__name__


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Replay]:
    """An edge that has joined the fake cloud."""
    replay = Replay(tmp_path)
    try:
        yield replay
    finally:
        replay.stop()


def test_a_first_start_a_pod_and_a_device(replay: Replay) -> None:
    replay.play("a_first_start", READY)
    replay.play("c_pod")
    replay.play("d_device")


def test_a_restart(replay: Replay) -> None:
    replay.play("a_first_start", READY)
    replay.again()
    replay.play("b_restart")
