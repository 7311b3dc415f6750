"""A frame becomes the message it is, and a message the frame that KubeEdge expects."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.errors import FrameError, ResourceError, WireError
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire import messages as m
from kubeedge_actors.wire.beehive import BeehiveMessage, Header, Route
from tests.support import message_strategies as strategies
from tests.support.recordings import value_of

NOW = 1_795_374_338_643
JOBS = "operations.kubeedge.io/v1alpha2"


def record(
    operation: str,
    path: str,
    content: Any = None,
    source: str = constants.EDGED,
    group: str = constants.GROUP_META,
    parent: str = "",
) -> BeehiveMessage:
    return BeehiveMessage(
        header=Header(msg_id="m", parent_msg_id=parent, timestamp=7),
        route=Route(source=source, group=group, operation=operation, resource=path),
        content=msgspec.Raw(msgspec.json.encode(content)),
    )


def read(*arguments: Any, **more: Any) -> m.LinkMessage:
    return mapping.from_beehive(record(*arguments, **more))


def known(message: Any) -> tuple[Any, ...]:
    """A message with the content of an unknown record looked at, so that spelling does not count."""
    return (
        (m.UnknownMessage, message.node, value_of(message.message))
        if isinstance(message, m.UnknownMessage)
        else (message,)
    )


def test_every_type_that_crosses_the_link_has_a_form_and_a_strategy() -> None:
    said = {
        kind for name in m.__all__ if isinstance(kind := getattr(m, name), type) and issubclass(kind, m.LinkMessage)
    }
    assert (
        mapping.UPWARD | mapping.DOWNWARD
        == said - {m.LinkMessage, m.JsonTextMessage, m.UnknownMessage}
        == strategies.SAID.keys()
    )
    assert {m.Response, m.CustomMessage} == mapping.UPWARD & mapping.DOWNWARD


@strategies.quick
@given(strategies.said)
def test_every_message_crosses_the_link_unchanged(message: m.LinkMessage) -> None:
    text = beehive.encode(mapping.to_beehive(message, NOW))
    assert mapping.from_beehive(beehive.decode(text)) == message


@strategies.quick
@given(strategies.said, strategies.words)
def test_in_the_cloud_a_message_has_the_node_it_came_from(message: m.LinkMessage, node: str) -> None:
    there = mapping.from_beehive(mapping.to_beehive(message, NOW), node)
    assert there == msgspec.structs.replace(message, node=node)


@strategies.quick
@given(strategies.records | strategies.plausible, strategies.words)
def test_any_record_is_read_and_what_was_read_is_stable(received: BeehiveMessage, node: str) -> None:
    message = mapping.from_beehive(received, node)
    assert message.node == node
    again = mapping.to_beehive(message, NOW)
    assert known(mapping.from_beehive(again, node)) == known(message) or not received.header.timestamp


@strategies.quick
@given(strategies.plausible)
def test_a_record_that_is_unknown_goes_on_as_it_came(received: BeehiveMessage) -> None:
    message = mapping.from_beehive(received)
    if isinstance(message, m.UnknownMessage):
        assert mapping.to_beehive(message, NOW) == received


def test_the_empty_message_is_unknown_and_stays_empty() -> None:
    text = '{"header":{"msg_id":"","timestamp":0},"route":{},"content":null}\n'
    message = mapping.from_beehive(beehive.decode(text))
    assert isinstance(message, m.UnknownMessage)
    assert beehive.encode(mapping.to_beehive(message, NOW)) == text


def test_a_message_without_time_gets_the_time_of_the_hub() -> None:
    assert mapping.to_beehive(m.KeepAlive(), NOW).header.timestamp == NOW
    assert mapping.to_beehive(m.KeepAlive(timestamp=5), NOW).header.timestamp == 5


def test_an_unknown_record_made_here_gets_id_and_time() -> None:
    message = m.UnknownMessage(message=BeehiveMessage(route=Route(operation="own")))
    header = mapping.to_beehive(message, NOW).header
    assert (header.msg_id, header.timestamp) == (message.msg_id, NOW)


@pytest.mark.parametrize(
    ("received", "kind"),
    [
        (record("keepalive", "node", "ping", "websocket", "resource"), m.KeepAlive),
        (record("keepalive", "", None, "", ""), m.KeepAlive),
        (record("insert", "null/node/e", {}), m.RegisterNode),
        (record("update", "null/node/e", {}), m.UpdateNode),
        (record("update", "null/node/e", {}, "edgecontroller", "resource"), m.ObjectPushed),
        (record("insert", "default/pod/p", {}), m.InsertPod),
        (record("insert", "default/pod/p", {}, "edgecontroller", "resource"), m.ObjectPushed),
        (record("insert", "default/pod/p", {}, "edgecontroller", "func"), m.ObjectPushed),
        (record("update", "default/devicemodel/l", {}, "devicecontroller", "resource"), m.ObjectPushed),
        (record("update", "null/clusterrole/l", {}, "dynamiccontroller", "resource"), m.ObjectPushed),
        (record("insert", "default/serviceaccountaccess/l", {}, "policycontroller", "resource"), m.ObjectPushed),
        (record("insert", "default/pod/p", {}, "controller", "resource"), m.ObjectPushed),
        (record("delete", "default/pod/p", {"gracePeriodSeconds": 0}), m.DeletePod),
        (record("delete", "default/pod/p", "uid"), m.DeletePod),
        (record("update", "default/nodestatus/e", {}), m.ReportNodeStatus),
        (record("insert", "default/nodestatus/e", {}), m.ReportNodeStatus),
        (record("update", "default/podstatus", []), m.ReportPodStatus),
        (record("update", "default/podstatus/p", {}), m.ReportPodStatus),
        (record("query", "kube-node-lease/lease/e"), m.QueryLease),
        (record("query", "other/lease/e"), m.QueryObject),
        (record("query", "default/secret/s"), m.QueryObject),
        (record("query", "null/persistentvolume/v"), m.QueryObject),
        (record("query", "default/certificatesigningrequest/c"), m.QueryObject),
        (record("query", "default/serviceaccounttoken/a", {}), m.RequestToken),
        (record("query", "k8s/ca.crt", None, "metamanager"), m.QueryClusterCa),
        (record("null", "null", {}, "metaserver", "dynamiccontroller"), m.ApplicationRequest),
        (record("null", "watchapp/sync", {}, "metaserver", "dynamiccontroller"), m.ApplicationRequest),
        (record("get", "membership/detail", "{}", "twin", "resource"), m.MembershipRequest),
        (record("update", "device/d/l/twin/edge_updated", {}, "twin", "resource"), m.TwinReported),
        (record("update", "device/d/l/state/update", "{}", "twin", "resource"), m.DeviceStateReported),
        (record("update", "membership", {}, "devicecontroller", "twin"), m.MembershipUpdate),
        (record("update", "membership", {}, "edgemgr", "twin"), m.MembershipUpdate),
        (record("detail", "membership/detail", {}, "edgemgr", "twin"), m.MembershipDetail),
        (record("update", "device/lamp/twin/cloud_updated", {}, "edgemgr", "twin"), m.TwinSynced),
        (record("updated", "device/d/l/twin/cloud_updated", {}, "devicecontroller", "twin"), m.TwinSynced),
        (record("updated", "device/lamp", {}, "edgemgr", "twin"), m.AttributesChanged),
        (record("updated", "device/d/l", {}, "edgemgr", "twin"), m.AttributesChanged),
        (record("updated", "device/", {}, "edgemgr", "twin"), m.UnknownMessage),
        (record("updated", "device/a/b/c", {}, "edgemgr", "twin"), m.UnknownMessage),
        (record("upload", "a/user/b", "x", "bus", "user"), m.BusUploaded),
        (record("upload", "", {}, "servicebus", "user", parent="p"), m.BusUploaded),
        (record("publish", "t", "x", "router_eventbus", "user"), m.BusPublish),
        (record("subscribe", "t", None, "router_eventbus", "user"), m.BusSubscribe),
        (record("unsubscribe", "t", None, "router_eventbus", "user"), m.BusUnsubscribe),
        (record("start", "http://h/p", None, "router_servicebus", "user"), m.TargetUrlAdded),
        (record("stop", "http:/h/p", None, "router_servicebus", "user"), m.TargetUrlRemoved),
        (record("POST", "9060:/p", {}, "router_servicebus", "user"), m.ServiceCall),
        (record("response", "u", "x", "servicebus", "user", parent="p"), m.ServiceBusResponse),
        (record("response", "default/pod/p", "OK", "edgecontroller", "resource", parent="p"), m.Response),
        (record("response", "default/device/l", "OK", "meta", "twin", parent="p"), m.Response),
        (record("response", "", None, "", "", parent="p"), m.Response),
        (
            record("applicationResponse", "ignore/Application/ignore", {}, "dynamiccontroller", "resource", parent="p"),
            m.Response,
        ),
        (record("response", "twin", "OK", "devicecontroller", "twin", parent="p"), m.ReportStored),
        (record("Check", f"{JOBS}/imageprepulljob/j/node/e", {}, "taskmanager", "taskmanager"), m.NodeTask),
        (record("BackUp", f"{JOBS}/nodeupgradejob/j/node/e", {}, "taskmanager", "taskmanager"), m.UnknownMessage),
        (record("Check", f"{JOBS}/imageprepulljob/j", {}, "taskmanager", "taskmanager"), m.UnknownMessage),
        (record("prepull", "task/1/node/e", {}, "taskmanager", "taskmanager"), m.UnknownMessage),
        (
            record("UpdateNodeActionStatus", f"{JOBS}/imageprepulljob/j/node/e", {}, "websocket", "hub"),
            m.NodeTaskReported,
        ),
        (record("error", "default/pod/p", "no room", "metamanager", "resource", parent="p"), m.ErrorResponse),
    ],
    ids=lambda value: (
        value.route.source + " " + value.route.operation + " " + value.route.resource
        if isinstance(value, BeehiveMessage)
        else value.__name__
    ),
)
def test_a_record_is_the_message_that_source_group_operation_and_type_say(
    received: BeehiveMessage, kind: type[m.LinkMessage]
) -> None:
    assert type(mapping.from_beehive(received)) is kind


@pytest.mark.parametrize(
    "received",
    [
        record("insert", "null/node/e", []),
        record("insert", "null/node/e", None),
        record("insert", "null/node/e", "no JSON"),
        record("insert", "null/node/e", "[1]"),
        record("insert", "null/node", {}),
        record("patch", "null/nodepatch/e", 1),
        record("patch", "null/nodepatch/e", []),
        record("patch", "null/nodepatch/e", None),
        record("update", "default/podstatus", {}),
        record("update", "default/podstatus/p", []),
        record("delete", "default/pod/p", 5),
        record("update", "other/lease/e", {}),
        record("query", "default/serviceaccounttoken/a", None),
        record("invent", "default/pod/p", {}),
        record("update", "default/rulestatus/r", {}),
        record("update", "default/pod/p/more", {}),
        record("insert", "default/pod/p", {}, parent="p"),
        record("insert", "default/pod/p", {}, "edgecontroller", "resource", parent="p"),
        record("insert", "default/pod/p", {}, "edgecontroller", "hardware"),
        record("update", "membership", {}, "devicecontroller", "resource"),
        record("update", "membership", "{}", "devicecontroller", "twin"),
        record("update", "device/a/b/c/twin/edge_updated", {}, "twin", "resource"),
        record("update", "default/pod/twin", {}, "twin", "resource"),
        record("publish", "", "x", "router_eventbus", "user"),
        record("message", "t", {}, "router_eventbus", "user"),
        record("", "9060:/p", {}, "router_servicebus", "user"),
        record("POST", "9060:/p", "x", "router_servicebus", "user"),
        record("response", "JGh3", "x", "bus", "user"),
        record("response", "default/pod/p", "OK"),
        record("error", "default/pod/p", {}, "metamanager", parent="p"),
        record("upgrade", "", {}, "nodeupgradejobcontroller", "taskmanager"),
        record("createvolume", "default/volume/v", {}, "cloudhub", "resource"),
        record("acknowledge", "outbox", ["m", 1], "cloudhub", "resource"),
        record("acknowledge", "outbox", "m", "cloudhub", "resource"),
    ],
    ids=lambda received: (
        received.route.operation + " " + received.route.resource + " " + bytes(received.content).decode()
    ),
)
def test_what_has_no_meaning_or_does_not_fit_it_is_an_unknown_record(received: BeehiveMessage) -> None:
    message = mapping.from_beehive(received, "edge-1")
    assert message == m.UnknownMessage(node="edge-1", msg_id="m", timestamp=7, message=received)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'"\xff"', b"1e999", b"[" * 100_000])
def test_a_content_that_is_no_json_is_an_unknown_record(content: bytes) -> None:
    route = Route(source=constants.EDGED, operation=constants.INSERT, resource="default/pod/p")
    assert type(mapping.from_beehive(BeehiveMessage(route=route, content=msgspec.Raw(content)))) is m.UnknownMessage


@pytest.mark.parametrize(
    "name", ["membership", "membership-api", "twin", "state-update", "podlist", "k8s", "node", "device"]
)
@pytest.mark.parametrize("namespace", ["default", "membership", "device", "node", "k8s"])
def test_a_pod_of_any_name_is_a_pod(namespace: str, name: str) -> None:
    path = f"{namespace}/pod/{name}"
    pushed = read("update", path, {}, constants.EDGECONTROLLER, constants.GROUP_RESOURCE)
    assert isinstance(pushed, m.ObjectPushed)
    assert (pushed.namespace, pushed.type, pushed.name) == (namespace, "pod", name)
    assert isinstance(read("insert", path, {}), m.InsertPod)
    assert mapping.to_beehive(pushed, NOW).route.resource == path


@strategies.quick
@given(strategies.objects, st.sampled_from(["", " ", "\n"]))
def test_json_text_in_place_of_an_object_is_the_object_and_goes_back_as_text(value: dict[str, Any], blank: str) -> None:
    text = blank + msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    received = record("insert", "default/pod/p", text)
    message = mapping.from_beehive(received)
    assert isinstance(message, m.InsertPod)
    assert message.object == value
    assert value_of(mapping.to_beehive(message, NOW)) == value_of(received)


def test_an_answer_that_is_json_text_is_its_object_too() -> None:
    received = record("response", "default/secret/s", '{"data": {}}', parent="p")
    message = mapping.from_beehive(received)
    assert isinstance(message, m.Response)
    assert message.content == {"data": {}}
    assert mapping.to_beehive(message, NOW).content == received.content


@pytest.mark.parametrize("content", [[{"UID": "u"}], {"UID": "u"}])
def test_an_old_pod_status_may_be_json_text(content: Any) -> None:
    path = "default/podstatus" + ("/p" if isinstance(content, dict) else "")
    received = record("update", path, msgspec.json.encode(content).decode())
    message = mapping.from_beehive(received)
    assert isinstance(message, m.ReportPodStatus)
    assert message.content == content
    assert mapping.to_beehive(message, NOW).content == received.content


@pytest.mark.parametrize(
    ("operation", "path", "source", "field"),
    [
        ("patch", "null/nodepatch/e", constants.EDGED, "patch"),
        ("patch", "default/podpatch/p", constants.EDGED, "patch"),
        ("update", "device/d/l/state/update", constants.SOURCE_DEVICETWIN, "report"),
        ("get", "membership/detail", constants.SOURCE_DEVICETWIN, "content"),
    ],
)
def test_an_object_in_place_of_json_text_is_its_text_and_goes_back_as_object(
    operation: str, path: str, source: str, field: str
) -> None:
    received = record(operation, path, {"b": 1, "a": [2]}, source)
    message = mapping.from_beehive(received)
    assert isinstance(message, m.JsonTextMessage)
    assert message.sent_as_object
    assert msgspec.json.decode(getattr(message, field)) == {"b": 1, "a": [2]}
    assert mapping.to_beehive(message, NOW).content == received.content


def test_a_message_that_is_not_said_has_no_form() -> None:
    class Own(m.LinkMessage, frozen=True, kw_only=True):
        """A message of somebody's module."""

    with pytest.raises(WireError):
        mapping.to_beehive(Own(), NOW)


@pytest.mark.parametrize("name", ["a/b", ""])
def test_a_name_that_is_no_segment_can_not_be_written(name: str) -> None:
    with pytest.raises(ResourceError):
        mapping.to_beehive(m.InsertPod(namespace="default/x", name=name, object={}), NOW)
    with pytest.raises(ResourceError):
        mapping.to_beehive(m.PatchNode(name="a/b", patch="{}"), NOW)
    with pytest.raises(ResourceError):
        mapping.to_beehive(m.TwinReported(device="a/b/c", report={}), NOW)


@pytest.mark.parametrize("value", [{"a": object()}, {"a": "\ud800"}, {1.5: b"x", "y": {1}, "z": object()}])
def test_a_content_without_json_form_can_not_be_written(value: Any) -> None:
    with pytest.raises(FrameError):
        mapping.to_beehive(m.InsertPod(namespace="default", name="p", object=value), NOW)


def test_embedded_text_that_is_no_json_can_not_be_written() -> None:
    with pytest.raises(FrameError):
        mapping.to_beehive(m.PatchNode(name="e", patch="{", sent_as_object=True), NOW)


def test_the_words_of_in_process_transport_are_not_kept() -> None:
    received = record("insert", "default/pod/p", {})
    noisy = msgspec.structs.replace(
        received,
        header=msgspec.structs.replace(received.header, sync=True, type="channel"),
        route=msgspec.structs.replace(received.route, destination="cloud"),
    )
    assert mapping.from_beehive(noisy) == mapping.from_beehive(received)


@pytest.mark.parametrize("text", ["<", "&", ">", "\u2028\u2029", "\xff", "\\ud800"])
def test_what_go_spells_otherwise_or_is_no_unicode_comes_back_equal_in_a_message_that_nobody_knows(text: str) -> None:
    frame = (
        b'{"header":{"msg_id":"1"},"route":{"resource":"x"},"content":"'
        + text.encode("latin-1" if text == "\xff" else "utf-8")
        + b'"}'
    )
    message = mapping.from_beehive(beehive.decode(frame), "edge-1")
    assert isinstance(message, m.UnknownMessage)
    again = mapping.from_beehive(beehive.decode(beehive.encode(mapping.to_beehive(message, 0))), "edge-1")
    assert again == message
    assert value_of(again.message) == value_of(beehive.decode(frame))
