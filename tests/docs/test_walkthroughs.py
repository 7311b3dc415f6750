"""docs/explanation/walkthroughs is executed: both sides in one process, and the calls that carry the value come in its order."""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import msgspec
import pytest

import kubeedge_actors
from kubeedge_actors import cloud, edge
from kubeedge_actors.actors.cloudhub.hub import CloudHub
from kubeedge_actors.actors.cloudhub.messages import ListenConfig
from kubeedge_actors.actors.edgehub.hub import EdgeHub
from kubeedge_actors.actors.edgehub.traffic import TrafficCounters
from kubeedge_actors.assembly import edge as edge_parts
from kubeedge_actors.config import EdgeConfig
from kubeedge_actors.drivers.bootstrap.node_credentials import NodeCredentials
from kubeedge_actors.drivers.broker.fake import FakeBroker
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.containers.fake import FakeRuntime
from kubeedge_actors.drivers.link.base import Peer, ServerEvents, UpgradeResponse
from kubeedge_actors.drivers.link.fake import FakeLinkServer
from kubeedge_actors.drivers.pki.base import NODE_GROUP, NODE_USER, TlsPaths
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.entrypoint import Shutdown
from kubeedge_actors.kubernetes.object_types import CLUSTEROBJECTSYNC_KIND, NODE_KIND, OBJECTSYNC_KIND, POD_KIND
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.wire import constants, topics
from tests.support.api_objects import DEVICE, MODEL, put_pod
from tests.support.waiting import PATIENCE, eventually

PACKAGE = Path(kubeedge_actors.__file__).parent
PAGES = PACKAGE.parent / "docs" / "explanation" / "walkthroughs"
MOST_FILES = 12
NODE, NAMESPACE, THERMOMETER, POD = "edge-1", "default", "thermometer", "lighthouse"
WARMTH = "lukewarm"
ROW = re.compile(r"^\| (\d+) \| [^|]+ \| \[(\S+\.py)\]\(\.\./\.\./\.\./kubeedge_actors/(\S+)\) \| `(\S+)` \|$", re.M)
BESIDE = re.compile(r"^\* \[(\S+\.py)\]\(\.\./\.\./\.\./kubeedge_actors/(\S+)\): ", re.M)


# --- what a page says ---------------------------------------------------------------------------------------------


class Hop(NamedTuple):
    """One row of a table."""

    file: str
    function: str

    def resolve(self) -> CodeType:
        """The function, from where the row says that it is."""
        found: Any = importlib.import_module("kubeedge_actors." + self.file.removesuffix(".py").replace("/", "."))
        for name in self.function.split("."):
            found = getattr(found, name)
        code: CodeType = inspect.unwrap(found).__code__
        assert Path(code.co_filename) == PACKAGE / self.file, f"{self.function} is not defined in {self.file}"
        return code


class Page:
    """A page of docs/explanation/walkthroughs."""

    def __init__(self, name: str) -> None:
        self.text = (PAGES / name).read_text(encoding="utf-8")
        rows = ROW.findall(self.text)
        assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1)), "the rows are numbered from 1"
        assert len(rows) == self.text.count("\n| ") - 1, "a row is not in the form of the others"
        assert all(shown == linked for _, shown, linked, _ in rows), "a link goes elsewhere than it says"
        self.hops = [Hop(file, function) for _, _, file, function in rows]
        self.files = list(dict.fromkeys(hop.file for hop in self.hops))
        beside = BESIDE.findall(self.text)
        assert all(shown == linked for shown, linked in beside), "a link goes elsewhere than it says"
        self.beside = [file for file, _ in beside]


UP, DOWN = "twin-up.md", "pod-down.md"


@pytest.mark.parametrize("name", [UP, DOWN])
def test_the_table_leads_through_few_files_and_the_list_names_others(name: str) -> None:
    page = Page(name)
    assert 5 < len(page.files) <= MOST_FILES
    assert not set(page.beside) & set(page.files)


def test_the_first_page_leads_to_both() -> None:
    text = (PAGES / "README.md").read_text(encoding="utf-8")
    assert f"({UP})" in text and f"({DOWN})" in text


# --- both sides in one process --------------------------------------------------------------------------------------


class Recorder:
    """A profile function. It notes the first call of each function that carries the thing, from `begin` on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: dict[CodeType, Hop] = {}
        self._thing = ""
        self.calls: dict[Hop, None] = {}
        self.files: set[str] = set()

    def begin(self, hops: list[Hop], thing: str) -> None:
        """From now on note calls of these functions in whose arguments the thing appears, and the files that run."""
        self._thing = thing
        self._wanted = {hop.resolve(): hop for hop in hops}

    def terminate(self) -> None:
        """Note nothing more: threads that live on for a while keep their profile function."""
        self._thing = ""

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or not self._thing:
            return
        code = frame.f_code
        self.files.add(code.co_filename)
        hop = self._wanted.get(code)
        if hop is not None and hop not in self.calls and self._carries(frame):
            with self._lock:
                self.calls[hop] = None

    def _carries(self, frame: FrameType) -> bool:
        code = frame.f_code
        given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        return any(self._thing in repr(frame.f_locals[name]) for name in given if name != "self")


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made, here, elsewhere = Recorder(), sys.getprofile(), threading.getprofile()
    threading.setprofile(made)
    sys.setprofile(made)
    yield made
    made.terminate()
    sys.setprofile(here)
    threading.setprofile(elsewhere)


class NodesServer(FakeLinkServer):
    """A link without TLS, at whose end there is the node of which TLS would show the certificate."""

    def start(self, host: str, port: int, tls: TlsPaths | None, events: ServerEvents) -> int:
        self.common_name = NODE_USER + NODE
        return super().start(host, port, tls, _Certified(events))


class _Certified:
    def __init__(self, events: ServerEvents) -> None:
        self.on_connect, self.on_text, self.on_close = events.on_connect, events.on_text, events.on_close
        self._events = events

    def admit(self, peer: Peer) -> UpgradeResponse:
        return self._events.admit(msgspec.structs.replace(peer, organizations=(NODE_GROUP,)))


class WalkthroughEnv:
    """All modules of both sides on threads, on fakes; only the link is another than in edge.py and cloud.py."""

    def __init__(self, folder: Path) -> None:
        self.api = FakeCluster(with_status=[OBJECTSYNC_KIND.plural, CLUSTEROBJECTSYNC_KIND.plural])
        self.store, self.containers, self.broker = FakeStore(), FakeRuntime(), FakeBroker()
        self.server = NodesServer()
        self.cloud = ActorSystem(ThreadsEngine(), optional_types=cloud.EXTENSION_POINTS)
        self.edge = ActorSystem(ThreadsEngine(), optional_types=edge.EXTENSION_POINTS)
        hub = CloudHub.spec(
            lambda: CloudHub(self.server, ListenConfig("memory", 0, None), accepting=self.cloud.registry.subscribers)
        )
        self.cloud.start(cloud.supervision_tree(hub, self.api, "127.0.0.1"))
        self.edge.start(SupervisorSpec("edge", self._modules(folder)))
        eventually(lambda: _ready(self.api.peek(NODE_KIND, "", NODE)), "the node is ready")

    def _modules(self, folder: Path) -> list[Any]:
        config = EdgeConfig(name=NODE, cloud="https://127.0.0.1:10002", data_dir=folder)
        unused = NodeCredentials(folder, NODE, config.cloud, str)
        drivers = (self.store, self.containers, [self.broker], unused)
        modules = edge_parts.edge_specs(
            config, *drivers, Shutdown(), TrafficCounters(), self.server.link, twin_updates_wanted=bool
        )
        assert modules[-1].name == constants.EDGEHUB
        hub = EdgeHub.spec(
            lambda: EdgeHub(
                node_name=NODE,
                url=config.hub_url,
                link_factory=self.server.link,
                credentials=None,
                outbox=self.store.outbox,
            )
        )
        return [*modules[:-1], hub]

    def stop(self) -> None:
        """End both sides, the edge first."""
        self.edge.stop(PATIENCE)
        self.cloud.stop(PATIENCE)
        self.containers.close()


@pytest.fixture
def env(recorder: Recorder, tmp_path: Path) -> Iterator[WalkthroughEnv]:
    made = WalkthroughEnv(tmp_path)
    yield made
    made.stop()


def _ready(node: dict[str, Any] | None) -> bool:
    conditions = (node or {}).get("status", {}).get("conditions", ())
    return ("Ready", "True") in [(one["type"], one["status"]) for one in conditions]


# --- the walkthroughs --------------------------------------------------------------------------------------------------------


def test_a_twin_goes_up_as_the_page_says(env: WalkthroughEnv, recorder: Recorder) -> None:
    page = Page(UP)
    put_thermometer(env)
    eventually(env.store.twin.devices, "the edge knows the device")
    recorder.begin(page.hops, WARMTH)
    update = (
        f'{{"event_id":"1","twin":{{"warmth":{{"actual":{{"value":"{WARMTH}"}},"metadata":{{"type":"string"}}}}}}}}'
    )
    topic = topics.device_topic(f"{NAMESPACE}/{THERMOMETER}", constants.TWIN_UPDATE)
    env.broker.client().publish(topic, update.encode())
    eventually(lambda: reported(env) == WARMTH, "the Device's status has the value")
    check(page, recorder)


def put_thermometer(env: WalkthroughEnv) -> None:
    """A model and a device of the node; what it measures is reported."""
    model = {"properties": [{"name": "warmth", "type": "STRING", "accessMode": "ReadOnly"}]}
    env.api.create(MODEL, NAMESPACE, {"metadata": {"name": "model"}, "spec": model})
    properties = [{"name": "warmth", "reportToCloud": True}]
    device = {"deviceModelRef": {"name": "model"}, "nodeName": NODE, "properties": properties}
    env.api.create(DEVICE, NAMESPACE, {"metadata": {"name": THERMOMETER}, "spec": device})


def reported(env: WalkthroughEnv) -> str:
    """The value in the status of the Device."""
    device = env.api.peek(DEVICE, NAMESPACE, THERMOMETER) or {}
    return "".join(str(twin["reported"]["value"]) for twin in device.get("status", {}).get("twins", ()))


def test_a_pod_goes_down_as_the_page_says(env: WalkthroughEnv, recorder: Recorder) -> None:
    page = Page(DOWN)
    recorder.begin(page.hops, POD)
    put_pod(env.api, POD, NODE)
    eventually(lambda: [one.pod.name for one in env.containers.containers.running()] == [POD], "the container runs")
    eventually(lambda: phase(env) == "Running", "the cluster knows it")
    check(page, recorder)


def phase(env: WalkthroughEnv) -> str:
    """The phase of the pod in the cluster."""
    pod = env.api.peek(POD_KIND, NAMESPACE, POD) or {}
    return str(pod.get("status", {}).get("phase", ""))


def check(page: Page, recorder: Recorder) -> None:
    """All of the table was called with the thing, in its order; what is beside it ran as well."""
    assert list(recorder.calls) == page.hops
    assert {file for file in page.beside if str(PACKAGE / file) not in recorder.files} == set()
