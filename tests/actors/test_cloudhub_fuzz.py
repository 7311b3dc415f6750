"""Whatever a node sends: no crash, others' sessions stay, and only what is no message costs a node its session."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubeedge_actors.actors.cloudhub.actor import KEPT
from kubeedge_actors.errors import FrameError
from kubeedge_actors.wire import codec, mapping
from kubeedge_actors.wire.messages import ObjectDelivered, SessionClosed, SessionOpened
from tests.actors.hub_things import OURS, Hub, pushed

GOLDEN = Path(__file__).parent.parent / "golden"
RECORDED = [
    line["frame"]
    for path in sorted(GOLDEN.glob("*.jsonl"))
    for line in map(json.loads, path.read_text(encoding="utf-8").splitlines())
    if "frame" in line
]

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


texts = damaged() | envelopes.map(json.dumps) | anything.map(json.dumps) | st.text()


def is_message(text: str) -> bool:
    try:
        codec.decode(text)
    except FrameError:
        return False
    return True


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(texts, max_size=12), st.booleans())
def test_a_hostile_node_harms_itself_only(said: list[str], ours: bool) -> None:
    hub = Hub(cluster_ca="ca")
    with hub.harness as harness:
        told = harness.probe(*(mapping.UPWARD - KEPT), ObjectDelivered, SessionOpened, SessionClosed)
        good, bad = hub.join("n1"), hub.join("n2", **(OURS if ours else {}))
        harness.publish(pushed("a", node="n2"))
        for text in said:
            closed = bool(hub.server.closed)
            hub.hear(bad, text)
            assert bool(hub.server.closed) == (closed or not is_message(text))
        assert harness.crashes == []
        assert {peer.id for peer, _ in hub.server.closed} <= {bad.id}
        assert all(message.node == "n2" for message in told if not isinstance(message, SessionOpened))
        harness.publish(pushed("b"))
        assert len(hub.sent_to(good)) == 1
        harness.advance(6.0)
        assert harness.crashes == []
