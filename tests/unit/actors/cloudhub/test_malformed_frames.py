"""Whatever a node sends: no crash, others' sessions stay, and only what is no message costs a node its session."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.actors.cloudhub.messages import HANDLED_HERE
from kubeedge_actors.actors.cloudhub.peer_authorization import NODE_MESSAGES
from kubeedge_actors.actors.cloudhub.traffic import TrafficCounters
from kubeedge_actors.errors import FrameError
from kubeedge_actors.wire import beehive, mapping
from kubeedge_actors.wire.messages import (
    ObjectAcked,
    PatchNode,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    SessionClosed,
    SessionOpened,
    WriteLease,
)
from tests.support.env.cloudhub import OURS, CloudHubEnv, pushed
from tests.support.plugins.hypothesis_profile import examples
from tests.support.recordings import golden

RECORDED = [frame.value for frame in golden()]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
WORDS = (
    "node edged twin resource user meta response error keepalive query update insert delete upload ping cloudhub "
    "k8s/ca.crt membership/detail default/pod/p null/node/n1 null/node/n2 device/default/d/twin/edge_updated "
    "kube-node-lease/lease/n2 default/event/e a/b/c/d/e/f"
)
words = st.sampled_from(["", *WORDS.split()])
route = st.fixed_dictionaries(
    {}, optional={name: words | st.text() for name in ("source", "group", "operation", "resource", "destination")}
)
header = st.fixed_dictionaries(
    {},
    optional={
        "msg_id": st.sampled_from(["a", "b"]) | st.text(),
        "parent_msg_id": st.sampled_from(["", "a", "b"]) | st.text(),
        "timestamp": st.integers(),
        "resourceversion": st.text(),
    },
)
envelopes = st.fixed_dictionaries(
    {}, optional={"header": header | anything, "route": route | anything, "content": anything, "more": anything}
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A recorded frame with one value replaced, or its text cut or spoiled."""
    frame: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(RECORDED))))
    part = draw(st.sampled_from(["header", "route", "content"]))
    if isinstance(frame.get(part), dict) and frame[part]:
        frame[part][draw(st.sampled_from(sorted(frame[part])))] = draw(anything)
    text = json.dumps(frame)
    cut = draw(st.integers(0, len(text)))
    return draw(st.sampled_from([text, text[:cut], text[cut:], text[:cut] + draw(st.characters()) + text[cut:]]))


def deep(opening: str, depth: int) -> str:
    """A value within a value within ..., closed or not."""
    return f'{{"route":{{"resource":"a/b/c"}},"content":{opening * depth}'


nested = st.builds(deep, st.sampled_from(["[", '{"a":', '[{"a":[']), st.sampled_from([10, 1_000, 100_000]))
theirs = st.sampled_from(
    [
        RegisterNode(name="n1", object={}),
        PatchNode(name="n1", patch="{}"),
        QueryLease(name="n1"),
        WriteLease(operation="update", name="n1", object={}),
        QueryObject(type="node", namespace="null", name="n1"),
    ]
).map(lambda message: beehive.encode(mapping.to_beehive(message, 1)))
huge = st.sampled_from([5 << 20]).map(lambda size: json.dumps({"route": {"resource": "a/b/c"}, "content": "x" * size}))
texts = damaged() | envelopes.map(json.dumps) | anything.map(json.dumps) | st.text() | nested | theirs


def is_message(text: str) -> bool:
    try:
        beehive.decode(text)
    except FrameError:
        return False
    return True


@settings(max_examples=examples(150))
@given(st.lists(texts, max_size=12), st.booleans())
def test_a_hostile_node_harms_itself_only(said: list[str], ours: bool) -> None:
    traffic = TrafficCounters()
    hub = CloudHubEnv(cluster_ca="ca", traffic=traffic)
    with hub.harness as harness:
        told = harness.probe(*(mapping.UPWARD - HANDLED_HERE), ObjectAcked, SessionOpened, SessionClosed)
        good, bad = hub.join("n1"), hub.join("n2", **(OURS if ours else {}))
        harness.publish(pushed("a", node="n2"))
        for text in said:
            closed = bool(hub.server.closed)
            hub.hear(bad, text)
            assert bool(hub.server.closed) == (closed or not is_message(text))
        assert harness.crashes == []
        assert {peer.id for peer, _ in hub.server.closed} <= {bad.id}
        mine = [message for message in told if not isinstance(message, SessionOpened)]
        assert all(message.node == "n2" for message in mine)
        assert all(message.name == "n2" for message in mine if isinstance(message, NODE_MESSAGES))
        malformed = traffic.outcomes.get("closed: a malformed message", 0)
        assert malformed == len(hub.server.closed) <= 1
        harness.publish(pushed("b"))
        assert len(hub.sent_to(good)) == 1
        harness.advance(6.0)
        assert harness.crashes == []


@settings(max_examples=5)
@given(huge, st.integers(1, 3))
def test_frames_of_five_megabytes_are_read_and_counted(text: str, times: int) -> None:
    traffic = TrafficCounters()
    hub = CloudHubEnv(traffic=traffic)
    with hub.harness as harness:
        harness.probe(*(mapping.UPWARD - HANDLED_HERE), SessionOpened, SessionClosed)
        peer = hub.join("n1")
        hub.hear(peer, *([text] * times))
        assert harness.crashes == [] and not hub.server.closed
        assert traffic.total("up") == (times, times * len(text))


@settings(max_examples=examples(100))
@given(st.lists(st.sampled_from(["a", "b", "c"]), max_size=20))
def test_a_replayed_message_is_handled_once_and_never_told_to_another_session(ids: list[str]) -> None:
    hub = CloudHubEnv()
    with hub.harness as harness:
        told = harness.probe(ReportEvent)
        harness.probe(SessionOpened, SessionClosed)
        peer = hub.join("n2", **OURS)
        for msg_id in ids:
            event = ReportEvent(msg_id=msg_id, operation="insert", namespace="default", name=msg_id, content={})
            hub.hear(peer, event)
        assert [message.msg_id for message in told] == list(dict.fromkeys(ids))
