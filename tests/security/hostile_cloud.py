"""A cloud that an edge has joined and that is hostile: what it says, and an edge to say it to."""

from __future__ import annotations

import json
import queue
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed

from kubeedge_actors.apiserver.codec.builtin_types import BuiltinTypes
from kubeedge_actors.apiserver.patch.strategic import StrategicMerge
from kubeedge_actors.wire import constants as n
from kubeedge_actors.wire.mapping_table import BOTH, DOWN
from tests.recordings.fake_cloud import FakeCloud
from tests.support.cloud_and_edge import ProcessUnderTest, ending
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, Patience

Json = dict[str, Any]
Place = tuple[str | int, ...]
"""Keys and indices that lead to a field of a pod."""

FIELDS: tuple[Place, ...] = (
    *(("metadata", "name"), ("metadata", "namespace"), ("metadata", "uid"), ("spec", "hostname"), ("spec", "nodeName")),
    *(("spec", "containers", 0, key) for key in ("name", "image", "workingDir", "terminationMessagePath")),
    *(("spec", "containers", 0, "volumeMounts", 0, key) for key in ("name", "subPath", "subPathExpr", "mountPath")),
    ("spec", "containers", 0, "env", 0, "name"),
    ("spec", "containers", 0, "envFrom", 0, "configMapRef", "name"),
    *(("spec", "volumes", index, "name") for index in range(4)),
    ("spec", "volumes", 0, "configMap", "name"),
    ("spec", "volumes", 0, "configMap", "items", 0, "path"),
    ("spec", "volumes", 1, "secret", "secretName"),
    ("spec", "volumes", 2, "projected", "sources", 0, "configMap", "items", 0, "path"),
    ("spec", "volumes", 3, "downwardAPI", "items", 0, "path"),
    ("spec", "imagePullSecrets", 0, "name"),
    ("spec", "serviceAccountName"),
)
"""Of a pod, what becomes a name of something on the node, or leads to one."""
WRONG: tuple[Any, ...] = (
    None,
    [],
    {},
    "",
    0,
    -1,
    True,
    "text",
    [[]],
    {"metadata": None},
    {"metadata": {"name": {}}},
    {"spec": 1},
)
"""Contents that no message has."""
NAMED = ("pod", "configmap", "secret", "node", "device", "devicemodel", "nonsense")


def evil_names(folder: Path) -> list[Any]:
    """What a name may not be; some lead to `folder`."""
    out = f"{folder}/planted"
    return [
        *(
            "..",
            ".",
            "../planted",
            "../../planted",
            "../../../planted",
            "../../../../planted",
            "../" * 30 + out[1:],
            out,
        ),
        *(
            "a/../../../planted",
            "a/b",
            "..\\planted",
            "%2e%2e%2fplanted",
            "\uff0e\uff0e\uff0fplanted",
            "a\0b",
            "a\nb",
            " ",
            "",
        ),
        *("-rf", "~", "$(touch planted)", "`touch planted`", "; touch planted", "x" * 5_000, None, 5, [], {}),
    ]


def pod(name: str) -> Json:
    """A pod that ends at once, with a bit of everything."""
    item = {"key": "key", "path": "file"}
    volumes = [
        {"name": "v0", "configMap": {"name": "settings", "items": [item]}},
        {"name": "v1", "secret": {"secretName": "key", "items": [item]}},
        {"name": "v2", "projected": {"sources": [{"configMap": {"name": "settings", "items": [item]}}]}},
        {"name": "v3", "downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}},
    ]
    container = {
        "name": "main",
        "image": "busybox",
        "command": ["true"],
        "env": [{"name": "A", "value": "b"}],
        "envFrom": [{"configMapRef": {"name": "settings"}}],
        "volumeMounts": [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in volumes],
    }
    metadata = {"name": name, "namespace": "default", "uid": str(uuid.uuid4()), "resourceVersion": "1"}
    spec = {"containers": [container], "volumes": volumes, "nodeName": "edge-1", "restartPolicy": "Never"}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


AT_A_TIME = 75


def evil_pods(folder: Path) -> Iterator[Json]:
    """A pod for each field and each evil name."""
    for number, place in enumerate(FIELDS):
        for index, name in enumerate(evil_names(folder)):
            made = pod(f"evil-{number}-{index}")
            where: Any = made
            for key in place[:-1]:
                where = (
                    where.setdefault(key, {})
                    if isinstance(where, dict) and not isinstance(key, int)
                    else _item(where, key)
                )
            where[place[-1]] = name
            yield made


def _item(where: Any, key: Any) -> Any:
    """The item, made where there is none: `{}` stands for an empty list in a pod that has no such field."""
    if isinstance(where, dict):
        return where.setdefault(key, {})
    return where[key]


def evil_objects(folder: Path) -> Iterator[tuple[str, Json]]:
    """Objects of other types with evil names and keys: the type, and the object."""
    for type in NAMED[1:]:
        for name in evil_names(folder):
            metadata = {"name": name, "namespace": "default", "uid": str(uuid.uuid4()), "resourceVersion": "1"}
            yield type, {"metadata": metadata, "spec": {"nodeName": "edge-1"}, "data": {str(name): "aGFja2Vk"}}


def wrong_frames() -> Iterator[tuple[str, str, str, str, Any]]:
    """Source, group, operation, resource and content: every sort of message downwards, with contents that it does not have."""
    for row in (*BOTH, *DOWN):
        for operation in row.operations or (n.GET,):
            for resource in (
                "default/pod/x",
                "default/device/x",
                "device/default/x/twin/cloud_updated",
                n.MEMBERSHIP,
                "",
                "a/b/c/d/e/f",
            ):
                for content in WRONG:
                    yield row.source or "x", row.group or n.GROUP_RESOURCE, operation, resource, content


class Attacker(FakeCloud):
    """It answers whatever the edge asks, so that the edge goes on; the acknowledgements it waits for are in `acked`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._acked: set[str] = set()
        self.reports: list[Json] = []
        self._merge = StrategicMerge(BuiltinTypes().fields)
        self._objects: dict[str, Json] = {}
        self._condition = threading.Condition()
        self._ending = threading.Event()
        self._answering = threading.Thread(target=self._answer_all)
        self._answering.start()

    def push(
        self, operation: str, resource: str, content: Any, source: str = n.EDGECONTROLLER, group: str = n.GROUP_RESOURCE
    ) -> str:
        """Say something; the id. Waits for the edge to be back when it has hung up."""
        route = {"source": source, "group": group, "operation": operation, "resource": resource}
        patience = Patience()
        while True:
            try:
                return self.say({"header": {"timestamp": 1, "resourceversion": "1"}, "route": route}, content)
            except ConnectionClosed:
                assert not patience.over, "the edge does not come back"
                self._ending.wait(0.05)

    def push_pod(self, made: Any, operation: str = n.INSERT) -> str:
        """Push a pod, or its deletion, under its own name, or under one of no meaning."""
        name = made["metadata"].get("name")
        segment = name if isinstance(name, str) and name else "x"
        self._objects[f"default/{n.POD}/{segment}"] = made
        return self.push(operation, f"default/{n.POD}/{segment}", made)

    def wait_acked(self, id: str) -> None:
        """Until the edge has acknowledged it."""
        with self._condition:
            assert self._condition.wait_for(lambda: id in self._acked, PATIENCE), "the edge acknowledges nothing more"

    def wait_patch(self, resource: str, *words: str) -> None:
        """Until the edge has told something of an object in which one of these words stands; without words, anything."""

        def told() -> bool:
            texts = [str(frame["content"]) for frame in self.reports if frame["route"]["resource"] == resource]
            return any(word in text for text in texts for word in words or ("",))

        with self._condition:
            assert self._condition.wait_for(told, PATIENCE), f"{resource} is not told: {words}"

    def _answer_all(self) -> None:
        while not self._ending.is_set():
            try:
                frame = self.hear(0.2)
            except queue.Empty:
                continue
            parent = frame["header"].get("parent_msg_id")
            with self._condition:
                if parent:
                    self._acked.add(parent)
                elif frame["route"].get("operation") == n.PATCH:
                    self.reports.append(frame)
                self._condition.notify_all()
            if not parent:
                self._answer(frame)

    def _answer(self, frame: Json) -> None:
        operation, resource = frame["route"].get("operation"), frame["route"].get("resource", "")
        if operation not in (n.INSERT, n.UPDATE, n.PATCH, n.QUERY, n.DELETE):
            return
        object = self._object(operation, resource, frame["content"])
        answer = object if operation == n.QUERY else {"Object": object, "Err": None}
        route = {"source": n.EDGECONTROLLER, "group": n.GROUP_RESOURCE, "operation": n.RESPONSE, "resource": resource}
        try:
            self.say({"header": {"timestamp": 1}, "route": route}, answer, answering=frame["header"]["msg_id"])
        except ConnectionClosed:
            return

    def _object(self, operation: str, resource: str, content: Any) -> Json:
        """What the API has after it: what was pushed, what the edge says, or something of that name."""
        metadata = {"name": resource.rpartition("/")[2], "namespace": "default", "uid": "1", "resourceVersion": "2"}
        if operation == n.PATCH:
            place = resource.replace("patch/", "/")
            kind = "Node" if f"/{n.NODE}/" in place else "Pod"
            self._objects[place] = self._merge.merge(
                self._objects.get(place, {"metadata": metadata}), json.loads(content), kind
            )
            return self._objects[place]
        if operation == n.QUERY or not isinstance(content, dict):
            return {"metadata": metadata, "data": {"key": "dmFsdWU="}}
        return {**content, "metadata": {**metadata, **(content.get("metadata") or {})}}

    def stop(self) -> None:
        """No answers any more; close."""
        self._ending.set()
        self._answering.join(PATIENCE)
        super().stop()


class Victim:
    """An edge process in a folder of its own, beside which nothing may appear."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outside = folder / "outside"
        self.outside.mkdir()
        (self.outside / "kept").write_text("kept", encoding="utf-8")
        self.cloud = Attacker(folder / "cloud")
        (self.mqtt,) = free_ports(1)
        options = ("--name", "edge-1", "--runtime", "process", "--mqtt-port", str(self.mqtt), *self.cloud.options)
        self.side = ProcessUnderTest("kubeedge_actors.edge", folder / "edge", *options)
        self.side.start()
        self.cloud.wait_patch(f"null/{n.NODEPATCH}/edge-1", "conditions")

    def outside_files(self) -> set[tuple[str, bytes]]:
        """All files and folders beside the data directory, with their contents."""
        own = {self.folder / "edge", self.folder / "edge.log", self.folder / "cloud"}  # they change while one looks
        beside = [path for path in self.folder.iterdir() if path not in own]
        found = [*self.folder.parent.iterdir(), *beside, *(path for top in beside for path in top.rglob("*"))]
        return {(str(path), path.read_bytes() if path.is_file() else b"") for path in found}

    def push_pods(self, pods: Sequence[Any]) -> None:
        """Push so many at a time as a node looks into: it rejects what is more than 110, by their number alone."""
        for start in range(0, len(pods), AT_A_TIME):
            for made in pods[start : start + AT_A_TIME]:
                self.cloud.push_pod(made)
            self.settle()
            for made in pods[start : start + AT_A_TIME]:
                self.cloud.push_pod(made, n.DELETE)

    def settle(self) -> None:
        """Until an honest pod has run: what was pushed before has been looked at."""
        name = f"honest-{uuid.uuid4().hex[:8]}"
        self.cloud.wait_acked(self.cloud.push_pod(pod(name)))
        self.cloud.wait_patch(f"default/{n.PODPATCH}/{name}", '"Running"', '"Succeeded"')


@contextmanager
def victim(folder: Path) -> Iterator[Victim]:
    """An edge that has joined the attacker."""
    made = Victim(folder)
    try:
        with ending(made.side):
            yield made
    finally:
        made.cloud.stop()


def deep(levels: int) -> str:
    """A frame whose content is nested so deep."""
    return (
        json.dumps({"header": {"msg_id": "d"}, "route": {"operation": n.INSERT, "resource": "a/b/c"}})[:-1]
        + ',"content":'
        + "[" * levels
    )
