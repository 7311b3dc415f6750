"""MQTT topics: what they mean, and MQTT's own rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors import mqtt_topics
from kubeedge_actors.errors import ResourceError
from kubeedge_actors.wire import constants, topics
from kubeedge_actors.wire.topics import Topic
from tests.support import message_strategies as strategies

DEVICE_KINDS = [
    constants.TWIN_UPDATE,
    constants.TWIN_UPDATE_RESULT,
    constants.TWIN_UPDATE_DOCUMENT,
    constants.TWIN_UPDATE_DELTA,
    constants.TWIN_GET,
    constants.TWIN_GET_RESULT,
    constants.TWIN_CLOUD_UPDATED,
    constants.STATE_UPDATE,
    constants.STATE_UPDATE_RESULT,
    constants.STATE_GET,
    constants.ATTRIBUTES_UPDATED,
]
NODE_KINDS = [
    constants.MEMBERSHIP_GET,
    constants.MEMBERSHIP_GET_RESULT,
    constants.MEMBERSHIP_UPDATED,
    constants.MEMBERSHIP_DETAIL,
    constants.MEMBERSHIP_DETAIL_RESULT,
    constants.AUTHINFO_GET_RESULT,
]


@pytest.mark.parametrize(
    ("topic", "kind", "subject"),
    [
        ("$hw/events/device/default/lamp/twin/update", constants.TWIN_UPDATE, "default/lamp"),
        ("$hw/events/device/lamp/twin/update", constants.TWIN_UPDATE, "lamp"),
        ("$hw/events/device//twin/update/result", constants.TWIN_UPDATE_RESULT, ""),
        ("$hw/events/device/twin/update/twin/update", constants.TWIN_UPDATE, "twin/update"),
        ("$hw/events/device/a/twin/updated", constants.ATTRIBUTES_UPDATED, "a/twin"),
        ("$hw/events/device/default/lamp/state/get", constants.STATE_GET, "default/lamp"),
        ("$hw/events/node/edge-1/membership/get", constants.MEMBERSHIP_GET, "edge-1"),
        ("$hw/events/node/edge-1/authInfo/get/result", constants.AUTHINFO_GET_RESULT, "edge-1"),
        ("$hw/events/upload/anything/at/all", constants.TOPIC_UPLOAD, ""),
        ("$hw/events/upload", constants.TOPIC_UPLOAD, ""),
        ("SYS/dis/upload_records", constants.TOPIC_RECORDS, ""),
        ("shop/user/orders", constants.TOPIC_USER, ""),
        ("shop/user", constants.TOPIC_USER, ""),
        ("$ke/events/device/lamp/data/update", constants.DATA_UPDATE, "lamp"),
    ],
)
def test_a_topic_means_what_kubeedge_means_by_it(topic: str, kind: str, subject: str) -> None:
    assert topics.parse(topic) == Topic(kind, subject)


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "alarms/lamp",
        "user/orders",
        "$hw/events/device/default/lamp",
        "$hw/events/device/a/b/c/twin/update",
        "$hw/events/device/default/lamp/twin/update/other",
        "$hw/events/node/edge-1/twin/update",
        "$hw/events/node/a/b/membership/get",
        "$hw/events/connected/x",
        "$hw/user/x",
        "x/$hw/events/device/a/b/twin/update",
        "SYS/dis/upload_records/more",
    ],
)
def test_a_topic_of_no_meaning_is_none(topic: str) -> None:
    assert topics.parse(topic) is None


@strategies.quick
@given(strategies.devices, st.sampled_from(DEVICE_KINDS))
def test_every_device_topic_can_be_written_and_read(device: str, kind: str) -> None:
    assert topics.parse(topics.device_topic(device, kind)) == Topic(kind, device)


@strategies.quick
@given(strategies.segments, st.sampled_from(NODE_KINDS))
def test_every_node_topic_can_be_written_and_read(node: str, kind: str) -> None:
    assert topics.parse(topics.node_topic(node, kind)) == Topic(kind, node)


def test_a_topic_that_devices_or_nodes_lack_can_not_be_written() -> None:
    for device, kind in (("a/b", constants.MEMBERSHIP_GET), ("a/b/c", constants.TWIN_GET)):
        with pytest.raises(ResourceError):
            topics.device_topic(device, kind)
    for node, kind in (("n", constants.TWIN_GET), ("a/b", constants.MEMBERSHIP_GET)):
        with pytest.raises(ResourceError):
            topics.node_topic(node, kind)


def test_devices_and_members_stay_at_the_edge_and_the_rest_goes_up() -> None:
    assert topics.is_device_twin_topic("$hw/events/device/a/b/twin/update")
    assert topics.is_device_twin_topic("$hw/events/node/n/membership/get")
    for topic in ("$hw/events/upload/x", "SYS/dis/upload_records", "a/user/b", "alarms", "$hw/events/devices/x"):
        assert not topics.is_device_twin_topic(topic)


def test_the_fixed_subscriptions_are_those_of_edgecore() -> None:
    assert topics.FIXED_SUBSCRIPTIONS == (
        "$hw/events/upload/#",
        "$hw/events/device/+/+/state/update",
        "$hw/events/device/+/+/twin/+",
        "$hw/events/node/+/membership/get",
        "SYS/dis/upload_records",
        "+/user/#",
    )
    assert all(map(mqtt_topics.valid_filter, topics.FIXED_SUBSCRIPTIONS + topics.ONE_LEVEL_SUBSCRIPTIONS))


@pytest.mark.parametrize(
    ("device", "filters"),
    [("default/lamp", topics.FIXED_SUBSCRIPTIONS), ("lamp", topics.ONE_LEVEL_SUBSCRIPTIONS)],
)
def test_what_a_device_publishes_is_subscribed(device: str, filters: tuple[str, ...]) -> None:
    for kind in (constants.TWIN_UPDATE, constants.TWIN_GET, constants.TWIN_CLOUD_UPDATED, constants.STATE_UPDATE):
        assert any(mqtt_topics.matches(filter, topics.device_topic(device, kind)) for filter in filters)
    for kind in (constants.TWIN_UPDATE_RESULT, constants.TWIN_UPDATE_DELTA, constants.STATE_UPDATE_RESULT):
        assert not any(mqtt_topics.matches(filter, topics.device_topic(device, kind)) for filter in filters)


@pytest.mark.parametrize(
    ("filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a/", True),
        ("a/+", "a", False),
        ("a/+/c", "a/b/c", True),
        ("+", "a", True),
        ("+", "/a", False),
        ("+/+", "/a", True),
        ("/+", "/a", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("#", "$SYS/a", False),
        ("+/a", "$SYS/a", False),
        ("$SYS/#", "$SYS/a", True),
        ("$SYS/+", "$SYS/a", True),
        ("a/+", "a/$b", True),
        ("A", "a", False),
    ],
)
def test_filters_match_as_the_standard_says(filter: str, topic: str, expected: bool) -> None:
    assert mqtt_topics.matches(filter, topic) is expected


plain_levels = st.lists(st.text(alphabet="ab$", max_size=3), min_size=1, max_size=5)


@strategies.quick
@given(plain_levels, st.data())
def test_a_topic_is_matched_by_itself_and_by_every_wildcard_put_into_it(levels: list[str], data: st.DataObject) -> None:
    topic = "/".join(levels)
    assert mqtt_topics.matches(topic, topic)
    at = data.draw(st.integers(0, len(levels) - 1))
    visible = at > 0 or not topic.startswith("$")
    assert mqtt_topics.matches("/".join([*levels[:at], "+", *levels[at + 1 :]]), topic) is visible
    assert mqtt_topics.matches("/".join([*levels[:at], "#"]), topic) is visible


@pytest.mark.parametrize("filter", ["a", "+", "#", "a/+/#", "/", "+/+", "$hw/#", "a//b", "é"])
def test_a_good_filter_is_valid(filter: str) -> None:
    assert mqtt_topics.valid_filter(filter)


@pytest.mark.parametrize("filter", ["", "a+", "a/b#", "#/a", "a/#/b", "+a/b", "##", "a\0", "x" * 65536, "\ud800"])
def test_a_bad_filter_is_not_valid(filter: str) -> None:
    assert not mqtt_topics.valid_filter(filter)


@pytest.mark.parametrize(
    ("topic", "expected"), [("a/b", True), ("$hw/a", True), ("", False), ("a/+", False), ("#", False), ("a\0", False)]
)
def test_one_publishes_on_topics_without_wildcards(topic: str, expected: bool) -> None:
    assert mqtt_topics.valid_topic(topic) is expected


def test_length_is_counted_in_bytes() -> None:
    assert mqtt_topics.valid_topic("é" * 32767)
    assert not mqtt_topics.valid_topic("é" * 32768)


@strategies.quick
@given(st.text(max_size=40))
def test_a_topic_goes_through_base64_and_back(topic: str) -> None:
    coded = topics.to_bus_resource(topic)
    assert "+" not in coded
    assert "/" not in coded
    assert topics.from_bus_resource(coded) == topic


def test_the_base64_form_is_that_of_go() -> None:
    topic = "$hw/events/device/default/lamp/twin/update"
    assert topics.to_bus_resource(topic) == "JGh3L2V2ZW50cy9kZXZpY2UvZGVmYXVsdC9sYW1wL3R3aW4vdXBkYXRl"


@pytest.mark.parametrize("resource", ["a", "not base64!", "/w==", "é", "_w=="])
def test_what_is_no_base64_of_text_is_an_error(resource: str) -> None:
    with pytest.raises(ResourceError):
        topics.from_bus_resource(resource)
