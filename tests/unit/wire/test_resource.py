"""Paths are read by whole segments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.errors import ResourceError
from kubeedge_actors.wire import constants, resource
from kubeedge_actors.wire.resource import DeviceResource, Resource
from tests.support import message_strategies as strategies


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("default/pod/nginx-0", Resource("default", "pod", "nginx-0")),
        ("default/podstatus", Resource("default", "podstatus")),
        ("null/node/edge-1", Resource("null", "node", "edge-1")),
        ("kube-node-lease/lease/edge-1", Resource("kube-node-lease", "lease", "edge-1")),
        ("node/pod/p", Resource("node", "pod", "p")),
        ("device/device/device", Resource("device", "device", "device")),
        ("membership/pod/membership", Resource("membership", "pod", "membership")),
        ("default/configmap/podlist", Resource("default", "configmap", "podlist")),
    ],
)
def test_an_object_is_found_and_written_again(path: str, expected: Resource) -> None:
    assert resource.parse(path) == expected
    assert expected.path == path


@pytest.mark.parametrize(
    "path",
    [
        *sorted(resource.FIXED_PATHS),
        "",
        "/",
        "pod",
        "a//b",
        "a/pod/",
        "/pod/a",
        "a/b/c/d",
        "device/a/b/twin/edge_updated",
    ],
)
def test_what_names_no_object_is_an_error(path: str) -> None:
    assert resource.try_parse(path) is None
    with pytest.raises(ResourceError):
        resource.parse(path)


@pytest.mark.parametrize(
    ("path", "device", "about"),
    [
        ("device/default/lamp/twin/edge_updated", "default/lamp", constants.PATH_TWIN_REPORTED),
        ("device/default/lamp/state/update", "default/lamp", constants.PATH_STATE_REPORTED),
        ("device/lamp/twin/edge_updated", "lamp", constants.PATH_TWIN_REPORTED),
        ("device/twin/state/state/update", "twin/state", constants.PATH_STATE_REPORTED),
        ("device/lamp/twin/cloud_updated", "lamp", constants.TWIN_CLOUD_UPDATED),
    ],
)
def test_a_device_is_found_and_written_again(path: str, device: str, about: str) -> None:
    assert resource.parse_device(path) == DeviceResource(device, about)
    assert DeviceResource(device, about).path == path


@pytest.mark.parametrize(
    "path",
    [
        "device/default/lamp",
        "device/default/lamp/twin",
        "device//lamp/twin/edge_updated",
        "device/a/b/c/twin/edge_updated",
        "Device/a/b/twin/edge_updated",
        "device/default/lamp/twin/edge_updated/",
        "devices/default/lamp/twin/edge_updated",
        "device/default/twin/edge_updated_not",
        "x/device/lamp/state/update",
    ],
)
def test_what_is_about_no_device_is_an_error(path: str) -> None:
    with pytest.raises(ResourceError):
        resource.parse_device(path)


@strategies.quick
@given(strategies.segments, strategies.segments, strategies.segments | st.just(""))
def test_every_object_can_be_written_and_read(namespace: str, type: str, name: str) -> None:
    try:
        path = resource.object_path(type, namespace, name)
    except ResourceError:
        assert not name
        assert f"{namespace}/{type}" in resource.FIXED_PATHS
        return
    assert resource.parse(path) == Resource(namespace, type, name)


@strategies.quick
@given(strategies.devices, st.sampled_from([constants.PATH_TWIN_REPORTED, constants.PATH_STATE_REPORTED]))
def test_every_device_can_be_written_and_read(device: str, about: str) -> None:
    assert resource.parse_device(resource.device_path(device, about)) == (device, about)


@strategies.quick
@given(
    st.lists(
        st.sampled_from(["device", "node", "twin", "edge_updated", "membership", "detail", "", "a"]), max_size=6
    ).map("/".join)
)
def test_no_path_is_both_object_and_device_and_what_is_found_goes_back(path: str) -> None:
    found, device = resource.try_parse(path), resource.try_parse_device(path)
    assert found is None or device is None
    assert found is None or found.path == path
    assert device is None or device.path == path


def test_an_empty_namespace_is_written_as_the_cluster_scope() -> None:
    assert Resource("", "node", "edge-1").path == "null/node/edge-1"
    assert Resource("", "node", "edge-1").cluster_scoped
    assert resource.parse("null/node/edge-1").cluster_scoped
    assert not resource.parse("default/pod/a").cluster_scoped


@pytest.mark.parametrize(
    ("type", "namespace", "name"), [("", "a", "b"), ("pod", "a/b", "c"), ("pod", "a", "b/c"), ("p/d", "a", "")]
)
def test_an_impossible_segment_is_an_error(type: str, namespace: str, name: str) -> None:
    with pytest.raises(ResourceError):
        resource.object_path(type, namespace, name)


@pytest.mark.parametrize("device", ["", "/", "a/", "/b", "a/b/c"])
def test_an_impossible_device_is_an_error(device: str) -> None:
    with pytest.raises(ResourceError):
        resource.device_path(device, constants.PATH_TWIN_REPORTED)


@strategies.quick
@given(strategies.segments, strategies.segments | st.lists(strategies.segments, min_size=2, max_size=5).map("/".join))
def test_a_node_put_in_front_comes_off_again(node: str, path: str) -> None:
    assert resource.split_node_prefix(resource.add_node_prefix(node, path)) == (node, path)


@pytest.mark.parametrize("path", ["", "node", "node/a", "node//a", "node/a/", "nodes/a/b", "default/pod/node/x"])
def test_a_path_without_node_in_front_is_an_error(path: str) -> None:
    with pytest.raises(ResourceError):
        resource.split_node_prefix(path)


@pytest.mark.parametrize("node", ["", "a/b"])
def test_an_impossible_node_is_an_error(node: str) -> None:
    with pytest.raises(ResourceError):
        resource.add_node_prefix(node, "default/pod/a")
