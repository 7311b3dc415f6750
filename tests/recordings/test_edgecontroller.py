"""A genuine edgecore's requests, as recorded, get the recorded answers, and the stimuli of the recording the recorded
pushes.

Not pushed here, on purpose: the object that a node has just been given as the answer to its own status patch.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubeedge_actors.actors.edgecontroller.controller import child_specs
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import (
    CONFIGMAP_KIND,
    LEASE_KIND,
    NODE_KIND,
    POD_KIND,
    SECRET_KIND,
    SERVICEACCOUNT_KIND,
)
from kubeedge_actors.testing import inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeletePod,
    KeepAlive,
    LinkMessage,
    NodeRemoved,
    ObjectPushed,
    ObjectVersionDelivered,
    Response,
)
from tests.support.recordings import NODE, RecordedFrame, recorded_frames, shape, shape_of

MINE = ("edged",)


class Replay:
    """A fake edge that says what was recorded, with ids and versions of the API it talks to."""

    def __init__(self) -> None:
        self.api = FakeCluster()
        self.harness = inline(*child_specs(self.api, "192.0.2.2", workers=2, lease_workers=1))
        self.hub = self.harness.probe(Response, ObjectPushed)
        self.harness.probe(ObjectVersionDelivered, NodeRemoved)
        self.exchange: dict[str, str] = {}

    def say(self, line: RecordedFrame) -> list[LinkMessage]:
        """Say a recorded request; what came back."""
        message = line.said(self._current)
        if line.resource.startswith(well_known.LEASE_NAMESPACE) and "object" in message.__struct_fields__:
            message = self._with_current_version(message)
        self.hub.take()
        self.harness.publish(message)
        return self.hub.take()

    def _current(self, text: str) -> str:
        for recorded, ours in self.exchange.items():
            text = text.replace(recorded, ours)
        return text

    def _with_current_version(self, message: Any) -> Any:
        lease = self.api.peek(LEASE_KIND, well_known.LEASE_NAMESPACE, NODE)
        if lease is None:
            return message
        metadata = {**message.object["metadata"]}
        for key in ("uid", "resourceVersion"):
            metadata[key] = lease["metadata"][key]
        return msgspec.structs.replace(message, object={**message.object, "metadata": metadata})

    def pushes(self) -> list[ObjectPushed]:
        """What was pushed since the last look."""
        return [message for message in self.hub.take() if isinstance(message, ObjectPushed)]


def answers(replay: Replay, scene: str, until: int = 10**9) -> None:
    """Replay a scene's requests and compare each answer with the recorded one."""
    recorded = list(recorded_frames(scene))
    replies = {line.parent: line for line in recorded if not line.up and line.parent}
    asked = 0
    for line in recorded:
        if not line.up or line.parent or line.frame["route"].get("source") not in MINE or line.at > until:
            continue
        got = [message for message in replay.say(line) if isinstance(message, Response)]
        asked += 1
        assert [message.parent_msg_id for message in got] == [line.msg_id], line
        assert shape_of(got[0]) == shape(replies[line.msg_id].frame), line.resource
    assert asked > 4


def test_a_first_start_until_ready() -> None:
    replay = Replay()
    recorded = [
        line
        for line in recorded_frames("a_first_start")
        if line.frame["route"].get("operation") == constants.UPDATE and not line.up
    ]
    insert = next(
        line
        for line in recorded_frames("a_first_start")
        if line.up and line.frame["route"].get("operation") == constants.INSERT
    )
    answers(replay, "a_first_start")
    node = replay.api.get(NODE_KIND, "", NODE)
    assert node["metadata"]["annotations"][constants.CLOUDCORE_ANNOTATION] == "192.0.2.2"
    assert node["metadata"]["labels"] == insert.frame["content"]["metadata"]["labels"]
    assert {c["type"]: c["status"] for c in node["status"]["conditions"]}["Ready"] == "True"
    assert len(recorded) == 2  # after the registration, and the echo of the node's own patch

    again = Replay()
    pushed = again.say(insert)
    assert len(pushed) == 2
    push = next(message for message in pushed if isinstance(message, ObjectPushed))
    assert shape_of(push) == shape(recorded[0].frame)


def test_b_a_known_node_comes_back() -> None:
    replay = Replay()
    answers(replay, "a_first_start", until=11_000)
    answers(replay, "b_restart")


def golden_pod() -> dict[str, Any]:
    frame = next(
        line.frame for line in recorded_frames("c_pod") if line.frame["route"].get("operation") == constants.INSERT
    )
    content: dict[str, Any] = frame["content"]
    metadata = {"name": content["metadata"]["name"]}
    return {"metadata": metadata, "spec": {**content["spec"]}}


def test_c_a_pod_comes_runs_changes_and_goes() -> None:
    replay = Replay()
    answers(replay, "a_first_start", until=11_000)
    api, recorded = replay.api, list(recorded_frames("c_pod"))
    api.create(SERVICEACCOUNT_KIND, "default", {"metadata": {"name": "shop-sa"}})
    api.create(CONFIGMAP_KIND, "default", {"metadata": {"name": "shop-config"}, "data": {"greeting": "hello"}})
    secret = {"metadata": {"name": "shop-secret"}, "type": "Opaque", "data": {"password": "cmVkYWN0ZWQ="}}
    api.create(SECRET_KIND, "default", secret)
    replay.harness.run()
    assert replay.pushes() == []

    def expect(*resources_and_operations: tuple[str, str]) -> None:
        replay.harness.run()
        got = replay.pushes()
        assert [(push.type, push.operation) for push in got] == list(resources_and_operations)
        for push in got:
            wanted = [shape(line.frame) for line in recorded if not line.up and not line.parent]
            assert shape_of(push) in wanted, shape_of(push)

    made = api.create(POD_KIND, "default", golden_pod())
    expect((constants.POD, constants.INSERT))
    uid = next(line for line in recorded if line.frame["route"].get("operation") == constants.INSERT)
    replay.exchange[uid.frame["content"]["metadata"]["uid"]] = made["metadata"]["uid"]
    deleted = next(line for line in recorded if line.up and line.frame["route"].get("operation") == constants.DELETE)
    answers(replay, "c_pod", until=15_000)
    assert api.get(POD_KIND, "default", "shop")["status"]["phase"] == "Running"

    api.patch(POD_KIND, "default", "shop", {"metadata": {"labels": {"stage": "test"}}})
    expect((constants.POD, constants.UPDATE))
    api.delete(POD_KIND, "default", "shop")
    expect((constants.POD, constants.UPDATE))
    got = replay.say(deleted)
    assert [(push.type, push.operation) for push in got if isinstance(push, ObjectPushed)] in (
        [(constants.POD, constants.UPDATE), (constants.POD, constants.DELETE)],
        [(constants.POD, constants.DELETE)],  # the two steps of the deletion were seen at once
    )
    assert [message.content for message in got if isinstance(message, Response)] == [constants.OK]
    api.delete(SECRET_KIND, "default", "shop-secret")
    expect((constants.SECRET, constants.DELETE))
    api.delete(CONFIGMAP_KIND, "default", "shop-config")
    expect((constants.CONFIGMAP, constants.DELETE))


def test_the_recordings_hold_what_this_file_relies_on() -> None:
    assert isinstance(next(iter(recorded_frames("a_first_start"))).said(), KeepAlive)
    deletions = [
        line
        for line in recorded_frames("c_pod")
        if line.up and line.frame["route"].get("operation") == constants.DELETE
    ]
    assert [type(line.said()) for line in deletions] == [DeletePod]
