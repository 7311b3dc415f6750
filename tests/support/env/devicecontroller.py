"""A DeviceController and its writers on an API in memory."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.devicecontroller.controller import child_specs
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.testing import crash_at, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    LinkMessage,
    MembershipDetail,
    MembershipUpdate,
    ObjectPushed,
    ReportStored,
    TwinReported,
)
from tests.support.api_objects import DEVICE, MODEL, STATUS

N = "edge-1"
LAMP = "default/lamp"


class Devices:
    """A DeviceController with its writers on an API in memory, and what it says."""

    def __init__(self, api: FakeCluster | None = None, *crashes: int) -> None:
        self.api = api or FakeCluster()
        children = child_specs(self.api, writers=2)
        if crashes:
            children[-1] = crash_at(children[-1], *crashes)
        self.harness = inline(*children)
        self.hub = self.harness.probe(ObjectPushed, MembershipUpdate, MembershipDetail, ReportStored)
        self.harness.run()
        self.hub.take()

    def said(self) -> list[Any]:
        self.harness.run()
        return [_brief(message) for message in self.hub.take()]

    def report(self, *reports: LinkMessage) -> list[str]:
        """Say it; the ids that were confirmed within a second."""
        for report in reports:
            self.harness.ref(constants.DEVICECONTROLLER).tell(report)
        self.harness.run()
        self.harness.advance(1.0)
        return [message.parent_msg_id for message in self.hub.take() if isinstance(message, ReportStored)]

    def status(self, name: str = "lamp") -> dict[str, Any]:
        status_object = self.api.peek(STATUS, "default", name)
        assert status_object is not None
        return status_object["status"]  # type: ignore[no-any-return]

    def writes(self) -> int:
        return sum(
            request[0] in ("create", "patch") and request[1] == "devicestatuses" for request in self.api.requests
        )


def _brief(message: Any) -> Any:
    if isinstance(message, ObjectPushed):
        assert message.source == constants.DEVICECONTROLLER
        assert message.object["kind"] in ("Device", "DeviceModel")
        assert message.object.get("status") == ({} if message.object["kind"] == "Device" else None)
        assert message.resource_version == message.object["metadata"]["resourceVersion"]
        return (message.node, message.operation, message.type, message.name)
    if isinstance(message, MembershipUpdate):
        added, removed = message.content["added_devices"], message.content["removed_devices"]
        return (message.node, "members", [d["id"] for d in added or ()], [d["id"] for d in removed or ()])
    return message


def put_model(api: FakeCluster, name: str = "model", **spec: Any) -> None:
    api.create(MODEL, "default", {"metadata": {"name": name}, "spec": {"properties": [], **spec}})


def put_device(
    api: FakeCluster, name: str = "lamp", node: str = N, model: str = "model", **spec: Any
) -> dict[str, Any]:
    reference = {"deviceModelRef": {"name": model}} if model else {}
    made = {**reference, "nodeName": node, "properties": [{"name": "power"}, {"name": "level"}], **spec}
    return api.create(DEVICE, "default", {"metadata": {"name": name, "labels": {"description": "hall"}}, "spec": made})


def twin(actual: str | None = None, expected: str | None = None, at: int = 1, type: str = "string") -> dict[str, Any]:
    entry: dict[str, Any] = {"optional": True, "metadata": {"type": type}}
    for side, value in (("actual", actual), ("expected", expected)):
        if value is not None:
            entry[side] = {"value": value, "metadata": {"timestamp": at}}
            entry[f"{side}_version"] = {"cloud": 0, "edge": at}
    return entry


def reported(device: str = LAMP, node: str = N, **twins: Any) -> TwinReported:
    return TwinReported(node=node, device=device, report={"event_id": "e", "timestamp": 1, "twin": twins})
