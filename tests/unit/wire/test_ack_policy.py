"""Which downward messages wait for an acknowledgement, and what they are about."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given

from kubeedge_actors.wire import ack_policy, constants, mapping
from kubeedge_actors.wire import messages as m
from kubeedge_actors.wire.beehive import BeehiveMessage, Route
from tests.support import message_strategies as strategies


def pushed(
    type: str, operation: str = constants.UPDATE, source: str = constants.EDGECONTROLLER, **more: Any
) -> m.ObjectPushed:
    fields = {"namespace": "default", "name": "n", "object": {}, **more}
    return m.ObjectPushed(type=type, operation=operation, source=source, **fields)


def answered(path: str, content: Any, source: str = constants.EDGECONTROLLER, **more: Any) -> m.Response:
    return m.Response(parent_msg_id="p", resource=path, content=content, source=source, **more)


def unknown(content: Any = None, **route: str) -> m.UnknownMessage:
    raw = msgspec.Raw(msgspec.json.encode(content))
    return m.UnknownMessage(message=BeehiveMessage(route=Route(**route), content=raw))


@pytest.mark.parametrize(
    "message",
    [
        *(pushed("pod", operation) for operation in (constants.INSERT, constants.UPDATE, constants.DELETE)),
        *(pushed("configmap", operation) for operation in (constants.INSERT, constants.UPDATE, constants.DELETE)),
        pushed("secret"),
        pushed("node"),
        pushed("node", constants.INSERT, constants.SOURCE_DYNAMICCONTROLLER),
        pushed("lease", source=constants.SOURCE_DYNAMICCONTROLLER),
        pushed("device", constants.INSERT, constants.DEVICECONTROLLER),
        pushed("devicemodel", constants.DELETE, constants.DEVICECONTROLLER),
        pushed("serviceaccountaccess", source=constants.SOURCE_POLICYCONTROLLER),
        answered("default/configmap/c", {"metadata": {"uid": "u"}}),
        answered("default/secret/s", {"kind": "Secret"}),
        answered("null/persistentvolume/v", {}),
        answered("default/persistentvolumeclaim/v", {}),
        answered("default/volumeattachment/v", {}),
        unknown(group="resource", source="own", operation="insert", resource="default/widget/w"),
    ],
    ids=lambda message: f"{type(message).__name__} {mapping.route_of(message).resource}",
)
def test_it_is_repeated_until_acknowledged(message: m.LinkMessage) -> None:
    assert ack_policy.ack_required(message)


@pytest.mark.parametrize(
    "message",
    [
        pushed("node", constants.INSERT),
        pushed("node", constants.DELETE),
        pushed("lease"),
        pushed("podstatus"),
        pushed("certificatesigningrequest"),
        pushed("serviceaccounttoken", source=constants.SOURCE_DYNAMICCONTROLLER),
        pushed("podlist", source=constants.SOURCE_DYNAMICCONTROLLER),
        answered("default/pod/p", "OK"),
        answered("default/configmap/c", "OK"),
        answered("default/configmap/c", {"ErrStatus": {"code": 404}}),
        answered("default/pod/p", {"Object": {}, "Err": None}),
        answered("null/node/e", {"Object": {}, "Err": None}),
        answered("null/nodepatch/e", {"Object": {}, "Err": None}),
        answered("default/podpatch/p", {"Object": {}, "Err": None}),
        answered("kube-node-lease/lease/e", {"Object": {}, "Err": None}),
        answered("default/certificatesigningrequest/c", {}),
        answered("default/serviceaccounttoken/a", {"kind": "TokenRequest"}),
        answered("k8s/ca.crt", "PEM", constants.CLOUDHUB),
        answered("ignore/Application/ignore", {}, "dynamiccontroller", operation=constants.APPLICATION_RESPONSE),
        unknown(group="user", source="own", operation="insert", resource="default/widget/w"),
        unknown(group="resource", source="taskmanager", operation="insert", resource="default/widget/w"),
        unknown(group="resource", source="nodeupgradejobcontroller", operation="upgrade", resource="node/x"),
        unknown(group="resource", source="csi", operation="createvolume", resource="default/volume/v"),
        unknown("OK", group="resource", source="own", operation="response", resource="default/configmap/w"),
        unknown(group="resource", operation="update", resource="device/d/l/twin/cloud_updated"),
        unknown(group="resource", operation="update", resource="membership"),
        unknown(group="resource", operation="update", resource="membership/detail"),
    ],
    ids=lambda message: f"{type(message).__name__} {mapping.route_of(message).resource}",
)
def test_it_is_sent_once(message: m.LinkMessage) -> None:
    assert not ack_policy.ack_required(message)


@pytest.mark.parametrize(
    "word", ["podlist", "membership", "membership-api", "serviceaccounttoken", "k8s", "lease", "node"]
)
@pytest.mark.parametrize("type", ["pod", "configmap", "secret"])
def test_a_name_or_namespace_is_never_taken_for_a_type(type: str, word: str) -> None:
    assert ack_policy.ack_required(pushed(type, name=word))
    assert ack_policy.ack_required(pushed(type, namespace=word))
    if type != "pod":
        assert ack_policy.ack_required(answered(f"{word}/{type}/{word}", {}))


@strategies.quick
@given(strategies.said)
def test_only_pushes_and_answers_wait(message: m.LinkMessage) -> None:
    if ack_policy.ack_required(message):
        assert isinstance(message, m.ObjectPushed | m.Response)
        assert mapping.route_of(message).group in (constants.GROUP_RESOURCE, constants.GROUP_FUNC)


@strategies.quick
@given(strategies.said)
def test_the_route_of_a_message_is_that_of_its_record(message: m.LinkMessage) -> None:
    assert mapping.route_of(message) == mapping.to_beehive(message, 1).route


def test_a_push_and_the_answer_to_a_query_for_the_same_object_are_about_the_same() -> None:
    value = {"metadata": {"uid": "u-1"}}
    assert ack_policy.ack_key(pushed("configmap", object=value)) == "u-1"
    assert ack_policy.ack_key(answered("default/configmap/n", value)) == "u-1"
    assert ack_policy.ack_key(unknown(value)) == "u-1"


@pytest.mark.parametrize("value", [{}, {"metadata": None}, {"metadata": {"uid": ""}}, {"metadata": {"uid": 5}}])
def test_a_stub_without_uid_is_known_by_its_path(value: dict[str, Any]) -> None:
    assert ack_policy.ack_key(pushed("pod", constants.DELETE, object=value)) == "default/pod/n"


def test_what_is_about_no_object_is_known_by_its_id() -> None:
    for message in (answered("default/pod/n", "OK"), m.MembershipUpdate(content={}), m.BusSubscribe(topic="t")):
        assert ack_policy.ack_key(message) == message.msg_id


def test_an_unknown_record_whose_content_is_no_json_is_known_by_its_id() -> None:
    message = m.UnknownMessage(message=BeehiveMessage(content=msgspec.Raw(b"{")))
    assert ack_policy.ack_key(message) == message.msg_id
