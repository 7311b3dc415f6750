"""A genuine edge's side of each recording, said to a real cloud process: every answer and every push has to be the recorded one."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.drivers.cluster.client_config import from_kubeconfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster
from kubeedge_actors.kubernetes.object_types import (
    CONFIGMAP_KIND,
    DEVICE_KIND,
    DEVICEMODEL_KIND,
    POD_KIND,
    SECRET_KIND,
    SERVICEACCOUNT_KIND,
)
from kubeedge_actors.wire import constants
from tests.recordings.fake_edge import FakeEdge, bootstrap
from tests.recordings.scene import CLIENT_MARK, Json, Step, differences, essence, parent, scene, sort
from tests.support.cloud_and_edge import ProcessUnderTest
from tests.support.plugins.ports import free_ports

QUIET = 1.5  # seconds without a frame after which nothing more is expected


class Replay:
    """One cloud process, one fake edge, and what their ids and versions are in the recording's words."""

    def __init__(self, folder: Path) -> None:
        api, hub, https = free_ports(3)
        ports = ("--api-port", str(api), "--hub-port", str(hub), "--https-port", str(https))
        self.side = ProcessUnderTest("kubeedge_actors.cloud", folder / "cloud", *ports)
        self.side.start()
        self.api = KubernetesCluster(from_kubeconfig(folder / "cloud" / "kubeconfig"))
        token = (folder / "cloud" / "token").read_text(encoding="utf-8").strip()
        self._tls, self._hub = bootstrap(https, token, folder), hub
        self.edge = FakeEdge(hub, self._tls)
        self.exchange: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._versions: dict[str, Json] = {}

    def again(self) -> None:
        """The edge restarts."""
        self.edge.leave()
        self.edge = FakeEdge(self._hub, self._tls)

    def play(self, name: str, stimuli: Callable[[str], object] = str) -> None:
        """Lead a recorded conversation to its end."""
        steps = scene(name)
        acks = {parent(s.frame): s.frame for s in steps if s.frame and s.up and parent(s.frame)}
        position = 0
        while position < len(steps):
            step = steps[position]
            position += 1
            if step.event == "stimulus":
                stimuli(step.entry["what"])
            elif step.frame and step.up and not parent(step.frame):
                self._ids[step.frame["header"]["msg_id"]] = self.edge.say(self._current(step.frame), self.exchange)
            elif step.frame and not step.up:
                told = [step, *moment(steps, position)]
                self._expect([each.frame for each in told if each.frame], acks)
                position = max(steps.index(each) for each in told) + 1 if len(told) > 1 else position
        self._expect_silence()

    def _current(self, frame: Json) -> Json:
        """The frame; what it overwrites has the version that we were told last."""
        version = self._versions.get(frame["route"]["resource"])
        if frame["route"]["operation"] != constants.UPDATE or version is None:
            return frame
        metadata = {**frame["content"]["metadata"], **version}
        return {**frame, "content": {**frame["content"], "metadata": metadata}}

    def _expect(self, recorded: list[Json], acks: dict[str, Json]) -> None:
        """Hear as many frames as were recorded in this moment, in whatever order; compare, learn, acknowledge."""
        waiting = list(recorded)
        while waiting:
            try:
                heard = self.edge.hear()
            except queue.Empty:
                raise AssertionError(f"not said: {[sort(frame) for frame in waiting]}") from None
            fitting = [frame for frame in waiting if sort(frame) == sort(heard)]
            assert fitting, f"said: {sort(heard)} while the recording has {[sort(frame) for frame in waiting]}"
            waiting.remove(fitting[0])
            if (
                heard["route"]["operation"] == constants.DELETE
            ):  # the newest news of an object wins, in the original too
                waiting = [
                    frame
                    for frame in waiting
                    if frame["route"]["resource"] != heard["route"]["resource"] or parent(frame)
                ]
            assert not (unlike := differences(essence(heard), essence(fitting[0]))), "\n".join(
                [str(sort(heard)), *unlike]
            )
            if parent(heard):
                assert parent(heard) == self._ids[parent(fitting[0])]
            self._learn(fitting[0], heard)
            ack = acks.get(fitting[0]["header"]["msg_id"])
            if ack is not None:
                self.edge.say(ack, self.exchange, answering=heard["header"]["msg_id"])

    def _expect_silence(self) -> None:
        try:
            heard = self.edge.hear(QUIET)
        except queue.Empty:
            return
        raise AssertionError(f"said beyond the recording: {sort(heard)}")

    def _learn(self, recorded: Json, heard: Json) -> None:
        """Which of our uids and versions stand for the recorded ones."""
        theirs, ours = _metadata(recorded), _metadata(heard)
        if ours.get("uid"):
            self._versions[heard["route"]["resource"]] = {key: ours[key] for key in ("uid", "resourceVersion")}
        for key, form in (("uid", "{}"), ("resourceVersion", '"resourceVersion": "{}"')):
            if theirs.get(key) and ours.get(key):
                self.exchange[form.format(theirs[key])] = form.format(ours[key])

    def stop(self) -> None:
        """End it all."""
        self.edge.leave()
        self.api.close()
        self.side.stop()


def moment(steps: list[Step], position: int) -> Iterator[Step]:
    """The frames down that follow before the edge or the operator speaks again (its acknowledgements apart)."""
    for step in steps[position:]:
        if step.event == "stimulus" or (step.frame and step.up and not parent(step.frame)):
            return
        if step.frame and not step.up:
            yield step


def _metadata(frame: Json) -> Json:
    content = frame.get("content")
    if isinstance(content, dict):
        object = content.get("Object") or content
        if isinstance(object, dict):
            return dict(object.get("metadata") or {})
    return {}


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[Replay]:
    """A cloud that serves, and the edge connected to it."""
    replay = Replay(tmp_path)
    try:
        yield replay
    finally:
        replay.stop()


def applied(name: str, resource: str) -> Json:
    """What the operator of a recording had applied, as kubectl noted it in the object."""
    for step in scene(name):
        if step.frame and not step.up and step.frame["route"]["resource"] == resource:
            mark = step.frame["content"]["metadata"]["annotations"][CLIENT_MARK]
            noted: Json = json.loads(mark)
            noted["metadata"]["annotations"] = {CLIENT_MARK: mark}
            return noted
    raise AssertionError(resource)


def test_a_first_start_and_a_restart(replay: Replay) -> None:
    replay.play("a_first_start")
    replay.again()
    replay.play("b_restart")


class Shop:
    """The operator of scene c."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def __call__(self, what: str) -> None:
        """Do what the recording says was done."""
        api = self._api
        deeds: dict[str, Callable[[], object]] = {
            "kubectl apply: ServiceAccount shop-sa, ConfigMap shop-config, Secret shop-secret": self._prepare,
            "kubectl apply: Pod shop": lambda: api.create(POD_KIND, "default", applied("c_pod", "default/pod/shop")),
            "kubectl label pod shop stage=test": lambda: api.patch(
                POD_KIND, "default", "shop", {"metadata": {"labels": {"stage": "test"}}}
            ),
            "kubectl delete pod shop --wait=false": lambda: api.delete(POD_KIND, "default", "shop"),
            "kubectl delete secret shop-secret": lambda: api.delete(SECRET_KIND, "default", "shop-secret"),
            "kubectl delete configmap shop-config": lambda: api.delete(CONFIGMAP_KIND, "default", "shop-config"),
            "kubectl delete serviceaccount shop-sa": lambda: api.delete(SERVICEACCOUNT_KIND, "default", "shop-sa"),
        }
        deeds[what]()

    def _prepare(self) -> None:
        self._api.create(SERVICEACCOUNT_KIND, "default", {"metadata": {"name": "shop-sa"}})
        self._api.create(CONFIGMAP_KIND, "default", applied("c_pod", "default/configmap/shop-config"))
        self._api.create(SECRET_KIND, "default", applied("c_pod", "default/secret/shop-secret"))


def test_c_a_pod_comes_runs_changes_and_goes(replay: Replay) -> None:
    replay.play("a_first_start")
    replay.play("c_pod", Shop(replay.api))


class Lamp:
    """The operator of scene d."""

    def __init__(self, api: Any) -> None:
        self._api = api

    def __call__(self, what: str) -> None:
        """Do what the recording says was done."""
        api = self._api
        if what.startswith("kubectl patch device lamp"):
            change = json.loads(what.partition("-p ")[2])
            device = api.get(DEVICE_KIND, "default", "lamp")
            device["spec"]["properties"][0]["desired"]["value"] = change[0]["value"]
            api.replace(DEVICE_KIND, "default", "lamp", device)
            return
        deeds: dict[str, Callable[[], object]] = {
            "kubectl apply: DeviceModel lamp-model": lambda: api.create(
                DEVICEMODEL_KIND, "default", applied("d_device", "default/devicemodel/lamp-model")
            ),
            "kubectl apply: Device lamp": lambda: api.create(
                DEVICE_KIND, "default", applied("d_device", "default/device/lamp")
            ),
            "kubectl delete device lamp --wait=false": lambda: api.delete(DEVICE_KIND, "default", "lamp"),
            "kubectl delete devicemodel lamp-model --wait=false": lambda: api.delete(
                DEVICEMODEL_KIND, "default", "lamp-model"
            ),
        }
        deeds[what]()


def test_d_a_device_reports_is_told_and_goes(replay: Replay) -> None:
    replay.play("a_first_start")
    replay.play("d_device", Lamp(replay.api))
