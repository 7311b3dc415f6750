"""The recorded conversations, with EdgeHub and MetaManager in the place of the genuine edge: every frame up has to be the same."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.edgehub import EdgeHub
from kubeedge_actors.actors.metamanager import MetaManager
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.testing import inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import DeviceChanged, PodChanged
from tests.support.env.edgehub import FakeCloud
from tests.support.recordings import RecordedFrame, recorded_frames

SCENES = ["a_first_start", "b_restart", "c_pod", "d_device"]


class Replay:
    """The edge under test; the test speaks for edged, the device twin and the bus, and for the cloud."""

    def __init__(self) -> None:
        self.cloud = FakeCloud()
        store = FakeStore()
        hub = EdgeHub.spec(
            lambda: EdgeHub(
                node_name="edge-2",
                url="wss://cloud:10000",
                link_factory=self.cloud.server.link,
                credentials=None,
                outbox=store.outbox,
                run_in_thread=lambda work: work(),
            )
        )
        self.harness = inline(hub, MetaManager.spec(lambda: MetaManager(store.meta)))
        self.edged = self.harness.probe(constants.EDGED, PodChanged)
        self.devicetwin = self.harness.probe(DeviceChanged)
        self.ids: dict[str, str] = {}
        self.harness.advance(0.3)
        self.cloud.texts.clear()

    def up(self, line: RecordedFrame) -> None:
        """What the recorded edge said of itself: let the same module say it, and compare the frame."""
        message = line.said()
        message = msgspec.structs.replace(message, node="")
        to = constants.METAMANAGER if line.frame["route"]["source"] == constants.EDGED else constants.EDGEHUB
        self.harness.tell(to, message)
        frame = self.take(lambda frame: not frame["header"].get("parent_msg_id"))
        self.ids[line.msg_id] = frame["header"]["msg_id"]
        assert bare(frame) == bare(line.frame)

    def down(self, line: RecordedFrame) -> None:
        """What the recorded cloud said, as an answer to the actual question."""
        frame = {**line.frame, "header": dict(line.frame["header"])}
        if line.parent:
            frame["header"]["parent_msg_id"] = self.ids[line.parent]
        self.cloud.say_text(msgspec.json.encode(frame).decode() + "\n")
        self.harness.run()

    def acknowledged(self, line: RecordedFrame) -> None:
        """An acknowledgement of the recorded edge: ours has to be there, and the same."""
        frame = self.take(lambda frame: frame["header"].get("parent_msg_id") == line.parent)
        assert bare(frame) == bare(line.frame)

    def take(self, fits: Any) -> dict[str, Any]:
        """The first frame that went up and fits; it counts once."""
        for text in self.cloud.texts:
            frame: dict[str, Any] = msgspec.json.decode(text)
            if fits(frame):
                self.cloud.texts.remove(text)
                return frame
        raise AssertionError(f"not said; said were {self.cloud.texts}")


def bare(frame: dict[str, Any]) -> dict[str, Any]:
    """A frame without ids and times, the keys of its header kept."""
    return {"header": list(frame["header"]), "route": frame["route"], "content": frame["content"]}


@pytest.mark.parametrize("scene", SCENES)
def test_every_frame_up_is_that_of_the_genuine_edge(scene: str) -> None:
    replay = Replay()
    for line in recorded_frames(scene):
        if not line.up:
            replay.down(line)
        elif line.parent:
            replay.acknowledged(line)
        elif line.frame["route"].get("operation") not in (None, constants.KEEPALIVE):
            replay.up(line)
    assert replay.cloud.texts == [], "said more than the genuine edge"
    assert [letter for letter in replay.harness.dead_letters if type(letter.message).__name__ == "MalformedFrame"] == []
