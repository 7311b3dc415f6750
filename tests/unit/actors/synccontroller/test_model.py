"""Whatever happens to cloud, link and API, in the end a node has what there is.

A record of what a node has is written 0.2 s after it was said. A cloud that ends within them, or that does not outlive an
outage of the API, knows less than its nodes have: that is made good by the nodes, which name their pods when the link begins.
"""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kubeedge_actors.actors.edgecontroller.downstream import pod_deletion_push
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import ObjectAcked, SessionClosed, SessionOpened
from tests.support.api_objects import put_pod
from tests.support.env.synccontroller import DELETE, N, SyncControllerEnv, new_api
from tests.support.plugins.hypothesis_profile import examples

ACTIONS = st.lists(
    st.sampled_from(
        ["open", "close", "ack", "ignore", "add", "label", "status", "delete", "wait", "crash", "restart", "api"]
    ),
    max_size=25,
)


@example(["add", "open", "ack", "api", "restart", "api", "delete"])
@settings(max_examples=examples(60))
@given(ACTIONS)
def test_whatever_happens_in_the_end_a_connected_node_has_what_there_is(actions: list[str]) -> None:
    api = new_api()
    sync, has, number = SyncControllerEnv(api), {}, 0  # type: ignore[var-annotated]

    def hear(acknowledge: bool) -> None:
        """The node takes what is said to it, as EdgeController and SyncController say it; its acknowledgement may get
        lost.
        """
        for message in sync.hub.take():
            uid = message.object["metadata"]["uid"]
            if message.operation == DELETE:
                has.pop(uid, None)
            else:
                has[uid] = message.object
            if acknowledge:
                sync.harness.publish(ObjectAcked(node=N, pushed=message))

    def name_all() -> None:
        """After each begin of the link the node names its pods; EdgeController tells it which of them nobody knows."""
        known = {pod["metadata"]["uid"] for pod in api.peek_all(POD_KIND)}
        for uid, object in has.items():
            if object["kind"] == "Pod" and uid not in known:
                metadata = object["metadata"]
                sync.harness.publish(pod_deletion_push(N, metadata["namespace"], metadata["name"], uid))

    for action in actions:
        pods = api.peek_all(POD_KIND)
        if api.down and action in ("add", "label", "status", "delete"):
            continue  # nobody can write then
        if action == "open":
            sync.hub.take()
            sync.harness.publish(SessionOpened(node=N))
        elif action == "close":
            sync.harness.publish(SessionClosed(node=N, reason="cut"))
            sync.hub.take()
        elif action in ("ack", "ignore"):
            hear(action == "ack")
        elif action == "add":
            number += 1
            put_pod(api, f"p{number}")
        elif action == "label" and pods:
            number += 1
            api.patch(POD_KIND, "default", pods[0]["metadata"]["name"], {"metadata": {"labels": {"n": str(number)}}})
        elif action == "status" and pods:
            number += 1
            name = pods[-1]["metadata"]["name"]
            api.patch(POD_KIND, "default", name, {"status": {"n": str(number)}}, subresource="status")
        elif action == "delete" and pods:
            api.delete(POD_KIND, "default", pods[0]["metadata"]["name"], grace=0)
        elif action == "wait":
            sync.harness.advance(7)
        elif action == "crash":
            sync.harness.crash(constants.SYNCCONTROLLER)
        elif action == "restart":
            sync.harness.stop()
            sync = SyncControllerEnv(api)
        elif action == "api":
            api.down = not api.down
    api.down = False
    sync.harness.advance(60)
    sync.hub.take()
    sync.harness.publish(SessionClosed(node=N, reason="cut"))
    sync.harness.publish(SessionOpened(node=N))
    for _ in range(3):
        hear(acknowledge=True)
        name_all()
        sync.harness.advance(70)
    hear(acknowledge=True)
    sync.harness.advance(70)
    there = {object["metadata"]["uid"]: object for kind in (POD_KIND, NODE_KIND) for object in api.peek_all(kind)}
    assert has == there
    assert sync.said() == []
    assert len(sync.records()) == len(there)
    sync.harness.stop()
