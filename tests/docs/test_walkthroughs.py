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

import pytest

import kubeedge_actors
from kubeedge_actors.kubernetes.object_types import POD_KIND
from kubeedge_actors.wire import constants, topics
from tests.support.api_objects import DEVICE, MODEL, put_pod
from tests.support.env.both_sides import NODE, BothSidesEnv
from tests.support.waiting import eventually

PACKAGE = Path(kubeedge_actors.__file__).parent
PAGES = PACKAGE.parent / "docs" / "explanation" / "walkthroughs"
MOST_FILES = 12
NAMESPACE, THERMOMETER, POD = "default", "thermometer", "lighthouse"
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


@pytest.fixture
def env(recorder: Recorder, tmp_path: Path) -> Iterator[BothSidesEnv]:
    made = BothSidesEnv(tmp_path)
    yield made
    made.stop()


# --- the walkthroughs --------------------------------------------------------------------------------------------------------


def test_a_twin_goes_up_as_the_page_says(env: BothSidesEnv, recorder: Recorder) -> None:
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


def put_thermometer(env: BothSidesEnv) -> None:
    """A model and a device of the node; what it measures is reported."""
    model = {"properties": [{"name": "warmth", "type": "STRING", "accessMode": "ReadOnly"}]}
    env.api.create(MODEL, NAMESPACE, {"metadata": {"name": "model"}, "spec": model})
    properties = [{"name": "warmth", "reportToCloud": True}]
    device = {"deviceModelRef": {"name": "model"}, "nodeName": NODE, "properties": properties}
    env.api.create(DEVICE, NAMESPACE, {"metadata": {"name": THERMOMETER}, "spec": device})


def reported(env: BothSidesEnv) -> str:
    """The value in the status of the Device."""
    device = env.api.peek(DEVICE, NAMESPACE, THERMOMETER) or {}
    return "".join(str(twin["reported"]["value"]) for twin in device.get("status", {}).get("twins", ()))


def test_a_pod_goes_down_as_the_page_says(env: BothSidesEnv, recorder: Recorder) -> None:
    page = Page(DOWN)
    recorder.begin(page.hops, POD)
    put_pod(env.api, POD, NODE)
    eventually(lambda: [one.pod.name for one in env.containers.containers.running()] == [POD], "the container runs")
    eventually(lambda: phase(env) == "Running", "the cluster knows it")
    check(page, recorder)


def phase(env: BothSidesEnv) -> str:
    """The phase of the pod in the cluster."""
    pod = env.api.peek(POD_KIND, NAMESPACE, POD) or {}
    return str(pod.get("status", {}).get("phase", ""))


def check(page: Page, recorder: Recorder) -> None:
    """All of the table was called with the thing, in its order; what is beside it ran as well."""
    assert list(recorder.calls) == page.hops
    assert {file for file in page.beside if str(PACKAGE / file) not in recorder.files} == set()
